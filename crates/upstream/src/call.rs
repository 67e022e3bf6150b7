//! A call: one attempt after the other until a peer answers, as `*_next_upstream` allows.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use message::ResponseHead;
use net::Watch;
use plan::front::UpstreamCall;
use plan::front::upstream::{NextUpstream, PeerAddress, Speak};
use proto::http1::ResponseStyle;
use proto::uwsgi::packet_head;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::CallError;
use crate::answer::{Answer, AnswerBody, SocketBody};
use crate::apps::AppChannels;
use crate::connect::connect;
use crate::error::{Failure, FailureKind};
use crate::exchange::Progress;
use crate::group::{Chosen, Group};
use crate::outgoing::{Outgoing, Say, Whom};
use crate::peers::{Balancer, PeerStates, Tried};
use crate::pool::Connection;
use crate::send::Sender;
use crate::spares::Spares;
use crate::trace::{Attempt, CallTrace};

/// One thread's way to all upstreams of one plan.
#[derive(Debug)]
pub struct Upstreams {
    /// In the plan's order.
    groups: Vec<Rc<Group>>,
    /// Somebody asks how long upstreams take.
    keeps_times: bool,
    apps: AppChannels,
    spares: Rc<Spares>,
    /// Deadlines of the connections to peers.
    watch: Rc<Watch>,
    sweeper: AbortHandle,
}

/// What stays the same over the attempts of a call, and how far the last one came. In a box that
/// one request of the thread leaves to the next.
#[derive(Debug)]
pub(crate) struct Request {
    pub sender: Sender,
    pub style: ResponseStyle,
    pub method_is_head: bool,
    pub progress: Progress,
    idempotent: bool,
    client: Option<IpAddr>,
    tried: Tried,
}

