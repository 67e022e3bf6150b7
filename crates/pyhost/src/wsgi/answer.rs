//! What an app returned: sent piece by piece, then closed, on every path.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::exchange::{Exchange, not_bytes};
use super::file_wrapper::{self, FileWrapper};
use super::response::{Failure, Sent, State};
use super::{raw, report};

/// How the app kept to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Kept,
    /// It gave more body than its Content-Length; the rest was cut.
    TooMuchBody,
}

/// Sends the app's answer and ends the response.
///
/// # Errors
/// The response is not ended: the caller must [`super::response::State::fail`] it. The answer
/// has been closed all the same.
pub fn send(exchange: &Exchange, answer: &Bound<'_, PyAny>) -> Result<Outcome, Failure> {
    let outcome = match single_piece(answer) {
        Some(piece) => send_whole(exchange, &piece),
        None => send_pieces(exchange, answer)
            .and_then(|outcome| exchange.step()?.finish(answer.py()).map(|()| outcome)),
    };
    close(answer);
    outcome
}

/// Sends a body of one piece and ends the response.
fn send_whole(exchange: &Exchange, piece: &Bound<'_, PyAny>) -> Result<Outcome, Failure> {
    let mut state = exchange.step()?;
    let sent = send_piece(&mut state, piece, true)?;
    state.finish(piece.py())?;
    Ok(if sent == Sent::Cut { Outcome::TooMuchBody } else { Outcome::Kept })
}

fn send_pieces(exchange: &Exchange, answer: &Bound<'_, PyAny>) -> Result<Outcome, Failure> {
    let wrapper = answer.cast_exact::<FileWrapper>();
    if let Some(file) = wrapper.ok().and_then(file_wrapper::plain_file) {
        let mut state = exchange.step()?;
        state.file(answer.py(), file.descriptor(), file.offset, file.bytes)?;
        return Ok(Outcome::Kept);
    }
    let mut alone = count(exchange, answer)? == Some(1);
    // SAFETY: `answer` is a live object; the result is a new reference or null.
    let iterator = unsafe {
        Bound::from_owned_ptr_or_err(answer.py(), ffi::PyObject_GetIter(answer.as_ptr()))?
    };
    loop {
        // SAFETY: `iterator` came from PyObject_GetIter; null means the end or an exception.
        let next = unsafe {
            Bound::from_owned_ptr_or_opt(answer.py(), ffi::PyIter_Next(iterator.as_ptr()))
        };
        let Some(piece) = next else {
            return match PyErr::take(answer.py()) {
                Some(error) => Err(error.into()),
                None => Ok(Outcome::Kept),
            };
        };
        match send_piece(&mut *exchange.step()?, &piece, std::mem::take(&mut alone))? {
            Sent::More => {}
            Sent::NoBody => return Ok(Outcome::Kept),
            Sent::Cut => return Ok(Outcome::TooMuchBody),
        }
    }
}

/// The body, if it is one piece: the only item of a list or tuple, or `bytes` themselves, for
/// which uWSGI takes them too; iterating would give integers.
fn single_piece<'py>(answer: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let piece = if let Ok(list) = answer.cast_exact::<PyList>() {
        (list.len() == 1).then(|| list.get_item(0).ok())??
    } else if let Ok(tuple) = answer.cast_exact::<PyTuple>() {
        (tuple.len() == 1).then(|| tuple.get_item(0).ok())??
    } else {
        answer.clone()
    };
    raw::bytes_of(&piece).is_some().then_some(piece)
}

/// Sends one item; `alone`: it is all there is.
fn send_piece(state: &mut State, piece: &Bound<'_, PyAny>, alone: bool) -> Result<Sent, Failure> {
    let Some(bytes) = raw::bytes_of(piece) else {
        return Err(not_bytes(piece).into());
    };
    if bytes.is_empty() {
        // It must not trigger the head; but HEAD needs no more than to know that there is one.
        return Ok(if state.has_head() && state.bodyless() { Sent::NoBody } else { Sent::More });
    }
    let total = (alone && state.wants_length()).then_some(bytes.len() as u64);
    let head_alone = alone && state.bodyless() && state.content_length().is_none();
    let total = if head_alone { Some(bytes.len() as u64) } else { total };
    state.piece(piece.py(), bytes, total)
}

/// How many items the answer says it has; asked only if a length would help.
fn count(exchange: &Exchange, answer: &Bound<'_, PyAny>) -> Result<Option<usize>, Failure> {
    if !exchange.step()?.wants_length() {
        return Ok(None);
    }
    let typed = answer.get_type();
    if !typed.hasattr(pyo3::intern!(answer.py(), "__len__")).unwrap_or(false) {
        return Ok(None);
    }
    Ok(answer.len().ok())
}

/// Calls `close()` if the answer has it. What it raises is reported, the response stands.
fn close(answer: &Bound<'_, PyAny>) {
    if answer.is_exact_instance_of::<PyList>() || answer.is_exact_instance_of::<PyTuple>() {
        return;
    }
    let py = answer.py();
    let Ok(method) = answer.getattr(pyo3::intern!(py, "close")) else {
        return;
    };
    if let Err(error) = method.call0() {
        report::exception(py, &error);
    }
}
