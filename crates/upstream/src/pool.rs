//! Connections of this thread that wait for their next request.

use std::cell::RefCell;

use bytes::BytesMut;
use net::{Stream, Watched};
use proto::http1::{ResponseReader, ResponseStyle};
use tls::Identity;

use crate::peers::Balancer;

/// An open connection to a peer; in a box, because it changes hands several times a request.
#[derive(Debug)]
pub(crate) struct Connection {
    pub stream: Stream,
    /// What was received and not yet taken.
    pub inbox: BytesMut,
    /// Requests it has served, the current one included.
    pub requests: u32,
    /// It served a request before this one.
    pub reused: bool,
    /// Reads the heads of its answers.
    pub reader: ResponseReader,
    /// When whoever waits for the peer loses patience.
    pub watched: Watched,
}

impl Connection {
    pub fn new(stream: Stream, watched: Watched, inbox: BytesMut) -> Box<Connection> {
        Box::new(Connection {
            stream,
            inbox,
            requests: 1,
            reused: false,
            reader: ResponseReader::new(ResponseStyle::Http),
            watched,
        })
    }

    /// Whether the peer is still there and silent: a connection that says something between two
    /// answers, or has ended, is of no use.
    fn is_quiet(&mut self) -> bool {
        let mut byte = [0u8; 1];
        let read = match &mut self.stream {
            Stream::Tcp(stream) => stream.try_read(&mut byte),
            Stream::Unix(stream) => stream.try_read(&mut byte),
            Stream::Tls(secured) => return self.inbox.is_empty() && secured.is_quiet(),
        };
        self.inbox.is_empty()
            && read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Whether a request that asks for `tls`, or for plain text, may take it.
    fn is_for(&self, tls: Option<&Identity>) -> bool {
        match (&self.stream, tls) {
            (Stream::Tls(secured), Some(tls)) => secured.is_for(tls),
            (Stream::Tls(_), None) | (_, Some(_)) => false,
            (_, None) => true,
        }
    }
}

/// Idle connections to the peers of one group, most recently used last.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: RefCell<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    peer: usize,
    since: u64,
}

impl Pool {
    /// Takes a live connection to that peer, the one used last; one made under TLS only for
    /// those who ask for the same. Dead and stale ones on the way are closed.
    pub fn take(
        &self,
        group: &Balancer,
        (peer, tls): (usize, Option<&Identity>),
        now: u64,
    ) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let fits = |idle: &Idle| idle.peer == peer && idle.connection.is_for(tls);
            let found = idle.iter().rposition(fits)?;
            let Idle { mut connection, since, .. } = idle.remove(found);
            let stale = now.saturating_sub(since) >= group.keepalive_timeout_ms;
            if !stale && connection.is_quiet() {
                connection.requests += 1;
                connection.reused = true;
                return Some(connection);
            }
        }
    }

    /// Keeps a connection if the group has room and the connection has not served its time.
    pub fn keep(&self, group: &Balancer, peer: usize, connection: Box<Connection>, now: u64) {
        if group.keepalive == 0
            || connection.requests >= group.keepalive_requests
            || !connection.inbox.is_empty()
        {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= group.keepalive {
            idle.remove(0);
        }
        idle.push(Idle { connection, peer, since: now });
    }

    /// Closes connections that have been idle for longer than the group allows, or have ended.
    pub fn sweep(&self, group: &Balancer, now: u64) {
        self.idle.borrow_mut().retain_mut(|idle| {
            now.saturating_sub(idle.since) < group.keepalive_timeout_ms
                && idle.connection.is_quiet()
        });
    }
}
