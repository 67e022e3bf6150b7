//! The seam between the WSGI bridge and the transports: what a request brings, where its
//! response goes.
//!
//! The bridge (`wsgi/`) knows Python and no socket; a transport (`worker/`) knows a socket and
//! no Python objects. Methods get `Python` so that they can detach (release the GIL) before
//! they wait.

use std::fs::File;
use std::os::fd::BorrowedFd;

use bytes::Bytes;
use pyo3::Python;

use crate::fields::Fields;

/// A request as the bridge sees it: CGI variables and a body.
pub struct Request<'a> {
    /// CGI variables in the coding of the uwsgi protocol (u16 length and key, u16 length and
    /// value, little endian, repeated): HTTP transports build the same, so that there is one
    /// way into `environ`.
    pub vars: &'a [u8],
    /// The body.
    pub input: Input,
    /// The connection was made over HTTP to the worker itself; then `vars` was made by us and
    /// is trusted to be complete.
    pub direct: bool,
}

/// Where a request's body is.
pub enum Input {
    /// There is none.
    Empty,
    /// All of it, in memory.
    Memory(Bytes),
    /// All of it, in a file, from offset 0.
    File(File, u64),
    /// Still arriving.
    Live(Box<dyn LiveInput>),
}

/// A body that is still arriving on a socket.
pub trait LiveInput: Send {
    /// Appends up to `bytes_max` more bytes to `out`; 0 means the end of the body. Waits
    /// (detached) until there is something. The client's early end is an error.
    ///
    /// # Errors
    /// The client vanished, sent nothing for too long, or broke the body's framing.
    fn read(
        &mut self,
        py: Python<'_>,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> std::io::Result<usize>;
}

/// Status and header fields of a response, validated by the bridge.
#[derive(Debug)]
pub struct ResponseParts<'a> {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Reason phrase as the app wrote it.
    pub reason: &'a [u8],
    /// Every field, in the app's order; no hop-by-hop fields, no CR, LF, NUL.
    pub fields: &'a Fields,
    /// The app's own Content-Length, if it sent one (it is also in `fields`), or the length of
    /// the body if the bridge knows it is complete.
    pub content_length: Option<u64>,
    /// The app sent no Content-Length but the bridge knows it: the transport adds the field.
    pub add_content_length: bool,
}

/// Why bytes could not be sent.
#[derive(Debug)]
pub enum SendError {
    /// The client (or the front) has gone: not the app's fault, logged at `info`.
    Gone,
    /// Nothing could be sent for too long.
    TimedOut,
    /// The response's own bookkeeping forbids it (more body than Content-Length).
    TooMuch,
}

/// Where a response goes. Legal order: `start` once, then `body` and `file` any number of times
/// unless `start` said `end`, then `end` or `abort`.
///
/// A response that is neither ended nor aborted when the transport drops it is aborted.
pub trait Responder {
    /// Sends status, fields and the first piece of the body, in one write if possible. `end`:
    /// this was all of it, and `end()` is not called any more. `end` without a
    /// `content_length` is a response that has no body by its nature (HEAD, 204, 304): no
    /// framing field is to be added.
    ///
    /// # Errors
    /// See [`SendError`].
    fn start(
        &mut self,
        py: Python<'_>,
        parts: &ResponseParts<'_>,
        first: &[u8],
        end: bool,
    ) -> Result<(), SendError>;

    /// Sends one piece of the body before it returns (or hands it to a buffer that goes out by
    /// itself): a generator's item reaches the client before the next one is asked for.
    ///
    /// # Errors
    /// See [`SendError`].
    fn body(&mut self, py: Python<'_>, piece: &[u8]) -> Result<(), SendError>;

    /// Sends a part of a file (`wsgi.file_wrapper`).
    ///
    /// # Errors
    /// See [`SendError`].
    fn file(
        &mut self,
        py: Python<'_>,
        file: BorrowedFd<'_>,
        offset: u64,
        bytes: u64,
    ) -> Result<(), SendError>;

    /// The response is whole.
    ///
    /// # Errors
    /// See [`SendError`].
    fn end(&mut self, py: Python<'_>) -> Result<(), SendError>;

    /// The response cannot be completed: if nothing was sent, the client gets `status`;
    /// otherwise it sees the cut (no last chunk, connection closed).
    fn abort(&mut self, py: Python<'_>, status: u16, reason: &str);
}

/// What is known of a request after it was served; the request log is made of it.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// Status sent, 0 if none.
    pub status: u16,
    /// How many header fields the app sent.
    pub header_count: u32,
    /// Bytes of the response head, as uWSGI counts them (status line, fields, empty line).
    pub header_bytes: u64,
    /// Bytes of the body.
    pub body_bytes: u64,
    /// The body went as a file.
    pub via_sendfile: bool,
    /// The app raised.
    pub raised: bool,
    /// The mounted app that served it, by its number; `None` if it came to none.
    pub app: Option<u32>,
}
