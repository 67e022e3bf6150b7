//! What opening a block does.

use std::rc::Rc;

use plan::front::http::ServerName;
use plan::front::rewrite::MapPlan;
use plan::template::{GeoId, MapId, SplitId};
use plan::{Template, Variable};

use super::{Call, Run, Scope};
use crate::directives::geo::GeoDraft;
use crate::directives::limit_except;
use crate::directives::rewrite::condition;
use crate::directives::server_name;
use crate::directives::split_clients::SplitDraft;
use crate::draft::{
    GroupDraft, HttpDraft, LocationDraft, MainDraft, NameDraft, ServerDraft, SiteKind,
};
use crate::level::{Level, LimitExceptDraft, StepDraft};
use crate::row::{Fault, Outcome};
use crate::tree::{Directive, Word};

impl Run<'_> {
    pub(super) fn enter_events(&mut self, main: &mut MainDraft, block: &Directive) -> Outcome {
        if std::mem::replace(&mut main.events_seen, true) {
            return Err(Fault::Directive("is duplicate"));
        }
        self.apply_all(&mut Scope::Events(main), children(block));
        Ok(())
    }

    pub(super) fn enter_http(&mut self, main: &mut MainDraft, block: &Directive) -> Outcome {
        if main.http.is_some() {
            return Err(Fault::Directive("is duplicate"));
        }
        self.number_makers(children(block));
        let mut http = HttpDraft::default();
        self.apply_all(&mut Scope::Http(&mut http), children(block));
        main.http = Some(http);
        Ok(())
    }

    /// Variables of blocks may be used before these are written, so the blocks get their numbers
    /// first.
    fn number_makers(&mut self, children: &[Directive]) {
        let (mut maps, mut geos, mut splits) = (0..=u16::MAX, 0..=u16::MAX, 0..=u16::MAX);
        for block in children.iter().filter(|child| child.block.is_some()) {
            let made = match (block.name(), block.args()) {
                ("map", [_, name]) => maps.next().map(|id| (name, Variable::Map(MapId(id)))),
                ("geo", [.., name]) => geos.next().map(|id| (name, Variable::Geo(GeoId(id)))),
                ("split_clients", [_, name]) => {
                    splits.next().map(|id| (name, Variable::Split(SplitId(id))))
                }
                _ => None,
            };
            if let Some((name, variable)) = made
                && let Some(name) = name.text.strip_prefix('$')
            {
                self.variables.define_made(name, variable);
            }
        }
    }

    pub(super) fn enter_server(&mut self, http: &mut HttpDraft, block: &Directive) -> Outcome {
        let mut server = ServerDraft {
            level: Level::default(),
            listens: Vec::new(),
            names: Vec::new(),
            locations: Vec::new(),
            at: block.at_close(),
        };
        self.apply_all(&mut Scope::Server(&mut server), children(block));
        if server.names.is_empty() {
            let (name, written) = (ServerName::Exact(String::new()), String::new());
            server.names.push(NameDraft { name, written, at: block.at() });
        }
        http.servers.push(server);
        Ok(())
    }

    pub(super) fn enter_upstream(&mut self, block: &Directive) -> Outcome {
        let name = block.arg(0);
        if self.groups.iter().any(|(group, _)| group.name.eq_ignore_ascii_case(name)) {
            return Err(Fault::Says(1, format!("duplicate upstream \"{name}\"")));
        }
        let mut group = GroupDraft::named(name);
        let errors_before = self.report.errors();
        self.apply_all(&mut Scope::Upstream(&mut group), children(block));
        if group.peers.is_empty() && errors_before == self.report.errors() {
            self.error(block.at_close(), "no servers are inside upstream");
        }
        self.groups.push((group, block.at()));
        Ok(())
    }

    pub(super) fn enter_location(
        &mut self,
        siblings: &mut Vec<LocationDraft>,
        outer: Option<&SiteKind>,
        block: &Directive,
    ) -> Outcome {
        let mut call = Call { directive: block, run: self };
        let site = site(&mut call)?;
        if let Some(outer) = outer {
            check_nesting(outer, &site)?;
        }
        let mut location =
            LocationDraft { level: Level::default(), nested: Vec::new(), at: block.at() };
        if siblings.iter().any(|other| same_place(&other.level.own.site, &site)) {
            let message = format!("duplicate location \"{}\"", site.name());
            self.error(block.at(), message);
        }
        location.level.own.site = site;
        self.apply_all(&mut Scope::Location(&mut location), children(block));
        siblings.push(location);
        Ok(())
    }

    pub(super) fn enter_if(&mut self, outer: &mut Level, block: &Directive) -> Outcome {
        let mut call = Call { directive: block, run: self };
        let condition = condition(&mut call)?;
        let mut level = Level::default();
        let in_server = outer.own.site == SiteKind::Outside;
        level.own.site = if in_server {
            SiteKind::ServerIf
        } else {
            SiteKind::LocationIf(Box::new(outer.own.site.clone()))
        };
        self.apply_all(&mut Scope::If(&mut level, in_server), children(block));
        outer.own.steps.push(StepDraft::If(condition, Box::new(level)));
        Ok(())
    }

    pub(super) fn enter_limit_except(&mut self, outer: &mut Level, block: &Directive) -> Outcome {
        if outer.own.limit_except.is_some() {
            return Err(Fault::Directive("is duplicate"));
        }
        let methods = limit_except::methods(&Call { directive: block, run: self })?;
        let mut level = Level::default();
        level.own.site = SiteKind::LimitExcept(Box::new(outer.own.site.clone()));
        self.apply_all(&mut Scope::LimitExcept(&mut level), children(block));
        outer.own.limit_except = Some(Box::new(LimitExceptDraft { methods, level }));
        Ok(())
    }

    pub(super) fn enter_types(&mut self, level: &mut Level, block: &Directive) -> Outcome {
        let types = level.core.types.get_or_insert_with(Rc::default);
        let types = Rc::make_mut(types);
        for entry in children(block) {
            if entry.block.is_some() {
                self.error(entry.at(), "unexpected \"{\"");
                continue;
            }
            for extension in entry.args() {
                add_type(self, types, entry, extension);
            }
        }
        Ok(())
    }

    pub(super) fn enter_map(&mut self, block: &Directive) -> Outcome {
        made_name(block, 1)?;
        let source = Call { directive: block, run: self }.template(0)?;
        let empty = Template::default();
        let mut map = MapPlan {
            source,
            hostnames: false,
            exact: Vec::new(),
            wildcards: Vec::new(),
            regexes: Vec::new(),
            default: empty,
        };
        let mut default_seen = false;
        for entry in children(block) {
            let mut call = Call { directive: entry, run: self };
            if let Err(fault) = map_entry(&mut map, &mut default_seen, &mut call) {
                self.tell_fault(entry, fault);
            }
        }
        map.exact.sort_by(|left, right| left.0.cmp(&right.0));
        self.maps.push(map);
        Ok(())
    }

    pub(super) fn enter_geo(&mut self, block: &Directive) -> Outcome {
        let address = match block.args().len() {
            1 => None,
            _ => Some(Call { directive: block, run: self }.variable(0)?),
        };
        made_name(block, block.args().len() - 1)?;
        let mut geo = GeoDraft::default();
        for entry in children(block) {
            if entry.block.is_some() {
                self.error(entry.at(), "unexpected \"{\"");
            } else if let Err(fault) = geo.entry(&mut Call { directive: entry, run: self }) {
                self.tell_fault(entry, fault);
            }
        }
        self.geos.push(geo.plan(address));
        Ok(())
    }

    pub(super) fn enter_split_clients(&mut self, block: &Directive) -> Outcome {
        let source = Call { directive: block, run: self }.template(0)?;
        made_name(block, 1)?;
        let mut split = SplitDraft::default();
        for entry in children(block) {
            if entry.block.is_some() {
                self.error(entry.at(), "unexpected \"{\"");
            } else if let Err(fault) = split.entry(&mut Call { directive: entry, run: self }) {
                self.tell_fault(entry, fault);
            }
        }
        match split.plan(source) {
            Some(plan) => self.splits.push(plan),
            None => self.error(block.at_close(), "percent total is greater than 100%"),
        }
        Ok(())
    }
}

