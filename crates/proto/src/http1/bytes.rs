//! Which byte may stand where: one table, one bit per place.

/// RFC 9110, 5.6.2: header names.
pub(super) const TOKEN: u8 = 1;
/// Forbidden in a field value (RFC 9110, 5.5): controls except the tab.
pub(super) const BAD_IN_VALUE: u8 = 2;
/// Forbidden in a request target: controls and the space.
pub(super) const BAD_IN_TARGET: u8 = 4;
/// Methods as nginx takes them: capital letters, `_` and `-`.
pub(super) const METHOD: u8 = 8;
/// A registered name or IPv4 address as host (RFC 3986, 3.2.2), without the comma, which would
/// read as a list.
pub(super) const HOST: u8 = 16;
/// Inside the brackets of an IPv6 literal.
pub(super) const HOST_LITERAL: u8 = 32;
/// Inside a label of a host name as most are: lower-case letters, digits and hyphens.
pub(super) const LABEL: u8 = 64;
/// Behind the path of a target: the query, a fragment, or a blank, which is a mistake.
pub(super) const AFTER_PATH: u8 = 128;

static CLASSES: [u8; 256] = classes();

/// Whether `byte` has one of the classes in `class`.
#[inline]
pub(super) fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// Whether every byte has one of the classes in `class`.
#[inline]
pub(super) fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|&byte| is(byte, class))
}

/// Whether some byte has one of the classes in `class`.
#[inline]
pub(super) fn any(bytes: &[u8], class: u8) -> bool {
    bytes.iter().any(|&byte| is(byte, class))
}

/// Where the first control byte stands; the tab counts as one. Sixteen bytes at a time: this
/// looks at every byte of every request.
#[inline]
pub(super) fn first_control(bytes: &[u8]) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<16>();
    let clean = |block: &&[u8; 16]| !block.iter().fold(false, |any, &byte| any | is_control(byte));
    let before = blocks.iter().take_while(clean).count() * 16;
    Some(before + find(bytes.get(before..)?, controls, is_control)?)
}

#[inline]
fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The highest bit of each byte that is a control. Above the lowest such byte there may be others
/// set: a difference borrows from its neighbour.
#[inline]
fn controls(word: u64) -> u64 {
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7f);
    (below_space | (delete.wrapping_sub(ONES) & !delete)) & HIGH
}

/// The first byte below the space: what ends a line is among these. Eight bytes at a time.
#[inline]
pub(super) fn find_below_space(bytes: &[u8]) -> Option<usize> {
    let below = |word: u64| word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    find(bytes, below, |byte| byte < 0x20)
}

/// The first byte like `wanted`. For texts of which few bytes are looked at; eight at a time.
#[inline]
pub(super) fn find_byte(bytes: &[u8], wanted: u8) -> Option<usize> {
    let same = |word: u64| {
        let word = word ^ (ONES * u64::from(wanted));
        word.wrapping_sub(ONES) & !word & HIGH
    };
    find(bytes, same, |byte| byte == wanted)
}

/// `marks` marks bytes of a word; of the marks the lowest is right.
#[inline]
fn find(bytes: &[u8], marks: impl Fn(u64) -> u64, is_wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(index * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(|&byte| is_wanted(byte))?;
    Some(words.len() * 8 + found)
}

/// `bytes` without blanks and tabs at both ends, as a range of `bytes`.
#[inline]
pub(super) fn trimmed(bytes: &[u8]) -> (usize, usize) {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    (start, end)
}

/// The items of a comma-separated list, without blanks around them; empty items are left out.
pub(super) fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

/// A decimal number of digits only; `None` if empty, anything else, or past `i64::MAX`, which is
/// as far as the peers count.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let mut number: u64 = 0;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (number <= i64::MAX as u64).then_some(number)
}

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let mut class = 0;
        if byte.is_ascii_alphanumeric() || contains(b"!#$%&'*+-.^_`|~", byte) {
            class |= TOKEN;
        }
        if (byte < 0x20 && byte != b'\t') || byte == 0x7f {
            class |= BAD_IN_VALUE;
        }
        if byte <= 0x20 || byte == 0x7f {
            class |= BAD_IN_TARGET;
        }
        if byte.is_ascii_uppercase() || byte == b'_' || byte == b'-' {
            class |= METHOD;
        }
        if byte.is_ascii_alphanumeric() || contains(b"-._~%!$&'()*+;=", byte) {
            class |= HOST;
        }
        if byte.is_ascii_hexdigit() || contains(b":.v", byte) {
            class |= HOST_LITERAL;
        }
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' {
            class |= LABEL;
        }
        if contains(b"?# ", byte) {
            class |= AFTER_PATH;
        }
        table[at] = class;
        at += 1;
    }
    table
}

const fn contains(set: &[u8], byte: u8) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_control_is_found_wherever_it_stands() {
        for length in 0..50 {
            let mut bytes = [b'a', b' ', 0x80, b'~', 0xff].repeat(10);
            bytes.truncate(length);
            assert_eq!(first_control(&bytes), None, "{length}");
            for at in 0..length {
                for byte in 0..=255u8 {
                    let before = std::mem::replace(&mut bytes[at], byte);
                    let control = byte < 0x20 || byte == 0x7f;
                    assert_eq!(first_control(&bytes), control.then_some(at), "{byte} at {at}");
                    bytes[at] = before;
                }
                let before = bytes.split_off(at);
                bytes.extend([b'\r'].iter().chain(&before).take(length - at));
                bytes.extend(std::iter::repeat_n(b'\n', 3));
                assert_eq!(first_control(&bytes), Some(at), "two in {length}");
                bytes.truncate(at);
                bytes.extend(before);
            }
        }
    }

    #[test]
    fn the_first_of_several_is_found_wherever_it_stands() {
        for byte in 0..=255u8 {
            for at in 0..20 {
                let mut bytes = [0xe1; 20];
                bytes[at] = byte;
                assert_eq!(find_below_space(&bytes), (byte < 0x20).then_some(at), "{byte} at {at}");
                let first = if byte == 0xe1 { 0 } else { at };
                bytes[at..].fill(byte);
                assert_eq!(find_byte(&bytes, byte), Some(first), "{byte} at {at}");
                let other = (byte ^ 1 == 0xe1 && at > 0).then_some(0);
                assert_eq!(find_byte(&bytes, byte ^ 1), other, "{byte} at {at}");
            }
        }
    }
}
