//! This thread's lane of mailboxes (`proto::mailbox`): which of them is whose.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use proto::mailbox::{Found, MAILBOXES, Mailboxes};
use tokio::net::unix::pipe;

/// Of a mailbox that a front before this one had used: nobody waits for its request.
const NOBODY: u64 = u64::MAX;

pub(super) struct Mail {
    boxes: Arc<Mailboxes>,
    lane: u32,
    /// Wakes the runtime when a worker signals it; nobody ever reads it. An eventfd in the
    /// clothes of a pipe: what can be registered for reading without `unsafe`.
    _bell: pipe::Receiver,
    /// Bits of mailboxes that are not free.
    used: Cell<u64>,
    letters: [Letter; MAILBOXES as usize],
    next_ticket: Cell<u64>,
    next_mailbox: Cell<u32>,
}

/// What is in a mailbox that is used.
struct Letter {
    /// The request.
    id: Cell<u64>,
    ticket: Cell<u64>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Mail").field("lane", &self.lane).finish_non_exhaustive()
    }
}

/// The mailboxes of the bits, from the lowest.
fn each(mut bits: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let mailbox = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (mailbox < MAILBOXES).then_some(mailbox)
    })
}

impl Mail {
    /// Takes over the lane of that thread.
    ///
    /// # Errors
    /// There is no such lane, or the bell cannot be watched.
    pub fn new(boxes: Arc<Mailboxes>, thread: u16, bell: OwnedFd) -> io::Result<Mail> {
        let lane = u32::from(thread);
        if lane >= boxes.lanes() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let used = boxes.adopt(lane);
        Ok(Mail {
            boxes,
            lane,
            _bell: pipe::Receiver::from_owned_fd_unchecked(bell)?,
            used: Cell::new(used),
            letters: std::array::from_fn(|_| Letter {
                id: Cell::new(NOBODY),
                ticket: Cell::new(0),
            }),
            next_ticket: Cell::new(1),
            next_mailbox: Cell::new(0),
        })
    }

    /// Whether no mailbox is free.
    pub fn is_full(&self) -> bool {
        self.used.get() == u64::MAX
    }

    /// Posts a request; the mailbox it is in, or `None` if none is free or it is too long.
    pub fn post(&self, id: u64, parts: &[&[u8]]) -> Option<u32> {
        if self.is_full() {
            return None;
        }
        let free = !self.used.get();
        // Round and round, so that the workers find the oldest one first.
        let next = self.next_mailbox.get();
        let mailbox = (next + free.rotate_right(next).trailing_zeros()) % MAILBOXES;
        let ticket = self.next_ticket.get();
        if !self.boxes.post(self.lane, mailbox, ticket, parts) {
            return None;
        }
        self.next_ticket.set(ticket + 1);
        self.next_mailbox.set((mailbox + 1) % MAILBOXES);
        let letter = self.letters.get(mailbox as usize)?;
        letter.id.set(id);
        letter.ticket.set(ticket);
        self.used.set(self.used.get() | 1 << mailbox);
        Some(mailbox)
    }

    /// Takes a request back that no worker has taken; false if one has.
    pub fn withdraw(&self, mailbox: u32, id: u64) -> bool {
        let Some(letter) = self.letters.get(mailbox as usize) else { return false };
        let withdrawn =
            letter.id.get() == id && self.boxes.withdraw(self.lane, mailbox, letter.ticket.get());
        if withdrawn {
            self.forget(mailbox);
        }
        withdrawn
    }

    /// Whether something has come.
    pub fn has_news(&self) -> bool {
        self.boxes.has_news(self.lane)
    }

    /// The thread is about to sleep. Whether something came at the last moment.
    pub fn is_woken_before_sleep(&self) -> bool {
        self.boxes.front_sleeps(self.lane);
        let woken = self.has_news();
        if woken {
            self.boxes.front_is_awake(self.lane);
        }
        woken
    }

    /// The thread does not sleep any more.
    pub fn is_awake(&self) {
        self.boxes.front_is_awake(self.lane);
    }

    /// Hands every reply that has come to `deliver`, with the request's id; `None` is one that
    /// makes no sense.
    pub fn collect(&self, mut deliver: impl FnMut(u64, Option<Vec<u8>>)) {
        for mailbox in each(self.boxes.take_news(self.lane) & self.used.get()) {
            self.look_into(mailbox, &mut deliver);
        }
    }

    /// Looks into one mailbox; who has its request, if a worker has.
    fn look_into(
        &self,
        mailbox: u32,
        deliver: &mut impl FnMut(u64, Option<Vec<u8>>),
    ) -> Option<u32> {
        let letter = self.letters.get(mailbox as usize)?;
        let id = letter.id.get();
        match self.boxes.look(self.lane, mailbox, letter.ticket.get()) {
            Found::Replied => {
                let reply = self.boxes.read_reply(self.lane, mailbox);
                self.forget(mailbox);
                deliver(id, reply);
            }
            Found::Done => self.forget(mailbox),
            // Its ticket was given by a front before this one.
            Found::Free if id == NOBODY => self.forget(mailbox),
            Found::Claimed { claimant } => return Some(claimant),
            Found::Free | Found::Posted => {}
        }
        None
    }

    /// A worker is dead: what it has left behind is delivered, and `died` hears the ids of the
    /// requests that it had.
    pub fn bury(
        &self,
        dead: u32,
        mut deliver: impl FnMut(u64, Option<Vec<u8>>),
        mut died: impl FnMut(u64),
    ) {
        for mailbox in each(self.used.get()) {
            if self.look_into(mailbox, &mut deliver) == Some(dead) {
                let id = self.letters.get(mailbox as usize).map(|letter| letter.id.get());
                self.forget(mailbox);
                id.into_iter().for_each(&mut died);
            }
        }
    }

    /// Frees what workers had that died while there was no front: those that are not `known`.
    pub fn reclaim(&self, known: impl Fn(u32) -> bool) {
        let orphaned = each(self.used.get()).filter(|mailbox| {
            let letter = self.letters.get(*mailbox as usize);
            letter.is_some_and(|letter| letter.id.get() == NOBODY)
        });
        for mailbox in orphaned {
            if self.look_into(mailbox, &mut |_, _| ()).is_some_and(|worker| !known(worker)) {
                self.forget(mailbox);
            }
        }
    }

    /// Whether the worker of that seat sleeps and is now to be woken by the caller.
    pub fn must_wake(&self, seat: u32) -> bool {
        self.boxes.must_wake(seat)
    }

    /// How many requests nobody has taken yet.
    pub fn waiting(&self) -> u32 {
        self.boxes.posted_count(self.lane)
    }

    fn forget(&self, mailbox: u32) {
        self.boxes.free(self.lane, mailbox);
        self.used.set(self.used.get() & !(1 << mailbox));
        if let Some(letter) = self.letters.get(mailbox as usize) {
            letter.id.set(NOBODY);
        }
    }
}