/// The name of the variable that a block makes, without its `$`.
fn made_name(block: &Directive, argument: usize) -> Result<&str, Fault> {
    let text = block.arg(argument);
    let Some(name) = text.strip_prefix('$').filter(|name| !name.is_empty()) else {
        return Err(Fault::Says(argument + 1, format!("invalid variable name \"{text}\"")));
    };
    match crate::variable::is_fixed(name) {
        true => Err(Fault::Says(argument + 1, format!("the duplicate \"{name}\" variable"))),
        false => Ok(name),
    }
}

fn children(block: &Directive) -> &[Directive] {
    block.block.as_ref().map_or(&[], |block| &block.children)
}

fn add_type(
    run: &mut Run<'_>,
    types: &mut Vec<(String, String)>,
    entry: &Directive,
    extension: &Word,
) {
    let key = extension.text.to_ascii_lowercase();
    let kind = entry.name().to_owned();
    match types.iter_mut().find(|(known, _)| *known == key) {
        None => types.push((key, kind)),
        Some((_, known)) => {
            let message = format!(
                "duplicate extension \"{key}\", content type: \"{kind}\", previous content \
                 type: \"{known}\""
            );
            *known = kind;
            run.warning(entry.at(), message);
        }
    }
}

/// What the words after `location` say.
fn site(call: &mut Call<'_, '_>) -> Result<SiteKind, Fault> {
    if call.args().len() == 2 {
        let uri = call.arg(1);
        return match call.arg(0) {
            "=" => Ok(SiteKind::Exact(uri.to_owned())),
            "^~" => Ok(SiteKind::Prefix { uri: uri.to_owned(), skip_regexes: true }),
            "~" => Ok(SiteKind::Regex(call.regex(1, uri, false)?)),
            "~*" => Ok(SiteKind::Regex(call.regex(1, uri, true)?)),
            other => {
                let message = format!("invalid location modifier \"{other}\"");
                Err(Fault::Hinted(1, message, "modifiers are `=`, `^~`, `~` and `~*`".to_owned()))
            }
        };
    }
    let word = call.arg(0);
    if let Some(uri) = word.strip_prefix('=') {
        return Ok(SiteKind::Exact(uri.to_owned()));
    }
    if let Some(uri) = word.strip_prefix("^~") {
        return Ok(SiteKind::Prefix { uri: uri.to_owned(), skip_regexes: true });
    }
    if let Some(pattern) = word.strip_prefix("~*") {
        return Ok(SiteKind::Regex(call.regex(0, pattern, true)?));
    }
    if let Some(pattern) = word.strip_prefix('~') {
        return Ok(SiteKind::Regex(call.regex(0, pattern, false)?));
    }
    if word.starts_with('@') {
        return Ok(SiteKind::Named(word.to_owned()));
    }
    Ok(SiteKind::Prefix { uri: word.to_owned(), skip_regexes: false })
}

