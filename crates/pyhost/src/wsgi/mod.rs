//! The WSGI bridge (PEP 3333): from a request's CGI variables to the app's answer.
//!
//! Rooms: [`App`] (`app`: what requests share; `load` and `loader.py`: from the plan to
//! callables, and the words when that fails), `environ` (variables → dict), `input`
//! (`wsgi.input`), `head` (status and fields, validated), `response` (the state of one
//! response), `exchange` (`start_response` and `write`), `answer` (the response iterable),
//! `file_wrapper`, [`Own`] (what a thread keeps between requests), `serve` (one request from end
//! to end), [`uwsgi_module`] (`import uwsgi`), `raw` (the direct calls into CPython), [`probe`]
//! (the bridge without a socket, for tests).
//!
//! Invariants: nothing an app returns reaches a transport unvalidated; the response is ended or
//! aborted and the iterable is closed on every path; a retained `start_response`, `write` or
//! `wsgi.input` is dead once its request is over.

mod answer;
mod app;
mod environ;
mod exchange;
mod file_wrapper;
mod head;
mod input;
mod load;
mod own;
pub mod probe;
mod raw;
mod report;
mod response;
mod serve;
pub mod uwsgi_module;

pub use app::{App, LoadFailure};
pub use own::Own;
pub use serve::serve;
