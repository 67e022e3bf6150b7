//! What headers and configuration together say.

use std::time::Duration;

use message::{BodyLength, ResponseHead};
use plan::Template;
use plan::front::cache::UseStale;
use plan::front::upstream::IgnoreHeaders;
use plan::front::{CacheId, CacheUse};

use super::{NotStored, lifetime};

const NOW: u64 = 1_000_000_000_000;

pub(crate) fn rules(valid: &[(u16, u64)]) -> CacheUse {
    CacheUse {
        zone: CacheId(0),
        key: Template::default(),
        valid: valid.iter().map(|(code, time)| (*code, Duration::from_secs(*time))).collect(),
        use_stale: UseStale::default(),
        lock: false,
        lock_timeout: Duration::from_secs(5),
        lock_age: Duration::from_secs(5),
        min_uses: 1,
        post_too: false,
        bypass: Vec::new(),
        no_cache: Vec::new(),
        revalidate: false,
        background_update: false,
        convert_head: true,
    }
}

/// Seconds of freshness, or why not.
fn fresh_for(
    headers: &[(&'static str, &'static str)],
    valid: &[(u16, u64)],
) -> Result<u64, NotStored> {
    fresh_for_ignoring(headers, valid, IgnoreHeaders::default())
}

fn fresh_for_ignoring(
    headers: &[(&'static str, &'static str)],
    valid: &[(u16, u64)],
    ignore: IgnoreHeaders,
) -> Result<u64, NotStored> {
    let mut head = ResponseHead::new(200, BodyLength::Length(1));
    for (name, value) in headers {
        head.headers.push_named(name, value);
    }
    let times = lifetime(&head, &ignore, &rules(valid), NOW)?;
    Ok((times.valid_until_unix_ms - NOW) / 1000)
}

#[test]
fn who_may_speak_first_decides() {
    for (headers, seconds) in [
        (&[("Cache-Control", "max-age=10")][..], 10),
        (&[("Cache-Control", "max-age=10, s-maxage=20")], 20),
        (&[("Cache-Control", "public"), ("cache-control", "Max-Age=\"7\"")], 7),
        (&[("X-Accel-Expires", "5"), ("Cache-Control", "no-store")], 5),
        (&[("X-Accel-Expires", "@1000000009"), ("Cache-Control", "max-age=1")], 9),
        (&[("X-Accel-Expires", "off"), ("Cache-Control", "max-age=3")], 3),
        (&[("Expires", "Sun, 09 Sep 2001 01:46:41 GMT"), ("Cache-Control", "max-age=3")], 3),
        (&[("Expires", "Sun, 09 Sep 2001 01:46:41 GMT")], 1),
        (&[("Pragma", "no-cache")], 60),
        (&[], 60),
    ] {
        assert_eq!(fresh_for(headers, &[(200, 60)]), Ok(seconds), "{headers:?}");
    }
}

#[test]
fn what_forbids_storing_forbids_it() {
    for (headers, why) in [
        (&[("Cache-Control", "no-cache")][..], NotStored::CacheControlForbids),
        (&[("Cache-Control", "max-age=9, no-store")], NotStored::CacheControlForbids),
        (&[("Cache-Control", "private=\"x\"")], NotStored::CacheControlForbids),
        (&[("Cache-Control", "max-age=0")], NotStored::CacheControlForbids),
        (&[("Cache-Control", "max-age=soon")], NotStored::CacheControlForbids),
        (&[("X-Accel-Expires", "0")], NotStored::AccelForbids),
        (&[("Expires", "0")], NotStored::AlreadyExpired),
        (&[("Expires", "Sun, 09 Sep 2001 01:46:39 GMT")], NotStored::AlreadyExpired),
        (&[("Set-Cookie", "a=b"), ("Cache-Control", "max-age=9")], NotStored::SetsCookie),
        (&[("Vary", "Accept, *")], NotStored::VariesTooMuch),
    ] {
        assert_eq!(fresh_for(headers, &[(0, 60)]), Err(why), "{headers:?}");
    }
    assert_eq!(fresh_for(&[], &[(404, 60)]), Err(NotStored::NoLifetime));
    assert_eq!(fresh_for(&[], &[(200, 0), (0, 60)]), Err(NotStored::NoLifetime));
}

#[test]
fn an_ignored_header_says_nothing() {
    let ignore = IgnoreHeaders { cache_control: true, set_cookie: true, ..Default::default() };
    let headers = [("Set-Cookie", "a=b"), ("Cache-Control", "no-store")];
    assert_eq!(fresh_for_ignoring(&headers, &[(0, 60)], ignore), Ok(60));
}

#[test]
fn the_first_line_for_a_status_wins() {
    assert_eq!(fresh_for(&[], &[(0, 60), (200, 10)]), Ok(60));
    assert_eq!(fresh_for(&[], &[(200, 10), (0, 60)]), Ok(10));
}
