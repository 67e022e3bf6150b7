//! One request fills an object, the others wait for it.
//!
//! ```text
//! nobody ── ask ──► filling (ticket n) ── done(n) ──► nobody, waiters look again
//!                     │ older than the age: ask
//!                     └──► filling (ticket n+1); done(n) changes nothing any more
//! ```

use std::collections::HashMap;

use crate::key::Hash;

/// Whose turn it is to fill; `W` is what waiters of one filling watch.
#[derive(Debug)]
pub struct FillingTable<W> {
    running: HashMap<Hash, Running<W>>,
    tickets: u64,
}

#[derive(Debug)]
struct Running<W> {
    ticket: u64,
    since_monotonic_ms: u64,
    watch: W,
}

/// The right to fill one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillTicket {
    /// What is filled.
    pub hash: Hash,
    number: u64,
}

/// What somebody who wants to fill is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask<W> {
    /// Fill it.
    Lead(FillTicket),
    /// Somebody does. Watch, and ask again at the latest at this moment.
    Wait {
        /// What to watch.
        watch: W,
        /// When the one who fills has taken too long.
        again_at_monotonic_ms: u64,
    },
}

impl<W> Default for FillingTable<W> {
    fn default() -> FillingTable<W> {
        FillingTable { running: HashMap::new(), tickets: 0 }
    }
}

impl<W: Clone> FillingTable<W> {
    /// Asks to fill. `watch` is what later comers will watch if this one leads; `age_ms` is how
    /// long the one who fills may take before another may, too.
    pub fn ask(&mut self, hash: Hash, watch: W, age_ms: u64, now_monotonic_ms: u64) -> Ask<W> {
        if let Some(running) = self.running.get(&hash) {
            let again_at_monotonic_ms = running.since_monotonic_ms.saturating_add(age_ms);
            if now_monotonic_ms < again_at_monotonic_ms {
                return Ask::Wait { watch: running.watch.clone(), again_at_monotonic_ms };
            }
        }
        self.tickets += 1;
        let ticket = self.tickets;
        let running = Running { ticket, since_monotonic_ms: now_monotonic_ms, watch };
        self.running.insert(hash, running);
        Ask::Lead(FillTicket { hash, number: ticket })
    }

    /// The one with the ticket has finished, well or not.
    pub fn done(&mut self, ticket: FillTicket) {
        if self.running.get(&ticket.hash).is_some_and(|running| running.ticket == ticket.number) {
            self.running.remove(&ticket.hash);
        }
    }

    /// Whether somebody fills this object.
    pub fn is_running(&self, hash: Hash) -> bool {
        self.running.contains_key(&hash)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ask, FillingTable};
    use crate::Hash;

    const OBJECT: Hash = Hash([7; 16]);

    #[test]
    fn one_leads_and_the_others_wait_until_it_is_done_or_too_old() {
        let mut table = FillingTable::default();
        let Ask::Lead(first) = table.ask(OBJECT, 'a', 5000, 100) else { panic!("nobody leads") };
        let wait = Ask::Wait { watch: 'a', again_at_monotonic_ms: 5100 };
        assert_eq!(table.ask(OBJECT, 'b', 5000, 5099), wait);
        let Ask::Lead(second) = table.ask(OBJECT, 'c', 5000, 5100) else { panic!("too old") };
        table.done(first);
        assert!(table.is_running(OBJECT));
        table.done(second);
        assert!(!table.is_running(OBJECT));
    }
}
