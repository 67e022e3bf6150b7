//! One response as a Python object, and the two callables through which an app works on it.
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

use super::head::type_name;
use super::raw;
use super::response::{Failure, Phase, State};
use crate::exchange::{Responder, Served};

static START_RESPONSE: raw::Method = raw::Method::new(b"start_response\0", start_response);
static WRITE: raw::Method = raw::Method::new(b"write\0", write);

/// One response, as a Python object so that `start_response` and `write` can refer to it.
#[pyclass(frozen, module = "propylon")]
pub struct Exchange {
    /// Guards the state; taken without waiting, because the holder may be waiting for the GIL.
    state: Mutex<State>,
}

impl Exchange {
    /// A new exchange and its `start_response`.
    pub fn make(py: Python<'_>) -> PyResult<(Py<Exchange>, Py<PyAny>)> {
        let exchange = Py::new(py, Exchange { state: Mutex::new(State::idle()) })?;
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

    /// Disconnects the transport. Answers what became of the request, and whether the app still
    /// refers to the exchange through one of its functions, so that no other request may have it.
    pub fn close(&self, py: Python<'_>, start_response: &Py<PyAny>) -> (Served, bool) {
        let mut state = self.wait(py);
        state.responder = None;
        state.phase = Phase::Ended;
        let is_shared = raw::references(start_response) != 1
            || state.write.as_ref().is_some_and(|write| raw::references(write) != 1);
        (std::mem::take(&mut state.served), is_shared)
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
