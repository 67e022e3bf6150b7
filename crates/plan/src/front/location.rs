//! What happens to a request in one location, complete.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rewrite::{AccessRule, RewriteStep, TryFile};
use super::{
    AccessLog, AuthPlan, ErrorLog, LimitsPlan, LocationId, RealIpPlan, TypesId, UpstreamCall,
};
use crate::Template;

/// One location, all levels merged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LocationPlan {
    /// Its name in messages and for `alias`: the prefix, pattern or `@name`.
    pub name: String,
    /// What makes the content.
    pub handler: Handler,
    /// Only internal requests come here.
    pub internal: bool,
    /// `limit_except`: methods that meet other settings.
    pub limit_except: Option<Box<LimitExcept>>,
    /// Rewrite phase of this location.
    pub rewrite: Vec<RewriteStep>,
    /// Whose word about the client's address is taken; `None` is nobody's.
    pub real_ip: Option<Box<RealIpPlan>>,
    /// How many requests and connections a key may have; `None` is any number.
    pub limits: Option<Box<LimitsPlan>>,
    /// `allow` and `deny`, first match wins.
    pub access: Vec<AccessRule>,
    /// Checks beside `access`; `None` if there are no others.
    pub auth: Option<Box<AuthPlan>>,
    /// `try_files`; empty if absent.
    pub try_files: Vec<TryFile>,
    /// Where files are.
    pub root: RootPlan,
    /// Index files.
    pub index: Vec<Template>,
    /// `autoindex`.
    pub autoindex: bool,
    /// MIME types.
    pub types: TypesId,
    /// MIME type of unknown extensions.
    pub default_type: String,
    /// `charset`; `None` is off.
    pub charset: Option<Template>,
    /// Types that get the charset.
    pub charset_types: Vec<String>,
    /// `error_page` lines, in order.
    pub error_pages: Vec<ErrorPage>,
    /// `recursive_error_pages`.
    pub recursive_error_pages: bool,
    /// `add_header` lines.
    pub add_headers: Vec<AddHeader>,
    /// `expires`.
    pub expires: Option<Expires>,
    /// Request bodies.
    pub body: BodyPlan,
    /// `sub_filter`; `None` if there is none.
    pub sub_filter: Option<Box<SubPlan>>,
    /// Response compression.
    pub gzip: GzipPlan,
    /// Access logs; empty is off.
    pub access_logs: Vec<AccessLog>,
    /// Error logs.
    pub error_logs: Vec<ErrorLog>,
    /// Connection and header manners.
    pub manners: Manners,
}

/// `limit_except`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LimitExcept {
    /// Methods the location itself serves, in capitals; HEAD is among them if GET is.
    pub methods: Vec<String>,
    /// What every other method meets instead: the location with the block's settings.
    pub location: LocationId,
}

/// What makes the content of a response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Handler {
    /// Files.
    Static,
    /// An upstream.
    Upstream(Box<UpstreamCall>),
    /// `stub_status`.
    StubStatus,
}

/// Where files are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RootPlan {
    /// The path, absolute unless it starts with a variable.
    pub path: Template,
    /// `alias`: the path replaces the location's prefix instead of standing before the URI.
    pub alias: bool,
    /// For `alias`: how many bytes of the URI it replaces; `usize::MAX` in a regex location, where
    /// it replaces the whole URI.
    pub alias_prefix_bytes: usize,
}

/// One `error_page` line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorPage {
    /// Codes it answers.
    pub codes: Vec<u16>,
    /// What becomes of the code.
    pub status: ErrorPageStatus,
    /// A URI, a `@name` or an URL.
    pub target: Template,
}

/// `=` of an `error_page` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorPageStatus {
    /// Keep the error's code.
    Keep,
    /// `=200`.
    Set(u16),
    /// `=`: whatever the page answers.
    FromPage,
}

/// One `add_header` line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AddHeader {
    /// Name as written.
    pub name: String,
    /// Value; an empty one sends nothing.
    pub value: Template,
    /// On every status, not only the friendly ones.
    pub always: bool,
}

/// `expires`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Expires {
    /// `epoch`.
    Epoch,
    /// `max`.
    Max,
    /// Seconds from now; negative means already stale.
    After(i64),
    /// Seconds from the file's modification.
    AfterModified(i64),
    /// `@15h30m`: seconds since midnight.
    Daily(u32),
    /// A variable that holds one of the above as text.
    Dynamic(Template),
}

