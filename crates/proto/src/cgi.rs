//! The one table from a request to CGI variables (RFC 3875), as uWSGI's own HTTP sockets make
//! them and in their order, coded as in a uwsgi packet.

use message::{HeaderField, KnownHeader, RequestHead, Slice, Version};

use crate::http1::ScannedHead;
use crate::uwsgi::{TooLong, push_var, push_var_with};

/// What the variables say of a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionFacts<'a> {
    /// SERVER_NAME: the machine's name.
    pub server_name: &'a [u8],
    /// SERVER_PORT, as digits.
    pub server_port: &'a [u8],
    /// REMOTE_ADDR: the client's IP address; empty on a Unix socket.
    pub remote_addr: &'a [u8],
    /// REMOTE_PORT, as digits; left out if empty.
    pub remote_port: &'a [u8],
    /// HTTPS=on and wsgi.url_scheme.
    pub https: bool,
}

/// What the variables say that does not stand in the request's head.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The variables of its connection ([`ConnectionFacts::vars`]).
    pub connection_vars: &'a [u8],
    /// Length of a body that came in chunks and has been read whole: it becomes CONTENT_LENGTH,
    /// and the coding is not mentioned.
    pub dechunked_bytes: Option<u64>,
}

impl ConnectionFacts<'_> {
    /// The variables that all requests of the connection have.
    ///
    /// # Errors
    /// If a value is longer than the coding can express (65,535 bytes).
    pub fn vars(&self) -> Result<Vec<u8>, TooLong> {
        let mut out = Vec::new();
        push_var(&mut out, b"SERVER_NAME", self.server_name)?;
        push_var(&mut out, b"SERVER_PORT", self.server_port)?;
        push_var(&mut out, b"REMOTE_ADDR", self.remote_addr)?;
        if !self.remote_port.is_empty() {
            push_var(&mut out, b"REMOTE_PORT", self.remote_port)?;
        }
        if self.https {
            push_var(&mut out, b"HTTPS", b"on")?;
        }
        Ok(out)
    }
}

/// Appends the variables of a request.
///
/// # Errors
/// If a value is longer than the coding can express (65,535 bytes).
pub fn push_request_vars(
    out: &mut Vec<u8>,
    head: &RequestHead,
    facts: &RequestFacts<'_>,
) -> Result<(), TooLong> {
    let parts = Parts {
        bytes: &head.bytes,
        fields: &head.headers,
        method: head.method_text,
        target: head.target,
        path: head.path,
        query: head.query,
        has_query: head.has_query,
        target_host: head.target_host,
        version: head.version,
    };
    parts.push(out, facts)
}

/// The same for a head that was scanned in place.
///
/// # Errors
/// As there.
pub fn push_scanned_vars(
    out: &mut Vec<u8>,
    bytes: &[u8],
    head: &ScannedHead,
    fields: &[HeaderField],
    facts: &RequestFacts<'_>,
) -> Result<(), TooLong> {
    let parts = Parts {
        bytes,
        fields,
        method: head.method_text,
        target: head.target,
        path: head.path,
        query: head.query,
        has_query: head.has_query,
        target_host: head.target_host,
        version: head.version,
    };
    parts.push(out, facts)
}

/// Appends the variable's name of a header: `Content-Type` and `Content-Length` keep theirs, the
/// others become `HTTP_NAME` with underscores.
pub fn header_variable_name(name: &[u8], out: &mut Vec<u8>) {
    let known = KnownHeader::from_name(name);
    if !matches!(known, KnownHeader::ContentType | KnownHeader::ContentLength) {
        out.extend_from_slice(b"HTTP_");
    }
    out.extend(name.iter().map(|&byte| variable_byte(byte)));
}

