//! From the plan to callables: prepares the interpreter and runs `loader.py`.

use std::ffi::CString;

use plan::app::{AppPlan, AppSource, LoadPlan};
use pyo3::prelude::*;
use pyo3::types::PyModule;

use super::app::LoadFailure;

const LOADER: &str = include_str!("loader.py");

/// One app: where it is mounted, and what to call.
pub struct Mount {
    /// URI prefix without a slash at its end; empty for the default app.
    pub prefix: Vec<u8>,
    /// The WSGI callable.
    pub callable: Py<PyAny>,
}

/// Loads everything the plan names, as far as that is possible.
pub fn all(py: Python<'_>, plan: &AppPlan) -> (Vec<Mount>, Vec<LoadFailure>) {
    let mut mounts = Vec::new();
    let mut failures = Vec::new();
    match prepare(py, plan) {
        Ok(loader) => {
            for wanted in &plan.load {
                match one(&loader, wanted, plan.callable.as_deref()) {
                    Ok(found) => mounts.extend(found),
                    Err(error) => failures.push(failure(py, &loader, &error)),
                }
            }
            if plan.load.is_empty() {
                failures.push(nothing_named());
            }
        }
        Err(failed) => failures.push(failed),
    }
    (mounts, failures)
}

fn nothing_named() -> LoadFailure {
    LoadFailure {
        summary: "no app was named".to_owned(),
        text: "no app was named\nhint: write `module = wsgi:app` or `wsgi-file = app.py`\n"
            .to_owned(),
    }
}

fn prepare<'py>(py: Python<'py>, plan: &AppPlan) -> Result<Bound<'py, PyModule>, LoadFailure> {
    let internal = |error: PyErr| LoadFailure {
        summary: format!("the loader failed: {error}"),
        text: format!("the loader failed: {error}\n"),
    };
    let loader =
        module(py, LOADER, c"propylon/loader.py", c"_propylon_loader").map_err(internal)?;
    let python = &plan.python;
    loader
        .call_method1("prepare", (&python.chdir, &python.env, &python.path, &python.argv))
        .map_err(|error| failure(py, &loader, &error))?;
    Ok(loader)
}

fn one(
    loader: &Bound<'_, PyModule>,
    wanted: &LoadPlan,
    default: Option<&str>,
) -> PyResult<Vec<Mount>> {
    let (kind, target, name) = match &wanted.source {
        AppSource::Module(spec) => ("module", spec.clone(), None),
        AppSource::File { path, callable } => {
            ("file", path.to_string_lossy().into_owned(), callable.as_deref())
        }
    };
    let found: Vec<(String, Py<PyAny>)> =
        loader.call_method1("load", (&wanted.mount, kind, target, name, default))?.extract()?;
    let mounts = found.into_iter().map(|(prefix, callable)| Mount {
        prefix: prefix.trim_end_matches('/').as_bytes().to_vec(),
        callable,
    });
    Ok(mounts.collect())
}

/// The words of an exception: the loader's own have both forms ready.
fn failure(py: Python<'_>, loader: &Bound<'_, PyModule>, error: &PyErr) -> LoadFailure {
    let value = error.value(py);
    let text = |name: &str| value.getattr(name).ok()?.extract::<String>().ok();
    let is_ours =
        loader.getattr("Failure").is_ok_and(|class| value.is_instance(&class).unwrap_or(false));
    match (text("summary"), text("text")) {
        (Some(summary), Some(text)) if is_ours => LoadFailure { summary, text },
        _ => LoadFailure { summary: error.to_string(), text: format!("{error}\n") },
    }
}

/// A module made of source text that is part of this program.
pub fn module<'py>(
    py: Python<'py>,
    source: &str,
    file: &std::ffi::CStr,
    name: &std::ffi::CStr,
) -> PyResult<Bound<'py, PyModule>> {
    let source = CString::new(source)?;
    PyModule::from_code(py, &source, file, name)
}
