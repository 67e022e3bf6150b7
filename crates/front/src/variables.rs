//! What the variables of a request are worth, at any moment of its life.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use message::{Headers, KnownHeader};
use net::Peer;
use plan::Variable;
use plan::front::upstream::{Speak, Target};
use plan::front::{Handler, LogLevel};
use route::Values;

use crate::content::paths;
use crate::exchange::{Exchange, NESTING_CYCLE, NESTING_MAX};
use crate::limit::Verdict;
use crate::real_ip;
use crate::response::{PRODUCT, decimal};

impl Values for Exchange {
    fn value(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        self.of_client(variable, out)
            .or_else(|| self.of_request(variable, out))
            .or_else(|| self.of_response(variable, out))
            .or_else(|| self.of_place(variable, out))
            .or_else(|| self.of_upstream(variable, out))
            .unwrap_or_else(|| self.of_family(variable, out))
    }

    fn capture(&self, number: u8, out: &mut Vec<u8>) {
        if let Some(captures) = &self.captures {
            out.extend_from_slice(captures.group(usize::from(number)));
        }
    }
}

/// Appends and says that there was something.
fn put(out: &mut Vec<u8>, text: &[u8]) -> Option<bool> {
    out.extend_from_slice(text);
    Some(true)
}

fn put_number(out: &mut Vec<u8>, number: u64) -> Option<bool> {
    decimal(out, number);
    Some(true)
}

fn put_option(out: &mut Vec<u8>, text: Option<&[u8]>) -> Option<bool> {
    out.extend_from_slice(text.unwrap_or(&[]));
    Some(text.is_some())
}

/// Nothing for a Unix socket, and for a port that a proxy has not told.
fn put_port(out: &mut Vec<u8>, peer: Peer) -> Option<bool> {
    match peer {
        Peer::Inet(address) if address.port() != 0 => put_number(out, address.port().into()),
        _ => Some(true),
    }
}

/// Seconds with three digits.
fn put_seconds(out: &mut Vec<u8>, time: Duration) -> Option<bool> {
    let _ = write!(out, "{}.{:03}", time.as_secs(), time.subsec_millis());
    Some(true)
}

impl Exchange {
    fn of_client(&self, variable: &Variable, out: &mut Vec<u8>) -> Option<bool> {
        let client = &self.client;
        match variable {
            Variable::RemoteAddr => put(out, self.remote_address().as_bytes()),
            Variable::RealipRemoteAddr => put(out, client.address.as_bytes()),
            Variable::BinaryRemoteAddr => match self.peer().ip() {
                Some(std::net::IpAddr::V4(ip)) => put(out, &ip.octets()),
                Some(std::net::IpAddr::V6(ip)) => put(out, &ip.octets()),
                None => put(out, b"unix:"),
            },
            Variable::RemotePort => put_port(out, self.peer()),
            Variable::RealipRemotePort => put_port(out, client.peer),
            Variable::RemoteUser => {
                let credentials = crate::auth::credentials(&self.head);
                put_option(out, credentials.as_ref().map(|it| &it.user[..]))
            }
            Variable::ServerAddr => match client.local {
                Some(local) => put(out, local.ip().to_string().as_bytes()),
                None => match &client.listen {
                    plan::Address::Unix(path) => {
                        out.extend_from_slice(b"unix:");
                        put(out, path.as_os_str().as_bytes())
                    }
                    _ => put(out, b"unix:"),
                },
            },
            Variable::ServerPort => match client.local {
                Some(local) => put_number(out, u64::from(local.port())),
                None => Some(true),
            },
            Variable::Connection => put_number(out, client.number),
            Variable::ConnectionRequests => put_number(out, u64::from(client.requests.get())),
            Variable::ConnectionTime => put_seconds(out, client.opened.elapsed()),
            Variable::Pipe => put(out, if self.pipelined { b"p" } else { b"." }),
            Variable::Http2 => Some(true),
            Variable::Https => put(out, if client.security.is_tls() { b"on" } else { b"" }),
            Variable::Scheme => put(out, client.security.scheme().as_bytes()),
            _ => self.of_tls(variable, out),
        }
    }

