//! The request target (RFC 9112, 3.2) and the value of Host.

use message::{Method, Slice};

use super::bytes::{BAD_IN_TARGET, HOST, HOST_LITERAL, all, is};
use super::limits::RequestError;

/// A target taken apart; ranges of the head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target {
    pub path: Slice,
    pub query: Slice,
    pub has_query: bool,
    pub host: Option<Slice>,
}

/// Takes apart the target that stands at `at` in the head. `slash` is where a `/` stands that
/// serves as path if the target has none of its own.
pub(super) fn parse(
    text: &[u8],
    at: usize,
    method: Method,
    slash: usize,
) -> Result<Target, RequestError> {
    let root = slice(slash, slash + 1);
    // The other controls have been refused while the line came in.
    debug_assert!(
        !text.iter().any(|&byte| is(byte, BAD_IN_TARGET) && byte != b' ' && byte != b'\r')
    );
    if memchr::memchr2(b' ', b'\r', text).is_some() {
        return Err(RequestError::BadTarget);
    }
    match text.first() {
        Some(b'/') if method == Method::Connect => Err(RequestError::ConnectNotSupported),
        Some(b'/') => Ok(path_and_query(text, at, root)),
        Some(b'*') if text.len() == 1 && method == Method::Options => {
            Ok(Target { path: root, ..Target::default() })
        }
        Some(_) if method == Method::Connect => Err(if is_valid_host(text) {
            RequestError::ConnectNotSupported
        } else {
            RequestError::BadTarget
        }),
        Some(_) => absolute(text, at),
        None => Err(RequestError::BadTarget),
    }
}

fn absolute(text: &[u8], at: usize) -> Result<Target, RequestError> {
    let starts = |scheme: &[u8]| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let host_start = match (starts(b"http://"), starts(b"https://")) {
        (true, _) => 7,
        (_, true) => 8,
        _ => return Err(RequestError::BadTarget),
    };
    let rest = &text[host_start..];
    let host_bytes =
        rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    if !is_valid_host(&rest[..host_bytes]) {
        return Err(RequestError::BadTarget);
    }
    let host_end = host_start + host_bytes;
    // The second slash of `://` stands in where the target has no path.
    let root = slice(at + host_start - 1, at + host_start);
    let target = path_and_query(&text[host_end..], at + host_end, root);
    Ok(Target { host: Some(slice(at + host_start, at + host_end)), ..target })
}

/// A fragment has no business in a target; like nginx we leave it out of path and query.
fn path_and_query(text: &[u8], at: usize, root: Slice) -> Target {
    let end = memchr::memchr(b'#', text).unwrap_or(text.len());
    let question = memchr::memchr(b'?', &text[..end]);
    let path_end = question.unwrap_or(end);
    let path = if path_end == 0 { root } else { slice(at, at + path_end) };
    let query = question.map_or(slice(at + end, at + end), |mark| slice(at + mark + 1, at + end));
    Target { path, query, has_query: question.is_some(), host: None }
}

/// Whether `value` is a host with an optional port, as it may stand in Host: a name, an IPv4
/// address, or an IPv6 address in brackets. Empty is not valid, as for nginx.
pub fn is_valid_host(value: &[u8]) -> bool {
    let (name, port) = if value.first() == Some(&b'[') {
        let Some(close) = memchr::memchr(b']', value) else { return false };
        let literal = &value[1..close];
        if literal.is_empty() || !all(literal, HOST_LITERAL) {
            return false;
        }
        (&value[1..close], &value[close + 1..])
    } else {
        let name_end = memchr::memchr(b':', value).unwrap_or(value.len());
        let name = &value[..name_end];
        if !all(name, HOST) || has_double_dot(name) {
            return false;
        }
        (name, &value[name_end..])
    };
    let port_is_good = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    !name.is_empty() && port_is_good
}

fn has_double_dot(name: &[u8]) -> bool {
    name.windows(2).any(|pair| pair == b"..")
}

fn slice(start: usize, end: usize) -> Slice {
    Slice { start: start as u32, end: end as u32 }
}
