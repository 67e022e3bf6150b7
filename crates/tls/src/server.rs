//! A server's settings as a configuration of rustls.

use std::sync::Arc;

use plan::front::TlsPlan;
use plan::front::tls::SessionPlan;
use rustls::ServerConfig;

use crate::certificate::certified;
use crate::choose::Certificates;
use crate::client::verifier;
use crate::offer;
use crate::sessions::Sessions;

/// What is agreed on when the client asks (ALPN): HTTP/1 in all its versions.
const APPLICATIONS: [&[u8]; 3] = [b"http/1.1", b"http/1.0", b"http/0.9"];
/// Tickets that a client gets after a handshake of TLS 1.3.
const TICKETS_EACH: usize = 2;

/// Configurations of servers that belong together: those that ask clients for nothing take up
/// each other's sessions (of the same name); one that asks for certificates has its own.
#[derive(Debug, Default)]
pub struct ServerConfigs {
    shared: Vec<(SessionPlan, Sessions)>,
}

impl ServerConfigs {
    /// The configuration of one server.
    ///
    /// # Errors
    /// With the reason, if anything in the plan cannot be used.
    pub fn make(&mut self, plan: &TlsPlan) -> Result<Arc<ServerConfig>, String> {
        let mut config = config(plan)?;
        let sessions = if plan.client.is_some() {
            Sessions::new(plan.sessions)?
        } else if let Some((_, known)) = self.shared.iter().find(|(it, _)| *it == plan.sessions) {
            known.clone()
        } else {
            let sessions = Sessions::new(plan.sessions)?;
            self.shared.push((plan.sessions, sessions.clone()));
            sessions
        };
        config.session_storage = sessions.store;
        if let Some(tickets) = sessions.tickets {
            config.ticketer = tickets;
        }
        let any = plan.sessions.tickets || plan.sessions.remembered_max > 0;
        config.send_tls13_tickets = if any { TICKETS_EACH } else { 0 };
        Ok(Arc::new(config))
    }
}

fn config(plan: &TlsPlan) -> Result<ServerConfig, String> {
    let provider = Arc::new(offer::provider(&plan.suites, &plan.groups));
    let versions = offer::versions(plan.versions, &provider);
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
    Ok(config)
}
