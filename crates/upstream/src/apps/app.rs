//! One app: its queue, the gate before it, and its workers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proto::channel::{BodyPlace, RequestHeader};
use sys::clock::monotonic_us;
use sys::fdpass::send_with_fds;
use sys::memory::SharedWords;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::AppDoor;
use super::mail::Mail;
use super::pace::Pace;
use super::place::{Placed, Upload};
use super::reply::WorkerSocket;
use crate::error::{During, Failure, FailureKind};

/// Requests of this thread that may be in the queue or in workers although no worker is up. The
/// fewer, the more can be taken back when their clients go.
const GATE_BASE: u32 = 4;
/// Requests per worker thread: one being executed, one that is next without a round trip.
const GATE_PER_THREAD: u32 = 2;
/// Posted requests after which a sleeping worker is woken, if this thread has not stopped to look
/// around before: the worker then finds several at once.
const WAKE_AFTER: u32 = 4;
/// Requests of this thread that wait before the gate; more are refused at once (503).
const WAITING_MAX: usize = 4096;

pub(super) struct App {
    /// Not watched by the runtime while there is room in it: each request that a worker takes
    /// out would wake every front thread to say so.
    queue: OwnedFd,
    /// The shorter way, for requests that fit.
    pub mail: Option<Mail>,
    pub scoreboard: Arc<SharedWords>,
    pub threads: u32,
    gate: Semaphore,
    /// Places to take away as soon as they are given back: workers that went.
    gate_debt: Cell<usize>,
    waiting: Cell<usize>,
    pace: Pace,
    /// Places of the gate that the speed has earned.
    ahead: Cell<usize>,
    /// Requests posted since workers were last woken.
    unannounced: Cell<u32>,
    pub workers: RefCell<HashMap<u32, Rc<WorkerSocket>>>,
}

/// A message socket that the runtime of this thread watches; the type is the runtime's only one
/// for message sockets.
pub(super) fn watched(socket: OwnedFd) -> io::Result<UnixDatagram> {
    let socket = std::os::unix::net::UnixDatagram::from(socket);
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

/// A place in the app's queue or workers; given back when dropped.
pub(crate) struct Pass(Rc<App>);

impl fmt::Debug for Pass {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Pass")
    }
}

/// Counts a request among the waiting ones.
struct Waiting<'a>(&'a Cell<usize>);

impl App {
    pub fn new(door: AppDoor, mail: Option<Mail>) -> App {
        App {
            queue: door.queue,
            mail,
            scoreboard: door.scoreboard,
            threads: door.threads.max(1),
            gate: Semaphore::new(GATE_BASE as usize),
            gate_debt: Cell::new(0),
            waiting: Cell::new(0),
            pace: Pace::default(),
            ahead: Cell::new(0),
            unannounced: Cell::new(0),
            workers: RefCell::default(),
        }
    }

    /// Waits for a place.
    pub async fn enter(self: &Rc<App>, patience: Duration) -> Result<Pass, Failure> {
        // Requests pile up: the speed may be that of a better time.
        if self.ahead.get() > 0
            && self.gate.available_permits() <= self.ahead.get()
            && self.pace.is_forgotten(monotonic_us())
        {
            self.set_ahead();
        }
        if let Ok(permit) = self.gate.try_acquire() {
            permit.forget();
            return Ok(Pass(self.clone()));
        }
        if self.waiting.get() >= WAITING_MAX {
            let text = format!("{WAITING_MAX} requests wait for the app already");
            return Err(Failure::new(FailureKind::Overload, text));
        }
        self.waiting.set(self.waiting.get() + 1);
        let _waiting = Waiting(&self.waiting);
        match timeout(patience, self.gate.acquire()).await {
            Ok(Ok(permit)) => {
                permit.forget();
                Ok(Pass(self.clone()))
            }
            // The semaphore is never closed; to be safe that is the same as waiting in vain.
            Ok(Err(_)) | Err(_) => Err(Failure::timed_out(During::Connecting)),
        }
    }

