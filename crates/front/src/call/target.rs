//! Whom to call, if the configuration's address has variables in it.

use std::net::SocketAddr;
use std::path::PathBuf;

use plan::front::GroupId;
use plan::front::upstream::{Group, PeerAddress, Speak};
use plan::{Address, Template};
use route::render_bytes;
use upstream::{CallError, Fault, Whom};

use crate::exchange::Exchange;

/// What an address turned out to mean.
pub struct Resolved {
    /// The peer.
    pub whom: Whom,
    /// The request target, if the text had one.
    pub uri: Option<Vec<u8>>,
    /// The scheme is one of TLS.
    pub is_tls: bool,
}

/// What stands before `://`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
    /// `uwsgi`, or none.
    Uwsgi,
    /// `suwsgi`
    Suwsgi,
    /// Any other.
    Unknown,
}

impl Scheme {
    /// Whether calls are made under TLS.
    pub fn is_tls(self) -> bool {
        matches!(self, Scheme::Https | Scheme::Suwsgi)
    }

    /// The port of an address that names none.
    fn default_port(self) -> Option<u16> {
        match self {
            Scheme::Http => Some(80),
            Scheme::Https => Some(443),
            Scheme::Uwsgi | Scheme::Suwsgi | Scheme::Unknown => None,
        }
    }
}

/// The scheme of an address, and what follows it.
pub fn scheme(text: &str) -> (Scheme, &str) {
    const KNOWN: [(&str, Scheme); 4] = [
        ("http", Scheme::Http),
        ("https", Scheme::Https),
        ("uwsgi", Scheme::Uwsgi),
        ("suwsgi", Scheme::Suwsgi),
    ];
    let Some((name, rest)) = text.split_once("://") else { return (Scheme::Uwsgi, text) };
    let known = KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    (known.map_or(Scheme::Unknown, |(_, scheme)| *scheme), rest)
}

/// The peer, and what the text says besides.
///
/// # Errors
/// If the text names nobody; the answer is 500, or 502 for a name that does not resolve.
pub async fn resolve(
    exchange: &Exchange,
    template: &Template,
    speak: &Speak,
) -> Result<Resolved, CallError> {
    let text = render_bytes(template, exchange);
    let Ok(text) = std::str::from_utf8(&text) else { return Err(error(500, "invalid address")) };
    let is_http = matches!(speak, Speak::Http { .. });
    let (scheme, rest) = scheme(text);
    let rest = match (is_http, scheme) {
        (true, Scheme::Http | Scheme::Https) | (false, Scheme::Uwsgi | Scheme::Suwsgi) => rest,
        (true, _) => return Err(error(500, &format!("invalid URL prefix in \"{text}\""))),
        (false, _) => text,
    };
    let (host, uri) = split(rest, is_http);
    let (is_tls, default_port) = (scheme.is_tls(), scheme.default_port());
    let uri = uri.map(|uri| uri.as_bytes().to_vec());
    if let Some(path) = host.strip_prefix("unix:") {
        let address = PeerAddress::Socket(Address::Unix(PathBuf::from(path)));
        return Ok(Resolved { whom: Whom::Address(address, host.to_owned()), uri, is_tls });
    }
    let groups = &exchange.active.plan().groups;
    // A literal address without port stands for another one in another scheme.
    let is_meant = |group: &Group| {
        group.name == host && (group.default_port.is_none() || group.default_port == default_port)
    };
    if let Some(index) = groups.iter().position(is_meant) {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        return Ok(Resolved { whom: Whom::Group(GroupId(index)), uri, is_tls });
    }
    let address = look_up(host, default_port).await?;
    let written = address.to_string();
    let address = PeerAddress::Socket(Address::Inet(address));
    Ok(Resolved { whom: Whom::Address(address, written), uri, is_tls })
}

/// `$proxy_host` and `$proxy_port` of such an address.
pub fn proxy_host(exchange: &Exchange, template: &Template) -> (String, u16) {
    let text = render_bytes(template, exchange);
    let text = String::from_utf8_lossy(&text);
    let (scheme, rest) = scheme(&text);
    let (host, _) = split(rest, true);
    let default_port = scheme.default_port().unwrap_or(80);
    if host.starts_with("unix:") {
        return ("localhost".to_owned(), default_port);
    }
    let after_literal = host.rfind(']').map_or(0, |at| at + 1);
    let port = host.get(after_literal..).and_then(|rest| rest.split_once(':'));
    match port.and_then(|(name, port)| Some((after_literal + name.len(), port.parse().ok()?))) {
        Some((end, port)) if port == default_port => {
            (host.get(..end).unwrap_or(host).to_owned(), port)
        }
        Some((_, port)) => (host.to_owned(), port),
        None => (host.to_owned(), default_port),
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

async fn look_up(host: &str, default_port: Option<u16>) -> Result<SocketAddr, CallError> {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return Ok(address);
    }
    let with_port = match (host.rsplit_once(':'), default_port) {
        (Some((_, port)), _) if port.parse::<u16>().is_ok() => host.to_owned(),
        (_, Some(port)) => format!("{host}:{port}"),
        _ => return Err(error(500, &format!("no port in upstream \"{host}\""))),
    };
    let found = tokio::net::lookup_host(with_port).await.ok().and_then(|mut found| found.next());
    found.ok_or_else(|| error(502, &format!("{host} could not be resolved")))
}

fn error(status: u16, message: &str) -> CallError {
    CallError { fault: Fault::Us, status, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_says_whether_a_call_is_under_tls() {
        let is_tls = |text| scheme(text).0.is_tls();
        assert!(is_tls("https://a") && is_tls("HTTPS://a") && is_tls("suwsgi://a:1"));
        assert!(!is_tls("http://a") && !is_tls("uwsgi://a:1") && !is_tls("a:1"));
        assert!(!is_tls("http://a/?to=https://b") && !is_tls("unix:/https://"));
        assert_eq!(scheme("https://a/b"), (Scheme::Https, "a/b"));
        assert_eq!(scheme("unix:/run/a"), (Scheme::Uwsgi, "unix:/run/a"));
        assert_eq!(scheme("ftp://a").0, Scheme::Unknown);
    }
}
