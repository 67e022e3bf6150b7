//! What `proxy_*` and `uwsgi_*` have in common: one table, made for each prefix.

use std::time::Duration;

use plan::Template;
use plan::front::upstream::NextUpstream;

use crate::level::{CacheUseDraft, Exchange};
use crate::row::{Fault, Outcome};
use crate::value;
use crate::walk::Call;

/// Statuses that `*_next_upstream` and `*_cache_use_stale` may name.
const STATUSES: [(&str, u16); 7] = [
    ("http_500", 500),
    ("http_502", 502),
    ("http_503", 503),
    ("http_504", 504),
    ("http_403", 403),
    ("http_404", 404),
    ("http_429", 429),
];

/// The rows of one prefix.
macro_rules! exchange_rows {
    ($prefix:literal, $field:ident) => {{
        use crate::directives::exchange as shared;
        use crate::row::{
            ALL_LEVELS, Args, ONE, ONE_OR_TWO, Row, SOME, Shape, TWO, level, quiet, refused,
        };
        const TEMP: Args = Args { min: 1, max: 4 };
        const ROWS: &[Row] = &[
            level(
                concat!($prefix, "_connect_timeout"),
                ALL_LEVELS,
                ONE,
                "time to connect",
                |l, c| c.time(&mut l.$field.connect_timeout),
            ),
            level(
                concat!($prefix, "_send_timeout"),
                ALL_LEVELS,
                ONE,
                "between two writes",
                |l, c| c.time(&mut l.$field.send_timeout),
            ),
            level(
                concat!($prefix, "_read_timeout"),
                ALL_LEVELS,
                ONE,
                "between two reads",
                |l, c| c.time(&mut l.$field.read_timeout),
            ),
            level(
                concat!($prefix, "_buffering"),
                ALL_LEVELS,
                ONE,
                "reads ahead of the client",
                |l, c| c.flag(&mut l.$field.buffering),
            ),
            level(
                concat!($prefix, "_buffer_size"),
                ALL_LEVELS,
                ONE,
                "largest response head",
                |l, c| c.size(&mut l.$field.buffer_size),
            ),
            level(
                concat!($prefix, "_buffers"),
                ALL_LEVELS,
                TWO,
                "memory for a response",
                |l, c| {
                    let buffers = c.buffers()?;
                    c.once(&mut l.$field.buffers, buffers)
                },
            ),
            level(
                concat!($prefix, "_max_temp_file_size"),
                ALL_LEVELS,
                ONE,
                "disk for a response",
                |l, c| c.size(&mut l.$field.max_temp_file_size),
            ),
            level(
                concat!($prefix, "_temp_path"),
                ALL_LEVELS,
                TEMP,
                "directory of large responses",
                |l, c| {
                    let path = c.prefixed(c.arg(0));
                    c.once(&mut l.$field.temp_path, path)
                },
            ),
            level(
                concat!($prefix, "_request_buffering"),
                ALL_LEVELS,
                ONE,
                "reads bodies whole first",
                |l, c| c.flag(&mut l.$field.request_buffering),
            ),
            level(
                concat!($prefix, "_pass_request_headers"),
                ALL_LEVELS,
                ONE,
                "sends the client's headers",
                |l, c| c.flag(&mut l.$field.pass_request_headers),
            ),
            level(
                concat!($prefix, "_pass_request_body"),
                ALL_LEVELS,
                ONE,
                "sends the client's body",
                |l, c| c.flag(&mut l.$field.pass_request_body),
            ),
            level(
                concat!($prefix, "_hide_header"),
                ALL_LEVELS,
                ONE,
                "drops a response header",
                |l, c| shared::add_name(&mut l.$field.hide_headers, c),
            ),
            level(
                concat!($prefix, "_pass_header"),
                ALL_LEVELS,
                ONE,
                "keeps a response header",
                |l, c| shared::add_name(&mut l.$field.pass_headers, c),
            ),
            level(
                concat!($prefix, "_ignore_headers"),
                ALL_LEVELS,
                SOME,
                "response headers without effect",
                |l, c| shared::ignore_headers(&mut l.$field, c),
            ),
            level(
                concat!($prefix, "_intercept_errors"),
                ALL_LEVELS,
                ONE,
                "error pages for its errors",
                |l, c| c.flag(&mut l.$field.intercept_errors),
            ),
            level(
                concat!($prefix, "_ignore_client_abort"),
                ALL_LEVELS,
                ONE,
                "goes on without client",
                |l, c| c.flag(&mut l.$field.ignore_client_abort),
            ),
            level(
                concat!($prefix, "_next_upstream"),
                ALL_LEVELS,
                SOME,
                "when to try another peer",
                |l, c| shared::next_upstream(&mut l.$field, c),
            ),
            level(
                concat!($prefix, "_next_upstream_tries"),
                ALL_LEVELS,
                ONE,
                "how many peers",
                |l, c| c.number(&mut l.$field.next_upstream_tries),
            ),
            level(
                concat!($prefix, "_next_upstream_timeout"),
                ALL_LEVELS,
                ONE,
                "how long to try",
                |l, c| c.time(&mut l.$field.next_upstream_timeout),
            ),
            level(concat!($prefix, "_cache"), ALL_LEVELS, ONE, "cache zone, or `off`", |l, c| {
                shared::cache(&mut l.$field, c)
            }),
            level(
                concat!($prefix, "_cache_key"),
                ALL_LEVELS,
                ONE,
                "what makes responses equal",
                |l, c| {
                    let key = c.template(0)?;
                    c.once(&mut l.$field.cache_key, key)
                },
            ),
            level(
                concat!($prefix, "_cache_valid"),
                ALL_LEVELS,
                SOME,
                "how long responses are fresh",
                |l, c| shared::cache_valid(&mut l.$field, c),
            ),
            level(
                concat!($prefix, "_cache_use_stale"),
                ALL_LEVELS,
                SOME,
                "when stale ones are served",
                |l, c| shared::use_stale(&mut l.$field, c),
            ),
            level(concat!($prefix, "_cache_lock"), ALL_LEVELS, ONE, "one request fills", |l, c| {
                c.flag(&mut l.$field.cache_lock)
            }),
            level(
                concat!($prefix, "_cache_lock_timeout"),
                ALL_LEVELS,
                ONE,
                "how long others wait",
                |l, c| c.time(&mut l.$field.cache_lock_timeout),
            ),
            level(
                concat!($prefix, "_cache_lock_age"),
                ALL_LEVELS,
                ONE,
                "when one more fills",
                |l, c| c.time(&mut l.$field.cache_lock_age),
            ),
            level(
                concat!($prefix, "_cache_min_uses"),
                ALL_LEVELS,
                ONE,
                "requests before storing",
                |l, c| c.number(&mut l.$field.cache_min_uses),
            ),
            level(
                concat!($prefix, "_cache_methods"),
                ALL_LEVELS,
                SOME,
                "methods cached",
                |l, c| shared::cache_methods(&mut l.$field, c),
            ),
            level(
                concat!($prefix, "_cache_bypass"),
                ALL_LEVELS,
                SOME,
                "when not to read the cache",
                |l, c| shared::add_templates(&mut l.$field.cache_bypass, c),
            ),
            level(concat!($prefix, "_no_cache"), ALL_LEVELS, SOME, "when not to store", |l, c| {
                shared::add_templates(&mut l.$field.no_cache, c)
            }),
            level(
                concat!($prefix, "_cache_revalidate"),
                ALL_LEVELS,
                ONE,
                "asks whether stale ones changed",
                |l, c| c.flag(&mut l.$field.cache_revalidate),
            ),
            level(
                concat!($prefix, "_cache_background_update"),
                ALL_LEVELS,
                ONE,
                "renews beside the client",
                |l, c| c.flag(&mut l.$field.cache_background_update),
            ),
            level(
                concat!($prefix, "_limit_rate"),
                ALL_LEVELS,
                ONE,
                "bytes per second; 0 is unlimited",
                |_, c| shared::only(c, "0"),
            ),
            level(
                concat!($prefix, "_store"),
                ALL_LEVELS,
                ONE,
                "keeps copies; `off` alone",
                |_, c| shared::only(c, "off"),
            ),
            level(
                concat!($prefix, "_bind"),
                ALL_LEVELS,
                ONE_OR_TWO,
                "local address; `off` alone",
                |_, c| shared::only(c, "off"),
            ),
            level(
                concat!($prefix, "_force_ranges"),
                ALL_LEVELS,
                ONE,
                "ranges of any response; `off` alone",
                |_, c| shared::only(c, "off"),
            ),
            quiet(
                concat!($prefix, "_store_access"),
                ALL_LEVELS,
                SOME,
                Shape::Free,
                "copies are not kept",
            ),
            quiet(
                concat!($prefix, "_busy_buffers_size"),
                ALL_LEVELS,
                ONE,
                Shape::Size,
                "buffers are handed on as they fill",
            ),
            quiet(
                concat!($prefix, "_temp_file_write_size"),
                ALL_LEVELS,
                ONE,
                Shape::Size,
                "files are written as data comes",
            ),
            quiet(
                concat!($prefix, "_socket_keepalive"),
                ALL_LEVELS,
                ONE,
                Shape::Flag,
                "dead peers are found by timeouts",
            ),
            quiet(
                concat!($prefix, "_cache_max_range_offset"),
                ALL_LEVELS,
                ONE,
                Shape::Size,
                "responses are always fetched whole",
            ),
            quiet(
                concat!($prefix, "_allow_upstream"),
                ALL_LEVELS,
                SOME,
                Shape::Free,
                "every peer that is named may be called",
            ),
            refused(
                concat!($prefix, "_cache_purge"),
                "commercial edition",
                "remove the file from the cache directory",
            ),
        ];
        ROWS
    }};
}

