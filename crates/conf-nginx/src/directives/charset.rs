//! `charset` and `charset_types`.

use crate::level::Level;
use crate::row::{
    ALL_LEVELS, BlockKind, Effect, Fault, HTTP, LOCATION_IF, ONE, Outcome, Row, SOME, Shape, TWO,
    level, quiet,
};
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    level("charset", ALL_LEVELS | LOCATION_IF, ONE, "charset named in Content-Type", charset),
    level("charset_types", ALL_LEVELS, SOME, "MIME types that get the charset", |level, call| {
        super::gzip::add_types(&mut level.core.charset_types, call)
    }),
    quiet(
        "override_charset",
        ALL_LEVELS | LOCATION_IF,
        ONE,
        Shape::Flag,
        "texts are never converted between charsets",
    ),
    quiet(
        "source_charset",
        ALL_LEVELS | LOCATION_IF,
        ONE,
        Shape::Free,
        "texts are never converted between charsets",
    ),
    Row {
        name: "charset_map",
        contexts: HTTP,
        args: TWO,
        doc: "conversion table between charsets; texts are never converted here",
        effect: Effect::Block(BlockKind::CharsetMap),
    },
];

fn charset(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    if level.core.charset.is_some() {
        return Err(Fault::Directive("is duplicate"));
    }
    level.core.charset = Some(match call.arg(0) {
        "off" => None,
        _ => Some(call.template(0)?),
    });
    Ok(())
}
