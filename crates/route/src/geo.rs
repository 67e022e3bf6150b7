//! `geo` blocks.

use std::net::IpAddr;

use plan::front::geo::{GeoPlan, GeoRanges};

use crate::access::Client;

/// What stands for everything that has no address: a client on a Unix socket, a text that is none.
const NO_ADDRESS: u32 = u32::MAX;

/// The value for a client; `None` is one whose address cannot be read. Does not allocate.
pub fn look_up(plan: &GeoPlan, client: Option<Client>) -> &str {
    let value = match client {
        None | Some(Client::Unix) => find(&plan.ipv4, &NO_ADDRESS),
        Some(Client::Inet(address)) => match address.to_canonical() {
            IpAddr::V4(address) => find(&plan.ipv4, &address.to_bits()),
            IpAddr::V6(address) => find(&plan.ipv6, &address),
        },
    };
    value.and_then(|value| plan.values.get(value as usize)).map_or("", String::as_str)
}

/// The address a text is; IPv6 without brackets, no port.
pub fn address(text: &[u8]) -> Option<Client> {
    std::str::from_utf8(text).ok()?.parse().ok().map(Client::Inet)
}

fn find<A: Ord>(ranges: &GeoRanges<A>, address: &A) -> Option<u32> {
    let after = ranges.starts.partition_point(|start| start <= address);
    ranges.values.get(after.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn plan() -> GeoPlan {
        GeoPlan {
            address: None,
            proxies: None,
            values: ["", "net", "host", "six"].map(str::to_owned).to_vec(),
            ipv4: GeoRanges {
                starts: ["0.0.0.0", "10.0.0.0", "10.0.0.7", "10.0.0.8", "11.0.0.0"]
                    .map(|text| text.parse::<Ipv4Addr>().unwrap().to_bits())
                    .to_vec(),
                values: vec![0, 1, 2, 1, 0],
            },
            ipv6: GeoRanges {
                starts: vec![Ipv6Addr::UNSPECIFIED, "2001:db8::".parse().unwrap()],
                values: vec![0, 3],
            },
        }
    }

    #[test]
    fn an_address_has_the_value_of_the_range_that_begins_last_before_it() {
        let plan = plan();
        for (text, value) in [
            ("0.0.0.0", ""),
            ("9.255.255.255", ""),
            ("10.0.0.0", "net"),
            ("10.0.0.7", "host"),
            ("10.0.0.8", "net"),
            ("::ffff:10.0.0.7", "host"),
            ("11.0.0.0", ""),
            ("255.255.255.255", ""),
            ("::1", ""),
            ("2001:db8::1", "six"),
        ] {
            assert_eq!(look_up(&plan, address(text.as_bytes())), value, "{text}");
        }
    }

    #[test]
    fn what_has_no_address_is_looked_up_as_the_highest_one() {
        let mut plan = plan();
        plan.ipv4.starts.push(u32::MAX);
        plan.ipv4.values.push(2);
        for nothing in [Some(Client::Unix), None, address(b"10.0.0"), address(b"10.0.0.7:80")] {
            assert_eq!(look_up(&plan, nothing), "host");
        }
    }
}
