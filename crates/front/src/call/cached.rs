//! An upstream behind a cache.
//!
//! ```text
//!  bypass ─────────────────────────────► ask (BYPASS), store
//!  fresh ──► serve (HIT)
//!  stale ──► somebody updates, and that is allowed ──► serve (UPDATING)
//!      └──► ask ──► 304: serve (REVALIDATED)  ├─► trouble, and that is allowed: serve (STALE)
//!                                             └─► new: store (EXPIRED)
//!  absent ─► lock free: ask, store (MISS) │ somebody fills: wait, look again │ gave up: ask (MISS)
//! ```

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use cache::{
    CacheKey, Trouble, VaryInputs, lifetime, may_serve_on_trouble, may_serve_while_updating,
};
use message::{KnownHeader, Method};
use net::store::{Fill, Filler, LockRules, Lookup, Now, Object, ObjectBody, Store, Waited};
use plan::Template;
use plan::front::{CacheUse, LogLevel, UpstreamCall};
use route::{Values, is_truthy, render_bytes};
use upstream::{Answer, CallError, Fault};

use super::answer::{self, Relayed};
use super::{ask, failed};
use crate::error_pages;
use crate::exchange::{Exchange, Revalidate};
use crate::phases::Outcome;
use crate::relay::{Body, FilePart};
use crate::response::Response;
use crate::wire::Wire;

impl VaryInputs for Exchange {
    fn field(&self, name: &str, out: &mut Vec<u8>) {
        let name = name.replace('-', "_");
        self.value(&plan::Variable::Http(name), out);
    }
}