pub(crate) use exchange_rows;

/// Adds a header name, lower case.
pub fn add_name(slot: &mut Option<Vec<String>>, call: &mut Call<'_, '_>) -> Outcome {
    slot.get_or_insert_default().push(call.arg(0).to_ascii_lowercase());
    Ok(())
}

/// Adds every argument.
pub fn add_templates(slot: &mut Option<Vec<Template>>, call: &mut Call<'_, '_>) -> Outcome {
    for number in 0..call.args().len() {
        let template = call.template(number)?;
        slot.get_or_insert_default().push(template);
    }
    Ok(())
}

/// A directive of which only one value is supported.
pub fn only(call: &mut Call<'_, '_>, value: &str) -> Outcome {
    if call.arg(0) == value {
        return Ok(());
    }
    let name = call.directive.name();
    let message = format!("`{name}` is not supported here");
    Err(Fault::Hinted(0, message, format!("only `{name} {value}` is")))
}

/// `*_ignore_headers`
pub fn ignore_headers(exchange: &mut Exchange, call: &mut Call<'_, '_>) -> Outcome {
    let mut ignored = exchange.ignore_headers.unwrap_or_default();
    for (number, word) in call.args().iter().enumerate() {
        let slot = match word.text.to_ascii_lowercase().as_str() {
            "x-accel-redirect" => &mut ignored.x_accel_redirect,
            "x-accel-expires" => &mut ignored.x_accel_expires,
            "x-accel-limit-rate" => &mut ignored.x_accel_limit_rate,
            "x-accel-buffering" => &mut ignored.x_accel_buffering,
            "x-accel-charset" => &mut ignored.x_accel_charset,
            "expires" => &mut ignored.expires,
            "cache-control" => &mut ignored.cache_control,
            "set-cookie" => &mut ignored.set_cookie,
            "vary" => &mut ignored.vary,
            _ => {
                let names = ["X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Limit-Rate"];
                let more = ["X-Accel-Buffering", "X-Accel-Charset", "Expires"];
                let rest = ["Cache-Control", "Set-Cookie", "Vary"];
                let right = names.into_iter().chain(more).chain(rest);
                return Err(call.bad_word(number + 1, right));
            }
        };
        *slot = true;
    }
    exchange.ignore_headers = Some(ignored);
    Ok(())
}

