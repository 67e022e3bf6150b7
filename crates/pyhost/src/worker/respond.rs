//! Answers on a client's own connection: HTTP/1.1, or what uWSGI sends on a uwsgi socket (an
//! HTTP head, the body, the end of the connection).

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;

use plan::app::Protocol;
use pyo3::Python;
use sys::clock::monotonic_ms;

use super::Worker;
use super::connection::{After, Connection};
use super::harakiri::{Flight, may_begin};
use super::read::Manner;
use super::wait::{For, wait_detached};
use crate::exchange::{Responder, ResponseParts, SendError};
use crate::fields::Fields;

/// Up to here a piece is copied behind its chunk's size line; longer ones go as they are.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// A request that took longer may have missed the order to stop.
const SLOW_MS: u64 = 10;

/// How the body's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Nothing has been sent.
    Unset,
    /// No body goes out (HEAD, 204, 304).
    None,
    /// So many bytes are missing.
    Length(u64),
    Chunked,
    UntilClose,
}

/// Sends one answer on a connection.
pub struct StreamResponder<'a> {
    connection: &'a mut Connection,
    manner: Manner,
    framing: Framing,
    /// Invariant: `Reset` or `Close` until the answer is whole.
    after: After,
    keep_alive: bool,
    pieces: u32,
    worker: &'a Worker,
    began_ms: u64,
    flight: Option<&'a Mutex<Flight>>,
    buffer: &'a mut Vec<u8>,
}

