//! `geo`: a variable whose value depends on an address.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::RealIpPlan;
use crate::Variable;

/// A `geo` block, its networks cut into ranges that do not overlap: of several networks that an
/// address is in, the smallest has given its range.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GeoPlan {
    /// Whose text is the address; `None` is the client's address.
    pub address: Option<Variable>,
    /// `proxy`: addresses that are not meant themselves, but whom they name in X-Forwarded-For.
    pub proxies: Option<Box<RealIpPlan>>,
    /// Every value once.
    pub values: Vec<String>,
    /// IPv4, as a number.
    pub ipv4: GeoRanges<u32>,
    /// IPv6.
    pub ipv6: GeoRanges<Ipv6Addr>,
}

/// All addresses of a family, in ranges.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GeoRanges<A> {
    /// The first address of each range, rising; the range ends before the next one.
    /// Invariant: the first is the lowest address of all.
    pub starts: Vec<A>,
    /// For each range, the place of its value in [`GeoPlan::values`].
    pub values: Vec<u32>,
}
