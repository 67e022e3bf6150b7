//! Blocks as they are collected, before inheritance and before names became numbers.

use std::path::PathBuf;
use std::time::Duration;

use plan::front::http::ServerName;
use plan::front::log::ErrorLog;
use plan::front::upstream::{Balance, Peer, Redirect};
use plan::{Address, RegexPlan, Template};

use crate::level::Level;
use crate::report::At;

/// Process matters.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct MainDraft {
    pub user: Option<(String, Option<String>)>,
    pub worker_processes: Option<u32>,
    pub worker_connections: Option<u32>,
    pub pid: Option<PathBuf>,
    pub daemon: Option<bool>,
    pub master_process: Option<bool>,
    pub error_log: Option<Vec<ErrorLog>>,
    pub descriptors_max: Option<u64>,
    pub shutdown_timeout: Option<Duration>,
    pub events_seen: bool,
    pub http: Option<HttpDraft>,
}

/// `http { }`
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct HttpDraft {
    pub level: Level,
    pub servers: Vec<ServerDraft>,
}

/// `server { }`
#[derive(Debug)]
#[allow(missing_docs)]
pub struct ServerDraft {
    pub level: Level,
    pub listens: Vec<ListenDraft>,
    pub names: Vec<NameDraft>,
    pub locations: Vec<LocationDraft>,
    pub at: At,
}

/// A `server_name`.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct NameDraft {
    pub name: ServerName,
    pub written: String,
    pub at: At,
}

/// One `listen`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ListenDraft {
    pub address: Address,
    pub default_server: bool,
    pub backlog: Option<u32>,
    pub ipv6_only: Option<bool>,
    pub reuse_port: bool,
    pub so_keepalive: bool,
    pub tls: bool,
    /// Socket options were given: only one `listen` per address may do that.
    pub options_set: bool,
    pub at: At,
}

/// `location { }`
#[derive(Debug)]
#[allow(missing_docs)]
pub struct LocationDraft {
    pub level: Level,
    pub nested: Vec<LocationDraft>,
    pub at: At,
}

/// Which kind of block a level belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SiteKind {
    /// `http { }` or `server { }`.
    #[default]
    Outside,
    /// `location /uri`, `location ^~ /uri`.
    Prefix {
        /// The prefix.
        uri: String,
        /// `^~`.
        skip_regexes: bool,
    },
    /// `location = /uri`
    Exact(String),
    /// `location ~ pattern`
    Regex(RegexPlan),
    /// `location @name`
    Named(String),
    /// `if` in a server.
    ServerIf,
    /// `if` in a location, which is kept inside.
    LocationIf(Box<SiteKind>),
    /// `limit_except` in a location, which is kept inside.
    LimitExcept(Box<SiteKind>),
}

impl SiteKind {
    /// How nginx prints the location's name.
    pub fn name(&self) -> &str {
        match self {
            SiteKind::Outside | SiteKind::ServerIf => "",
            SiteKind::Prefix { uri, .. } | SiteKind::Exact(uri) => uri,
            SiteKind::Regex(regex) => &regex.pattern,
            SiteKind::Named(name) => name,
            SiteKind::LocationIf(inner) | SiteKind::LimitExcept(inner) => inner.name(),
        }
    }
}

/// An entry of `try_files`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum TryDraft {
    File(Template),
    Directory(Template),
    Uri(Template),
    Named(String, At),
    Status(u16),
}

/// `proxy_pass` or `uwsgi_pass`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct PassDraft {
    pub speak: SpeakDraft,
    pub secrecy: Secrecy,
    pub target: TargetDraft,
    pub at: At,
}

/// Whether an upstream is called under TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Never.
    Plain,
    /// Always.
    Tls,
    /// The scheme is in a variable.
    AsItTurnsOut,
}

/// What is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SpeakDraft {
    Uwsgi,
    Http {
        /// `http://host:port` or `https://host:port`, as written, for `proxy_redirect default`.
        base: String,
        uri: Option<String>,
        host: String,
        port: u16,
    },
}

/// Whom to call.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum TargetDraft {
    /// A group's name, or an address as written, and the port to take if it names none.
    Named {
        name: String,
        default_port: Option<u16>,
    },
    Dynamic(Template),
}

/// A `proxy_redirect` line.
#[derive(Clone, Debug)]
pub enum RedirectDraft {
    /// `off`
    Off,
    /// `default`: worked out from `proxy_pass`.
    Default,
    /// Any other.
    Ready(Redirect),
}

/// `upstream { }`
#[derive(Debug)]
#[allow(missing_docs)]
pub struct GroupDraft {
    pub name: String,
    pub peers: Vec<Peer>,
    pub balance: Option<Balance>,
    pub keepalive: Option<u32>,
    pub keepalive_timeout: Option<Duration>,
    pub keepalive_requests: Option<u32>,
}

impl GroupDraft {
    /// A group without peers.
    pub fn named(name: &str) -> GroupDraft {
        GroupDraft {
            name: name.to_owned(),
            peers: Vec::new(),
            balance: None,
            keepalive: None,
            keepalive_timeout: None,
            keepalive_requests: None,
        }
    }
}
