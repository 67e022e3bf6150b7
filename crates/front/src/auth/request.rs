//! `auth_request`: another location is asked whether a request may pass.
//!
//! The question is a GET of its own with the client's header fields, and without the body: what
//! of that has not come yet stays where it is, for whoever makes the content. It is answered like
//! any request of the server, but no access is checked for it and no access log tells of it. What
//! `set` does on its way counts for the request it is about.

use std::cell::RefCell;
use std::future::poll_fn;

use bytes::Bytes;
use message::{BodyLength, KnownHeader, Method};
use plan::front::{LogLevel, RequestPlan};
use route::{RewriteState, render_bytes};

use super::{Refusal, Verdict};
use crate::connection;
use crate::exchange::Exchange;
use crate::phases::{self, Next, Start};
use crate::relay::Body;
use crate::response::Response;
use crate::wire::Wire;

/// Asks. `None`: the client is gone.
pub async fn check(
    wire: &mut Wire,
    exchange: &mut Exchange,
    plan: &RequestPlan,
) -> Option<Verdict> {
    let mut question = Box::new(question(exchange));
    let uri = Bytes::copy_from_slice(plan.uri.as_bytes());
    let mut next = phases::run(&mut question, Start::Redirect(uri, Bytes::new()));
    let response = loop {
        match next {
            Next::Respond(response) => break response,
            Next::Close => return Some(Verdict::Close),
            // No limit and no access is checked for a question: this does not come.
            Next::Admit | Next::Wait(_) => return Some(Verdict::Failed(500)),
            Next::Call => {
                let outcome = crate::call::call(wire, &mut question).await?;
                next = phases::settle(&mut question, outcome);
            }
        }
    };
    let (status, challenges) = answered(wire, &mut question, *response).await?;
    exchange.slots = RefCell::new(question.slots.take());
    for (slot, value) in &plan.set {
        let value = render_bytes(value, &*question);
        exchange.set_slot(*slot, value.to_vec());
    }
    Some(match status {
        200..=299 => Verdict::Pass,
        401 => Verdict::Refuse(Refusal::asking(challenges)),
        403 => Verdict::Refuse(Refusal::forbidden()),
        _ => {
            let text = format!("auth request unexpected status: {status}");
            exchange.log(LogLevel::Error, &text);
            Verdict::Failed(500)
        }
    })
}

/// The question about a request.
fn question(exchange: &Exchange) -> Exchange {
    let mut head = exchange.head.clone();
    // A question is a GET, but `$request_method` tells what it is about.
    head.method = exchange.method;
    head.expect_continue = false;
    if head.body != BodyLength::None {
        // The client's own length must not be told of a body that is not sent.
        head.body = BodyLength::Length(0);
    }
    let active = exchange.active.clone();
    let (thread, client) = (&exchange.thread, &exchange.client);
    let mut question = connection::exchange(thread, active, client, (head, exchange.pipelined));
    question.subrequest = true;
    question.method = Method::Get;
    question.server = exchange.server;
    question.host = exchange.host.clone();
    question.started = exchange.started;
    question.slots = exchange.slots.clone();
    question.real_client = exchange.real_client.clone();
    question
}

/// Status and challenges of an answer whose body nobody wants: it is read to its end, for the cache
/// and for the connection it comes on. `None`: the client is gone.
async fn answered(
    wire: &mut Wire,
    question: &mut Exchange,
    response: Response,
) -> Option<(u16, Vec<Bytes>)> {
    let status = question.error_page.and_then(|page| page.status).unwrap_or(response.status);
    let challenges = response.headers.get_all(KnownHeader::WwwAuthenticate);
    let challenges = challenges.map(Bytes::copy_from_slice).collect();
    question.sent.status = status;
    question.sent.headers = response.headers;
    if let Body::Upstream(body) = response.body {
        tokio::select! {
            biased;
            () = body.end(question) => {}
            () = poll_fn(|context| wire.poll_gone(context)) => return None,
        }
    }
    Some((status, challenges))
}
