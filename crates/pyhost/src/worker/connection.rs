//! One client's connection: where it stands and what it waits for.
//!
//! ```text
//!  Head ──head──► Body ──complete──► Serving ──answer──► Draining ──sent──► Head
//!    └──────────── no body ────────────►┘                   ├──► closed
//!    └── refused, timed out ──────────────────────────────► ┴──► Lingering ──► closed
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use bytes::BytesMut;
use plan::app::Protocol;
use proto::cgi::ConnectionFacts;
use sys::epoll::Interest;
use sys::socket;

use super::output::{Output, is_later};
use super::read::{Incoming, PartialHead, ReadyRequest, Scratch};
use super::settings::Settings;

/// Bytes read and dropped after an early answer.
const LINGER_BYTES_MAX: usize = 64 * 1024;
/// How long they are read.
const LINGER_MS: u64 = 1000;
/// Time for a request's whole head.
const HEADER_TIMEOUT_MS: u64 = 10_000;
/// Time for a request's whole body, beside what its bytes take at the lowest rate.
const BODY_TIMEOUT_MS: u64 = 30_000;
/// The lowest rate: 500 bytes a second.
const MS_PER_BODY_BYTE: u64 = 2;

/// Answers to pipelined requests that took no longer wait for each other.
const PIPELINED_MS: u64 = 1;

/// Where connections came from: one per listening socket.
#[derive(Debug)]
pub struct Local {
    /// What is spoken.
    pub protocol: Protocol,
    /// SERVER_PORT.
    pub port: String,
}

/// What comes after the output has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The connection stays open for the next request.
    NextRequest,
    /// The connection is closed.
    Close,
    /// The client may still be sending: what comes is dropped for a while, so that the answer
    /// is not lost in a reset.
    Linger,
    /// The connection is reset, so that the client sees that the answer was cut.
    Reset,
}

/// What a connection needs next.
pub enum Turn {
    /// An event, or its deadline.
    Wait,
    /// The app.
    Request(ReadyRequest),
    /// To be closed.
    Close,
}

pub(super) enum Stage {
    /// Waiting for a request or in the middle of its head.
    Head(PartialHead),
    /// Head complete, body arriving.
    Body(Box<Incoming>),
    /// A thread serves it.
    Serving,
    /// Sending what is left.
    Draining(After),
    /// Dropping so many bytes before it is closed.
    Lingering(usize),
}

/// A connection.
pub struct Connection {
    /// Its place in the table.
    pub token: u64,
    /// The socket, non-blocking.
    pub socket: OwnedFd,
    /// What epoll was told last; nothing yet for a new connection.
    pub watched: Option<Interest>,
    /// What waits to be sent.
    pub output: Output,
    /// The answer may wait for the next one, whose request is there.
    is_followed: bool,
    /// The answer may be held for a moment: requests on other connections are there.
    pub may_hold: bool,
    /// The client runs on this machine.
    is_near: bool,
    /// REMOTE_ADDR; empty on Unix sockets.
    pub remote_addr: String,
    /// The variables that all its requests have, coded.
    pub(super) vars: Vec<u8>,
    pub(super) local: Arc<Local>,
    pub(super) stage: Stage,
    /// Received, not yet taken by a request.
    pub(super) input: BytesMut,
    /// When the stage began, or when bytes moved last (Body, Draining).
    pub(super) since_ms: u64,
    pub(super) requests: u64,
    /// Bytes the client had not acknowledged when its time was up last.
    unsent: u64,
}

