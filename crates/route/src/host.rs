//! The Host of a request: validated, without its port, lower case.

use std::borrow::Cow;

/// The Host is not a host; the request is answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHost;

/// Takes the port and one trailing dot off, lowers the case, and refuses what is no
/// `uri-host [":" port]` (RFC 9110, 7.2): blanks, control bytes, slashes, user names, empty labels.
pub fn normalise(host: &[u8]) -> Result<Cow<'_, [u8]>, BadHost> {
    let (name, port) = split_port(host)?;
    if is_plain(name) && port.iter().all(u8::is_ascii_digit) {
        return Ok(Cow::Borrowed(name));
    }
    if !port.iter().all(u8::is_ascii_digit) {
        return Err(BadHost);
    }
    let is_literal = name.starts_with(b"[");
    let name = if is_literal { name } else { name.strip_suffix(b".").unwrap_or(name) };
    if name.is_empty() || name.ends_with(b".") {
        return Err(BadHost);
    }
    let mut before = 0;
    for &byte in name {
        let fits = match byte {
            b'[' | b']' | b':' => is_literal,
            b'.' => before != b'.',
            _ => is_host_byte(byte),
        };
        if !fits {
            return Err(BadHost);
        }
        before = byte;
    }
    if name.iter().any(u8::is_ascii_uppercase) {
        return Ok(Cow::Owned(name.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(name))
}

/// Whether it is a name as most are: labels of lower-case letters, digits and hyphens.
fn is_plain(name: &[u8]) -> bool {
    let mut label = false;
    for &byte in name {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => label = true,
            b'.' if label => label = false,
            _ => return false,
        }
    }
    label
}

/// Host and port digits; the port may be missing or empty.
fn split_port(host: &[u8]) -> Result<(&[u8], &[u8]), BadHost> {
    let end = if host.starts_with(b"[") {
        host.iter().position(|byte| *byte == b']').ok_or(BadHost)? + 1
    } else {
        host.iter().position(|byte| *byte == b':').unwrap_or(host.len())
    };
    let (name, rest) = host.split_at(end);
    match rest {
        [] => Ok((name, rest)),
        [b':', port @ ..] => Ok((name, port)),
        _ => Err(BadHost),
    }
}

/// The bytes of a `reg-name` (RFC 3986, 3.2.2), percent-escapes as they stand.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_~!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn a_host_loses_port_trailing_dot_and_capitals() {
        for (host, name) in [
            ("example.com", "example.com"),
            ("Example.COM:8080", "example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("example.com:", "example.com"),
            ("[::1]:80", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("under_score", "under_score"),
        ] {
            assert_eq!(normalise(host.as_bytes()).unwrap(), name.as_bytes(), "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in [
            "", ".", "a..b", "a/b", "a b", "a\tb", "a\x7f", "a\0", ":80", "[::1", "[::1]x", "a:b",
            "a:80:90", "u@h", "a?b", "a#b", "..", "a,[b]", "<x>", "a\\b",
        ] {
            assert!(normalise(host.as_bytes()).is_err(), "{host:?}");
        }
    }
}