/// What the cache wants to be done.
enum Plan {
    Serve(Object, &'static str),
    Ask { filler: Option<Box<Filler>>, stale: Option<Object>, status: &'static str },
    ClientGone,
}

/// Answers from the cache, or asks the upstream and stores. `None`: the client is gone.
pub async fn call(
    wire: &mut Wire,
    exchange: &mut Exchange,
    call: &UpstreamCall,
    rules: &CacheUse,
) -> Option<Outcome> {
    let cacheable = matches!(exchange.method, Method::Get | Method::Head)
        || (rules.post_too && exchange.method == Method::Post);
    let store = exchange.active.shared.stores.get(rules.zone.0 as usize).cloned();
    let Some(store) = store.filter(|_| cacheable) else {
        return Some(match ask(wire, exchange, call).await? {
            Ok(answer) => answer::relay(exchange, call, answer, None).outcome,
            Err(error) => failed(exchange, &error),
        });
    };
    let key = CacheKey::new(render_bytes(&rules.key, exchange));
    match decide(wire, exchange, rules, &store, &key).await {
        Plan::ClientGone => None,
        Plan::Serve(object, status) => {
            exchange.upstream.cache_status = Some(status);
            Some(serve(exchange, call, object))
        }
        Plan::Ask { filler, stale, status } => {
            exchange.upstream.cache_status = Some(status);
            fetch(wire, exchange, call, (rules, &store), (filler, stale)).await
        }
    }
}

async fn decide(
    wire: &mut Wire,
    exchange: &mut Exchange,
    rules: &CacheUse,
    store: &Arc<Store>,
    key: &CacheKey,
) -> Plan {
    let lock = rules.lock.then_some(LockRules { age: rules.lock_age });
    if any_true(&rules.bypass, exchange) {
        let fill = store.begin_fill(key, exchange, None, Now::read());
        let filler = match fill {
            Fill::Leader(filler) => Some(filler),
            Fill::Wait(_) => None,
        };
        return Plan::Ask { filler, stale: None, status: "BYPASS" };
    }
    let lock_ms = u64::try_from(rules.lock_timeout.as_millis()).unwrap_or(u64::MAX);
    let give_up = Now::read().monotonic_ms.saturating_add(lock_ms);
    loop {
        let now = Now::read();
        let waiting = match store.lookup(key, exchange, now).await {
            Lookup::Fresh(object) => return Plan::Serve(object, "HIT"),
            Lookup::Stale(object) => {
                let updating = may_serve_while_updating(rules, &object.times, now.unix_ms);
                let lock = if updating { Some(LockRules { age: rules.lock_age }) } else { lock };
                match store.begin_fill(key, exchange, lock, now) {
                    Fill::Leader(filler) => {
                        let (filler, stale) = (Some(filler), Some(object));
                        return Plan::Ask { filler, stale, status: "EXPIRED" };
                    }
                    Fill::Wait(_) if updating => return Plan::Serve(object, "UPDATING"),
                    Fill::Wait(waiting) => waiting,
                }
            }
            Lookup::Absent { uses } if uses < rules.min_uses => {
                return Plan::Ask { filler: None, stale: None, status: "MISS" };
            }
            Lookup::Absent { .. } => match store.begin_fill(key, exchange, lock, now) {
                Fill::Leader(filler) => {
                    return Plan::Ask { filler: Some(filler), stale: None, status: "MISS" };
                }
                Fill::Wait(waiting) => waiting,
            },
        };
        let waited = tokio::select! {
            biased;
            waited = waiting.done(now, give_up) => waited,
            () = poll_fn(|context| wire.poll_gone(context)) => return Plan::ClientGone,
        };
        if waited == Waited::GaveUp {
            return Plan::Ask { filler: None, stale: None, status: "MISS" };
        }
    }
}

async fn fetch(
    wire: &mut Wire,
    exchange: &mut Exchange,
    call: &UpstreamCall,
    (rules, store): (&CacheUse, &Arc<Store>),
    (filler, stale): (Option<Box<Filler>>, Option<Object>),
) -> Option<Outcome> {
    exchange.fills_cache = filler.is_some();
    if let Some(object) = stale.as_ref().filter(|_| rules.revalidate) {
        let head = object.head();
        exchange.revalidate = Some(Box::new(Revalidate {
            modified: head.header(KnownHeader::LastModified).map(Bytes::copy_from_slice),
            tag: head.header(KnownHeader::ETag).map(Bytes::copy_from_slice),
        }));
    }
    let method = exchange.method;
    if exchange.fills_cache && rules.convert_head && method == Method::Head {
        exchange.method = Method::Get;
    }
    let answered = ask(wire, exchange, call).await;
    exchange.method = method;
    exchange.revalidate = None;
    let now = Now::read();
    match answered? {
        Err(error) => {
            let trouble = trouble_of(&error);
            let allowed =
                |object: &Object| may_serve_on_trouble(rules, &object.times, trouble, now.unix_ms);
            let outcome = failed(exchange, &error);
            match stale.filter(allowed) {
                Some(object) => {
                    exchange.upstream.cache_status = Some("STALE");
                    Some(serve(exchange, call, object))
                }
                None => Some(outcome),
            }
        }
        Ok(answer) => answered_with(exchange, call, (rules, store), (filler, stale), answer).await,
    }
}

async fn answered_with(
    exchange: &mut Exchange,
    call: &UpstreamCall,
    (rules, store): (&CacheUse, &Arc<Store>),
    (filler, stale): (Option<Box<Filler>>, Option<Object>),
    answer: Box<Answer>,
) -> Option<Outcome> {
    let now = Now::read();
    let status = answer.head.status;
    if let Some(object) = stale {
        if status == 304 && rules.revalidate {
            if let Ok(times) = lifetime(&object.head(), &call.ignore_headers, rules, now.unix_ms) {
                store.freshen(&object, times, now);
            }
            exchange.upstream.cache_status = Some("REVALIDATED");
            answer::note(exchange, &answer.body);
            return Some(serve(exchange, call, object));
        }
        let trouble = Trouble::Status(status);
        if may_serve_on_trouble(rules, &object.times, trouble, now.unix_ms) {
            exchange.upstream.cache_status = Some("STALE");
            answer::note(exchange, &answer.body);
            return Some(serve(exchange, call, object));
        }
    }
    let mut filler = filler.filter(|_| !any_true(&rules.no_cache, exchange));
    match lifetime(&answer.head, &call.ignore_headers, rules, now.unix_ms) {
        Ok(times) if stores_method(exchange, rules) => {
            if let Some(filler) = &mut filler {
                let vary = match call.ignore_headers.vary {
                    true => String::new(),
                    false => cache::freshness::vary_names(&answer.head),
                };
                filler.head(&answer.head, times, &vary, exchange);
            }
        }
        _ => filler = None,
    }
    let stored = filler.is_some();
    let Relayed { mut outcome, unsent } = answer::relay(exchange, call, answer, filler);
    if let Some(body) = unsent {
        body.end(exchange).await;
    }
    if let Outcome::Respond(response) = &mut outcome
        && stored
    {
        admit_ranges(response);
        response.ranges &= matches!(response.body, Body::Memory(_));
        if exchange.method == Method::Head {
            // Nobody reads this body, but the cache wants it whole.
            if let Body::Upstream(body) = std::mem::replace(&mut response.body, Body::Empty) {
                body.end(exchange).await;
            }
        }
    }
    Some(outcome)
}

/// A HEAD that was passed on as such brings no body to store.
fn stores_method(exchange: &Exchange, rules: &CacheUse) -> bool {
    exchange.method != Method::Head || rules.convert_head
}

fn serve(exchange: &mut Exchange, call: &UpstreamCall, object: Object) -> Outcome {
    let head = object.head();
    if exchange.active.plan().reads_upstream_fields {
        exchange.upstream.headers.clone_from(&head.headers);
    }
    let status = head.status;
    if call.intercept_errors && status >= 300 && error_pages::is_intercepted(exchange, status) {
        return Outcome::Status(status);
    }
    let mut response = answer::response(exchange, call, head);
    admit_ranges(&mut response);
    response.body = match object.body {
        ObjectBody::Memory(bytes) => {
            response.length = Some(bytes.len() as u64);
            if bytes.is_empty() { Body::Empty } else { Body::Memory(bytes) }
        }
        ObjectBody::File { file, offset, len } => {
            response.length = Some(len);
            Body::File(FilePart { file: Rc::new(file), offset, bytes: len })
        }
    };
    Outcome::Respond(response)
}

/// A stored answer is judged here, and cut into ranges if its upstream would have done that.
fn admit_ranges(response: &mut Response) {
    response.judged = true;
    response.ranges = response.headers.has(KnownHeader::AcceptRanges);
    response.headers.remove(KnownHeader::AcceptRanges);
}

fn any_true(templates: &[Template], exchange: &Exchange) -> bool {
    templates.iter().any(|template| {
        let value: Bytes = render_bytes(template, exchange);
        is_truthy(&value)
    })
}

fn trouble_of(error: &CallError) -> Trouble {
    match (error.fault, error.status) {
        (Fault::UpstreamTooSlow, _) => Trouble::Timeout,
        (Fault::Upstream, _) if error.message.contains("header") => Trouble::InvalidHeader,
        (_, status @ (500 | 503)) => Trouble::Status(status),
        _ => Trouble::Error,
    }
}

/// Logs that a response could not be stored; the response itself is unharmed.
pub fn not_stored(exchange: &Exchange, error: &std::io::Error) {
    let reason = crate::content::static_file::errno_text(error);
    exchange.log(LogLevel::Crit, &format!("cannot store the response: {reason}"));
}
