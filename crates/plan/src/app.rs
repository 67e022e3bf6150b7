//! What the application server will do: one app, its sockets, its processes, its limits.
//!
//! Source of the meanings: uWSGI's documentation of its options; differences on purpose are in
//! `docs/differences.md`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Address;

/// One app, complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppPlan {
    /// How to find the interpreter and prepare it.
    pub python: PythonPlan,
    /// What to load. Empty means: nothing was named.
    pub load: Vec<LoadPlan>,
    /// Name looked up in a module or file that does not name its callable itself; `None` means
    /// `application`, then `app`.
    pub callable: Option<String>,
    /// Move the longest matching mount point from PATH_INFO to SCRIPT_NAME.
    pub manage_script_name: bool,
    /// Exit with 22 when no app could be loaded, instead of answering 500.
    pub need_app: bool,
    /// Import in each worker instead of once before forking.
    pub lazy_apps: bool,
    /// The user asked for a master process; ours always exists, apps see the answer.
    pub master: bool,
    /// Sockets that workers serve themselves.
    pub sockets: Vec<SocketPlan>,
    /// Addresses that the front serves for this app over HTTP (`http`).
    pub http: Vec<Address>,
    /// How many workers.
    pub processes: u32,
    /// Request threads in each worker.
    pub threads: u32,
    /// The limits.
    pub limits: AppLimits,
    /// Users, groups, files, daemon.
    pub process: ProcessPlan,
    /// The request log and the message log.
    pub log: AppLogPlan,
    /// Files served without Python, in order; the first hit wins.
    pub static_maps: Vec<StaticMap>,
    /// What is watched.
    pub watch: WatchPlan,
    /// Every option as given, for `uwsgi.opt`: name and value in order; `None` is a flag of the
    /// command line (apps see `True`); a bare flag of a file has an empty value, as with uWSGI.
    pub options: Vec<(String, Option<String>)>,
}

/// How to find and prepare the app's interpreter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonPlan {
    /// Root of a virtualenv (`virtualenv`, `venv`, `home`, `-H`).
    pub virtualenv: Option<PathBuf>,
    /// Directories put before everything in `sys.path`, globs expanded, in order.
    pub path: Vec<PathBuf>,
    /// Working directory before the app is loaded.
    pub chdir: Option<PathBuf>,
    /// Environment variables set before the app is loaded.
    pub env: Vec<(String, String)>,
    /// Tail of `sys.argv`.
    pub argv: Vec<String>,
}

/// One thing to load, and where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// URI prefix; empty for the default app.
    pub mount: String,
    /// What to load there.
    pub source: AppSource,
}

/// Where an app comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppSource {
    /// `pkg.mod`, `pkg.mod:name`, `pkg.mod:factory()`.
    Module(String),
    /// A Python file, and the callable in it if one was named (`app.py:name`).
    File {
        /// Path as given, relative to `chdir`.
        path: PathBuf,
        /// Callable named with the file.
        callable: Option<String>,
    },
}

/// What a worker's own socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// The uwsgi packet protocol.
    Uwsgi,
    /// HTTP/1.1 with keep-alive.
    Http,
}

/// A socket that workers accept on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketPlan {
    /// Where.
    pub address: Address,
    /// What it speaks.
    pub protocol: Protocol,
    /// The address as the user wrote it, for messages and for `uwsgi_pass` to find it again.
    pub written: String,
}

/// Everything that is bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppLimits {
    /// Request head or uwsgi packet, in bytes (`buffer-size`; at least 64 KiB here).
    pub head_bytes_max: u32,
    /// Request body, in bytes; `None` is unlimited (`limit-post`).
    pub body_bytes_max: Option<u64>,
    /// Bodies above this go to a temporary file (`post-buffering`).
    pub body_memory_bytes_max: u64,
    /// Deadline of one request (`harakiri`).
    pub harakiri: Option<Duration>,
    /// Recycle a worker after so many requests (`max-requests`), jittered.
    pub max_requests: Option<u64>,
    /// Recycle a worker after so long.
    pub max_worker_lifetime: Option<Duration>,
    /// Recycle a worker with more resident memory than this, in bytes (`reload-on-rss`).
    pub resident_bytes_max: Option<u64>,
    /// Recycle a worker with a larger address space than this, in bytes (`reload-on-as`).
    pub address_space_bytes_max: Option<u64>,
    /// Time without progress on a client's socket (`socket-timeout`).
    pub socket_timeout: Duration,
    /// Idle time of a kept-alive connection (`http-keepalive`).
    pub keepalive_timeout: Duration,
    /// Time without progress on either side of a request that came through `http`
    /// (`http-timeout`).
    pub http_timeout: Duration,
    /// Time the requests in flight get when a worker stops (`worker-reload-mercy`).
    pub mercy: Duration,
    /// The same when the whole instance reloads or stops (`reload-mercy`); `None` is `mercy`.
    pub reload_mercy: Option<Duration>,
    /// Connections the kernel keeps waiting (`listen`).
    pub backlog: u32,
    /// RLIMIT_NOFILE (`max-fd`).
    pub descriptors_max: Option<u64>,
}

