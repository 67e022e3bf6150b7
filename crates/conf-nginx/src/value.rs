//! Sizes, times and numbers as nginx writes them.

use std::time::Duration;

/// Digits only.
pub fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= i64::MAX as u64)
}

/// `10`, `8k`, `1m`, `2g`, in either case.
pub fn size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' | b'K' => (text.get(..text.len() - 1)?, 1 << 10),
        b'm' | b'M' => (text.get(..text.len() - 1)?, 1 << 20),
        b'g' | b'G' => (text.get(..text.len() - 1)?, 1 << 30),
        _ => (text, 1),
    };
    number(digits)?.checked_mul(unit).filter(|size| *size <= i64::MAX as u64)
}

/// Units from large to small, with their milliseconds; nginx wants them in this order.
const UNITS: [(&str, u64); 8] = [
    ("y", 365 * 24 * 3600 * 1000),
    ("M", 30 * 24 * 3600 * 1000),
    ("w", 7 * 24 * 3600 * 1000),
    ("d", 24 * 3600 * 1000),
    ("h", 3600 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// `60`, `30s`, `500ms`, `1h 30m`; a bare number is seconds. Years and months are no units here:
/// nginx takes them only where it counts whole seconds.
pub fn time(text: &str) -> Option<Duration> {
    millis(text, true).map(Duration::from_millis)
}

/// The same for settings that nginx keeps in whole seconds: with `y` and `M`, without `ms`.
pub fn seconds(text: &str) -> Option<u64> {
    millis(text, false).map(|millis| millis / 1000)
}

fn millis(text: &str, sub_second: bool) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut next_unit = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let amount = number(rest.get(..digits)?)?;
        rest = rest.get(digits..)?;
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = rest.get(..letters)?;
        rest = rest.get(letters..)?.trim_start_matches(' ');
        let found = match unit {
            "" if rest.is_empty() => 6,
            "" => return None,
            unit => UNITS.iter().position(|(name, _)| *name == unit)?,
        };
        let misplaced = match unit {
            "y" | "M" => sub_second,
            "ms" => !sub_second,
            _ => false,
        };
        if found < next_unit || misplaced {
            return None;
        }
        next_unit = found + 1;
        total = total.checked_add(amount.checked_mul(UNITS.get(found)?.1)?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_one_unit_letter_in_either_case() {
        assert_eq!(size("8K"), Some(8192));
        assert_eq!(size("0"), Some(0));
        assert_eq!(size("8kb"), None);
        assert_eq!(size("k"), None);
        assert_eq!(size("99999999999g"), None);
    }

    #[test]
    fn times_take_units_in_falling_order_and_a_bare_number_is_seconds() {
        assert_eq!(time("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(time("1h 30"), Some(Duration::from_secs(3630)));
        assert_eq!(time("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(seconds("1M"), Some(30 * 86400));
        assert_eq!(time("1M"), None);
        assert_eq!(time("30m1h"), None);
        assert_eq!(time(""), None);
        assert_eq!(seconds("500ms"), None);
    }
}
