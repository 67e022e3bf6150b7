//! Which of a worker's request threads looks for work.
//!
//! One thread leads: it takes events and serves what comes, one request after the other, with
//! the GIL in its hands; so short requests pay for no hand-over of anything. The others sleep.
//! When the leader stays in the app for longer than [`TICK`], the deputy takes the lead over and
//! the old leader becomes a follower once it is back; so a slow view holds one thread and
//! nothing else.
//!
//! ```text
//!  follows ──lead is vacant──────────────────► looks for work (step even)
//!     ▲  └──deputy: step odd for a TICK──────►    │        ▲
//!     │                                        begin      end
//!     ├──end: somebody has taken the lead──── in the app ──┘ (step odd)
//!     └──end── in the app ◄──begin, eager: the lead is left vacant
//! ```
//!
//! Where one request was slow the next ones often are: for [`EAGER_REQUESTS`] after that the
//! lead is passed on before a request is begun, which costs about a hundredth of a TICK each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use sys::futex::{Bell, Woken};

use super::harakiri::lock;

/// How long a request may take before somebody else looks for work: once to twice this.
const TICK: Duration = Duration::from_micros(700);
/// Ticks without any request after which the deputy sleeps too.
const QUIET_TICKS: u32 = 8;
/// Requests before which the lead is passed on, after one that was slow.
const EAGER_REQUESTS: u32 = 64;

/// The lead of a worker's threads.
#[derive(Debug)]
pub struct Lead {
    /// Odd while the leader is in the app; only grows.
    step: AtomicU64,
    /// Requests before which the lead is still to be passed on. Written by the leader only.
    eager: AtomicU32,
    /// The deputy does not look at the clock: it has to be rung when there is a request.
    deputy_sleeps: AtomicBool,
    /// Guards who follows and whether anybody leads. Held for a moment only.
    followers: Mutex<Followers>,
    /// One per thread.
    bells: Vec<Bell>,
}

#[derive(Debug)]
struct Followers {
    vacant: bool,
    /// Threads that sleep, the one that worked most recently first: it is the next to be needed.
    /// The last one is the deputy, so that it stays the same one for long.
    waiting: Vec<u32>,
}

/// What a follower woke up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// It leads now.
    Leads,
    /// A signal came; Python's handlers may want to run.
    Signal,
}

/// The state of the lead while a thread is in the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flying {
    /// The thread leads, unless the deputy becomes impatient. With the step it began.
    Leading(u64),
    /// It does not.
    Following,
}

impl Lead {
    /// For so many threads; nobody leads yet.
    pub fn new(threads: u32) -> Lead {
        Lead {
            step: AtomicU64::new(0),
            eager: AtomicU32::new(0),
            deputy_sleeps: AtomicBool::new(true),
            followers: Mutex::new(Followers { vacant: true, waiting: Vec::new() }),
            bells: (0..threads).map(|_| Bell::default()).collect(),
        }
    }

    /// Takes the lead if nobody has it.
    pub fn take(&self, core: u32) -> bool {
        let mut followers = lock(&self.followers);
        let vacant = std::mem::replace(&mut followers.vacant, false);
        if vacant {
            self.leave(&mut followers, core);
        }
        vacant
    }

    /// Sleeps until the lead is this thread's, or a signal comes. To be called detached.
    pub fn follow(&self, core: u32) -> Follow {
        loop {
            let is_deputy = {
                let mut followers = lock(&self.followers);
                if std::mem::replace(&mut followers.vacant, false) {
                    self.leave(&mut followers, core);
                    return Follow::Leads;
                }
                if !followers.waiting.contains(&core) {
                    followers.waiting.insert(0, core);
                }
                followers.waiting.last() == Some(&core)
            };
            let woken = if is_deputy { self.watch(core) } else { self.sleep(core, None) };
            match woken {
                Woken::Rung => {}
                Woken::TimedOut => {
                    // Only the deputy gives up sleeping: it has taken the lead.
                    self.leave(&mut lock(&self.followers), core);
                    return Follow::Leads;
                }
                Woken::Signal => {
                    let mut followers = lock(&self.followers);
                    self.leave(&mut followers, core);
                    if followers.vacant {
                        // A ring may have been meant for this thread.
                        self.ring(followers.waiting.first());
                    }
                    return Follow::Signal;
                }
            }
        }
    }

    /// The leader goes into the app.
    pub fn begin(&self) -> Flying {
        let eager = self.eager.load(Ordering::Relaxed);
        if eager > 0 {
            self.eager.store(eager - 1, Ordering::Relaxed);
            self.resign();
            return Flying::Following;
        }
        // In one order with what the deputy does before it sleeps.
        let step = self.step.fetch_add(1, Ordering::SeqCst) + 1;
        if self.deputy_sleeps.load(Ordering::SeqCst) {
            self.deputy_sleeps.store(false, Ordering::SeqCst);
            self.ring(lock(&self.followers).waiting.last());
        }
        Flying::Leading(step)
    }

    /// A thread comes back from the app; whether it leads.
    pub fn end(&self, flying: Flying) -> bool {
        let Flying::Leading(step) = flying else { return false };
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        self.step.compare_exchange(step, step + 1, success, failure).is_ok()
    }

    /// The leader leads no more; the next one is woken.
    pub fn resign(&self) {
        let mut followers = lock(&self.followers);
        followers.vacant = true;
        self.ring(followers.waiting.first());
    }

    /// Watches the leader's steps. `TimedOut`: one took too long, the lead is the caller's.
    fn watch(&self, core: u32) -> Woken {
        let mut seen = self.step.load(Ordering::SeqCst);
        let mut quiet = 0;
        loop {
            match self.sleep(core, Some(TICK)) {
                Woken::TimedOut => {}
                other => return other,
            }
            let step = self.step.load(Ordering::SeqCst);
            if step != seen {
                seen = step;
                quiet = 0;
            } else if step % 2 == 1 {
                let (success, failure) = (Ordering::SeqCst, Ordering::Relaxed);
                if self.step.compare_exchange(step, step + 1, success, failure).is_ok() {
                    self.eager.store(EAGER_REQUESTS, Ordering::Relaxed);
                    return Woken::TimedOut;
                }
            } else {
                quiet += 1;
                if quiet >= QUIET_TICKS {
                    self.deputy_sleeps.store(true, Ordering::SeqCst);
                    if self.step.load(Ordering::SeqCst) == step {
                        return match self.sleep(core, None) {
                            Woken::TimedOut => Woken::Rung,
                            other => other,
                        };
                    }
                    self.deputy_sleeps.store(false, Ordering::SeqCst);
                    quiet = 0;
                }
            }
        }
    }

    fn sleep(&self, core: u32, timeout: Option<Duration>) -> Woken {
        self.bells.get(core as usize).map_or(Woken::Signal, |bell| bell.wait(timeout))
    }

    /// A thread sleeps no more. The next deputy is rung when there is a request to watch.
    fn leave(&self, followers: &mut Followers, core: u32) {
        followers.waiting.retain(|waiting| *waiting != core);
        self.deputy_sleeps.store(true, Ordering::SeqCst);
    }

    fn ring(&self, core: Option<&u32>) {
        if let Some(bell) = core.and_then(|core| self.bells.get(*core as usize)) {
            bell.ring();
        }
    }
}
