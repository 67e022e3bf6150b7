//! A call: one attempt after the other until a peer answers, as `*_next_upstream` allows.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use message::ResponseHead;
use net::{Stream, Watch};
use plan::Address;
use plan::front::UpstreamCall;
use plan::front::upstream::{NextUpstream, PeerAddress};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::CallError;
use crate::answer::{Answer, AnswerBody, SocketBody};
use crate::apps::AppChannels;
use crate::connect::{connect, connect_at_once, connect_secured};
use crate::error::{Failure, FailureKind};
use crate::group::{Chosen, Group};
use crate::outgoing::{Outgoing, Whom};
use crate::peers::{BalancedPeer, Balancer, PeerStates};
use crate::pool::Connection;
use crate::request::{Request, Times};
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
        if let Some((app, name)) = group.app() {
            if outgoing.tls.is_some() {
                // Never in plain text where somebody asked for secrecy.
                let text = "an app of this server is not called under TLS";
                return Err(Failure::new(FailureKind::Error, text));
            }
            let begun = self.begun();
            let calling = self.apps.call((app, name.clone()), call, outgoing, begun, trace);
            return Ok(Way::App(Box::pin(calling)));
        }
        let request = self.spares.place(Request::new(outgoing, call, &group.balancer)?);
        Ok(Way::Sockets(group, request, trace))
    }

    /// Now, if anybody asks how long upstreams take.
    fn begun(&self) -> Option<Instant> {
        self.keeps_times.then(Instant::now)
    }

    async fn call_sockets(
        &self,
        group: &Rc<Group>,
        call: &UpstreamCall,
        mut request: Box<Request>,
        trace: &mut CallTrace,
    ) -> Result<Box<Answer>, CallError> {
        loop {
            let now = sys::clock::coarse_ms();
            let Some(chosen) = Chosen::new(group, &mut request, now) else {
                return Err(no_live_upstreams(group, trace));
            };
            let may_go_on = request.may_go_on(&call.next);
            request.times = Times { begun: self.begun(), connect: None };
            let failure = match self.attempt(&chosen, call, &mut request, trace).await {
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
                    let (begun, patience) = (request.times.begun, call.read_timeout);
                    let body = SocketBody::new(&head, connection, chosen, request, patience);
                    let body = AnswerBody::socket(body, begun);
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
    /// dead and repeating is safe, over a fresh one.
    async fn attempt(
        &self,
        chosen: &Chosen,
        call: &UpstreamCall,
        request: &mut Request,
        trace: &mut CallTrace,
    ) -> Result<(ResponseHead, Box<Connection>), Failure> {
        let result = loop {
            let opened = match self.connection_at_once(chosen, request) {
                Some(opened) => opened,
                // In a box: a call that waits for nothing here must not be as large as one that
                // does.
                None => Box::pin(self.open(chosen, call, request)).await,
            };
            let mut connection = match opened {
                Ok(connection) => connection,
                Err(failure) => break Err(failure),
            };
            request.times.connect = match connection.reused {
                true => request.times.begun.and(Some(Duration::ZERO)),
                false => request.times.elapsed(),
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
        attempt.connect_time = request.times.connect;
        attempt.bytes_sent = request.sender.bytes_sent;
        match &result {
            Ok((head, connection)) => {
                attempt.status = head.status;
                attempt.header_time = request.times.elapsed();
                attempt.bytes_received = connection.reader.head_bytes() as u64;
            }
            Err(failure) => {
                attempt.status = failure.status();
                attempt.response_time = request.times.elapsed();
            }
        }
        trace.push(attempt);
        result
    }

    /// A kept connection, or one that can be opened without waiting.
    fn connection_at_once(
        &self,
        chosen: &Chosen,
        request: &mut Request,
    ) -> Option<Result<Box<Connection>, Failure>> {
        let Request { sender, tls, .. } = request;
        if let Some(kept) = chosen.kept_connection(tls.as_deref(), sys::clock::coarse_ms()) {
            return Some(Ok(kept));
        }
        if tls.is_some() {
            return None;
        }
        let peer = chosen.peer();
        match socket(peer) {
            Ok(address) => {
                let opened = connect_at_once(address, &peer.written, sender)?;
                Some(opened.map(|stream| self.connection(stream)))
            }
            Err(failure) => Some(Err(failure)),
        }
    }

    async fn open(
        &self,
        chosen: &Chosen,
        call: &UpstreamCall,
        request: &mut Request,
    ) -> Result<Box<Connection>, Failure> {
        let Request { sender, tls, .. } = request;
        let BalancedPeer { written, .. } = chosen.peer();
        let (address, patience) = (socket(chosen.peer())?, call.connect_timeout);
        let stream = match tls {
            // In a box: those in plain text are many, and should not carry its size.
            Some(tls) => Box::pin(connect_secured(address, written, patience, tls)).await?,
            None => connect(address, written, patience, sender).await?,
        };
        Ok(self.connection(stream))
    }

    fn connection(&self, stream: Stream) -> Box<Connection> {
        Connection::new(stream, self.watch.join(), self.spares.inbox())
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

fn socket(peer: &BalancedPeer) -> Result<&Address, Failure> {
    match &peer.address {
        PeerAddress::Socket(address) => Ok(address),
        PeerAddress::App(_) => {
            let text = "an app of this server cannot share a group with other peers";
            Err(Failure::new(FailureKind::Error, text))
        }
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
