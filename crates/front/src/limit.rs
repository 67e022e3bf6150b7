//! `limit_req` and `limit_conn`: who asks too often waits or is refused, between rewriting and
//! access. Each of the two counts a request once, whatever internal redirects follow.
//!
//! What is counted is shared by all threads, a mutex a zone, held for one key's look or change;
//! a zone that stays over a reload keeps it.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use ::limit::{Buckets, Counts, Excess, Hash, Rule, Secret, Taken};
use plan::FrontPlan;
use plan::front::limit::{ConnectionLimits, RequestLimit, RequestLimits};
use plan::front::{LimitZone, LogLevel};

use crate::exchange::Exchange;
use crate::phases::{Outcome, Start};
use crate::wire::Wire;

/// A zone: what its keys are hashed with, and what is known about them.
#[derive(Debug)]
struct Zone<T> {
    secret: Secret,
    state: Mutex<T>,
}

impl<T> Zone<T> {
    fn new(state: T) -> Zone<T> {
        Zone { secret: Secret::default(), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Kept<T> = Vec<(LimitZone, Arc<Zone<T>>)>;

/// The zones of a configuration, in the plan's order.
#[derive(Debug, Default)]
pub struct Zones {
    requests: Kept<Buckets>,
    connections: Kept<Counts>,
}

impl Zones {
    /// The zones of a plan; those that `before` has by the same name, key and size go on.
    pub fn new(plan: &FrontPlan, before: Option<&Zones>) -> Zones {
        let requests = before.map_or(&[][..], |before| &before.requests);
        let connections = before.map_or(&[][..], |before| &before.connections);
        Zones {
            requests: carry_on(&plan.limit_req_zones, requests, Buckets::new),
            connections: carry_on(&plan.limit_conn_zones, connections, Counts::new),
        }
    }
}

fn carry_on<T>(
    zones: &[LimitZone],
    before: &[(LimitZone, Arc<Zone<T>>)],
    make: impl Fn(u64) -> T,
) -> Kept<T> {
    let same = |one: &LimitZone, other: &LimitZone| {
        one.name == other.name && one.key_text == other.key_text && one.bytes == other.bytes
    };
    let carried = |zone: &LimitZone| {
        let known = before.iter().find(|(known, _)| same(known, zone));
        let state = known.map(|(_, state)| state.clone());
        (zone.clone(), state.unwrap_or_else(|| Arc::new(Zone::new(make(zone.bytes)))))
    };
    zones.iter().map(carried).collect()
}

/// What the limits have done to a request.
#[derive(Debug, Default)]
pub struct Limited {
    /// `$limit_req_status`; `None`: nothing counted it.
    pub requests: Option<Verdict>,
    /// `$limit_conn_status`, likewise.
    pub connections: Option<Verdict>,
    /// Counted as under way until its answer has gone out or the request ends, whatever way it
    /// ends.
    held: Vec<Held>,
}

/// What a limit said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verdict {
    Passed,
    Delayed,
    DelayedDryRun,
    Rejected,
    RejectedDryRun,
}

impl Verdict {
    /// As the variables say it.
    pub fn text(self) -> &'static [u8] {
        match self {
            Verdict::Passed => b"PASSED",
            Verdict::Delayed => b"DELAYED",
            Verdict::DelayedDryRun => b"DELAYED_DRY_RUN",
            Verdict::Rejected => b"REJECTED",
            Verdict::RejectedDryRun => b"REJECTED_DRY_RUN",
        }
    }

    fn delayed(dry_run: bool) -> Verdict {
        if dry_run { Verdict::DelayedDryRun } else { Verdict::Delayed }
    }

    fn rejected(dry_run: bool) -> Verdict {
        if dry_run { Verdict::RejectedDryRun } else { Verdict::Rejected }
    }
}

/// One request in a count of connections; dropping it takes it out.
#[derive(Debug)]
struct Held {
    zone: Arc<Zone<Counts>>,
    key: Hash,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.zone.lock().give_back(self.key);
    }
}

