//! Things that one thread keeps for reuse: the allocator itself keeps only a few of each size at
//! hand.

use std::cell::RefCell;

/// Things kept; more are freed.
const SPARES_MAX: usize = 64;

/// Things of one kind. Invariant: nobody needs anymore what they hold.
#[derive(Debug)]
pub struct Spares<T>(RefCell<Vec<T>>);

impl<T> Default for Spares<T> {
    fn default() -> Spares<T> {
        Spares(RefCell::default())
    }
}

impl<T> Spares<T> {
    /// One of them, if there is one.
    pub fn take(&self) -> Option<T> {
        self.0.borrow_mut().pop()
    }

    /// Keeps one that is not used any more.
    pub fn put(&self, spare: T) {
        let mut spares = self.0.borrow_mut();
        if spares.len() < SPARES_MAX {
            spares.push(spare);
        }
    }
}
