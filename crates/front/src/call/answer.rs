//! What becomes of an upstream's answer: its fields, the ones that are orders, its body.

use bytes::Bytes;
use message::{BodyLength, KnownHeader, Method, ResponseHead};
use net::store::{Filler, Now};
use plan::front::UpstreamCall;
use plan::front::upstream::Redirect;
use route::{Values, render, render_bytes};
use upstream::{Answer, AnswerBody};

use crate::exchange::Exchange;
use crate::phases::{Outcome, Start};
use crate::relay::{Body, Part};
use crate::response::Response;
use crate::upstream_body::{UpstreamBody, part};
use crate::{error_pages, redirect};

/// What became of an answer.
pub struct Relayed {
    /// What the client gets.
    pub outcome: Outcome,
    /// The answer's body, if another page takes its place but the cache wants it: the upstream is
    /// not asked again for it.
    pub unsent: Option<Box<UpstreamBody>>,
}

impl From<Outcome> for Relayed {
    fn from(outcome: Outcome) -> Relayed {
        Relayed { outcome, unsent: None }
    }
}

/// Turns an answer into a response, or into whatever its fields order. `filler` stores it.
pub fn relay(
    exchange: &mut Exchange,
    call: &UpstreamCall,
    mut answer: Box<Answer>,
    filler: Option<Box<Filler>>,
) -> Relayed {
    if exchange.active.plan().reads_upstream_fields {
        exchange.upstream.headers.clone_from(&answer.head.headers);
    }
    if let Some(outcome) = ordered(exchange, call, &answer.head) {
        note(exchange, &answer.body);
        return outcome.into();
    }
    let status = answer.head.status;
    if call.intercept_errors && status >= 300 && error_pages::is_intercepted(exchange, status) {
        if filler.is_none() {
            note(exchange, &answer.body);
            return Outcome::Status(status).into();
        }
        let unsent = Some(upstream_body(answer.body, None, filler));
        return Relayed { outcome: Outcome::Status(status), unsent };
    }
    let mut response = response(exchange, call, answer.head);
    let no_body = exchange.method == Method::Head && !exchange.fills_cache;
    if no_body || response.is_bodiless() {
        note(exchange, &answer.body);
        if let Some(filler) = filler.filter(|_| response.status == 204)
            && let Err(error) = filler.commit(Now::read())
        {
            super::cached::not_stored(exchange, &error);
        }
        return Outcome::Respond(response).into();
    }
    attach(exchange, &mut response, &mut answer.body, filler);
    Outcome::Respond(response).into()
}

/// Gives a response its body; one that is here already leaves together with the head.
fn attach(
    exchange: &mut Exchange,
    response: &mut Response,
    body: &mut AnswerBody,
    filler: Option<Box<Filler>>,
) {
    let first = body.ready_piece().map(part);
    let length = first.as_ref().map_or(0, Part::len);
    let is_whole = filler.is_none()
        && body.is_ended()
        && !matches!(first, Some(Part::File(_)))
        && response.length.is_none_or(|announced| announced == length);
    if is_whole {
        body.end();
        note(exchange, body);
        response.body = Body::Memory(match first {
            Some(Part::Data(bytes)) => bytes,
            _ => Bytes::new(),
        });
        return;
    }
    let body = std::mem::replace(body, AnswerBody::empty());
    response.body = Body::Upstream(upstream_body(body, first, filler));
}

fn upstream_body(
    body: AnswerBody,
    first: Option<Part>,
    filler: Option<Box<Filler>>,
) -> Box<UpstreamBody> {
    let mut body = Box::new(UpstreamBody::new(body, first));
    if let Some(filler) = filler {
        body.fill(filler);
    }
    body
}

/// Notes what a call that is over tells the log.
pub fn note(exchange: &mut Exchange, body: &AnswerBody) {
    body.finish_trace(&mut exchange.upstream.trace);
}

/// `X-Accel-Redirect`: the answer only says where to go on.
fn ordered(exchange: &mut Exchange, call: &UpstreamCall, head: &ResponseHead) -> Option<Outcome> {
    let ignore = &call.ignore_headers;
    if let Some(value) = head.header(KnownHeader::XAccelBuffering)
        && !ignore.x_accel_buffering
    {
        exchange.unbuffered |= value.eq_ignore_ascii_case(b"no");
    }
    if ignore.x_accel_redirect {
        return None;
    }
    let target = head.header(KnownHeader::XAccelRedirect)?;
    keep(exchange, head);
    if target.starts_with(b"@") {
        let name = std::str::from_utf8(target).ok()?;
        let named = exchange.active.shared.router.named(exchange.server, name);
        return Some(match named {
            Some(location) => Outcome::Again(Start::Named(location)),
            None => Outcome::Status(500),
        });
    }
    if exchange.method != Method::Head {
        exchange.method = Method::Get;
    }
    let question = target.iter().position(|&byte| byte == b'?');
    let (path, args) = match question {
        Some(at) => (&target[..at], Bytes::copy_from_slice(&target[at + 1..])),
        None => (target, Bytes::new()),
    };
    let merge = exchange.server().merge_slashes;
    match route::normalise_uri(path, merge) {
        Ok(uri) => Some(Outcome::Again(Start::Redirect(Bytes::copy_from_slice(&uri), args))),
        Err(_) => Some(Outcome::Status(404)),
    }
}