/// `*_next_upstream`
pub fn next_upstream(exchange: &mut Exchange, call: &mut Call<'_, '_>) -> Outcome {
    let mut next = exchange.next_upstream.clone().unwrap_or_else(no_retries);
    for (number, word) in call.args().iter().enumerate() {
        match word.text.as_str() {
            "off" => {}
            "error" => next.error = true,
            "timeout" => next.timeout = true,
            "invalid_header" | "invalid_response" => next.invalid_header = true,
            "non_idempotent" => next.non_idempotent = true,
            "updating" => {}
            other => match STATUSES.iter().find(|(name, _)| *name == other) {
                Some((_, status)) => next.statuses.push(*status),
                None => {
                    let words = ["error", "timeout", "invalid_header", "non_idempotent", "off"];
                    let statuses = STATUSES.iter().map(|(name, _)| *name);
                    return Err(call.bad_word(number + 1, words.into_iter().chain(statuses)));
                }
            },
        }
    }
    exchange.next_upstream = Some(next);
    Ok(())
}

/// `*_next_upstream off`
pub fn no_retries() -> NextUpstream {
    NextUpstream {
        error: false,
        timeout: false,
        invalid_header: false,
        non_idempotent: false,
        statuses: Vec::new(),
        tries: 0,
        within: Duration::ZERO,
    }
}

