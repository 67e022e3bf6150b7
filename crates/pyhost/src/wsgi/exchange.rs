//! The state of one response, and the two callables through which an app works on it.
//!
//! ```text
//! Fresh ── start_response ──> HeadGiven ── first piece or end ──> HeadSent ── end ──> Ended
//!              (again with exc_info: ^│)                            │ last promised byte
//!                                                                   └───────────────────> Ended
//! ```
//!
//! The transport lives on the stack of `serve`, the [`Exchange`] in the Python heap: it holds a
//! pointer to the transport from `open` to `close` only. An app that keeps `write` gets an
//! exception afterwards.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use pyo3::exceptions::{
    PyAssertionError, PyBrokenPipeError, PyRuntimeError, PySystemError, PyTypeError,
};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::head::{Head, type_name};
use super::raw;
use crate::exchange::{Responder, ResponseParts, SendError, Served};

/// Fields of a head that are passed on without an allocation.
const FIELDS_INLINE: usize = 24;

/// The page of a request that failed before its head was sent.
const ERROR_BODY: &[u8] = b"Internal Server Error";

static START_RESPONSE: raw::Method = raw::Method::new(b"start_response\0", start_response);
static WRITE: raw::Method = raw::Method::new(b"write\0", write);

/// How far the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fresh,
    HeadGiven,
    HeadSent,
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

/// One response, as a Python object so that `start_response` and `write` can refer to it.
#[pyclass(frozen, module = "propylon")]
pub struct Exchange {
    /// Guards the state; taken without waiting, because the holder may be waiting for the GIL.
    state: Mutex<State>,
}

/// What the lock guards.
pub struct State {
    /// Invariant: `Some` only while `serve` is on the stack with the transport it points to.
    responder: Option<NonNull<dyn Responder>>,
    phase: Phase,
    head: Head,
    /// The method is HEAD: the client wants no body.
    pub head_request: bool,
    /// What is known for the request log.
    pub served: Served,
    /// `write`, made at its first use.
    write: Option<Py<PyAny>>,
    /// The peer has gone; nothing is sent any more.
    pub gone: bool,
}

// SAFETY: everything in the state but `responder` is `Send`; `responder` is used only under the
// state's lock between `open` and `close`, while `serve`, which owns the transport exclusively,
// waits in the interpreter.
unsafe impl Send for State {}

impl Exchange {
    /// A new exchange and its `start_response`.
    pub fn make(py: Python<'_>) -> PyResult<(Py<Exchange>, Py<PyAny>)> {
        let state = State {
            responder: None,
            phase: Phase::Ended,
            head: Head::default(),
            head_request: false,
            served: Served::default(),
            write: None,
            gone: false,
        };
        let exchange = Py::new(py, Exchange { state: Mutex::new(state) })?;
        let start_response = raw::builtin(exchange.bind(py).as_any(), &START_RESPONSE)?;
        Ok((exchange, start_response))
    }

    /// Connects the exchange with the transport of a request.
    ///
    /// # Safety
    /// [`Exchange::close`] is called before `responder` is used in another way or dropped.
    pub unsafe fn open(&self, py: Python<'_>, responder: &mut dyn Responder) {
        let pointer = NonNull::from(responder);
        // SAFETY: only the lifetime changes; the caller promises that `close` ends it in time.
        let pointer = unsafe {
            std::mem::transmute::<NonNull<dyn Responder + '_>, NonNull<dyn Responder>>(pointer)
        };
        let mut state = self.wait(py);
        state.responder = Some(pointer);
        state.phase = Phase::Fresh;
        state.head.clear();
        state.head_request = false;
        state.served = Served::default();
        state.gone = false;
    }

    /// Disconnects the transport and answers what became of the request.
    pub fn close(&self, py: Python<'_>) -> Served {
        let mut state = self.wait(py);
        state.responder = None;
        state.phase = Phase::Ended;
        std::mem::take(&mut state.served)
    }

    /// The state, for one step. `serve` and `write` in two threads at once is an error of the
    /// app, not a dead lock.
    pub fn step(&self) -> PyResult<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Ok(state),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(PyRuntimeError::new_err("another thread is writing to this response"))
            }
        }
    }

    /// Nobody but this module's own functions refers to the exchange, so that the next request
    /// can have it.
    pub fn is_unshared(&self, py: Python<'_>, start_response: &Py<PyAny>) -> bool {
        let state = self.wait(py);
        raw::references(start_response) == 1
            && state.write.as_ref().is_none_or(|write| raw::references(write) == 1)
    }

    /// Breaks the circle with `write` so that the exchange can be freed.
    pub fn discard(&self, py: Python<'_>) {
        let write = self.wait(py).write.take();
        drop(write);
    }

    /// The state, however long another thread's `write` takes; detached meanwhile, because that
    /// thread needs the GIL to come back.
    fn wait(&self, py: Python<'_>) -> MutexGuard<'_, State> {
        loop {
            match self.state.try_lock() {
                Ok(state) => return state,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => py.detach(|| {
                    drop(self.state.lock().unwrap_or_else(PoisonError::into_inner));
                }),
            }
        }
    }
}

