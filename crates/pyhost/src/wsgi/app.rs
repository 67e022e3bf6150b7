//! The app of a worker: what was loaded, where it is mounted, what every request shares.

use plan::app::AppPlan;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyString};

use super::environ::Facts;
use super::file_wrapper;
use super::input::Input;
use super::load::{self, Mount};
use super::uwsgi_module;
use crate::exchange::Input as Body;

/// Entries that the template had at its fullest: one more than a table of 32 takes, so that a
/// copy has room for twenty more without being built anew.
const TEMPLATE_ENTRIES: usize = 22;

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
    mounts: Vec<Mount>,
    failures: Vec<LoadFailure>,
    manage_script_name: bool,
    /// What the `environ` of every request starts with.
    pub(super) template: Py<PyDict>,
}

impl App {
    /// Prepares the interpreter as the plan says (working directory, environment, `sys.path`,
    /// `sys.argv`) and loads every app it names. Where no callable is named it is `application`,
    /// else `app`, which uWSGI does not try.
    ///
    /// # Errors
    /// Not one app could be loaded.
    pub fn load(py: Python<'_>, plan: &AppPlan) -> Result<App, LoadFailure> {
        let (mounts, mut failures) = load::all(py, plan);
        if mounts.is_empty() {
            let text = failures.iter().map(|failure| failure.text.as_str()).collect();
            let first = if failures.is_empty() { None } else { Some(failures.swap_remove(0)) };
            let summary = first.map_or_else(String::new, |failure| failure.summary);
            return Err(LoadFailure { summary, text });
        }
        App::new(py, plan, mounts, failures).map_err(|error| LoadFailure {
            summary: format!("environ could not be prepared: {error}"),
            text: format!("environ could not be prepared: {error}\n"),
        })
    }

    /// What a worker serves when nothing could be loaded: every request is answered 500.
    ///
    /// # Errors
    /// The interpreter has no memory left.
    pub fn absent(py: Python<'_>, plan: &AppPlan) -> PyResult<App> {
        App::new(py, plan, Vec::new(), Vec::new())
    }

    /// How many apps (mount points) were loaded.
    pub fn count(&self) -> u32 {
        u32::try_from(self.mounts.len()).unwrap_or(u32::MAX)
    }

    /// The line uWSGI writes for each app that is ready, each with its line feed.
    pub fn ready_lines(&self, seconds: u64) -> String {
        let pid = std::process::id();
        let line = |(number, mount): (usize, &Mount)| {
            let default = if number == 0 { " (default app)" } else { "" };
            let prefix = String::from_utf8_lossy(&mount.prefix);
            format!(
                "WSGI app {number} (mountpoint='{prefix}') ready in {seconds} seconds \
                 on the main interpreter pid: {pid}{default}\n"
            )
        };
        self.mounts.iter().enumerate().map(line).collect()
    }

    /// Apps that could not be loaded beside those that could; to be written to the log.
    pub fn failures(&self) -> &[LoadFailure] {
        &self.failures
    }

    fn new(
        py: Python<'_>,
        plan: &AppPlan,
        mounts: Vec<Mount>,
        failures: Vec<LoadFailure>,
    ) -> PyResult<App> {
        Ok(App {
            mounts,
            failures,
            manage_script_name: plan.manage_script_name,
            template: template(py, plan)?.unbind(),
        })
    }

