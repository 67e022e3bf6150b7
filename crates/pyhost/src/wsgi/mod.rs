//! The WSGI bridge (PEP 3333): from a request's CGI variables to the app's answer.

mod app;
mod serve;

pub use app::{App, LoadFailure};
pub use serve::serve;
