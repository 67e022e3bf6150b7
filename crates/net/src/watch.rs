//! One coarse deadline per connection, checked by one task per thread.
//!
//! A timer per read would cost more than the read. Instead every connection has a [`Watched`]
//! slot in which it notes when its patience ends; a sweeper looks at all slots every
//! [`TICK`] and wakes the tasks whose time is up. Deadlines are therefore late by up to one
//! tick, never early. The same slots are how a stopping thread finds its idle connections.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use sys::clock::{COARSE_MS, coarse_ms};

/// How often deadlines are looked at.
pub const TICK: Duration = Duration::from_millis(50);

/// All watched connections of one thread.
#[derive(Debug)]
pub struct Watch {
    slots: RefCell<Vec<Rc<Slot>>>,
    arrived: tokio::sync::Notify,
}

/// A connection's place in the [`Watch`]; leaves it when dropped.
#[derive(Debug)]
pub struct Watched {
    watch: Rc<Watch>,
    slot: Rc<Slot>,
}

#[derive(Debug)]
struct Slot {
    /// Place in `Watch::slots`; kept right when others leave.
    index: Cell<usize>,
    /// By [`coarse_ms`]; zero is no deadline.
    deadline: Cell<u64>,
    expired: Cell<bool>,
    idle: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Watch {
    /// An empty watch; [`Watch::sweep`] must run beside it.
    pub fn new() -> Rc<Watch> {
        Rc::new(Watch { slots: RefCell::default(), arrived: tokio::sync::Notify::new() })
    }

    /// Connections watched now.
    pub fn len(&self) -> usize {
        self.slots.borrow().len()
    }

    /// Whether nobody is watched.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them wait for a request.
    pub fn idle(&self) -> usize {
        self.slots.borrow().iter().filter(|slot| slot.idle.get()).count()
    }

    /// Joins a connection.
    pub fn join(self: &Rc<Watch>) -> Watched {
        let mut slots = self.slots.borrow_mut();
        let slot = Rc::new(Slot {
            index: Cell::new(slots.len()),
            deadline: Cell::new(0),
            expired: Cell::new(false),
            idle: Cell::new(false),
            waker: RefCell::new(None),
        });
        slots.push(slot.clone());
        if slots.len() == 1 {
            self.arrived.notify_one();
        }
        Watched { watch: self.clone(), slot }
    }

    /// Ends the patience of every idle connection; used when the thread stops.
    pub fn expire_idle(&self) {
        for slot in self.slots.borrow().iter().filter(|slot| slot.idle.get()) {
            slot.expire();
        }
    }

    /// Ends the patience of every connection; used when the time for stopping is over.
    pub fn expire_all(&self) {
        for slot in self.slots.borrow().iter() {
            slot.expire();
        }
    }

    /// Wakes tasks whose deadline has passed, for ever; sleeps while nobody is watched.
    pub async fn sweep(&self) {
        loop {
            if self.is_empty() {
                self.arrived.notified().await;
            }
            tokio::time::sleep(TICK).await;
            let now = coarse_ms();
            for slot in self.slots.borrow().iter() {
                let deadline = slot.deadline.get();
                if deadline != 0 && deadline <= now {
                    slot.expire();
                }
            }
        }
    }
}

impl Slot {
    fn expire(&self) {
        self.deadline.set(0);
        self.expired.set(true);
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Watched {
    /// Sets the deadline to `patience` from now; zero means at the next tick.
    pub fn patience(&self, patience: Duration) {
        self.slot.expired.set(false);
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let now = coarse_ms() + COARSE_MS;
        self.slot.deadline.set(now.saturating_add(patience));
    }

    /// Takes the deadline away.
    pub fn unlimited(&self) {
        self.slot.deadline.set(0);
        self.slot.expired.set(false);
    }

    /// Says whether the connection waits for its next request.
    pub fn idle(&self, idle: bool) {
        self.slot.idle.set(idle);
    }

    /// Whether the deadline has passed; if not, the task of `context` is woken when it does.
    pub fn poll_expired(&self, context: &Context<'_>) -> bool {
        if self.slot.expired.get() {
            return true;
        }
        let mut waker = self.slot.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        false
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut slots = self.watch.slots.borrow_mut();
        let index = self.slot.index.get();
        debug_assert!(index < slots.len());
        if index < slots.len() {
            slots.swap_remove(index);
        }
        if let Some(moved) = slots.get(index) {
            moved.index.set(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    async fn expired(watched: &Watched) {
        poll_fn(
            |context| {
                if watched.poll_expired(context) { Poll::Ready(()) } else { Poll::Pending }
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_deadline_wakes_its_own_task_and_leaves_the_others_alone() {
        let watch = Watch::new();
        let (short, long) = (watch.join(), watch.join());
        long.patience(Duration::from_secs(3600));
        short.patience(Duration::from_millis(10));
        tokio::select! {
            () = expired(&short) => {}
            () = expired(&long) => panic!("the long deadline came first"),
            () = watch.sweep() => {}
        }
    }

    #[tokio::test]
    async fn only_idle_connections_are_told_to_go_and_leaving_keeps_the_places_right() {
        let watch = Watch::new();
        let (first, busy, idle) = (watch.join(), watch.join(), watch.join());
        idle.idle(true);
        drop(first);
        assert_eq!((watch.len(), watch.idle()), (2, 1));
        watch.expire_idle();
        expired(&idle).await;
        assert!(!busy.slot.expired.get());
        drop(busy);
        drop(idle);
        assert!(watch.is_empty());
    }
}
