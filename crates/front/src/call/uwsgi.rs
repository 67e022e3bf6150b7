//! A request as uwsgi variables.

use message::KnownHeader;
use plan::front::UpstreamCall;
use plan::front::upstream::UwsgiParam;
use proto::uwsgi::push_var;
use route::render;

use crate::exchange::Exchange;

/// The variables: the operator's lines in order, then every header that no line sets. Values too
/// long for the coding (65,535 bytes) are left out; the head's limits are far below by default.
pub fn vars(exchange: &Exchange, call: &UpstreamCall, params: &[UwsgiParam], out: &mut Vec<u8>) {
    let mut value = Vec::with_capacity(128);
    for param in params {
        value.clear();
        render(&param.value, exchange, &mut value);
        if param.if_not_empty && value.is_empty() {
            continue;
        }
        // What does not fit is left out, see above.
        let _ = push_var(out, param.name.as_bytes(), &value);
    }
    if call.pass_headers {
        push_headers(exchange, params, out, &mut value);
    }
}

fn push_headers(
    exchange: &Exchange,
    params: &[UwsgiParam],
    out: &mut Vec<u8>,
    value: &mut Vec<u8>,
) {
    let head = &exchange.head;
    let mut name = Vec::with_capacity(64);
    for (index, field) in head.headers.iter().enumerate() {
        // `Proxy` would become HTTP_PROXY, which libraries take for an order (httpoxy).
        if field.known == KnownHeader::Proxy {
            continue;
        }
        let text = head.text(field.name);
        let same = |other: &message::HeaderField| is_same_variable(head.text(other.name), text);
        if head.headers[..index].iter().any(same) {
            continue;
        }
        name.clear();
        name.extend_from_slice(b"HTTP_");
        name.extend(text.iter().map(|&byte| match byte {
            b'-' => b'_',
            byte => byte.to_ascii_uppercase(),
        }));
        if params.iter().any(|param| param.name.as_bytes() == name) {
            continue;
        }
        value.clear();
        value.extend_from_slice(head.text(field.value));
        let separator: &[u8] = if field.known == KnownHeader::Cookie { b"; " } else { b", " };
        for other in head.headers[index + 1..].iter().filter(|other| same(other)) {
            value.extend_from_slice(separator);
            value.extend_from_slice(head.text(other.value));
        }
        let _ = push_var(out, &name, value);
    }
}

fn is_same_variable(left: &[u8], right: &[u8]) -> bool {
    let fold = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
    left.len() == right.len()
        && left.iter().zip(right).all(|(&left, &right)| fold(left) == fold(right))
}
