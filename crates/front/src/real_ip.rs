//! The client behind a trusted proxy: who asks, as the proxy tells it.

use std::net::SocketAddr;

use net::Peer;
use plan::front::RealIpPlan;
use route::access::Client;

use crate::exchange::Exchange;

/// A client that is not the connection's peer.
#[derive(Clone, Debug)]
pub struct RealClient {
    /// Its address; port 0 if it was not told.
    pub address: SocketAddr,
    /// `$remote_addr`.
    pub text: String,
}

/// Takes a trusted peer's word about the client, once a request: what the server says counts,
/// and what a location says only if the server says nothing.
pub fn find(exchange: &mut Exchange) {
    let Some(plan) = &exchange.location().real_ip else { return };
    if exchange.real_client.is_none()
        && let Some(address) = told(exchange, plan, client(exchange.client.peer))
    {
        let text = address.ip().to_string();
        exchange.real_client = Some(Box::new(RealClient { address, text }));
    }
}

/// The client that a peer tells, if it is trusted.
pub fn told(exchange: &Exchange, plan: &RealIpPlan, peer: Client) -> Option<SocketAddr> {
    let field = plan.field.as_bytes();
    let lines = exchange.head.fields().filter(|(_, name, _)| name.eq_ignore_ascii_case(field));
    let lines: Vec<&[u8]> = lines.map(|(_, _, value)| value).collect();
    let lines = if plan.is_list { &lines[..] } else { lines.get(..1).unwrap_or(&[]) };
    route::real_ip::client(plan, peer, lines.iter().copied())
}

/// Who asks, as far as access rules care.
pub fn client(peer: Peer) -> Client {
    match peer {
        Peer::Inet(address) => Client::Inet(address.ip()),
        Peer::Unix => Client::Unix,
    }
}
