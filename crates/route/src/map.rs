//! `map` blocks.

use plan::front::rewrite::MapPlan;
use plan::{Template, Variable};

use crate::names::NameTable;
use crate::pattern::{Captures, Pattern, TooMuchBacktracking};
use crate::values::{Values, render};

/// A compiled `map` block.
#[derive(Debug)]
pub struct MapTable {
    source: Template,
    hostnames: bool,
    /// Lower-case keys, sorted.
    exact: Vec<(Box<[u8]>, Template)>,
    wildcards: NameTable<usize>,
    wildcard_values: Vec<Template>,
    regexes: Vec<(Pattern, Template)>,
    default: Template,
}

impl MapTable {
    /// Compiles it; the error is that of a regex, with its pattern.
    pub(crate) fn new(plan: &MapPlan) -> Result<MapTable, (String, String)> {
        let mut exact: Vec<(Box<[u8]>, Template)> = plan
            .exact
            .iter()
            .map(|(key, value)| (key.to_ascii_lowercase().into_bytes().into(), value.clone()))
            .collect();
        exact.sort_by(|left, right| left.0.cmp(&right.0));
        let mut wildcards = NameTable::new();
        wildcards.extend(plan.wildcards.iter().enumerate().map(|(at, (name, _))| (name, at)));
        let mut regexes = Vec::with_capacity(plan.regexes.len());
        for (regex, value) in &plan.regexes {
            let pattern = Pattern::new(regex).map_err(|why| (regex.pattern.clone(), why))?;
            regexes.push((pattern, value.clone()));
        }
        Ok(MapTable {
            source: plan.source.clone(),
            hostnames: plan.hostnames,
            exact,
            wildcards,
            wildcard_values: plan.wildcards.iter().map(|(_, value)| value.clone()).collect(),
            regexes,
            default: plan.default.clone(),
        })
    }

    /// Appends the value for this request.
    ///
    /// Returns the captures if a regex decided: its named groups are variables of the request from
    /// then on, so the caller stores them. The numbered ones are seen by the value only; nginx
    /// lets them leak into the location's captures, which surprises and helps nobody.
    pub fn look_up(
        &self,
        values: &dyn Values,
        out: &mut Vec<u8>,
    ) -> Result<Option<Captures>, TooMuchBacktracking> {
        let mut text = Vec::new();
        render(&self.source, values, &mut text);
        if self.hostnames && text.last() == Some(&b'.') {
            text.pop();
        }
        if let Some(value) = self.find_plain(&text.to_ascii_lowercase()) {
            render(value, values, out);
            return Ok(None);
        }
        for (pattern, value) in &self.regexes {
            if let Some(captures) = pattern.captures(&text)? {
                render(value, &WithCaptures { values, captures: &captures }, out);
                return Ok(Some(captures));
            }
        }
        render(&self.default, values, out);
        Ok(None)
    }

    fn find_plain(&self, key: &[u8]) -> Option<&Template> {
        if let Ok(at) = self.exact.binary_search_by(|(known, _)| known.as_ref().cmp(key)) {
            return self.exact.get(at).map(|(_, value)| value);
        }
        self.wildcard_values.get(*self.wildcards.find(key)?)
    }
}

/// The request's values, with the captures of a match over them.
struct WithCaptures<'a> {
    values: &'a dyn Values,
    captures: &'a Captures,
}

impl Values for WithCaptures<'_> {
    fn value(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        if let Variable::User(slot) = variable
            && let Some(text) = self.captures.slot(*slot)
        {
            out.extend_from_slice(text);
            return true;
        }
        self.values.value(variable, out)
    }

    fn capture(&self, number: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(self.captures.group(usize::from(number)));
    }
}

#[cfg(test)]
mod tests;
