//! Whom to call, if the configuration's address has variables in it.

use std::net::SocketAddr;
use std::path::PathBuf;

use plan::front::GroupId;
use plan::front::upstream::{PeerAddress, Speak};
use plan::{Address, Template};
use route::render_bytes;
use upstream::{CallError, Fault, Whom};

use crate::exchange::Exchange;

/// The peer, and the request target if the text had one.
///
/// # Errors
/// If the text names nobody; the answer is 500, or 502 for a name that does not resolve.
pub async fn resolve(
    exchange: &Exchange,
    template: &Template,
    speak: &Speak,
) -> Result<(Whom, Option<Vec<u8>>), CallError> {
    let text = render_bytes(template, exchange);
    let Ok(text) = std::str::from_utf8(&text) else { return Err(error(500, "invalid address")) };
    let is_http = matches!(speak, Speak::Http { .. });
    let rest = match (is_http, text.split_once("://")) {
        (true, Some(("http", rest))) => rest,
        (true, _) => return Err(error(500, &format!("invalid URL prefix in \"{text}\""))),
        (false, Some(("uwsgi", rest))) => rest,
        (false, _) => text,
    };
    let (host, uri) = split(rest, is_http);
    let uri = uri.map(|uri| uri.as_bytes().to_vec());
    if let Some(path) = host.strip_prefix("unix:") {
        let address = PeerAddress::Socket(Address::Unix(PathBuf::from(path)));
        return Ok((Whom::Address(address, host.to_owned()), uri));
    }
    let groups = &exchange.active.plan().groups;
    if let Some(index) = groups.iter().position(|group| group.name == host) {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        return Ok((Whom::Group(GroupId(index)), uri));
    }
    let address = look_up(host, is_http).await?;
    let written = address.to_string();
    Ok((Whom::Address(PeerAddress::Socket(Address::Inet(address)), written), uri))
}

/// `$proxy_host` and `$proxy_port` of such an address.
pub fn proxy_host(exchange: &Exchange, template: &Template) -> (String, u16) {
    let text = render_bytes(template, exchange);
    let text = String::from_utf8_lossy(&text);
    let rest = text.split_once("://").map_or(&*text, |(_, rest)| rest);
    let (host, _) = split(rest, true);
    if host.starts_with("unix:") {
        return ("localhost".to_owned(), 80);
    }
    let after_literal = host.rfind(']').map_or(0, |at| at + 1);
    let port = host.get(after_literal..).and_then(|rest| rest.split_once(':'));
    match port.and_then(|(name, port)| Some((after_literal + name.len(), port.parse().ok()?))) {
        Some((end, 80)) => (host.get(..end).unwrap_or(host).to_owned(), 80),
        Some((_, port)) => (host.to_owned(), port),
        None => (host.to_owned(), 80),
    }
}

/// Cuts a URI off an address. A Unix path ends at a colon.
fn split(text: &str, is_http: bool) -> (&str, Option<&str>) {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.split_once(':') {
            Some((path, uri)) => {
                let host = text.get(..5 + path.len()).unwrap_or(text);
                (host, Some(uri).filter(|uri| !uri.is_empty()))
            }
            None => (text, None),
        };
    }
    match text.find(['/', '?']).filter(|_| is_http) {
        Some(at) => {
            let (host, uri) = text.split_at(at);
            (host, Some(uri))
        }
        None => (text, None),
    }
}

async fn look_up(host: &str, is_http: bool) -> Result<SocketAddr, CallError> {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return Ok(address);
    }
    let with_port = match host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
        _ if is_http => format!("{host}:80"),
        _ => return Err(error(500, &format!("no port in upstream \"{host}\""))),
    };
    let found = tokio::net::lookup_host(with_port).await.ok().and_then(|mut found| found.next());
    found.ok_or_else(|| error(502, &format!("{host} could not be resolved")))
}

fn error(status: u16, message: &str) -> CallError {
    CallError { fault: Fault::Us, status, message: message.to_owned() }
}
