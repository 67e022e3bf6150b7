//! Names of variables → numbers of the plan; user variables get their slots here.

use std::collections::BTreeMap;

use plan::Variable;
use plan::template::Slot;

use crate::report::At;

/// What a name means.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A variable of the plan.
    Known(Variable),
    /// nginx has it, we do not; the module that makes it.
    Unsupported(&'static str),
}

/// User variables, numbered as they are met.
#[derive(Debug, Default)]
pub struct Variables {
    /// Those of `map` blocks and their like.
    made: BTreeMap<String, Variable>,
    slots: BTreeMap<String, SlotUse>,
    reads_upstream_fields: bool,
    reads_upstream_times: bool,
}

#[derive(Debug)]
struct SlotUse {
    slot: Slot,
    defined: bool,
    used_at: Option<At>,
}

impl Variables {
    /// Notes the variable of a `map` block or its like. A second block of the same name takes its
    /// place.
    pub fn define_made(&mut self, name: &str, variable: Variable) {
        self.made.insert(name.to_ascii_lowercase(), variable);
    }

    /// Whether a block makes it.
    pub fn is_made(&self, name: &str) -> bool {
        self.made.contains_key(&name.to_ascii_lowercase())
    }

    /// The slot of a variable that `set` or a capture fills.
    pub fn define(&mut self, name: &str) -> Slot {
        let entry = self.slot(name);
        entry.defined = true;
        entry.slot
    }

    /// What `$name` means where it is used. Names without meaning get a slot, in the hope that
    /// something defines them later; [`Variables::undefined`] tells which were not.
    pub fn used(&mut self, name: &str, at: At) -> Meaning {
        let name = name.to_ascii_lowercase();
        if let Some(variable) = self.made.get(&name) {
            return Meaning::Known(variable.clone());
        }
        let own = self.slots.get(&name).is_some_and(|entry| entry.defined);
        if let Some(variable) = builtin(&name).or_else(|| if own { None } else { family(&name) }) {
            self.reads_upstream_fields |=
                matches!(variable, Variable::UpstreamHttp(_) | Variable::UpstreamCookie(_));
            self.reads_upstream_times |= matches!(
                variable,
                Variable::UpstreamConnectTime
                    | Variable::UpstreamHeaderTime
                    | Variable::UpstreamResponseTime
            );
            return Meaning::Known(variable);
        }
        let entry = self.slot(&name);
        if !entry.defined
            && let Some(module) = elsewhere(&name)
        {
            return Meaning::Unsupported(module);
        }
        entry.used_at.get_or_insert(at);
        Meaning::Known(Variable::User(entry.slot))
    }

    /// Names that were used and that nothing defines.
    pub fn undefined(&self) -> impl Iterator<Item = (&str, At)> {
        let unknown = self.slots.iter().filter(|(_, entry)| !entry.defined);
        unknown.filter_map(|(name, entry)| Some((name.as_str(), entry.used_at?)))
    }

    /// Whether a variable that is used stands for a field of an upstream's answer.
    pub fn reads_upstream_fields(&self) -> bool {
        self.reads_upstream_fields
    }

    /// Whether a variable that is used says how long an upstream took.
    pub fn reads_upstream_times(&self) -> bool {
        self.reads_upstream_times
    }

    /// How many slots a request needs.
    pub fn slots(&self) -> u16 {
        u16::try_from(self.slots.len()).unwrap_or(u16::MAX)
    }

    /// Names a misspelt variable could have meant.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let defined = self.slots.iter().filter(|(_, entry)| entry.defined);
        let own =
            defined.map(|(name, _)| name.as_str()).chain(self.made.keys().map(String::as_str));
        diag::nearest(name, own.chain(BUILTIN.iter().map(|(name, _)| *name)))
    }

    fn slot(&mut self, name: &str) -> &mut SlotUse {
        let next = Slot(self.slots());
        let new = SlotUse { slot: next, defined: false, used_at: None };
        self.slots.entry(name.to_ascii_lowercase()).or_insert(new)
    }
}

/// A variable that nginx itself makes and that `set` must not touch.
pub fn is_fixed(name: &str) -> bool {
    builtin(&name.to_ascii_lowercase()).is_some()
}

fn builtin(name: &str) -> Option<Variable> {
    BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, variable)| variable.clone())
}

type Family = (&'static str, fn(String) -> Variable);

/// Prefixes that take any name; longer ones first where one starts with another.
const FAMILIES: [Family; 6] = [
    ("upstream_http_", Variable::UpstreamHttp),
    ("upstream_cookie_", Variable::UpstreamCookie),
    ("sent_http_", Variable::SentHttp),
    ("http_", Variable::Http),
    ("cookie_", Variable::Cookie),
    ("arg_", Variable::Arg),
];

fn family(name: &str) -> Option<Variable> {
    FAMILIES.iter().find_map(|(prefix, make)| {
        let rest = name.strip_prefix(prefix)?;
        (!rest.is_empty()).then(|| make(rest.to_owned()))
    })
}

/// Variables of modules that are not here.
fn elsewhere(name: &str) -> Option<&'static str> {
    let found = ELSEWHERE.iter().find(|(known, _)| match known.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == *known,
    });
    found.map(|(_, module)| *module)
}

