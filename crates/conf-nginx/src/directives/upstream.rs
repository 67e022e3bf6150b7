//! `upstream` blocks and the addresses of peers.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use plan::Address;
use plan::front::upstream::{Balance, Peer, PeerAddress};

use super::listen::{look_up, unix};
use crate::draft::GroupDraft;
use crate::row::{
    ALL_LEVELS, ANY, BlockKind, Fault, HTTP, NONE, ONE, Outcome, Row, SOME, Shape, UPSTREAM, block,
    group, quiet,
};
use crate::value;
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    block("upstream", HTTP, ONE, "a named group of peers", BlockKind::Upstream),
    group("server", SOME, "a peer", server),
    group("keepalive", SOME, "idle connections kept per thread", keepalive),
    group("keepalive_timeout", ONE, "how long they are kept", |group, call| {
        call.time(&mut group.keepalive_timeout)
    }),
    group("keepalive_requests", ONE, "requests per connection", |group, call| {
        call.number(&mut group.keepalive_requests)
    }),
    quiet("keepalive_time", UPSTREAM, ONE, Shape::Time, "idle connections close by time"),
    group("least_conn", NONE, "the peer with the fewest requests", |group, call| {
        balance(group, call, Balance::LeastConn)
    }),
    group("ip_hash", NONE, "the same client, the same peer", |group, call| {
        balance(group, call, Balance::IpHash)
    }),
    quiet("resolver", UPSTREAM, ANY, Shape::Free, "names are resolved by the system"),
    quiet("resolver_timeout", UPSTREAM, ONE, Shape::Time, "names are resolved by the system"),
    quiet("resolver", ALL_LEVELS, SOME, Shape::Free, "names are resolved by the system"),
    quiet("resolver_timeout", ALL_LEVELS, ONE, Shape::Time, "names are resolved by the system"),
];

fn keepalive(group: &mut GroupDraft, call: &mut Call<'_, '_>) -> Outcome {
    let text = call.arg(0);
    let number = value::number(text).and_then(|number| u32::try_from(number).ok());
    let invalid = || Fault::Says(1, format!("invalid value \"{text}\" in \"keepalive\" directive"));
    call.once(&mut group.keepalive, number.ok_or_else(invalid)?)
}

fn balance(group: &mut GroupDraft, call: &mut Call<'_, '_>, balance: Balance) -> Outcome {
    if group.balance.replace(balance).is_some() {
        call.run.warning(call.directive.at(), "load balancing method redefined");
    }
    Ok(())
}

fn server(group: &mut GroupDraft, call: &mut Call<'_, '_>) -> Outcome {
    let mut peer = plain_peer();
    for number in 1..call.args().len() {
        parameter(&mut peer, number, call)?;
    }
    let addresses = resolve(call.arg(0), Some(80)).map_err(|problem| Fault::Says(1, problem))?;
    let word = call.arg(0);
    group.peers.extend(addresses.into_iter().map(|address| with_address(&peer, address, word)));
    Ok(())
}

/// A peer without parameters for each address a word names. The error is nginx's sentence.
pub fn peers(word: &str, default_port: Option<u16>) -> Result<Vec<Peer>, String> {
    let plain = plain_peer();
    let addresses = resolve(word, default_port)?;
    Ok(addresses.into_iter().map(|address| with_address(&plain, address, word)).collect())
}

/// A peer without parameters; its address comes later.
fn plain_peer() -> Peer {
    Peer {
        address: PeerAddress::App(0),
        written: String::new(),
        weight: 1,
        max_fails: 1,
        fail_timeout: Duration::from_secs(10),
        max_conns: 0,
        backup: false,
        down: false,
    }
}

fn with_address(peer: &Peer, address: Address, word: &str) -> Peer {
    // Logs and `$upstream_addr` show a Unix socket in the spelling of the file (`unix:///…`).
    let written = match address {
        Address::Unix(_) => word.to_owned(),
        _ => address.to_string(),
    };
    Peer { address: PeerAddress::Socket(address), written, ..peer.clone() }
}

fn parameter(peer: &mut Peer, number: usize, call: &Call<'_, '_>) -> Outcome {
    let word = call.arg(number);
    let invalid = || Fault::Says(number + 1, format!("invalid parameter \"{word}\""));
    let count = |digits: &str| value::number(digits).and_then(|count| u32::try_from(count).ok());
    let (name, text) = word.split_once('=').unwrap_or((word, ""));
    match (name, text) {
        ("weight", digits) => {
            peer.weight = count(digits).filter(|weight| *weight > 0).ok_or_else(invalid)?;
        }
        ("max_fails", digits) => peer.max_fails = count(digits).ok_or_else(invalid)?,
        ("max_conns", digits) => peer.max_conns = count(digits).ok_or_else(invalid)?,
        ("fail_timeout", time) => {
            let seconds = value::seconds(time).ok_or_else(invalid)?;
            peer.fail_timeout = Duration::from_secs(seconds);
        }
        ("backup", "") => peer.backup = true,
        ("down", "") => peer.down = true,
        // Names are resolved once, when the configuration is read.
        ("resolve", "") => {}
        ("service" | "slow_start" | "route" | "drain", _) => {
            let message = format!("parameter `{name}` is not supported here");
            let hint = "it belongs to nginx's commercial edition".to_owned();
            return Err(Fault::Hinted(number + 1, message, hint));
        }
        _ => {
            let known = ["weight", "max_fails", "fail_timeout", "max_conns", "backup", "down"];
            let message = format!("invalid parameter \"{word}\"");
            return match diag::nearest(name, known) {
                Some(near) => {
                    Err(Fault::Hinted(number + 1, message, format!("did you mean `{near}`?")))
                }
                None => Err(invalid()),
            };
        }
    }
    Ok(())
}

/// Every address a word names.
pub fn resolve(word: &str, default_port: Option<u16>) -> Result<Vec<Address>, String> {
    let problem = |what: &str| format!("{what} in upstream \"{word}\"");
    if let Some(path) = word.strip_prefix("unix:") {
        return match path {
            "" => Err(problem("no path in the unix domain socket")),
            path => Ok(vec![unix(path.split(':').next().unwrap_or(path))]),
        };
    }
    let (host, digits) = split_port(word).ok_or_else(|| problem("invalid host"))?;
    let port = match (digits, default_port) {
        (Some(digits), _) => {
            let port = value::number(digits).and_then(|port| u16::try_from(port).ok());
            port.filter(|port| *port > 0).ok_or_else(|| problem("invalid port"))?
        }
        (None, Some(port)) => port,
        (None, None) => return Err(problem("no port")),
    };
    if host.is_empty() {
        return Err(problem("no host"));
    }
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.trim_end_matches(']');
        let address: Ipv6Addr = inner.parse().map_err(|_| problem("invalid IPv6 address"))?;
        return Ok(vec![Address::Inet(SocketAddr::new(address.into(), port))]);
    }
    look_up(host, port).ok_or_else(|| problem("host not found"))
}

/// Host (brackets kept) and port digits.
fn split_port(word: &str) -> Option<(&str, Option<&str>)> {
    if word.starts_with('[') {
        let end = word.find(']')?;
        let (host, rest) = word.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(digits) => Some((host, Some(digits))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match word.split_once(':') {
        Some((host, digits)) => Some((host, Some(digits))),
        None => Some((word, None)),
    }
}
