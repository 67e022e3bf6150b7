//! The client's address as proxies in front of this server tell it.

use plan::Address;
use plan::front::rewrite::AccessWho;

use super::access::{network, noted};
use super::listen::look_up;
use crate::level::Level;
use crate::row::{ALL_LEVELS, Fault, ONE, Outcome, Row, level};
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    level("set_real_ip_from", ALL_LEVELS, ONE, "a proxy whose word is taken", trusted),
    level("real_ip_header", ALL_LEVELS, ONE, "the field it names the client in", field),
    level(
        "real_ip_recursive",
        ALL_LEVELS,
        ONE,
        "passes over every trusted address in the field, not over the last one alone",
        |level, call| call.flag(&mut level.real_ip.recursive),
    ),
];

fn trusted(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let text = call.arg(0);
    let peers = match (text, network(text)) {
        ("unix:", _) => vec![AccessWho::Unix],
        (_, Some(network)) => vec![noted(network, call)],
        (name, None) => hosts(name)?,
    };
    if peers.iter().any(|peer| matches!(peer, AccessWho::Network(_, 0))) {
        let message = format!(
            "`set_real_ip_from {text}` believes everybody: any client can claim any address, so \
             name the networks of your proxies"
        );
        call.run.warning(call.directive.at_word(1), message);
    }
    level.real_ip.trusted.get_or_insert_default().extend(peers);
    Ok(())
}

/// The addresses of a name, looked up once.
fn hosts(name: &str) -> Result<Vec<AccessWho>, Fault> {
    let unknown = || Fault::Says(1, format!("host not found in set_real_ip_from \"{name}\""));
    // A network that is none is no name either.
    let addresses = if name.contains('/') { None } else { look_up(name, 0) }.ok_or_else(unknown)?;
    let whole = |address: &Address| match address {
        Address::Inet(address) if address.is_ipv4() => Some(AccessWho::Network(address.ip(), 32)),
        Address::Inet(address) => Some(AccessWho::Network(address.ip(), 128)),
        _ => None,
    };
    Ok(addresses.iter().filter_map(whole).collect())
}

fn field(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let name = call.arg(0);
    if name == "proxy_protocol" {
        let message = "the PROXY protocol is not supported here".to_owned();
        let hint = "let the balancer speak plain HTTP with X-Forwarded-For".to_owned();
        return Err(Fault::Hinted(1, message, hint));
    }
    let name = name.to_owned();
    call.once(&mut level.real_ip.field, name)
}
