//! What is still to be sent on a connection: bytes and parts of files, in order.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::socket;

/// Most bytes moved by one sendfile call, so that one fast client does not hold a thread.
const FILE_STEP_BYTES: u64 = 1024 * 1024;

enum Piece {
    Bytes { bytes: Vec<u8>, sent: usize },
    File { file: OwnedFd, offset: u64, bytes: u64 },
}

/// The output queue of one connection.
#[derive(Default)]
pub struct Output {
    pieces: VecDeque<Piece>,
    /// Bytes in memory that wait. Invariant: the sum over `pieces`.
    waiting: usize,
}

impl Output {
    /// Whether everything has been sent.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes in memory that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting
    }

    /// Sends `head` and then `body`, at once if nothing waits before them; what the socket does
    /// not take is kept.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn send(&mut self, to: BorrowedFd<'_>, head: &[u8], body: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        if self.pieces.is_empty() {
            let result = if body.is_empty() {
                socket::send(to, head, false)
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
        while let Some(piece) = self.pieces.front_mut() {
            let more = match send_piece(to, piece) {
                Ok((count, more)) => {
                    self.waiting -= count;
                    more
                }
                Err(error) if is_later(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
            if !more {
                self.pieces.pop_front();
            }
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.waiting += bytes.len();
        if let Some(Piece::Bytes { bytes: last, .. }) = self.pieces.back_mut() {
            last.extend_from_slice(bytes);
        } else {
            self.pieces.push_back(Piece::Bytes { bytes: bytes.to_vec(), sent: 0 });
        }
    }
}

/// Sends some of a piece: how many bytes of memory went, and whether some of it is left.
fn send_piece(to: BorrowedFd<'_>, piece: &mut Piece) -> io::Result<(usize, bool)> {
    match piece {
        Piece::Bytes { bytes, sent } => {
            let rest = bytes.get(*sent..).unwrap_or(&[]);
            let count = if rest.is_empty() { 0 } else { socket::send(to, rest, false)? };
            *sent += count;
            Ok((count, *sent < bytes.len()))
        }
        Piece::File { file, offset, bytes } => {
            let step = usize::try_from((*bytes).min(FILE_STEP_BYTES)).unwrap_or(usize::MAX);
            let count = sys::send::sendfile(to, file.as_fd(), *offset, step)? as u64;
            if count == 0 {
                // The length has been promised: a file that shrank is a cut response.
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            *offset += count;
            *bytes -= count;
            Ok((0, *bytes > 0))
        }
    }
}

/// Whether the call may be made again later.
pub fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