fn check_nesting(outer: &SiteKind, inner: &SiteKind) -> Result<(), Fault> {
    let (outer_name, name) = (outer.name(), inner.name());
    let problem = match (outer, inner) {
        (SiteKind::Exact(_), _) => {
            format!("location \"{name}\" cannot be inside the exact location \"{outer_name}\"")
        }
        (SiteKind::Named(_), _) => {
            format!("location \"{name}\" cannot be inside the named location \"{outer_name}\"")
        }
        (_, SiteKind::Named(_)) => {
            format!("named location \"{name}\" can be on the server level only")
        }
        // Also inside a regex location, whose pattern nginx takes for its name here.
        (_, SiteKind::Prefix { .. } | SiteKind::Exact(_)) if !name.starts_with(outer_name) => {
            format!("location \"{name}\" is outside location \"{outer_name}\"")
        }
        _ => return Ok(()),
    };
    Err(Fault::Says(1, problem))
}

/// Whether nginx takes two locations for the same one: patterns are never compared.
fn same_place(left: &SiteKind, right: &SiteKind) -> bool {
    match (left, right) {
        (SiteKind::Prefix { uri, .. }, SiteKind::Prefix { uri: other, .. })
        | (SiteKind::Exact(uri), SiteKind::Exact(other))
        | (SiteKind::Named(uri), SiteKind::Named(other)) => uri == other,
        _ => false,
    }
}

fn map_entry(map: &mut MapPlan, default_seen: &mut bool, call: &mut Call<'_, '_>) -> Outcome {
    let key = call.directive.name().to_owned();
    match (key.as_str(), call.args().len()) {
        ("hostnames", 0) => {
            map.hostnames = true;
            return Ok(());
        }
        ("volatile", 0) => return Ok(()),
        (_, 1) => {}
        _ => return Err(Fault::Says(0, "invalid number of the map parameters".to_owned())),
    }
    let value = call.template(0)?;
    if key == "default" {
        if std::mem::replace(default_seen, true) {
            return Err(Fault::Says(0, "duplicate default map parameter".to_owned()));
        }
        map.default = value;
        return Ok(());
    }
    if let Some(pattern) = key.strip_prefix('~') {
        let (pattern, ignore_case) = match pattern.strip_prefix('*') {
            Some(pattern) => (pattern, true),
            None => (pattern, false),
        };
        // The pattern is the entry's name, which stands before its first argument.
        let regex = super::text::regex(call.run, pattern, ignore_case)
            .map_err(|message| Fault::Says(0, message))?;
        map.regexes.push((regex, value));
        return Ok(());
    }
    let key = key.strip_prefix('\\').unwrap_or(&key).to_ascii_lowercase();
    if map.hostnames && (key.contains('*') || key.starts_with('.')) {
        let name = server_name::wildcard(&key)
            .ok_or_else(|| Fault::Says(0, format!("invalid hostname or wildcard \"{key}\"")))?;
        return add_wildcard(map, name, value, &key);
    }
    if map.exact.iter().any(|(known, _)| *known == key) {
        return Err(Fault::Says(0, format!("conflicting parameter \"{key}\"")));
    }
    map.exact.push((key, value));
    Ok(())
}

fn add_wildcard(map: &mut MapPlan, name: ServerName, value: Template, key: &str) -> Outcome {
    if map.wildcards.iter().any(|(known, _)| *known == name) {
        return Err(Fault::Says(0, format!("conflicting parameter \"{key}\"")));
    }
    map.wildcards.push((name, value));
    Ok(())
}
