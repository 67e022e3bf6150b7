//! A call: one attempt after the other until a peer answers, as `*_next_upstream` allows.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use net::Watch;
use plan::front::UpstreamCall;
use plan::front::upstream::{NextUpstream, PeerAddress, Speak};
use proto::http1::ResponseStyle;
use proto::uwsgi::packet_head;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::CallError;
use crate::answer::{Answer, AnswerBody};
use crate::apps::AppChannels;
use crate::connect::connect;
use crate::error::{Failure, FailureKind};
use crate::exchange::{Patience, exchange};
use crate::outgoing::{Outgoing, Say, Whom};
use crate::peers::{Balancer, Chosen, PeerStates, Tried};
use crate::pool::{Connection, Home, Pool};
use crate::send::Sender;
use crate::trace::{Attempt, CallTrace};

/// Bytes of a body given out at once at most.
const PIECE_BYTES: usize = 64 * 1024;

/// One thread's way to all upstreams of one plan.
#[derive(Debug)]
pub struct Upstreams {
    states: Arc<PeerStates>,
    apps: AppChannels,
    pool: Rc<Pool>,
    /// Deadlines of the connections to peers.
    watch: Rc<Watch>,
    sweeper: AbortHandle,
}

/// What stays the same over the attempts of a call.
struct Request {
    sender: Sender,
    style: ResponseStyle,
    method_is_head: bool,
    idempotent: bool,
    patience: Patience,
    connect: Duration,
}

impl Upstreams {
    /// `states` is shared by the threads that work with this plan; `apps` outlives plans.
    /// Must be called inside a `LocalSet`.
    pub fn new(states: Arc<PeerStates>, apps: AppChannels) -> Upstreams {
        let watch = Watch::new();
        let swept = watch.clone();
        let sweeper = tokio::task::spawn_local(async move { swept.sweep().await }).abort_handle();
        Upstreams { states, apps, pool: Rc::default(), watch, sweeper }
    }

    /// Closes idle connections whose time is over; to be called every second or so.
    pub fn sweep(&self) {
        self.pool.sweep(sys::clock::coarse_ms());
    }

    /// Calls an upstream and returns when the head of its answer has come.
    ///
    /// # Errors
    /// No peer gave an answer that may be passed on; the error says with which status to answer.
    pub async fn call(
        &self,
        call: &UpstreamCall,
        outgoing: Outgoing,
    ) -> Result<Box<Answer>, CallError> {
        let balancer = match &outgoing.whom {
            Whom::Group(id) => self.states.group(*id).cloned(),
            Whom::Address(address, written) => {
                Some(Arc::new(Balancer::single(address.clone(), written)))
            }
        };
        let Some(balancer) = balancer else {
            let failure = Failure::new(FailureKind::Error, "no such upstream group");
            return Err(failure.into_error(CallTrace::default()));
        };
        if matches!(call.speak, Speak::Http { tls: true, .. }) {
            // Never in plain text where somebody asked for secrecy.
            let failure = Failure::new(FailureKind::Error, "TLS to upstreams is not supported");
            return Err(failure.into_error(CallTrace::default()));
        }
        if let [peer] = balancer.peers.as_slice()
            && let PeerAddress::App(app) = peer.address
        {
            // In a box: other calls must not be as large as this one.
            return Box::pin(self.apps.call(app, &peer.written, call, outgoing)).await;
        }
        self.call_sockets(&balancer, call, outgoing).await
    }

    async fn call_sockets(
        &self,
        balancer: &Arc<Balancer>,
        call: &UpstreamCall,
        outgoing: Outgoing,
    ) -> Result<Box<Answer>, CallError> {
        let begun = (!call.next.within.is_zero()).then(Instant::now);
        let client = outgoing.client;
        let mut trace = CallTrace::default();
        let mut request = match Request::new(call, outgoing) {
            Ok(request) => request,
            Err(failure) => return Err(failure.into_error(trace)),
        };
        let mut tried = Tried::default();
        let mut tries_left = tries_max(&call.next, balancer);
        loop {
            let now = sys::clock::coarse_ms();
            let Some(chosen) = balancer.choose(&mut tried, client, now) else {
                return Err(no_live_upstreams(balancer, trace));
            };
            tries_left = tries_left.saturating_sub(1);
            let within = begun.is_none_or(|begun| begun.elapsed() < call.next.within);
            let may_go_on = tries_left != 0 && within;
            let failure = match self.attempt(&chosen, &mut request, &mut trace).await {
                Ok((head, connection, home, attempt_begun)) => {
                    let status = head.head.status;
                    let bad = call.next.statuses.contains(&status);
                    // Not to have something, or not to give it, is no fault of the peer.
                    if bad && !matches!(status, 403 | 404) {
                        chosen.note_failure(sys::clock::coarse_ms());
                    } else {
                        chosen.note_success();
                    }
                    if bad && may_go_on && request.may_repeat(&call.next, false) {
                        request.sender.restart();
                        continue;
                    }
                    let rest = (chosen, request.patience, attempt_begun);
                    let body = AnswerBody::socket(&head, connection, request.sender, home, rest);
                    return Ok(Box::new(Answer { head: head.head, body, trace }));
                }
                Err(failure) => failure,
            };
            if failure.kind != FailureKind::ClientBody {
                chosen.note_failure(sys::clock::coarse_ms());
            }
            let unsent = failure.nothing_received && request.sender.bytes_sent == 0;
            let retry = may_go_on
                && allows(&call.next, failure.kind)
                && request.may_repeat(&call.next, unsent);
            if !retry {
                return Err(failure.into_error(trace));
            }
            request.sender.restart();
        }
    }

