//! Counters of `stub_status`.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::response::Response;

/// Connections and requests of all threads since the process started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections open now.
    pub active: AtomicU64,
    /// Connections waiting for a request now.
    pub waiting: AtomicU64,
    /// Requests read.
    pub requests: AtomicU64,
}

impl Counters {
    /// The page.
    pub fn page(&self) -> Response {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (accepted, active) = (load(&self.accepted), load(&self.active));
        let (waiting, requests) = (load(&self.waiting), load(&self.requests));
        let writing = active.saturating_sub(waiting);
        let page = format!(
            "Active connections: {active} \nserver accepts handled requests\n \
             {accepted} {accepted} {requests} \nReading: 0 Writing: {writing} Waiting: {waiting} \n"
        );
        Response::memory(200, Bytes::from_static(b"text/plain"), Bytes::from(page))
    }
}
