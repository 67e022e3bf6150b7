//! What the web server will do.
//!
//! Shape: the plan holds flat tables (servers, locations, upstreams, caches, logs, types, maps);
//! everything else refers to them by number. Inheritance has been worked out: each
//! [`LocationPlan`] is complete in itself.
//!
//! Rooms: [`http`] (servers and listening), [`location`], [`upstream`] (`proxy_pass`,
//! `uwsgi_pass`), [`auth`], [`cache`], [`geo`], [`limit`], [`log`], [`real_ip`], [`rewrite`], [`tls`].

pub mod auth;
pub mod cache;
pub mod geo;
mod header_names;
pub mod http;
pub mod limit;
pub mod location;
pub mod log;
pub mod real_ip;
pub mod rewrite;
pub mod split_clients;
pub mod tls;
pub mod upstream;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use auth::{AuthPlan, BasicPlan, RequestPlan};
pub use cache::{CacheUse, CacheZone};
pub use geo::GeoPlan;
pub use header_names::HeaderNames;
pub use http::{ListenPlan, LocationTree, ServerName, ServerPlan};
pub use limit::{LimitZone, LimitsPlan};
pub use location::{Handler, LocationPlan};
pub use log::{AccessLog, ErrorLog, LogFormat, LogLevel, LogTarget};
pub use real_ip::RealIpPlan;
pub use rewrite::RewriteStep;
pub use split_clients::SplitPlan;
pub use tls::{PeerTlsPlan, TlsPlan};
pub use upstream::{Group, UpstreamCall};

/// Index into [`FrontPlan::servers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServerId(pub u32);
/// Index into [`FrontPlan::locations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LocationId(pub u32);
/// Index into [`FrontPlan::groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u32);
/// Index into [`FrontPlan::upstream_tls`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerTlsId(pub u32);
/// Index into [`FrontPlan::caches`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CacheId(pub u32);
/// Index into [`FrontPlan::limit_req_zones`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LimitReqZoneId(pub u32);
/// Index into [`FrontPlan::limit_conn_zones`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LimitConnZoneId(pub u32);
/// Index into [`FrontPlan::log_files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogFileId(pub u32);
/// Index into [`FrontPlan::log_formats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogFormatId(pub u32);
/// Index into [`FrontPlan::types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TypesId(pub u32);

/// The whole front.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FrontPlan {
    /// Process matters: user, pid file, daemon, workers.
    pub main: MainPlan,
    /// Every socket to listen on, each once.
    pub listens: Vec<ListenPlan>,
    /// Virtual servers.
    pub servers: Vec<ServerPlan>,
    /// Locations of all servers, merged; includes one per server for requests that no location
    /// matches, and one per `if` block.
    pub locations: Vec<LocationPlan>,
    /// Upstream groups: `upstream` blocks, and one per literal address in a pass directive.
    pub groups: Vec<Group>,
    /// TLS to upstreams: every set of rules once.
    pub upstream_tls: Vec<PeerTlsPlan>,
    /// Cache zones.
    pub caches: Vec<CacheZone>,
    /// `limit_req_zone`s.
    pub limit_req_zones: Vec<LimitZone>,
    /// `limit_conn_zone`s.
    pub limit_conn_zones: Vec<LimitZone>,
    /// Log files, each once; the master opens them and hands the descriptors over in this order.
    pub log_files: Vec<PathBuf>,
    /// Access log formats.
    pub log_formats: Vec<LogFormat>,
    /// `types` tables: extension (lower case) to MIME type, sorted by extension.
    pub types: Vec<Vec<(String, String)>>,
    /// `map` blocks.
    pub maps: Vec<rewrite::MapPlan>,
    /// `geo` blocks.
    pub geos: Vec<GeoPlan>,
    /// `split_clients` blocks.
    pub splits: Vec<SplitPlan>,
    /// How many user variable slots a request needs.
    pub slots: u16,
    /// Some text asks for fields of upstreams' answers (`$upstream_http_NAME`,
    /// `$upstream_cookie_NAME`): they are kept for it.
    pub reads_upstream_fields: bool,
    /// Some text asks how long upstreams take (`$upstream_response_time` and its like): the clock
    /// is read for it.
    pub reads_upstream_times: bool,
}

/// Process matters of the front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainPlan {
    /// User and group the front becomes when started by root.
    pub user: Option<(String, Option<String>)>,
    /// Threads (`worker_processes`); `auto` has been counted.
    pub threads: u32,
    /// Connections per thread (`worker_connections`).
    pub connections_max: u32,
    /// Where the master's pid is written.
    pub pid_file: PathBuf,
    /// Go to the background.
    pub daemon: bool,
    /// `master_process`; accepted, ours always exists.
    pub master: bool,
    /// The log of the process itself; every server and location has its own.
    pub error_log: Vec<ErrorLog>,
    /// RLIMIT_NOFILE.
    pub descriptors_max: Option<u64>,
    /// Time for requests in flight when stopping gracefully (`worker_shutdown_timeout`).
    pub shutdown_timeout: Option<std::time::Duration>,
    /// Directories that must exist and belong to `user`: temporary files, caches.
    pub own_directories: Vec<PathBuf>,
}

impl Default for MainPlan {
    fn default() -> MainPlan {
        MainPlan {
            user: None,
            threads: 1,
            connections_max: 512,
            pid_file: PathBuf::from("/run/nginx.pid"),
            daemon: true,
            master: true,
            error_log: Vec::new(),
            descriptors_max: None,
            shutdown_timeout: None,
            own_directories: Vec::new(),
        }
    }
}