/// What an answer that orders a redirect says about the content itself goes out with it.
fn keep(exchange: &mut Exchange, head: &ResponseHead) {
    let kept = exchange.kept.get_or_insert_default();
    if let Some(content_type) = head.header(KnownHeader::ContentType) {
        kept.content_type = Some(Bytes::copy_from_slice(content_type));
    }
    let mut headers = head.headers.clone();
    headers.retain(|header| match header.known {
        KnownHeader::SetCookie | KnownHeader::CacheControl | KnownHeader::Expires => true,
        _ => header.name.eq_ignore_ascii_case(b"content-disposition"),
    });
    kept.headers.append(&headers);
}

/// The response's head as the client gets it.
pub fn response(exchange: &Exchange, call: &UpstreamCall, head: ResponseHead) -> Box<Response> {
    let mut response = Box::new(Response::new(head.status));
    response.length = match head.body {
        BodyLength::Length(length) => Some(length),
        BodyLength::None => announced(&head),
        BodyLength::Chunked | BodyLength::UntilClose => None,
    };
    if let Some(charset) = head.header(KnownHeader::XAccelCharset)
        && !call.ignore_headers.x_accel_charset
    {
        response.charset = Some(Bytes::copy_from_slice(charset));
    }
    response.reason = head.reason;
    response.headers = head.headers;
    response.headers.retain(|header| {
        header.known != KnownHeader::ContentLength
            && !call.hide_headers.contains(header.known, header.name)
    });
    for once in [KnownHeader::Server, KnownHeader::Date, KnownHeader::ContentType] {
        response.headers.keep_last(once);
    }
    if !call.redirects.is_empty() {
        redirect(exchange, call, &mut response);
    }
    response
}

/// `proxy_redirect` for the fields that name another place.
fn redirect(exchange: &Exchange, call: &UpstreamCall, response: &mut Response) {
    if response.headers.has(KnownHeader::Location) {
        let mut locations = Vec::new();
        response.headers.retain(|header| {
            let changed = match header.known {
                KnownHeader::Location => redirected(exchange, call, header.value),
                _ => None,
            };
            let stays = changed.is_none();
            locations.extend(changed);
            stays
        });
        // A path that was made here becomes absolute like any of ours.
        for location in locations {
            redirect::set_location(exchange, response, location);
        }
    }
    response.headers.change(KnownHeader::Refresh, |value| refreshed(exchange, call, value));
}

fn announced(head: &ResponseHead) -> Option<u64> {
    let value = head.header(KnownHeader::ContentLength)?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// What the first matching `proxy_redirect` line makes of a Location.
fn redirected(exchange: &Exchange, call: &UpstreamCall, location: &[u8]) -> Option<Bytes> {
    for (index, line) in call.redirects.iter().enumerate() {
        match line {
            Redirect::Prefix(from, to) => {
                let from = render_bytes(from, exchange);
                if let Some(rest) = location.strip_prefix(&from[..]) {
                    let mut value = Vec::with_capacity(location.len() + 32);
                    render(to, exchange, &mut value);
                    value.extend_from_slice(rest);
                    return Some(Bytes::from(value));
                }
            }
            Redirect::Regex(_, to) => {
                let router = &exchange.active.shared.router;
                let pattern = router.redirect_pattern(exchange.location, index)?;
                if let Ok(Some(captures)) = pattern.captures(location) {
                    let values = WithCaptures { values: exchange, captures };
                    return Some(render_bytes(to, &values));
                }
            }
        }
    }
    None
}

/// What `proxy_redirect` makes of the URL in a Refresh field.
fn refreshed(exchange: &Exchange, call: &UpstreamCall, value: &[u8]) -> Option<Vec<u8>> {
    let at = value.windows(4).position(|window| window.eq_ignore_ascii_case(b"url="))? + 4;
    let url = redirected(exchange, call, value.get(at..)?)?;
    Some([value.get(..at)?, &url].concat())
}

/// The request's variables, with the captures of a `proxy_redirect` regex.
struct WithCaptures<'a> {
    values: &'a Exchange,
    captures: route::Captures,
}

impl Values for WithCaptures<'_> {
    fn value(&self, variable: &plan::Variable, out: &mut Vec<u8>) -> bool {
        self.values.value(variable, out)
    }

    fn capture(&self, number: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(self.captures.group(usize::from(number)));
    }
}
