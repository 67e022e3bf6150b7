//! Groups of peers, and what a location says about calling them.

use std::time::Duration;

use plan::front::upstream::{
    Balance, NextUpstream, Redirect, Speak, Target, UpstreamCall, UwsgiParam,
};
use plan::front::{CacheId, CacheUse, GroupId};
use plan::{Part, Template, Variable};

use super::set_headers::set_headers;
use super::{Builder, plain_group, seconds};
use crate::directives::{exchange, upstream};
use crate::draft::{PassDraft, RedirectDraft, SiteKind, SpeakDraft, TargetDraft};
use crate::level::{Exchange, Level};
use crate::report::At;

/// Headers of HTTP upstreams that clients do not see.
const HIDDEN_OF_PROXY: [&str; 8] = [
    "date",
    "server",
    "x-pad",
    "x-accel-expires",
    "x-accel-redirect",
    "x-accel-limit-rate",
    "x-accel-buffering",
    "x-accel-charset",
];

/// Headers of uwsgi upstreams that clients do not see.
const HIDDEN_OF_UWSGI: [&str; 6] = [
    "status",
    "x-accel-expires",
    "x-accel-redirect",
    "x-accel-limit-rate",
    "x-accel-buffering",
    "x-accel-charset",
];

/// Idle connections that a group keeps per thread unless it says otherwise.
const KEEPALIVE: u32 = 32;

impl Builder<'_, '_> {
    pub(super) fn upstream_blocks(&mut self) {
        for (draft, _) in std::mem::take(&mut self.run.groups) {
            let mut group = plain_group(draft.name);
            group.peers = draft.peers;
            group.balance = draft.balance.unwrap_or(Balance::RoundRobin);
            group.keepalive = draft.keepalive.unwrap_or(KEEPALIVE);
            group.keepalive_timeout = draft.keepalive_timeout.unwrap_or(group.keepalive_timeout);
            group.keepalive_requests = draft.keepalive_requests.unwrap_or(group.keepalive_requests);
            self.plan.groups.push(group);
        }
        self.blocks = self.plan.groups.len();
    }

    /// The group of an `upstream` block, or one made of the addresses that the name stands for.
    fn group(&mut self, name: &str, default_port: Option<u16>, at: At) -> Option<GroupId> {
        let mut blocks = self.plan.groups.iter().take(self.blocks);
        if let Some(number) = blocks.position(|group| group.name.eq_ignore_ascii_case(name)) {
            return Some(GroupId(number as u32));
        }
        let key = (name.to_owned(), default_port);
        if let Some(known) = self.literals.get(&key) {
            return *known;
        }
        let id = match upstream::peers(name, default_port) {
            Ok(peers) => {
                let mut group = plain_group(name.to_owned());
                group.default_port = default_port;
                group.peers = peers;
                self.plan.groups.push(group);
                Some(GroupId(self.plan.groups.len() as u32 - 1))
            }
            Err(message) => {
                let blocks = self.plan.groups.iter().take(self.blocks);
                let near = diag::nearest(name, blocks.map(|group| group.name.as_str()));
                let hint = match near {
                    Some(near) => format!("did you mean the upstream `{near}`?"),
                    None => "name an `upstream` block, `host:port` or `unix:/path`".to_owned(),
                };
                self.run.hinted(at, message, &hint);
                None
            }
        };
        self.literals.insert(key, id);
        id
    }