/// The two ways to an answer.
enum Way<'a> {
    App(Pin<Box<dyn Future<Output = Result<Box<Answer>, CallError>> + 'a>>),
    Sockets(Rc<Group>, Box<Request>, &'a mut CallTrace),
}

impl Upstreams {
    /// `states` is shared by the threads that work with this plan; `apps` outlives plans.
    /// Must be called inside a `LocalSet`.
    pub fn new(states: Arc<PeerStates>, apps: AppChannels) -> Upstreams {
        let watch = Watch::new();
        let swept = watch.clone();
        let sweeper = tokio::task::spawn_local(async move { swept.sweep().await }).abort_handle();
        let spares: Rc<Spares> = Rc::default();
        let group = |balancer: &Arc<Balancer>| Group::new(balancer.clone(), spares.clone());
        let groups = states.groups.iter().map(group).collect();
        Upstreams { groups, keeps_times: states.keeps_times, apps, spares, watch, sweeper }
    }

    /// Closes idle connections whose time is over; to be called every second or so.
    pub fn sweep(&self) {
        let now = sys::clock::coarse_ms();
        self.groups.iter().for_each(|group| group.sweep(now));
    }

    /// An empty buffer for what is going to be said.
    pub fn buffer(&self) -> Vec<u8> {
        self.spares.buffer()
    }

    /// Calls an upstream and returns when the head of its answer has come. `trace` learns of
    /// every attempt that has ended.
    ///
    /// # Errors
    /// No peer gave an answer that may be passed on; the error says with which status to answer.
    pub fn call<'a>(
        &'a self,
        call: &'a UpstreamCall,
        outgoing: Outgoing,
        trace: &'a mut CallTrace,
    ) -> impl Future<Output = Result<Box<Answer>, CallError>> + use<'a> {
        // At once: what is handed over here must not make the future large.
        let way = self.way(call, outgoing, trace);
        async move {
            match way.map_err(Failure::into_error)? {
                Way::App(calling) => calling.await,
                Way::Sockets(group, request, trace) => {
                    self.call_sockets(&group, call, request, trace).await
                }
            }
        }
    }

    fn way<'a>(
        &'a self,
        call: &'a UpstreamCall,
        outgoing: Outgoing,
        trace: &'a mut CallTrace,
    ) -> Result<Way<'a>, Failure> {
        let group = match &outgoing.whom {
            Whom::Group(id) => self.groups.get(id.0 as usize).cloned(),
            Whom::Address(address, written) => {
                Some(Group::single(address, written, self.spares.clone()))
            }
        };
        let Some(group) = group else {
            return Err(Failure::new(FailureKind::Error, "no such upstream group"));
        };
        if matches!(call.speak, Speak::Http { tls: true, .. }) {
            // Never in plain text where somebody asked for secrecy.
            return Err(Failure::new(FailureKind::Error, "TLS to upstreams is not supported"));
        }
        if let Some((app, name)) = group.app() {
            let calling = self.apps.call(app, name.clone(), call, outgoing, trace);
            return Ok(Way::App(Box::pin(calling)));
        }
        let request = self.spares.place(Request::new(outgoing)?);
        Ok(Way::Sockets(group, request, trace))
    }

    async fn call_sockets(
        &self,
        group: &Rc<Group>,
        call: &UpstreamCall,
        mut request: Box<Request>,
        trace: &mut CallTrace,
    ) -> Result<Box<Answer>, CallError> {
        let begun = (!call.next.within.is_zero()).then(Instant::now);
        let mut tries_left = tries_max(&call.next, &group.balancer);
        loop {
            let now = sys::clock::coarse_ms();
            let Request { tried, client, .. } = &mut *request;
            let Some(index) = group.balancer.choose(tried, *client, now) else {
                return Err(no_live_upstreams(group, trace));
            };
            let chosen = Chosen::new(group.clone(), index);
            tries_left = tries_left.saturating_sub(1);
            let within = begun.is_none_or(|begun| begun.elapsed() < call.next.within);
            let may_go_on = tries_left != 0 && within;
            let attempt_begun = self.keeps_times.then(Instant::now);
            let attempt = self.attempt(&chosen, call, &mut request, attempt_begun, trace);
            let failure = match attempt.await {
                Ok((head, connection)) => {
                    let bad = call.next.statuses.contains(&head.status);
                    // Not to have something, or not to give it, is no fault of the peer.
                    if bad && !matches!(head.status, 403 | 404) {
                        chosen.note_failure(sys::clock::coarse_ms());
                    } else {
                        chosen.note_success();
                    }
                    if bad && may_go_on && request.may_repeat(&call.next, false) {
                        request.sender.restart();
                        continue;
                    }
                    let patience = call.read_timeout;
                    let body = SocketBody::new(&head, connection, chosen, request, patience);
                    let body = AnswerBody::socket(body, attempt_begun);
                    return Ok(Box::new(Answer { head, body }));
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
                return Err(failure.into_error());
            }
            request.sender.restart();
        }
    }

    /// One attempt with one peer: first over a kept connection, then, if that turns out to be
    /// dead and repeating is safe, over a fresh one. `begun` is when it began, if its times are
    /// kept.
    async fn attempt(
        &self,
        chosen: &Chosen,
        call: &UpstreamCall,
        request: &mut Request,
        begun: Option<Instant>,
        trace: &mut CallTrace,
    ) -> Result<(ResponseHead, Box<Connection>), Failure> {
        let elapsed = || begun.map(|begun| begun.elapsed());
        let mut connect_time = None;
        let result = loop {
            let mut connection = match chosen.kept_connection(sys::clock::coarse_ms()) {
                Some(connection) => {
                    connect_time = begun.and(Some(Duration::ZERO));
                    connection
                }
                // In a box: a call over a kept connection must not be as large as one that waits
                // here.
                None => match Box::pin(self.open(chosen, call, &mut request.sender)).await {
                    Ok(connection) => {
                        connect_time = elapsed();
                        connection
                    }
                    Err(failure) => break Err(failure),
                },
            };
            match request.exchange(&mut connection, call).await {
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
        let mut attempt = Attempt::new(chosen.name());
        attempt.connect_time = connect_time;
        attempt.bytes_sent = request.sender.bytes_sent;
        match &result {
            Ok((head, connection)) => {
                attempt.status = head.status;
                attempt.header_time = elapsed();
                attempt.bytes_received = connection.reader.head_bytes() as u64;
            }
            Err(failure) => {
                attempt.status = failure.status();
                attempt.response_time = elapsed();
            }
        }
        trace.push(attempt);
        result
    }

    async fn open(
        &self,
        chosen: &Chosen,
        call: &UpstreamCall,
        sender: &mut Sender,
    ) -> Result<Box<Connection>, Failure> {
        let peer = chosen.peer();
        let PeerAddress::Socket(address) = &peer.address else {
            let text = "an app of this server cannot share a group with other peers";
            return Err(Failure::new(FailureKind::Error, text));
        };
        let stream = connect(address, &peer.written, call.connect_timeout, sender).await?;
        Ok(Connection::new(stream, self.watch.join()))
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

impl Request {
    fn new(outgoing: Outgoing) -> Result<Request, Failure> {
        let Outgoing { say, body, method_is_head, idempotent, client, .. } = outgoing;
        let (head, style) = match say {
            Say::Http { head } => (head, ResponseStyle::Http),
            Say::Uwsgi { mut vars, modifier1, modifier2 } => {
                let start = packet_head(modifier1, modifier2, vars.len()).map_err(|_| {
                    let text = format!("uwsgi request is too big: {}", vars.len());
                    Failure::new(FailureKind::TooLarge, text)
                })?;
                vars.splice(..0, start);
                (vars, ResponseStyle::Cgi)
            }
        };
        Ok(Request {
            sender: Sender::new(head, body, style == ResponseStyle::Http),
            style,
            method_is_head,
            progress: Progress::default(),
            idempotent,
            client,
            tried: Tried::default(),
        })
    }

    /// Whether the request may go to another peer. What was surely not sent may always.
    fn may_repeat(&self, next: &NextUpstream, unsent: bool) -> bool {
        self.sender.can_restart() && (unsent || self.idempotent || next.non_idempotent)
    }
}

fn tries_max(next: &NextUpstream, balancer: &Balancer) -> usize {
    match next.tries as usize {
        0 => balancer.tries,
        tries => tries.min(balancer.tries),
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

fn no_live_upstreams(group: &Group, trace: &mut CallTrace) -> CallError {
    let failure =
        Failure::new(FailureKind::Error, "no live upstreams while connecting to upstream");
    let mut attempt = Attempt::new(group.name.clone());
    attempt.status = failure.status();
    trace.push(attempt);
    failure.into_error()
}