/// Request bodies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BodyPlan {
    /// `client_max_body_size`; `None` is unlimited.
    pub bytes_max: Option<u64>,
    /// `client_body_buffer_size`: larger bodies go to a file.
    pub memory_bytes_max: u64,
    /// `client_body_temp_path`.
    pub temp_path: PathBuf,
    /// `client_body_timeout`: between two reads.
    pub timeout: Duration,
}

/// `sub_filter`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubPlan {
    /// What is looked for, in order; where two could begin at one place, the first one does.
    pub pairs: Vec<SubPair>,
    /// `sub_filter_types`; `*` alone means all.
    pub types: Vec<String>,
    /// `sub_filter_once`: each pair applies once a response.
    pub once: bool,
    /// `sub_filter_last_modified`: Last-Modified stays, and the ETag as a weak one.
    pub keeps_validators: bool,
}

/// One `sub_filter` line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubPair {
    /// What is looked for, in any case; one that is empty for a request is not.
    pub pattern: Template,
    /// What takes its place.
    pub replacement: Template,
}

/// Response compression.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GzipPlan {
    /// `gzip on`.
    pub on: bool,
    /// `gzip_comp_level`.
    pub level: u32,
    /// `gzip_min_length`.
    pub min_length: u64,
    /// `gzip_types`; `*` alone means all.
    pub types: Vec<String>,
    /// `gzip_vary`.
    pub vary: bool,
    /// `gzip_http_version` is 1.0.
    pub for_http10: bool,
    /// `gzip_proxied`.
    pub proxied: GzipProxied,
    /// `gzip_disable` patterns, matched against User-Agent.
    pub disable: Vec<crate::RegexPlan>,
    /// `gzip_static`.
    pub precompressed: Precompressed,
}

/// `gzip_static`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Precompressed {
    Off,
    On,
    Always,
}

/// `gzip_proxied`: when to compress requests that carry Via.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct GzipProxied {
    pub any: bool,
    pub expired: bool,
    pub no_cache: bool,
    pub no_store: bool,
    pub private: bool,
    pub no_last_modified: bool,
    pub no_etag: bool,
    pub auth: bool,
}

/// `server_tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerTokens {
    /// `nginx/1.31.5`-like.
    Version,
    /// The bare name.
    Name,
    /// No `Server` field: the front of an app's own `http` addresses adds none, as uWSGI's.
    Absent,
}

/// Connection and header manners of a location.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manners {
    /// `keepalive_timeout`; zero closes after each response.
    pub keepalive_timeout: Duration,
    /// Second argument of `keepalive_timeout`.
    pub keepalive_header: Option<Duration>,
    /// `keepalive_requests`.
    pub keepalive_requests: u32,
    /// `keepalive_time`.
    pub keepalive_time: Duration,
    /// `send_timeout`: between two writes.
    pub send_timeout: Duration,
    /// `lingering_timeout`, and the whole `lingering_time`.
    pub lingering_timeout: Duration,
    /// Whole time a lingering close may take.
    pub lingering_time: Duration,
    /// `reset_timedout_connection`.
    pub reset_timed_out: bool,
    /// `etag`.
    pub etag: bool,
    /// `if_modified_since`: `off`, `exact`, `before`.
    pub if_modified_since: IfModifiedSince,
    /// `server_tokens`.
    pub server_tokens: ServerTokens,
    /// `chunked_transfer_encoding`.
    pub chunked: bool,
    /// `absolute_redirect`.
    pub absolute_redirect: bool,
    /// `port_in_redirect`.
    pub port_in_redirect: bool,
    /// `server_name_in_redirect`.
    pub server_name_in_redirect: bool,
    /// `log_not_found`.
    pub log_not_found: bool,
    /// `max_ranges`; `None` is unlimited.
    pub max_ranges: Option<u32>,
    /// `tcp_nodelay`.
    pub tcp_nodelay: bool,
    /// `sendfile`.
    pub sendfile: bool,
}

/// `if_modified_since`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum IfModifiedSince {
    Off,
    Exact,
    Before,
}