const ELSEWHERE: &[(&str, &str)] = &[
    ("fastcgi_*", "ngx_http_fastcgi_module"),
    ("geoip_*", "ngx_http_geoip_module"),
    ("ssl_*", "ngx_http_ssl_module"),
    ("proxy_protocol_*", "ngx_http_core_module"),
    ("tcpinfo_*", "ngx_http_core_module"),
    ("sent_trailer_*", "ngx_http_core_module"),
    ("upstream_trailer_*", "ngx_http_upstream_module"),
    ("upstream_cache_*", "ngx_http_upstream_module"),
    ("upstream_queue_time", "ngx_http_upstream_module"),
    ("connections_*", "ngx_http_stub_status_module"),
    ("invalid_referer", "ngx_http_referer_module"),
    ("secure_link*", "ngx_http_secure_link_module"),
    ("slice_range", "ngx_http_slice_module"),
    ("uid_*", "ngx_http_userid_module"),
    ("modern_browser", "ngx_http_browser_module"),
    ("ancient_browser", "ngx_http_browser_module"),
    ("msie", "ngx_http_browser_module"),
    ("date_local", "ngx_http_ssi_module"),
    ("date_gmt", "ngx_http_ssi_module"),
    ("memcached_key", "ngx_http_memcached_module"),
    ("grpc_*", "ngx_http_grpc_module"),
    ("http3", "ngx_http_v3_module"),
    ("quic", "ngx_http_v3_module"),
    ("spdy*", "ngx_http_spdy_module"),
    ("request_port", "ngx_http_core_module"),
    ("is_request_port", "ngx_http_core_module"),
];

const BUILTIN: &[(&str, Variable)] = &[
    ("args", Variable::Args),
    ("binary_remote_addr", Variable::BinaryRemoteAddr),
    ("body_bytes_sent", Variable::BodyBytesSent),
    ("bytes_sent", Variable::BytesSent),
    ("connection", Variable::Connection),
    ("connection_requests", Variable::ConnectionRequests),
    ("connection_time", Variable::ConnectionTime),
    ("content_length", Variable::ContentLength),
    ("content_type", Variable::ContentType),
    ("document_root", Variable::DocumentRoot),
    ("document_uri", Variable::Uri),
    ("gzip_ratio", Variable::GzipRatio),
    ("host", Variable::Host),
    ("hostname", Variable::Hostname),
    ("http2", Variable::Http2),
    ("https", Variable::Https),
    ("is_args", Variable::IsArgs),
    ("limit_conn_status", Variable::LimitConnStatus),
    ("limit_rate", Variable::LimitRate),
    ("limit_req_status", Variable::LimitReqStatus),
    ("msec", Variable::Msec),
    ("nginx_version", Variable::NginxVersion),
    ("pid", Variable::Pid),
    ("pipe", Variable::Pipe),
    ("proxy_add_x_forwarded_for", Variable::ProxyAddXForwardedFor),
    ("proxy_host", Variable::ProxyHost),
    ("proxy_port", Variable::ProxyPort),
    ("query_string", Variable::Args),
    ("realip_remote_addr", Variable::RealipRemoteAddr),
    ("realip_remote_port", Variable::RealipRemotePort),
    ("realpath_root", Variable::RealpathRoot),
    ("remote_addr", Variable::RemoteAddr),
    ("remote_port", Variable::RemotePort),
    ("remote_user", Variable::RemoteUser),
    ("request", Variable::Request),
    ("request_body", Variable::RequestBody),
    ("request_body_file", Variable::RequestBodyFile),
    ("request_completion", Variable::RequestCompletion),
    ("request_filename", Variable::RequestFilename),
    ("request_id", Variable::RequestId),
    ("request_length", Variable::RequestLength),
    ("request_method", Variable::RequestMethod),
    ("request_time", Variable::RequestTime),
    ("request_uri", Variable::RequestUri),
    ("scheme", Variable::Scheme),
    ("server_addr", Variable::ServerAddr),
    ("server_name", Variable::ServerName),
    ("server_port", Variable::ServerPort),
    ("server_protocol", Variable::ServerProtocol),
    ("ssl_alpn_protocol", Variable::SslAlpnProtocol),
    ("ssl_cipher", Variable::SslCipher),
    ("ssl_client_verify", Variable::SslClientVerify),
    ("ssl_protocol", Variable::SslProtocol),
    ("ssl_server_name", Variable::SslServerName),
    ("ssl_session_reused", Variable::SslSessionReused),
    ("status", Variable::Status),
    ("time_iso8601", Variable::TimeIso8601),
    ("time_local", Variable::TimeLocal),
    ("upstream_addr", Variable::UpstreamAddr),
    ("upstream_bytes_received", Variable::UpstreamBytesReceived),
    ("upstream_bytes_sent", Variable::UpstreamBytesSent),
    ("upstream_cache_status", Variable::UpstreamCacheStatus),
    ("upstream_connect_time", Variable::UpstreamConnectTime),
    ("upstream_header_time", Variable::UpstreamHeaderTime),
    ("upstream_response_length", Variable::UpstreamResponseLength),
    ("upstream_response_time", Variable::UpstreamResponseTime),
    ("upstream_status", Variable::UpstreamStatus),
    ("uri", Variable::Uri),
];
