//! Asking an upstream: the request's body, what is said, and what becomes of the answer.
//!
//! Rooms: [`uwsgi`] and [`http`] (what is said), [`target`] (whom, if the configuration leaves
//! that to variables), [`secrecy`] (as whom it must show itself under TLS), [`answer`] (the
//! answer's fields), [`cached`] (the cache in between).

pub mod answer;
pub mod cached;
pub mod http;
pub mod secrecy;
pub mod target;
pub mod uwsgi;

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use message::Method;
use plan::front::location::BodyPlan;
use plan::front::upstream::{Speak, Target, UpstreamCall};
use plan::front::{Handler, LogLevel};
use tls::Identity;
use tokio::sync::mpsc;
use upstream::{Answer, CallError, Fault, Outgoing, OutgoingBody, Say, Whom};

use self::target::Resolved;
use crate::exchange::Exchange;
use crate::phases::Outcome;
use crate::request_body::{BodyError, Content, RequestBody};
use crate::wire::Wire;

/// Pieces of a request body that wait for the upstream when it is not buffered.
const PIECES_AHEAD: usize = 8;

/// Asks the upstream of the location in force, or its cache. `None`: the client is gone.
pub async fn call(wire: &mut Wire, exchange: &mut Exchange) -> Option<Outcome> {
    let active = exchange.active.clone();
    let Handler::Upstream(call) = &active.location(exchange.location).handler else {
        return Some(Outcome::Status(500));
    };
    exchange.unbuffered = false;
    // The chunked coding is not passed on in a uwsgi packet: the length must be known.
    let must_know_length = exchange.body.announced().is_none()
        && matches!(call.speak, Speak::Uwsgi { .. } | Speak::Http { http11: false, .. });
    if (call.request_buffering || must_know_length) && !exchange.body.is_read() {
        let plan = &active.location(exchange.location).body;
        if let Err(error) = Box::pin(exchange.body.read(wire, plan)).await {
            return body_failed(exchange, &error);
        }
    }
    match &call.cache {
        // In a box: a call that asks no cache must not be as large as one that does.
        Some(cache) => Box::pin(cached::call(wire, exchange, call, cache)).await,
        None => Some(match ask(wire, exchange, call).await? {
            Ok(answer) => answer::relay(exchange, call, answer, None).outcome,
            Err(error) => failed(exchange, &error),
        }),
    }
}

/// Calls the upstream. `None`: the client is gone.
pub async fn ask(
    wire: &mut Wire,
    exchange: &mut Exchange,
    call: &UpstreamCall,
) -> Option<Result<Box<Answer>, CallError>> {
    let active = exchange.active.clone();
    let Resolved { whom, uri, is_tls } = match &call.target {
        Target::Group(id) => {
            Resolved { whom: Whom::Group(*id), uri: None, is_tls: call.tls.is_some() }
        }
        Target::Dynamic(template) => {
            // In a box, as everything on the way that is not the usual one.
            match Box::pin(target::resolve(exchange, template, &call.speak)).await {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            }
        }
    };
    let tls = match is_tls {
        false => None,
        true => match secrecy::identity(exchange, call) {
            Ok(identity) => Some(identity),
            Err(error) => return Some(Err(error)),
        },
    };
    let mut pump = None;
    let outgoing = outgoing(exchange, call, (whom, tls), uri, &mut pump);
    let Exchange { body, upstream, .. } = exchange;
    let mut calling = std::pin::pin!(active.upstreams.call(call, outgoing, &mut upstream.trace));
    if let Some(pieces) = pump {
        let plan = &active.location(exchange.location).body;
        tokio::select! {
            biased;
            answer = &mut calling => return Some(answer),
            result = Box::pin(feed(wire, body, pieces, plan)) => {
                if matches!(result, Err(BodyError::ClientGone)) && !call.ignore_client_abort {
                    return None;
                }
            }
        }
    }
    poll_fn(|context| match calling.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if call.ignore_client_abort => Poll::Pending,
        Poll::Pending => wire.poll_gone(context).map(|()| None),
    })
    .await
}

/// The request as the upstream gets it. A body that is still to come is to be fed into `pump`.
fn outgoing(
    exchange: &Exchange,
    call: &UpstreamCall,
    (whom, tls): (Whom, Option<Arc<Identity>>),
    speak_uri: Option<Vec<u8>>,
    pump: &mut Option<Pieces>,
) -> Outgoing {
    let body = outgoing_body(exchange, call, pump);
    let mut said = exchange.active.upstreams.buffer();
    let say = match &call.speak {
        Speak::Uwsgi { params, header_params, modifier1, modifier2 } => {
            uwsgi::push_params(exchange, params, &mut said);
            if call.pass_headers {
                uwsgi::push_headers(exchange, header_params, &mut said);
            }
            Say::Uwsgi { vars: said, modifier1: *modifier1, modifier2: *modifier2 }
        }
        Speak::Http { .. } => {
            http::head(exchange, call, speak_uri, &body, &mut said);
            Say::Http { head: said }
        }
    };
    Outgoing {
        whom,
        tls,
        say,
        body,
        method_is_head: exchange.method == Method::Head,
        idempotent: matches!(
            exchange.method,
            Method::Get
                | Method::Head
                | Method::Put
                | Method::Delete
                | Method::Options
                | Method::Trace
        ),
        client: exchange.peer().ip(),
    }
}

