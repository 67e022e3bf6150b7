//! `listen`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use plan::Address;

use crate::draft::{ListenDraft, ServerDraft};
use crate::report::At;
use crate::row::{Fault, Outcome, Row, SOME, server};
use crate::value;
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[server("listen", SOME, "where a server listens", listen)];

fn listen(draft: &mut ServerDraft, call: &mut Call<'_, '_>) -> Outcome {
    let at = call.directive.at_word(1);
    let addresses = addresses(call.arg(0), 80).map_err(|problem| Fault::Says(1, problem))?;
    let mut listen = ListenDraft {
        address: Address::Inherited(-1),
        default_server: false,
        backlog: None,
        ipv6_only: None,
        reuse_port: false,
        so_keepalive: false,
        tls: false,
        options_set: false,
        at,
    };
    for number in 1..call.args().len() {
        parameter(&mut listen, number, call)?;
    }
    for address in addresses {
        let one = ListenDraft { address, ..listen.clone() };
        if draft.listens.iter().any(|other| other.address == one.address) {
            return Err(Fault::Says(1, format!("a duplicate listen {}", shown(&one.address))));
        }
        draft.listens.push(one);
    }
    Ok(())
}

/// What a server without `listen` does.
pub fn implied(is_root: bool, at: At) -> ListenDraft {
    let port = if is_root { 80 } else { 8000 };
    ListenDraft {
        address: Address::Inet(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)),
        default_server: false,
        backlog: None,
        ipv6_only: None,
        reuse_port: false,
        so_keepalive: false,
        tls: false,
        options_set: false,
        at,
    }
}

/// An address as nginx's messages show it.
pub fn shown(address: &Address) -> String {
    address.to_string()
}

fn parameter(listen: &mut ListenDraft, number: usize, call: &mut Call<'_, '_>) -> Outcome {
    let word = call.arg(number);
    let is_unix = !matches!(listen.address, Address::Inet(_) | Address::Inherited(_));
    let says = |message: String| Err(Fault::Says(number + 1, message));
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    match (name, value) {
        ("default_server" | "default", "") => listen.default_server = true,
        ("bind" | "deferred" | "reuseport", "") => {
            listen.options_set = true;
            listen.reuse_port |= name == "reuseport";
        }
        ("setfib" | "fastopen" | "rcvbuf" | "sndbuf" | "accept_filter", _) => {
            listen.options_set = true;
        }
        ("backlog", digits) => {
            listen.options_set = true;
            let backlog = digits.parse::<i64>().ok().filter(|backlog| *backlog != 0);
            match backlog {
                Some(backlog) => listen.backlog = u32::try_from(backlog).ok(),
                None => return says(format!("invalid backlog \"{word}\"")),
            }
        }
        ("ipv6only", _) if is_unix => {
            return says(format!("ipv6only is not supported on addr \"{}\"", call.arg(0)));
        }
        ("ipv6only", "on") => (listen.ipv6_only, listen.options_set) = (Some(true), true),
        ("ipv6only", "off") => (listen.ipv6_only, listen.options_set) = (Some(false), true),
        ("ipv6only", _) => return says(format!("invalid parameter \"{word}\"")),
        ("so_keepalive", flag) => {
            listen.options_set = true;
            let timed = flag.contains(':');
            match flag {
                "on" => listen.so_keepalive = true,
                "off" => listen.so_keepalive = false,
                _ if timed => listen.so_keepalive = true,
                _ => return says(format!("invalid so_keepalive value: \"{flag}\"")),
            }
        }
        ("ssl", "") => listen.tls = true,
        ("quic", "") => {
            let message = "`quic` is not supported here: there is no HTTP/3".to_owned();
            let hint = "drop this `listen`; the one with `ssl` serves HTTP/1.1".to_owned();
            return Err(Fault::Hinted(number + 1, message, hint));
        }
        ("http2" | "spdy", "") => {
            let message = format!("`{name}` is ignored: HTTP/1.1 is spoken here");
            call.run.warning(call.directive.at_word(number + 1), message);
        }
        ("proxy_protocol", "") => {
            let message = "`proxy_protocol` is not supported here".to_owned();
            let hint = "let the balancer speak plain HTTP with X-Forwarded-For".to_owned();
            return Err(Fault::Hinted(number + 1, message, hint));
        }
        _ => {
            let known = ["default_server", "reuseport", "backlog", "ipv6only", "so_keepalive"];
            let message = format!("invalid parameter \"{word}\"");
            return match diag::nearest(name, known) {
                Some(near) => {
                    Err(Fault::Hinted(number + 1, message, format!("did you mean `{near}`?")))
                }
                None => says(message),
            };
        }
    }
    Ok(())
}

/// Every address a word of `listen` names. The error is nginx's sentence.
fn addresses(word: &str, default_port: u16) -> Result<Vec<Address>, String> {
    let problem = |what: &str| format!("{what} in \"{word}\" of the \"listen\" directive");
    if let Some(path) = word.strip_prefix("unix:") {
        if path.is_empty() {
            return Err(problem("no path in the unix domain socket"));
        }
        return Ok(vec![unix(path)]);
    }
    if word.starts_with('[') {
        let (host, rest) = word.split_once(']').ok_or_else(|| problem("invalid host"))?;
        let host = host.trim_start_matches('[');
        let address: Ipv6Addr = host.parse().map_err(|_| problem("invalid IPv6 address"))?;
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => default_port,
            None => return Err(problem("invalid host")),
            Some(digits) => port(digits).ok_or_else(|| problem("invalid port"))?,
        };
        return Ok(vec![Address::Inet(SocketAddr::new(address.into(), port))]);
    }
    let (host, digits) = match word.split_once(':') {
        Some((host, digits)) => (host, Some(digits)),
        None if word.bytes().all(|byte| byte.is_ascii_digit()) => ("*", Some(word)),
        None => (word, None),
    };
    let port = match digits {
        None => default_port,
        Some(digits) => port(digits).ok_or_else(|| problem("invalid port"))?,
    };
    if host == "*" {
        return Ok(vec![Address::Inet(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))]);
    }
    if host.is_empty() {
        return Err(problem("no host"));
    }
    look_up(host, port).ok_or_else(|| problem("host not found"))
}

/// The addresses of an IP address or host name, each once; `None` if there are none.
pub fn look_up(host: &str, port: u16) -> Option<Vec<Address>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(vec![Address::Inet(SocketAddr::new(address, port))]);
    }
    let mut addresses: Vec<Address> = Vec::new();
    for address in (host, port).to_socket_addrs().ok()?.map(Address::Inet) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    (!addresses.is_empty()).then_some(addresses)
}

/// A Unix socket; any number of slashes before the path is one, as in `unix:///run/x.sock`.
pub fn unix(path: &str) -> Address {
    if path.starts_with('/') {
        return Address::Unix(PathBuf::from(format!("/{}", path.trim_start_matches('/'))));
    }
    Address::Unix(std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path)))
}

fn port(digits: &str) -> Option<u16> {
    value::number(digits).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}
