//! Deadlines of requests (`harakiri`): a thread of its own looks at the clock, because a thread
//! that is stuck in the app cannot.
//!
//! When a request's time is up, its client gets 504, the log gets the request and the stacks of
//! all Python threads, the master is asked for a replacement, and the neighbours go on. A stuck
//! thread cannot be taken out of Python, so the process exits without it once it has been told
//! to stop and the others are done.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::channel::{ReplyHeader, ReplyKind};
use pyo3::prelude::*;
use sys::socket;

use super::Worker;
use super::log;
use super::table::NEVER;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Real-time signal that makes `faulthandler` write the stacks: it needs no GIL, which a stuck
/// extension module may hold.
const STACKS_SIGNAL_OFFSET: i32 = 7;

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, Default)]
pub enum Client {
    /// Nobody: the thread is idle.
    #[default]
    Nobody,
    /// A client on a connection of our own. The descriptor stays open while the flight lasts.
    Stream(RawFd),
    /// The front.
    Channel {
        /// The request's id.
        id: u64,
        /// The reply socket. It stays open as long as the worker lives.
        reply: RawFd,
    },
}

/// What one request thread is busy with.
#[derive(Debug)]
pub struct Flight {
    client: Client,
    deadline_ms: u64,
    started: u64,
    line: String,
    /// The answer has begun: there is no room for a 504 any more.
    begun: bool,
    /// The time was up; the client has been answered.
    expired: bool,
}

impl Default for Flight {
    fn default() -> Flight {
        Flight {
            client: Client::Nobody,
            deadline_ms: NEVER,
            started: 0,
            line: String::new(),
            begun: false,
            expired: false,
        }
    }
}

impl Flight {
    /// Whether a connection of our own is stuck with this thread.
    pub fn is_expired_stream(&self) -> bool {
        self.expired && matches!(self.client, Client::Stream(_))
    }
}

/// Takes a lock whose holder may have panicked: what it guards is plain data.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks whether an answer may begin, and notes that it has. Without a deadline: always.
pub fn may_begin(flight: Option<&Mutex<Flight>>) -> bool {
    let Some(flight) = flight else { return true };
    let mut flight = lock(flight);
    flight.begun |= !flight.expired;
    !flight.expired
}

/// Asks whether an answer that has begun may go on.
pub fn may_go_on(flight: Option<&Mutex<Flight>>) -> bool {
    flight.is_none_or(|flight| !lock(flight).expired)
}

/// Notes that a thread enters the app.
pub fn take_off(flight: &Mutex<Flight>, client: Client, limit: Duration, vars: &[u8]) {
    let mut flight = lock(flight);
    flight.client = client;
    flight.begun = false;
    flight.expired = false;
    flight.started = log::since_1970().as_secs();
    flight.line.clear();
    let (mut address, mut method, mut uri) = (&[][..], &[][..], &[][..]);
    for (name, value) in proto::uwsgi::vars(vars).flatten() {
        match name {
            b"REMOTE_ADDR" => address = value,
            b"REQUEST_METHOD" => method = value,
            b"REQUEST_URI" => uri = value,
            _ => {}
        }
    }
    for (index, part) in [address, b"-", method, uri].into_iter().enumerate() {
        if index > 0 {
            flight.line.push(' ');
        }
        flight.line.push_str(&String::from_utf8_lossy(part));
    }
    let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    flight.deadline_ms = sys::clock::monotonic_ms().saturating_add(limit);
}

/// Notes that a thread is back; true if its time was up before.
pub fn land(flight: &Mutex<Flight>) -> bool {
    let mut flight = lock(flight);
    flight.client = Client::Nobody;
    flight.deadline_ms = NEVER;
    std::mem::take(&mut flight.expired)
}

