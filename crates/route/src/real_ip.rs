//! The address of a client behind proxies that are trusted to tell it.

use std::net::{IpAddr, SocketAddr};

use plan::front::RealIpPlan;

use crate::access::{Client, means};

/// The client that trusted proxies name in `lines`, the values of the plan's field in the order
/// they came; `None` if `peer` is not trusted, or the last address in the field is none. The port
/// is 0 if the field has none.
///
/// Proxies append what they see, so the list is read from its end: only what a trusted proxy has
/// written counts, and what stands before an address that is not trusted may be invented
/// (nginx, ngx_http_realip_module).
pub fn client<'a>(
    plan: &RealIpPlan,
    peer: Client,
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> Option<SocketAddr> {
    let is_trusted = |who| plan.trusted.iter().any(|trusted| means(trusted, who));
    if !is_trusted(unmapped(peer)) {
        return None;
    }
    let words = |line: &'a [u8]| line.rsplit(|byte| matches!(byte, b' ' | b',' | b'\t'));
    let words = lines.rev().flat_map(words).filter(|word| !word.is_empty());
    let mut found = None;
    for word in words {
        let Some(address) = address(word) else { break };
        found = Some(address);
        if !plan.recursive || !is_trusted(unmapped(Client::Inet(address.ip()))) {
            break;
        }
    }
    found
}

/// An IPv4 client of an IPv6 socket is meant by the networks of IPv4.
fn unmapped(client: Client) -> Client {
    match client {
        Client::Inet(address) => Client::Inet(address.to_canonical()),
        Client::Unix => client,
    }
}

/// `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1` or `[2001:db8::1]:1234`.
fn address(word: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(word).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, 0));
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse().ok().map(|address| SocketAddr::new(IpAddr::V6(address), 0));
    }
    text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::front::rewrite::AccessWho;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn plan(recursive: bool) -> RealIpPlan {
        let field = "X-Forwarded-For".to_owned();
        let trusted = vec![AccessWho::Network(ip("10.0.0.0"), 8), AccessWho::Unix];
        RealIpPlan { trusted, field, is_list: true, recursive }
    }

    fn found(recursive: bool, peer: &str, lines: &[&str]) -> Option<String> {
        let peer = if peer == "unix:" { Client::Unix } else { Client::Inet(ip(peer)) };
        let lines = lines.iter().map(|line| line.as_bytes());
        client(&plan(recursive), peer, lines).map(|address| match address.port() {
            0 => address.ip().to_string(),
            _ => address.to_string(),
        })
    }

    #[test]
    fn the_last_address_counts_if_the_peer_is_trusted() {
        let list = ["1.1.1.1, 192.0.2.7"];
        assert_eq!(found(false, "10.0.0.1", &list).as_deref(), Some("192.0.2.7"));
        assert_eq!(found(false, "::ffff:10.0.0.1", &list).as_deref(), Some("192.0.2.7"));
        assert_eq!(found(false, "unix:", &list).as_deref(), Some("192.0.2.7"));
        assert_eq!(found(false, "11.0.0.1", &list), None);
        assert_eq!(found(false, "10.0.0.1", &["1.1.1.1", "10.0.0.9"]).as_deref(), Some("10.0.0.9"));
        assert_eq!(found(false, "10.0.0.1", &[]), None);
        assert_eq!(found(false, "10.0.0.1", &["1.1.1.1, unknown"]), None);
        assert_eq!(found(false, "10.0.0.1", &["1.1.1.1, ,"]).as_deref(), Some("1.1.1.1"));
    }

    #[test]
    fn trusted_addresses_are_passed_over_and_nothing_is_taken_from_before_a_stranger() {
        let list = ["6.6.6.6, 192.0.2.7, 10.1.1.1", "10.2.2.2"];
        assert_eq!(found(true, "10.0.0.1", &list).as_deref(), Some("192.0.2.7"));
        assert_eq!(found(true, "10.0.0.1", &["10.1.1.1"]).as_deref(), Some("10.1.1.1"));
        assert_eq!(found(true, "10.0.0.1", &["x, 10.1.1.1"]).as_deref(), Some("10.1.1.1"));
    }

    #[test]
    fn ports_and_brackets_are_read() {
        let one = |text| found(false, "10.0.0.1", &[text]);
        assert_eq!(one("192.0.2.7:81").as_deref(), Some("192.0.2.7:81"));
        assert_eq!(one("2001:db8::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(one("[2001:db8::1]:81").as_deref(), Some("[2001:db8::1]:81"));
        assert_eq!(one("[2001:db8::1]").as_deref(), Some("2001:db8::1"));
        assert_eq!(one("192.0.2.7:99999"), None);
        assert_eq!(one("192.0.2.7:"), None);
    }
}