/// The limits of the location in force: `None` goes on. A wait comes here again when it is over. A
/// question to another location is part of a request that has been counted.
pub fn check(exchange: &mut Exchange) -> Option<Outcome> {
    exchange.location().limits.as_ref().filter(|_| !exchange.subrequest)?;
    let active = exchange.active.clone();
    let limits = active.location(exchange.location).limits.as_ref()?;
    let zones = &active.shared.limits;
    if let Some(requests) = &limits.requests
        && exchange.limited.as_ref().is_none_or(|limited| limited.requests.is_none())
        && let Some(outcome) = check_requests(exchange, requests, &zones.requests)
    {
        return Some(outcome);
    }
    match &limits.connections {
        Some(connections)
            if exchange.limited.as_ref().is_none_or(|it| it.connections.is_none()) =>
        {
            check_connections(exchange, connections, &zones.connections)
        }
        _ => None,
    }
}

/// The answer has gone out: the client may ask again before the log knows of it, and another
/// thread must not count both. A body that is still to come keeps the request under way.
pub fn give_back(exchange: &mut Exchange) {
    if let Some(limited) = &mut exchange.limited
        && exchange.body.is_read()
    {
        limited.held.clear();
    }
}

/// Waits until a request may go on; `None`: the client has gone.
pub async fn wait(wire: &mut Wire, exchange: &Exchange, time: Duration) -> Option<Outcome> {
    let mut sleep = std::pin::pin!(tokio::time::sleep(time));
    let stays = poll_fn(|context| match sleep.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending => wire.poll_gone(context).map(|()| false),
    })
    .await;
    if !stays {
        exchange.log(LogLevel::Info, "client prematurely closed connection");
    }
    stays.then_some(Outcome::Again(Start::Limited))
}

/// A request that met a limit: which line of the location, and its key there.
type Met = (usize, Hash);

fn check_requests(
    exchange: &mut Exchange,
    limits: &RequestLimits,
    zones: &[(LimitZone, Arc<Zone<Buckets>>)],
) -> Option<Outcome> {
    let mut met: Vec<Met> = Vec::with_capacity(limits.limits.len());
    for (line, limit) in limits.limits.iter().enumerate() {
        let (zone, state) = zones.get(limit.zone.0 as usize)?;
        met.extend(key(exchange, zone, &state.secret).map(|key| (line, key)));
    }
    let name = |line: usize| {
        let limit = limits.limits.get(line)?;
        zones.get(limit.zone.0 as usize).map(|(zone, _)| zone.name.as_str())
    };
    let dry_run = if limits.dry_run { ", dry run" } else { "" };
    let judged = judge(&met, &limits.limits, zones, sys::clock::monotonic_ms())?;
    let verdict = match judged {
        Judged { refused: true, line, excess, .. } => {
            let (whole, part) = (excess / 1000, excess % 1000);
            let zone = name(line).unwrap_or_default();
            let text =
                format!("limiting requests{dry_run}, excess: {whole}.{part:03} by zone \"{zone}\"");
            exchange.log(limits.refused_level, &text);
            Verdict::rejected(limits.dry_run)
        }
        Judged { wait_ms: 0, .. } => Verdict::Passed,
        Judged { line, excess, .. } => {
            let (whole, part) = (excess / 1000, excess % 1000);
            let zone = name(line).unwrap_or_default();
            let text =
                format!("delaying request{dry_run}, excess: {whole}.{part:03}, by zone \"{zone}\"");
            exchange.log(limits.delayed_level, &text);
            Verdict::delayed(limits.dry_run)
        }
    };
    exchange.limited.get_or_insert_default().requests = Some(verdict);
    match verdict {
        Verdict::Rejected => Some(refuse(exchange, limits.status)),
        Verdict::Delayed => Some(Outcome::Wait(Duration::from_millis(judged.wait_ms))),
        _ => None,
    }
}

