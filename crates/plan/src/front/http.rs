//! Listening sockets, virtual servers, and the tree that finds a location.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LocationId, RewriteStep, ServerId, TlsPlan};
use crate::{Address, RegexPlan};

/// A listening socket and the servers behind it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListenPlan {
    /// Where.
    pub address: Address,
    /// `backlog=`.
    pub backlog: Option<u32>,
    /// `ipv6only=`; on by default for IPv6 addresses.
    pub ipv6_only: bool,
    /// `reuseport`.
    pub reuse_port: bool,
    /// `so_keepalive=on`.
    pub so_keepalive: bool,
    /// Connections start with TLS.
    pub tls: bool,
    /// Answers requests that no name matches.
    pub default_server: ServerId,
    /// Servers that listen here, in the order of the file.
    pub servers: Vec<ServerId>,
}

/// A name a server answers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerName {
    /// `www.example.com`, lower case; may be empty (requests without Host).
    Exact(String),
    /// `*.example.com` is stored as `.example.com`; matches any prefix but not the name itself.
    Ending(String),
    /// `.example.com`: the name itself and any prefix; stored as `.example.com`.
    EndingOrExact(String),
    /// `www.example.*` is stored as `www.example.`.
    Beginning(String),
    /// `~pattern`.
    Regex(RegexPlan),
}

/// A virtual server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerPlan {
    /// Its names, in order; the first one is `$server_name`.
    pub names: Vec<ServerName>,
    /// The first name as written, for `$server_name` and redirects; empty if none.
    pub first_name: String,
    /// Rewrite steps of the server level, run before a location is chosen.
    pub rewrite: Vec<RewriteStep>,
    /// How a location is chosen.
    pub tree: LocationTree,
    /// Configuration of requests before, or without, a location.
    pub fallback: LocationId,
    /// Limits on request heads.
    pub head: HeadLimits,
    /// `merge_slashes`.
    pub merge_slashes: bool,
    /// What it says to clients that speak TLS; `None` takes the default server's word.
    pub tls: Option<Box<TlsPlan>>,
}

/// Limits and leniencies while a request head is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadLimits {
    /// `client_header_timeout`: for the whole head.
    pub timeout: Duration,
    /// `large_client_header_buffers`: number.
    pub buffers: u32,
    /// `large_client_header_buffers`: size in bytes; one line must fit in one buffer.
    pub buffer_bytes: u32,
    /// `underscores_in_headers`.
    pub underscores: bool,
    /// `ignore_invalid_headers`.
    pub ignore_invalid: bool,
}

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits {
            timeout: Duration::from_secs(60),
            buffers: 4,
            buffer_bytes: 8 * 1024,
            underscores: false,
            ignore_invalid: true,
        }
    }
}

/// How the location of a (normalised) URI is found; nginx's order: exact, longest prefix
/// (which may forbid regexes), nested ones of that prefix, then regexes in file order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LocationTree {
    /// `= /uri`, sorted by uri.
    pub exact: Vec<(String, LocationId)>,
    /// Plain prefixes, sorted by uri.
    pub prefixes: Vec<PrefixLocation>,
    /// `~` and `~*`, in file order.
    pub regexes: Vec<RegexLocation>,
    /// `@name`, sorted by name (with its `@`).
    pub named: Vec<(String, LocationId)>,
}

/// A prefix location.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrefixLocation {
    /// The prefix.
    pub uri: String,
    /// Where it leads.
    pub location: LocationId,
    /// `^~`: regexes are not tried.
    pub skip_regexes: bool,
    /// The location passes to an upstream and ends in a slash: the uri without it is redirected.
    pub auto_redirect: bool,
    /// Locations inside it.
    pub nested: LocationTree,
}

/// A regex location.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegexLocation {
    /// The pattern.
    pub regex: RegexPlan,
    /// Where it leads.
    pub location: LocationId,
    /// Locations inside it.
    pub nested: LocationTree,
}
