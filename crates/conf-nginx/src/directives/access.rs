//! Who may come in by address: `allow` and `deny`.

use std::net::IpAddr;

use plan::front::rewrite::{AccessRule, AccessWho};

use crate::level::Level;
use crate::row::{ALL_LEVELS, Fault, LIMIT_EXCEPT, ONE, Outcome, Row, level};
use crate::value;
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    level("allow", ALL_LEVELS | LIMIT_EXCEPT, ONE, "lets a network in", |level, call| {
        rule(level, call, true)
    }),
    level("deny", ALL_LEVELS | LIMIT_EXCEPT, ONE, "keeps a network out", |level, call| {
        rule(level, call, false)
    }),
];

fn rule(level: &mut Level, call: &mut Call<'_, '_>, allow: bool) -> Outcome {
    let text = call.arg(0);
    let who = match text {
        "all" => AccessWho::All,
        "unix:" => AccessWho::Unix,
        _ => {
            let invalid = || Fault::Says(1, format!("invalid parameter \"{text}\""));
            noted(network(text).ok_or_else(invalid)?, call)
        }
    };
    level.core.access.get_or_insert_default().push(AccessRule { allow, who });
    Ok(())
}

/// The network of the directive's only word; a warning if that has bits outside of its mask.
pub(super) fn noted((who, clean): (AccessWho, bool), call: &mut Call<'_, '_>) -> AccessWho {
    if !clean {
        let message = format!("low address bits of {} are meaningless", call.arg(0));
        call.run.warning(call.directive.at_word(1), message);
    }
    who
}

/// An address or network, masked; and whether no bits outside the mask were set.
pub(super) fn network(text: &str) -> Option<(AccessWho, bool)> {
    let (address, length) = match text.split_once('/') {
        None => (text.parse::<IpAddr>().ok()?, None),
        Some((address, length)) => (address.parse::<IpAddr>().ok()?, Some(length)),
    };
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let bits = match length {
        None => bits_max,
        Some(digits) => u8::try_from(value::number(digits)?).ok()?,
    };
    if bits > bits_max {
        return None;
    }
    let masked = masked(address, bits);
    Some((AccessWho::Network(masked, bits), masked == address))
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_outside_the_mask_are_dropped_and_noticed() {
        let (who, clean) = network("10.1.2.3/8").unwrap();
        assert_eq!(who, AccessWho::Network("10.0.0.0".parse().unwrap(), 8));
        assert!(!clean);
        assert_eq!(network("0.0.0.0/0").map(|(_, clean)| clean), Some(true));
        assert!(network("10.0.0.0/33").is_none());
        assert!(network("::1/129").is_none());
    }
}
