//! `import uwsgi` and `import uwsgidecorators`: importable in our processes only.
//!
//! The modules are Python (`uwsgi_module.py`, `uwsgidecorators.py`); here they get their facts.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use plan::app::AppPlan;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::load::module;
use super::{raw, report};

const UWSGI: &str = include_str!("uwsgi_module.py");
const DECORATORS: &str = include_str!("uwsgidecorators.py");

/// The version of uWSGI whose interface this is; libraries compare it before they start.
const VERSION: [u8; 3] = [2, 0, 31];

/// Most variables of one request's log line.
const LOG_VARIABLES_MAX: usize = 64;

/// The app has set `uwsgi.after_req_hook`.
static HAS_AFTER_REQUEST: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// What the request of this thread set with `set_logvar`.
    static LOG_VARIABLES: RefCell<Vec<(Vec<u8>, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
}

/// Puts both modules into `sys.modules`; to be called before the app is loaded.
///
/// # Errors
/// The interpreter has no memory left.
pub fn install(py: Python<'_>, plan: &AppPlan, master_pid: u32) -> PyResult<()> {
    let uwsgi = module(py, UWSGI, c"propylon/uwsgi.py", c"uwsgi")?;
    let [major, minor, patch] = VERSION;
    uwsgi.add("version", version(py))?;
    uwsgi.add("version_info", (major, minor, patch, 0, PyBytes::new(py, b"")))?;
    uwsgi.add("opt", options(py, plan)?)?;
    uwsgi.add("numproc", plan.processes)?;
    uwsgi.add("cores", plan.threads)?;
    uwsgi.add("buffer_size", plan.limits.head_bytes_max)?;
    let host = py.import("socket")?.call_method0("gethostname")?.call_method0("encode")?;
    uwsgi.add("hostname", host)?;
    uwsgi.getattr("_facts")?.set_item("master", master_pid)?;
    uwsgi.add_function(wrap_pyfunction!(set_logvar, &uwsgi)?)?;
    uwsgi.add_function(wrap_pyfunction!(get_logvar, &uwsgi)?)?;
    uwsgi.add_function(wrap_pyfunction!(_note_after_request, &uwsgi)?)?;
    py.import("sys")?.getattr("modules")?.set_item("uwsgi", &uwsgi)?;
    module(py, DECORATORS, c"propylon/uwsgidecorators.py", c"uwsgidecorators")?;
    Ok(())
}

/// Tells apps which worker this is; to be called in a new worker, before `lazy-apps` load.
///
/// # Errors
/// [`install`] was not called.
pub fn set_worker(py: Python<'_>, worker: u32) -> PyResult<()> {
    py.import("uwsgi")?.getattr("_facts")?.set_item("worker", worker)
}

/// Runs what apps want to run in each new worker (`uwsgi.post_fork_hook`, `@postfork`); to be
/// called after the app is loaded. What it raises is reported.
pub fn run_post_fork_hooks(py: Python<'_>) {
    run(py, "call_post_fork_hooks");
}

/// Runs `uwsgi.atexit`; to be called before a worker exits. What it raises is reported.
pub fn run_atexit(py: Python<'_>) {
    run(py, "call_atexit");
}

/// Runs `uwsgi.after_req_hook` if the app has set it. What it raises is reported.
pub(super) fn run_after_request(py: Python<'_>) {
    if HAS_AFTER_REQUEST.load(Ordering::Relaxed) {
        run(py, "call_after_request");
    }
}

fn run(py: Python<'_>, name: &str) {
    if let Err(error) = py.import("uwsgi").and_then(|uwsgi| uwsgi.call_method0(name)) {
        report::exception(py, &error);
    }
}

/// `uwsgi.version`.
pub fn version(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, VERSION.map(|part| part.to_string()).join(".").as_bytes())
}

/// `uwsgi.opt`: bytes by name, `True` for bare flags; of repeated options the last one counts.
fn options<'py>(py: Python<'py>, plan: &AppPlan) -> PyResult<Bound<'py, PyDict>> {
    let options = PyDict::new(py);
    for (name, value) in &plan.options {
        match value {
            Some(value) => options.set_item(name, PyBytes::new(py, value.as_bytes()))?,
            None => options.set_item(name, true)?,
        }
    }
    // Libraries refuse to start their threads without these two, which are always so here.
    for always in ["enable-threads", "py-call-uwsgi-fork-hooks"] {
        // A bare flag of a file is an empty value, which they would take for a no.
        if !options.get_item(always)?.is_some_and(|value| value.is_truthy().unwrap_or(false)) {
            options.set_item(always, true)?;
        }
    }
    Ok(options)
}

/// Called by the module when `after_req_hook` is assigned, so that requests need not look.
#[pyfunction]
fn _note_after_request(is_set: bool) {
    HAS_AFTER_REQUEST.store(is_set, Ordering::Relaxed);
}

/// Sets a variable of this request's log line.
#[pyfunction]
fn set_logvar(name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let (name, value) = (bytes(name)?, bytes(value)?);
    LOG_VARIABLES.with_borrow_mut(|variables| {
        variables.retain(|(known, _)| *known != name);
        if variables.len() < LOG_VARIABLES_MAX {
            variables.push((name, value));
        }
    });
    Ok(())
}

/// A variable of this request's log line, as bytes; `None` if it is not set.
#[pyfunction]
fn get_logvar<'py>(name: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let wanted = bytes(name)?;
    Ok(LOG_VARIABLES.with_borrow(|variables| {
        let found = variables.iter().find(|(known, _)| *known == wanted);
        found.map(|(_, value)| PyBytes::new(name.py(), value))
    }))
}

/// Hands the value of a variable of this request's log line to `with`, if it is set.
pub fn with_log_variable(wanted: &str, with: impl FnOnce(&[u8])) -> bool {
    LOG_VARIABLES.with_borrow(|variables| {
        let found = variables.iter().find(|(known, _)| known == wanted.as_bytes());
        found.map(|(_, value)| with(value)).is_some()
    })
}

/// Forgets what this thread's request set; its line has been written.
pub fn forget_log_variables() {
    LOG_VARIABLES.with_borrow_mut(Vec::clear);
}

/// Text or bytes, as bytes.
fn bytes(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    match raw::bytes_of(value) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => Ok(value.str()?.to_cow()?.into_owned().into_bytes()),
    }
}
