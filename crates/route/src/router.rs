//! The whole plan, compiled for choosing.

use plan::RegexPlan;
use plan::front::rewrite::MapPlan;
use plan::front::upstream::Redirect;
use plan::front::{
    FrontPlan, Handler, ListenPlan, LocationId, LocationPlan, ServerId, ServerName, ServerPlan,
};
use plan::template::MapId;

use crate::location::{Found, Level};
use crate::map::MapTable;
use crate::names::NameTable;
use crate::pattern::{Captures, Pattern, TooMuchBacktracking};
use crate::rewrite::Step;

/// A regex that the engines refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteError {
    /// The pattern as written.
    pub pattern: String,
    /// The engine's explanation.
    pub why: String,
}

impl From<(String, String)> for RouteError {
    fn from((pattern, why): (String, String)) -> RouteError {
        RouteError { pattern, why }
    }
}

impl std::fmt::Display for RouteError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "cannot compile the regular expression `{}`: {}", self.pattern, self.why)
    }
}

impl std::error::Error for RouteError {}

/// Chooses servers and locations; immutable and shared between threads.
#[derive(Debug)]
pub struct Router {
    listens: Vec<Listen>,
    servers: Vec<Server>,
    locations: Vec<Location>,
    maps: Vec<MapTable>,
}

#[derive(Debug)]
struct Listen {
    names: NameTable<ServerId>,
    regexes: Vec<(Pattern, ServerId)>,
    default: ServerId,
    /// Whether every host leads to the default server.
    is_single: bool,
}

#[derive(Debug)]
struct Server {
    rewrite: Vec<Step>,
    level: Level,
    /// `@name`, sorted.
    named: Vec<(Box<str>, LocationId)>,
    fallback: LocationId,
}

#[derive(Debug)]
struct Location {
    rewrite: Vec<Step>,
    gzip_disable: Vec<Pattern>,
    /// One for each `proxy_redirect` line; `None` where the line is a prefix.
    redirects: Vec<Option<Pattern>>,
}

impl Router {
    /// Compiles everything.
    pub fn new(plan: &FrontPlan) -> Result<Router, RouteError> {
        let listens = plan.listens.iter().map(|listen| Listen::new(listen, &plan.servers));
        let servers = plan.servers.iter().map(|server| Server::new(server, &plan.locations));
        Ok(Router {
            listens: listens.collect::<Result<_, _>>()?,
            servers: servers.collect::<Result<_, _>>()?,
            locations: plan.locations.iter().map(Location::new).collect::<Result<_, _>>()?,
            maps: plan.maps.iter().map(compile_map).collect::<Result<_, _>>()?,
        })
    }

    /// The server for a (normalised) host on the listening socket with this index in the plan;
    /// an empty host means there was none. The captures are those of a regex name.
    pub fn server(
        &self,
        listen: usize,
        host: &[u8],
    ) -> Result<(ServerId, Option<Captures>), TooMuchBacktracking> {
        let Some(listen) = self.listens.get(listen) else {
            return Ok((ServerId(0), None));
        };
        listen.find(host)
    }

    /// The location of a (normalised, perhaps rewritten) URI.
    pub fn location(&self, server: ServerId, uri: &[u8]) -> Result<Found, TooMuchBacktracking> {
        match self.servers.get(server.0 as usize) {
            Some(server) => server.level.find(uri, server.fallback),
            None => Ok(Found { location: LocationId(0), captures: None, redirect_to_slash: false }),
        }
    }

    /// The location `@name`, with its `@`.
    pub fn named(&self, server: ServerId, name: &str) -> Option<LocationId> {
        let named = &self.servers.get(server.0 as usize)?.named;
        let at = named.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        named.get(at).map(|(_, location)| *location)
    }

    /// Rewrite steps of the server level.
    pub fn server_rewrite(&self, server: ServerId) -> &[Step] {
        self.servers.get(server.0 as usize).map_or(&[], |server| &server.rewrite)
    }

    /// Rewrite steps of a location.
    pub fn location_rewrite(&self, location: LocationId) -> &[Step] {
        self.locations.get(location.0 as usize).map_or(&[], |location| &location.rewrite)
    }

