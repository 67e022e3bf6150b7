//! The state of one response, step by step, between an app and a transport.
//!
//! ```text
//! Fresh ── set_head ──> HeadGiven ── first piece or end ──> HeadSent ── end ──> Ended
//!             (again with exc_info: ^│)                         │ last promised byte
//!                                                               └──────────────> Ended
//! ```

use std::ptr::NonNull;

use pyo3::exceptions::{PyAssertionError, PyRuntimeError};
use pyo3::prelude::*;

use super::head::Head;
use super::report;
use crate::exchange::{Responder, ResponseParts, SendError, Served};
use crate::fields::Fields;

/// The page of a request that failed before its head was sent.
const ERROR_BODY: &[u8] = b"Internal Server Error";

/// How far the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `start_response` has not been called.
    Fresh,
    /// Status and fields are known, nothing was sent.
    HeadGiven,
    /// The body is on its way.
    HeadSent,
    /// Nothing more is sent.
    Ended,
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// More may follow.
    More,
    /// The response takes no more, for a reason that is not the app's fault: HEAD, or a status
    /// without a body.
    NoBody,
    /// There was more body than Content-Length promised: the rest was cut.
    Cut,
}

/// Why a step of the response failed.
#[derive(Debug)]
pub enum Failure {
    /// The app did something wrong; before the head this is a 500, after it a visible cut.
    Raised(PyErr),
    /// Nobody is listening any more.
    Gone,
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Failure {
        Failure::Raised(error)
    }
}

/// One response.
pub struct State {
    /// Invariant: `Some` only while `serve` is on the stack with the transport it points to.
    pub responder: Option<NonNull<dyn Responder>>,
    pub phase: Phase,
    pub head: Head,
    /// The method is HEAD: the client wants no body.
    pub head_request: bool,
    /// What is known for the request log.
    pub served: Served,
    /// `write`, made at its first use.
    pub write: Option<Py<PyAny>>,
    /// The peer has gone; nothing is sent any more.
    pub gone: bool,
}

// SAFETY: everything in the state but `responder` is `Send`; `responder` is used only under the
// state's lock between `open` and `close`, while `serve`, which owns the transport exclusively,
// waits in the interpreter.
unsafe impl Send for State {}

impl State {
    /// The state between two requests.
    pub fn idle() -> State {
        State {
            responder: None,
            phase: Phase::Ended,
            head: Head::default(),
            head_request: false,
            served: Served::default(),
            write: None,
            gone: false,
        }
    }

    /// The head is still missing a length, and one would help.
    pub fn wants_length(&self) -> bool {
        self.phase == Phase::HeadGiven && self.head.content_length().is_none() && !self.bodyless()
    }

    /// The app's own Content-Length.
    pub fn content_length(&self) -> Option<u64> {
        self.head.content_length()
    }

    /// The response has no body by its nature, whatever the app yields.
    pub fn bodyless(&self) -> bool {
        self.head_request || matches!(self.head.status(), 204 | 304)
    }

    /// `start_response` was called.
    pub fn has_head(&self) -> bool {
        self.phase != Phase::Fresh
    }

    /// Sends a piece of the body, after the head if that is still to go. `total`: the length of
    /// the whole body if it is known.
    pub fn piece(
        &mut self,
        py: Python<'_>,
        piece: &[u8],
        total: Option<u64>,
    ) -> Result<Sent, Failure> {
        match self.phase {
            Phase::Fresh => return Err(not_started()),
            Phase::Ended if self.gone => return Err(Failure::Gone),
            Phase::Ended if self.bodyless() => return Ok(Sent::NoBody),
            Phase::Ended => return Ok(if piece.is_empty() { Sent::More } else { Sent::Cut }),
            Phase::HeadGiven if self.bodyless() => {
                self.start(py, b"", total.filter(|&length| length > 0), true)?;
                return Ok(Sent::NoBody);
            }
            Phase::HeadGiven | Phase::HeadSent => {}
        }
        let length = self.head.content_length().or(total);
        let room = length.map_or(u64::MAX, |length| length - self.served.body_bytes.min(length));
        let fitting = piece.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let (now, cut) = piece.split_at(fitting);
        let last = now.len() as u64 == room;
        if self.phase == Phase::HeadGiven {
            self.start(py, now, total, last)?;
        } else {
            self.through(|responder| responder.body(py, now))?;
        }
        self.served.body_bytes += now.len() as u64;
        if last && self.phase == Phase::HeadSent {
            self.through(|responder| responder.end(py))?;
            self.phase = Phase::Ended;
        }
        Ok(if cut.is_empty() { Sent::More } else { Sent::Cut })
    }

    /// Sends a part of a file as the body, which it is all of.
    pub fn file(
        &mut self,
        py: Python<'_>,
        file: std::os::fd::BorrowedFd<'_>,
        offset: u64,
        available: u64,
    ) -> Result<(), Failure> {
        let length = self.head.content_length().unwrap_or(available);
        let bytes = length.min(available);
        if self.phase != Phase::HeadGiven || self.bodyless() || bytes == 0 {
            return Ok(());
        }
        self.start(py, b"", Some(available), false)?;
        self.through(|responder| responder.file(py, file, offset, bytes))?;
        self.served.body_bytes += bytes;
        self.served.via_sendfile = true;
        Ok(())
    }

