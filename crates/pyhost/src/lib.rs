//! CPython's side: the nursery, the workers, and the bridge from a request to a WSGI app.
//!
//! This crate becomes one extension module, loaded by the app's own interpreter. It is the only
//! crate that knows PyO3.
//!
//! Rooms: [`exchange`] (what the bridge asks of a transport), [`fields`] (a response's header
//! fields between the two), `wsgi/` (the bridge: environ,
//! input, start_response, the response iterable), `worker/` (the event loop, one transport per
//! protocol), `nursery` (imports the app once, forks workers), `sources` (from which files).
//!
//! Invariants: the GIL is never held while waiting for a socket, a descriptor or the master;
//! nothing a client sends is looked at before the worker has been forked.

pub mod exchange;
pub mod fields;
mod nursery;
mod sources;
mod worker;
pub mod wsgi;

use pyo3::prelude::*;

/// The nursery's whole life; called once, by the program the master starts.
#[pyfunction]
fn nursery_main(py: Python<'_>) -> PyResult<()> {
    nursery::main(py)
}

/// The extension module, `_pyhost`.
#[pymodule]
fn _pyhost(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(nursery_main, module)?)?;
    wsgi::probe::register(module)
}
