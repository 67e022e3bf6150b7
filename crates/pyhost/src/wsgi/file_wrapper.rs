//! `wsgi.file_wrapper`: an iterable over a file that the transport may send by itself.

use std::os::fd::{BorrowedFd, RawFd};

use pyo3::prelude::*;

/// Most layers of wrapping (temporary files, frameworks' file classes) that are looked through.
const LAYERS_MAX: usize = 3;

/// `wsgi.file_wrapper(filelike, blksize=8192)`.
#[pyclass(frozen, module = "propylon")]
pub struct FileWrapper {
    /// The app's file-like object.
    #[pyo3(get)]
    filelike: Py<PyAny>,
    /// Bytes per read when the file is iterated over.
    #[pyo3(get)]
    blksize: isize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize = 8192))]
    fn new(filelike: Py<PyAny>, blksize: isize) -> FileWrapper {
        FileWrapper { filelike, blksize }
    }

    fn __iter__(own: Py<Self>) -> Py<Self> {
        own
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let piece =
            self.filelike.bind(py).call_method1(pyo3::intern!(py, "read"), (self.blksize,))?;
        Ok(piece.is_truthy()?.then_some(piece))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let filelike = self.filelike.bind(py);
        if filelike.hasattr(pyo3::intern!(py, "close"))? {
            filelike.call_method0(pyo3::intern!(py, "close"))?;
        }
        Ok(())
    }
}

/// A regular file, from its current position to its end.
pub struct PlainFile<'py> {
    /// Keeps the descriptor open.
    owner: Bound<'py, PyAny>,
    descriptor: RawFd,
    /// Position of the next byte the app would read.
    pub offset: u64,
    /// How many bytes follow.
    pub bytes: u64,
}

impl PlainFile<'_> {
    /// The file's descriptor.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        let _ = &self.owner;
        // SAFETY: the descriptor belongs to `owner`, which is alive; an app that closes the file
        // in another thread meanwhile harms its own response only.
        unsafe { BorrowedFd::borrow_raw(self.descriptor) }
    }
}

/// The file behind the wrapper, if its bytes are exactly what reading would give: an unbuffered
/// or buffered binary file of `io`. Anything that decodes on the way (`gzip`), or is no regular
/// file, is iterated over instead.
pub fn plain_file<'py>(wrapper: &Bound<'py, FileWrapper>) -> Option<PlainFile<'py>> {
    let py = wrapper.py();
    let io = py.import(pyo3::intern!(py, "io")).ok()?;
    let raw = io.getattr("FileIO").ok()?;
    let buffered = [io.getattr("BufferedReader").ok()?, io.getattr("BufferedRandom").ok()?];
    let is_plain = |file: &Bound<'py, PyAny>| {
        file.is_exact_instance(&raw)
            || buffered.iter().any(|class| file.is_exact_instance(class))
                && file.getattr("raw").is_ok_and(|below| below.is_exact_instance(&raw))
    };
    let mut file = wrapper.get().filelike.bind(py).clone();
    for _ in 0..LAYERS_MAX {
        if is_plain(&file) {
            break;
        }
        file = file.getattr("file").ok()?;
    }
    if !is_plain(&file) {
        return None;
    }
    // A file opened for writing too may hold bytes that are not in the file yet.
    file.call_method0("flush").ok()?;
    let offset: u64 = file.call_method0("tell").ok()?.extract().ok()?;
    let descriptor: RawFd = file.call_method0("fileno").ok()?.extract().ok()?;
    let size = regular_size(descriptor)?;
    Some(PlainFile { owner: file, descriptor, offset, bytes: size.saturating_sub(offset) })
}

/// Size of a regular file; `None` for everything else.
fn regular_size(descriptor: RawFd) -> Option<u64> {
    if descriptor < 0 {
        return None;
    }
    // SAFETY: the descriptor is open: its file object is alive and answered `tell`.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let copy = std::fs::File::from(borrowed.try_clone_to_owned().ok()?);
    let facts = copy.metadata().ok()?;
    facts.is_file().then_some(facts.len())
}

/// The type object, for `environ`.
pub fn class(py: Python<'_>) -> Bound<'_, PyAny> {
    py.get_type::<FileWrapper>().into_any()
}
