//! A response's head.

use bytes::Bytes;

use crate::{BodyLength, Header, KnownHeader};

/// A response head: from an upstream, from the cache, or made by us.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Reason phrase; empty means the standard one.
    pub reason: Bytes,
    /// Header fields in order, end-to-end ones only once a codec has parsed them; the framing
    /// fields (Content-Length excepted) are in `body`.
    pub headers: Vec<Header>,
    /// How the body ends.
    pub body: BodyLength,
}

impl ResponseHead {
    /// A head without fields.
    pub fn new(status: u16, body: BodyLength) -> ResponseHead {
        ResponseHead { status, reason: Bytes::new(), headers: Vec::with_capacity(12), body }
    }

    /// First value of a known header.
    pub fn header(&self, known: KnownHeader) -> Option<&Bytes> {
        self.headers.iter().find(|header| header.known == known).map(|header| &header.value)
    }

    /// Adds a field.
    pub fn push(&mut self, header: Header) {
        self.headers.push(header);
    }

    /// Removes every field of that name.
    pub fn remove(&mut self, known: KnownHeader) {
        self.headers.retain(|header| header.known != known);
    }

    /// Whether the status alone forbids a body (RFC 9110, 6.4.1).
    pub fn is_bodiless_status(&self) -> bool {
        crate::is_bodiless(self.status)
    }
}
