//! Requests of our own front, and short answers to them, through shared memory
//! ([`proto::mailbox`]).

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use proto::channel::{self, BodyPlace};
use proto::mailbox::{Claim, Mailboxes, claimant};

use super::channel::ChannelRequest;
use crate::exchange::Input;

/// A worker's share in the mailboxes of its app.
#[derive(Debug)]
pub struct Mail {
    boxes: Mailboxes,
    /// What wakes the front's threads.
    bells: Vec<OwnedFd>,
    claimant: u32,
    seat: u32,
    /// The front has woken this worker for a request, and counts on it, even if it has been told
    /// to stop meanwhile.
    owed: AtomicBool,
    /// Where to look first: front threads take turns.
    lane: AtomicU32,
}

impl Mail {
    /// For the worker of that seat, the `birth`th of its app.
    pub fn new(boxes: Mailboxes, bells: Vec<OwnedFd>, seat: u32, birth: u32) -> Mail {
        let (owed, lane) = (AtomicBool::new(false), AtomicU32::new(0));
        Mail { boxes, bells, claimant: claimant(birth), seat, owed, lane }
    }

    /// Takes a request, if there is one; its bytes go to the start of `room`.
    pub fn take(&self, room: &mut [u8]) -> Option<ChannelRequest> {
        let lane = self.lane.load(Ordering::Relaxed);
        self.owed.store(false, Ordering::Relaxed);
        let claim = self.boxes.claim(lane, self.claimant, room)?;
        self.lane.store((claim.lane + 1) % self.boxes.lanes(), Ordering::Relaxed);
        let request = request(room.get(..claim.bytes).unwrap_or(&[]), claim);
        if request.is_none() {
            super::log::note("the front left no request in its mailbox");
            self.boxes.done(&claim);
        }
        request
    }

    /// Leaves an answer, which must be whole; false if it is too long.
    pub fn reply(&self, claim: &Claim, parts: &[&[u8]]) -> bool {
        let Some(front_sleeps) = self.boxes.reply(claim, parts) else { return false };
        if front_sleeps && let Some(bell) = self.bells.get(claim.lane as usize) {
            sys::eventfd::signal(bell.as_fd());
        }
        true
    }

    /// The request is over; its answer went over the sockets, or nobody waits for it.
    pub fn done(&self, claim: &Claim) {
        self.boxes.done(claim);
    }

    /// The worker is about to sleep, and must look once more for a request.
    pub fn sleeps(&self) {
        self.boxes.worker_sleeps(self.seat);
    }

    /// The worker does not sleep any more.
    pub fn is_awake(&self) {
        // If somebody is about to wake it, a frame comes that says so.
        self.boxes.worker_is_awake(self.seat);
    }

    /// The front has woken this worker.
    pub fn is_woken(&self) {
        self.owed.store(true, Ordering::Relaxed);
    }

    /// Whether the front counts on a look that has not been taken yet.
    pub fn owes_a_look(&self) -> bool {
        self.owed.load(Ordering::Relaxed)
    }
}

fn request(letter: &[u8], claim: Claim) -> Option<ChannelRequest> {
    let frame = channel::decode_request(letter).ok()?;
    if frame.header.body != BodyPlace::Inline {
        return None;
    }
    let body = letter.get(frame.body)?;
    let input =
        if body.is_empty() { Input::Empty } else { Input::Memory(Bytes::copy_from_slice(body)) };
    Some(ChannelRequest { header: frame.header, vars: frame.vars, input, claim: Some(claim) })
}