/// `*_cache`
pub fn cache(exchange: &mut Exchange, call: &mut Call<'_, '_>) -> Outcome {
    let zone = call.arg(0);
    if zone == "off" {
        return call.once(&mut exchange.cache, None);
    }
    if zone.contains('$') {
        let message = "a cache zone with variables in its name is not supported here".to_owned();
        return Err(Fault::Hinted(1, message, "name one zone".to_owned()));
    }
    let at = call.directive.at_word(1);
    call.once(&mut exchange.cache, Some(CacheUseDraft { zone: zone.to_owned(), at }))
}

/// `*_cache_valid`
pub fn cache_valid(exchange: &mut Exchange, call: &mut Call<'_, '_>) -> Outcome {
    let last = call.args().len() - 1;
    let time = value::seconds(call.arg(last)).map(Duration::from_secs);
    let invalid = || Fault::Says(last + 1, format!("invalid time value \"{}\"", call.arg(last)));
    let time = time.ok_or_else(invalid)?;
    let valid = exchange.cache_valid.get_or_insert_default();
    if last == 0 {
        valid.extend([200, 301, 302].map(|status| (status, time)));
    }
    for (number, word) in call.args().iter().take(last).enumerate() {
        let status = match word.text.as_str() {
            "any" => Some(0),
            digits => value::number(digits)
                .and_then(|status| u16::try_from(status).ok())
                .filter(|status| (100..=599).contains(status)),
        };
        let invalid = || Fault::Says(number + 1, format!("invalid status \"{}\"", word.text));
        valid.push((status.ok_or_else(invalid)?, time));
    }
    Ok(())
}

/// `*_cache_use_stale`
pub fn use_stale(exchange: &mut Exchange, call: &mut Call<'_, '_>) -> Outcome {
    let mut stale = exchange.cache_use_stale.clone().unwrap_or_default();
    for (number, word) in call.args().iter().enumerate() {
        match word.text.as_str() {
            "off" => {}
            "error" => stale.error = true,
            "timeout" => stale.timeout = true,
            "invalid_header" => stale.invalid_header = true,
            "updating" => stale.updating = true,
            other => match STATUSES.iter().find(|(name, _)| *name == other) {
                Some((_, status)) => stale.statuses.push(*status),
                None => {
                    let words = ["error", "timeout", "invalid_header", "updating", "off"];
                    let statuses = STATUSES.iter().map(|(name, _)| *name);
                    return Err(call.bad_word(number + 1, words.into_iter().chain(statuses)));
                }
            },
        }
    }
    exchange.cache_use_stale = Some(stale);
    Ok(())
}

/// `*_cache_methods`
pub fn cache_methods(exchange: &mut Exchange, call: &mut Call<'_, '_>) -> Outcome {
    let mut post = exchange.cache_post.unwrap_or(false);
    for (number, word) in call.args().iter().enumerate() {
        match word.text.as_str() {
            "GET" | "HEAD" => {}
            "POST" => post = true,
            _ => return Err(call.bad_word(number + 1, ["GET", "HEAD", "POST"].into_iter())),
        }
    }
    exchange.cache_post = Some(post);
    Ok(())
}
