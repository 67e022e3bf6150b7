//! Recycling by memory: whether the worker has grown beyond its limits.

use std::sync::atomic::{AtomicU64, Ordering};

use plan::app::AppLimits;
use sys::clock::monotonic_ms;

/// Time between two looks: one costs a file of `/proc`, and memory does not grow that fast.
const LOOK_MS: u64 = 1000;

/// The limits of a worker that has any.
pub struct MemoryLimits {
    resident: u64,
    address_space: u64,
    next_look_ms: AtomicU64,
}

impl MemoryLimits {
    /// The limits of a plan; `None` if it sets none.
    pub fn new(limits: &AppLimits) -> Option<MemoryLimits> {
        let (resident, address_space) = (limits.resident_bytes_max, limits.address_space_bytes_max);
        resident.or(address_space).map(|_| MemoryLimits {
            resident: resident.unwrap_or(u64::MAX),
            address_space: address_space.unwrap_or(u64::MAX),
            next_look_ms: AtomicU64::new(0),
        })
    }

    /// The limit that is exceeded, for the log; looks once a second at most. Without `/proc` none is.
    pub fn exceeded(&self) -> Option<String> {
        let now = monotonic_ms();
        let due = self.next_look_ms.load(Ordering::Relaxed);
        let next = now.saturating_add(LOOK_MS);
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        if now < due || self.next_look_ms.compare_exchange(due, next, success, failure).is_err() {
            return None;
        }
        let used = sys::process::memory().ok()?;
        let mebibytes = |bytes: u64| bytes >> 20;
        if used.resident > self.resident {
            return Some(format!("reload-on-rss: {} MiB", mebibytes(used.resident)));
        }
        (used.address_space > self.address_space)
            .then(|| format!("reload-on-as: {} MiB", mebibytes(used.address_space)))
    }
}