/// What all the limits together said, and which of them had the most to say.
#[derive(Clone, Copy)]
struct Judged {
    refused: bool,
    wait_ms: u64,
    excess: u64,
    line: usize,
}

/// Lets the request fall into all of its buckets, or into none if one of them refuses it; the
/// longest wait counts. `None`: it met no limit.
fn judge(
    met: &[Met],
    limits: &[RequestLimit],
    zones: &[(LimitZone, Arc<Zone<Buckets>>)],
    now_ms: u64,
) -> Option<Judged> {
    let find = |line: usize| {
        let limit = limits.get(line)?;
        let rule = Rule { rate: limit.rate, burst: limit.burst, undelayed: limit.undelayed };
        Some((rule, &zones.get(limit.zone.0 as usize)?.1))
    };
    let (&(last, last_key), others) = met.split_last()?;
    let refusal = |line, Excess(excess)| Judged { refused: true, wait_ms: 0, excess, line };
    for &(line, key) in others {
        let (rule, zone) = find(line)?;
        if let Err(excess) = zone.lock().look(key, &rule, now_ms) {
            return Some(refusal(line, excess));
        }
    }
    let (rule, zone) = find(last)?;
    let admitted = zone.lock().admit(last_key, &rule, now_ms);
    let mut judged = match admitted {
        Err(excess) => return Some(refusal(last, excess)),
        Ok(excess) => Judged { refused: false, wait_ms: rule.wait_ms(excess), excess, line: last },
    };
    for &(line, key) in others.iter().rev() {
        let (rule, zone) = find(line)?;
        let excess = zone.lock().pour(key, &rule, now_ms);
        let wait_ms = rule.wait_ms(excess);
        if wait_ms > judged.wait_ms {
            judged = Judged { refused: false, wait_ms, excess, line };
        }
    }
    Some(judged)
}

fn check_connections(
    exchange: &mut Exchange,
    limits: &ConnectionLimits,
    zones: &[(LimitZone, Arc<Zone<Counts>>)],
) -> Option<Outcome> {
    for limit in &limits.limits {
        let (zone, state) = zones.get(limit.zone.0 as usize)?;
        let Some(key) = key(exchange, zone, &state.secret) else { continue };
        let taken = state.lock().take(key, limit.max.into());
        let limited = exchange.limited.get_or_insert_default();
        if taken == Taken::Yes {
            limited.connections = Some(Verdict::Passed);
            limited.held.push(Held { zone: state.clone(), key });
            continue;
        }
        limited.connections = Some(Verdict::rejected(limits.dry_run));
        limited.held.clear();
        let name = &zone.name;
        let dry_run = if limits.dry_run { ", dry run," } else { "" };
        match taken {
            Taken::ZoneIsFull => {
                let text = format!("no room for another key in limit_conn_zone \"{name}\"");
                exchange.log(LogLevel::Crit, &text);
            }
            _ => {
                let text = format!("limiting connections{dry_run} by zone \"{name}\"");
                exchange.log(limits.refused_level, &text);
            }
        }
        return (!limits.dry_run).then(|| refuse(exchange, limits.status));
    }
    None
}

/// As with nginx, some statuses are only for the log: the connection closes without an answer.
fn refuse(exchange: &mut Exchange, status: u16) -> Outcome {
    match status {
        408 | 444 | 499 => {
            exchange.sent.status = status;
            Outcome::Close
        }
        status => Outcome::Status(status),
    }
}

/// The hash of what a zone counts the request by; `None` if that is empty.
fn key(exchange: &Exchange, zone: &LimitZone, secret: &Secret) -> Option<Hash> {
    let mut text = exchange.thread.scratch.take();
    text.clear();
    route::render(&zone.key, exchange, &mut text);
    let hash = (!text.is_empty()).then(|| secret.hash(&text));
    exchange.thread.scratch.replace(text);
    hash
}

#[cfg(test)]
mod tests;
