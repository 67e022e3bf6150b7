//! Which location a URI belongs to.
//!
//! nginx's order on each level: an exact location; else the longest prefix (and, inside it, its
//! nested locations, which decide if they find anything exact or a regex); else, unless that prefix
//! forbids it, the first regex of this level; else the prefix.

use plan::front::http::PrefixLocation;
use plan::front::{LocationId, LocationTree};

use crate::pattern::{Captures, Pattern, TooMuchBacktracking};

/// What a URI led to.
#[derive(Clone, Debug)]
pub struct Found {
    /// The location; the server's fallback if none matched.
    pub location: LocationId,
    /// Captures of the regex that decided, if one did.
    pub captures: Option<Captures>,
    /// The location is this URI with a slash at its end: answer 301 to that, with the arguments.
    pub redirect_to_slash: bool,
}

/// One level of locations, compiled.
#[derive(Debug, Default)]
pub(crate) struct Level {
    exact: Vec<(Box<[u8]>, LocationId)>,
    prefixes: Vec<Prefix>,
    regexes: Vec<RegexLocation>,
    /// URIs that lack the slash of an entry and are redirected to it.
    slashless: Vec<(Box<[u8]>, LocationId)>,
}

#[derive(Debug)]
struct Prefix {
    uri: Box<[u8]>,
    location: LocationId,
    auto_redirect: bool,
    skip_regexes: bool,
    nested: Level,
    /// Index of the longest other prefix this one begins with.
    parent: Option<usize>,
}

#[derive(Debug)]
struct RegexLocation {
    pattern: Pattern,
    location: LocationId,
    nested: Level,
}

/// How sure a level is.
enum Answer {
    /// Nothing more is asked.
    Final(Found),
    /// A prefix; the level above may still find a regex.
    Prefix(LocationId),
    Nothing,
}

impl Level {
    /// Compiles a level and those inside it; the error is that of a regex, with its pattern.
    pub(crate) fn new(
        tree: &LocationTree,
        calls_upstream: &dyn Fn(LocationId) -> bool,
    ) -> Result<Level, (String, String)> {
        let mut exact: Vec<(Box<[u8]>, LocationId)> =
            tree.exact.iter().map(|(uri, location)| (uri.as_bytes().into(), *location)).collect();
        exact.sort_by(|left, right| left.0.cmp(&right.0));
        let mut prefixes = Vec::with_capacity(tree.prefixes.len());
        for prefix in &tree.prefixes {
            prefixes.push(Prefix::new(prefix, calls_upstream)?);
        }
        prefixes.sort_by(|left, right| left.uri.cmp(&right.uri));
        link_parents(&mut prefixes);
        let mut regexes = Vec::with_capacity(tree.regexes.len());
        for regex in &tree.regexes {
            let pattern =
                Pattern::new(&regex.regex).map_err(|why| (regex.regex.pattern.clone(), why))?;
            let nested = Level::new(&regex.nested, calls_upstream)?;
            regexes.push(RegexLocation { pattern, location: regex.location, nested });
        }
        let slashless = slashless(&exact, &prefixes, calls_upstream);
        Ok(Level { exact, prefixes, regexes, slashless })
    }

    /// The location of a URI, or the fallback.
    pub(crate) fn find(
        &self,
        uri: &[u8],
        fallback: LocationId,
    ) -> Result<Found, TooMuchBacktracking> {
        Ok(match self.search(uri)? {
            Answer::Final(found) => found,
            Answer::Prefix(location) => plain(location),
            Answer::Nothing => plain(fallback),
        })
    }

    fn search(&self, uri: &[u8]) -> Result<Answer, TooMuchBacktracking> {
        if let Some(location) = look_up(&self.exact, uri) {
            return Ok(Answer::Final(plain(location)));
        }
        let prefix = self.longest_prefix(uri);
        if prefix.is_none_or(|prefix| prefix.uri.len() != uri.len())
            && let Some(location) = look_up(&self.slashless, uri)
        {
            let found = Found { location, captures: None, redirect_to_slash: true };
            return Ok(Answer::Final(found));
        }
        let mut best = Answer::Nothing;
        if let Some(prefix) = prefix {
            best = match prefix.nested.search(uri)? {
                Answer::Final(found) => return Ok(Answer::Final(found)),
                Answer::Prefix(location) => Answer::Prefix(location),
                Answer::Nothing => Answer::Prefix(prefix.location),
            };
        }
        if prefix.is_some_and(|prefix| prefix.skip_regexes) {
            return Ok(best);
        }
        for regex in &self.regexes {
            if let Some(captures) = regex.pattern.captures(uri)? {
                return Ok(Answer::Final(regex.inside(uri, captures)?));
            }
        }
        Ok(best)
    }

