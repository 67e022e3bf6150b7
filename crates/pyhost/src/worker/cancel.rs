//! Hearing from the front that nobody waits for a request's answer any more
//! ([`ReplyKind::Cancel`]).
//!
//! Whichever thread reads such a frame notes it for the thread that serves the request, by the
//! ids on the scoreboard; that one asks between two pieces of its answer. A frame that comes too
//! late finds no id and is forgotten.

use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use proto::channel::{REPLY_HEAD_BYTES, ReplyHeader, ReplyKind};
use sys::socket;

use super::Worker;
use super::output::is_later;

impl Worker {
    /// Reads what the front has to say on a reply socket, without waiting; false: it has gone.
    pub(super) fn read_cancels(&self, reply: BorrowedFd<'_>) -> bool {
        let mut room = [0; REPLY_HEAD_BYTES];
        loop {
            match socket::receive(reply, &mut room) {
                Ok(0) => return false,
                Ok(count) => {
                    let frame = room.get(..count).unwrap_or(&[]);
                    if let Ok(ReplyHeader { id, kind: ReplyKind::Cancel, .. }) =
                        ReplyHeader::decode(frame)
                    {
                        self.note_cancel(id);
                    }
                }
                Err(error) if is_later(&error) => return true,
                Err(_) => return false,
            }
        }
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
