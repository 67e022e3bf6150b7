//! Directory listings.

use crate::row::{ALL_LEVELS, Fault, ONE, Row, Shape, level, quiet};

/// The rows.
pub const ROWS: &[Row] = &[
    level("autoindex", ALL_LEVELS, ONE, "lists directories", |level, call| {
        call.flag(&mut level.core.autoindex)
    }),
    level("autoindex_format", ALL_LEVELS, ONE, "form of the listing; `html` alone", |_, call| {
        match call.arg(0) {
            "html" => Ok(()),
            "xml" | "json" | "jsonp" => {
                let message = format!("autoindex format `{}` is not supported here", call.arg(0));
                Err(Fault::Hinted(1, message, "only `html` is".to_owned()))
            }
            _ => Err(call.bad_word(1, ["html", "json", "jsonp", "xml"].into_iter())),
        }
    }),
    quiet("autoindex_exact_size", ALL_LEVELS, ONE, Shape::Flag, "sizes are always exact"),
    quiet("autoindex_localtime", ALL_LEVELS, ONE, Shape::Flag, "times are always UTC"),
];
