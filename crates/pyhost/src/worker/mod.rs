//! A worker: one process, one app, `threads` request threads around one epoll.
//!
//! Rooms: `turn` (a thread's loop: next event, serve, next), `connection` (a client's state),
//! `read` (bytes to requests), `body`, `respond` and `output` (answers on a client's own
//! connection), `channel` (requests from our own front), `mail` (the same through shared memory),
//! `cancel` (their clients going away), `lead` (which thread looks for work), `table` (connections nobody is busy
//! with, deadlines), `harakiri` (deadlines of requests), `statics` (files without Python),
//! `listen` (accepting), `log`, `signal`, `wait`.
//!
//! The GIL is kept from one request to the next and given up only to wait. One thread at a time
//! looks for work and serves it ([`lead`]); when it stays in the app, another one takes over, so
//! a slow view holds one thread and no other connection.
//!
//! Locks: `table` guards the connections that no thread has, `waiting` those whose next request
//! lets others go first; each of `flights` guards what one thread is busy with (only with
//! `harakiri`). None is held while waiting. `finding` is the leader's own: it is held while the
//! leader looks for work, and nobody else asks for it.

mod body;
mod burst;
mod cancel;
mod channel;
mod connection;
mod harakiri;
mod lead;
mod listen;
mod log;
mod mail;
mod memory;
mod output;
mod read;
mod respond;
mod settings;
mod signal;
mod statics;
mod table;
mod turn;
mod wait;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plan::app::AppPlan;
use proto::channel::SLOT_WORDS;
use proto::control::{self, FromWorker, ToWorker};
use pyo3::prelude::*;
use sys::clock::monotonic_ms;
use sys::epoll::{Epoll, Interest};
use sys::fdpass;
use sys::memory::SharedWords;

use self::harakiri::{Client, Flight, lock};
use self::lead::Lead;
pub use self::listen::Listener;
use self::log::RequestLog;
pub use self::log::{note, replace as replace_log, write_line};
pub use self::mail::Mail;
use self::memory::MemoryLimits;
use self::settings::Settings;
pub use self::signal::absorb_terminal;
use self::table::{NEVER, Table};
use self::turn::{Finding, Waiting};
use crate::wsgi::App;

/// Tokens of the descriptors that are no connections.
const CONTROL: u64 = 0;
const WAKE: u64 = 1;
const QUEUE: u64 = 2;
const FIRST_REPLY: u64 = 16;
const FIRST_LISTENER: u64 = 1 << 16;

/// How long idle connections stay open after the order to stop, so that a request that is on its
/// way is answered (with `Connection: close`) and not reset.
const DRAIN_MS: u64 = 500;
/// Share of a limit by which workers differ, so that they are not all recycled at once.
const JITTER_DIVISOR: u64 = 10;

/// What a worker is given.
pub struct WorkerStart {
    /// The app's plan.
    pub plan: AppPlan,
    /// Its place on the scoreboard.
    pub seat: u32,
    /// Its number as users see it, from 1.
    pub number: u32,
    /// Its control socket.
    pub control: OwnedFd,
    /// Reply sockets, one per front thread.
    pub replies: Vec<OwnedFd>,
    /// Receiving end of the private queue.
    pub queue: Option<OwnedFd>,
    /// The mailboxes.
    pub mail: Option<Mail>,
    /// Listening sockets.
    pub listeners: Vec<Listener>,
    /// The scoreboard.
    pub scoreboard: SharedWords,
}

/// What all threads of a worker share.
pub struct Worker {
    plan: AppPlan,
    settings: Settings,
    app: App,
    epoll: Epoll,
    table: Mutex<Table>,
    finding: Mutex<Finding>,
    waiting: Mutex<Waiting>,
    /// Only with several threads.
    lead: Option<Lead>,
    /// Per thread: the id (plus one) of the request whose client has gone.
    cancelled: Vec<AtomicU64>,
    flights: Vec<Mutex<Flight>>,
    listeners: Vec<Listener>,
    queue: Option<OwnedFd>,
    mail: Option<Mail>,
    replies: Vec<OwnedFd>,
    control: OwnedFd,
    scoreboard: SharedWords,
    seat: usize,
    /// Its number as users see it.
    number: u32,
    /// Requests from the front that are being served.
    channel_requests: AtomicUsize,
    requests: AtomicU64,
    requests_max: u64,
    memory_limits: Option<MemoryLimits>,
    request_log: Option<RequestLog>,
    life_end_ms: u64,
    recycle_asked: AtomicBool,
    quiescing: AtomicBool,
    finished: AtomicBool,
    /// Listening stopped for want of descriptors; when to try again.
    accept_again_ms: AtomicU64,
    wake: signal::Wake,
}