    fn of_tls(&self, variable: &Variable, out: &mut Vec<u8>) -> Option<bool> {
        let agreed = self.client.security.agreed();
        let text = match variable {
            Variable::SslProtocol => agreed.map(|agreed| agreed.version.as_bytes()),
            Variable::SslCipher => agreed.map(|agreed| agreed.cipher.as_bytes()),
            Variable::SslServerName => {
                agreed.and_then(|agreed| agreed.server_name.as_deref()).map(str::as_bytes)
            }
            Variable::SslAlpnProtocol => agreed.and_then(|agreed| agreed.application.as_deref()),
            Variable::SslSessionReused => {
                agreed.map(|agreed| if agreed.resumed { &b"r"[..] } else { b"." })
            }
            Variable::SslClientVerify => {
                let verified = |certificate| if certificate { &b"SUCCESS"[..] } else { b"NONE" };
                agreed.map(|agreed| verified(agreed.client_certificate))
            }
            _ => return None,
        };
        put_option(out, text)
    }

    fn of_request(&self, variable: &Variable, out: &mut Vec<u8>) -> Option<bool> {
        let head = &self.head;
        match variable {
            Variable::Request => put(out, self.request_line()),
            Variable::RequestMethod if self.subrequest => {
                put(out, self.text_of_method(self.head.method))
            }
            Variable::RequestMethod => put(out, self.method_text()),
            Variable::RequestUri => {
                self.push_request_uri(out);
                Some(true)
            }
            Variable::Uri => put(out, self.uri()),
            Variable::Args => put(out, self.args()),
            Variable::IsArgs => put(out, if self.args().is_empty() { b"" } else { b"?" }),
            Variable::ServerProtocol => put(out, head.version.text().as_bytes()),
            Variable::Host => match self.host().is_empty() {
                false => put(out, self.host()),
                true => put(out, self.server().first_name.as_bytes()),
            },
            Variable::ServerName => put(out, self.server().first_name.as_bytes()),
            Variable::ContentLength => match self.body.length() {
                Some(length) => put_number(out, length),
                None => put_option(out, head.header(KnownHeader::ContentLength)),
            },
            Variable::ContentType => put_option(out, head.header(KnownHeader::ContentType)),
            Variable::RequestBody => put_option(out, self.body.memory()),
            Variable::RequestBodyFile => Some(false),
            Variable::RequestLength => put_number(out, self.request_bytes),
            Variable::RequestTime => put_seconds(out, self.elapsed()),
            Variable::RequestId => put(out, self.request_id().as_bytes()),
            Variable::RequestCompletion => put(out, if self.sent.complete { b"OK" } else { b"" }),
            Variable::RequestFilename => put(out, &paths::of_uri(self, self.uri())),
            Variable::DocumentRoot => put(out, &paths::root(self)),
            Variable::RealpathRoot => {
                let root = paths::root(self);
                let path = std::path::Path::new(std::ffi::OsStr::from_bytes(&root));
                let real = std::fs::canonicalize(path).ok();
                put_option(out, real.as_ref().map(|path| path.as_os_str().as_bytes()))
            }
            Variable::LimitRate => put_number(out, self.limit_rate),
            _ => None,
        }
    }

    fn of_response(&self, variable: &Variable, out: &mut Vec<u8>) -> Option<bool> {
        match variable {
            Variable::Status if self.sent.status == 0 => put(out, b"000"),
            Variable::Status => {
                let _ = write!(out, "{:03}", self.sent.status);
                Some(true)
            }
            Variable::LimitReqStatus => {
                let verdict = self.limited.as_ref().and_then(|limited| limited.requests);
                put_option(out, verdict.map(Verdict::text))
            }
            Variable::LimitConnStatus => {
                let verdict = self.limited.as_ref().and_then(|limited| limited.connections);
                put_option(out, verdict.map(Verdict::text))
            }
            Variable::BodyBytesSent => put_number(out, self.sent.body_bytes),
            Variable::BytesSent => put_number(out, self.sent.bytes),
            Variable::GzipRatio => match self.sent.gzip_ratio {
                Some(ratio) => {
                    let _ = write!(out, "{}.{:02}", ratio / 100, ratio % 100);
                    Some(true)
                }
                None => Some(false),
            },
            _ => None,
        }
    }

    fn of_place(&self, variable: &Variable, out: &mut Vec<u8>) -> Option<bool> {
        match variable {
            Variable::TimeLocal => self.thread.clock.time_local(out),
            Variable::TimeIso8601 => self.thread.clock.time_iso8601(out),
            Variable::Msec => return put_seconds(out, crate::clock::now()),
            Variable::Pid => return put_number(out, u64::from(std::process::id())),
            Variable::Hostname => return put(out, hostname().as_bytes()),
            Variable::NginxVersion => {
                return put(out, PRODUCT.rsplit('/').next().unwrap_or_default().as_bytes());
            }
            _ => return None,
        }
        Some(true)
    }

