//! A response's head.

use bytes::Bytes;

use crate::{BodyLength, Headers, KnownHeader};

/// A response head: from an upstream, from the cache, or made by us.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Reason phrase; empty means the standard one.
    pub reason: Bytes,
    /// Header fields in order, end-to-end ones only once a codec has parsed them; the framing
    /// fields (Content-Length excepted) are in `body`.
    pub headers: Headers,
    /// How the body ends.
    pub body: BodyLength,
}

impl ResponseHead {
    /// A head without fields.
    pub fn new(status: u16, body: BodyLength) -> ResponseHead {
        ResponseHead { status, reason: Bytes::new(), headers: Headers::default(), body }
    }

    /// First value of a known header.
    pub fn header(&self, known: KnownHeader) -> Option<&[u8]> {
        self.headers.get(known)
    }
}
