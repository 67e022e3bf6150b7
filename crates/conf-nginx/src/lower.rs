//! Merged settings → plan: inheritance, defaults, and names that become numbers.

mod auth;
mod limit;
mod listens;
mod location;
mod peer_tls;
mod set_headers;
mod tls;
mod upstream;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use plan::front::http::{HeadLimits, LocationTree, PrefixLocation, RegexLocation, ServerName};
use plan::front::log::{AccessLog, ErrorLog, LogLevel, LogTarget};
use plan::front::rewrite::TryFile;
use plan::front::tls::CertificatePlan;
use plan::front::{
    FrontPlan, Group, GroupId, LocationId, LogFormatId, RewriteStep, ServerId, ServerPlan, TypesId,
};

use crate::draft::{HttpDraft, LocationDraft, MainDraft, ServerDraft, SiteKind, TryDraft};
use crate::level::{Level, StepDraft, TypesDraft};
use crate::report::At;
use crate::walk::Run;

/// Builds the plan; problems found on the way go to the report.
pub struct Builder<'r, 's> {
    run: &'r mut Run<'s>,
    plan: FrontPlan,
    /// Groups of literal addresses, by address and default port.
    literals: HashMap<(String, Option<u16>), Option<GroupId>>,
    /// Type tables by identity: blocks that inherit share one.
    types: HashMap<*const Vec<(String, String)>, (TypesId, TypesDraft)>,
    /// `try_files` entries that name locations not numbered yet.
    named_uses: Vec<NamedUse>,
    /// What is known about each listening address, and its number.
    listening: Vec<listens::Listening>,
    listen_numbers: HashMap<plan::Address, usize>,
    /// Certificates that have been read, by the names of both files.
    pairs: HashMap<(String, String), Option<CertificatePlan>>,
    /// Upstreams whose certificate nobody verifies, as far as that has been told.
    unverified: HashSet<String>,
    /// Realms without a user file that have been told, by their place.
    open_realms: HashSet<u32>,
    /// Zones that were missed, each told once.
    missed_zones: Vec<String>,
    /// How many groups are `upstream` blocks; the others are literal addresses.
    blocks: usize,
    /// The closing brace of `http`: what nginx checks last, it reports there.
    close: Option<At>,
}

struct NamedUse {
    location: LocationId,
    entry: usize,
    name: String,
    at: At,
}

/// The whole configuration as a plan.
pub fn front_plan(run: &mut Run<'_>, mut main: MainDraft, close: Option<At>) -> FrontPlan {
    let http = main.http.take();
    let mut builder = Builder {
        run,
        plan: FrontPlan::default(),
        literals: HashMap::new(),
        types: HashMap::new(),
        named_uses: Vec::new(),
        listening: Vec::new(),
        listen_numbers: HashMap::new(),
        pairs: HashMap::new(),
        unverified: HashSet::new(),
        open_realms: HashSet::new(),
        missed_zones: Vec::new(),
        blocks: 0,
        close,
    };
    builder.main(main);
    if let Some(http) = http {
        builder.http(http);
    }
    builder.finish()
}

impl Builder<'_, '_> {
    fn main(&mut self, draft: MainDraft) {
        let options = self.run.options;
        let error_log = draft.error_log.unwrap_or_else(|| {
            let target = match options.error_log.as_os_str() {
                name if name == "stderr" => LogTarget::Stderr,
                name => self.run.log_file(options.prefix.join(name)),
            };
            vec![ErrorLog { target, level: LogLevel::Error }]
        });
        let main = &mut self.plan.main;
        main.user = draft.user;
        main.threads = draft.worker_processes.unwrap_or(1).max(1);
        main.connections_max = draft.worker_connections.unwrap_or(512);
        main.pid_file = draft.pid.unwrap_or_else(|| options.prefix.join(&options.pid_file));
        main.daemon = draft.daemon.unwrap_or(true);
        main.master = draft.master_process.unwrap_or(true);
        main.error_log = error_log;
        main.descriptors_max = draft.descriptors_max;
        main.shutdown_timeout = draft.shutdown_timeout;
    }

