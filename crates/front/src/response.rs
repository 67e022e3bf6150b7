//! A response on its way to the client: the head's parts that filters look at by name, the
//! other fields in order, and the body.

use std::io::Write;

use bytes::Bytes;
use message::{Headers, KnownHeader, KnownSet};
use plan::front::location::{Manners, ServerTokens};

use crate::relay::Body;

/// What the `Server` field and the pages call this server. Clients, monitoring and test suites
/// of sites that move here parse nginx's token, so it is kept; one place, this one.
pub const PRODUCT: &str = "nginx/1.31.5";
/// The same with `server_tokens off`.
pub const PRODUCT_NAME: &str = "nginx";

/// Fields that are written before all others, in this order.
const LEADING: KnownSet =
    KnownSet::of(&[KnownHeader::Server, KnownHeader::Date, KnownHeader::ContentType]);

/// The product token that `server_tokens` asks for.
pub fn product(tokens: &ServerTokens) -> &'static str {
    match tokens {
        ServerTokens::Version => PRODUCT,
        ServerTokens::Name | ServerTokens::Absent => PRODUCT_NAME,
    }
}

/// A response before its head is written.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Reason phrase of an upstream; empty means the standard one.
    pub reason: Bytes,
    /// Content-Type of our own making, without the charset that filters add; see
    /// [`Response::content_type`].
    pub content_type: Option<Bytes>,
    /// Charset to append to the content type.
    pub charset: Option<Bytes>,
    /// Body length, if it is known.
    pub length: Option<u64>,
    /// Last-Modified of our own making, in seconds since 1970.
    pub last_modified: Option<i64>,
    /// Location of our own making, already in the form the client gets.
    pub location: Option<Bytes>,
    /// `Vary: Accept-Encoding` from the gzip filter.
    pub vary_encoding: bool,
    /// Fields of an upstream that are passed on, and fields that filters added, in order. No
    /// Content-Length; one Server, Date and Content-Type at most.
    pub headers: Headers,
    /// Whether conditions of the request are judged here: our own files and stored answers; an
    /// upstream judges its own.
    pub judged: bool,
    /// Whether ranges of it may be sent.
    pub ranges: bool,
    /// The body.
    pub body: Body,
}

/// How the head says that the body ends and what becomes of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Framing<'m> {
    /// The connection serves further requests.
    pub keep_alive: bool,
    /// The body goes out in the chunked coding.
    pub chunked: bool,
    /// Manners of the location.
    pub manners: &'m Manners,
}

impl Response {
    /// A response without fields and body.
    pub fn new(status: u16) -> Response {
        Response {
            status,
            reason: Bytes::new(),
            content_type: None,
            charset: None,
            length: None,
            last_modified: None,
            location: None,
            vary_encoding: false,
            headers: Headers::default(),
            judged: false,
            ranges: false,
            body: Body::Empty,
        }
    }

    /// A response with a body in memory.
    pub fn memory(status: u16, content_type: Bytes, body: Bytes) -> Response {
        let mut response = Response::new(status);
        response.content_type = Some(content_type);
        response.length = Some(body.len() as u64);
        response.body = if body.is_empty() { Body::Empty } else { Body::Memory(body) };
        response
    }

    /// Content-Type without the charset that filters add, ours or that of an upstream.
    pub fn content_type(&self) -> Option<&[u8]> {
        self.content_type.as_deref().or_else(|| self.headers.get(KnownHeader::ContentType))
    }

    /// Replaces the content type, whosever it was.
    pub fn set_content_type(&mut self, content_type: Option<Bytes>) {
        self.headers.remove(KnownHeader::ContentType);
        self.content_type = content_type;
    }

    /// When it was modified, in seconds since 1970, by whichever field says so.
    pub fn modified(&self) -> Option<i64> {
        let field = || crate::clock::parse_http_date(self.headers.get(KnownHeader::LastModified)?);
        self.last_modified.or_else(field)
    }

    /// Whether the status forbids a body.
    pub fn is_bodiless(&self) -> bool {
        message::is_bodiless(self.status)
    }

    /// Appends the head as it goes out, in nginx's order of fields.
    pub fn write_head(&self, out: &mut Vec<u8>, framing: Framing<'_>, clock: &crate::clock::Clock) {
        self.write_status(out);
        match self.headers.get(KnownHeader::Server) {
            Some(server) => field(out, b"Server", server),
            None if framing.manners.server_tokens == ServerTokens::Absent => {}
            None => field(out, b"Server", product(&framing.manners.server_tokens).as_bytes()),
        }
        match self.headers.get(KnownHeader::Date) {
            Some(date) => field(out, b"Date", date),
            None => {
                out.extend_from_slice(b"Date: ");
                clock.date(out);
                out.extend_from_slice(b"\r\n");
            }
        }
        self.write_content(out);
        if let Some(location) = &self.location {
            field(out, b"Location", location);
        }
        write_connection(out, framing);
        if self.vary_encoding {
            out.extend_from_slice(b"Vary: Accept-Encoding\r\n");
        }
        self.headers.write(out, LEADING);
        out.extend_from_slice(b"\r\n");
    }

    fn write_status(&self, out: &mut Vec<u8>) {
        if self.status == 200 && matches!(&self.reason[..], b"" | b"OK") {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
            return;
        }
        out.extend_from_slice(b"HTTP/1.1 ");
        decimal(out, u64::from(self.status));
        out.push(b' ');
        if self.reason.is_empty() {
            out.extend_from_slice(message::reason(self.status).as_bytes());
        } else {
            out.extend_from_slice(&self.reason);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn write_content(&self, out: &mut Vec<u8>) {
        // An upstream's own 204 says what it says; one that was made here has nothing to describe.
        let bodiless = self.status == 204 && self.reason.is_empty();
        if let Some(content_type) = self.content_type().filter(|_| !bodiless) {
            out.extend_from_slice(b"Content-Type: ");
            out.extend_from_slice(content_type);
            if let Some(charset) = &self.charset {
                out.extend_from_slice(b"; charset=");
                out.extend_from_slice(charset);
            }
            out.extend_from_slice(b"\r\n");
        }
        if let Some(length) = self.length.filter(|_| self.status != 204) {
            out.extend_from_slice(b"Content-Length: ");
            decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        if let Some(seconds) = self.last_modified {
            out.extend_from_slice(b"Last-Modified: ");
            crate::clock::http_date(seconds, out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn write_connection(out: &mut Vec<u8>, framing: Framing<'_>) {
    if framing.chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if !framing.keep_alive {
        out.extend_from_slice(b"Connection: close\r\n");
        return;
    }
    out.extend_from_slice(b"Connection: keep-alive\r\n");
    if let Some(timeout) = framing.manners.keepalive_header {
        let _ = write!(out, "Keep-Alive: timeout={}\r\n", timeout.as_secs());
    }
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a number in decimal.
pub fn decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
