//! What is still to be sent on a connection: bytes and parts of files, in order.
//!
//! What a slow client leaves is kept in memory up to a limit and beyond it in a temporary file,
//! so that neither a thread nor much memory waits for it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use sys::socket;

use super::body::temporary_file;

/// Most bytes moved by one sendfile call, so that one fast client does not hold a thread.
const FILE_STEP_BYTES: u64 = 1024 * 1024;
/// Bytes of one connection that wait in memory.
const MEMORY_BYTES_MAX: usize = 512 * 1024;
/// Bytes of one connection that wait in its temporary file; beyond it the app waits.
const SPILL_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes that wait for the answer to the next request ([`Output::cork`]).
const CORKED_BYTES_MAX: usize = 16 * 1024;

enum Piece {
    Bytes {
        bytes: Vec<u8>,
        sent: usize,
    },
    File {
        file: OwnedFd,
        offset: u64,
        bytes: u64,
    },
    /// A part of the connection's own temporary file.
    Spilled {
        offset: u64,
        bytes: u64,
    },
}

/// When what is sent leaves this machine's hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Departure {
    /// At once.
    #[default]
    AtOnce,
    /// Together with what is sent next on this connection: until then it waits here.
    Corked,
    /// The next answer is to be held by the kernel.
    HeldNext,
    /// The kernel holds the last answer until [`Output::release`], or for 200 ms.
    Held,
}

/// The output queue of one connection.
#[derive(Default)]
pub struct Output {
    pieces: VecDeque<Piece>,
    departure: Departure,
    /// Bytes in memory that wait. Invariant: the sum over `pieces`.
    waiting: usize,
    spill: Option<File>,
    /// Where the temporary file ends.
    spill_end: u64,
    /// Bytes of the temporary file that wait. Invariant: the sum over `pieces`.
    spilled: u64,
}

impl Output {
    /// Whether everything has been sent.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether so much waits that the app should wait as well.
    pub fn is_full(&self) -> bool {
        self.spilled >= SPILL_BYTES_MAX || (self.spill.is_none() && self.waiting > MEMORY_BYTES_MAX)
    }

    /// Lets short answers wait for the next one, to go out together: for a client that has sent
    /// its next request already.
    pub fn cork(&mut self) {
        self.departure = Departure::Corked;
    }

    /// Whether short answers wait for the next one.
    pub fn is_corked(&self) -> bool {
        self.departure == Departure::Corked
    }

