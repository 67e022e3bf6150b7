//! Calls to upstreams: groups of peers, and what a location says about using them.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{CacheUse, GroupId, HeaderNames, PeerTlsId};
use crate::{Address, RegexPlan, Template};

/// A group of peers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    /// Name of the `upstream` block, or the address as written.
    pub name: String,
    /// The port of a literal address that names none (a scheme's own); `None` for blocks.
    pub default_port: Option<u16>,
    /// Peers; a host name with several addresses is several peers.
    pub peers: Vec<Peer>,
    /// How one is chosen.
    pub balance: Balance,
    /// `keepalive`: idle connections kept per thread; 0 is none.
    pub keepalive: u32,
    /// `keepalive_timeout` of the block.
    pub keepalive_timeout: Duration,
    /// `keepalive_requests` of the block.
    pub keepalive_requests: u32,
}

/// One server of a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// Where.
    pub address: PeerAddress,
    /// As written, for `$upstream_addr` and messages.
    pub written: String,
    /// `weight`.
    pub weight: u32,
    /// `max_fails`.
    pub max_fails: u32,
    /// `fail_timeout`.
    pub fail_timeout: Duration,
    /// `max_conns`; 0 is unlimited.
    pub max_conns: u32,
    /// `backup`.
    pub backup: bool,
    /// `down`.
    pub down: bool,
}

/// How a peer is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerAddress {
    /// A socket.
    Socket(Address),
    /// The app of our own master with this number: the private channel.
    App(u16),
}

/// Load balancing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Balance {
    RoundRobin,
    LeastConn,
    IpHash,
}

/// Everything a location says about calling an upstream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpstreamCall {
    /// Whom.
    pub target: Target,
    /// What is spoken.
    pub speak: Speak,
    /// Under TLS; for an address whose scheme is not known before the request, if it turns out
    /// to be that of TLS.
    pub tls: Option<TlsUse>,
    /// `*_connect_timeout`.
    pub connect_timeout: Duration,
    /// `*_send_timeout`: between two writes.
    pub send_timeout: Duration,
    /// `*_read_timeout`: between two reads.
    pub read_timeout: Duration,
    /// `*_buffering`.
    pub buffering: bool,
    /// `*_buffer_size`: bytes of a response head.
    pub head_bytes_max: u32,
    /// `*_buffers`, number times size: bytes of a response kept in memory.
    pub memory_bytes_max: u64,
    /// `*_max_temp_file_size`: bytes of a response kept in a file; 0 is none.
    pub file_bytes_max: u64,
    /// `*_temp_path`.
    pub temp_path: PathBuf,
    /// `*_request_buffering`.
    pub request_buffering: bool,
    /// `*_pass_request_headers`.
    pub pass_headers: bool,
    /// `*_pass_request_body`.
    pub pass_body: bool,
    /// `*_hide_header`, defaults included, `*_pass_header` taken out.
    pub hide_headers: HeaderNames,
    /// `*_ignore_headers`.
    pub ignore_headers: IgnoreHeaders,
    /// `*_intercept_errors`.
    pub intercept_errors: bool,
    /// `*_ignore_client_abort`.
    pub ignore_client_abort: bool,
    /// `*_next_upstream`.
    pub next: NextUpstream,
    /// `*_cache` and friends; `None` is off.
    pub cache: Option<CacheUse>,
    /// `proxy_redirect` lines, the default one worked out.
    pub redirects: Vec<Redirect>,
}

/// TLS of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsUse {
    /// The rules.
    pub rules: PeerTlsId,
    /// `*_ssl_name`: whom the peer's certificate must be for, and whose name it is told. A port
    /// behind it does not count.
    pub name: Template,
}

/// Whom to call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Target {
    /// A group known now.
    Group(GroupId),
    /// A text with variables, resolved per request: `scheme://host[:port][/uri]` for HTTP,
    /// an address or group name for uwsgi.
    Dynamic(Template),
}

/// What is spoken to the upstream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Speak {
    /// uwsgi packets.
    Uwsgi {
        /// `uwsgi_param` lines, in order.
        params: Vec<UwsgiParam>,
        /// Which of their names begin with `HTTP_`, without that: the client's fields that would
        /// have these names are not passed on.
        header_params: Vec<String>,
        /// `uwsgi_modifier1`.
        modifier1: u8,
        /// `uwsgi_modifier2`.
        modifier2: u8,
    },
    /// HTTP/1.
    Http {
        /// URI part of `proxy_pass`, which replaces the location's prefix.
        uri: Option<String>,
        /// How many bytes of the normalised URI it replaces.
        prefix_bytes: usize,
        /// `proxy_set_header` lines, defaults worked out.
        set_headers: SetHeaders,
        /// `$proxy_host`: host and non-default port as written in `proxy_pass`.
        host: String,
        /// `$proxy_port`.
        port: u16,
        /// `proxy_http_version` is 1.1.
        http11: bool,
        /// `proxy_method`.
        method: Option<Template>,
    },
}

/// What follows the target in the head of an HTTP request, up to the fields that follow from the
/// body and the client's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetHeaders {
    /// Pieces, in order; neighbouring lines have been joined.
    pub pieces: Vec<HeadPiece>,
    /// What the lines set: the client's fields of these names are not passed on.
    pub names: HeaderNames,
}

/// A piece of a head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeadPiece {
    /// Bytes that are the same for every request: whole lines, or the end of one.
    Lines(Bytes),
    /// A field whose value has variables in it; an empty value sends nothing.
    Field {
        /// Name, colon, blank.
        start: Bytes,
        /// The value.
        value: Template,
    },
}

/// One `uwsgi_param` line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UwsgiParam {
    /// Name.
    pub name: String,
    /// Value.
    pub value: Template,
    /// `if_not_empty`.
    pub if_not_empty: bool,
}

/// `*_ignore_headers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct IgnoreHeaders {
    pub x_accel_redirect: bool,
    pub x_accel_expires: bool,
    pub x_accel_limit_rate: bool,
    pub x_accel_buffering: bool,
    pub x_accel_charset: bool,
    pub expires: bool,
    pub cache_control: bool,
    pub set_cookie: bool,
    pub vary: bool,
}

/// `*_next_upstream` and its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextUpstream {
    /// `error`.
    pub error: bool,
    /// `timeout`.
    pub timeout: bool,
    /// `invalid_header`.
    pub invalid_header: bool,
    /// `non_idempotent`.
    pub non_idempotent: bool,
    /// `http_500` and the like.
    pub statuses: Vec<u16>,
    /// `*_next_upstream_tries`; 0 is unlimited.
    pub tries: u32,
    /// `*_next_upstream_timeout`; zero is unlimited.
    pub within: Duration,
}

/// One `proxy_redirect` line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Redirect {
    /// A prefix that is replaced.
    Prefix(Template, Template),
    /// A regex.
    Regex(RegexPlan, Template),
}
