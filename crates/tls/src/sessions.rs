//! Taking a session up again: in memory or in a ticket, for a limited time either way.

use std::sync::Arc;

use plan::front::tls::SessionPlan;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::UnixTime;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
};

/// Sessions kept in memory at most, whatever the configuration says; their room is taken at once.
const REMEMBERED_MAX: u32 = 65_536;

/// Where sessions are.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// In memory.
    pub store: Arc<dyn StoresServerSessions>,
    /// At the clients.
    pub tickets: Option<Arc<dyn ProducesTickets>>,
}

impl Sessions {
    /// With new keys.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(plan: SessionPlan) -> Result<Sessions, String> {
        let lifetime_s = plan.lifetime.as_secs();
        let store: Arc<dyn StoresServerSessions> = match plan.remembered_max {
            0 => Arc::new(NoServerSessionStorage {}),
            count => {
                let store = ServerSessionMemoryCache::new(count.min(REMEMBERED_MAX) as usize);
                Arc::new(Remembered { store, lifetime_s })
            }
        };
        let mut tickets: Option<Arc<dyn ProducesTickets>> = None;
        if plan.tickets {
            let sealer = Ticketer::new().map_err(|error| error.to_string())?;
            let lifetime_s = u32::try_from(lifetime_s).unwrap_or(u32::MAX);
            tickets = Some(Arc::new(Tickets { sealer, lifetime_s }));
        }
        Ok(Sessions { store, tickets })
    }
}

/// Bytes of the time in front of a session.
const TIME_BYTES: usize = 8;

/// Puts the time in front of a session.
fn dated(session: &[u8]) -> Vec<u8> {
    let mut out = UnixTime::now().as_secs().to_be_bytes().to_vec();
    out.extend_from_slice(session);
    out
}

/// The session, if it is not too old.
fn fresh(dated: &[u8], lifetime_s: u64) -> Option<Vec<u8>> {
    let (time, session) = dated.split_at_checked(TIME_BYTES)?;
    let made = u64::from_be_bytes(time.try_into().ok()?);
    let age = UnixTime::now().as_secs().checked_sub(made)?;
    (age <= lifetime_s).then(|| session.to_vec())
}

/// Sessions in memory.
#[derive(Debug)]
struct Remembered {
    /// Where they are.
    store: Arc<dyn StoresServerSessions>,
    /// How old they may be.
    lifetime_s: u64,
}

impl StoresServerSessions for Remembered {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.store.put(key, dated(&value))
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        fresh(&self.store.get(key)?, self.lifetime_s)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        fresh(&self.store.take(key)?, self.lifetime_s)
    }

    fn can_cache(&self) -> bool {
        self.store.can_cache()
    }
}

/// Sessions in tickets; the keys that seal them change by themselves.
#[derive(Debug)]
struct Tickets {
    /// Who seals them.
    sealer: Arc<dyn ProducesTickets>,
    /// How old they may be.
    lifetime_s: u32,
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.sealer.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.lifetime_s.min(self.sealer.lifetime())
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.sealer.encrypt(&dated(plain))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        fresh(&self.sealer.decrypt(cipher)?, u64::from(self.lifetime_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_forgotten_when_its_time_is_over() {
        assert_eq!(fresh(&dated(b"x"), 5), Some(b"x".to_vec()));
        let mut old = dated(b"x");
        old[..8].copy_from_slice(&(UnixTime::now().as_secs() - 6).to_be_bytes());
        assert_eq!(fresh(&old, 5), None);
        assert_eq!(fresh(b"short", 5), None);
    }
}