/// Serves until told to stop; returns when everything that was begun is finished.
///
/// # Errors
/// The worker could not be set up.
pub fn run(py: Python<'_>, start: WorkerStart, app: App) -> io::Result<()> {
    let worker = Arc::new(Worker::new(start, app)?);
    if worker.plan.limits.harakiri.is_some() {
        if let Err(error) = harakiri::prepare(py) {
            log::note(&format!("stacks will not be logged on harakiri: {error}"));
        }
        let watched = Arc::clone(&worker);
        std::thread::Builder::new()
            .name("harakiri".to_owned())
            .spawn(move || harakiri::watch(&watched))?;
    }
    worker.tell(&FromWorker::Accepting { pid: std::process::id() });
    let mut others = Vec::new();
    for core in 1..worker.plan.threads.max(1) {
        let shared = Arc::clone(&worker);
        let thread = std::thread::Builder::new()
            .name(format!("core {core}"))
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || Python::attach(|py| turn::run(py, &shared, core)))?;
        others.push(thread);
    }
    turn::run(py, &worker, 0);
    py.detach(|| {
        for thread in others {
            // A thread that panicked has written why.
            let _ = thread.join();
        }
    });
    Ok(())
}

/// As much as the main thread usually has: apps recurse.
const THREAD_STACK_BYTES: usize = 8 * 1024 * 1024;

impl Worker {
    fn new(start: WorkerStart, app: App) -> io::Result<Worker> {
        let WorkerStart { plan, seat, number, control, replies, .. } = start;
        let WorkerStart { queue, mail, listeners, scoreboard, .. } = start;
        let epoll = Epoll::new()?;
        let wake = signal::Wake::new()?;
        epoll.add(wake.fd(), WAKE, Interest::READ)?;
        epoll.add(control.as_fd(), CONTROL, Interest::READ)?;
        let shared = Interest { exclusive: true, ..Interest::READ };
        if let Some(queue) = &queue {
            epoll.add(queue.as_fd(), QUEUE, shared)?;
        }
        for (token, reply) in (FIRST_REPLY..FIRST_LISTENER).zip(&replies) {
            epoll.add(reply.as_fd(), token, Interest::READ)?;
        }
        for (index, listener) in listeners.iter().enumerate() {
            epoll.add(listener.fd(), FIRST_LISTENER + index as u64, shared)?;
        }
        let limits = &plan.limits;
        let flights = if limits.harakiri.is_some() { plan.threads.max(1) } else { 0 };
        let life = limits.max_worker_lifetime.map(millis).map(jittered);
        let worker = Worker {
            settings: Settings::new(&plan),
            app,
            epoll,
            table: Mutex::new(Table::new()),
            finding: Mutex::new(Finding::new()),
            waiting: Mutex::default(),
            lead: (plan.threads > 1).then(|| Lead::new(plan.threads)),
            cancelled: (0..plan.threads.max(1)).map(|_| AtomicU64::new(0)).collect(),
            flights: (0..flights).map(|_| Mutex::default()).collect(),
            listeners,
            queue,
            mail,
            replies,
            control,
            scoreboard,
            seat: seat as usize,
            number,
            channel_requests: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            requests_max: limits.max_requests.map_or(u64::MAX, jittered),
            memory_limits: MemoryLimits::new(limits),
            request_log: plan.log.requests_file.as_deref().map(RequestLog::new),
            life_end_ms: life.map_or(NEVER, |life| monotonic_ms().saturating_add(life)),
            recycle_asked: AtomicBool::new(false),
            quiescing: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            accept_again_ms: AtomicU64::new(NEVER),
            wake,
            plan,
        };
        Ok(worker)
    }

    fn is_quiescing(&self) -> bool {
        self.quiescing.load(Ordering::Relaxed)
    }

    fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Sends a message to the master. A master that has gone is noticed by reading.
    fn tell(&self, message: &FromWorker) {
        if let Ok(bytes) = control::encode(message) {
            let iov = [io::IoSlice::new(&bytes)];
            let _ = fdpass::send_with_fds(self.control.as_fd(), &iov, &[], libc::MSG_DONTWAIT);
        }
    }