impl Connection {
    /// An accepted connection; `server_name` is this machine's.
    pub fn new(
        token: u64,
        socket: OwnedFd,
        peer: socket::Peer,
        local: Arc<Local>,
        server_name: &str,
    ) -> Connection {
        let is_near =
            matches!(peer, socket::Peer::Inet(it) if it.ip().to_canonical().is_loopback());
        let (remote_addr, remote_port) = match peer {
            socket::Peer::Inet(address) => (address.ip().to_string(), address.port().to_string()),
            socket::Peer::Unix => (String::new(), String::new()),
        };
        let facts = ConnectionFacts {
            server_name: server_name.as_bytes(),
            server_port: local.port.as_bytes(),
            remote_addr: remote_addr.as_bytes(),
            remote_port: remote_port.as_bytes(),
            https: false,
        };
        Connection {
            token,
            socket,
            watched: None,
            output: Output::default(),
            is_followed: false,
            may_hold: false,
            is_near,
            // Names of machines, addresses and ports are short.
            vars: facts.vars().unwrap_or_default(),
            remote_addr,
            local,
            stage: Stage::Head(PartialHead::default()),
            input: BytesMut::new(),
            since_ms: sys::clock::monotonic_ms(),
            requests: 0,
            unsent: u64::MAX,
        }
    }

    /// What is spoken.
    pub fn protocol(&self) -> Protocol {
        self.local.protocol
    }

    /// Whether it waits for a request of which nothing has come.
    pub fn is_idle(&self) -> bool {
        matches!(&self.stage, Stage::Head(partial) if !partial.scan.has_begun() && self.input.is_empty())
    }

    /// What to watch it for.
    pub fn interest(&self) -> Interest {
        let drains = matches!(self.stage, Stage::Draining(_));
        let write = drains || !self.output.is_empty();
        Interest { read: !drains, write, ..Interest::READ }
    }

    /// When its time is up, in monotonic ms.
    pub fn deadline_ms(&self, settings: &Settings) -> u64 {
        let time = match &self.stage {
            Stage::Head(_) if self.is_idle() && self.requests > 0 => settings.keepalive_ms,
            Stage::Head(_) => HEADER_TIMEOUT_MS,
            Stage::Body(incoming) => {
                let rate = incoming.body_bytes().saturating_mul(MS_PER_BODY_BYTE);
                let end = incoming.began_ms.saturating_add(BODY_TIMEOUT_MS).saturating_add(rate);
                return end.min(self.since_ms.saturating_add(settings.socket_timeout_ms));
            }
            Stage::Serving | Stage::Draining(_) => settings.socket_timeout_ms,
            Stage::Lingering(_) => LINGER_MS,
        };
        self.since_ms.saturating_add(time)
    }

    /// Goes on after an event.
    pub fn handle_event(&mut self, scratch: &mut Scratch, settings: &Settings) -> Turn {
        match self.stage {
            Stage::Head(_) | Stage::Body(_) => {
                // Answers to requests that were sent together with this one.
                if self.output.flush(self.socket.as_fd()).is_err() {
                    return Turn::Close;
                }
                self.handle_input(scratch, settings)
            }
            Stage::Serving => Turn::Wait,
            Stage::Draining(after) => {
                if self.output.flush(self.socket.as_fd()).is_err() {
                    return Turn::Close;
                }
                if !self.output.is_empty() {
                    // The socket had room, so this is progress.
                    self.since_ms = sys::clock::monotonic_ms();
                    self.unsent = u64::MAX;
                    return Turn::Wait;
                }
                self.go_on(after, scratch, settings)
            }
            Stage::Lingering(left) => self.linger(left, scratch),
        }
    }

    /// Goes on after its deadline has passed.
    pub fn handle_deadline(&mut self, scratch: &mut Scratch, settings: &Settings) -> Turn {
        match &self.stage {
            // What came in time may have waited while this thread was busy elsewhere.
            Stage::Head(_) | Stage::Body(_) if socket::has_input(self.socket.as_fd()) => {
                self.handle_input(scratch, settings)
            }
            Stage::Head(_) if self.is_idle() => Turn::Close,
            Stage::Head(_) | Stage::Body(_) => {
                self.refuse(408, "the request did not arrive in time", scratch, settings)
            }
            Stage::Serving => Turn::Wait,
            Stage::Draining(_) => self.handle_slow_reader(),
            Stage::Lingering(_) => Turn::Close,
        }
    }

