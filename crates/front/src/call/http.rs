//! A request as an HTTP/1 head for an upstream.

use message::KnownHeader;
use plan::front::UpstreamCall;
use plan::front::upstream::{HeadPiece, SetHeaders, Speak};
use route::escape::{Escape, escape};
use route::render;
use upstream::OutgoingBody;

use crate::exchange::Exchange;
use crate::response::decimal;

/// Appends the complete head. `uri` replaces the target if the configuration's address held
/// variables.
pub fn head(
    exchange: &Exchange,
    call: &UpstreamCall,
    uri: Option<Vec<u8>>,
    body: &OutgoingBody,
    out: &mut Vec<u8>,
) {
    let Speak::Http { set_headers, method, .. } = &call.speak else { return };
    match method {
        Some(method) => render(method, exchange, out),
        None => out.extend_from_slice(exchange.method_text()),
    }
    out.push(b' ');
    push_target(exchange, call, uri, out);
    for piece in &set_headers.pieces {
        match piece {
            HeadPiece::Lines(lines) => out.extend_from_slice(lines),
            HeadPiece::Field { start, value } => {
                let before = out.len();
                out.extend_from_slice(start);
                let start = out.len();
                render(value, exchange, out);
                if out.len() == start {
                    out.truncate(before);
                } else {
                    end_field(out, start);
                }
            }
        }
    }
    push_body_fields(exchange, call, body, out);
    if call.pass_headers {
        push_headers(exchange, set_headers, out);
    }
    if let Some(revalidate) = &exchange.revalidate {
        if let Some(modified) = &revalidate.modified {
            push_field(out, b"If-Modified-Since", modified);
        }
        if let Some(tag) = &revalidate.tag {
            push_field(out, b"If-None-Match", tag);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The request target for the upstream.
pub fn target(exchange: &Exchange, call: &UpstreamCall) -> Vec<u8> {
    let mut out = Vec::with_capacity(exchange.uri().len() + 32);
    push_target(exchange, call, None, &mut out);
    out
}

fn push_target(exchange: &Exchange, call: &UpstreamCall, uri: Option<Vec<u8>>, out: &mut Vec<u8>) {
    if let Some(uri) = uri {
        out.extend_from_slice(&uri);
        return;
    }
    let Speak::Http { uri, prefix_bytes, .. } = &call.speak else { return };
    match uri {
        None if !exchange.uri_changed => return exchange.push_request_uri(out),
        // A prefix that a rewrite has replaced is not there to be replaced again.
        Some(_) if exchange.rewritten => escape(exchange.uri(), Escape::Uri, out),
        None => escape(exchange.uri(), Escape::Uri, out),
        Some(uri) => {
            out.extend_from_slice(uri.as_bytes());
            escape(exchange.uri().get(*prefix_bytes..).unwrap_or(&[]), Escape::Uri, out);
        }
    }
    push_args(exchange, out);
}

fn push_args(exchange: &Exchange, out: &mut Vec<u8>) {
    if !exchange.args().is_empty() {
        out.push(b'?');
        out.extend_from_slice(exchange.args());
    }
}

/// What the body says about itself.
fn push_body_fields(
    exchange: &Exchange,
    call: &UpstreamCall,
    body: &OutgoingBody,
    out: &mut Vec<u8>,
) {
    let known_length = match body {
        // A method that expects a body says that it has none.
        OutgoingBody::None => exchange.body.length().filter(|_| call.pass_body),
        OutgoingBody::Memory(bytes) => Some(bytes.len() as u64),
        OutgoingBody::File(_, bytes) => Some(*bytes),
        OutgoingBody::Stream(_, length) => *length,
    };
    if let Some(length) = known_length {
        out.extend_from_slice(b"Content-Length: ");
        decimal(out, length);
        out.extend_from_slice(b"\r\n");
    } else if matches!(body, OutgoingBody::Stream(..)) {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
}

/// The client's own fields. Their values have been checked when they came: none ends its line.
fn push_headers(exchange: &Exchange, set_headers: &SetHeaders, out: &mut Vec<u8>) {
    for (known, name, value) in exchange.head.fields() {
        let stays = known.is_hop_by_hop()
            || matches!(
                known,
                KnownHeader::Host
                    | KnownHeader::ContentLength
                    | KnownHeader::Expect
                    | KnownHeader::Proxy
            )
            || set_headers.names.contains(known, name)
            || (exchange.fills_cache && is_conditional(known));
        if !stays {
            push_field(out, name, value);
        }
    }
}

/// A response that is going to be stored must be the whole one.
fn is_conditional(known: KnownHeader) -> bool {
    matches!(
        known,
        KnownHeader::IfModifiedSince
            | KnownHeader::IfUnmodifiedSince
            | KnownHeader::IfNoneMatch
            | KnownHeader::IfMatch
            | KnownHeader::Range
            | KnownHeader::IfRange
    )
}

fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for piece in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(piece);
    }
}

/// Ends the field whose value begins at `start`: a value out of variables must not end the line.
fn end_field(out: &mut Vec<u8>, start: usize) {
    let value = out.get(start..).unwrap_or(&[]);
    if memchr::memchr3(b'\r', b'\n', 0, value).is_some() {
        let clean = |byte: &u8| !matches!(byte, b'\r' | b'\n' | 0);
        let value: Vec<u8> = value.iter().copied().filter(clean).collect();
        out.truncate(start);
        out.extend_from_slice(&value);
    }
    out.extend_from_slice(b"\r\n");
}