    /// One attempt with one peer: first over a kept connection, then, if that turns out to be
    /// dead and repeating is safe, over a fresh one.
    async fn attempt(
        &self,
        chosen: &Chosen,
        request: &mut Request,
        trace: &mut CallTrace,
    ) -> Result<(crate::exchange::Head, Box<Connection>, Option<Home>, Instant), Failure> {
        let begun = Instant::now();
        trace.attempts.push(Attempt::new(chosen.peer().written.clone()));
        let result = loop {
            let mut connection = match self.connection(chosen, request, begun, trace).await {
                Ok(connection) => connection,
                Err(failure) => break Err(failure),
            };
            let (style, is_head) = (request.style, request.method_is_head);
            let sender = &mut request.sender;
            let answer = exchange(&mut connection, sender, style, is_head, request.patience).await;
            match answer {
                Ok(head) => break Ok((head, connection)),
                Err(failure) => {
                    let stale = connection.reused
                        && failure.kind == FailureKind::Error
                        && failure.nothing_received
                        && (request.idempotent || request.sender.bytes_sent == 0)
                        && request.sender.can_restart();
                    if !stale {
                        break Err(failure);
                    }
                    request.sender.restart();
                }
            }
        };
        let last = trace.attempts.last_mut();
        match result {
            Ok((head, connection)) => {
                if let Some(last) = last {
                    last.status = head.head.status;
                    last.header_time = Some(begun.elapsed());
                    last.bytes_received = head.bytes as u64;
                    last.bytes_sent = request.sender.bytes_sent;
                }
                let home = head.keep_alive.then(|| Home {
                    pool: self.pool.clone(),
                    balancer: chosen.balancer.clone(),
                    peer: chosen.index,
                });
                Ok((head, connection, home, begun))
            }
            Err(failure) => {
                if let Some(last) = last {
                    last.status = failure.status();
                    last.response_time = Some(begun.elapsed());
                    last.bytes_sent = request.sender.bytes_sent;
                    last.error = Some(failure.message.clone());
                }
                Err(failure)
            }
        }
    }

    async fn connection(
        &self,
        chosen: &Chosen,
        request: &mut Request,
        begun: Instant,
        trace: &mut CallTrace,
    ) -> Result<Box<Connection>, Failure> {
        let now = sys::clock::coarse_ms();
        let kept = self.pool.take(&chosen.balancer, chosen.index, now);
        let is_kept = kept.is_some();
        let connection = match (kept, &chosen.peer().address) {
            (Some(connection), _) => connection,
            (None, PeerAddress::Socket(address)) => {
                let written = &chosen.peer().written;
                let (patience, sender) = (request.connect, &mut request.sender);
                let stream = connect(address, written, patience, sender).await?;
                Connection::new(stream, self.watch.join())
            }
            (None, PeerAddress::App(_)) => {
                let text = "an app of this server cannot share a group with other peers";
                return Err(Failure::new(FailureKind::Error, text));
            }
        };
        if let Some(last) = trace.attempts.last_mut() {
            last.connect_time = Some(if is_kept { Duration::ZERO } else { begun.elapsed() });
        }
        Ok(connection)
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

impl Request {
    fn new(call: &UpstreamCall, outgoing: Outgoing) -> Result<Request, Failure> {
        let Outgoing { say, body, method_is_head, idempotent, .. } = outgoing;
        let (head, style) = match say {
            Say::Http { head } => (head, ResponseStyle::Http),
            Say::Uwsgi { vars, modifier1, modifier2 } => {
                let start = packet_head(modifier1, modifier2, vars.len()).map_err(|_| {
                    let text = format!("uwsgi request is too big: {}", vars.len());
                    Failure::new(FailureKind::TooLarge, text)
                })?;
                ([&start[..], &vars].concat(), ResponseStyle::Cgi)
            }
        };
        let patience = Patience {
            send: call.send_timeout,
            read: call.read_timeout,
            head_bytes_max: call.head_bytes_max as usize,
            piece_bytes: PIECE_BYTES,
        };
        Ok(Request {
            sender: Sender::new(head, body, style == ResponseStyle::Http),
            style,
            method_is_head,
            idempotent,
            patience,
            connect: call.connect_timeout,
        })
    }

    /// Whether the request may go to another peer. What was surely not sent may always.
    fn may_repeat(&self, next: &NextUpstream, unsent: bool) -> bool {
        self.sender.can_restart() && (unsent || self.idempotent || next.non_idempotent)
    }
}

fn tries_max(next: &NextUpstream, balancer: &Balancer) -> usize {
    match next.tries as usize {
        0 => balancer.tries(),
        tries => tries.min(balancer.tries()),
    }
}

fn allows(next: &NextUpstream, kind: FailureKind) -> bool {
    match kind {
        FailureKind::Error => next.error,
        FailureKind::Timeout => next.timeout,
        FailureKind::InvalidHead => next.invalid_header,
        _ => false,
    }
}

fn no_live_upstreams(balancer: &Balancer, mut trace: CallTrace) -> CallError {
    let failure =
        Failure::new(FailureKind::Error, "no live upstreams while connecting to upstream");
    let mut attempt = Attempt::new(balancer.name.clone());
    attempt.status = failure.status();
    attempt.error = Some(failure.message.clone());
    trace.attempts.push(attempt);
    failure.into_error(trace)
}
