//! Heads and chunks on their way out.

use message::{KnownHeader, ResponseHead, Version, reason};

/// What ends every chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";
/// The last chunk, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What a response says of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionField {
    /// Nothing (HTTP/1.1's default is to persist).
    Unsaid,
    /// `keep-alive`.
    KeepAlive,
    /// `close`.
    Close,
}

/// The fields a connection adds to a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFraming {
    /// The body is sent in chunks.
    pub chunked: bool,
    /// The Connection field.
    pub connection: ConnectionField,
    /// The Keep-Alive field, in seconds.
    pub keep_alive_seconds: Option<u64>,
}

/// Appends a response head, the empty line included. The status line always says HTTP/1.1, as
/// nginx does, unless `version` is HTTP/0.9: then nothing is written. Framing fields stand
/// behind the first run of nginx's own fields (Server, Date, Content-Type, …).
pub fn write_response_head(
    out: &mut Vec<u8>,
    version: Version,
    head: &ResponseHead,
    framing: ResponseFraming,
) {
    if version == Version::Http09 {
        return;
    }
    write_status_line(out, head);
    let mut framed = false;
    for header in &head.headers {
        if !framed && !leads(header.known) {
            write_framing(out, framing);
            framed = true;
        }
        write_field(out, &header.name, &header.value);
    }
    if !framed {
        write_framing(out, framing);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a request head, the empty line included. The caller vouches for method, target and
/// fields: they come out of a parsed head or a validated plan.
pub fn write_request_head<'a>(
    out: &mut Vec<u8>,
    method: &[u8],
    target: &[u8],
    version: Version,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) {
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(target);
    out.push(b' ');
    out.extend_from_slice(version.text().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in fields {
        write_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends what stands before a chunk's data. `bytes` is not zero: that would be the end.
pub fn write_chunk_prefix(out: &mut Vec<u8>, bytes: usize) {
    debug_assert!(bytes != 0);
    let mut digits = [0u8; 16];
    let mut at = digits.len();
    let mut left = bytes;
    while left != 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[left & 15];
        left >>= 4;
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

fn write_status_line(out: &mut Vec<u8>, head: &ResponseHead) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(head.status).as_bytes());
    // The blank belongs to the line even if no reason follows (RFC 9112, 4).
    out.push(b' ');
    let standard = reason(head.status).as_bytes();
    out.extend_from_slice(if head.reason.is_empty() { standard } else { &head.reason });
    out.extend_from_slice(b"\r\n");
}

fn write_framing(out: &mut Vec<u8>, framing: ResponseFraming) {
    if framing.chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    match framing.connection {
        ConnectionField::Unsaid => {}
        ConnectionField::KeepAlive => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        ConnectionField::Close => out.extend_from_slice(b"Connection: close\r\n"),
    }
    if let Some(seconds) = framing.keep_alive_seconds {
        out.extend_from_slice(b"Keep-Alive: timeout=");
        out.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    debug_assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn leads(known: KnownHeader) -> bool {
    matches!(
        known,
        KnownHeader::Server
            | KnownHeader::Date
            | KnownHeader::ContentType
            | KnownHeader::ContentLength
            | KnownHeader::LastModified
            | KnownHeader::Location
    )
}