    /// The kernel tells of room only when much of its buffer is free: a client that has taken
    /// something since the last time is slow, not gone.
    fn handle_slow_reader(&mut self) -> Turn {
        let unsent = socket::unsent_bytes(self.socket.as_fd()).unwrap_or(u64::MAX);
        if unsent < self.unsent {
            self.unsent = unsent;
            self.since_ms = sys::clock::monotonic_ms();
            return Turn::Wait;
        }
        let _ = socket::reset_on_close(self.socket.as_fd());
        Turn::Close
    }

    /// A request was answered, just now: what is next.
    pub fn conclude(
        &mut self,
        after: After,
        now_ms: u64,
        scratch: &mut Scratch,
        settings: &Settings,
    ) -> Turn {
        self.requests += 1;
        self.since_ms = now_ms;
        if self.output.is_corked() && self.is_followed && after == After::NextRequest {
            let turn = self.go_on(after, scratch, settings);
            let is_next = matches!(turn, Turn::Request(_));
            if !is_next && self.output.uncork(self.socket.as_fd()).is_err() {
                return Turn::Close;
            }
            return turn;
        }
        if self.output.uncork(self.socket.as_fd()).is_err() {
            return Turn::Close;
        }
        if !self.output.is_empty() && after != After::Reset {
            self.stage = Stage::Draining(after);
            return Turn::Wait;
        }
        self.go_on(after, scratch, settings)
    }

    /// A whole answer is about to be sent, to a request that began at `began_ms`. If the client has
    /// sent its next request already, and this one was answered quickly, both answers go out
    /// together; if only others have, the kernel may hold it ([`super::burst`]).
    pub fn choose_departure(&mut self, began_ms: u64) {
        let more = !self.input.is_empty() && self.protocol() == Protocol::Http;
        let quick = || sys::clock::monotonic_ms() <= began_ms + PIPELINED_MS;
        self.is_followed =
            more && quick() && memchr::memmem::find(&self.input, b"\r\n\r\n").is_some();
        if self.is_followed {
            self.output.cork();
        } else if self.may_hold && self.is_near {
            self.output.hold_next();
        }
    }

    /// Answers in place of the app, with a short text, and closes.
    pub(super) fn refuse(
        &mut self,
        status: u16,
        text: &str,
        scratch: &mut Scratch,
        settings: &Settings,
    ) -> Turn {
        let reason = message::reason(status);
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{text}\n",
            text.len() + 1
        );
        if self.output.send(self.socket.as_fd(), head.as_bytes(), b"").is_err() {
            return Turn::Close;
        }
        self.since_ms = sys::clock::monotonic_ms();
        if !self.output.is_empty() {
            self.stage = Stage::Draining(After::Linger);
            return Turn::Wait;
        }
        self.go_on(After::Linger, scratch, settings)
    }

    /// Everything has been sent.
    fn go_on(&mut self, after: After, scratch: &mut Scratch, settings: &Settings) -> Turn {
        match after {
            After::NextRequest => {
                self.stage = Stage::Head(PartialHead::default());
                if self.input.is_empty() {
                    return Turn::Wait;
                }
                self.handle_buffered(scratch, settings)
            }
            After::Close if self.input.is_empty() && !self.has_unread_bytes() => Turn::Close,
            After::Close | After::Linger => {
                self.input = BytesMut::new();
                socket::finish_sending(self.socket.as_fd());
                self.stage = Stage::Lingering(LINGER_BYTES_MAX);
                self.linger(LINGER_BYTES_MAX, scratch)
            }
            After::Reset => {
                let _ = socket::reset_on_close(self.socket.as_fd());
                Turn::Close
            }
        }
    }

    /// A web server in front sends nothing behind its one request, so only HTTP is asked.
    fn has_unread_bytes(&self) -> bool {
        self.protocol() == Protocol::Http && socket::has_unread_bytes(self.socket.as_fd())
    }

    fn linger(&mut self, mut left: usize, scratch: &mut Scratch) -> Turn {
        loop {
            match socket::receive(self.socket.as_fd(), &mut scratch.room) {
                Ok(count) if count > 0 && count < left => left -= count,
                Err(error) if is_later(&error) => {
                    self.stage = Stage::Lingering(left);
                    return Turn::Wait;
                }
                _ => return Turn::Close,
            }
        }
    }
}
