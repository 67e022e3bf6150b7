//! Whether a response may be stored, and how long it is fresh.
//!
//! Who speaks first wins: `X-Accel-Expires`, then `Cache-Control`, then `Expires`, then the
//! configured times. (nginx takes Cache-Control and Expires in the order they come; the order of
//! RFC 9111, 5.3 is the one its users expect.) `Set-Cookie` and `Vary: *` forbid storing.

use std::time::{Duration, UNIX_EPOCH};

use message::{KnownHeader, ResponseHead};
use plan::front::CacheUse;
use plan::front::upstream::IgnoreHeaders;

/// Longest Vary that is honoured; a response with a longer one is not stored. nginx's limit.
const VARY_BYTES_MAX: usize = 128;

/// Seconds that a lifetime from a header may have at most: ten years.
const LIFETIME_SECONDS_MAX: u64 = 10 * 365 * 24 * 3600;

/// When an object was stored, until when it is fresh, and how much longer it may be used stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When it was stored or last revalidated.
    pub stored_unix_ms: u64,
    /// First moment at which it is not fresh any more.
    pub valid_until_unix_ms: u64,
    /// `stale-while-revalidate` (RFC 5861, 3).
    pub stale_while_revalidate_ms: u64,
    /// `stale-if-error` (RFC 5861, 4).
    pub stale_if_error_ms: u64,
}

impl Times {
    /// Whether it is fresh.
    pub fn is_fresh(&self, now_unix_ms: u64) -> bool {
        now_unix_ms < self.valid_until_unix_ms
    }
}

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStored {
    /// `X-Accel-Expires: 0`.
    AccelForbids,
    /// `no-cache`, `no-store`, `private`, or a lifetime of nothing.
    CacheControlForbids,
    /// `Expires` is past or no date.
    AlreadyExpired,
    /// It sets a cookie.
    SetsCookie,
    /// `Vary: *`, or a Vary that is too long.
    VariesTooMuch,
    /// Nobody said how long.
    NoLifetime,
}

/// Decides about a response of this status that arrived now.
pub fn lifetime(
    head: &ResponseHead,
    ignore: &IgnoreHeaders,
    rules: &CacheUse,
    now_unix_ms: u64,
) -> Result<Times, NotStored> {
    if !ignore.set_cookie && head.headers.has(KnownHeader::SetCookie) {
        return Err(NotStored::SetsCookie);
    }
    if !ignore.vary {
        let names = vary_names(head);
        if names.len() > VARY_BYTES_MAX || names.contains('*') {
            return Err(NotStored::VariesTooMuch);
        }
    }
    let control =
        if ignore.cache_control { CacheControl::default() } else { CacheControl::of(head) };
    let from_accel = if ignore.x_accel_expires { None } else { accel(head, now_unix_ms) };
    let valid_until_unix_ms = match from_accel {
        Some(until) => until?,
        None => until_without_accel(head, ignore, &control, now_unix_ms)
            .unwrap_or_else(|| configured(rules, head.status, now_unix_ms))?,
    };
    Ok(Times {
        stored_unix_ms: now_unix_ms,
        valid_until_unix_ms,
        stale_while_revalidate_ms: control.stale_while_revalidate.unwrap_or(0) * 1000,
        stale_if_error_ms: control.stale_if_error.unwrap_or(0) * 1000,
    })
}

/// The names in all Vary fields, lower case, joined by commas; empty if there are none.
pub fn vary_names(head: &ResponseHead) -> String {
    let mut names: Vec<String> = Vec::new();
    for value in head.headers.get_all(KnownHeader::Vary) {
        let text = String::from_utf8_lossy(value).to_ascii_lowercase();
        let fields = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.extend(fields.map(str::to_owned));
    }
    names.join(",")
}

type Until = Result<u64, NotStored>;

fn accel(head: &ResponseHead, now_unix_ms: u64) -> Option<Until> {
    let text = head.header(KnownHeader::XAccelExpires)?;
    if let Some(moment) = text.strip_prefix(b"@") {
        return seconds(moment).map(|at| Ok(at * 1000));
    }
    match seconds(text)? {
        0 => Some(Err(NotStored::AccelForbids)),
        lifetime => Some(Ok(now_unix_ms + lifetime * 1000)),
    }
}

fn until_without_accel(
    head: &ResponseHead,
    ignore: &IgnoreHeaders,
    control: &CacheControl,
    now_unix_ms: u64,
) -> Option<Until> {
    if control.forbids {
        return Some(Err(NotStored::CacheControlForbids));
    }
    match control.shared_max_age.or(control.max_age) {
        Some(0) => return Some(Err(NotStored::CacheControlForbids)),
        Some(lifetime) => return Some(Ok(now_unix_ms + lifetime * 1000)),
        None => {}
    }
    if ignore.expires {
        return None;
    }
    let expires = head.header(KnownHeader::Expires)?;
    let until = std::str::from_utf8(expires).ok().and_then(|text| {
        let moment = httpdate::parse_http_date(text).ok()?;
        let since = moment.duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(since.as_millis()).ok()
    });
    Some(until.filter(|until| *until > now_unix_ms).ok_or(NotStored::AlreadyExpired))
}

/// The first `*_cache_valid` entry for the status, or for `any`.
fn configured(rules: &CacheUse, status: u16, now_unix_ms: u64) -> Until {
    let entry = rules.valid.iter().find(|(code, _)| *code == 0 || *code == status);
    match entry {
        Some((_, time)) if *time > Duration::ZERO => {
            Ok(now_unix_ms.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
        }
        _ => Err(NotStored::NoLifetime),
    }
}

/// The directives of Cache-Control that matter to a shared cache (RFC 9111, 5.2.2).
#[derive(Debug, Default)]
struct CacheControl {
    forbids: bool,
    max_age: Option<u64>,
    shared_max_age: Option<u64>,
    stale_while_revalidate: Option<u64>,
    stale_if_error: Option<u64>,
}

impl CacheControl {
    fn of(head: &ResponseHead) -> CacheControl {
        let mut control = CacheControl::default();
        for value in head.headers.get_all(KnownHeader::CacheControl) {
            for directive in value.split(|byte| *byte == b',') {
                control.add(directive.trim_ascii());
            }
        }
        control
    }

    fn add(&mut self, directive: &[u8]) {
        let equals = directive.iter().position(|byte| *byte == b'=');
        let (name, value) = directive.split_at(equals.unwrap_or(directive.len()));
        let value = value.strip_prefix(b"=").unwrap_or(value).trim_ascii();
        // A lifetime that is no number counts as none at all: zero.
        let number = || Some(seconds(unquoted(value)).unwrap_or(0));
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"no-cache" | b"no-store" | b"private" => self.forbids = true,
            b"max-age" => self.max_age = number(),
            b"s-maxage" => self.shared_max_age = number(),
            b"stale-while-revalidate" => self.stale_while_revalidate = number(),
            b"stale-if-error" => self.stale_if_error = number(),
            _ => {}
        }
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// Digits, bounded.
fn seconds(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = text
        .iter()
        .fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    // A moment (`@…`) is also seconds, but since 1970.
    Some(value.min(LIFETIME_SECONDS_MAX * 20))
}

#[cfg(test)]
pub(crate) mod tests;
