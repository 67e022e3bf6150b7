//! TLS to upstreams, where we are the client: rules, whom a connection is for, sessions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use plan::Address;
use plan::front::PeerTlsPlan;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::pki_types::{IpAddr, Ipv4Addr, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection};

use crate::certificate::certified;
use crate::peer_certificate::{Anybody, Authorities};
use crate::{names, offer};

pub use crate::peer_certificate::told;

/// Peers whose sessions are kept at most; their number is small unless addresses are made at
/// request time.
const PEERS_MAX: usize = 1024;
/// Names of one peer whose sessions are kept at most.
const NAMES_MAX: usize = 32;
/// Sessions that the library counts for each name.
const SESSIONS_EACH: usize = 8;

/// The rules of one [`PeerTlsPlan`], with the sessions made by them.
#[derive(Debug)]
pub struct PeerRules {
    config: Arc<ClientConfig>,
    /// The name is told to peers, or their certificates must be for it.
    needs_name: bool,
    /// The same rules with the sessions of one peer, which are worth nothing to another. Guards
    /// one look; sessions have a lock of their own. `None`: sessions are not taken up again.
    by_peer: Option<Mutex<HashMap<Address, Arc<ClientConfig>>>>,
}

impl PeerRules {
    /// Makes rules of a plan.
    ///
    /// # Errors
    /// With the reason, if anything in the plan cannot be used.
    pub fn new(plan: &PeerTlsPlan) -> Result<Arc<PeerRules>, String> {
        let provider = Arc::new(offer::provider(&plan.suites, &names::default_groups()));
        let versions = offer::versions(plan.versions, &provider);
        let verifier: Arc<dyn ServerCertVerifier> = match &plan.verify {
            Some(authorities) => Arc::new(Authorities::new(authorities)?),
            None => Arc::new(Anybody),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &plan.certificate {
            Some(pair) => {
                let key = certified(&pair.chain, pair.key.reveal());
                let key = key.map_err(|fault| fault.to_string())?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = plan.tells_name;
        config.resumption = Resumption::disabled();
        Ok(Arc::new(PeerRules {
            config: Arc::new(config),
            needs_name: plan.tells_name || plan.verify.is_some(),
            by_peer: plan.reuses_sessions.then(Mutex::default),
        }))
    }

    /// The rules with the sessions of a peer.
    fn of(&self, peer: &Address) -> Arc<ClientConfig> {
        let Some(by_peer) = &self.by_peer else { return self.config.clone() };
        let mut by_peer = by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_peer.get(peer) {
            return known.clone();
        }
        if by_peer.len() >= PEERS_MAX {
            // A full handshake is all it costs.
            by_peer.clear();
        }
        let mut config = ClientConfig::clone(&self.config);
        let sessions = ClientSessionMemoryCache::new(NAMES_MAX * SESSIONS_EACH);
        config.resumption = Resumption::store(Arc::new(sessions));
        let config = Arc::new(config);
        by_peer.insert(peer.clone(), config.clone());
        config
    }
}

/// By which rules a connection is made, and for which name: it must never be used for a request
/// that asks for another one.
#[derive(Debug)]
pub struct Identity {
    rules: Arc<PeerRules>,
    name: ServerName<'static>,
}

impl Identity {
    /// `written` is a name or address; a port behind it does not count.
    ///
    /// # Errors
    /// With a sentence, if the rules need a name and this can be none.
    pub fn new(rules: Arc<PeerRules>, written: &str) -> Result<Identity, String> {
        let name = match server_name(written) {
            Ok(name) => name.to_owned(),
            Err(sentence) if rules.needs_name => return Err(sentence),
            // Nobody hears it.
            Err(_) => ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4]))),
        };
        Ok(Identity { rules, name })
    }

    /// A session with a peer, before its first byte.
    ///
    /// # Errors
    /// If the library refuses to begin one.
    pub fn session(&self, peer: &Address) -> Result<ClientConnection, rustls::Error> {
        ClientConnection::new(self.rules.of(peer), self.name.clone())
    }

    /// The name, for messages.
    pub fn name(&self) -> String {
        self.name.to_str().into_owned()
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        Arc::ptr_eq(&self.rules, &other.rules) && self.name == other.name
    }
}

/// Whether rules that need a name can do with this one.
///
/// # Errors
/// With a sentence, if not.
pub fn check_name(written: &str) -> Result<(), String> {
    server_name(written).map(|_| ())
}

fn server_name(written: &str) -> Result<ServerName<'_>, String> {
    let host = host(written);
    ServerName::try_from(host)
        .map_err(|_| format!("\"{host}\" is no name or address that certificates have"))
}

/// Without the port, and without the brackets of an address of IPv6.
fn host(written: &str) -> &str {
    if let Some((host, _)) = written.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return host;
    }
    written.split(':').next().unwrap_or(written)
}

#[cfg(test)]
mod tests {
    use plan::front::tls::TlsVersions;

    use super::*;

    fn rules(tells_name: bool, reuses_sessions: bool) -> Arc<PeerRules> {
        let versions = TlsVersions { tls12: true, tls13: true };
        PeerRules::new(&PeerTlsPlan {
            versions,
            suites: names::default_suites(),
            tells_name,
            verify: None,
            certificate: None,
            reuses_sessions,
        })
        .unwrap()
    }

    #[test]
    fn ports_and_brackets_are_no_part_of_a_name() {
        let name = |written| Identity::new(rules(true, true), written).unwrap().name();
        assert_eq!(name("one.test:8443"), "one.test");
        assert_eq!(name("127.0.0.1:8443"), "127.0.0.1");
        assert_eq!(name("[::1]:8443"), "::1");
        assert_eq!(name("under_score"), "under_score");
    }

    #[test]
    fn what_can_be_no_name_is_refused_only_where_a_name_is_needed() {
        assert!(Identity::new(rules(true, true), "a b").is_err());
        assert!(Identity::new(rules(true, true), "").is_err());
        assert!(Identity::new(rules(false, true), "a b").is_ok());
        assert!(check_name("a b").is_err() && check_name("a.b:1").is_ok());
    }

    #[test]
    fn identities_are_the_same_by_rules_and_name() {
        let (ours, others) = (rules(true, true), rules(true, true));
        let identity = |rules: &Arc<PeerRules>, name| Identity::new(rules.clone(), name).unwrap();
        assert!(identity(&ours, "a.test") == identity(&ours, "a.test:1"));
        assert!(identity(&ours, "a.test") != identity(&ours, "b.test"));
        assert!(identity(&ours, "a.test") != identity(&others, "a.test"));
    }

    #[test]
    fn a_peer_has_its_own_sessions_and_only_so_many_peers_are_remembered() {
        let peer = |port| Address::Inet(([127, 0, 0, 1], port).into());
        let rules = rules(true, true);
        assert!(Arc::ptr_eq(&rules.of(&peer(1)), &rules.of(&peer(1))));
        assert!(!Arc::ptr_eq(&rules.of(&peer(1)), &rules.of(&peer(2))));
        for port in 1..=2 * PEERS_MAX as u16 {
            rules.of(&peer(port));
        }
        let known = rules.by_peer.as_ref().unwrap().lock().unwrap().len();
        assert!(known <= PEERS_MAX, "{known}");
    }

    #[test]
    fn nothing_is_remembered_where_sessions_are_not_taken_up_again() {
        let rules = rules(true, false);
        let peer = Address::Inet(([127, 0, 0, 1], 1).into());
        assert!(Arc::ptr_eq(&rules.of(&peer), &rules.config));
    }
}