impl<'a> StreamResponder<'a> {
    /// For one request that began at `began_ms`. `buffer` is the thread's, to build heads in.
    pub fn new(
        connection: &'a mut Connection,
        manner: Manner,
        worker: &'a Worker,
        began_ms: u64,
        flight: Option<&'a Mutex<Flight>>,
        buffer: &'a mut Vec<u8>,
    ) -> StreamResponder<'a> {
        StreamResponder {
            connection,
            manner,
            framing: Framing::Unset,
            after: After::Close,
            keep_alive: manner.keep_alive,
            pieces: 0,
            worker,
            began_ms,
            flight,
            buffer,
        }
    }

    /// What is to be done with the connection, and how many pieces the body had.
    pub fn finish(self) -> (After, u32) {
        (self.after, self.pieces)
    }

    /// Chooses the framing and writes the head into the buffer.
    fn build_head(&mut self, parts: &ResponseParts<'_>) {
        let bodiless = message::is_bodiless(parts.status);
        let http = self.manner.protocol == Protocol::Http;
        self.framing = match parts.content_length {
            _ if bodiless || self.manner.head_only => Framing::None,
            Some(bytes) => Framing::Length(bytes),
            None if http && self.manner.http11 => Framing::Chunked,
            None => Framing::UntilClose,
        };
        if self.keep_alive && monotonic_ms().saturating_sub(self.began_ms) > SLOW_MS {
            // With one thread nobody else has read the order to stop meanwhile.
            self.worker.read_control();
        }
        self.keep_alive &= self.framing != Framing::UntilClose && !self.worker.is_quiescing();
        let out = &mut *self.buffer;
        out.clear();
        // RFC 9112, 2.3: the version is the server's own; uWSGI echoes it to web servers.
        let version = if http || self.manner.http11 { "HTTP/1.1" } else { "HTTP/1.0" };
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(version.as_bytes());
        out.push(b' ');
        out.extend_from_slice(digits.format(parts.status).as_bytes());
        out.push(b' ');
        out.extend_from_slice(parts.reason);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(parts.fields.lines());
        if let Some(bytes) = parts.content_length.filter(|_| parts.add_content_length && !bodiless)
        {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(digits.format(bytes).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if self.framing == Framing::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if http && !self.keep_alive {
            out.extend_from_slice(b"Connection: close\r\n");
        } else if http && !self.manner.http11 {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Sends what is in the buffer (a head, or nothing) and a piece of the body behind it.
    fn send_piece(&mut self, piece: &[u8]) -> Result<(), SendError> {
        let (piece, too_much) = match &mut self.framing {
            Framing::None => (&[][..], false),
            Framing::Length(left) => {
                let fits = piece.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= fits as u64;
                (piece.get(..fits).unwrap_or(piece), fits < piece.len())
            }
            _ => (piece, false),
        };
        let chunked = self.framing == Framing::Chunked && !piece.is_empty();
        if chunked {
            let _ = write!(self.buffer, "{:x}\r\n", piece.len());
        }
        let socket = self.connection.socket.as_fd();
        let output = &mut self.connection.output;
        let sent = if piece.len() <= COPIED_BYTES_MAX {
            self.buffer.extend_from_slice(piece);
            if chunked {
                self.buffer.extend_from_slice(b"\r\n");
            }
            if self.buffer.is_empty() { Ok(()) } else { output.send(socket, self.buffer, b"") }
        } else {
            let tail: &[u8] = if chunked { b"\r\n" } else { b"" };
            output.send(socket, self.buffer, piece).and_then(|()| match tail {
                b"" => Ok(()),
                tail => output.send(socket, tail, b""),
            })
        };
        self.buffer.clear();
        sent.map_err(|_| SendError::Gone)?;
        if too_much { Err(SendError::TooMuch) } else { Ok(()) }
    }

    /// Waits, detached, until the client has taken enough of what waits.
    fn wait_for_room(&mut self, py: Python<'_>) -> Result<(), SendError> {
        if !self.connection.output.is_full() {
            return Ok(());
        }
        let timeout = self.worker.settings.socket_timeout_ms;
        let connection = &mut *self.connection;
        py.detach(|| {
            while connection.output.is_full() {
                let socket = connection.socket.as_fd();
                if !wait_detached(socket, For::Room, timeout).unwrap_or(false) {
                    return Err(SendError::TimedOut);
                }
                connection.output.flush(socket).map_err(|_| SendError::Gone)?;
            }
            Ok(())
        })
    }

    /// The answer is whole.
    fn complete(&mut self) {
        self.after = if self.keep_alive { After::NextRequest } else { After::Close };
    }
}

impl Responder for StreamResponder<'_> {
    fn start(
        &mut self,
        py: Python<'_>,
        parts: &ResponseParts<'_>,
        first: &[u8],
        end: bool,
    ) -> Result<(), SendError> {
        if !may_begin(self.flight) {
            return Err(SendError::Gone);
        }
        self.build_head(parts);
        if end && self.keep_alive {
            self.connection.choose_departure(self.began_ms);
        } else {
            let socket = self.connection.socket.as_fd();
            self.connection.output.uncork(socket).map_err(|_| SendError::Gone)?;
        }
        self.after = if self.framing == Framing::UntilClose { After::Reset } else { After::Close };
        self.pieces += 1;
        if end && self.framing == Framing::Chunked {
            // All of it is known, so no chunk needs to follow: one write.
            self.send_piece(first)?;
            return self.end(py);
        }
        self.send_piece(first)?;
        if end {
            if !matches!(self.framing, Framing::Length(1..)) {
                self.complete();
            }
            return Ok(());
        }
        self.wait_for_room(py)
    }

    fn body(&mut self, py: Python<'_>, piece: &[u8]) -> Result<(), SendError> {
        self.pieces += 1;
        if piece.is_empty() {
            return Ok(());
        }
        self.send_piece(piece)?;
        self.wait_for_room(py)
    }

    fn file(
        &mut self,
        py: Python<'_>,
        file: BorrowedFd<'_>,
        offset: u64,
        bytes: u64,
    ) -> Result<(), SendError> {
        let (bytes, too_much) = match &mut self.framing {
            Framing::None => return Ok(()),
            Framing::Length(left) => {
                let fits = bytes.min(*left);
                *left -= fits;
                (fits, fits < bytes)
            }
            _ => (bytes, false),
        };
        let chunked = self.framing == Framing::Chunked && bytes > 0;
        let socket = self.connection.socket.as_fd();
        let output = &mut self.connection.output;
        let prefix = if chunked { format!("{bytes:x}\r\n") } else { String::new() };
        let sent = py.detach(|| {
            if chunked {
                output.send(socket, prefix.as_bytes(), b"")?;
            }
            output.send_file(socket, file, offset, bytes)?;
            if chunked { output.send(socket, b"\r\n", b"") } else { Ok(()) }
        });
        sent.map_err(|_| SendError::Gone)?;
        if too_much { Err(SendError::TooMuch) } else { Ok(()) }
    }

    fn end(&mut self, _py: Python<'_>) -> Result<(), SendError> {
        match self.framing {
            // Too short: the client must see it, so the connection does not go on.
            Framing::Unset | Framing::Length(1..) => return Ok(()),
            Framing::Chunked => {
                let socket = self.connection.socket.as_fd();
                let sent = self.connection.output.send(socket, b"0\r\n\r\n", b"");
                sent.map_err(|_| SendError::Gone)?;
            }
            Framing::None | Framing::Length(0) | Framing::UntilClose => {}
        }
        self.complete();
        Ok(())
    }

    fn abort(&mut self, py: Python<'_>, status: u16, reason: &str) {
        if self.framing != Framing::Unset {
            return;
        }
        let reason = if reason.is_empty() { message::reason(status) } else { reason };
        let text = message::reason(status);
        let parts = ResponseParts {
            status,
            reason: reason.as_bytes(),
            fields: &Fields::of(&[(b"Content-Type", b"text/plain")]),
            content_length: Some(text.len() as u64),
            add_content_length: true,
        };
        // A client that has gone needs no answer.
        let _ = self.start(py, &parts, text.as_bytes(), true);
    }
}
