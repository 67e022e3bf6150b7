//! One location, complete.

use plan::Template;
use plan::front::LocationId;
use plan::front::RealIpPlan;
use plan::front::location::{
    BodyPlan, GzipPlan, Handler, IfModifiedSince, LimitExcept, LocationPlan, Manners,
    Precompressed, RootPlan, ServerTokens, SubPlan,
};

use super::{Builder, seconds};
use crate::draft::SpeakDraft;
use crate::level::{self, Level, LimitExceptDraft, RootDraft};

/// Types that get the charset unless `charset_types` says otherwise.
const CHARSET_TYPES: [&str; 6] = [
    "text/html",
    "text/xml",
    "text/plain",
    "text/vnd.wap.wml",
    "application/javascript",
    "application/rss+xml",
];

impl Builder<'_, '_> {
    /// `level` is complete: everything inherited is in it.
    pub(super) fn location(&mut self, level: &Level) -> LocationId {
        // The number comes first: `if` blocks inside get theirs while this one is being made.
        let id = LocationId(self.plan.locations.len() as u32);
        let plan = self.plain_location(level);
        self.plan.locations.push(plan);
        let handler = self.handler(level);
        let rewrite = match level.own.site {
            crate::draft::SiteKind::Outside => Vec::new(),
            crate::draft::SiteKind::LocationIf(_) => Vec::new(),
            _ => self.steps(level.own.steps.clone(), level),
        };
        let try_files = level.own.try_files.clone().unwrap_or_default();
        let try_files = self.try_files(id, &try_files);
        let limit_except = level.own.limit_except.as_ref();
        let limit_except = limit_except.map(|draft| Box::new(self.limit_except(draft, level)));
        if let Some(plan) = self.plan.locations.get_mut(id.0 as usize) {
            plan.limit_except = limit_except;
            plan.handler = handler;
            plan.rewrite = rewrite;
            plan.try_files = try_files;
        }
        id
    }

    /// What the block does not say is the location's, and so is its upstream. The rewrite module's
    /// steps, `try_files` and `stub_status` are not: nginx runs none of them for these methods.
    fn limit_except(&mut self, draft: &LimitExceptDraft, outer: &Level) -> LimitExcept {
        let mut level = draft.level.clone();
        level.inherit(outer);
        if level.own.pass.is_none() {
            level.own.pass.clone_from(&outer.own.pass);
        }
        LimitExcept { methods: draft.methods.clone(), location: self.location(&level) }
    }

    fn handler(&mut self, level: &Level) -> Handler {
        if level.own.stub_status {
            return Handler::StubStatus;
        }
        let Some(pass) = &level.own.pass else { return Handler::Static };
        if pass.speak == SpeakDraft::Uwsgi && level.uwsgi.params.is_none() {
            let at = pass.at;
            let message = "no `uwsgi_param` is set for this `uwsgi_pass`".to_owned();
            self.run.notice(at, message, "add `include uwsgi_params;`");
        }
        match self.call(pass, level) {
            Some(call) => Handler::Upstream(Box::new(call)),
            None => Handler::Static,
        }
    }

    fn plain_location(&mut self, level: &Level) -> LocationPlan {
        let core = &level.core;
        let types = match &core.types {
            Some(types) => self.types(types),
            None => plan::front::TypesId(0),
        };
        let body = self.body(core);
        let auth = self.auth(level);
        let limits = self.limits(&level.limits);
        LocationPlan {
            name: level.own.site.name().to_owned(),
            handler: Handler::Static,
            internal: core.internal.unwrap_or(false),
            limit_except: None,
            rewrite: Vec::new(),
            real_ip: real_ip(&level.real_ip).map(Box::new),
            limits,
            access: core.access.clone().unwrap_or_default(),
            auth,
            try_files: Vec::new(),
            root: self.root(core.root.as_ref()),
            index: core.index.clone().unwrap_or_else(|| vec![Template::text("index.html")]),
            autoindex: core.autoindex.unwrap_or(false),
            types,
            default_type: core.default_type.clone().unwrap_or_else(|| "text/plain".to_owned()),
            charset: core.charset.clone().flatten(),
            charset_types: core
                .charset_types
                .clone()
                .unwrap_or_else(|| CHARSET_TYPES.map(str::to_owned).to_vec()),
            error_pages: core.error_pages.clone().unwrap_or_default(),
            recursive_error_pages: core.recursive_error_pages.unwrap_or(false),
            add_headers: level.headers.add.clone().unwrap_or_default(),
            expires: level.headers.expires.clone().flatten(),
            body,
            sub_filter: sub_filter(&level.sub_filter).map(Box::new),
            gzip: gzip(&level.gzip),
            access_logs: level.logs.access.clone().unwrap_or_default(),
            error_logs: level.logs.error.clone().unwrap_or_default(),
            manners: manners(&level.manners),
        }
    }

