//! A call under TLS: as whom the peer must show itself.

use std::sync::Arc;

use plan::FrontPlan;
use plan::front::upstream::{Target, TlsUse};
use plan::front::{Handler, LocationPlan, UpstreamCall};
use route::render_bytes;
use tls::{Identity, PeerRules};
use upstream::{CallError, Fault};

use super::target;
use crate::exchange::Exchange;
use crate::runtime::Active;

/// Whom the call of this request is for.
///
/// # Errors
/// If the name that the configuration makes for this request can be none; the answer is 502.
pub fn identity(exchange: &Exchange, call: &UpstreamCall) -> Result<Arc<Identity>, CallError> {
    let active: &Active = &exchange.active;
    if let Some(known) = active.identity(exchange.location) {
        return Ok(known.clone());
    }
    let Some(TlsUse { rules, name }) = &call.tls else { return Err(error("no rules for TLS")) };
    let name = render_bytes(name, exchange);
    let Some(rules) = active.shared.tls.peer_rules(*rules) else {
        return Err(error("no rules for TLS"));
    };
    let made = Identity::new(rules.clone(), &String::from_utf8_lossy(&name));
    made.map(Arc::new).map_err(|sentence| error(&sentence))
}

/// The identities that are the same for every request, location by location.
pub fn fixed(plan: &FrontPlan, rules: &[Arc<PeerRules>]) -> Vec<Option<Arc<Identity>>> {
    let fixed = |location: &LocationPlan| {
        let Handler::Upstream(call) = &location.handler else { return None };
        let TlsUse { rules: id, name } = call.tls.as_ref()?;
        let name = std::str::from_utf8(name.as_text()?).ok()?;
        Identity::new(rules.get(id.0 as usize)?.clone(), name).ok().map(Arc::new)
    };
    match rules.is_empty() {
        true => Vec::new(),
        false => plan.locations.iter().map(fixed).collect(),
    }
}

/// Whether the call is made under TLS, for messages.
pub fn is_asked_for(exchange: &Exchange, call: &UpstreamCall) -> bool {
    match &call.target {
        Target::Group(_) => call.tls.is_some(),
        Target::Dynamic(template) => {
            let text = render_bytes(template, exchange);
            std::str::from_utf8(&text).is_ok_and(|text| target::scheme(text).0.is_tls())
        }
    }
}

fn error(reason: &str) -> CallError {
    let message = format!("{reason} while SSL handshaking to upstream");
    CallError { fault: Fault::Us, status: 502, message }
}