    fn http(&mut self, http: HttpDraft) {
        let HttpDraft { mut level, servers } = http;
        self.plan.caches = std::mem::take(&mut self.run.caches);
        for zone in self.plan.caches.clone() {
            self.own_directory(zone.path);
        }
        self.upstream_blocks();
        if level.logs.access.is_none() {
            let name = self.run.options.access_log.as_os_str();
            let format = LogFormatId(0);
            let logs = (name != "off").then(|| {
                let target = self.run.log_file(self.run.options.prefix.join(name));
                AccessLog { target, format, condition: None }
            });
            level.logs.access = Some(logs.into_iter().collect());
        }
        if level.logs.error.is_none() {
            level.logs.error = Some(self.plan.main.error_log.clone());
        }
        if level.core.types.is_none() {
            let plain = [("html", "text/html"), ("gif", "image/gif"), ("jpg", "image/jpeg")];
            let plain = plain.map(|(extension, kind)| (extension.to_owned(), kind.to_owned()));
            level.core.types = Some(Rc::new(plain.to_vec()));
        }
        for server in servers {
            self.server(server, &level);
        }
        self.share_ports();
        self.check_tls();
    }

    fn server(&mut self, server: ServerDraft, http: &Level) {
        let ServerDraft { mut level, mut listens, names, locations, at } = server;
        let id = ServerId(self.plan.servers.len() as u32);
        level.inherit(http);
        let everywhere = level.tls.on.unwrap_or(false);
        listens.iter_mut().for_each(|listen| listen.tls |= everywhere);
        let tls = self.tls(&level.tls, listens.iter().any(|listen| listen.tls));
        self.listens(id, listens, &names, at);
        let steps = std::mem::take(&mut level.own.steps);
        let rewrite = self.steps(steps, &level);
        let fallback = self.location(&level);
        let tree = self.tree(locations, &level);
        self.patch_named(&tree);
        let core = &level.core;
        let defaults = HeadLimits::default();
        let (buffers, buffer_bytes) =
            core.header_buffers.unwrap_or((defaults.buffers, defaults.buffer_bytes));
        let head = HeadLimits {
            timeout: core.header_timeout.unwrap_or(defaults.timeout),
            buffers,
            buffer_bytes,
            underscores: core.underscores.unwrap_or(defaults.underscores),
            ignore_invalid: core.ignore_invalid.unwrap_or(defaults.ignore_invalid),
        };
        let merge_slashes = core.merge_slashes.unwrap_or(true);
        let first_name = names.first().map_or_else(String::new, |first| match &first.name {
            ServerName::Exact(name) => name.clone(),
            ServerName::Regex(_) => first.written.clone(),
            _ => first.written.trim_start_matches('.').to_ascii_lowercase(),
        });
        let names = names.into_iter().map(|name| name.name).collect();
        self.plan.servers.push(ServerPlan {
            names,
            first_name,
            rewrite,
            tree,
            fallback,
            head,
            merge_slashes,
            tls,
        });
    }

    fn tree(&mut self, locations: Vec<LocationDraft>, outer: &Level) -> LocationTree {
        let mut tree = LocationTree::default();
        for draft in locations {
            let LocationDraft { mut level, nested, .. } = draft;
            level.inherit(outer);
            let passes = level.own.pass.is_some();
            let location = self.location(&level);
            let nested = self.tree(nested, &level);
            match level.own.site {
                SiteKind::Exact(uri) => tree.exact.push((uri, location)),
                SiteKind::Named(name) => tree.named.push((name, location)),
                SiteKind::Regex(regex) => {
                    tree.regexes.push(RegexLocation { regex, location, nested });
                }
                SiteKind::Prefix { uri, skip_regexes } => {
                    let auto_redirect = passes && uri.ends_with('/');
                    tree.prefixes.push(PrefixLocation {
                        uri,
                        location,
                        skip_regexes,
                        auto_redirect,
                        nested,
                    });
                }
                SiteKind::Outside
                | SiteKind::ServerIf
                | SiteKind::LocationIf(_)
                | SiteKind::LimitExcept(_) => {}
            }
        }
        tree.exact.sort_by(|left, right| left.0.cmp(&right.0));
        tree.named.sort_by(|left, right| left.0.cmp(&right.0));
        tree.prefixes.sort_by(|left, right| left.uri.cmp(&right.uri));
        tree
    }

    /// `outer` is complete: what an `if` does not say, it takes from there.
    fn steps(&mut self, steps: Vec<StepDraft>, outer: &Level) -> Vec<RewriteStep> {
        let mut lowered = Vec::with_capacity(steps.len());
        for step in steps {
            lowered.push(match step {
                StepDraft::Ready(step) => step,
                StepDraft::If(condition, level) => self.condition(condition, *level, outer),
            });
        }
        lowered
    }

