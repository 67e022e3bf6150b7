//! TLS of client connections: which configuration a client gets, the handshake, and whom a
//! request on the connection may ask for. The rules for upstreams are kept here as well.

use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use net::Stream;
use net::tls::{Agreed, Begun, HandshakeError};
use plan::FrontPlan;
use plan::front::tls::Secret;
use plan::front::{LogLevel, PeerTlsId, ServerId, ServerPlan};
use rustls::ServerConfig;
use rustls::server::ClientHello;
use tls::{PeerRules, ServerConfigs};

use crate::connection::listen_index;
use crate::exchange::{Client, Exchange};
use crate::log::error;
use crate::runtime::Active;
use crate::thread::Thread;

/// Whether a connection is under TLS.
#[derive(Debug)]
pub enum Security {
    /// It is not, and need not be.
    Plain,
    /// It should be, but the client began with something else.
    Missing,
    /// It is.
    Tls {
        /// What was agreed on.
        agreed: Box<Agreed>,
        /// By which rules a certificate was asked for, see [`Tls`].
        asked: u64,
    },
}

impl Security {
    /// What was agreed on.
    pub fn agreed(&self) -> Option<&Agreed> {
        match self {
            Security::Tls { agreed, .. } => Some(agreed),
            Security::Plain | Security::Missing => None,
        }
    }

    /// Whether it is under TLS.
    pub fn is_tls(&self) -> bool {
        self.agreed().is_some()
    }

    /// `$scheme`
    pub fn scheme(&self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }

    /// The port that a URL of this scheme need not name.
    pub fn port(&self) -> u16 {
        if self.is_tls() { 443 } else { 80 }
    }
}

/// TLS of one configuration in use, server by server, and to upstreams.
#[derive(Debug)]
pub struct Tls {
    servers: Vec<ServerTls>,
    peers: Vec<Arc<PeerRules>>,
}

#[derive(Clone, Debug, Default)]
struct ServerTls {
    config: Option<Arc<ServerConfig>>,
    reject: bool,
    /// Tells the rules apart by which servers ask for certificates, over reloads; 0 asks nobody.
    asks: u64,
}

impl Tls {
    /// Makes the configurations, and takes the keys out of the plan.
    ///
    /// # Errors
    /// With the reason, if something in the plan cannot be used.
    pub fn take(plan: &mut FrontPlan) -> Result<Tls, String> {
        let mut configs = ServerConfigs::default();
        let mut servers = Vec::new();
        for server in &mut plan.servers {
            servers.push(server_tls(server, &mut configs)?);
            let pairs = server.tls.iter_mut().flat_map(|tls| &mut tls.certificates);
            pairs.for_each(|pair| pair.key = Secret::default());
        }
        let mut peers = Vec::new();
        for rules in &mut plan.upstream_tls {
            peers.push(PeerRules::new(rules)?);
            rules.certificate = None;
        }
        Ok(Tls { servers, peers })
    }

    /// The rules for an upstream.
    pub fn peer_rules(&self, id: PeerTlsId) -> Option<&Arc<PeerRules>> {
        self.peers.get(id.0 as usize)
    }

    /// All of them, in the plan's order.
    pub fn every_peer_rules(&self) -> &[Arc<PeerRules>] {
        &self.peers
    }

    fn server(&self, id: ServerId) -> Option<&ServerTls> {
        self.servers.get(id.0 as usize).filter(|it| it.config.is_some() || it.reject)
    }

    fn asks(&self, id: ServerId) -> u64 {
        self.servers.get(id.0 as usize).map_or(0, |server| server.asks)
    }
}

fn server_tls(server: &ServerPlan, configs: &mut ServerConfigs) -> Result<ServerTls, String> {
    let Some(tls) = server.tls.as_deref() else { return Ok(ServerTls::default()) };
    let mut asks = 0;
    if let Some(client) = &tls.client {
        let mut hasher = DefaultHasher::new();
        (client, &server.first_name, server.names.len()).hash(&mut hasher);
        asks = hasher.finish().max(1);
    }
    let config = match tls.certificates.is_empty() {
        true => None,
        false => Some(configs.make(tls)?),
    };
    Ok(ServerTls { config, reject: tls.reject, asks })
}

/// Whether connections of this listening socket begin with TLS.
pub fn is_wanted(thread: &Thread, client: &Client) -> bool {
    let Some(active) = thread.active() else { return false };
    let listen = active.plan().listens.get(listen_index(&active, client));
    listen.is_some_and(|listen| listen.tls)
}