    /// The app for a request, and the part of PATH_INFO that moves to SCRIPT_NAME.
    ///
    /// By SCRIPT_NAME if the sender set one, else (with `manage-script-name`) by the longest
    /// mount point that PATH_INFO starts with, else the default app, else the first one.
    pub(super) fn choose<'a>(&self, facts: &Facts<'a>) -> Option<(&Mount, &'a [u8])> {
        if let ([only], false) = (self.mounts.as_slice(), self.manage_script_name) {
            return Some((only, b""));
        }
        let script_name = facts.script_name.strip_suffix(b"/").unwrap_or(facts.script_name);
        let default = || {
            let by_name = self.mounts.iter().find(|mount| mount.prefix == script_name);
            let unnamed = || self.mounts.iter().find(|mount| mount.prefix.is_empty());
            by_name.or_else(unnamed).or_else(|| self.mounts.first())
        };
        let path = facts.path_info.unwrap_or_default();
        if !self.manage_script_name || !script_name.is_empty() {
            return default().map(|mount| (mount, &b""[..]));
        }
        let longest = self
            .mounts
            .iter()
            .filter(|mount| is_below(path, &mount.prefix))
            .max_by_key(|mount| mount.prefix.len());
        match longest {
            Some(mount) => Some((mount, path.get(..mount.prefix.len()).unwrap_or_default())),
            None => default().map(|mount| (mount, &b""[..])),
        }
    }

    /// The number of a mounted app, from 0 in the order they were loaded.
    pub(super) fn number(&self, mount: &Mount) -> Option<u32> {
        let at = self.mounts.iter().position(|other| std::ptr::eq(other, mount));
        at.and_then(|at| u32::try_from(at).ok())
    }
}

/// `path` is the mount point or lies below it.
fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || prefix.is_empty() || rest.starts_with(b"/"),
        None => false,
    }
}

/// What every `environ` starts with. Variables that a sender may leave out have a value here.
fn template<'py>(py: Python<'py>, plan: &AppPlan) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let host = hostname(py);
    // Interned, so that a look-up finds the very object and compares no text.
    let set =
        |name: &str, value: Bound<'py, PyAny>| dict.set_item(PyString::intern(py, name), value);
    let text = |value: &str| PyString::new(py, value).into_any();
    let truth = |value: bool| PyBool::new(py, value).to_owned().into_any();
    set("REQUEST_METHOD", text("GET"))?;
    set("SCRIPT_NAME", text(""))?;
    set("PATH_INFO", text("/"))?;
    set("QUERY_STRING", text(""))?;
    set("SERVER_NAME", text(&host))?;
    set("SERVER_PORT", text("80"))?;
    set("SERVER_PROTOCOL", text("HTTP/1.1"))?;
    set("wsgi.version", (1, 0).into_pyobject(py)?.into_any())?;
    set("wsgi.url_scheme", text("http"))?;
    // That of requests without a body: it has no state worth having twice.
    set("wsgi.input", Bound::new(py, Input::new(Body::Empty))?.into_any())?;
    set("wsgi.errors", errors(py)?)?;
    set("wsgi.multithread", truth(plan.threads > 1))?;
    set("wsgi.multiprocess", truth(plan.processes > 1))?;
    set("wsgi.run_once", truth(false))?;
    set("wsgi.file_wrapper", file_wrapper::class(py))?;
    // Every body ends where it ends, whatever CONTENT_LENGTH says.
    set("wsgi.input_terminated", truth(true))?;
    set("uwsgi.version", uwsgi_module::version(py).into_any())?;
    set("uwsgi.node", PyBytes::new(py, host.as_bytes()).into_any())?;
    set("uwsgi.core", py.None().into_bound(py))?;
    // Copies of a dict inherit the size of its table, as long as few entries were removed.
    let padding: Vec<_> =
        (dict.len()..TEMPLATE_ENTRIES).map(|n| PyString::new(py, &n.to_string())).collect();
    padding.iter().try_for_each(|name| dict.set_item(name, name))?;
    padding.iter().rev().try_for_each(|name| dict.del_item(name))?;
    Ok(dict)
}

/// `wsgi.errors`: text to standard error, out at each end of line.
fn errors(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let arguments = PyDict::new(py);
    arguments.set_item("mode", "w")?;
    arguments.set_item("buffering", 1)?;
    arguments.set_item("encoding", "utf-8")?;
    arguments.set_item("errors", "backslashreplace")?;
    arguments.set_item("closefd", false)?;
    py.import("io")?.getattr("open")?.call((2,), Some(&arguments))
}

fn hostname(py: Python<'_>) -> String {
    let asked = || py.import("socket")?.call_method0("gethostname")?.extract::<String>();
    asked().unwrap_or_else(|_| "localhost".to_owned())
}
