//! Base64 (RFC 4648, 4), as Basic credentials use it.

/// Decodes; `None` if it is not base64. Padding may be missing.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|&byte| byte != b'=').map_or(0, |at| at + 1);
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    for group in text.get(..end)?.chunks(4) {
        let mut bits = 0u32;
        for &byte in group {
            bits = bits << 6 | u32::from(digit(byte)?);
        }
        let [_, first, second, third] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        let bytes = [first, second, third];
        out.extend_from_slice(bytes.get(..group.len().checked_sub(1)?)?);
    }
    Some(out)
}

fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_decode_with_and_without_padding() {
        assert_eq!(decode(b"dXNlcjpwYXNz").unwrap(), b"user:pass");
        assert_eq!(decode(b"dXNlcjpwYXNzdw==").unwrap(), b"user:passw");
        assert_eq!(decode(b"dXNlcjpwYXNzdw").unwrap(), b"user:passw");
        assert_eq!(decode(b"d!"), None);
    }
}