    fn root(&self, draft: Option<&RootDraft>) -> RootPlan {
        match draft {
            Some(RootDraft { path, alias }) => RootPlan {
                path: path.clone(),
                alias: alias.is_some(),
                alias_prefix_bytes: alias.unwrap_or(0),
            },
            None => {
                let path = self.run.options.prefix.join("html");
                let path = Template::text(path.to_string_lossy().into_owned());
                RootPlan { path, alias: false, alias_prefix_bytes: 0 }
            }
        }
    }

    fn body(&mut self, core: &level::Core) -> BodyPlan {
        let options = self.run.options;
        let temp_path =
            core.body_temp_path.clone().unwrap_or_else(|| options.state_directory.join("body"));
        self.own_directory(temp_path.clone());
        let bytes_max = core.body_max.unwrap_or(1 << 20);
        BodyPlan {
            bytes_max: (bytes_max > 0).then_some(bytes_max),
            memory_bytes_max: core.body_buffer.unwrap_or(16 << 10),
            temp_path,
            timeout: core.body_timeout.unwrap_or(seconds(60)),
        }
    }
}

fn real_ip(draft: &level::RealIp) -> Option<RealIpPlan> {
    let trusted = draft.trusted.clone()?;
    let field = draft.field.clone().unwrap_or_else(|| "X-Real-IP".to_owned());
    Some(RealIpPlan {
        trusted,
        is_list: field.eq_ignore_ascii_case("X-Forwarded-For"),
        field,
        recursive: draft.recursive.unwrap_or(false),
    })
}

fn sub_filter(draft: &level::SubFilter) -> Option<SubPlan> {
    Some(SubPlan {
        pairs: draft.pairs.clone()?,
        types: draft.types.clone().unwrap_or_else(|| vec!["text/html".to_owned()]),
        once: draft.once.unwrap_or(true),
        keeps_validators: draft.last_modified.unwrap_or(false),
    })
}

fn gzip(gzip: &level::Gzip) -> GzipPlan {
    GzipPlan {
        on: gzip.on.unwrap_or(false),
        level: gzip.level.unwrap_or(1),
        min_length: gzip.min_length.unwrap_or(20),
        types: gzip.types.clone().unwrap_or_else(|| vec!["text/html".to_owned()]),
        vary: gzip.vary.unwrap_or(false),
        for_http10: gzip.for_http10.unwrap_or(false),
        proxied: gzip.proxied.unwrap_or_default(),
        disable: gzip.disable.clone().unwrap_or_default(),
        precompressed: gzip.precompressed.unwrap_or(Precompressed::Off),
    }
}

fn manners(manners: &level::Manners) -> Manners {
    let (keepalive_timeout, keepalive_header) =
        manners.keepalive_timeout.unwrap_or((seconds(75), None));
    Manners {
        keepalive_timeout,
        keepalive_header,
        keepalive_requests: manners.keepalive_requests.unwrap_or(1000),
        keepalive_time: manners.keepalive_time.unwrap_or(seconds(3600)),
        send_timeout: manners.send_timeout.unwrap_or(seconds(60)),
        lingering_timeout: manners.lingering_timeout.unwrap_or(seconds(5)),
        lingering_time: manners.lingering_time.unwrap_or(seconds(30)),
        reset_timed_out: manners.reset_timed_out.unwrap_or(false),
        etag: manners.etag.unwrap_or(true),
        if_modified_since: manners.if_modified_since.unwrap_or(IfModifiedSince::Exact),
        server_tokens: manners.server_tokens.clone().unwrap_or(ServerTokens::Version),
        chunked: manners.chunked.unwrap_or(true),
        absolute_redirect: manners.absolute_redirect.unwrap_or(true),
        port_in_redirect: manners.port_in_redirect.unwrap_or(true),
        server_name_in_redirect: manners.server_name_in_redirect.unwrap_or(false),
        log_not_found: manners.log_not_found.unwrap_or(true),
        max_ranges: manners.max_ranges,
        tcp_nodelay: manners.tcp_nodelay.unwrap_or(true),
        sendfile: manners.sendfile.unwrap_or(false),
    }
}
