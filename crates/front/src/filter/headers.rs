//! Fields the operator adds: `expires`, `add_header`; and the charset of the content type.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use message::KnownHeader;
use plan::front::location::{AddHeader, Expires};
use route::render_bytes;

use super::gzip::type_listed;
use crate::clock;
use crate::exchange::Exchange;
use crate::response::Response;

/// Statuses on which `expires` and a plain `add_header` have an effect.
fn is_friendly(status: u16) -> bool {
    matches!(status, 200 | 201 | 204 | 206 | 301 | 302 | 303 | 304 | 307 | 308)
}

/// Adds `Expires`, `Cache-Control` and the lines of `add_header`.
pub fn apply(exchange: &Exchange, response: &mut Response) {
    let location = exchange.location();
    let friendly = is_friendly(response.status);
    if let Some(expires) = location.expires.as_ref().filter(|_| friendly) {
        apply_expires(exchange, expires, response);
    }
    for line in &location.add_headers {
        if friendly || line.always {
            add(exchange, line, response);
        }
    }
}

fn add(exchange: &Exchange, line: &AddHeader, response: &mut Response) {
    let value = clean(render_bytes(&line.value, exchange));
    match KnownHeader::from_name(line.name.as_bytes()) {
        // These two have one value: an empty one takes it away.
        KnownHeader::LastModified if value.is_empty() => {
            response.last_modified = None;
            response.headers.remove(KnownHeader::LastModified);
        }
        KnownHeader::ETag if value.is_empty() => response.headers.remove(KnownHeader::ETag),
        _ if value.is_empty() => {}
        KnownHeader::LastModified => {
            response.last_modified = clock::parse_http_date(&value);
            if response.last_modified.is_none() {
                response.headers.push(KnownHeader::LastModified, value);
            }
        }
        KnownHeader::ETag => {
            response.headers.remove(KnownHeader::ETag);
            response.headers.push(KnownHeader::ETag, value);
        }
        _ => response.headers.push_named(&line.name, value),
    }
}

/// A value that came out of variables must not bring line ends with it.
fn clean(value: Bytes) -> Bytes {
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)).collect();
    }
    value
}

fn apply_expires(exchange: &Exchange, expires: &Expires, response: &mut Response) {
    let now = i64::try_from(clock::now().as_secs()).unwrap_or(i64::MAX);
    let parsed;
    let expires = match expires {
        Expires::Dynamic(template) => match parse(&render_bytes(template, exchange)) {
            Some(found) => {
                parsed = found;
                &parsed
            }
            None => return,
        },
        fixed => fixed,
    };
    let (date, control) = match expires {
        Expires::Epoch => (1, "no-cache".to_owned()),
        Expires::Max => (2_145_916_555, "max-age=315360000".to_owned()),
        Expires::After(seconds) => (now.saturating_add(*seconds), age(*seconds)),
        Expires::AfterModified(seconds) => {
            let base = response.modified().unwrap_or(now);
            let date = base.saturating_add(*seconds);
            (date, age(date.saturating_sub(now)))
        }
        Expires::Daily(seconds) => {
            let left = until(now, *seconds);
            (now.saturating_add(left), age(left))
        }
        Expires::Dynamic(_) => return,
    };
    response.headers.remove(KnownHeader::Expires);
    response.headers.remove(KnownHeader::CacheControl);
    response.headers.push_with(KnownHeader::Expires, |out| clock::http_date(date, out));
    response.headers.push(KnownHeader::CacheControl, control);
}

fn age(seconds: i64) -> String {
    if seconds < 0 { "no-cache".to_owned() } else { format!("max-age={seconds}") }
}

/// Seconds until the next time that the local clock shows so many seconds after midnight.
fn until(now: i64, daily: u32) -> i64 {
    let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(now).unwrap_or(0));
    let local = sys::clock::local(time);
    let today =
        i64::from(local.hour) * 3600 + i64::from(local.minute) * 60 + i64::from(local.second);
    (i64::from(daily) - today).rem_euclid(24 * 3600)
}

/// `epoch`, `max`, `off` or seconds, for values out of variables.
fn parse(text: &[u8]) -> Option<Expires> {
    match text {
        b"epoch" => return Some(Expires::Epoch),
        b"max" => return Some(Expires::Max),
        b"" | b"off" => return None,
        _ => {}
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Some(clock) = text.strip_prefix('@') {
        return daily(clock).map(Expires::Daily);
    }
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        "w" => 7 * 86400,
        "M" => 30 * 86400,
        "y" => 365 * 86400,
        _ => return None,
    };
    let seconds = number.parse::<i64>().ok()?.checked_mul(unit)?;
    Some(Expires::After(sign * seconds))
}

/// Seconds after midnight of a time of day such as `15h30m33s`.
fn daily(text: &str) -> Option<u32> {
    let mut seconds = 0u32;
    for part in text.split_inclusive(['h', 'm', 's']) {
        let unit = match part.as_bytes().last()? {
            b'h' => 3600,
            b'm' => 60,
            _ => 1,
        };
        let number: u32 = part.trim_end_matches(['h', 'm', 's']).parse().ok()?;
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
    }
    Some(seconds).filter(|&seconds| !text.is_empty() && seconds < 24 * 3600)
}

/// Adds the location's charset to a content type that has none and is one of its types. Plain
/// redirects never carry one: old clients took it for the charset of what they lead to.
pub fn apply_charset(exchange: &Exchange, response: &mut Response) {
    let location = exchange.location();
    let Some(charset) = &location.charset else { return };
    let Some(content_type) = response.content_type() else { return };
    if matches!(response.status, 301 | 302)
        || response.headers.has(KnownHeader::ContentEncoding)
        || has_charset(content_type)
        || !type_listed(content_type, &location.charset_types)
    {
        return;
    }
    let charset = clean(render_bytes(charset, exchange));
    response.charset = Some(charset).filter(|charset| !charset.is_empty() && charset != "off");
}

fn has_charset(content_type: &[u8]) -> bool {
    content_type.windows(8).any(|window| window.eq_ignore_ascii_case(b"charset="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_may_say_how_long_and_nonsense_is_off() {
        assert!(matches!(parse(b"1h"), Some(Expires::After(3600))));
        assert!(matches!(parse(b"-1"), Some(Expires::After(-1))));
        assert!(matches!(parse(b"max"), Some(Expires::Max)));
        assert!(matches!(parse(b"@15h30m33s"), Some(Expires::Daily(55833))));
        assert!(parse(b"@").is_none() && parse(b"@25h").is_none() && parse(b"@1x").is_none());
        assert!(parse(b"off").is_none() && parse(b"soon").is_none());
    }
}
