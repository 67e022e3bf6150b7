//! Whether an object that is no longer fresh may be served all the same.

use plan::front::CacheUse;
use plan::front::cache::UseStale;

use crate::Times;

/// What went wrong upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection, or it broke.
    Error,
    /// A deadline passed.
    Timeout,
    /// The response's head was empty or broken.
    InvalidHeader,
    /// It answered this status.
    Status(u16),
}

/// Whether the stale object serves while somebody else (or the background) fetches a new one:
/// `updating`, or within `stale-while-revalidate`.
pub fn may_serve_while_updating(rules: &CacheUse, times: &Times, now_unix_ms: u64) -> bool {
    rules.use_stale.updating || within(times, times.stale_while_revalidate_ms, now_unix_ms)
}

/// Whether the stale object serves instead of a failure: the flag of `*_cache_use_stale`, or
/// within `stale-if-error`, which RFC 5861 defines for 500, 502, 503 and 504 and failures.
pub fn may_serve_on_trouble(
    rules: &CacheUse,
    times: &Times,
    trouble: Trouble,
    now_unix_ms: u64,
) -> bool {
    let by_header = match trouble {
        Trouble::Status(status) => matches!(status, 500 | 502 | 503 | 504),
        Trouble::Error | Trouble::Timeout | Trouble::InvalidHeader => true,
    };
    is_listed(&rules.use_stale, trouble)
        || (by_header && within(times, times.stale_if_error_ms, now_unix_ms))
}

fn is_listed(list: &UseStale, trouble: Trouble) -> bool {
    match trouble {
        Trouble::Error => list.error,
        Trouble::Timeout => list.timeout,
        Trouble::InvalidHeader => list.invalid_header,
        Trouble::Status(status) => list.statuses.contains(&status),
    }
}

fn within(times: &Times, extra_ms: u64, now_unix_ms: u64) -> bool {
    now_unix_ms < times.valid_until_unix_ms.saturating_add(extra_ms)
}

#[cfg(test)]
mod tests {
    use super::{Trouble, may_serve_on_trouble, may_serve_while_updating};
    use crate::Times;
    use crate::freshness::tests::rules;

    #[test]
    fn headers_and_flags_open_their_own_doors() {
        let times = Times {
            stored_unix_ms: 0,
            valid_until_unix_ms: 1000,
            stale_while_revalidate_ms: 500,
            stale_if_error_ms: 800,
        };
        let mut rules = rules(&[]);
        assert!(may_serve_while_updating(&rules, &times, 1499));
        assert!(!may_serve_while_updating(&rules, &times, 1500));
        assert!(may_serve_on_trouble(&rules, &times, Trouble::Status(502), 1799));
        assert!(!may_serve_on_trouble(&rules, &times, Trouble::Status(404), 1799));
        assert!(!may_serve_on_trouble(&rules, &times, Trouble::Timeout, 1800));
        rules.use_stale.updating = true;
        rules.use_stale.timeout = true;
        rules.use_stale.statuses = vec![404];
        assert!(may_serve_while_updating(&rules, &times, 9999));
        assert!(may_serve_on_trouble(&rules, &times, Trouble::Timeout, 9999));
        assert!(may_serve_on_trouble(&rules, &times, Trouble::Status(404), 9999));
        assert!(!may_serve_on_trouble(&rules, &times, Trouble::Error, 9999));
    }
}
