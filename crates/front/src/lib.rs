//! The web server: client connections and the phases of their requests.
//!
//! Rooms, from the outside in: [`process`] (orders from the master), `thread` (one runtime each),
//! `runtime` (a configuration in use), `connection` (one request after the other), `secure` (TLS),
//! `wire` (bytes in and out), `exchange` (one request), `real_ip` (the client behind a proxy),
//! `phases` (from URI to content), `limit` (who asks too often), `auth` (passwords, questions to other
//! locations), `content` (files), `call` (upstreams and their cache), `error_pages`, `filter` and
//! `finish` (from response to bytes), `outflow` and `relay` (bodies), `variables`, `log`.
//!
//! Invariants: a request uses the configuration that was current when its head was complete, to
//! its end; nothing on the way of a request is looked up by a directive's name; the phases do not
//! wait, only limits, passwords, bodies and upstreams do; whatever a request does, its thread goes on.

mod auth;
mod base64;
mod call;
mod clock;
mod conditional;
mod connection;
mod content;
mod error_pages;
mod exchange;
mod filter;
mod finish;
mod limit;
mod log;
mod outflow;
mod pages;
mod phases;
pub mod process;
mod ranges;
mod real_ip;
mod redirect;
mod relay;
mod request_body;
mod response;
mod runtime;
mod secure;
mod status;
mod thread;
mod upstream_body;
mod upstream_facts;
mod variables;
mod wire;

pub use process::run_process;