    /// The app has given everything.
    ///
    /// # Errors
    /// It never called `start_response`, or it gave less than it promised: the response was
    /// aborted visibly.
    pub fn finish(&mut self, py: Python<'_>) -> Result<(), Failure> {
        if self.gone {
            return Err(Failure::Gone);
        }
        let bodyless = self.bodyless();
        match self.phase {
            Phase::Fresh => return Err(not_started()),
            Phase::Ended => return Ok(()),
            Phase::HeadGiven if bodyless => return self.start(py, b"", None, true),
            Phase::HeadGiven if self.head.content_length().unwrap_or(0) == 0 => {
                return self.start(py, b"", Some(0), true);
            }
            Phase::HeadGiven if self.head.body_elsewhere => {
                // The length is that of the file the front will send instead.
                self.head.drop_content_length();
                return self.start(py, b"", Some(0), true);
            }
            Phase::HeadGiven => self.start(py, b"", None, false)?,
            Phase::HeadSent => {}
        }
        let promised = self.head.content_length().unwrap_or(self.served.body_bytes);
        if self.served.body_bytes < promised {
            let sent = self.served.body_bytes;
            return Err(Failure::Raised(PyAssertionError::new_err(format!(
                "the app gave {sent} bytes of body after promising a Content-Length of {promised}"
            ))));
        }
        self.through(|responder| responder.end(py))?;
        self.phase = Phase::Ended;
        Ok(())
    }

    /// Ends a response that went wrong: 500 if nothing was sent, else a visible cut.
    pub fn fail(&mut self, py: Python<'_>, status: u16, reason: &[u8], body: &[u8]) {
        match self.phase {
            _ if self.gone => {}
            Phase::Ended => {}
            Phase::HeadSent => {
                self.phase = Phase::Ended;
                let _ = self.through(|responder| {
                    responder.abort(py, status, "Internal Server Error");
                    Ok(())
                });
            }
            Phase::Fresh | Phase::HeadGiven => {
                let body = if self.head_request { &b""[..] } else { body };
                let parts = ResponseParts {
                    status,
                    reason,
                    fields: &Fields::of(&[(b"Content-Type", b"text/plain")]),
                    content_length: (!self.head_request).then_some(body.len() as u64),
                    add_content_length: !self.head_request,
                };
                self.phase = Phase::Ended;
                self.served.status = status;
                self.served.header_count = 1;
                self.served.header_bytes = (b"HTTP/1.1 500 \r\nContent-Type: text/plain\r\n\r\n"
                    .len()
                    + reason.len()) as u64;
                self.served.body_bytes = body.len() as u64;
                let _ = self.through(|responder| responder.start(py, &parts, body, true));
            }
        }
    }

    /// [`State::fail`] for an app that raised.
    pub fn fail_internally(&mut self, py: Python<'_>) {
        self.fail(py, 500, b"Internal Server Error", ERROR_BODY);
    }

    fn start(
        &mut self,
        py: Python<'_>,
        first: &[u8],
        total: Option<u64>,
        end: bool,
    ) -> Result<(), Failure> {
        if self.head.status() == 204 && self.head.content_length().is_some() {
            // RFC 9110 section 8.6 forbids it here.
            self.head.drop_content_length();
        }
        let total = total.filter(|_| !matches!(self.head.status(), 204 | 304));
        self.phase = if end { Phase::Ended } else { Phase::HeadSent };
        self.served.status = self.head.status();
        self.served.header_count = u32::try_from(self.head.fields().count()).unwrap_or(u32::MAX);
        self.served.header_bytes = self.head.counted_bytes();
        let own = self.head.content_length();
        let parts = ResponseParts {
            status: self.head.status(),
            reason: self.head.reason(),
            fields: self.head.fields(),
            content_length: own.or(total),
            add_content_length: own.is_none() && total.is_some(),
        };
        let outcome = match self.responder {
            // SAFETY: see the invariant of `responder`; the lock makes the access exclusive.
            Some(mut responder) => unsafe { responder.as_mut() }.start(py, &parts, first, end),
            None => Err(SendError::Gone),
        };
        self.settle(outcome)
    }

    fn through(
        &mut self,
        act: impl FnOnce(&mut dyn Responder) -> Result<(), SendError>,
    ) -> Result<(), Failure> {
        let outcome = match self.responder {
            // SAFETY: see the invariant of `responder`; the lock makes the access exclusive.
            Some(mut responder) => act(unsafe { responder.as_mut() }),
            None => Err(SendError::Gone),
        };
        self.settle(outcome)
    }

    fn settle(&mut self, outcome: Result<(), SendError>) -> Result<(), Failure> {
        outcome.map_err(|error| {
            if matches!(error, SendError::TooMuch) {
                report::line("a response did not fit: its head or its body is too long");
            }
            self.gone = true;
            self.phase = Phase::Ended;
            Failure::Gone
        })
    }

    /// The request is still being served.
    ///
    /// # Errors
    /// It is not: the app kept `start_response` or `write`.
    pub fn check_open(&self) -> PyResult<()> {
        match self.responder {
            Some(_) => Ok(()),
            None => Err(PyRuntimeError::new_err("the request is over")),
        }
    }
}

fn not_started() -> Failure {
    Failure::Raised(PyAssertionError::new_err("the app answered without calling start_response"))
}
