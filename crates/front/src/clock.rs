//! The time, as texts that change once a second and are made once a second.

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The texts of the current second; one per thread.
#[derive(Debug)]
pub struct Clock {
    second: Cell<u64>,
    texts: RefCell<Texts>,
}

#[derive(Debug, Default)]
struct Texts {
    date: String,
    local: String,
    iso8601: String,
    log: String,
}

impl Clock {
    /// A clock that has not been looked at.
    pub fn new() -> Clock {
        Clock { second: Cell::new(u64::MAX), texts: RefCell::default() }
    }

    /// `Date` field value.
    pub fn date(&self, out: &mut Vec<u8>) {
        self.refresh();
        out.extend_from_slice(self.texts.borrow().date.as_bytes());
    }

    /// `$time_local`: `20/Nov/2026:18:00:00 +0000`.
    pub fn time_local(&self, out: &mut Vec<u8>) {
        self.refresh();
        out.extend_from_slice(self.texts.borrow().local.as_bytes());
    }

    /// `$time_iso8601`: `2026-11-20T18:00:00+00:00`.
    pub fn time_iso8601(&self, out: &mut Vec<u8>) {
        self.refresh();
        out.extend_from_slice(self.texts.borrow().iso8601.as_bytes());
    }

    /// Time as it stands at the start of error log lines: `2026/11/20 18:00:00`.
    pub fn error_log(&self, out: &mut Vec<u8>) {
        self.refresh();
        out.extend_from_slice(self.texts.borrow().log.as_bytes());
    }

    fn refresh(&self) {
        let since = sys::clock::coarse_wall_seconds();
        if self.second.replace(since) == since {
            return;
        }
        let time = UNIX_EPOCH + Duration::from_secs(since);
        let local = sys::clock::local(time);
        let (zone, clock) = (local.zone(), local.of_day());
        *self.texts.borrow_mut() = Texts {
            date: httpdate::fmt_http_date(time),
            local: local.common_log(),
            iso8601: format!(
                "{}-{:02}-{:02}T{clock}{}:{}",
                local.year,
                local.month,
                local.day,
                &zone[..3],
                &zone[3..]
            ),
            log: format!("{}/{:02}/{:02} {clock}", local.year, local.month, local.day),
        };
    }
}

/// Time of day since 1970.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Appends seconds since 1970 as an HTTP date.
pub fn http_date(seconds: i64, out: &mut Vec<u8>) {
    let seconds = u64::try_from(seconds).unwrap_or(0).min(LAST_SECOND);
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    // The type formats into any writer, and writing into a vector cannot fail.
    let _ = std::io::Write::write_fmt(out, format_args!("{}", httpdate::HttpDate::from(time)));
}

/// The last second of the year 9999: the format has no room for more.
const LAST_SECOND: u64 = 253_402_300_799;

/// Reads an HTTP date in any of the three forms of RFC 9110, 5.6.7.
pub fn parse_http_date(text: &[u8]) -> Option<i64> {
    let time = httpdate::parse_http_date(std::str::from_utf8(text).ok()?).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_date_reads_back_as_the_second_it_was_made_from() {
        let mut text = Vec::new();
        http_date(1_700_000_000, &mut text);
        assert_eq!(text, b"Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(parse_http_date(&text), Some(1_700_000_000));
        assert_eq!(parse_http_date(b"soon"), None);
    }

    #[test]
    fn days_of_eight_thousand_years_are_written_as_they_should_be() {
        let mut text = Vec::new();
        for day in (0..=LAST_SECOND / 86_400).step_by(11) {
            let seconds = day * 86_400 + day % 86_400;
            text.clear();
            http_date(seconds as i64, &mut text);
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(text, httpdate::fmt_http_date(time).as_bytes());
        }
        text.clear();
        http_date(i64::MAX, &mut text);
        assert_eq!(text, b"Fri, 31 Dec 9999 23:59:59 GMT");
        text.clear();
        http_date(-1, &mut text);
        assert_eq!(text, b"Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
