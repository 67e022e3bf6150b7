//! `proxy_pass` and what HTTP upstreams need.

use plan::Template;
use plan::front::upstream::Redirect;

use super::exchange::exchange_rows;
use crate::draft::{PassDraft, RedirectDraft, Secrecy, SiteKind, SpeakDraft, TargetDraft};
use crate::level::Level;
use crate::row::{
    ALL_LEVELS, Fault, LIMIT_EXCEPT, LOCATION, LOCATION_IF, ONE, ONE_OR_TWO, Outcome, Row, SOME,
    Shape, TWO, level, quiet, refused,
};
use crate::value;
use crate::walk::Call;

/// What proxy and uwsgi have in common.
pub const EXCHANGE_ROWS: &[Row] = exchange_rows!("proxy", proxy);

/// The rows.
pub const ROWS: &[Row] = &[
    level("proxy_pass", LOCATION | LOCATION_IF | LIMIT_EXCEPT, ONE, "an HTTP upstream", pass),
    level("proxy_set_header", ALL_LEVELS, TWO, "a header of upstream requests", |level, call| {
        let name = call.arg(0).to_owned();
        let value = call.template(1)?;
        level.proxy.set_headers.get_or_insert_default().push((name, value));
        Ok(())
    }),
    level("proxy_redirect", ALL_LEVELS, ONE_OR_TWO, "changes Location of answers", redirect),
    level("proxy_http_version", ALL_LEVELS, ONE, "HTTP version spoken", |level, call| {
        if call.arg(0) == "2" {
            let message = "HTTP/2 to upstreams is not supported here".to_owned();
            return Err(Fault::Hinted(1, message, "use `1.1`".to_owned()));
        }
        call.choice(&mut level.proxy.http11, &[("1.0", false), ("1.1", true)])
    }),
    level("proxy_method", ALL_LEVELS, ONE, "method of upstream requests", |level, call| {
        let method = call.template(0)?;
        call.once(&mut level.proxy.method, method)
    }),
    level("proxy_cache_convert_head", ALL_LEVELS, ONE, "fetches GET for HEAD", |level, call| {
        call.flag(&mut level.proxy.cache_convert_head)
    }),
    level(
        "proxy_cookie_domain",
        ALL_LEVELS,
        SOME,
        "changes cookie domains; `off` alone",
        |_, call| super::exchange::only(call, "off"),
    ),
    level("proxy_cookie_path", ALL_LEVELS, SOME, "changes cookie paths; `off` alone", |_, call| {
        super::exchange::only(call, "off")
    }),
    level(
        "proxy_cookie_flags",
        ALL_LEVELS,
        SOME,
        "changes cookie flags; `off` alone",
        |_, call| super::exchange::only(call, "off"),
    ),
    level("proxy_pass_trailers", ALL_LEVELS, ONE, "passes trailers on; `off` alone", |_, call| {
        super::exchange::only(call, "off")
    }),
    refused("proxy_set_body", "ngx_http_proxy_module", "change the body in the app"),
    refused("proxy_request_dynamic", "ngx_http_proxy_module", "leave it out"),
    quiet("proxy_headers_hash_max_size", ALL_LEVELS, ONE, Shape::Number, "tables size themselves"),
    quiet(
        "proxy_headers_hash_bucket_size",
        ALL_LEVELS,
        ONE,
        Shape::Number,
        "tables size themselves",
    ),
];

const NO_URI: &str = "\"proxy_pass\" cannot have URI part in location given by regular \
    expression, or inside named location, or inside \"if\" statement, or inside \"limit_except\" \
    block";

fn pass(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    if level.own.pass.is_some() {
        return Err(Fault::Directive("is duplicate"));
    }
    let text = call.arg(0);
    let at = call.directive.at_word(1);
    let scheme = |name: &str| {
        let start = text.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name));
        start.and_then(|start| text.get(start.len()..))
    };
    let (plain, secret) = (scheme("http://"), scheme("https://"));
    if text.contains('$') {
        let template = call.template(0)?;
        let speak =
            SpeakDraft::Http { base: String::new(), uri: None, host: String::new(), port: 80 };
        let target = TargetDraft::Dynamic(template);
        let secrecy = match (plain, secret) {
            (Some(_), _) => Secrecy::Plain,
            (_, Some(_)) => Secrecy::Tls,
            (None, None) => Secrecy::AsItTurnsOut,
        };
        level.own.pass = Some(PassDraft { speak, secrecy, target, at });
        return Ok(());
    }
    let Some(rest) = plain.or(secret) else {
        let hint = format!("did you mean `http://{text}`?");
        return Err(Fault::Hinted(1, "invalid URL prefix".to_owned(), hint));
    };
    let (address, uri) = split_uri(rest);
    let has_prefix = matches!(level.own.site, SiteKind::Prefix { .. } | SiteKind::Exact(_));
    if uri.is_some() && !has_prefix {
        return Err(Fault::Says(1, NO_URI.to_owned()));
    }
    let (name, default_port, secrecy) = match plain {
        Some(_) => ("http", 80, Secrecy::Plain),
        None => ("https", 443, Secrecy::Tls),
    };
    let (host, port) = host_header(address, default_port);
    let base = format!("{name}://{address}");
    let uri = uri.map(|uri| if uri.starts_with('?') { format!("/{uri}") } else { uri.to_owned() });
    let speak = SpeakDraft::Http { base, uri, host, port };
    let target = TargetDraft::Named { name: address.to_owned(), default_port: Some(default_port) };
    level.own.pass = Some(PassDraft { speak, secrecy, target, at });
    Ok(())
}

