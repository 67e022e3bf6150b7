//! Every option that uWSGI 2.0.31 and its plugins know: one option, one row.
//!
//! Rooms by topic; `families` are the options that share one answer.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::row::{Answer, Effect, Family, Row, Takes};

mod app;
mod config;
mod families;
mod foreign;
mod lettered;
mod logging;
mod process;
mod sockets;
mod statics;
mod watch;
mod workers;

/// All rows with an effect or an answer of their own, by topic.
pub const GROUPS: &[(&str, &[Row])] = &[
    ("Application", app::ROWS),
    ("Sockets and HTTP", sockets::ROWS),
    ("Workers, recycling and limits", workers::ROWS),
    ("Reload by watching", watch::ROWS),
    ("Users, files and titles", process::ROWS),
    ("Logging", logging::ROWS),
    ("Static files and routing", statics::ROWS),
    ("Configuration and commands", config::ROWS),
    ("Without an effect, with a letter or a value of their own", lettered::ROWS),
];

/// All options that share an answer.
pub const FAMILIES: &[&[Family]] = &[families::FAMILIES, foreign::FAMILIES];

/// What a name means.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name as the table has it.
    pub name: &'static str,
    /// Its argument on the command line.
    pub takes: Takes,
    /// Its effect.
    pub meaning: Meaning,
}

/// A row's effect or a family's answer.
#[derive(Clone, Copy, Debug)]
pub enum Meaning {
    /// From a row.
    Effect(&'static Effect),
    /// From a family.
    Answer(Answer),
}

/// The option of that name.
pub fn find(name: &str) -> Option<Entry> {
    table().get(name).copied()
}

/// The option of that letter.
pub fn find_short(letter: char) -> Option<Entry> {
    rows().find(|row| row.short == Some(letter)).and_then(|row| find(row.names[0]))
}

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|(_, rows)| rows.iter())
}

/// All families.
pub fn families() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().flat_map(|list| list.iter())
}

/// All names; those with an effect first, so that a guess at a misspelt name prefers them.
pub fn names() -> impl Iterator<Item = &'static str> {
    let of_rows = rows().flat_map(|row| row.names.iter().copied());
    of_rows.chain(families().flat_map(|family| family.names()).map(|(name, _)| name))
}

impl Family {
    /// The names with their arguments.
    pub fn names(&self) -> impl Iterator<Item = (&'static str, Takes)> + use<> {
        let flags = self.flags.split_ascii_whitespace().map(|name| (name, Takes::Nothing));
        let optional = self.optional.split_ascii_whitespace().map(|name| (name, Takes::Optional));
        let valued = self.valued.split_ascii_whitespace().map(|name| (name, Takes::Value));
        flags.chain(optional).chain(valued)
    }
}

fn table() -> &'static HashMap<&'static str, Entry> {
    static TABLE: OnceLock<HashMap<&'static str, Entry>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = HashMap::new();
        for row in rows() {
            for name in row.names {
                let meaning = Meaning::Effect(&row.effect);
                table.insert(*name, Entry { name, takes: row.takes, meaning });
            }
        }
        for family in families() {
            for (name, takes) in family.names() {
                let meaning = Meaning::Answer(family.answer);
                table.insert(name, Entry { name, takes, meaning });
            }
        }
        table
    })
}
