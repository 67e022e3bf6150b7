//! Redirects of our own, and how their Location reads.

use std::io::Write;

use bytes::Bytes;
use message::KnownHeader;
use route::escape::{Escape, escape};

use crate::exchange::Exchange;
use crate::phases::Outcome;
use crate::response::Response;

/// Redirects a URI to itself with a slash at the end, arguments kept.
pub fn with_slash(exchange: &Exchange) -> Outcome {
    let mut location = Vec::with_capacity(exchange.uri().len() + 8);
    escape(exchange.uri(), Escape::Uri, &mut location);
    location.push(b'/');
    if !exchange.args().is_empty() {
        location.push(b'?');
        location.extend_from_slice(exchange.args());
    }
    Outcome::Redirect(301, Bytes::from(location))
}

/// Puts a Location on a response: a path becomes absolute if the location wants that. Control
/// bytes, which a capture may have brought in, end it: they must not become a field of their own.
pub fn set_location(exchange: &Exchange, response: &mut Response, location: Bytes) {
    let end = location.iter().position(|&byte| byte < b' ' || byte == 0x7f);
    let location = location.slice(..end.unwrap_or(location.len()));
    let manners = &exchange.location().manners;
    if !location.starts_with(b"/") || !manners.absolute_redirect {
        response.headers.push_front(KnownHeader::Location, location);
        return;
    }
    let security = &exchange.client.security;
    let mut absolute = security.scheme().as_bytes().to_vec();
    absolute.extend_from_slice(b"://");
    absolute.extend_from_slice(&exchange.redirect_host());
    let port = exchange.client.local.map(|local| local.port());
    if let Some(port) = port.filter(|&port| manners.port_in_redirect && port != security.port()) {
        let _ = write!(absolute, ":{port}");
    }
    absolute.extend_from_slice(&location);
    response.location = Some(Bytes::from(absolute));
}
