//! The settings of one block, and how an inner block inherits from an outer one.
//!
//! Every setting is an `Option`: `None` means that this block does not say. Lists inherit like
//! everything else, whole or not at all, which is nginx's rule for `add_header`,
//! `proxy_set_header`, `uwsgi_param`, `error_page` and their like.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use plan::front::RewriteStep;
use plan::front::cache::UseStale;
use plan::front::location::{
    AddHeader, ErrorPage, Expires, GzipProxied, IfModifiedSince, Precompressed, ServerTokens,
    SubPair,
};
use plan::front::log::{AccessLog, ErrorLog, LogLevel};
use plan::front::rewrite::{AccessRule, AccessWho};
use plan::front::tls::TlsVersions;
use plan::front::upstream::{IgnoreHeaders, NextUpstream, UwsgiParam};
use plan::template::Slot;
use plan::{RegexPlan, Template};

use crate::draft::{PassDraft, RedirectDraft, SiteKind, TryDraft};
use crate::report::At;

/// A struct of optional settings that knows how to inherit.
macro_rules! settings {
    ($(#[$meta:meta])* pub struct $name:ident { $($field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        #[allow(missing_docs)]
        pub struct $name { $(pub $field: Option<$kind>,)* }

        impl $name {
            /// Takes from the outer block what this one does not say.
            pub fn inherit(&mut self, outer: &$name) {
                $(if self.$field.is_none() { self.$field.clone_from(&outer.$field); })*
            }
        }
    };
}

/// Where files are.
#[derive(Clone, Debug)]
pub struct RootDraft {
    /// Directory.
    pub path: Template,
    /// `alias` instead of `root`, and how many bytes of the URI it replaces.
    pub alias: Option<usize>,
}

/// MIME types: extension (lower case) and type, in the order written.
pub type TypesDraft = Rc<Vec<(String, String)>>;

settings! {
    /// What every request meets.
    pub struct Core {
        root: RootDraft,
        index: Vec<Template>,
        autoindex: bool,
        types: TypesDraft,
        default_type: String,
        charset: Option<Template>,
        charset_types: Vec<String>,
        error_pages: Vec<ErrorPage>,
        recursive_error_pages: bool,
        internal: bool,
        access: Vec<AccessRule>,
        body_max: u64,
        body_buffer: u64,
        body_temp_path: PathBuf,
        body_timeout: Duration,
        header_timeout: Duration,
        header_buffers: (u32, u32),
        underscores: bool,
        ignore_invalid: bool,
        merge_slashes: bool,
    }
}

settings! {
    /// Connection and header manners.
    pub struct Manners {
        keepalive_timeout: (Duration, Option<Duration>),
        keepalive_requests: u32,
        keepalive_time: Duration,
        send_timeout: Duration,
        lingering_timeout: Duration,
        lingering_time: Duration,
        reset_timed_out: bool,
        etag: bool,
        if_modified_since: IfModifiedSince,
        server_tokens: ServerTokens,
        chunked: bool,
        absolute_redirect: bool,
        port_in_redirect: bool,
        server_name_in_redirect: bool,
        log_not_found: bool,
        max_ranges: u32,
        tcp_nodelay: bool,
        sendfile: bool,
    }
}

settings! {
    /// Whose word about the client's address is taken.
    pub struct RealIp {
        trusted: Vec<AccessWho>,
        field: String,
        recursive: bool,
    }
}

settings! {
    /// Who may come in by more than an address.
    pub struct Auth {
        any: bool,
        delay: Duration,
        realm: RealmDraft,
        user_file: Template,
        request: Option<String>,
        request_set: Vec<(Slot, Template)>,
    }
}

settings! {
    /// How many requests and connections a key may have.
    pub struct Limits {
        requests: Vec<RequestLimitDraft>,
        requests_status: u16,
        requests_log_level: LogLevel,
        requests_dry_run: bool,
        connections: Vec<ConnectionLimitDraft>,
        connections_status: u16,
        connections_log_level: LogLevel,
        connections_dry_run: bool,
    }
}

settings! {
    /// Logs.
    pub struct Logs {
        access: Vec<AccessLog>,
        error: Vec<ErrorLog>,
    }
}

settings! {
    /// Response compression.
    pub struct Gzip {
        on: bool,
        level: u32,
        min_length: u64,
        types: Vec<String>,
        vary: bool,
        for_http10: bool,
        proxied: GzipProxied,
        disable: Vec<RegexPlan>,
        precompressed: Precompressed,
    }
}

settings! {
    /// Texts replaced in responses.
    pub struct SubFilter {
        pairs: Vec<SubPair>,
        types: Vec<String>,
        once: bool,
        last_modified: bool,
    }
}

settings! {
    /// Response headers.
    pub struct Headers {
        add: Vec<AddHeader>,
        expires: Option<Expires>,
    }
}

settings! {
    /// `proxy_*` or `uwsgi_*`.
    pub struct Exchange {
        connect_timeout: Duration,
        send_timeout: Duration,
        read_timeout: Duration,
        buffering: bool,
        buffer_size: u64,
        buffers: (u64, u64),
        max_temp_file_size: u64,
        temp_path: PathBuf,
        request_buffering: bool,
        pass_request_headers: bool,
        pass_request_body: bool,
        hide_headers: Vec<String>,
        pass_headers: Vec<String>,
        ignore_headers: IgnoreHeaders,
        intercept_errors: bool,
        ignore_client_abort: bool,
        next_upstream: NextUpstream,
        next_upstream_tries: u32,
        next_upstream_timeout: Duration,
        cache: Option<CacheUseDraft>,
        cache_key: Template,
        cache_valid: Vec<(u16, Duration)>,
        cache_use_stale: UseStale,
        cache_lock: bool,
        cache_lock_timeout: Duration,
        cache_lock_age: Duration,
        cache_min_uses: u32,
        cache_post: bool,
        cache_bypass: Vec<Template>,
        no_cache: Vec<Template>,
        cache_revalidate: bool,
        cache_background_update: bool,
        cache_convert_head: bool,
        params: Vec<UwsgiParam>,
        modifier1: u8,
        modifier2: u8,
        set_headers: Vec<(String, Template)>,
        redirects: Vec<RedirectDraft>,
        http11: bool,
        method: Template,
    }
}

settings! {
    /// TLS to upstreams: `proxy_ssl_*` or `uwsgi_ssl_*`.
    pub struct PeerTls {
        verify: VerifyPeerDraft,
        depth: u32,
        trusted: FileDraft,
        crl: FileDraft,
        tells_name: bool,
        name: (Template, At),
        certificate: FileDraft,
        key: FileDraft,
        protocols: ProtocolsDraft,
        ciphers: CiphersDraft,
        reuses_sessions: bool,
    }
}

settings! {
    /// TLS towards clients.
    pub struct Tls {
        on: bool,
        certificates: Vec<FileDraft>,
        keys: Vec<FileDraft>,
        password_file: At,
        protocols: ProtocolsDraft,
        ciphers: CiphersDraft,
        prefer_own_order: bool,
        remembered_max: u32,
        session_timeout: Duration,
        tickets: bool,
        groups: Vec<u16>,
        verify: VerifyDraft,
        depth: u32,
        client_certificate: FileDraft,
        trusted: FileDraft,
        crl: FileDraft,
        reject: bool,
    }
}

/// `auth_basic`
#[derive(Clone, Debug)]
pub struct RealmDraft {
    /// The realm; `None` is `off`.
    pub realm: Option<Template>,
    /// Where.
    pub at: At,
}

/// A file that is read when all is known.
#[derive(Clone, Debug)]
pub struct FileDraft {
    /// The name as written.
    pub name: String,
    /// Where.
    pub at: At,
}

/// `ssl_protocols`
#[derive(Clone, Debug)]
pub struct ProtocolsDraft {
    /// What of it there is.
    pub versions: TlsVersions,
    /// What of it there is not.
    pub old: Vec<String>,
    /// Where.
    pub at: At,
}

/// `ssl_ciphers`
#[derive(Clone, Debug)]
pub struct CiphersDraft {
    /// IANA numbers.
    pub suites: Vec<u16>,
    /// Where.
    pub at: At,
}

/// `ssl_verify_client on` or `optional`
#[derive(Clone, Debug)]
pub struct VerifyDraft {
    /// Ask at all.
    pub on: bool,
    /// Refuse requests without a certificate.
    pub required: bool,
    /// Where.
    pub at: At,
}

/// `*_ssl_verify`
#[derive(Clone, Debug)]
pub struct VerifyPeerDraft {
    /// Whether certificates are looked at.
    pub on: bool,
    /// Where.
    pub at: At,
}

/// `limit_req`, in thousandths of requests: the zone may be declared later in the file.
#[derive(Clone, Debug)]
pub struct RequestLimitDraft {
    /// The zone's name.
    pub zone: String,
    /// `burst`
    pub burst: u64,
    /// `delay`
    pub undelayed: u64,
    /// The directive, for what can only be checked at the end.
    pub at: At,
}

/// `limit_conn`: the same.
#[derive(Clone, Debug)]
pub struct ConnectionLimitDraft {
    /// The zone's name.
    pub zone: String,
    /// Requests under way.
    pub max: u16,
    /// The directive, for what can only be checked at the end.
    pub at: At,
}

/// `proxy_cache NAME`: the zone may be declared later in the file.
#[derive(Clone, Debug)]
pub struct CacheUseDraft {
    /// The zone's name.
    pub zone: String,
    /// The directive, for what can only be checked at the end.
    pub at: At,
}

/// What belongs to one block alone and is never inherited (handlers are, into `if` blocks).
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Which kind of block this is.
    pub site: SiteKind,
    /// `try_files`.
    pub try_files: Option<Vec<TryDraft>>,
    /// `proxy_pass`, `uwsgi_pass`.
    pub pass: Option<PassDraft>,
    /// `stub_status`.
    pub stub_status: bool,
    /// The rewrite module's steps.
    pub steps: Vec<StepDraft>,
    /// `limit_except`.
    pub limit_except: Option<Box<LimitExceptDraft>>,
}

