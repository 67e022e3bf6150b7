//! The connections of a worker that no thread is busy with, and when each one's time is up.
//!
//! ```text
//!  accepted ──► a thread has it ──park──► here ──claim (event or time is up)──► a thread has it
//!                     └──forget──► closed
//! ```
//!
//! A connection belongs to one thread or to the table, never to both, so a connection itself
//! needs no lock.

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
    pub fn admit(&mut self) -> u64 {
        self.live += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                used: false,
                deadline_ms: NEVER,
                connection: None,
            });
            // Descriptors are numbered by int: there are never more.
            (self.slots.len() - 1) as u32
        });
        let Some(slot) = self.slots.get_mut(index as usize) else { return CONNECTION_BIT };
        slot.used = true;
        CONNECTION_BIT | u64::from(slot.generation & 0x7fff_ffff) << 32 | u64::from(index)
    }

    /// Takes a connection back until its next event or its deadline.
    pub fn park(&mut self, connection: Box<Connection>, deadline_ms: u64) {
        self.next_deadline_ms = self.next_deadline_ms.min(deadline_ms);
        let token = connection.token;
        let Some(slot) = self.slot(token) else { return };
        slot.deadline_ms = deadline_ms;
        slot.connection = Some(connection);
    }

    /// Gives a connection to the calling thread; `None` if another has it or it is closed.
    pub fn claim(&mut self, token: u64) -> Option<Box<Connection>> {
        let slot = self.slot(token)?;
        slot.deadline_ms = NEVER;
        slot.connection.take()
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