impl State {
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
                    headers: &[(b"Content-Type", b"text/plain")],
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
        self.served.header_count = u32::try_from(self.head.field_count()).unwrap_or(u32::MAX);
        self.served.header_bytes = self.head.counted_bytes();
        let mut inline = [(&b""[..], &b""[..]); FIELDS_INLINE];
        let spilled: Vec<(&[u8], &[u8])>;
        let headers = match inline.get_mut(..self.head.field_count()) {
            Some(room) => {
                room.iter_mut().zip(self.head.fields()).for_each(|(slot, field)| *slot = field);
                &*room
            }
            None => {
                spilled = self.head.fields().collect();
                &spilled
            }
        };
        let own = self.head.content_length();
        let parts = ResponseParts {
            status: self.head.status(),
            reason: self.head.reason(),
            headers,
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
        outcome.map_err(|_| {
            self.gone = true;
            self.phase = Phase::Ended;
            Failure::Gone
        })
    }

    fn check_open(&self) -> PyResult<()> {
        match self.responder {
            Some(_) => Ok(()),
            None => Err(PyRuntimeError::new_err("the request is over")),
        }
    }
}

fn not_started() -> Failure {
    Failure::Raised(PyAssertionError::new_err("the app answered without calling start_response"))
}

/// `start_response(status, headers, exc_info=None)`.
///
/// # Safety
/// Called by CPython only, by the rules of `METH_FASTCALL`; `owner` is an [`Exchange`].
unsafe extern "C" fn start_response(
    owner: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: CPython passes live objects and their number.
    unsafe {
        guarded(owner, |py, exchange| {
            let status = raw::argument(py, arguments, count, 0);
            let headers = raw::argument(py, arguments, count, 1);
            let exc_info = raw::argument(py, arguments, count, 2).filter(|info| !info.is_none());
            match (status, headers) {
                (Some(status), Some(headers)) if count <= 3 => {
                    begin(exchange, &status, &headers, exc_info.as_deref())
                }
                _ => Err(PyTypeError::new_err(format!(
                    "start_response takes status, headers and exc_info, but {count} were given"
                ))),
            }
        })
    }
}

fn begin<'py>(
    exchange: &Bound<'py, Exchange>,
    status: &Bound<'py, PyAny>,
    headers: &Bound<'py, PyAny>,
    exc_info: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let py = exchange.py();
    let mut state = exchange.get().step()?;
    state.check_open()?;
    match (state.phase, exc_info) {
        (Phase::Fresh, _) | (Phase::HeadGiven, Some(_)) => {}
        (Phase::HeadGiven, None) => {
            return Err(PyAssertionError::new_err(
                "start_response was called twice without exc_info",
            ));
        }
        (Phase::HeadSent | Phase::Ended, None) => {
            return Err(PyAssertionError::new_err(
                "start_response was called after the head was sent",
            ));
        }
        (Phase::HeadSent | Phase::Ended, Some(info)) => return Err(again(info)?),
    }
    state.phase = Phase::Fresh;
    state.head.set(status, headers)?;
    state.phase = Phase::HeadGiven;
    if let Some(write) = &state.write {
        return Ok(write.clone_ref(py));
    }
    let write = raw::builtin(exchange.as_any(), &WRITE)?;
    state.write = Some(write.clone_ref(py));
    Ok(write)
}

/// The exception in an `exc_info` triple, with its traceback.
fn again(info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let info = info.cast::<PyTuple>()?;
    let error = PyErr::from_value(info.get_item(1)?);
    if let Ok(traceback) = info.get_item(2)?.cast_into() {
        error.set_traceback(info.py(), Some(traceback));
    }
    Ok(error)
}

/// `write(data)`.
///
/// # Safety
/// Called by CPython only, by the rules of `METH_FASTCALL`; `owner` is an [`Exchange`].
unsafe extern "C" fn write(
    owner: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: CPython passes live objects and their number.
    unsafe {
        guarded(owner, |py, exchange| {
            let data = raw::argument(py, arguments, count, 0).filter(|_| count == 1);
            let Some(data) = data else {
                return Err(PyTypeError::new_err("write takes one argument"));
            };
            let Some(bytes) = raw::bytes_of(&data) else {
                return Err(not_bytes(&data));
            };
            let mut state = exchange.get().step()?;
            state.check_open()?;
            if bytes.is_empty() {
                return Ok(py.None());
            }
            match state.piece(py, bytes, None) {
                Ok(_) => Ok(py.None()),
                Err(Failure::Raised(error)) => Err(error),
                Err(Failure::Gone) => Err(PyBrokenPipeError::new_err("the client has gone")),
            }
        })
    }
}

/// The complaint about a piece of body that is not `bytes`.
pub fn not_bytes(piece: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("the body must be made of bytes, not `{}`", type_name(piece)))
}

/// Runs `act` at the edge between C and Rust: exceptions are set, panics become exceptions.
///
/// # Safety
/// `owner` is a live [`Exchange`].
unsafe fn guarded(
    owner: *mut PyObject,
    act: impl for<'py> FnOnce(Python<'py>, &Bound<'py, Exchange>) -> PyResult<Py<PyAny>>,
) -> *mut PyObject {
    Python::attach(|py| {
        // SAFETY: the functions of this module are only ever bound to an `Exchange`.
        let exchange =
            unsafe { Bound::from_borrowed_ptr(py, owner).cast_into_unchecked::<Exchange>() };
        let outcome = catch_unwind(AssertUnwindSafe(|| act(py, &exchange)))
            .unwrap_or_else(|_| Err(PySystemError::new_err("the server failed internally")));
        match outcome {
            Ok(value) => value.into_ptr(),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }
    })
}
