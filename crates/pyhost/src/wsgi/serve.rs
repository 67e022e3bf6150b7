//! One request, from its variables to the end of its response.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::answer::{self, Outcome};
use super::app::App;
use super::environ::{Facts, FillError};
use super::exchange::Exchange;
use super::input::Input;
use super::own::{Own, Tools};
use super::response::Failure;
use super::{raw, report, uwsgi_module};
use crate::exchange::{Input as Body, Request, Responder, ResponseParts, Served};
use crate::fields::Fields;

/// Serves one request: never panics, never raises, and ends or aborts the response on every
/// path, unless the client has gone.
///
/// Requests that cannot reach an app get 500 (no app, an app that raises) or 400 (broken
/// variables).
pub fn serve(
    py: Python<'_>,
    app: &App,
    own: &mut Own,
    request: Request<'_>,
    responder: &mut dyn Responder,
) -> Served {
    let mut tools = match own.lend(py, app) {
        Ok(tools) => tools,
        Err(error) => {
            report::exception(py, &error);
            return refuse(py, responder);
        }
    };
    // SAFETY: `close` is called below before `responder` is touched again: nothing in between
    // unwinds past `catch_unwind`.
    unsafe { tools.exchange.get().open(py, responder) };
    let outcome = catch_unwind(AssertUnwindSafe(|| run(py, app, &mut tools, request)));
    let raised = match outcome {
        Ok(raised) => raised,
        Err(_) => {
            report::line("the server failed internally while it served a request");
            fail(py, tools.exchange.get());
            true
        }
    };
    let (mut served, is_shared) = tools.exchange.get().close(py, &tools.start_response);
    served.raised = raised;
    own.take_back(py, tools, is_shared);
    served
}

/// Serves the request through the exchange; answers whether the app raised.
fn run(py: Python<'_>, app: &App, tools: &mut Tools, request: Request<'_>) -> bool {
    let Tools { memory, exchange, start_response } = tools;
    let exchange = exchange.get();
    let (environ, facts) = match memory.environ(py, request.vars) {
        Ok(made) => made,
        Err(FillError::Broken(_)) => {
            report::line("a request's variables are broken: answered 400");
            if let Ok(mut state) = exchange.step() {
                state.fail(py, 400, b"Bad Request", b"Bad Request");
            }
            return false;
        }
        Err(FillError::Python(error)) => return raise(py, exchange, &error),
    };
    let chosen = app.choose(&facts);
    match exchange.step() {
        Ok(mut state) => {
            state.head_request = facts.method == b"HEAD";
            state.served.app = chosen.and_then(|(mount, _)| app.number(mount));
        }
        Err(error) => return raise(py, exchange, &error),
    }
    let Some((mount, moved)) = chosen else {
        report::line("--- no python application found, check your startup logs for errors ---");
        fail(py, exchange);
        return false;
    };
    let input = match complete(&environ, &facts, moved, request.input) {
        Ok(input) => input,
        Err(error) => return raise(py, exchange, &error),
    };
    let outcome =
        raw::call_with_two(mount.callable.bind(py), environ.as_any(), start_response.bind(py))
            .map_err(Failure::Raised)
            .and_then(|answer| answer::send(exchange, &answer));
    let raised = conclude(py, exchange, outcome, &facts);
    uwsgi_module::run_after_request(py);
    if let Some(Ok(mut input)) = input.as_ref().map(Bound::try_borrow_mut) {
        input.finish();
    }
    raised
}

/// Adds what does not come from variables alone. Answers `wsgi.input` if it has to be finished
/// after the request.
fn complete<'py>(
    environ: &Bound<'py, PyDict>,
    facts: &Facts<'_>,
    moved: &[u8],
    body: Body,
) -> PyResult<Option<Bound<'py, Input>>> {
    let py = environ.py();
    if let Some(scheme) = facts.url_scheme() {
        let scheme = raw::text(py, scheme)?;
        raw::set(environ, pyo3::intern!(py, "wsgi.url_scheme"), &scheme)?;
    }
    if !moved.is_empty() {
        let rest = facts.path_info.unwrap_or_default().get(moved.len()..).unwrap_or_default();
        raw::set(environ, pyo3::intern!(py, "SCRIPT_NAME"), &raw::text(py, moved)?)?;
        raw::set(environ, pyo3::intern!(py, "PATH_INFO"), &raw::text(py, rest)?)?;
    }
    let known_bytes = match &body {
        Body::Memory(bytes) => Some(bytes.len() as u64),
        Body::File(_, bytes) => Some(*bytes),
        Body::Empty | Body::Live(_) => None,
    };
    if let Some(bytes) = known_bytes.filter(|_| facts.content_length.is_empty()) {
        // A chunked body that is here as a whole: apps that know no other way can read it too.
        let length = raw::text(py, bytes.to_string().as_bytes())?;
        raw::set(environ, pyo3::intern!(py, "CONTENT_LENGTH"), &length)?;
    }
    if matches!(body, Body::Empty) {
        return Ok(None);
    }
    let input = Bound::new(py, Input::new(body))?;
    raw::set(environ, pyo3::intern!(py, "wsgi.input"), input.as_any())?;
    Ok(Some(input))
}

/// Brings the response to an end whatever happened; answers whether the app raised.
fn conclude(
    py: Python<'_>,
    exchange: &Exchange,
    outcome: Result<Outcome, Failure>,
    facts: &Facts<'_>,
) -> bool {
    match outcome {
        Ok(Outcome::Kept) => false,
        Ok(Outcome::TooMuchBody) => {
            report::line(&format!(
                "the app gave more body than its Content-Length: the rest was cut, {}",
                described(facts)
            ));
            false
        }
        Err(Failure::Gone) => false,
        Err(Failure::Raised(error)) => {
            let gone = exchange.step().is_ok_and(|state| state.gone);
            if gone && error.is_instance_of::<PyOSError>(py) {
                // The app only noticed that nobody listens.
                return false;
            }
            raise(py, exchange, &error)
        }
    }
}

fn raise(py: Python<'_>, exchange: &Exchange, error: &PyErr) -> bool {
    report::exception(py, error);
    fail(py, exchange);
    true
}

fn fail(py: Python<'_>, exchange: &Exchange) {
    match exchange.step() {
        Ok(mut state) => state.fail_internally(py),
        Err(error) => report::exception(py, &error),
    }
}

/// The answer when not even an exchange could be made.
fn refuse(py: Python<'_>, responder: &mut dyn Responder) -> Served {
    let parts = ResponseParts {
        status: 500,
        reason: b"Internal Server Error",
        fields: &Fields::default(),
        content_length: Some(0),
        add_content_length: true,
    };
    let _ = responder.start(py, &parts, b"", true);
    Served { status: 500, ..Served::default() }
}

fn described(facts: &Facts<'_>) -> String {
    let path = facts.path_info.unwrap_or_default().escape_ascii();
    format!("{} {path}", facts.method.escape_ascii())
}
