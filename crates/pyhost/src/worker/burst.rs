//! Answers that leave together.
//!
//! A client on the same machine that sleeps is woken by the answer that is sent to it, and that
//! costs more than everything else a request costs here (6 µs, docs/performance.md). While more
//! requests are known than this thread can serve at once, and the app is quick, several answers
//! may as well wake it together.
//!
//! ```text
//!  served ──others wait, app is quick──► held by the kernel ──no others left─────────────► sent
//!     │                                        │     ├──HELD_MAX of them, HELD_NS over───►┤
//!     │                                        │     └──another thread takes the lead────►┤
//!     │                                        └──the kernel's own patience (200 ms)─────►┤
//!     └──────────────────────────────────────────────────────────────────────────────────►┘
//! ```
//!
//! A held answer has been written to its socket whole (MSG_MORE, send(2)), so it cannot be lost:
//! if a later request kills this worker, the kernel sends it as it closes the socket; if a later
//! request never returns, the kernel sends it when its patience is over.

/// Answers held at once.
const HELD_MAX: usize = 8;
/// How long the first of them is held, as long as requests take what they took before.
const HELD_NS: u64 = 1_000_000;
/// An app is quick if so many requests in a row took no longer than this each.
const QUICK_IN_A_ROW: u32 = 64;
/// See [`QUICK_IN_A_ROW`].
const QUICK_NS: u64 = 300_000;
/// Below this time per request a client that always has something to read does not fall asleep,
/// and holding would only cost the call that lets go.
const SLEEP_NS: u64 = 15_000;
/// Weight of the last request in the mean: one part in so many.
const MEAN_OF: u64 = 16;

/// What is held, and whether more may be.
#[derive(Debug, Default)]
pub struct Burst {
    /// Tokens of the connections whose answer the kernel holds.
    held: Vec<u64>,
    /// When the first of them was sent, in monotonic ns.
    since_ns: u64,
    /// When the last request ended.
    last_ns: u64,
    /// Requests in a row that were quick.
    quick: u32,
    /// What a request takes, in ns.
    mean_ns: u64,
}

impl Burst {
    /// Whether the answer to the next request may be held if others wait behind it.
    pub fn may_hold(&self) -> bool {
        self.quick >= QUICK_IN_A_ROW && self.mean_ns >= SLEEP_NS
    }

    /// A request that began at `began_ns` has been served at `ended_ns`.
    pub fn note(&mut self, began_ns: u64, ended_ns: u64) {
        let took_ns = ended_ns.saturating_sub(began_ns);
        self.last_ns = ended_ns;
        self.quick = if took_ns <= QUICK_NS { self.quick.saturating_add(1) } else { 0 };
        self.mean_ns = (self.mean_ns * (MEAN_OF - 1) + took_ns) / MEAN_OF;
    }

    /// The answer on this connection is held.
    pub fn hold(&mut self, token: u64) {
        if self.held.is_empty() {
            self.since_ns = self.last_ns;
        }
        self.held.push(token);
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What has to leave now, with `others` known to wait: everything, or nothing.
    pub fn leaving(&mut self, others: usize) -> impl Iterator<Item = u64> {
        let over = self.last_ns.saturating_sub(self.since_ns) >= HELD_NS;
        let leave = others == 0 || over || self.quick == 0 || self.held.len() >= HELD_MAX;
        let count = if leave { self.held.len() } else { 0 };
        self.held.drain(..count)
    }
}
