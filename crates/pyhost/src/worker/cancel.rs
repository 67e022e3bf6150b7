//! Hearing from the front: that nobody waits for a request's answer any more
//! ([`ReplyKind::Cancel`]), or that a sleeping worker has a request ([`ReplyKind::Wake`]).
//!
//! Whichever thread reads a cancel frame notes it for the thread that serves the request, by the
//! ids on the scoreboard; that one asks between two pieces of its answer. A frame that comes too
//! late finds no id and is forgotten.

use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use proto::channel::{REPLY_HEAD_BYTES, ReplyHeader, ReplyKind};
use sys::socket;

use super::Worker;
use super::output::is_later;

/// What came of reading a reply socket.
pub(super) enum Heard {
    /// A frame, and perhaps there are more.
    Frame,
    /// Nothing (more).
    Nothing,
    /// The front has gone.
    End,
}

impl Worker {
    /// Reads all that the front has to say on a reply socket, without waiting; false: it has
    /// gone.
    pub(super) fn read_front(&self, reply: BorrowedFd<'_>) -> bool {
        loop {
            match self.read_front_frame(reply) {
                Heard::Frame => {}
                Heard::Nothing => return true,
                Heard::End => return false,
            }
        }
    }

    /// Reads one frame.
    pub(super) fn read_front_frame(&self, reply: BorrowedFd<'_>) -> Heard {
        let mut room = [0; REPLY_HEAD_BYTES];
        let count = match socket::receive(reply, &mut room) {
            Ok(count) if count > 0 => count,
            Err(error) if is_later(&error) => return Heard::Nothing,
            _ => return Heard::End,
        };
        match ReplyHeader::decode(room.get(..count).unwrap_or(&[])) {
            Ok(ReplyHeader { id, kind: ReplyKind::Cancel, .. }) => self.note_cancel(id),
            Ok(ReplyHeader { kind: ReplyKind::Wake, .. }) => {
                if let Some(mail) = &self.mail {
                    mail.is_woken();
                }
            }
            _ => {}
        }
        Heard::Frame
    }

    /// Whether the client of the request that this thread serves has gone.
    pub(super) fn is_cancelled(&self, core: u32, id: u64) -> bool {
        let noted = self.cancelled.get(core as usize);
        noted.is_some_and(|noted| noted.load(Ordering::Acquire) == id.wrapping_add(1))
    }

    fn note_cancel(&self, id: u64) {
        let mark = id.wrapping_add(1);
        for (core, noted) in (0..).zip(&self.cancelled) {
            if self.slot(core, 0).is_some_and(|word| word.load(Ordering::Acquire) == mark) {
                noted.store(mark, Ordering::Release);
            }
        }
    }
}
