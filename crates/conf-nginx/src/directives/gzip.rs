//! Compression of responses.

use plan::front::location::Precompressed;

use crate::level::Level;
use crate::row::{ALL_LEVELS, LOCATION_IF, ONE, Outcome, Row, SOME, Shape, TWO, level, quiet};
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    level("gzip", ALL_LEVELS | LOCATION_IF, ONE, "compresses responses", |level, call| {
        call.flag(&mut level.gzip.on)
    }),
    level("gzip_comp_level", ALL_LEVELS, ONE, "effort, 1 to 9", |level, call| {
        let effort = call.between(1, 9)?;
        call.once(&mut level.gzip.level, u32::try_from(effort).unwrap_or(1))
    }),
    level("gzip_min_length", ALL_LEVELS, ONE, "smallest response compressed", |level, call| {
        call.size(&mut level.gzip.min_length)
    }),
    level("gzip_types", ALL_LEVELS, SOME, "MIME types compressed", |level, call| {
        add_types(&mut level.gzip.types, call)
    }),
    level("gzip_vary", ALL_LEVELS, ONE, "adds Vary: Accept-Encoding", |level, call| {
        call.flag(&mut level.gzip.vary)
    }),
    level("gzip_http_version", ALL_LEVELS, ONE, "oldest version compressed", |level, call| {
        call.choice(&mut level.gzip.for_http10, &[("1.0", true), ("1.1", false)])
    }),
    level("gzip_proxied", ALL_LEVELS, SOME, "when to compress for proxies", proxied),
    level("gzip_disable", ALL_LEVELS, SOME, "user agents not compressed for", disable),
    level("gzip_static", ALL_LEVELS, ONE, "serves file.gz in place of file", |level, call| {
        let choices = [
            ("off", Precompressed::Off),
            ("on", Precompressed::On),
            ("always", Precompressed::Always),
        ];
        call.choice(&mut level.gzip.precompressed, &choices)
    }),
    quiet("gzip_buffers", ALL_LEVELS, TWO, Shape::Number, "buffers grow by need"),
    quiet("gzip_window", ALL_LEVELS, ONE, Shape::Size, "the window is always 32k"),
    quiet("gzip_hash", ALL_LEVELS, ONE, Shape::Size, "memory of compression is fixed"),
    quiet("gzip_no_buffer", ALL_LEVELS, ONE, Shape::Flag, "flushes follow the upstream"),
    quiet("postpone_gzipping", ALL_LEVELS, ONE, Shape::Size, "compression is not postponed"),
];

/// Words that say MIME types; `text/html` always is one of them.
pub fn add_types(slot: &mut Option<Vec<String>>, call: &mut Call<'_, '_>) -> Outcome {
    let types = slot.get_or_insert_with(|| vec!["text/html".to_owned()]);
    for (number, word) in call.args().iter().enumerate() {
        let kind = word.text.to_ascii_lowercase();
        if kind == "*" {
            *types = vec![kind];
        } else if types.contains(&kind) {
            let message = format!("duplicate MIME type \"{kind}\"");
            call.run.warning(call.directive.at_word(number + 1), message);
        } else if types.first().is_none_or(|first| first != "*") {
            types.push(kind);
        }
    }
    Ok(())
}

fn proxied(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let mut proxied = level.gzip.proxied.unwrap_or_default();
    for (number, word) in call.args().iter().enumerate() {
        match word.text.as_str() {
            "off" => {}
            "any" => proxied.any = true,
            "expired" => proxied.expired = true,
            "no-cache" => proxied.no_cache = true,
            "no-store" => proxied.no_store = true,
            "private" => proxied.private = true,
            "no_last_modified" => proxied.no_last_modified = true,
            "no_etag" => proxied.no_etag = true,
            "auth" => proxied.auth = true,
            _ => {
                let right = ["off", "any", "expired", "no-cache", "no-store", "private"];
                let more = ["no_last_modified", "no_etag", "auth"];
                return Err(call.bad_word(number + 1, right.into_iter().chain(more)));
            }
        }
    }
    level.gzip.proxied = Some(proxied);
    Ok(())
}

fn disable(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    for number in 0..call.args().len() {
        // nginx's word for Internet Explorer before 7, except 6 with the second service pack.
        let (pattern, ignore_case) = match call.arg(number) {
            "msie6" => (r"MSIE [4-6]\.", false),
            pattern => (pattern, true),
        };
        let regex = call.regex(number, pattern, ignore_case)?;
        level.gzip.disable.get_or_insert_default().push(regex);
    }
    Ok(())
}