    /// Reads the master's orders; its end is the order to stop.
    fn read_control(&self) {
        let mut room = [0; 4096];
        loop {
            let mut fds = Vec::new();
            match fdpass::recv_with_fds(
                self.control.as_fd(),
                &mut room,
                &mut fds,
                libc::MSG_DONTWAIT,
            ) {
                Ok(count) if count > 0 => {
                    match control::decode::<ToWorker>(room.get(..count).unwrap_or(&[])) {
                        Ok(ToWorker::Quiesce) => self.quiesce(),
                        Ok(ToWorker::Log) => {
                            log::replace(fds.pop());
                            if let Some(log) = &self.request_log {
                                log.reopen();
                            }
                        }
                        Err(error) => log::note(&format!("the master sent no order: {error}")),
                    }
                }
                Err(error) if output::is_later(&error) => return,
                _ => {
                    let _ = self.epoll.remove(self.control.as_fd());
                    self.quiesce();
                    return;
                }
            }
        }
    }

    /// Accepts nothing new; idle connections get a short time, requests all they need.
    fn quiesce(&self) {
        if self.quiescing.swap(true, Ordering::AcqRel) {
            return;
        }
        for listener in &self.listeners {
            let _ = self.epoll.remove(listener.fd());
        }
        if let Some(queue) = &self.queue {
            let _ = self.epoll.remove(queue.as_fd());
        }
        lock(&self.table).hurry_idle(monotonic_ms().saturating_add(DRAIN_MS));
        // Threads that wait for ever must look at the new deadline.
        self.wake.ring();
    }

    /// Asks the master for a replacement, once.
    fn recycle(&self, why: &str) {
        if !self.is_quiescing() && !self.recycle_asked.swap(true, Ordering::AcqRel) {
            self.tell(&FromWorker::Recycle { why: why.to_owned() });
        }
    }

    /// Ends every thread's loop once there is nothing left to do.
    fn finish_if_done(&self) {
        if self.is_quiescing()
            && lock(&self.table).live() == 0
            && self.channel_requests.load(Ordering::Acquire) == 0
            && !self.finished.swap(true, Ordering::AcqRel)
        {
            self.wake.ring();
        }
    }

    /// Notes for the watcher of deadlines, if there is one, that a thread enters the app.
    fn take_off(&self, core: u32, client: Client, vars: &[u8]) -> Option<&Mutex<Flight>> {
        let limit = self.plan.limits.harakiri?;
        let flight = self.flights.get(core as usize)?;
        harakiri::take_off(flight, client, limit, vars);
        Some(flight)
    }

    /// Connections that are not merely idle, those of stuck threads excepted.
    fn connections_with_work(&self) -> usize {
        let stuck = self.flights.iter().filter(|flight| lock(flight).is_expired_stream()).count();
        let table = lock(&self.table);
        table.live().saturating_sub(stuck).saturating_sub(table.idle())
    }

    /// Counts a request; gives this worker's number of it.
    fn count_request(&self, core: u32) -> u64 {
        let requests = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(word) = self.slot(core, 2) {
            word.fetch_add(1, Ordering::Relaxed);
        }
        if requests >= self.requests_max {
            self.recycle("max-requests");
        }
        if let Some(why) = self.memory_limits.as_ref().and_then(MemoryLimits::exceeded) {
            self.recycle(&why);
        }
        requests
    }

    /// Requests served by all workers that share the scoreboard.
    fn total_requests(&self) -> u64 {
        let served = (2..self.scoreboard.len()).step_by(SLOT_WORDS);
        served.map(|index| self.scoreboard.at(index).load(Ordering::Relaxed)).sum()
    }

    /// A word of this thread's slot on the scoreboard.
    fn slot(&self, core: u32, word: usize) -> Option<&AtomicU64> {
        let threads = self.plan.threads.max(1) as usize;
        let index = (self.seat * threads + core as usize) * SLOT_WORDS + word;
        (index < self.scoreboard.len()).then(|| self.scoreboard.at(index))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A limit, or up to a tenth more: every worker has its own.
fn jittered(limit: u64) -> u64 {
    let spread = limit / JITTER_DIVISOR + 1;
    let noise = sys::clock::monotonic_ns().wrapping_mul(u64::from(std::process::id()) | 1);
    limit.saturating_add((noise >> 16) % spread)
}