    fn longest_prefix(&self, uri: &[u8]) -> Option<&Prefix> {
        let after = self.prefixes.partition_point(|prefix| prefix.uri.as_ref() <= uri);
        // The longest prefix is the last one that sorts before the URI, or among those it begins
        // with: whatever sorts between a prefix of the URI and the URI begins with that prefix.
        let mut candidate = self.prefixes.get(after.checked_sub(1)?)?;
        while !uri.starts_with(&candidate.uri) {
            candidate = self.prefixes.get(candidate.parent?)?;
        }
        Some(candidate)
    }
}

impl Prefix {
    fn new(
        plan: &PrefixLocation,
        calls_upstream: &dyn Fn(LocationId) -> bool,
    ) -> Result<Prefix, (String, String)> {
        Ok(Prefix {
            uri: plan.uri.as_bytes().into(),
            location: plan.location,
            auto_redirect: plan.auto_redirect,
            skip_regexes: plan.skip_regexes,
            nested: Level::new(&plan.nested, calls_upstream)?,
            parent: None,
        })
    }
}

impl RegexLocation {
    /// Once a regex location has matched, the URI stays in it, whatever its nested ones say.
    fn inside(&self, uri: &[u8], captures: Captures) -> Result<Found, TooMuchBacktracking> {
        let (location, own) = match self.nested.search(uri)? {
            Answer::Final(found) => (found.location, found.captures),
            Answer::Prefix(location) => (location, None),
            Answer::Nothing => (self.location, None),
        };
        let captures = Some(own.unwrap_or(captures));
        Ok(Found { location, captures, redirect_to_slash: false })
    }
}

fn look_up(sorted: &[(Box<[u8]>, LocationId)], uri: &[u8]) -> Option<LocationId> {
    let at = sorted.binary_search_by(|(known, _)| known.as_ref().cmp(uri)).ok()?;
    sorted.get(at).map(|(_, location)| *location)
}

/// Every URI of which the one with a slash at its end redirects, and where to; an exact location
/// goes before a prefix of the same name. Both are sorted.
fn slashless(
    exact: &[(Box<[u8]>, LocationId)],
    prefixes: &[Prefix],
    calls_upstream: &dyn Fn(LocationId) -> bool,
) -> Vec<(Box<[u8]>, LocationId)> {
    let exact_ones =
        exact.iter().map(|(uri, location)| (uri, *location, calls_upstream(*location)));
    let prefix_ones = prefixes.iter().map(|it| (&it.uri, it.location, it.auto_redirect));
    let redirecting = exact_ones.chain(prefix_ones).filter(|(.., redirects)| *redirects);
    let found = redirecting.filter_map(|(uri, location, _)| {
        let location = look_up(exact, uri).unwrap_or(location);
        Some((uri.strip_suffix(b"/")?.into(), location))
    });
    let mut found: Vec<(Box<[u8]>, LocationId)> = found.collect();
    found.sort_by(|left, right| left.0.cmp(&right.0));
    found.dedup_by(|left, right| left.0 == right.0);
    found
}

fn plain(location: LocationId) -> Found {
    Found { location, captures: None, redirect_to_slash: false }
}

/// Fills in `parent`; the prefixes are sorted.
fn link_parents(prefixes: &mut [Prefix]) {
    let mut open: Vec<usize> = Vec::new();
    for at in 0..prefixes.len() {
        while let Some(&candidate) = open.last()
            && !prefixes[at].uri.starts_with(&prefixes[candidate].uri)
        {
            open.pop();
        }
        prefixes[at].parent = open.last().copied();
        open.push(at);
    }
}

#[cfg(test)]
mod tests;