    /// Puts the request into a mailbox; a worker that sleeps is woken a little later
    /// ([`App::announce`]). `None` if it has to take the longer way ([`App::send`]).
    pub fn post(&self, header: &RequestHeader, vars: &[u8], placed: &Placed) -> Option<u32> {
        let mail = self.mail.as_ref().filter(|_| placed.place == BodyPlace::Inline)?;
        let parts: [&[u8]; 3] = [&header.encode(), vars, &placed.inline];
        if mail.is_full() {
            let workers = self.workers.borrow();
            mail.reclaim(|known| workers.values().any(|worker| worker.claimant() == known));
        }
        let mailbox = mail.post(header.id, &parts)?;
        self.unannounced.set(self.unannounced.get() + 1);
        if self.unannounced.get() >= WAKE_AFTER {
            self.announce();
        }
        Some(mailbox)
    }

    /// Wakes workers for what has been posted lately, unless others have taken it meanwhile. To be
    /// called whenever this thread's tasks have had their turn, and before it sleeps.
    pub fn announce(&self) {
        let posted = self.unannounced.take();
        if posted > 0 {
            self.wake_for(posted);
        }
    }

    /// Wakes workers that sleep although there are requests in mailboxes: somebody who should
    /// have taken them is gone, or has only just come.
    pub fn wake_for_mail(&self) {
        self.wake_for(u32::MAX);
    }

    /// Wakes so many sleepers at most, and no more than there are requests waiting.
    fn wake_for(&self, requests: u32) {
        let Some(mail) = &self.mail else { return };
        for _ in 0..mail.waiting().min(requests) {
            if !self.wake_one(mail) {
                return;
            }
        }
    }

    fn wake_one(&self, mail: &Mail) -> bool {
        let workers = self.workers.borrow();
        let sleeper = workers.values().find(|worker| mail.must_wake(worker.seat()));
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
        sleeper.is_some()
    }

    /// Puts the request into the queue: one datagram, waiting for room if the queue is full.
    /// Returns the bytes sent, and whether the body still flows.
    pub async fn send(
        &self,
        header: &RequestHeader,
        vars: &[u8],
        placed: Placed,
        patience: Duration,
    ) -> Result<(u64, Upload), Failure> {
        let head = header.encode();
        let pieces = [IoSlice::new(&head), IoSlice::new(vars), IoSlice::new(&placed.inline)];
        let beside: Vec<_> = placed.descriptor.iter().map(AsFd::as_fd).collect();
        let queue = self.queue.as_fd();
        let send = || send_with_fds(queue, &pieces, &beside, libc::MSG_DONTWAIT);
        let sent = match send() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let full = self.queue.try_clone().and_then(watched);
                let full = full.map_err(|error| Failure::call("dup", &error, During::Sending))?;
                timeout(patience, full.async_io(Interest::WRITABLE, send))
                    .await
                    .map_err(|_| Failure::timed_out(During::Sending))?
            }
            other => other,
        };
        let sent = sent.map_err(|error| Failure::call("sendmsg", &error, During::Sending))?;
        Ok((sent as u64, placed.start_upload(patience)))
    }

    /// The gate opens further for a worker.
    pub fn open_gate(&self) {
        self.widen((self.threads * GATE_PER_THREAD) as usize);
    }

    /// The gate closes a little: a worker is gone.
    pub fn close_gate(&self) {
        self.narrow((self.threads * GATE_PER_THREAD) as usize);
    }

    fn widen(&self, places: usize) {
        let paid = self.gate_debt.get().min(places);
        self.gate_debt.set(self.gate_debt.get() - paid);
        self.gate.add_permits(places - paid);
    }

    fn narrow(&self, places: usize) {
        let taken = self.gate.forget_permits(places);
        self.gate_debt.set(self.gate_debt.get() + places - taken);
    }
}

impl App {
    /// Counts an answer; every so many of them the gate is set to the speed.
    fn note_answer(&self) {
        if self.pace.note_answer(monotonic_us) {
            self.set_ahead();
        }
    }

    fn set_ahead(&self) {
        let ahead = self.pace.ahead();
        let before = self.ahead.replace(ahead);
        self.widen(ahead.saturating_sub(before));
        self.narrow(before.saturating_sub(ahead));
    }

    /// How long to nap now rather than sleep, if at all.
    pub fn nap(&self) -> Option<Duration> {
        let mail = self.mail.as_ref()?;
        self.pace.nap(mail.waiting(), monotonic_us)
    }
}

impl Pass {
    /// The app it admits to.
    pub(super) fn app(&self) -> &App {
        &self.0
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.note_answer();
        match self.0.gate_debt.get() {
            0 => self.0.gate.add_permits(1),
            debt => self.0.gate_debt.set(debt - 1),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