    /// Whether `gzip_disable` of the location means this User-Agent.
    pub fn gzip_disabled(&self, location: LocationId, user_agent: &[u8]) -> bool {
        let patterns =
            self.locations.get(location.0 as usize).map(|location| &location.gzip_disable);
        let mut patterns = patterns.into_iter().flatten();
        patterns.any(|pattern| pattern.is_match(user_agent) == Ok(true))
    }

    /// The regex of the location's `proxy_redirect` line with this number; `None` for prefixes.
    pub fn redirect_pattern(&self, location: LocationId, line: usize) -> Option<&Pattern> {
        self.locations.get(location.0 as usize)?.redirects.get(line)?.as_ref()
    }

    /// A `map` block.
    pub fn map(&self, id: MapId) -> Option<&MapTable> {
        self.maps.get(usize::from(id.0))
    }
}

impl Listen {
    fn new(plan: &ListenPlan, servers: &[ServerPlan]) -> Result<Listen, RouteError> {
        let here = plan.servers.iter().filter_map(|id| Some((id, servers.get(id.0 as usize)?)));
        let all = here.flat_map(|(id, server)| server.names.iter().map(|name| (name, *id)));
        Listen::of_names(all, plan.default_server)
    }

    fn of_names<'a>(
        all: impl Iterator<Item = (&'a ServerName, ServerId)> + Clone,
        default: ServerId,
    ) -> Result<Listen, RouteError> {
        let mut names = NameTable::new();
        names.extend(all.clone());
        let mut regexes = Vec::new();
        for (name, id) in all {
            if let ServerName::Regex(regex) = name {
                // Hosts have no case, whatever the pattern was written in.
                let regex = RegexPlan { ignore_case: true, ..regex.clone() };
                let pattern = Pattern::new(&regex).map_err(|why| (regex.pattern, why))?;
                regexes.push((pattern, id));
            }
        }
        let is_single = regexes.is_empty() && names.values().all(|server| *server == default);
        Ok(Listen { names, regexes, default, is_single })
    }

    fn find(&self, host: &[u8]) -> Result<(ServerId, Option<Captures>), TooMuchBacktracking> {
        if self.is_single {
            return Ok((self.default, None));
        }
        if let Some(server) = self.names.find(host) {
            return Ok((*server, None));
        }
        if !host.is_empty() {
            for (pattern, server) in &self.regexes {
                if let Some(captures) = pattern.captures(host)? {
                    return Ok((*server, Some(captures)));
                }
            }
        }
        Ok((self.default, None))
    }
}

impl Server {
    fn new(plan: &ServerPlan, locations: &[LocationPlan]) -> Result<Server, RouteError> {
        let mut named: Vec<(Box<str>, LocationId)> =
            plan.tree.named.iter().map(|(name, id)| (name.as_str().into(), *id)).collect();
        named.sort_by(|left, right| left.0.cmp(&right.0));
        let calls_upstream = |id: LocationId| {
            let location = locations.get(id.0 as usize);
            location.is_some_and(|location| matches!(location.handler, Handler::Upstream(_)))
        };
        Ok(Server {
            rewrite: Step::compile(&plan.rewrite)?,
            level: Level::new(&plan.tree, &calls_upstream)?,
            named,
            fallback: plan.fallback,
        })
    }
}

impl Location {
    fn new(plan: &LocationPlan) -> Result<Location, RouteError> {
        let compile = |regex: &RegexPlan| {
            Pattern::new(regex).map_err(|why| RouteError::from((regex.pattern.clone(), why)))
        };
        let redirects = match &plan.handler {
            Handler::Upstream(call) => call.redirects.as_slice(),
            Handler::Static | Handler::StubStatus => &[],
        };
        let redirects = redirects.iter().map(|line| match line {
            Redirect::Prefix(..) => Ok(None),
            Redirect::Regex(regex, _) => compile(regex).map(Some),
        });
        Ok(Location {
            rewrite: Step::compile(&plan.rewrite)?,
            gzip_disable: plan.gzip.disable.iter().map(compile).collect::<Result<_, _>>()?,
            redirects: redirects.collect::<Result<_, _>>()?,
        })
    }
}

fn compile_map(plan: &MapPlan) -> Result<MapTable, RouteError> {
    MapTable::new(plan).map_err(RouteError::from)
}

#[cfg(test)]
mod tests;
