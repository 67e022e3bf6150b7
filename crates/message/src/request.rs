//! A request's head.

use std::ops::Range;

use bytes::BytesMut;

use crate::{HeaderField, KnownHeader, Method};

/// A piece of a head's buffer, in bytes. Heads are limited far below 4 GiB by the codecs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Slice {
    /// From the first byte to one past the last; both are far below 4 GiB.
    #[inline]
    pub fn new(start: usize, end: usize) -> Slice {
        Slice { start: start as u32, end: end as u32 }
    }

    /// The bytes it names in `buffer`; empty if it points outside.
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.range()).unwrap_or(&[])
    }

    /// The same as a range.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The piece so many bytes further on.
    pub(crate) fn moved(self, by: usize) -> Slice {
        Slice::new(self.start as usize + by, self.end as usize + by)
    }

    /// How many bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it names nothing.
    pub fn is_empty(self) -> bool {
        self.end == self.start
    }
}

/// Protocol version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Version {
    Http09,
    Http10,
    Http11,
    Http2,
}

impl Version {
    /// As it stands in a request line and in SERVER_PROTOCOL.
    pub fn text(self) -> &'static str {
        match self {
            Version::Http09 => "HTTP/0.9",
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2.0",
        }
    }
}

/// How a message's body ends (RFC 9112, 6.3), decided once, by the codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    None,
    /// Exactly so many bytes.
    Length(u64),
    /// The chunked coding says when.
    Chunked,
    /// The peer closes the connection (responses only).
    UntilClose,
}

/// A parsed and validated request head.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The head as it came, request line to the empty line, in the buffer it was read into.
    pub bytes: BytesMut,
    /// The method, if the program decides upon it.
    pub method: Method,
    /// The method as written.
    pub method_text: Slice,
    /// The request target as written (RFC 9112, 3.2).
    pub target: Slice,
    /// Path part of the target, still percent-encoded, without query; `/` for `*` and for an
    /// absolute form without path.
    pub path: Slice,
    /// Query part, without the question mark; empty if there is none.
    pub query: Slice,
    /// Whether the target held a question mark (`$is_args` and `?` alone differ).
    pub has_query: bool,
    /// Host of an absolute-form target, which overrides the Host header.
    pub target_host: Option<Slice>,
    /// The name in Host without its port, if it is in normal form as it stands: labels of
    /// lower-case letters, digits and hyphens.
    pub plain_host: Option<Slice>,
    /// Version the client spoke.
    pub version: Version,
    /// Header fields in the order they came, names as written.
    pub headers: Vec<HeaderField>,
    /// How the body ends.
    pub body: BodyLength,
    /// Whether the connection may serve another request after this one (RFC 9112, 9.3).
    pub keep_alive: bool,
    /// `Expect: 100-continue` was asked on HTTP/1.1.
    pub expect_continue: bool,
}

impl RequestHead {
    /// The bytes of a slice of this head.
    pub fn text(&self, slice: Slice) -> &[u8] {
        slice.of(&self.bytes)
    }

    /// First value of a known header.
    pub fn header(&self, known: KnownHeader) -> Option<&[u8]> {
        let field = self.headers.iter().find(|field| field.known == known)?;
        Some(self.text(field.value))
    }

    /// All values of a known header.
    pub fn header_all(&self, known: KnownHeader) -> impl Iterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |field| field.known == known)
            .map(|field| self.text(field.value))
    }

    /// Name and value of every field, in order.
    pub fn fields(&self) -> impl Iterator<Item = (KnownHeader, &[u8], &[u8])> {
        self.headers
            .iter()
            .map(|field| (field.known, self.text(field.name), self.text(field.value)))
    }
}
