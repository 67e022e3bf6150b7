//! Typed values, read as uWSGI reads them.

use std::time::Duration;

use crate::row::Fault;

/// Everything is true, the empty text too, except these four words in any case.
pub fn truth(text: &str) -> bool {
    !["false", "off", "no", "0"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Leading digits count, as with strtol, and no digits are 0; the text after them is returned too.
pub fn number(text: &str) -> Result<(u64, &str), Fault> {
    let text = text.trim_start();
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = unsigned.split_at(digits);
    if digits.is_empty() && !text.starts_with('-') {
        return Ok((0, text));
    }
    digits.parse().map(|value| (value, rest)).map_err(|_| {
        let small = if text.starts_with('-') { "not negative" } else { "smaller" };
        Fault::fatal(format!("not a usable number: {text}"), format!("write one that is {small}"))
    })
}

/// The mode of a socket: exactly three octal digits.
pub fn mode(text: &str) -> Result<u32, Fault> {
    let octal = text.len() == 3 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let parsed = u32::from_str_radix(text, 8).ok().filter(|_| octal);
    parsed.ok_or_else(|| {
        Fault::fatal(
            format!("invalid chmod value: {text}"),
            "write exactly three octal digits such as `660`",
        )
    })
}

/// A hundred years are as good as for ever, and never overflow a deadline.
pub fn seconds(value: u64) -> Duration {
    const SECONDS_MAX: u64 = 100 * 366 * 24 * 3600;
    Duration::from_secs(value.min(SECONDS_MAX))
}

/// Where a comment starts that its writer put after a value: a `#` or `;` after a blank.
pub fn trailing_comment(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    bytes.windows(2).position(|pair| matches!(pair, [b' ' | b'\t', b'#' | b';'])).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_four_words_are_false() {
        for word in ["false", "FALSE", "Off", "no", "0"] {
            assert!(!truth(word), "{word}");
        }
        for word in ["", "true", "1", "false # not really", "nope", "00"] {
            assert!(truth(word), "{word}");
        }
    }

    #[test]
    fn a_number_ends_at_its_last_digit() {
        assert_eq!(number("4 # four"), Ok((4, " # four")));
        assert_eq!(number("30s"), Ok((30, "s")));
        assert!(number("-1").is_err());
        assert_eq!(number("auto"), Ok((0, "auto")));
        assert!(number("99999999999999999999999").is_err());
    }

    #[test]
    fn a_socket_mode_has_three_octal_digits() {
        assert_eq!(mode("660"), Ok(0o660));
        for text in ["", "66", "0660", "668", "rw-", "+66"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }
}
