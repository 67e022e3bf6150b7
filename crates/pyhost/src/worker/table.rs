//! The connections of a worker that no thread is busy with, and when each one's time is up.
//!
//! ```text
//!  accepted ──► a thread has it ──park──► here ──claim (event or time is up)──► a thread has it
//!                     └──forget──► closed
//! ```
//!
//! A connection belongs to one thread or to the table, never to both, so a connection itself
//! needs no lock.

use std::os::fd::{BorrowedFd, RawFd};

use sys::epoll::Epoll;

use super::connection::Connection;

/// Tokens of connections have this bit; those of other descriptors do not.
pub const CONNECTION_BIT: u64 = 1 << 63;
/// The deadline of a connection that waits for ever.
pub const NEVER: u64 = u64::MAX;

struct Slot {
    /// Counts the connections that had this slot, so that a late event finds nobody.
    generation: u32,
    used: bool,
    deadline_ms: u64,
    /// Of the connection, so that it can be silenced while a thread has it.
    fd: RawFd,
    /// Not watched any more, whatever the connection remembers.
    silenced: bool,
    connection: Option<Box<Connection>>,
}

/// The table.
#[derive(Default)]
pub struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    live: usize,
    /// Not later than the first deadline of all; [`Table::expired`] makes it exact.
    next_deadline_ms: u64,
}

impl Table {
    /// An empty table.
    pub fn new() -> Table {
        Table { next_deadline_ms: NEVER, ..Table::default() }
    }

    /// Connections there are, those with a thread included.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Connections that wait for a request of which nothing has come.
    pub fn idle(&self) -> usize {
        let waits = |slot: &&Slot| slot.connection.as_ref().is_some_and(|it| it.is_idle());
        self.slots.iter().filter(waits).count()
    }

    /// When [`Table::expired`] should be asked next, in monotonic ms.
    pub fn next_deadline_ms(&self) -> u64 {
        self.next_deadline_ms
    }

    /// Gives a new connection its token; it stays with the thread that accepted it.
    pub fn admit(&mut self, fd: RawFd) -> u64 {
        self.live += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                used: false,
                deadline_ms: NEVER,
                fd,
                silenced: false,
                connection: None,
            });
            // Descriptors are numbered by int: there are never more.
            (self.slots.len() - 1) as u32
        });
        let Some(slot) = self.slots.get_mut(index as usize) else { return CONNECTION_BIT };
        slot.used = true;
        slot.fd = fd;
        slot.silenced = false;
        CONNECTION_BIT | u64::from(slot.generation & 0x7fff_ffff) << 32 | u64::from(index)
    }

    /// Takes a connection back until its next event or its deadline; whether that is the first
    /// deadline of all now.
    pub fn park(&mut self, connection: Box<Connection>, deadline_ms: u64) -> bool {
        let first = deadline_ms < self.next_deadline_ms;
        self.next_deadline_ms = self.next_deadline_ms.min(deadline_ms);
        let token = connection.token;
        let Some(slot) = self.slot(token) else { return false };
        slot.deadline_ms = deadline_ms;
        slot.silenced = false;
        slot.connection = Some(connection);
        first
    }

    /// Ends the watching of a connection that a thread is busy with: what comes meanwhile would
    /// be told over and over.
    pub fn silence(&mut self, token: u64, epoll: &Epoll) {
        let Some(slot) = self.slot(token).filter(|slot| slot.connection.is_none()) else { return };
        slot.silenced = true;
        // SAFETY: the slot is still used, so the thread that has the connection has not closed it
        // yet: it calls `forget`, under the same lock as this, before it does.
        let fd = unsafe { BorrowedFd::borrow_raw(slot.fd) };
        let _ = epoll.remove(fd);
    }

    /// Whether a connection that is to be parked has been silenced meanwhile.
    pub fn is_silenced(&mut self, token: u64) -> bool {
        self.slot(token).is_some_and(|slot| slot.silenced)
    }

    /// Gives a connection to the calling thread; `None` if another has it or it is closed.
    pub fn claim(&mut self, token: u64) -> Option<Box<Connection>> {
        let slot = self.slot(token)?;
        slot.deadline_ms = NEVER;
        slot.connection.take()
    }

    /// A connection that no thread has.
    pub fn parked(&mut self, token: u64) -> Option<&mut Connection> {
        self.slot(token)?.connection.as_deref_mut()
    }

    /// A thread closes its connection.
    pub fn forget(&mut self, token: u64) {
        let Some(slot) = self.slot(token) else { return };
        slot.used = false;
        slot.generation = slot.generation.wrapping_add(1);
        slot.deadline_ms = NEVER;
        slot.connection = None;
        self.live -= 1;
        self.free.push(token as u32);
    }

    /// Tokens of the connections whose time is up.
    pub fn expired(&mut self, now_ms: u64) -> Vec<u64> {
        let mut next = NEVER;
        let mut tokens = Vec::new();
        for slot in &self.slots {
            let Some(connection) = &slot.connection else { continue };
            if slot.deadline_ms <= now_ms {
                tokens.push(connection.token);
            } else {
                next = next.min(slot.deadline_ms);
            }
        }
        self.next_deadline_ms = next;
        tokens
    }

    /// Brings the deadline of every connection that waits for a next request forward.
    pub fn hurry_idle(&mut self, deadline_ms: u64) {
        for slot in &mut self.slots {
            if slot.connection.as_ref().is_some_and(|connection| connection.is_idle()) {
                slot.deadline_ms = slot.deadline_ms.min(deadline_ms);
            }
        }
        self.next_deadline_ms = self.next_deadline_ms.min(deadline_ms);
    }

    /// The idle connection whose time is up first, to make room for a new one.
    pub fn longest_idle(&self) -> Option<u64> {
        let idle = self
            .slots
            .iter()
            .filter(|slot| slot.connection.as_ref().is_some_and(|connection| connection.is_idle()));
        let slot = idle.min_by_key(|slot| slot.deadline_ms)?;
        slot.connection.as_ref().map(|connection| connection.token)
    }

    fn slot(&mut self, token: u64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(token as u32 as usize)?;
        let generation = (token >> 32) as u32 & 0x7fff_ffff;
        (slot.used && slot.generation & 0x7fff_ffff == generation).then_some(slot)
    }
}
