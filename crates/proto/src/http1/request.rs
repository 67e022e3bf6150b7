//! Request heads out of a growing buffer.

use bytes::{Buf, BytesMut};
use message::{HeaderField, RequestHead};

use super::limits::{RequestError, RequestLimits};
use super::scan::RequestScan;

/// Reads one request head after the other from a connection's buffer.
#[derive(Debug, Default)]
pub struct RequestReader {
    scan: RequestScan,
    fields: Vec<HeaderField>,
}

impl RequestReader {
    /// For a new connection.
    pub fn new() -> RequestReader {
        RequestReader::default()
    }

    /// Whether part of a head has been seen: the connection is not idle.
    pub fn has_begun(&self) -> bool {
        self.scan.has_begun()
    }

    /// Uses the memory of an earlier head's fields for the next one's.
    pub fn reuse(&mut self, fields: Vec<HeaderField>) {
        if self.fields.capacity() == 0 {
            self.fields = fields;
        }
    }

    /// Takes the next head off `buffer`, or says `None` if it is not complete. Between two calls
    /// `buffer` may only grow at its end. The body, or the next request, stays in `buffer`; if
    /// nothing does, the head has the memory for itself and `buffer` is left without any.
    ///
    /// # Errors
    /// The head is refused; nothing more may be read from this connection.
    pub fn next_head(
        &mut self,
        buffer: &mut BytesMut,
        limits: &RequestLimits,
    ) -> Result<Option<RequestHead>, RequestError> {
        let Some(mut head) = self.scan.advance(buffer, limits, &mut self.fields)? else {
            if !self.scan.has_begun() {
                // An idle connection keeps no bytes.
                buffer.advance(self.scan.forget_empty_lines());
            }
            return Ok(None);
        };
        if head.start != 0 {
            buffer.advance(head.start);
            self.scan = RequestScan::new();
            match self.scan.advance(buffer, limits, &mut self.fields)? {
                Some(again) => head = again,
                None => return Ok(None),
            }
        }
        self.scan = RequestScan::new();
        let is_all = head.end == buffer.len();
        Ok(Some(RequestHead {
            bytes: if is_all { std::mem::take(buffer) } else { buffer.split_to(head.end) },
            method: head.method,
            method_text: head.method_text,
            target: head.target,
            path: head.path,
            query: head.query,
            has_query: head.has_query,
            target_host: head.target_host,
            plain_host: head.plain_host,
            version: head.version,
            headers: std::mem::take(&mut self.fields),
            body: head.body,
            keep_alive: head.keep_alive,
            expect_continue: head.expect_continue,
        }))
    }
}