    fn of_upstream(&self, variable: &Variable, out: &mut Vec<u8>) -> Option<bool> {
        match variable {
            Variable::ProxyHost | Variable::ProxyPort => {
                let Handler::Upstream(call) = &self.location().handler else { return Some(false) };
                let Speak::Http { host, port, .. } = &call.speak else { return Some(false) };
                let dynamic;
                let (host, port) = match &call.target {
                    Target::Group(_) => (host, *port),
                    Target::Dynamic(template) => {
                        dynamic = crate::call::target::proxy_host(self, template);
                        (&dynamic.0, dynamic.1)
                    }
                };
                match variable {
                    Variable::ProxyHost => put(out, host.as_bytes()),
                    _ => put_number(out, u64::from(port)),
                }
            }
            Variable::ProxyAddXForwardedFor => {
                for value in self.head.header_all(KnownHeader::XForwardedFor) {
                    out.extend_from_slice(value);
                    out.extend_from_slice(b", ");
                }
                put(out, self.remote_address().as_bytes())
            }
            Variable::UpstreamCacheStatus => {
                put_option(out, self.upstream.cache_status.map(str::as_bytes))
            }
            _ => crate::upstream_facts::value(&self.upstream, variable, out),
        }
    }

    fn of_family(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        match variable {
            Variable::Http(name) => self.request_header(name, out),
            Variable::SentHttp(name) => listed(&self.sent.headers, name, out),
            Variable::UpstreamHttp(name) => listed(&self.upstream.headers, name, out),
            Variable::Cookie(name) => {
                let mut cookies = self.head.header_all(KnownHeader::Cookie);
                let found = cookies.find_map(|line| cookie(line, name.as_bytes()));
                out.extend_from_slice(found.unwrap_or(&[]));
                found.is_some()
            }
            Variable::UpstreamCookie(name) => {
                let mut lines = self.upstream.headers.get_all(KnownHeader::SetCookie);
                let found = lines.find_map(|line| cookie(line, name.as_bytes()));
                out.extend_from_slice(found.unwrap_or(&[]));
                found.is_some()
            }
            Variable::Arg(name) => {
                let found = argument(self.args(), name.as_bytes());
                out.extend_from_slice(found.unwrap_or(&[]));
                found.is_some()
            }
            Variable::User(slot) => {
                let slots = self.slots.borrow();
                let value = slots.get(usize::from(slot.0)).and_then(Option::as_ref);
                out.extend_from_slice(value.map_or(&[], |value| value));
                value.is_some()
            }
            Variable::Map(_) | Variable::Geo(_) | Variable::Split(_) => self.made(variable, out),
            _ => false,
        }
    }

    /// Variables of blocks, which may be made of each other, and by mistake in a circle.
    fn made(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let depth = self.nesting.get();
        if depth >= NESTING_MAX {
            if depth != NESTING_CYCLE {
                self.log(LogLevel::Error, "cycle while evaluating a variable");
                self.nesting.set(NESTING_CYCLE);
            }
            return false;
        }
        self.nesting.set(depth + 1);
        let known = match variable {
            Variable::Map(id) => self.mapped(*id, out),
            Variable::Geo(id) => self.located(*id, out),
            Variable::Split(id) => self.shared_out(*id, out),
            _ => false,
        };
        // After a cycle nothing more is made until the outermost is done: values that need two
        // others each would double the work with every turn.
        if depth == 0 || self.nesting.get() != NESTING_CYCLE {
            self.nesting.set(depth);
        }
        known
    }

