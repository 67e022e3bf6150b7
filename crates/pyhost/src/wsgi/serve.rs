//! One request, from its variables to the end of its response.

use pyo3::Python;

use super::App;
use crate::exchange::{Request, Responder, Served};

/// Serves one request: never panics, never raises, and ends or aborts the response on every
/// path.
pub fn serve(
    py: Python<'_>,
    _app: &App,
    _request: Request<'_>,
    responder: &mut dyn Responder,
) -> Served {
    eprintln!("--- no python application found, check your startup logs for errors ---");
    responder.abort(py, 500, "Internal Server Error");
    Served { status: 500, ..Served::default() }
}