    fn condition(
        &mut self,
        condition: plan::front::rewrite::Condition,
        mut level: Level,
        outer: &Level,
    ) -> RewriteStep {
        let inner = std::mem::take(&mut level.own.steps);
        level.inherit(outer);
        if level.own.pass.is_none() {
            level.own.pass.clone_from(&outer.own.pass);
            level.own.stub_status |= outer.own.stub_status;
        }
        let steps = self.steps(inner, &level);
        let location = match level.own.site {
            SiteKind::LocationIf(_) => Some(self.location(&level)),
            _ => None,
        };
        RewriteStep::If { condition, steps, location }
    }

    fn try_files(&mut self, location: LocationId, drafts: &[TryDraft]) -> Vec<TryFile> {
        let mut lowered = Vec::with_capacity(drafts.len());
        for (entry, draft) in drafts.iter().enumerate() {
            lowered.push(match draft {
                TryDraft::File(path) => TryFile::File(path.clone()),
                TryDraft::Directory(path) => TryFile::Directory(path.clone()),
                TryDraft::Uri(uri) => TryFile::Uri(uri.clone()),
                TryDraft::Status(status) => TryFile::Status(*status),
                TryDraft::Named(name, at) => {
                    let name = name.clone();
                    self.named_uses.push(NamedUse { location, entry, name, at: *at });
                    TryFile::Status(500)
                }
            });
        }
        lowered
    }

    /// Named locations may stand after their use, so uses are filled in per server.
    fn patch_named(&mut self, tree: &LocationTree) {
        for named in std::mem::take(&mut self.named_uses) {
            let found = tree.named.iter().find(|(name, _)| *name == named.name);
            let location = self.plan.locations.get_mut(named.location.0 as usize);
            let entry = location.and_then(|it| it.try_files.get_mut(named.entry));
            match (found, entry) {
                (Some((_, id)), Some(entry)) => *entry = TryFile::Named(*id),
                _ => {
                    let message = format!("could not find named location \"{}\"", named.name);
                    self.run.warning(named.at, message);
                }
            }
        }
    }

    fn types(&mut self, types: &TypesDraft) -> TypesId {
        let next = TypesId(self.plan.types.len() as u32);
        // The table is kept beside its number, so that no other can come to its address.
        let entry = self.types.entry(Rc::as_ptr(types));
        let (id, _) = entry.or_insert_with(|| {
            let mut sorted: Vec<(String, String)> = types.to_vec();
            sorted.sort();
            self.plan.types.push(sorted);
            (next, Rc::clone(types))
        });
        *id
    }

    fn own_directory(&mut self, path: PathBuf) {
        if !self.plan.main.own_directories.contains(&path) {
            self.plan.main.own_directories.push(path);
        }
    }

    /// The place of what is noticed when `http` closes.
    fn late(&self, at: At) -> At {
        match self.close {
            Some(close) => At { span: at.span, ..close },
            None => at,
        }
    }

    fn finish(self) -> FrontPlan {
        let Builder { run, mut plan, close, .. } = self;
        let undefined: Vec<(String, At)> =
            run.variables.undefined().map(|(name, at)| (name.to_owned(), at)).collect();
        for (name, at) in undefined {
            let near = run.variables.nearest(&name).map(|near| format!("did you mean `${near}`?"));
            let hint = near.unwrap_or_else(|| format!("define it with `set ${name} ...;`"));
            let at = At { order: close.map_or(at.order, |close| close.order), ..at };
            run.hinted(at, format!("unknown \"{name}\" variable"), &hint);
        }
        let zones = std::mem::take(&mut run.limit_req_zones);
        plan.limit_req_zones = zones.into_iter().map(|(zone, _)| zone).collect();
        plan.limit_conn_zones = std::mem::take(&mut run.limit_conn_zones);
        plan.log_files = std::mem::take(&mut run.log_files);
        plan.log_formats = std::mem::take(&mut run.log_formats);
        plan.maps = std::mem::take(&mut run.maps);
        plan.geos = std::mem::take(&mut run.geos);
        plan.splits = std::mem::take(&mut run.splits);
        plan.slots = run.variables.slots();
        plan.reads_upstream_fields = run.variables.reads_upstream_fields();
        plan.reads_upstream_times = run.variables.reads_upstream_times();
        plan
    }
}

/// Time that is a default.
const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A group of one literal address, or of an `upstream` block, before its settings.
fn plain_group(name: String) -> Group {
    Group {
        name,
        default_port: None,
        peers: Vec::new(),
        balance: plan::front::upstream::Balance::RoundRobin,
        keepalive: 0,
        keepalive_timeout: seconds(60),
        keepalive_requests: 1000,
    }
}
