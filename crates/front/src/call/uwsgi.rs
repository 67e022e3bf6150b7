//! A request as uwsgi variables: the operator's lines in order, then every header that no line
//! sets. Values too long for the coding (65,535 bytes) are left out; the head's limits are far
//! below by default.

use message::{HeaderField, KnownHeader};
use plan::front::upstream::UwsgiParam;
use proto::cgi::variable_byte;
use proto::uwsgi::push_var_with;
use route::render;

use crate::exchange::Exchange;

/// Appends the operator's variables.
pub fn push_params(exchange: &Exchange, params: &[UwsgiParam], out: &mut Vec<u8>) {
    for param in params {
        let before = out.len();
        let mut is_empty = false;
        let name = |out: &mut Vec<u8>| out.extend_from_slice(param.name.as_bytes());
        let value = |out: &mut Vec<u8>| {
            let start = out.len();
            render(&param.value, exchange, out);
            is_empty = out.len() == start;
        };
        // What does not fit is left out, see above.
        let _ = push_var_with(out, name, value);
        if param.if_not_empty && is_empty {
            out.truncate(before);
        }
    }
}

/// Appends the request's headers, but none that would have the name of a variable in
/// `header_params`, which lack their `HTTP_`.
pub fn push_headers(exchange: &Exchange, header_params: &[String], out: &mut Vec<u8>) {
    let head = &exchange.head;
    // One bit per length of a name: most requests repeat none, and find that out at once.
    let mut seen = 0u64;
    for (index, field) in head.headers.iter().enumerate() {
        // `Proxy` would become HTTP_PROXY, which libraries take for an order (httpoxy).
        if field.known == KnownHeader::Proxy {
            continue;
        }
        let name = head.text(field.name);
        let same = |other: &&HeaderField| {
            other.name.len() == name.len() && is_same_variable(head.text(other.name), name)
        };
        let (before, after) = (&head.headers[..index], &head.headers[index + 1..]);
        let bit = 1 << (name.len() % 64);
        let is_repeated = seen & bit != 0 && before.iter().any(|other| same(&other));
        seen |= bit;
        if is_repeated || is_set(header_params, name) {
            continue;
        }
        let separator: &[u8] = if field.known == KnownHeader::Cookie { b"; " } else { b", " };
        let push_name = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"HTTP_");
            out.extend(name.iter().copied().map(variable_byte));
        };
        let push_value = |out: &mut Vec<u8>| {
            out.extend_from_slice(head.text(field.value));
            for other in after.iter().filter(same) {
                out.extend_from_slice(separator);
                out.extend_from_slice(head.text(other.value));
            }
        };
        let _ = push_var_with(out, push_name, push_value);
    }
}

fn is_set(header_params: &[String], name: &[u8]) -> bool {
    header_params.iter().any(|param| param.bytes().eq(name.iter().copied().map(variable_byte)))
}

fn is_same_variable(left: &[u8], right: &[u8]) -> bool {
    left.iter().zip(right).all(|(&left, &right)| variable_byte(left) == variable_byte(right))
}
