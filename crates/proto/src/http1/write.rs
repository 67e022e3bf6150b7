//! Request heads and chunks on their way out.

use message::Version;

/// What ends every chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";
/// The last chunk, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends a request head, the empty line included. The caller vouches for method, target and
/// fields: they come out of a parsed head or a validated plan.
pub fn write_request_head<'a>(
    out: &mut Vec<u8>,
    method: &[u8],
    target: &[u8],
    version: Version,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) {
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(target);
    out.push(b' ');
    out.extend_from_slice(version.text().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in fields {
        write_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends what stands before a chunk's data. `bytes` is not zero: that would be the end.
pub fn write_chunk_prefix(out: &mut Vec<u8>, bytes: usize) {
    debug_assert!(bytes != 0);
    let mut digits = [0u8; 16];
    let mut at = digits.len();
    let mut left = bytes;
    while left != 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[left & 15];
        left >>= 4;
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    debug_assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
