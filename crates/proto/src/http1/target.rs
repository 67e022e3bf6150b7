//! The request target (RFC 9112, 3.2) and the value of Host.

use message::{Method, Slice};

use super::bytes::{AFTER_PATH, BAD_IN_TARGET, HOST, HOST_LITERAL, LABEL, all, is};
use super::limits::RequestError;

/// A target taken apart; ranges of the head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target {
    pub path: Slice,
    pub query: Slice,
    pub has_query: bool,
    pub host: Option<Slice>,
}

/// Takes apart the target that stands at `at` in the head; `clean` says that no control byte is in
/// it. `slash` is where a `/` stands that serves as path if the target has none of its own.
pub(super) fn parse(
    (text, clean): (&[u8], bool),
    at: usize,
    method: Method,
    slash: usize,
) -> Result<Target, RequestError> {
    let root = Slice::new(slash, slash + 1);
    // The other controls have been refused while the line came in.
    debug_assert!(
        !text.iter().any(|&byte| is(byte, BAD_IN_TARGET) && byte != b' ' && byte != b'\r')
    );
    if !clean && text.contains(&b'\r') {
        return Err(RequestError::BadTarget);
    }
    match text.first() {
        Some(b'/') if method != Method::Connect => path_and_query(text, at, root),
        _ if text.contains(&b' ') => Err(RequestError::BadTarget),
        Some(b'/') => Err(RequestError::ConnectNotSupported),
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
    let root = Slice::new(at + host_start - 1, at + host_start);
    let target = path_and_query(&text[host_end..], at + host_end, root)?;
    Ok(Target { host: Some(Slice::new(at + host_start, at + host_end)), ..target })
}

/// A fragment has no business in a target; like nginx we leave it out of path and query.
fn path_and_query(text: &[u8], at: usize, root: Slice) -> Result<Target, RequestError> {
    let after_path = text.iter().position(|&byte| is(byte, AFTER_PATH)).unwrap_or(text.len());
    let has_query = text.get(after_path) == Some(&b'?');
    let query_start = after_path + usize::from(has_query);
    let mut end = query_start;
    if end < text.len() {
        let rest = &text[query_start..];
        if rest.contains(&b' ') {
            return Err(RequestError::BadTarget);
        }
        end += memchr::memchr(b'#', rest).unwrap_or(rest.len());
    }
    let path = if after_path == 0 { root } else { Slice::new(at, at + after_path) };
    Ok(Target { path, query: Slice::new(at + query_start, at + end), has_query, host: None })
}

/// Bytes of the name in a host as most are: labels of lower-case letters, digits and hyphens, and
/// perhaps a port. Such a name is valid and has nothing to make normal.
#[inline]
pub(super) fn plain_host_bytes(value: &[u8]) -> Option<usize> {
    let mut label = false;
    let mut name_bytes = 0;
    for &byte in value {
        match byte {
            _ if is(byte, LABEL) => label = true,
            b'.' if label => label = false,
            b':' => break,
            _ => return None,
        }
        name_bytes += 1;
    }
    let port = value.get(name_bytes + 1..).unwrap_or(&[]);
    let port_is_good = port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    (label && port_is_good).then_some(name_bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_host_is_valid_and_ends_before_its_port() {
        for (host, name) in [
            ("a", Some("a")),
            ("www.example-1.org:8080", Some("www.example-1.org")),
            ("127.0.0.1:65535", Some("127.0.0.1")),
            ("a:", Some("a")),
            ("", None),
            (":80", None),
            (".a", None),
            ("a.", None),
            ("a..b", None),
            ("A", None),
            ("a_b", None),
            ("[::1]", None),
            ("a:123456", None),
            ("a:8o", None),
            ("a:1:2", None),
            ("a b", None),
            ("a@b", None),
        ] {
            let found = plain_host_bytes(host.as_bytes()).map(|bytes| &host[..bytes]);
            assert_eq!(found, name, "{host}");
            assert!(name.is_none() || is_valid_host(host.as_bytes()), "{host}");
        }
    }
}