    /// Lets go what waited for the next answer.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn uncork(&mut self, to: BorrowedFd<'_>) -> io::Result<()> {
        if !self.is_corked() {
            return Ok(());
        }
        self.departure = Departure::AtOnce;
        self.flush(to)
    }

    /// Lets the kernel hold the answer that is sent next, if it takes it in one piece: the peer is
    /// not woken before [`Output::release`].
    pub fn hold_next(&mut self) {
        self.departure = Departure::HeldNext;
    }

    /// Whether the kernel holds the last answer.
    pub fn is_held(&self) -> bool {
        self.departure == Departure::Held
    }

    /// Lets the kernel send what it holds. If the peer is gone, the next send or read says so.
    pub fn release(&mut self, to: BorrowedFd<'_>) {
        if std::mem::take(&mut self.departure) == Departure::Held {
            // Setting it again, on a socket that has it, is what sends: tcp(7).
            socket::send_at_once(to);
        }
    }

    /// Sends `head` and then `body`, at once if nothing waits before them; what the socket does
    /// not take is kept.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn send(&mut self, to: BorrowedFd<'_>, head: &[u8], body: &[u8]) -> io::Result<()> {
        if self.is_corked() {
            if self.waiting + head.len() + body.len() <= CORKED_BYTES_MAX {
                self.keep(head);
                self.keep(body);
                return Ok(());
            }
            self.uncork(to)?;
        }
        let mut sent = 0;
        let hold = std::mem::take(&mut self.departure) == Departure::HeldNext && body.is_empty();
        if self.pieces.is_empty() {
            let result = if body.is_empty() {
                socket::send(to, head, hold)
            } else if head.is_empty() {
                socket::send(to, body, false)
            } else {
                socket::send_pieces(to, &[IoSlice::new(head), IoSlice::new(body)])
            };
            sent = match result {
                Ok(sent) => sent,
                Err(error) if is_later(&error) => 0,
                Err(error) => return Err(error),
            };
        }
        if sent < head.len() + body.len() {
            self.keep(head.get(sent..).unwrap_or(&[]));
            self.keep(body.get(sent.saturating_sub(head.len())..).unwrap_or(&[]));
        } else if hold {
            self.departure = Departure::Held;
        }
        Ok(())
    }

    /// Sends a part of a file behind everything that waits. The descriptor is duplicated if it
    /// cannot all go at once.
    ///
    /// # Errors
    /// The peer is gone, or there are no descriptors left.
    pub fn send_file(
        &mut self,
        to: BorrowedFd<'_>,
        file: BorrowedFd<'_>,
        offset: u64,
        bytes: u64,
    ) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.pieces.push_back(Piece::File { file: file.try_clone_to_owned()?, offset, bytes });
        self.flush(to)
    }

    /// Sends as much of what waits as the socket takes.
    ///
    /// # Errors
    /// The peer is gone, or a file is shorter than was said.
    pub fn flush(&mut self, to: BorrowedFd<'_>) -> io::Result<()> {
        while !self.pieces.is_empty() {
            match self.send_first(to) {
                Ok(true) => {}
                Ok(false) => drop(self.pieces.pop_front()),
                Err(error) if is_later(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.spill = None;
        self.spill_end = 0;
        Ok(())
    }

    /// Sends some of the first piece; whether some of it is left.
    fn send_first(&mut self, to: BorrowedFd<'_>) -> io::Result<bool> {
        match self.pieces.front_mut() {
            None => Ok(false),
            Some(Piece::Bytes { bytes, sent }) => {
                let rest = bytes.get(*sent..).unwrap_or(&[]);
                let count = if rest.is_empty() { 0 } else { socket::send(to, rest, false)? };
                *sent += count;
                self.waiting -= count;
                Ok(*sent < bytes.len())
            }
            Some(Piece::File { file, offset, bytes }) => {
                send_part(to, file.as_fd(), offset, bytes)?;
                Ok(*bytes > 0)
            }
            Some(Piece::Spilled { offset, bytes }) => {
                let Some(spill) = &self.spill else { return Ok(false) };
                self.spilled -= send_part(to, spill.as_fd(), offset, bytes)?;
                Ok(*bytes > 0)
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let fits = self.waiting + bytes.len() <= MEMORY_BYTES_MAX;
        let behind = matches!(self.pieces.back(), Some(Piece::Spilled { .. }));
        if (behind || !fits) && self.keep_in_file(bytes).is_ok() {
            return;
        }
        // Also when there is no room for a temporary file: then the app waits.
        self.waiting += bytes.len();
        if let Some(Piece::Bytes { bytes: last, .. }) = self.pieces.back_mut() {
            last.extend_from_slice(bytes);
        } else {
            self.pieces.push_back(Piece::Bytes { bytes: bytes.to_vec(), sent: 0 });
        }
    }

    fn keep_in_file(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &self.spill {
            Some(file) => file,
            None => self.spill.insert(temporary_file()?),
        };
        file.write_all_at(bytes, self.spill_end)?;
        let (start, count) = (self.spill_end, bytes.len() as u64);
        self.spill_end += count;
        self.spilled += count;
        match self.pieces.back_mut() {
            Some(Piece::Spilled { offset, bytes }) if *offset + *bytes == start => *bytes += count,
            _ => self.pieces.push_back(Piece::Spilled { offset: start, bytes: count }),
        }
        Ok(())
    }
}

/// Sends some of a file's part, which becomes shorter by that; how much.
fn send_part(
    to: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    bytes: &mut u64,
) -> io::Result<u64> {
    let step = usize::try_from((*bytes).min(FILE_STEP_BYTES)).unwrap_or(usize::MAX);
    let count = sys::send::sendfile(to, file, *offset, step)? as u64;
    if count == 0 {
        // The length has been promised: a file that shrank is a cut response.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    *offset += count;
    *bytes -= count;
    Ok(count)
}

/// Whether the call may be made again later.
pub fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
