//! Texts that are replaced in responses.

use plan::front::location::SubPair;

use super::gzip::add_types;
use crate::level::Level;
use crate::row::{ALL_LEVELS, Fault, ONE, Outcome, Row, SOME, TWO, level};
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    level("sub_filter", ALL_LEVELS, TWO, "a text in responses and what takes its place", pair),
    level("sub_filter_types", ALL_LEVELS, SOME, "MIME types replaced in", |level, call| {
        add_types(&mut level.sub_filter.types, call)
    }),
    level(
        "sub_filter_once",
        ALL_LEVELS,
        ONE,
        "replaces each text once a response",
        |level, call| call.flag(&mut level.sub_filter.once),
    ),
    level(
        "sub_filter_last_modified",
        ALL_LEVELS,
        ONE,
        "keeps Last-Modified of what is replaced in",
        |level, call| call.flag(&mut level.sub_filter.last_modified),
    ),
];

/// nginx's own bound.
const PAIRS_MAX: usize = 255;

fn pair(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    if call.arg(0).is_empty() {
        return Err(Fault::Says(1, "empty search pattern".to_owned()));
    }
    let pairs = level.sub_filter.pairs.get_or_insert_default();
    if pairs.len() >= PAIRS_MAX {
        return Err(Fault::Says(1, format!("number of search patterns exceeds {PAIRS_MAX}")));
    }
    pairs.push(SubPair { pattern: call.template(0)?, replacement: call.template(1)? });
    Ok(())
}
