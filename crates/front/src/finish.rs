//! From a response to bytes on the wire and a line in the log.

use bytes::Bytes;
use message::{Headers, KnownHeader, Version};
use plan::front::{Handler, LogLevel};

use crate::conditional::{self, Verdict};
use crate::exchange::{Exchange, Kept};
use crate::filter::{gzip, headers, sub_filter};
use crate::outflow::{Flown, Outflow, Waiting};
use crate::phases::{self, Next, Outcome};
use crate::ranges;
use crate::relay::Body;
use crate::response::{Framing, Response, decimal};
use crate::wire::{Wire, WireEnd};

/// Bodies up to this size are copied behind the head instead of being a piece of their own.
const COPIED_BYTES_MAX: usize = 2048;

/// Passes a response through the filters. `Err` is a status to answer with instead.
pub fn filter(exchange: &mut Exchange, mut response: Box<Response>) -> Box<Response> {
    if let Some(status) = exchange.error_page.and_then(|page| page.status) {
        response.status = status;
        response.reason = Bytes::new();
    }
    let active = exchange.active.clone();
    let location = active.location(exchange.location);
    let manners = &location.manners;
    if response.status == 200 && response.judged {
        match conditional::judge(&exchange.head, &response, manners.if_modified_since) {
            Verdict::Send => {}
            Verdict::NotModified => not_modified(&mut response),
            Verdict::PreconditionFailed => response = instead(exchange, 412),
        }
    }
    if !matches!(response.status, 200 | 206 | 304) {
        response.last_modified = None;
    }
    if let Some(kept) = exchange.kept.take() {
        with_kept(&location.handler, &mut response, *kept);
    }
    headers::apply(exchange, &mut response);
    sub_filter::apply(exchange, &mut response);
    headers::apply_charset(exchange, &mut response);
    if exchange.overloaded && response.status == 503 {
        response.headers.push(KnownHeader::RetryAfter, "1");
    }
    if location.gzip.on {
        let agent = exchange.header(KnownHeader::UserAgent).unwrap_or(&[]);
        let disabled = active.shared.router.gzip_disabled(exchange.location, agent);
        let asking = gzip::Asking { head: &exchange.head, disabled };
        gzip::apply(asking, &mut response, &location.gzip, !buffers(&location.handler));
    }
    if !ranges::apply(&exchange.head, &mut response, manners.max_ranges) {
        let mut page = instead(exchange, 416);
        page.headers.append(&response.headers);
        headers::apply(exchange, &mut page);
        sub_filter::apply(exchange, &mut page);
        headers::apply_charset(exchange, &mut page);
        return page;
    }
    response
}

/// The page of a status that a filter came to.
fn instead(exchange: &mut Exchange, status: u16) -> Box<Response> {
    match phases::settle(exchange, Outcome::Status(status)) {
        Next::Respond(mut response) => {
            if let Some(status) = exchange.error_page.and_then(|page| page.status) {
                response.status = status;
            }
            response
        }
        // An operator's page that needs an upstream or a password, or has to wait, is not made from a
        // filter.
        Next::Admit | Next::Call | Next::Wait(_) | Next::Close => {
            Box::new(crate::pages::page(status, crate::response::PRODUCT_NAME))
        }
    }
}

fn not_modified(response: &mut Response) {
    response.status = 304;
    response.reason = Bytes::new();
    response.set_content_type(None);
    response.length = None;
    response.ranges = false;
    response.body = Body::Empty;
    response.headers.remove(KnownHeader::AcceptRanges);
    response.headers.remove(KnownHeader::ContentEncoding);
}

/// Adds what the answer said that led here. Another upstream and our own error pages know
/// better of what type their content is.
fn with_kept(handler: &Handler, response: &mut Response, mut kept: Kept) {
    let ours = matches!(handler, Handler::Static) && response.status < 300;
    if ours && kept.content_type.is_some() {
        response.set_content_type(kept.content_type);
    }
    kept.headers.append(&response.headers);
    response.headers = kept.headers;
}

fn buffers(handler: &Handler) -> bool {
    match handler {
        Handler::Upstream(call) => call.buffering,
        Handler::Static | Handler::StubStatus => true,
    }
}

/// Whether the connection may serve another request after this response.
fn keeps_alive(exchange: &Exchange) -> bool {
    let manners = &exchange.location().manners;
    exchange.head.keep_alive
        && !exchange.must_close
        && !exchange.thread.stopping.get()
        && !manners.keepalive_timeout.is_zero()
        && exchange.client.requests.get() < manners.keepalive_requests
        && exchange.started.duration_since(exchange.client.opened) < manners.keepalive_time
}

