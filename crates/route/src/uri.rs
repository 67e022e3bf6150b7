//! The normal form of a request's path, which locations, rewrites and files are about.

use std::borrow::Cow;

/// The path cannot be made normal; the request is answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadUri {
    /// It does not begin with a slash.
    NoSlashAtStart,
    /// `%` without two hexadecimal digits.
    BadEscape,
    /// `%00`, or a raw NUL.
    Nul,
    /// `..` leads above the root.
    AboveRoot,
}

/// Decodes `%XX`, resolves `.` and `..`, and joins repeated slashes if `merge_slashes`.
///
/// Decoding happens once and first, so `%2F` separates, `%2e%2e` climbs and `%252F` becomes the
/// text `%2F`. `+` stays. A raw `#` ends the path. The query must not be in `path`.
pub fn normalise(path: &[u8], merge_slashes: bool) -> Result<Cow<'_, [u8]>, BadUri> {
    if path.first() != Some(&b'/') {
        return Err(BadUri::NoSlashAtStart);
    }
    if is_plain(path) {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode(path)?;
    let mut out: Vec<u8> = Vec::with_capacity(decoded.len());
    // Invariant: `out` ends in a slash whenever a segment begins.
    out.push(b'/');
    let mut segments = decoded.get(1..).unwrap_or(&[]).split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." => {}
            b".." => climb(&mut out)?,
            b"" if is_last || merge_slashes => {}
            _ => {
                out.extend_from_slice(segment);
                if !is_last {
                    out.push(b'/');
                }
            }
        }
    }
    Ok(Cow::Owned(out))
}

/// Whether nothing in the path needs work.
fn is_plain(path: &[u8]) -> bool {
    let (mut work, mut before) = (0, 0);
    for &byte in path {
        let class = CLASSES[usize::from(byte)];
        work |= class & CODED | before << 1 & class;
        before = class & SLASH;
    }
    work == 0
}

/// Has to be decoded, or ends the path.
const CODED: u8 = 1;
const SLASH: u8 = 2;
/// Behind a slash: an empty segment, or perhaps a dot segment. Twice [`SLASH`].
const AFTER_SLASH: u8 = 4;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    classes[b'%' as usize] = CODED;
    classes[b'#' as usize] = CODED;
    classes[0] = CODED;
    classes[b'/' as usize] = SLASH | AFTER_SLASH;
    classes[b'.' as usize] = AFTER_SLASH;
    classes
};

/// `%XX` to bytes, up to a raw `#`.
fn decode(path: &[u8]) -> Result<Vec<u8>, BadUri> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    loop {
        rest = match rest {
            [] | [b'#', ..] => return Ok(out),
            [b'%', high, low, tail @ ..] => {
                let byte = hex_pair(*high, *low).ok_or(BadUri::BadEscape)?;
                out.push(byte);
                tail
            }
            [b'%', ..] => return Err(BadUri::BadEscape),
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        };
        if out.last() == Some(&0) {
            return Err(BadUri::Nul);
        }
    }
}

/// The byte two hexadecimal digits mean.
pub(crate) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

/// Removes the last segment of a path that ends in a slash.
fn climb(out: &mut Vec<u8>) -> Result<(), BadUri> {
    let parent = out.len().checked_sub(1).ok_or(BadUri::AboveRoot)?;
    let slash = out.get(..parent).and_then(|head| head.iter().rposition(|byte| *byte == b'/'));
    out.truncate(slash.ok_or(BadUri::AboveRoot)? + 1);
    Ok(())
}

#[cfg(test)]
mod tests;
