//! Passwords that were found to fit: only the first request of a user pays for a slow hash.
//!
//! A pair of user and password is remembered together with the stored line it fitted, as one keyed
//! hash: a line that changes, or goes, makes it worthless, and nothing can be read from it. What
//! does not fit is not remembered. Slow hashes are worked out elsewhere, one at a time for each
//! front thread, so that guessing takes no more than one processor a thread.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use ring::hmac;
use tokio::sync::Semaphore;

use super::basic::Credentials;
use super::password;

/// Most pairs a thread remembers; beyond it all are forgotten.
const PAIRS_MAX: usize = 4096;

/// Nobody could say whether the password fits.
#[derive(Debug)]
pub struct Unproven;

type Sum = [u8; 32];

/// The pairs that one thread has proven.
pub struct Proven {
    /// `None` if the system has no random bytes: nothing is remembered then.
    key: Option<hmac::Key>,
    pairs: RefCell<HashSet<Sum>>,
    /// Whose turn it is to hash; held by the hashing itself, whoever still waits for it.
    turn: Arc<Semaphore>,
}

impl Proven {
    /// Nothing is proven yet.
    pub fn new() -> Proven {
        let random = ring::rand::SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random).ok();
        Proven { key, pairs: RefCell::default(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Whether the password fits what is stored for its user.
    ///
    /// # Errors
    /// If the stored password needs a library that is not there.
    pub async fn fits(&self, credentials: &Credentials, stored: &[u8]) -> Result<bool, Unproven> {
        if !password::is_slow(stored) {
            return password::fits(&credentials.password, stored).map_err(|_| Unproven);
        }
        let sum = self.sum(credentials, stored);
        if self.knows(sum) {
            return Ok(true);
        }
        let turn = self.turn.clone().acquire_owned().await.map_err(|_| Unproven)?;
        // Browsers ask several things at once: the first of them has proven it meanwhile.
        if self.knows(sum) {
            return Ok(true);
        }
        let (password, stored) = (credentials.password.clone(), stored.to_vec());
        let hashing = tokio::task::spawn_blocking(move || {
            let fits = password::fits(&password, &stored);
            drop(turn);
            fits
        });
        let fits = hashing.await.map_err(|_| Unproven)?.map_err(|_| Unproven)?;
        if let Some(sum) = sum.filter(|_| fits) {
            self.remember(sum);
        }
        Ok(fits)
    }

    fn sum(&self, credentials: &Credentials, stored: &[u8]) -> Option<Sum> {
        let mut sum = hmac::Context::with_key(self.key.as_ref()?);
        for text in [&credentials.user[..], &credentials.password, stored] {
            // With their lengths, so that no text can end in the next one.
            sum.update(&text.len().to_le_bytes());
            sum.update(text);
        }
        sum.sign().as_ref().try_into().ok()
    }

    fn knows(&self, sum: Option<Sum>) -> bool {
        sum.is_some_and(|sum| self.pairs.borrow().contains(&sum))
    }

    fn remember(&self, sum: Sum) {
        let mut pairs = self.pairs.borrow_mut();
        if pairs.len() >= PAIRS_MAX {
            pairs.clear();
        }
        pairs.insert(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str, password: &str) -> Credentials {
        Credentials { user: user.into(), password: password.into() }
    }

    #[test]
    fn a_pair_is_known_for_its_own_line_only() {
        let proven = Proven::new();
        let known = proven.sum(&of("ann", "secret"), b"line").unwrap();
        proven.remember(known);
        assert!(proven.knows(proven.sum(&of("ann", "secret"), b"line")));
        for (user, password, line) in [
            ("bob", "secret", "line"),
            ("ann", "other", "line"),
            ("ann", "secret", "another"),
            ("anns", "ecret", "line"),
            ("ann", "secretl", "ine"),
        ] {
            assert!(!proven.knows(proven.sum(&of(user, password), line.as_bytes())), "{user}");
        }
        for number in 0..PAIRS_MAX {
            proven.remember(proven.sum(&of("ann", "secret"), &number.to_le_bytes()).unwrap());
        }
        assert!(proven.pairs.borrow().len() <= PAIRS_MAX);
    }

    #[test]
    fn what_fits_is_remembered_and_what_does_not_is_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let proven = Proven::new();
        let stored = b"$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1";
        let fits =
            |password: &str| runtime.block_on(proven.fits(&of("ann", password), stored)).unwrap();
        assert!(!fits("wrong") && proven.pairs.borrow().is_empty());
        assert!(fits("secret") && proven.pairs.borrow().len() == 1);
        assert!(fits("secret") && !fits("wrong") && proven.pairs.borrow().len() == 1);
    }
}
