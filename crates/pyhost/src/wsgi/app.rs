//! The app of a worker: what was loaded, where it is mounted, what every request shares.

use plan::app::AppPlan;
use pyo3::prelude::*;

/// Why an app could not be loaded, in words for the log.
#[derive(Clone, Debug)]
pub struct LoadFailure {
    /// One line.
    pub summary: String,
    /// All of it: the traceback, what was found instead, the line to write. Ends with a line
    /// feed.
    pub text: String,
}

/// Everything loaded from one [`AppPlan`], shared by the request threads of a worker.
pub struct App {
    mounts: Vec<Py<PyAny>>,
}

impl App {
    /// Prepares the interpreter as the plan says (working directory, environment, `sys.path`,
    /// `sys.argv`) and loads every app it names.
    ///
    /// # Errors
    /// Not one app could be loaded.
    pub fn load(_py: Python<'_>, _plan: &AppPlan) -> Result<App, LoadFailure> {
        Err(LoadFailure { summary: "no app was named".to_owned(), text: String::new() })
    }

    /// What a worker serves when nothing could be loaded: every request is answered 500.
    pub fn absent(_py: Python<'_>, _plan: &AppPlan) -> App {
        App { mounts: Vec::new() }
    }

    /// How many apps (mount points) were loaded.
    pub fn count(&self) -> u32 {
        u32::try_from(self.mounts.len()).unwrap_or(u32::MAX)
    }

    /// Apps that could not be loaded beside those that could; to be written to the log.
    pub fn failures(&self) -> &[LoadFailure] {
        &[]
    }
}