/// Appends `text` with its percent escapes resolved; an escape that is none stays as it is.
pub fn push_percent_decoded(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        match (rest.get(at + 1).and_then(hex), rest.get(at + 2).and_then(hex)) {
            (Some(high), Some(low)) => {
                out.push(high << 4 | low);
                rest = &rest[at + 3..];
            }
            _ => {
                out.push(b'%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.extend_from_slice(rest);
}

struct Parts<'a> {
    bytes: &'a [u8],
    fields: &'a [HeaderField],
    method: Slice,
    target: Slice,
    path: Slice,
    query: Slice,
    has_query: bool,
    target_host: Option<Slice>,
    version: Version,
}

impl Parts<'_> {
    fn push(&self, out: &mut Vec<u8>, facts: &RequestFacts<'_>) -> Result<(), TooLong> {
        push_var(out, b"REQUEST_METHOD", self.method.of(self.bytes))?;
        self.push_request_uri(out)?;
        let path = self.path.of(self.bytes);
        open_var(out, b"PATH_INFO", |out| push_percent_decoded(out, path))?;
        push_var(out, b"QUERY_STRING", self.query.of(self.bytes))?;
        push_var(out, b"SERVER_PROTOCOL", self.version.text().as_bytes())?;
        push_var(out, b"SCRIPT_NAME", b"")?;
        out.extend_from_slice(facts.connection_vars);
        if let Some(bytes) = facts.dechunked_bytes {
            let mut digits = itoa::Buffer::new();
            push_var(out, b"CONTENT_LENGTH", digits.format(bytes).as_bytes())?;
        }
        if let Some(host) = self.target_host {
            push_var(out, b"HTTP_HOST", host.of(self.bytes))?;
        }
        self.push_fields(out, facts)
    }

    /// An absolute-form target is given without scheme and host: apps take it for a path.
    fn push_request_uri(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        if self.target_host.is_none() {
            return push_var(out, b"REQUEST_URI", self.target.of(self.bytes));
        }
        open_var(out, b"REQUEST_URI", |out| {
            out.extend_from_slice(self.path.of(self.bytes));
            if self.has_query {
                out.push(b'?');
                out.extend_from_slice(self.query.of(self.bytes));
            }
        })
    }

    /// Repeated fields become one variable: Cookie joined by `; `, the others by `, `.
    fn push_fields(&self, out: &mut Vec<u8>, facts: &RequestFacts<'_>) -> Result<(), TooLong> {
        // One bit per name's first letter and length: most requests repeat no field, and find
        // that out without comparing names.
        let mut seen = 0u64;
        for (at, field) in self.fields.iter().enumerate() {
            let left_out = match field.known {
                KnownHeader::Host => self.target_host.is_some(),
                KnownHeader::TransferEncoding => facts.dechunked_bytes.is_some(),
                _ => false,
            };
            if left_out {
                continue;
            }
            let name = field.name.of(self.bytes);
            let bit = fingerprint(name);
            let repeated = seen & bit != 0
                && self.fields[..at].iter().any(|other| self.same_name(other, name));
            if !repeated {
                self.push_field(out, at, field, name)?;
            }
            seen |= bit;
        }
        Ok(())
    }

    fn push_field(
        &self,
        out: &mut Vec<u8>,
        at: usize,
        field: &HeaderField,
        name: &[u8],
    ) -> Result<(), TooLong> {
        let prefix: &[u8] = match field.known {
            KnownHeader::ContentType | KnownHeader::ContentLength => b"",
            _ => b"HTTP_",
        };
        let key = |out: &mut Vec<u8>| {
            out.extend_from_slice(prefix);
            out.extend(name.iter().map(|&byte| variable_byte(byte)));
        };
        let joint: &[u8] = if field.known == KnownHeader::Cookie { b"; " } else { b", " };
        let later = self.fields.get(at + 1..).unwrap_or(&[]);
        push_var_with(out, key, |out| {
            out.extend_from_slice(field.value.of(self.bytes));
            for other in later.iter().filter(|other| self.same_name(other, name)) {
                out.extend_from_slice(joint);
                out.extend_from_slice(other.value.of(self.bytes));
            }
        })
    }

    #[inline]
    fn same_name(&self, other: &HeaderField, name: &[u8]) -> bool {
        other.name.len() == name.len() && {
            let other = other.name.of(self.bytes);
            other.iter().zip(name).all(|(a, b)| variable_byte(*a) == variable_byte(*b))
        }
    }
}

/// Appends a variable whose value `fill` appends.
fn open_var(out: &mut Vec<u8>, key: &[u8], fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), TooLong> {
    push_var_with(out, |out| out.extend_from_slice(key), fill)
}

/// A letter of a field's name as it stands in the name of its variable.
#[inline]
pub fn variable_byte(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }
}

#[inline]
fn fingerprint(name: &[u8]) -> u64 {
    let first = name.first().map_or(0, |byte| variable_byte(*byte));
    let mixed = usize::from(first) * 5 + name.len() * 3;
    1 << (mixed & 63)
}

#[inline]
fn hex(byte: &u8) -> Option<u8> {
    char::from(*byte).to_digit(16).map(|digit| digit as u8)
}