    fn mapped(&self, id: plan::template::MapId, out: &mut Vec<u8>) -> bool {
        let Some(map) = self.active.shared.router.map(id) else { return false };
        match map.look_up(self, out) {
            Ok(Some(captures)) => {
                let mut slots = self.slots.borrow_mut();
                for (slot, text) in captures.named() {
                    if let Some(place) = slots.get_mut(usize::from(slot.0)) {
                        *place = Some(bytes::Bytes::copy_from_slice(text));
                    }
                }
                true
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }

    fn located(&self, id: plan::template::GeoId, out: &mut Vec<u8>) -> bool {
        let Some(geo) = self.active.plan().geos.get(usize::from(id.0)) else { return false };
        let mut client = Some(real_ip::client(self.peer()));
        if let Some(variable) = &geo.address {
            let before = out.len();
            let known = self.value(variable, out);
            client = out.get(before..).filter(|_| known).and_then(route::geo::address);
            out.truncate(before);
        }
        if let Some((proxies, proxy)) = geo.proxies.as_ref().zip(client)
            && let Some(address) = real_ip::told(self, proxies, proxy)
        {
            client = Some(route::access::Client::Inet(address.ip()));
        }
        out.extend_from_slice(route::geo::look_up(geo, client).as_bytes());
        true
    }

    fn shared_out(&self, id: plan::template::SplitId, out: &mut Vec<u8>) -> bool {
        let Some(split) = self.active.plan().splits.get(usize::from(id.0)) else { return false };
        let before = out.len();
        route::render(&split.source, self, out);
        let value = route::split_clients::choose(split, out.get(before..).unwrap_or(&[]));
        out.truncate(before);
        out.extend_from_slice(value.as_bytes());
        true
    }

    /// All values of a request header by its variable name; repeated ones are joined, cookies
    /// with `; `, others with `, `.
    fn request_header(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let mut found = false;
        let separator: &[u8] = if name == "cookie" { b"; " } else { b", " };
        for (_, known, value) in self.head.fields() {
            if named_like(known, name) {
                if found {
                    out.extend_from_slice(separator);
                }
                out.extend_from_slice(value);
                found = true;
            }
        }
        found
    }

    /// The request target as it was written; of an absolute-form one path and query only, which
    /// is what apps and upstreams take for a URI.
    pub fn push_request_uri(&self, out: &mut Vec<u8>) {
        let head = &self.head;
        if head.target_host.is_none() {
            out.extend_from_slice(head.text(head.target));
            return;
        }
        out.extend_from_slice(head.text(head.path));
        if head.has_query {
            out.push(b'?');
            out.extend_from_slice(head.text(head.query));
        }
    }

    /// The method as it is passed on: an error page is always asked for with GET.
    pub fn method_text(&self) -> &[u8] {
        self.text_of_method(self.method)
    }

    fn text_of_method(&self, method: message::Method) -> &[u8] {
        match method {
            message::Method::Get => b"GET",
            message::Method::Head => b"HEAD",
            _ => self.head.text(self.head.method_text),
        }
    }

    /// 32 hexadecimal digits, the same as often as it is asked for.
    fn request_id(&self) -> String {
        use std::hash::{BuildHasher, Hasher};
        let state = &self.thread.random;
        let mut id = String::with_capacity(32);
        for half in 0..2u64 {
            let mut hasher = state.build_hasher();
            hasher.write_u64(half);
            hasher.write_u64(self.client.number);
            hasher.write_u32(self.client.requests.get());
            use std::fmt::Write;
            let _ = write!(id, "{:016x}", hasher.finish());
        }
        id
    }
}

/// Appends the values of every field of that variable name, joined with `, `.
fn listed(headers: &Headers, name: &str, out: &mut Vec<u8>) -> bool {
    let mut found = false;
    for header in headers.iter().filter(|header| named_like(header.name, name)) {
        if found {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(header.value);
        found = true;
    }
    found
}

/// Whether a field name is what a variable means: lower case, `_` for `-`.
pub fn named_like(field: &[u8], variable: &str) -> bool {
    field.len() == variable.len()
        && field.iter().zip(variable.bytes()).all(|(&field, wanted)| {
            let field = if field == b'-' { b'_' } else { field.to_ascii_lowercase() };
            field == wanted
        })
}

/// Value of one cookie of a Cookie or Set-Cookie line; names differ by case.
fn cookie<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.split(|&byte| byte == b';').map(<[u8]>::trim_ascii).find_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (found, value) = (pair.get(..equals)?, pair.get(equals + 1..)?);
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Value of an argument; names are compared without case.
fn argument<'a>(args: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    args.split(|&byte| byte == b'&').find_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (found, value) = (pair.get(..equals)?, pair.get(equals + 1..)?);
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn hostname() -> &'static str {
    static NAME: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    NAME.get_or_init(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().to_ascii_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_cookies_are_found_by_their_whole_name() {
        assert_eq!(argument(b"ab=1&a=2&a=3", b"a"), Some(b"2".as_slice()));
        assert_eq!(argument(b"a&b=", b"a"), None);
        assert_eq!(cookie(b"xsid=1; sid=2=3", b"sid"), Some(b"2=3".as_slice()));
        assert!(named_like(b"X-Forwarded-For", "x_forwarded_for"));
        assert!(!named_like(b"X-Forwarded", "x_forwarded_for"));
    }
}
