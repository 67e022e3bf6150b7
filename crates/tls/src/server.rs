//! A server's settings as a configuration of rustls.

use std::sync::Arc;

use plan::front::TlsPlan;
use plan::front::tls::SessionPlan;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};
use rustls::{CipherSuite, NamedGroup, ServerConfig, version};

use crate::certificate::certified;
use crate::choose::Certificates;
use crate::client::verifier;
use crate::sessions::{Remembered, Tickets};

/// What is agreed on when the client asks (ALPN): HTTP/1 in all its versions.
const APPLICATIONS: [&[u8]; 3] = [b"http/1.1", b"http/1.0", b"http/0.9"];
/// Tickets that a client gets after a handshake of TLS 1.3.
const TICKETS_EACH: usize = 2;

/// The configuration of one server.
///
/// # Errors
/// With the reason, if anything in the plan cannot be used.
pub fn server_config(plan: &TlsPlan) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(provider(plan));
    let mut versions = Vec::new();
    if plan.versions.tls13 {
        versions.push(&version::TLS13);
    }
    let old_suites = provider.cipher_suites.iter().any(|suite| suite.tls13().is_none());
    if plan.versions.tls12 && old_suites {
        versions.push(&version::TLS12);
    }
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?;
    let builder = match &plan.client {
        Some(client) => builder.with_client_cert_verifier(verifier(client, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut keys = Vec::new();
    for pair in &plan.certificates {
        let key = certified(&pair.chain, pair.key.reveal()).map_err(|fault| fault.to_string())?;
        keys.push(key);
    }
    let mut config = builder.with_cert_resolver(Arc::new(Certificates::new(keys)));
    config.ignore_client_order = plan.prefer_own_order;
    config.alpn_protocols = APPLICATIONS.iter().map(|name| name.to_vec()).collect();
    sessions(&mut config, plan.sessions)?;
    Ok(Arc::new(config))
}

/// The suites and groups that were asked for. The suites of TLS 1.3 always stay: OpenSSL's list
/// is about older versions only.
fn provider(plan: &TlsPlan) -> CryptoProvider {
    let mut provider = default_provider();
    let all = std::mem::take(&mut provider.cipher_suites);
    let (new, old): (Vec<_>, Vec<_>) = all.into_iter().partition(|suite| suite.tls13().is_some());
    let wanted = plan.suites.iter().map(|number| CipherSuite::from(*number));
    let chosen = wanted.filter_map(|suite| old.iter().find(|known| known.suite() == suite));
    provider.cipher_suites = new.iter().chain(chosen).copied().collect();
    let groups = std::mem::take(&mut provider.kx_groups);
    let wanted = plan.groups.iter().map(|number| NamedGroup::from(*number));
    provider.kx_groups = wanted
        .filter_map(|name| groups.iter().find(|group| group.name() == name).copied())
        .collect();
    provider
}

fn sessions(config: &mut ServerConfig, plan: SessionPlan) -> Result<(), String> {
    let lifetime_s = plan.lifetime.as_secs();
    config.send_tls13_tickets = TICKETS_EACH;
    if plan.tickets {
        let sealer = Ticketer::new().map_err(|error| error.to_string())?;
        let lifetime_s = u32::try_from(lifetime_s).unwrap_or(u32::MAX);
        config.ticketer = Arc::new(Tickets { sealer, lifetime_s });
    }
    if plan.remembered_max > 0 {
        let store = ServerSessionMemoryCache::new(plan.remembered_max as usize);
        config.session_storage = Arc::new(Remembered { store, lifetime_s });
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if !plan.tickets {
            config.send_tls13_tickets = 0;
        }
    }
    Ok(())
}