/// `limit_except`, before its block has been merged.
#[derive(Clone, Debug)]
pub struct LimitExceptDraft {
    /// The methods it is not about, in capitals.
    pub methods: Vec<String>,
    /// What the block says.
    pub level: Level,
}

/// A step whose inner block has not been merged yet.
#[derive(Clone, Debug)]
pub enum StepDraft {
    /// Ready.
    Ready(RewriteStep),
    /// `if`.
    If(plan::front::rewrite::Condition, Box<Level>),
}

/// Everything one block says.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Level {
    pub core: Core,
    pub manners: Manners,
    pub real_ip: RealIp,
    pub auth: Auth,
    pub limits: Limits,
    pub logs: Logs,
    pub gzip: Gzip,
    pub sub_filter: SubFilter,
    pub headers: Headers,
    pub proxy: Exchange,
    pub uwsgi: Exchange,
    pub proxy_tls: PeerTls,
    pub uwsgi_tls: PeerTls,
    pub tls: Tls,
    pub own: Own,
}

impl Level {
    /// Takes from the outer block what this one does not say.
    pub fn inherit(&mut self, outer: &Level) {
        self.core.inherit(&outer.core);
        self.manners.inherit(&outer.manners);
        self.real_ip.inherit(&outer.real_ip);
        self.auth.inherit(&outer.auth);
        self.limits.inherit(&outer.limits);
        self.logs.inherit(&outer.logs);
        self.gzip.inherit(&outer.gzip);
        self.sub_filter.inherit(&outer.sub_filter);
        self.headers.inherit(&outer.headers);
        self.proxy.inherit(&outer.proxy);
        self.uwsgi.inherit(&outer.uwsgi);
        self.proxy_tls.inherit(&outer.proxy_tls);
        self.uwsgi_tls.inherit(&outer.uwsgi_tls);
        self.tls.inherit(&outer.tls);
    }
}