    /// `None` if the target is not known; that has been reported.
    pub(super) fn call(&mut self, pass: &PassDraft, level: &Level) -> Option<UpstreamCall> {
        let is_uwsgi = pass.speak == SpeakDraft::Uwsgi;
        let settings = if is_uwsgi { &level.uwsgi } else { &level.proxy };
        let peer_tls = if is_uwsgi { &level.uwsgi_tls } else { &level.proxy_tls };
        let target = match &pass.target {
            TargetDraft::Dynamic(template) => Target::Dynamic(template.clone()),
            TargetDraft::Named { name, default_port } => {
                Target::Group(self.group(name, *default_port, pass.at)?)
            }
        };
        let tls = self.tls_use(pass, peer_tls);
        let cache = self.cache_use(settings, pass);
        let options = self.run.options;
        let temp_path = settings.temp_path.clone().unwrap_or_else(|| {
            options.state_directory.join(if is_uwsgi { "uwsgi" } else { "proxy" })
        });
        self.own_directory(temp_path.clone());
        let head_bytes_max = settings.buffer_size.unwrap_or(4096);
        let (buffers, buffer_bytes) = settings.buffers.unwrap_or((8, 4096));
        Some(UpstreamCall {
            target,
            speak: speak(pass, settings, &level.own.site),
            tls,
            connect_timeout: settings.connect_timeout.unwrap_or(seconds(60)),
            send_timeout: settings.send_timeout.unwrap_or(seconds(60)),
            read_timeout: settings.read_timeout.unwrap_or(seconds(60)),
            buffering: settings.buffering.unwrap_or(true),
            head_bytes_max: u32::try_from(head_bytes_max).unwrap_or(u32::MAX),
            memory_bytes_max: buffers.saturating_mul(buffer_bytes),
            file_bytes_max: settings.max_temp_file_size.unwrap_or(1 << 30),
            temp_path,
            request_buffering: settings.request_buffering.unwrap_or(true),
            pass_headers: settings.pass_request_headers.unwrap_or(true),
            pass_body: settings.pass_request_body.unwrap_or(true),
            hide_headers: hidden(settings, is_uwsgi).into(),
            ignore_headers: settings.ignore_headers.unwrap_or_default(),
            intercept_errors: settings.intercept_errors.unwrap_or(false),
            ignore_client_abort: settings.ignore_client_abort.unwrap_or(false),
            next: next(settings),
            cache,
            redirects: redirects(pass, settings, &level.own.site),
        })
    }

    fn cache_use(&mut self, settings: &Exchange, pass: &PassDraft) -> Option<CacheUse> {
        let draft = settings.cache.as_ref()?.as_ref()?;
        let mut zones = self.plan.caches.iter();
        let Some(zone) = zones.position(|zone| zone.name == draft.zone) else {
            let name = if pass.speak == SpeakDraft::Uwsgi { "uwsgi" } else { "proxy" };
            let near =
                diag::nearest(&draft.zone, self.plan.caches.iter().map(|zone| zone.name.as_str()));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("declare it with `{name}_cache_path`"),
            };
            let message = format!("\"{name}_cache\" zone \"{}\" is unknown", draft.zone);
            let at = self.late(draft.at);
            self.run.hinted(at, message, &hint);
            return None;
        };
        Some(CacheUse {
            zone: CacheId(zone as u32),
            key: settings.cache_key.clone().unwrap_or_else(|| default_key(&pass.speak)),
            valid: settings.cache_valid.clone().unwrap_or_default(),
            use_stale: settings.cache_use_stale.clone().unwrap_or_default(),
            lock: settings.cache_lock.unwrap_or(false),
            lock_timeout: settings.cache_lock_timeout.unwrap_or(seconds(5)),
            lock_age: settings.cache_lock_age.unwrap_or(seconds(5)),
            min_uses: settings.cache_min_uses.unwrap_or(1),
            post_too: settings.cache_post.unwrap_or(false),
            bypass: settings.cache_bypass.clone().unwrap_or_default(),
            no_cache: settings.no_cache.clone().unwrap_or_default(),
            revalidate: settings.cache_revalidate.unwrap_or(false),
            background_update: settings.cache_background_update.unwrap_or(false),
            convert_head: settings.cache_convert_head.unwrap_or(true),
        })
    }
}

