//! What a status becomes: a page of the operator (`error_page`) or one of ours.

use bytes::Bytes;
use message::Method;
use plan::front::LocationPlan;
use plan::front::location::{ErrorPage, ErrorPageStatus};
use route::render_bytes;

use crate::exchange::{ErrorPageInUse, Exchange};
use crate::phases::{Outcome, Start};
use crate::response::product;
use crate::{pages, redirect};

/// Answers with a status, through `error_page` if there is one for it.
pub fn answer(exchange: &mut Exchange, status: u16, location: Option<Bytes>) -> Outcome {
    if closes(status) {
        exchange.must_close = true;
    }
    if let Some(outcome) = operators_page(exchange, status) {
        return outcome;
    }
    exchange.error_page = None;
    own(exchange, status, location)
}

/// Whether an `error_page` answers that status here and now.
pub fn is_intercepted(exchange: &Exchange, status: u16) -> bool {
    find(exchange, status).is_some()
}

/// Answers with our own page, whatever the operator has.
pub fn plain(exchange: &mut Exchange, status: u16) -> Outcome {
    if closes(status) {
        exchange.must_close = true;
    }
    exchange.error_page = None;
    own(exchange, status, None)
}

/// Statuses after which the connection is not used any further.
fn closes(status: u16) -> bool {
    matches!(status, 400 | 408 | 413 | 414 | 494..=497 | 500 | 501)
}

fn own(exchange: &Exchange, status: u16, location: Option<Bytes>) -> Outcome {
    let product = product(&exchange.location().manners.server_tokens);
    let mut response = pages::page(status, product);
    if let Some(location) = location {
        redirect::set_location(exchange, &mut response, location);
    }
    Outcome::Respond(Box::new(response))
}

fn find(exchange: &Exchange, status: u16) -> Option<&ErrorPage> {
    let location: &LocationPlan = exchange.location();
    if exchange.error_page.is_some() && !location.recursive_error_pages {
        return None;
    }
    location.error_pages.iter().find(|page| page.codes.contains(&status))
}

fn operators_page(exchange: &mut Exchange, status: u16) -> Option<Outcome> {
    let active = exchange.active.clone();
    find(exchange, status)?;
    let location = active.location(exchange.location);
    let page = location.error_pages.iter().find(|page| page.codes.contains(&status))?;
    let target = render_bytes(&page.target, exchange);
    let sent = match page.status {
        ErrorPageStatus::Keep => Some(if (494..=497).contains(&status) { 400 } else { status }),
        ErrorPageStatus::Set(status) => Some(status),
        ErrorPageStatus::FromPage => None,
    };
    exchange.error_page = Some(ErrorPageInUse { status: sent });
    if target.starts_with(b"@") {
        let name = std::str::from_utf8(&target).ok()?;
        let named = active.shared.router.named(exchange.server, name);
        return Some(match named {
            Some(location) => Outcome::Again(Start::Named(location)),
            None => plain(exchange, 500),
        });
    }
    if !target.starts_with(b"/") {
        let is_redirect = |status: &u16| matches!(status, 301 | 302 | 303 | 307 | 308);
        let status = sent.filter(is_redirect).unwrap_or(302);
        exchange.error_page = None;
        return Some(own(exchange, status, Some(target)));
    }
    if exchange.method != Method::Head {
        exchange.method = Method::Get;
    }
    let question = target.iter().position(|&byte| byte == b'?');
    let (uri, args) = match question {
        Some(at) => (target.slice(..at), target.slice(at + 1..)),
        None => (target, Bytes::new()),
    };
    Some(Outcome::Again(Start::Redirect(uri, args)))
}