/// Users, groups, files and titles of the processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPlan {
    /// User to become, name or number as given.
    pub uid: Option<String>,
    /// Group to become, name or number as given.
    pub gid: Option<String>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// Mode of Unix sockets; `None` leaves what the umask gives.
    pub socket_mode: Option<u32>,
    /// `user[:group]` of Unix sockets.
    pub socket_owner: Option<String>,
    /// Remove sockets and pidfiles on exit.
    pub vacuum: bool,
    /// SIGTERM stops. (Ours always stops on SIGTERM; apps see the answer in `uwsgi.opt`.)
    pub die_on_term: bool,
    /// File for the master's pid, written before privileges are dropped.
    pub pidfile: Option<PathBuf>,
    /// File for the master's pid, written after privileges are dropped.
    pub pidfile2: Option<PathBuf>,
    /// File for the master's pid, written whole or not at all, before anything is forked.
    pub safe_pidfile: Option<PathBuf>,
    /// Go to the background and log there.
    pub daemonize: Option<String>,
    /// The same, but only once the app is loaded.
    pub daemonize2: Option<String>,
    /// Titles of the processes.
    pub titles: TitlePlan,
}

/// Titles of the processes (`procname` family).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TitlePlan {
    /// `auto-procname`.
    pub auto: bool,
    /// `procname`.
    pub all: Option<String>,
    /// `procname-master`.
    pub master: Option<String>,
    /// `procname-prefix` (and `-spaced`, with its blank).
    pub prefix: Option<String>,
    /// `procname-append`.
    pub append: Option<String>,
}

/// Logs of the app server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppLogPlan {
    /// Write the line of every request.
    pub requests: bool,
    /// File that replaces standard error (`logto`, `daemonize`).
    pub file: Option<PathBuf>,
    /// Opened after privileges are dropped (`logto2`).
    pub file_after_drop: bool,
    /// File for the lines of requests alone (`req-logger`).
    pub requests_file: Option<PathBuf>,
    /// The line of a request (`log-format`); `None` is uWSGI's default one.
    pub format: Option<LogFormat>,
}

/// The line of a request, piece by piece.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFormat {
    /// In order.
    pub pieces: Vec<LogPiece>,
    /// The line is JSON: what requests bring into it is escaped, so that it stays that.
    pub is_json: bool,
}

/// A piece of a request's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogPiece {
    /// As it stands.
    Text(String),
    /// A fact.
    Fact(LogFact),
    /// A CGI variable.
    Variable(String),
    /// What the app has set by that name (`uwsgi.set_logvar`).
    Own(String),
}

/// Facts of a request that its line can tell, by the name that `log-format` has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum LogFact {
    Status,
    Rsize,
    Hsize,
    Size,
    Cl,
    Micros,
    Msecs,
    Secs,
    Tmicros,
    Tmsecs,
    Time,
    Ltime,
    Ctime,
    Pid,
    Wid,
    Switches,
    Vars,
    Pktsize,
    Core,
    Headers,
    Modifier,
    Vsz,
    Rss,
    VszMebibytes,
    RssMebibytes,
}

/// `static-map`: a URI prefix served from a directory or file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticMap {
    /// URI prefix.
    pub prefix: String,
    /// Directory or file.
    pub path: PathBuf,
}

/// Files that the master looks at; a change of one asks for something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchPlan {
    /// For a reload (`touch-reload`, `touch-workers-reload`, `touch-chain-reload`).
    pub reload: Vec<PathBuf>,
    /// For new log files (`touch-logreopen`).
    pub reopen_logs: Vec<PathBuf>,
    /// Time between two looks at the sources of what the app has imported, for a reload
    /// (`py-autoreload`).
    pub sources: Option<Duration>,
    /// Modules whose sources are not looked at (`py-auto-reload-ignore`).
    pub ignored_modules: Vec<String>,
}

impl Default for AppLimits {
    /// uWSGI's defaults, except where they hurt: see `docs/differences.md`.
    fn default() -> AppLimits {
        AppLimits {
            head_bytes_max: 64 * 1024,
            body_bytes_max: None,
            body_memory_bytes_max: 64 * 1024,
            harakiri: None,
            max_requests: None,
            max_worker_lifetime: None,
            resident_bytes_max: None,
            address_space_bytes_max: None,
            socket_timeout: Duration::from_secs(4),
            keepalive_timeout: Duration::from_secs(75),
            http_timeout: Duration::from_secs(60),
            mercy: Duration::from_secs(60),
            reload_mercy: None,
            backlog: 100,
            descriptors_max: None,
        }
    }
}
