//! A request to upstreams, over all of its attempts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use plan::front::UpstreamCall;
use plan::front::upstream::NextUpstream;
use proto::http1::ResponseStyle;
use proto::uwsgi::packet_head;
use tls::Identity;
use tokio::time::Instant;

use crate::error::{Failure, FailureKind};
use crate::exchange::Progress;
use crate::outgoing::{Outgoing, Say};
use crate::peers::{Balancer, Tried};
use crate::send::Sender;

/// What is known about a call over its attempts, and how far the last one came. In a box that one
/// request of the thread leaves to the next.
#[derive(Debug)]
pub(crate) struct Request {
    pub sender: Sender,
    /// Connections must be under TLS, and made for it.
    pub tls: Option<Arc<Identity>>,
    pub style: ResponseStyle,
    pub method_is_head: bool,
    pub progress: Progress,
    pub idempotent: bool,
    pub client: Option<IpAddr>,
    pub tried: Tried,
    pub times: Times,
    tries_left: usize,
    /// When it began, if its time is limited.
    begun: Option<Instant>,
}

/// Times of the last attempt, if anybody asks for them.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub begun: Option<Instant>,
    /// How long connecting took; zero on a connection that was kept.
    pub connect: Option<Duration>,
}

impl Request {
    pub fn new(
        outgoing: Outgoing,
        call: &UpstreamCall,
        balancer: &Balancer,
    ) -> Result<Request, Failure> {
        let Outgoing { tls, say, body, method_is_head, idempotent, client, .. } = outgoing;
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
            tls,
            style,
            method_is_head,
            progress: Progress::default(),
            idempotent,
            client,
            tried: Tried::default(),
            times: Times::default(),
            tries_left: tries_max(&call.next, balancer),
            begun: (!call.next.within.is_zero()).then(Instant::now),
        })
    }

    /// Counts an attempt; whether there may be one after it.
    pub fn may_go_on(&mut self, next: &NextUpstream) -> bool {
        self.tries_left = self.tries_left.saturating_sub(1);
        self.tries_left != 0 && self.begun.is_none_or(|begun| begun.elapsed() < next.within)
    }

    /// Whether the request may go to another peer. What was surely not sent may always.
    pub fn may_repeat(&self, next: &NextUpstream, unsent: bool) -> bool {
        self.sender.can_restart() && (unsent || self.idempotent || next.non_idempotent)
    }
}

impl Times {
    pub fn elapsed(&self) -> Option<Duration> {
        self.begun.map(|begun| begun.elapsed())
    }
}

fn tries_max(next: &NextUpstream, balancer: &Balancer) -> usize {
    match next.tries as usize {
        0 => balancer.tries,
        tries => tries.min(balancer.tries),
    }
}
