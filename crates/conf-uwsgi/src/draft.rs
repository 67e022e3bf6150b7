//! What the rows write into: the plan with its gaps, before paths are resolved and defaults set.

use plan::AppPlan;
use plan::app::{AppLimits, AppLogPlan, ProcessPlan, Protocol, PythonPlan, WatchPlan};

use crate::row::Fault;

/// A plan in the making.
#[derive(Debug)]
pub struct Draft {
    /// What is final once it is stored.
    pub plan: AppPlan,
    /// Worker sockets as written, with their protocol if the option fixes it.
    pub sockets: Vec<(String, Option<Protocol>)>,
    /// The protocol of sockets that fix none.
    pub default_protocol: Protocol,
    /// HTTP addresses as written.
    pub http: Vec<String>,
    /// `module`; the last one counts.
    pub module: Option<String>,
    /// `wsgi-file`; the last one counts.
    pub wsgi_file: Option<String>,
    /// `mount`, in order: prefix and app.
    pub mounts: Vec<(String, String)>,
    /// `pythonpath` as written, in order.
    pub python_path: Vec<String>,
    /// `static-map` as written, in order.
    pub static_maps: Vec<(String, String)>,
    /// `logto` or `logto2` as written.
    pub log_file: Option<String>,
}

impl Draft {
    /// uWSGI's defaults, except where `docs/differences.md` says otherwise.
    pub fn new() -> Draft {
        Draft {
            plan: AppPlan {
                python: PythonPlan::default(),
                load: Vec::new(),
                callable: None,
                manage_script_name: false,
                need_app: false,
                lazy_apps: false,
                master: false,
                sockets: Vec::new(),
                http: Vec::new(),
                processes: 1,
                threads: 1,
                limits: AppLimits::default(),
                process: ProcessPlan::default(),
                log: AppLogPlan { requests: true, ..AppLogPlan::default() },
                static_maps: Vec::new(),
                watch: WatchPlan::default(),
                options: Vec::new(),
            },
            sockets: Vec::new(),
            default_protocol: Protocol::Uwsgi,
            http: Vec::new(),
            module: None,
            wsgi_file: None,
            mounts: Vec::new(),
            python_path: Vec::new(),
            static_maps: Vec::new(),
            log_file: None,
        }
    }
}

/// Splits `left=right`, as `mount`, `static-map` and `env` are written.
pub fn pair(text: &str, example: &str) -> Result<(String, String), Fault> {
    match text.split_once('=') {
        Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
        None => Err(Fault::fatal(format!("`=` is missing: {text}"), format!("write `{example}`"))),
    }
}
