//! Words to standard error: tracebacks of apps, and our own lines.

use std::io::Write;

use pyo3::prelude::*;

/// Writes one line to standard error in one piece; nothing is done about a broken stderr.
pub fn line(text: &str) {
    let whole = format!("{text}\n");
    let _ = std::io::stderr().lock().write_all(whole.as_bytes());
}

/// Reports an exception as the interpreter would (`sys.excepthook`), except that `SystemExit`
/// and `KeyboardInterrupt` are reported too and end nothing.
pub fn exception(py: Python<'_>, error: &PyErr) {
    let hook = py.import("sys").and_then(|sys| sys.getattr("excepthook"));
    let told = hook
        .and_then(|hook| hook.call1((error.get_type(py), error.value(py), error.traceback(py))));
    if told.is_err() {
        error.display(py);
    }
}
