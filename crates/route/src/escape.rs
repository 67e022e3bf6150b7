//! Percent-escaping, the sets of bytes being the ones nginx escapes in each place.

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Where the text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// A path that is sent on: to upstreams and in redirects made from `$uri`.
    Uri,
    /// One argument of a query: also `&`, `+`, `;`.
    Args,
    /// A single component: everything but letters, digits and `-._~`.
    Component,
}

impl Escape {
    fn wants(self, byte: u8) -> bool {
        match self {
            Escape::Uri => byte <= b' ' || byte >= 0x7f || b"\"#%<>?\\^`{|}".contains(&byte),
            Escape::Args => Escape::Uri.wants(byte) || b"&+;".contains(&byte),
            Escape::Component => !byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte),
        }
    }
}

/// Appends the text, escaped for that place.
pub fn escape(text: &[u8], place: Escape, out: &mut Vec<u8>) {
    for &byte in text {
        if place.wants(byte) {
            let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        } else {
            out.push(byte);
        }
    }
}

/// Undoes the escapes in the path of a redirect that need not be there: those of printable bytes
/// above `%`. Escapes of blanks, control bytes and non-ASCII bytes stay; an escaped `?` ends the
/// path, and everything after the path is left alone.
pub fn unescape_redirect(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return out,
            [b'?', ..] => {
                out.extend_from_slice(rest);
                return out;
            }
            [b'%', high, low, tail @ ..] if is_hex(*high) && is_hex(*low) => {
                match crate::uri::hex_pair(*high, *low) {
                    Some(b'?') => {
                        out.push(b'?');
                        out.extend_from_slice(tail);
                        return out;
                    }
                    Some(byte @ 0x26..=0x7e) => out.push(byte),
                    _ => out.extend_from_slice(&[b'%', *high, *low]),
                }
                tail
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        };
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

#[cfg(test)]
mod tests {
    use super::{Escape, escape, unescape_redirect};

    fn escaped(text: &[u8], place: Escape) -> String {
        let mut out = Vec::new();
        escape(text, place, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_place_has_its_own_set() {
        assert_eq!(escaped(b"/a b&c;d+e?f\xc3", Escape::Uri), "/a%20b&c;d+e%3Ff%C3");
        assert_eq!(escaped(b"/a b&c;d+e?f", Escape::Args), "/a%20b%26c%3Bd%2Be%3Ff");
        assert_eq!(escaped(b"/a-b.c", Escape::Component), "%2Fa-b.c");
    }

    #[test]
    fn a_redirect_keeps_the_escapes_it_needs() {
        let text = b"http://x/a%20b%2Bc%26d%0d%C3%A9?q=%2B";
        assert_eq!(unescape_redirect(text), b"http://x/a%20b+c&d%0d%C3%A9?q=%2B");
        assert_eq!(unescape_redirect(b"/a%3Fb%2B"), b"/a?b%2B");
    }
}