/// Cuts `host:port/uri` and `unix:/path:/uri`.
fn split_uri(rest: &str) -> (&str, Option<&str>) {
    if let Some(path) = rest.strip_prefix("unix:") {
        return match path.split_once(':') {
            Some((path, "")) => (rest.get(..5 + path.len()).unwrap_or(rest), None),
            Some((path, uri)) => (rest.get(..5 + path.len()).unwrap_or(rest), Some(uri)),
            None => (rest, None),
        };
    }
    match rest.find(['/', '?']) {
        Some(slash) => (rest.get(..slash).unwrap_or(rest), rest.get(slash..)),
        None => (rest, None),
    }
}

/// `$proxy_host` and `$proxy_port` of an address.
fn host_header(address: &str, default_port: u16) -> (String, u16) {
    if address.starts_with("unix:") {
        return ("localhost".to_owned(), 0);
    }
    let port = match address.rsplit_once(':') {
        Some((_, digits)) if !digits.ends_with(']') => value::number(digits),
        _ => None,
    };
    match port.and_then(|port| u16::try_from(port).ok()) {
        Some(port) if port == default_port => {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            (host.to_owned(), port)
        }
        Some(port) => (address.to_owned(), port),
        None => (address.to_owned(), default_port),
    }
}

fn redirect(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let first = call.arg(0);
    let lines = level.proxy.redirects.iter().flatten();
    if lines.clone().any(|line| matches!(line, RedirectDraft::Off)) {
        return Err(Fault::Directive("is duplicate"));
    }
    let line = match (first, call.args().len()) {
        ("off", 1) => RedirectDraft::Off,
        ("default", 1) => {
            let fixed = level
                .own
                .pass
                .as_ref()
                .is_some_and(|pass| matches!(pass.target, TargetDraft::Named { .. }));
            if !fixed {
                let message = "\"proxy_redirect default\" should be placed after the \
                    \"proxy_pass\" directive";
                return Err(Fault::Says(1, message.to_owned()));
            }
            RedirectDraft::Default
        }
        (_, 1) => return Err(Fault::Says(1, format!("invalid parameter \"{first}\""))),
        _ => RedirectDraft::Ready(replacement(call, first)?),
    };
    level.proxy.redirects.get_or_insert_default().push(line);
    Ok(())
}

fn replacement(call: &mut Call<'_, '_>, first: &str) -> Result<Redirect, Fault> {
    let to: Template = call.template(1)?;
    if let Some(pattern) = first.strip_prefix("~*") {
        return Ok(Redirect::Regex(call.regex(0, pattern, true)?, to));
    }
    if let Some(pattern) = first.strip_prefix('~') {
        return Ok(Redirect::Regex(call.regex(0, pattern, false)?, to));
    }
    Ok(Redirect::Prefix(call.template(0)?, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_path_ends_at_a_colon_and_a_host_at_a_slash() {
        assert_eq!(split_uri("unix:/run/a.sock"), ("unix:/run/a.sock", None));
        assert_eq!(split_uri("unix:/run/a.sock:/b/"), ("unix:/run/a.sock", Some("/b/")));
        assert_eq!(split_uri("host:80/b"), ("host:80", Some("/b")));
        assert_eq!(split_uri("host"), ("host", None));
    }

    #[test]
    fn the_host_header_leaves_the_default_port_out() {
        assert_eq!(host_header("a:80", 80), ("a".to_owned(), 80));
        assert_eq!(host_header("a:8080", 80), ("a:8080".to_owned(), 8080));
        assert_eq!(host_header("[::1]", 80), ("[::1]".to_owned(), 80));
        assert_eq!(host_header("a:443", 443), ("a".to_owned(), 443));
        assert_eq!(host_header("a:80", 443), ("a:80".to_owned(), 80));
        assert_eq!(host_header("a", 443), ("a".to_owned(), 443));
    }
}