/// Lets the interpreter write its stacks when [`STACKS_SIGNAL_OFFSET`]'s signal comes.
///
/// # Errors
/// `faulthandler` is missing, or standard error is closed.
pub fn prepare(py: Python<'_>) -> PyResult<()> {
    let faulthandler = py.import("faulthandler")?;
    faulthandler.call_method1("register", (stacks_signal(), 2, true, false))?;
    Ok(())
}

fn stacks_signal() -> i32 {
    libc::SIGRTMIN() + STACKS_SIGNAL_OFFSET
}

/// The watching thread's whole life.
pub fn watch(worker: &Worker) {
    let mut condemned = false;
    loop {
        std::thread::sleep(LOOK);
        if worker.is_finished() {
            return;
        }
        let now = sys::clock::monotonic_ms();
        for (core, flight) in worker.flights.iter().enumerate() {
            let expired = {
                let mut flight = lock(flight);
                let due = flight.deadline_ms <= now;
                if due {
                    flight.deadline_ms = NEVER;
                    flight.expired = true;
                    answer(&flight);
                }
                due.then(|| (flight.line.clone(), flight.started))
            };
            if let Some((line, started)) = expired {
                report(worker, core, &line, started);
                worker.recycle("harakiri");
                condemned = true;
            }
        }
        if condemned {
            exit_without_the_stuck(worker);
        }
    }
}

/// Gives the client its answer, or the cut if the answer has begun.
fn answer(flight: &Flight) {
    match flight.client {
        Client::Nobody => {}
        Client::Stream(fd) => {
            // SAFETY: the thread in flight owns the connection and cannot land, let alone close
            // it, while we hold the flight's lock.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            if !flight.begun {
                let text = "the request took too long\n";
                let answer = format!(
                    "HTTP/1.1 504 Gateway Time-out\r\nContent-Type: text/plain\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
                    text.len()
                );
                let _ = socket::send(fd, answer.as_bytes(), false);
            }
            socket::shut(fd);
        }
        Client::Channel { id, reply } => {
            // SAFETY: reply sockets stay open as long as the worker lives.
            let reply = unsafe { BorrowedFd::borrow_raw(reply) };
            let header = ReplyHeader { id, kind: ReplyKind::Abort, flags: 0, head_bytes: 0 };
            let mut frame = header.encode().to_vec();
            frame.extend_from_slice(&504u16.to_le_bytes());
            frame.extend_from_slice(b"the request took too long");
            let iov = [std::io::IoSlice::new(&frame)];
            let _ = sys::fdpass::send_with_fds(reply, &iov, &[], libc::MSG_DONTWAIT);
        }
    }
}

fn report(worker: &Worker, core: usize, line: &str, started: u64) {
    let (number, pid) = (worker.number, std::process::id());
    log::note(&format!("*** HARAKIRI ON WORKER {number} (pid: {pid}, try: 1) ***"));
    log::note(&format!("HARAKIRI !!! worker {number} status !!!"));
    log::note(&format!("HARAKIRI [core {core}] {line} since {started}"));
    // SAFETY: takes numbers only; the signal's handler is the one `prepare` installed.
    unsafe { libc::raise(stacks_signal()) };
    log::note(&format!("HARAKIRI !!! end of worker {number} status !!!"));
}

/// Exits once the worker has been told to stop and only stuck threads are left.
fn exit_without_the_stuck(worker: &Worker) {
    // With every request thread stuck nobody else reads this.
    worker.read_control();
    let mut stuck = false;
    for flight in &worker.flights {
        let flight = lock(flight);
        if !flight.expired && !matches!(flight.client, Client::Nobody) {
            return;
        }
        stuck |= flight.expired;
    }
    if stuck && worker.is_quiescing() && worker.connections_with_work() == 0 {
        // SAFETY: ends the process at once; the stuck threads make an orderly end impossible.
        unsafe { libc::_exit(0) };
    }
}

/// The descriptor of a client on a connection of our own.
pub fn stream_client(socket: &impl AsRawFd) -> Client {
    Client::Stream(socket.as_raw_fd())
}
