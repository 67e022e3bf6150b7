//! `wsgi.input`: the body as a binary file that ends where the body ends.

use std::fs::File;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use memchr::memchr;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySlice};

use super::raw;
use crate::exchange::{Input as Body, LiveInput};

/// Bytes asked of a file or socket at once when the app names no number.
const STEP_BYTES: usize = 64 * 1024;

/// Where the bytes that are not in memory yet come from.
enum Source {
    /// All that is left is in the buffer.
    Drained,
    /// A temporary file, this many bytes of it left.
    File(Mutex<File>, u64),
    /// The connection.
    Live(Mutex<Box<dyn LiveInput>>),
    /// The request is over; reading is an error.
    Over,
}

/// The body of one request. One thread at a time may read it; PyO3's borrow check says so to
/// the other one.
#[pyclass(module = "propylon")]
pub struct Input {
    /// Bytes that were fetched but not read yet.
    ahead: Bytes,
    source: Source,
}

impl Input {
    /// The body as a Python object will read it.
    pub fn new(body: Body) -> Input {
        let (ahead, source) = match body {
            Body::Empty => (Bytes::new(), Source::Drained),
            Body::Memory(bytes) => (bytes, Source::Drained),
            Body::File(file, bytes) => (Bytes::new(), Source::File(Mutex::new(file), bytes)),
            Body::Live(live) => (Bytes::new(), Source::Live(Mutex::new(live))),
        };
        Input { ahead, source }
    }

    /// Lets go of the connection or file; later reads raise.
    pub fn finish(&mut self) {
        self.ahead = Bytes::new();
        self.source = Source::Over;
    }

    /// Appends up to `bytes_max` more bytes to `out`; `false` at the end of the body.
    fn fetch(&mut self, py: Python<'_>, bytes_max: usize, out: &mut Vec<u8>) -> PyResult<bool> {
        let got = match &mut self.source {
            Source::Drained => return Ok(false),
            Source::Over => return Err(PyValueError::new_err("the request is over")),
            Source::File(file, left) => {
                let file = file.get_mut().unwrap_or_else(PoisonError::into_inner);
                let step = u64::min(*left, bytes_max as u64);
                // Otherwise it would be found out how much there is by smaller reads.
                out.reserve(usize::try_from(step).unwrap_or(STEP_BYTES));
                let got = py.detach(|| file.by_ref().take(step).read_to_end(out))?;
                *left -= got as u64;
                got
            }
            Source::Live(live) => {
                let live = live.get_mut().unwrap_or_else(PoisonError::into_inner);
                live.read(py, bytes_max, out)?
            }
        };
        if got == 0 {
            self.source = Source::Drained;
        }
        Ok(got > 0)
    }

    fn take<'py>(&mut self, py: Python<'py>, bytes: usize) -> Bound<'py, PyBytes> {
        let taken = self.ahead.split_to(bytes.min(self.ahead.len()));
        PyBytes::new(py, &taken)
    }

    /// The next `wanted` bytes, or all that are left.
    fn gather<'py>(&mut self, py: Python<'py>, wanted: usize) -> PyResult<Bound<'py, PyBytes>> {
        if wanted <= self.ahead.len() || matches!(self.source, Source::Drained) {
            return Ok(self.take(py, wanted));
        }
        if self.ahead.is_empty()
            && let Source::File(file, left) = &mut self.source
        {
            let file = file.get_mut().unwrap_or_else(PoisonError::into_inner);
            return read_file(py, file, left, wanted);
        }
        let mut out = Vec::from(std::mem::take(&mut self.ahead));
        loop {
            let step = (wanted - out.len()).min(STEP_BYTES);
            match self.fetch(py, step, &mut out) {
                Ok(true) if out.len() < wanted => {}
                Ok(_) => break,
                Err(error) => {
                    // What was read before stays readable.
                    self.ahead = Bytes::from(out);
                    return Err(error);
                }
            }
        }
        // A transport that gave more than it was asked for loses nothing.
        let surplus = out.split_off(wanted.min(out.len()));
        self.ahead = Bytes::from(surplus);
        Ok(PyBytes::new(py, &out))
    }

    /// The next line with its line feed, at most `wanted` bytes of it.
    fn line<'py>(&mut self, py: Python<'py>, wanted: usize) -> PyResult<Bound<'py, PyBytes>> {
        if let Some(at) = memchr(b'\n', &self.ahead) {
            return Ok(self.take(py, wanted.min(at + 1)));
        }
        if wanted <= self.ahead.len() || matches!(self.source, Source::Drained) {
            return Ok(self.take(py, wanted));
        }
        let mut out = Vec::from(std::mem::take(&mut self.ahead));
        let mut end = None;
        while end.is_none() && out.len() < wanted {
            let seen = out.len();
            match self.fetch(py, STEP_BYTES, &mut out) {
                Ok(true) => {
                    end =
                        out.get(seen..).and_then(|new| memchr(b'\n', new)).map(|at| seen + at + 1);
                }
                Ok(false) => break,
                Err(error) => {
                    self.ahead = Bytes::from(out);
                    return Err(error);
                }
            }
        }
        let cut = end.unwrap_or(out.len()).min(wanted).min(out.len());
        self.ahead = Bytes::from(out.split_off(cut));
        Ok(PyBytes::new(py, &out))
    }
}