/// Sends a filtered response. Says whether it went out whole and the connection may be kept.
pub async fn send(wire: &mut Wire, exchange: &mut Exchange, mut response: Box<Response>) -> bool {
    let active = exchange.active.clone();
    let manners = &active.location(exchange.location).manners;
    let bodiless = response.is_bodiless();
    let headed = exchange.head.version > Version::Http09;
    let mut keep_alive = keeps_alive(exchange);
    let mut chunked = false;
    if response.length.is_none() && !bodiless && !exchange.is_head() {
        chunked = exchange.head.version == Version::Http11 && manners.chunked;
        keep_alive &= chunked;
    }
    let framing = Framing { keep_alive, chunked, manners };
    let mut out = exchange.thread.scratch.take();
    out.clear();
    if headed {
        response.write_head(&mut out, framing, &exchange.thread.clock);
    }
    exchange.sent.status = response.status;
    exchange.sent.headers = sent_headers(exchange, &mut response);
    if bodiless || exchange.is_head() {
        response.body = Body::Empty;
    }
    let flown = match std::mem::replace(&mut response.body, Body::Empty) {
        Body::Empty if !chunked => small(wire, exchange, &mut out, &[]).await,
        Body::Memory(bytes) if !chunked => small(wire, exchange, &mut out, &bytes).await,
        mut body => {
            let waiting = waiting(exchange, &response, &body);
            let head = Bytes::copy_from_slice(&out);
            let mut outflow = Box::new(Outflow::new(chunked, manners.send_timeout, waiting));
            let length = if exchange.is_head() { None } else { response.length };
            // In a box: idle connections must not be as large as sending ones.
            let flown = Box::pin(outflow.send(wire, head, &mut body, length)).await;
            exchange.sent.bytes += outflow.bytes;
            exchange.sent.body_bytes += outflow.body_bytes;
            account(exchange, body);
            flown
        }
    };
    exchange.thread.scratch.replace(out);
    if flown == Flown::TimedOut {
        exchange.log(LogLevel::Info, "client timed out (110: Connection timed out)");
        if manners.reset_timed_out {
            wire.stream.reset_on_close();
        }
    }
    if flown != Flown::Whole {
        wire.stream.cut();
    }
    exchange.sent.complete = flown == Flown::Whole;
    flown == Flown::Whole && keep_alive
}

async fn small(wire: &mut Wire, exchange: &mut Exchange, out: &mut Vec<u8>, body: &[u8]) -> Flown {
    let patience = exchange.location().manners.send_timeout;
    let head_bytes = out.len();
    let sent = if body.len() <= COPIED_BYTES_MAX {
        out.extend_from_slice(body);
        wire.write(out, &[], patience).await
    } else {
        wire.write(out, body, patience).await
    };
    match sent {
        Ok(()) => {
            exchange.sent.bytes += (head_bytes + body.len()) as u64;
            exchange.sent.body_bytes += body.len() as u64;
            Flown::Whole
        }
        Err(WireEnd::ClientGone) => Flown::ClientGone,
        Err(WireEnd::TimedOut) => Flown::TimedOut,
    }
}

/// Fields for `$sent_http_NAME`, only gathered if anybody could ask.
fn sent_headers(exchange: &Exchange, response: &mut Response) -> Headers {
    if exchange.location().access_logs.is_empty() {
        return Headers::default();
    }
    let mut headers = std::mem::take(&mut response.headers);
    if let Some(content_type) = &response.content_type {
        headers.push(KnownHeader::ContentType, content_type);
    }
    if let Some(location) = &response.location {
        headers.push(KnownHeader::Location, location);
    }
    if let Some(length) = response.length {
        headers.push_with(KnownHeader::ContentLength, |out| decimal(out, length));
    }
    headers
}

fn waiting(exchange: &Exchange, response: &Response, body: &Body) -> Waiting {
    match &exchange.location().handler {
        Handler::Upstream(call) if call.buffering && !exchange.unbuffered => Waiting {
            memory_bytes_max: call.memory_bytes_max,
            file_bytes_max: call.file_bytes_max,
            temp_path: call.temp_path.clone(),
            held_bytes: match body {
                Body::Upstream(_) | Body::Compressed(_) | Body::Replaced(_)
                    if !is_event_stream(response) =>
                {
                    u64::from(call.head_bytes_max)
                }
                _ => 0,
            },
        },
        _ => Waiting {
            memory_bytes_max: 0,
            file_bytes_max: 0,
            temp_path: Default::default(),
            held_bytes: 0,
        },
    }
}

/// Events are for now: nobody who makes them wants them to wait for the next ones.
fn is_event_stream(response: &Response) -> bool {
    let kind = b"text/event-stream";
    let start = response.content_type().and_then(|it| it.get(..kind.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(kind))
}

/// Notes what only the body knows at its end.
fn account(exchange: &mut Exchange, body: Body) {
    match body {
        Body::Compressed(compressed) => {
            exchange.sent.gzip_ratio = (compressed.taken * 100).checked_div(compressed.given);
            account_upstream(exchange, compressed.into_source());
        }
        other => account_upstream(exchange, other),
    }
}

fn account_upstream(exchange: &mut Exchange, body: Body) {
    let source = match body {
        Body::Replaced(replaced) => replaced.into_source(),
        other => other,
    };
    if let Body::Upstream(upstream) = source {
        upstream.finish(exchange);
    }
}