type Pieces = mpsc::Sender<std::io::Result<Bytes>>;

fn outgoing_body(
    exchange: &Exchange,
    call: &UpstreamCall,
    pump: &mut Option<Pieces>,
) -> OutgoingBody {
    if !call.pass_body {
        return OutgoingBody::None;
    }
    match exchange.body.content() {
        Content::Memory(bytes) if bytes.is_empty() => OutgoingBody::None,
        Content::Memory(bytes) => OutgoingBody::Memory(bytes.clone()),
        Content::File(file, bytes) => match file.try_clone() {
            Ok(file) => OutgoingBody::File(file, *bytes),
            Err(_) => OutgoingBody::None,
        },
        Content::None if exchange.body.is_read() => OutgoingBody::None,
        Content::None => {
            let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
            *pump = Some(sender);
            OutgoingBody::Stream(receiver, exchange.body.announced())
        }
    }
}

/// Passes the request's body on while it arrives.
async fn feed(
    wire: &mut Wire,
    body: &mut RequestBody,
    pieces: Pieces,
    plan: &BodyPlan,
) -> Result<(), BodyError> {
    let limit = plan.bytes_max.unwrap_or(u64::MAX);
    loop {
        let piece = body.next(wire, plan.timeout).await;
        let piece = match piece {
            Ok(Some(_)) if body.received > limit => Err(BodyError::TooLarge),
            other => other,
        };
        match piece {
            Ok(None) => return Ok(()),
            Ok(Some(bytes)) => {
                if pieces.send(Ok(bytes)).await.is_err() {
                    // The upstream wants no more of it.
                    return Ok(());
                }
            }
            Err(error) => {
                let cut = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                let _ = pieces.send(Err(cut)).await;
                return Err(error);
            }
        }
    }
}

fn body_failed(exchange: &mut Exchange, error: &BodyError) -> Option<Outcome> {
    let status = match error {
        BodyError::TooLarge => {
            let text = format!(
                "client intended to send too large chunked body: {} bytes",
                exchange.body.received
            );
            exchange.log(LogLevel::Error, &text);
            413
        }
        BodyError::BadChunk => {
            exchange.log(LogLevel::Info, "client sent invalid chunked body");
            400
        }
        BodyError::TimedOut => {
            exchange.log(LogLevel::Info, "client timed out (110: Connection timed out)");
            408
        }
        BodyError::ClientGone => {
            exchange.log(LogLevel::Info, "client prematurely closed connection");
            return None;
        }
        BodyError::Disk(error) => {
            let reason = crate::content::static_file::errno_text(error);
            exchange.log(LogLevel::Crit, &format!("cannot keep the request body: {reason}"));
            500
        }
    };
    exchange.must_close = true;
    Some(Outcome::Status(status))
}

/// Logs a failed call and says with which status to answer.
pub fn failed(exchange: &mut Exchange, error: &CallError) -> Outcome {
    let peer = exchange.upstream.trace.last().map(|attempt| attempt.address.clone());
    let url = url(exchange, peer.as_deref().unwrap_or(""));
    let level = match error.fault {
        Fault::Client => LogLevel::Info,
        // A socket that is not there or not ours to open is the operator's to mend.
        _ if error.message.contains("failed (2:") || error.message.contains("failed (13:") => {
            LogLevel::Crit
        }
        _ => LogLevel::Error,
    };
    crate::log::error::write(exchange, level, &error.message, Some(&url));
    exchange.overloaded = error.fault == Fault::Overload;
    Outcome::Status(error.status)
}

/// A peer as error log lines name it.
pub fn url(exchange: &Exchange, peer: &str) -> String {
    let Handler::Upstream(call) = &exchange.location().handler else { return peer.to_owned() };
    let colon = if peer.starts_with("unix:") { ":" } else { "" };
    let is_tls = secrecy::is_asked_for(exchange, call);
    match &call.speak {
        Speak::Uwsgi { .. } => {
            let scheme = if is_tls { "suwsgi" } else { "uwsgi" };
            format!("{scheme}://{peer}{colon}")
        }
        Speak::Http { .. } => {
            let scheme = if is_tls { "https" } else { "http" };
            let uri = http::target(exchange, call);
            format!("{scheme}://{peer}{colon}{}", String::from_utf8_lossy(&uri))
        }
    }
}
