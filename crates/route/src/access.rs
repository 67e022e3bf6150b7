//! `allow` and `deny`.

use std::net::IpAddr;

use plan::front::rewrite::{AccessRule, AccessWho};

/// Who asks, as far as access rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// A client with an address.
    Inet(IpAddr),
    /// A client on a Unix socket.
    Unix,
}

/// Whether the client may pass: the first rule that means it decides; without one it may.
pub fn decide(rules: &[AccessRule], client: Client) -> bool {
    decisive(rules, client).is_none_or(|rule| rule.allow)
}

/// The first rule that means the client.
///
/// An IPv4 client on an IPv6 socket (`::ffff:a.b.c.d`) is judged by the IPv4 rules, and by the
/// IPv6 ones only if there are no others.
pub fn decisive(rules: &[AccessRule], client: Client) -> Option<&AccessRule> {
    let client = match client {
        Client::Inet(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) if rules.iter().any(|rule| is_for_ipv4(&rule.who)) => {
                Client::Inet(IpAddr::V4(mapped))
            }
            _ => client,
        },
        _ => client,
    };
    rules.iter().find(|rule| means(&rule.who, client))
}

fn is_for_ipv4(who: &AccessWho) -> bool {
    matches!(who, AccessWho::All | AccessWho::Network(IpAddr::V4(_), _))
}

/// Whether a rule is about the client.
pub(crate) fn means(who: &AccessWho, client: Client) -> bool {
    match (who, client) {
        (AccessWho::All, _) | (AccessWho::Unix, Client::Unix) => true,
        (AccessWho::Network(network, bits), Client::Inet(address)) => {
            in_network(*network, *bits, address)
        }
        _ => false,
    }
}

/// Whether the address is in the network; `bits` beyond the address's length count as all.
pub fn in_network(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u128::from(network.to_bits()), u128::from(address.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let ignored = width - u32::from(bits).min(width);
    // A shift by the whole width is what a network of zero bits asks for.
    let cut = |value: u128| value.checked_shr(ignored).unwrap_or(0);
    cut(network) == cut(address)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use plan::front::rewrite::{AccessRule, AccessWho};

    use super::{Client, decide, in_network};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_exactly_its_addresses() {
        assert!(in_network(ip("10.1.0.0"), 16, ip("10.1.255.255")));
        assert!(!in_network(ip("10.1.0.0"), 16, ip("10.2.0.0")));
        assert!(in_network(ip("0.0.0.0"), 0, ip("203.0.113.9")));
        assert!(in_network(ip("::"), 0, ip("2001:db8::1")));
        assert!(in_network(ip("2001:db8::"), 32, ip("2001:db8:ffff::1")));
        assert!(!in_network(ip("2001:db8::1"), 128, ip("2001:db8::2")));
        assert!(!in_network(ip("10.0.0.0"), 8, ip("::1")));
    }

    #[test]
    fn the_first_rule_that_means_the_client_decides() {
        let allow = |who| AccessRule { allow: true, who };
        let deny = |who| AccessRule { allow: false, who };
        let rules = [
            deny(AccessWho::Network(ip("10.0.0.1"), 32)),
            allow(AccessWho::Network(ip("10.0.0.0"), 8)),
            allow(AccessWho::Unix),
            deny(AccessWho::All),
        ];
        for (client, passes) in [
            (Client::Inet(ip("10.0.0.1")), false),
            (Client::Inet(ip("10.0.0.2")), true),
            (Client::Inet(ip("::ffff:10.0.0.2")), true),
            (Client::Inet(ip("11.0.0.1")), false),
            (Client::Inet(ip("::1")), false),
            (Client::Unix, true),
        ] {
            assert_eq!(decide(&rules, client), passes, "{client:?}");
        }
        assert!(decide(&[], Client::Unix));
    }
}