/// The next `wanted` bytes of a file that has `left` more, read to where Python will look for them.
fn read_file<'py>(
    py: Python<'py>,
    file: &File,
    left: &mut u64,
    wanted: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let length = wanted.min(usize::try_from(*left).unwrap_or(usize::MAX));
    raw::bytes(py, length, |room| {
        py.detach(|| {
            let mut got = 0;
            while let Some(rest @ [_, ..]) = room.get_mut(got..) {
                let count = sys::files::read_unwritten(file, rest)?;
                if count == 0 {
                    // Somebody made it shorter.
                    *left = 0;
                    return Ok(got);
                }
                got += count;
                *left = left.saturating_sub(count as u64);
            }
            Ok(got)
        })
    })
}

/// A size argument: missing, `None` and negative numbers mean all.
fn size(argument: Option<isize>) -> usize {
    argument.map_or(usize::MAX, |size| usize::try_from(size).unwrap_or(usize::MAX))
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size = None, /))]
    fn read<'py>(&mut self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.gather(py, self::size(size))
    }

    /// Like `read`, but satisfied with what one look at the connection brings.
    #[pyo3(signature = (size = None, /))]
    fn read1<'py>(
        &mut self,
        py: Python<'py>,
        size: Option<isize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let wanted = self::size(size).min(STEP_BYTES);
        if self.ahead.is_empty() && wanted > 0 {
            let mut out = Vec::new();
            self.fetch(py, wanted, &mut out)?;
            self.ahead = Bytes::from(out);
        }
        Ok(self.take(py, wanted))
    }

    /// Fills a writable buffer; answers how many bytes that were.
    fn readinto(&mut self, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = buffer.py();
        let wanted = py
            .import("builtins")?
            .getattr("memoryview")?
            .call1((buffer,))?
            .call_method1("cast", ("B",))?;
        let bytes = self.gather(py, wanted.len()?)?;
        let count = bytes.len()?;
        wanted.set_item(PySlice::new(py, 0, count.try_into()?, 1), bytes)?;
        Ok(count)
    }

    #[pyo3(signature = (size = None, /))]
    fn readline<'py>(
        &mut self,
        py: Python<'py>,
        size: Option<isize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.line(py, self::size(size))
    }

    /// All lines, or as many as it takes to pass `hint` bytes.
    #[pyo3(signature = (hint = None, /))]
    fn readlines<'py>(
        &mut self,
        py: Python<'py>,
        hint: Option<isize>,
    ) -> PyResult<Bound<'py, PyList>> {
        let enough = match hint {
            Some(hint) if hint > 0 => self::size(Some(hint)),
            _ => usize::MAX,
        };
        let lines = PyList::empty(py);
        let mut total = 0;
        while total < enough {
            let line = self.line(py, usize::MAX)?;
            let bytes = line.len()?;
            if bytes == 0 {
                break;
            }
            total += bytes;
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(own: Py<Self>) -> Py<Self> {
        own
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.line(py, usize::MAX)?;
        Ok((line.len()? > 0).then_some(line))
    }

    fn readable(&self) -> bool {
        true
    }

    fn writable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        false
    }

    #[getter]
    fn closed(&self) -> bool {
        matches!(self.source, Source::Over)
    }

    /// PEP 3333 leaves closing to the server: nothing happens.
    fn close(&self) {}

    /// For readers that wrap this file.
    fn flush(&self) {}
}
