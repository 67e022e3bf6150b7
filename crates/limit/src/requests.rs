//! `limit_req`: each key has a bucket into which its requests fall and which leaks at the zone's
//! rate. What is in it is the key's excess.
//!
//! ```text
//!             burst                  ─ more than this: refused, and nothing falls in
//!  request ─► │     │ wait: the time in which what is above `undelayed` leaks out
//!             │~~~~~│ undelayed      ─ up to this: no wait
//!             └──┬──┘
//!                ▼ rate
//! ```
//!
//! Counted as nginx counts it: in thousandths of requests and whole milliseconds, rounded in the
//! request's favour; a key without a bucket has an empty one, and its first request leaves it
//! empty (ngx_http_limit_req_module).

use recent::{Entries, Hash};

use crate::entries_max;

/// Buckets per MiB of a zone, as nginx documents. One takes 112 bytes at the worst.
const BUCKETS_PER_MIB: u64 = 8000;

/// One request, in the unit of everything here.
const ONE: u64 = 1000;

/// What one limit says, in thousandths of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What leaks in a second. Zero counts as one.
    pub rate: u64,
    /// More than this is too much.
    pub burst: u64,
    /// Up to this nobody waits.
    pub undelayed: u64,
}

impl Rule {
    /// How long the request that left so much in the bucket has to wait, in milliseconds.
    pub fn wait_ms(&self, excess: u64) -> u64 {
        excess.saturating_sub(self.undelayed).saturating_mul(1000) / self.rate.max(1)
    }
}

/// More than the burst: what the request would have made of the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess(pub u64);

/// The buckets of a zone. Whoever is not seen for longest loses his when there are too many:
/// never are requests refused because a zone is full.
#[derive(Debug)]
pub struct Buckets {
    entries: Entries<Bucket>,
    entries_max: usize,
}

#[derive(Debug, Default)]
struct Bucket {
    excess: u64,
    /// When it was that much.
    at_ms: u64,
}

impl Bucket {
    /// What is in it once a request has fallen in now. A clock that was read too early (another
    /// thread was quicker) lets nothing leak.
    fn with_one_more(&self, rate: u64, now_ms: u64) -> u64 {
        let leaked = rate.max(1).saturating_mul(now_ms.saturating_sub(self.at_ms)) / 1000;
        self.excess.saturating_add(ONE).saturating_sub(leaked)
    }
}

impl Buckets {
    /// No bucket yet, for a zone of so many bytes.
    pub fn new(zone_bytes: u64) -> Buckets {
        let entries_max = entries_max(zone_bytes, BUCKETS_PER_MIB);
        Buckets { entries: Entries::default(), entries_max }
    }

    /// What a request would leave in the bucket, without its falling in: for a request that has
    /// other limits to pass.
    ///
    /// # Errors
    /// If that is more than the burst.
    pub fn look(&mut self, key: Hash, rule: &Rule, now_ms: u64) -> Result<u64, Excess> {
        let Some(number) = self.entries.find(key) else { return Ok(0) };
        self.entries.renew(number);
        match self.entries.value(number).with_one_more(rule.rate, now_ms) {
            excess if excess > rule.burst => Err(Excess(excess)),
            excess => Ok(excess),
        }
    }

    /// Lets a request fall in, however full the bucket is, and returns what is in it then.
    pub fn pour(&mut self, key: Hash, rule: &Rule, now_ms: u64) -> u64 {
        let Some(number) = self.entries.find(key) else {
            self.add(key, now_ms);
            return 0;
        };
        self.entries.renew(number);
        let bucket = self.entries.value_mut(number);
        bucket.excess = bucket.with_one_more(rule.rate, now_ms);
        bucket.at_ms = bucket.at_ms.max(now_ms);
        bucket.excess
    }

    /// Both in one, for a request that has no other limit to pass: it falls in unless that is
    /// too much.
    ///
    /// # Errors
    /// As [`Buckets::look`].
    pub fn admit(&mut self, key: Hash, rule: &Rule, now_ms: u64) -> Result<u64, Excess> {
        self.look(key, rule, now_ms)?;
        Ok(self.pour(key, rule, now_ms))
    }

    fn add(&mut self, key: Hash, now_ms: u64) {
        while self.entries.count() >= self.entries_max {
            let Some((oldest, _)) = self.entries.oldest() else { break };
            self.entries.remove(oldest);
        }
        self.entries.add(key, Bucket { excess: 0, at_ms: now_ms });
    }
}

#[cfg(test)]
mod tests;
