//! Requests under way, by id: what has come for them, and who waits for it.
//!
//! An id is the front thread (16 bits), a generation (24 bits) and a place (24 bits): a late
//! frame for a request that is over finds another generation and is dropped.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::future::poll_fn;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use message::ResponseHead;
use net::watch::TICK;
use tokio::time::Instant;

use super::app::Pass;

const PLACE_BITS: u32 = 24;
const GENERATION_MASK: u64 = (1 << 24) - 1;

/// What a worker sent for one request.
#[derive(Debug)]
pub(super) enum Event {
    /// Status and fields, and the first bytes of the body.
    Head { head: ResponseHead, first: Bytes, end: bool },
    /// More of the body.
    Data { data: Bytes, end: bool },
    /// A part of a file.
    File { file: File, offset: u64, bytes: u64, end: bool },
    /// The rest of the body comes on this socket.
    Stream(UnixStream),
    /// The worker gave up.
    Abort { status: u16, message: String },
    /// The worker is dead.
    Died,
}

/// Which worker answers a request: unique for the life of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorkerKey(pub u64);

#[derive(Debug)]
pub(super) struct Slots {
    thread: u16,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Whether somebody looks at the deadlines.
    swept: bool,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u64,
    taken: bool,
    /// Kept when the slot is freed, for its memory. The workers stop at
    /// `REPLY_INLINE_BYTES_MAX`, so that this is bounded.
    events: VecDeque<Event>,
    waker: Option<Waker>,
    worker: Option<WorkerKey>,
    /// The worker has said the last thing that it has to say here.
    complete: bool,
    /// When whoever waits loses patience; looked at every [`TICK`].
    deadline: Option<Instant>,
}

impl Event {
    /// Whether nothing follows on the reply socket. Of a stream the worker sees itself that
    /// nobody reads it.
    pub fn is_last(&self) -> bool {
        match self {
            Event::Head { end, .. } | Event::Data { end, .. } | Event::File { end, .. } => *end,
            Event::Stream(_) | Event::Abort { .. } | Event::Died => true,
        }
    }
}

impl Slots {
    pub fn new(thread: u16) -> Slots {
        Slots { thread, slots: Vec::new(), free: Vec::new(), swept: false }
    }

    fn open(&mut self) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[place as usize];
        debug_assert!(!slot.taken && slot.events.is_empty());
        slot.taken = true;
        slot.generation = (slot.generation + 1) & GENERATION_MASK;
        u64::from(self.thread) << 48 | slot.generation << PLACE_BITS | u64::from(place)
    }

    /// The slot of a request that is under way.
    fn get(&mut self, id: u64) -> Option<&mut Slot> {
        let place = (id & ((1 << PLACE_BITS) - 1)) as usize;
        let generation = (id >> PLACE_BITS) & GENERATION_MASK;
        let is_ours = id >> 48 == u64::from(self.thread);
        self.slots
            .get_mut(place)
            .filter(|slot| is_ours && slot.taken && slot.generation == generation)
    }

    /// Hands an event to the request that waits for it; false if nobody does.
    /// `worker` is whose further words belong to it; `None` if there are none.
    pub fn deliver(&mut self, id: u64, event: Event, worker: Option<WorkerKey>) -> bool {
        let Some(slot) = self.get(id) else { return false };
        slot.worker = worker.or(slot.worker);
        slot.complete |= event.is_last();
        slot.events.push_back(event);
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
        true
    }

    /// Whether that request is under way here.
    pub fn is_open(&mut self, id: u64) -> bool {
        self.get(id).is_some()
    }

    /// A worker is dead: every request it has begun to answer hears it.
    pub fn bury(&mut self, worker: WorkerKey) {
        let orphans =
            self.slots.iter_mut().filter(|slot| slot.taken && slot.worker == Some(worker));
        for slot in orphans {
            slot.complete = true;
            slot.events.push_back(Event::Died);
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }

    /// Wakes whoever waited until now; whether anybody waits still.
    fn expire(&mut self, now: Instant) -> bool {
        let mut waiting = false;
        for slot in &mut self.slots {
            waiting |= slot.deadline.is_some();
            if slot.deadline.is_some_and(|deadline| deadline <= now)
                && let Some(waker) = slot.waker.take()
            {
                waker.wake();
            }
        }
        waiting
    }

    /// Frees an id. `Err` if its answer was not complete: whoever began it, if anybody.
    fn close(&mut self, id: u64) -> Result<(), Option<WorkerKey>> {
        let Some(slot) = self.get(id) else { return Ok(()) };
        slot.taken = false;
        slot.events.clear();
        slot.waker = None;
        slot.deadline = None;
        let worker = slot.worker.take();
        let complete = std::mem::take(&mut slot.complete);
        self.free.push((id & ((1 << PLACE_BITS) - 1)) as u32);
        if complete { Ok(()) } else { Err(worker) }
    }
}

/// A request under way. When dropped it frees its id, and if its answer was not complete the
/// worker hears that nobody waits for it.
#[derive(Debug)]
pub(crate) struct Ticket {
    slots: Rc<RefCell<Slots>>,
    id: u64,
    /// Where it was posted, if it was.
    mailbox: Cell<Option<u32>>,
    /// Its place before the app, given back when the request is over.
    pass: Pass,
}

impl Ticket {
    pub(super) fn open(slots: &Rc<RefCell<Slots>>, pass: Pass) -> Ticket {
        let id = slots.borrow_mut().open();
        Ticket { slots: slots.clone(), id, mailbox: Cell::new(None), pass }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The request is in that mailbox now.
    pub(super) fn is_posted(&self, mailbox: u32) {
        self.mailbox.set(Some(mailbox));
    }

    /// What has come already.
    pub(super) fn take(&self) -> Option<Event> {
        self.slots.borrow_mut().get(self.id)?.events.pop_front()
    }

    /// Waits for the next event; `None` if it has not come by the deadline, or a little later:
    /// a timer for every request would cost more than it is worth.
    pub(super) async fn next(&self, deadline: Instant) -> Option<Event> {
        poll_fn(|context| {
            let mut slots = self.slots.borrow_mut();
            let Some(slot) = slots.get(self.id) else { return Poll::Ready(Some(Event::Died)) };
            if let Some(event) = slot.events.pop_front() {
                slot.deadline = None;
                return Poll::Ready(Some(event));
            }
            // The first look comes right after the deadline was made, the next at its end.
            if slot.deadline.replace(deadline) == Some(deadline) && deadline <= Instant::now() {
                slot.deadline = None;
                return Poll::Ready(None);
            }
            if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                slot.waker = Some(context.waker().clone());
            }
            if !std::mem::replace(&mut slots.swept, true) {
                tokio::task::spawn_local(sweep_deadlines(self.slots.clone()));
            }
            Poll::Pending
        })
        .await
    }
}

/// Looks at the deadlines as long as somebody waits.
async fn sweep_deadlines(slots: Rc<RefCell<Slots>>) {
    loop {
        tokio::time::sleep(TICK).await;
        // Nobody is late whose answer is there.
        super::look();
        let mut slots = slots.borrow_mut();
        if !slots.expire(Instant::now()) {
            slots.swept = false;
            return;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let closed = self.slots.borrow_mut().close(self.id);
        if let Err(worker) = closed {
            let app = self.pass.app();
            let posted = app.mail.as_ref().zip(self.mailbox.get());
            if !posted.is_some_and(|(mail, mailbox)| mail.withdraw(mailbox, self.id)) {
                app.cancel(self.id, worker);
            }
        }
    }
}