/// Shakes hands. `None` if that failed: the client was told and the log has it.
pub async fn begin(thread: &Rc<Thread>, stream: Stream, client: &mut Client) -> Option<Stream> {
    let active = thread.active()?;
    let listen = listen_index(&active, client);
    let default = active.plan().listens.get(listen)?.default_server;
    let watched = thread.watch.join();
    // A stopping thread does not wait for those who have not said who they are.
    watched.idle(true);
    watched.patience(active.limits(default).1);
    let mut asked = 0;
    let begun = {
        let choose = |hello: &ClientHello<'_>| {
            let (config, asks) = choose(&active, listen, default, hello)?;
            asked = asks;
            Some(config)
        };
        let mut beginning = std::pin::pin!(net::tls::begin(stream, choose));
        poll_fn(|context| {
            if let std::task::Poll::Ready(begun) = beginning.as_mut().poll(context) {
                return std::task::Poll::Ready(Some(begun));
            }
            match watched.poll_expired(context) {
                true => std::task::Poll::Ready(None),
                false => std::task::Poll::Pending,
            }
        })
        .await
    };
    match begun {
        Some(Ok(Begun::Secured(secured))) => {
            client.security = Security::Tls { agreed: Box::new(secured.agreed()), asked };
            Some(Stream::Tls(secured))
        }
        Some(Ok(Begun::Plain(stream))) => {
            client.security = Security::Missing;
            Some(stream)
        }
        Some(Err(fault)) => {
            error::write_early(thread, &active, client, LogLevel::Info, &told(&fault));
            None
        }
        None => {
            let text = "client timed out (110: Connection timed out) while SSL handshaking";
            error::write_early(thread, &active, client, LogLevel::Info, text);
            None
        }
    }
}

/// The configuration of the server that the client names, else the default server's.
fn choose(
    active: &Active,
    listen: usize,
    default: ServerId,
    hello: &ClientHello<'_>,
) -> Option<(Arc<ServerConfig>, u64)> {
    let named = hello.server_name().and_then(|name| {
        let name = route::host::normalise(name.as_bytes()).ok()?;
        active.shared.router.server(listen, &name).ok().map(|(server, _)| server)
    });
    let id = named.unwrap_or(default);
    let tls = &active.shared.tls;
    let (id, server) = match tls.server(id) {
        Some(server) => (id, server),
        None => (default, tls.server(default)?),
    };
    if server.reject {
        return None;
    }
    Some((server.config.clone()?, tls.asks(id)))
}

/// What the log says about a handshake that failed.
fn told(fault: &HandshakeError) -> String {
    match fault {
        HandshakeError::PeerGone => {
            "peer closed connection in SSL handshake while SSL handshaking".to_owned()
        }
        HandshakeError::TurnedAway => {
            "SSL_do_handshake() failed (SSL: handshakes for this name are rejected) while SSL \
             handshaking"
                .to_owned()
        }
        HandshakeError::Socket(error) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            let number = error.raw_os_error().unwrap_or(0);
            format!(
                "peer closed connection in SSL handshake ({number}: {text}) while SSL handshaking"
            )
        }
        HandshakeError::Session(error) => {
            format!("SSL_do_handshake() failed (SSL: {error}) while SSL handshaking")
        }
    }
}

/// Whether the request may ask for its server over this connection; else the status to answer
/// with, and what the log says.
pub fn admit(exchange: &Exchange) -> Result<(), (u16, &'static str)> {
    let (agreed, asked) = match &exchange.client.security {
        Security::Plain => return Ok(()),
        Security::Missing => {
            let text = "client sent plain HTTP request to HTTPS port while reading client \
                request headers";
            return Err((497, text));
        }
        Security::Tls { agreed, asked } => (agreed, *asked),
    };
    let asks = exchange.active.shared.tls.asks(exchange.server);
    if asks == 0 {
        return Ok(());
    }
    if asks != asked {
        let text = "client attempted to request the server name different from the one that was \
            negotiated while reading client request headers";
        return Err((421, text));
    }
    let client = exchange.server().tls.as_ref().and_then(|tls| tls.client.as_ref());
    let required = client.is_some_and(|client| client.required);
    if required && !agreed.client_certificate {
        let text = "client sent no required SSL certificate while reading client request headers";
        return Err((496, text));
    }
    Ok(())
}