/// Whom, then what the client asked for and how it called us: responses of one site never answer
/// for another.
fn default_key(speak: &SpeakDraft) -> Template {
    let whom = match speak {
        SpeakDraft::Uwsgi => "uwsgi".to_owned(),
        SpeakDraft::Http { base, .. } => base.clone(),
    };
    let text = |text: &'static str| Part::Text(text.into());
    Template {
        parts: vec![
            Part::Text(format!("{whom} ").into()),
            Part::Variable(Variable::Scheme),
            text("://"),
            Part::Variable(Variable::Host),
            text(":"),
            Part::Variable(Variable::ServerPort),
            Part::Variable(Variable::RequestUri),
        ],
    }
}

fn speak(pass: &PassDraft, settings: &Exchange, site: &SiteKind) -> Speak {
    match &pass.speak {
        SpeakDraft::Uwsgi => Speak::Uwsgi {
            params: settings.params.clone().unwrap_or_default(),
            header_params: header_params(settings.params.as_deref().unwrap_or_default()),
            modifier1: settings.modifier1.unwrap_or(0),
            modifier2: settings.modifier2.unwrap_or(0),
        },
        SpeakDraft::Http { uri, host, port, .. } => {
            let http11 = settings.http11.unwrap_or(true);
            let is_fixed = matches!(pass.target, TargetDraft::Named { .. });
            let fixed_host = is_fixed.then_some((host.as_str(), *port));
            Speak::Http {
                uri: uri.clone(),
                prefix_bytes: site.name().len(),
                set_headers: set_headers(settings, http11, fixed_host),
                host: host.clone(),
                port: *port,
                http11,
                method: settings.method.clone(),
            }
        }
    }
}

fn header_params(params: &[UwsgiParam]) -> Vec<String> {
    let names = params.iter().filter_map(|param| param.name.strip_prefix("HTTP_"));
    names.map(str::to_owned).collect()
}

fn hidden(settings: &Exchange, is_uwsgi: bool) -> Vec<String> {
    let defaults: &[&str] = if is_uwsgi { &HIDDEN_OF_UWSGI } else { &HIDDEN_OF_PROXY };
    let passed = settings.pass_headers.as_deref().unwrap_or_default();
    let kept = defaults.iter().map(|name| (*name).to_owned());
    let mut hidden: Vec<String> = kept.filter(|name| !passed.contains(name)).collect();
    for name in settings.hide_headers.iter().flatten() {
        if !hidden.contains(name) {
            hidden.push(name.clone());
        }
    }
    hidden
}

fn next(settings: &Exchange) -> NextUpstream {
    let mut next = settings.next_upstream.clone().unwrap_or_else(|| NextUpstream {
        error: true,
        timeout: true,
        ..exchange::no_retries()
    });
    next.tries = settings.next_upstream_tries.unwrap_or(0);
    next.within = settings.next_upstream_timeout.unwrap_or(Duration::ZERO);
    next
}

fn redirects(pass: &PassDraft, settings: &Exchange, site: &SiteKind) -> Vec<Redirect> {
    let default = default_redirect(pass, site);
    match &settings.redirects {
        None => default.into_iter().collect(),
        Some(lines) if lines.iter().any(|line| matches!(line, RedirectDraft::Off)) => Vec::new(),
        Some(lines) => lines
            .iter()
            .filter_map(|line| match line {
                RedirectDraft::Off => None,
                RedirectDraft::Default => default.clone(),
                RedirectDraft::Ready(redirect) => Some(redirect.clone()),
            })
            .collect(),
    }
}

/// What `proxy_pass` does to the URI, backwards.
fn default_redirect(pass: &PassDraft, site: &SiteKind) -> Option<Redirect> {
    let SpeakDraft::Http { base, uri, .. } = &pass.speak else { return None };
    if base.is_empty() {
        return None;
    }
    let (from, to) = match uri {
        Some(uri) => (format!("{base}{uri}"), site.name().to_owned()),
        None => (format!("{base}/"), "/".to_owned()),
    };
    Some(Redirect::Prefix(Template::text(from), Template::text(to)))
}
