//! MIME types.

use crate::row::{ALL_LEVELS, BlockKind, NONE, ONE, Row, Shape, block, level, quiet};

/// The rows.
pub const ROWS: &[Row] = &[
    block("types", ALL_LEVELS, NONE, "MIME types of file name extensions", BlockKind::Types),
    level("default_type", ALL_LEVELS, ONE, "MIME type of unknown extensions", |level, call| {
        let kind = call.arg(0).to_owned();
        call.once(&mut level.core.default_type, kind)
    }),
    quiet("types_hash_max_size", ALL_LEVELS, ONE, Shape::Number, "tables size themselves"),
    quiet("types_hash_bucket_size", ALL_LEVELS, ONE, Shape::Number, "tables size themselves"),
];
