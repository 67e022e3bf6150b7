//! A group of peers as one thread uses it.

use std::rc::Rc;
use std::sync::Arc;

use plan::front::upstream::PeerAddress;
use tls::Identity;

use crate::peers::{BalancedPeer, Balancer};
use crate::pool::{Connection, Pool};
use crate::request::Request;
use crate::spares::Spares;

/// What all threads know about a group, and what this one has of it.
#[derive(Debug)]
pub(crate) struct Group {
    pub balancer: Arc<Balancer>,
    pub spares: Rc<Spares>,
    /// The group's name as traces have it: no count is shared with other threads.
    pub name: Rc<str>,
    /// Names of the peers, likewise.
    peer_names: Vec<Rc<str>>,
    pool: Pool,
}

/// A peer that was chosen; its group hears that this is over when it is dropped.
#[derive(Debug)]
pub(crate) struct Chosen {
    group: Rc<Group>,
    index: usize,
}

impl Group {
    pub fn new(balancer: Arc<Balancer>, spares: Rc<Spares>) -> Rc<Group> {
        let name = balancer.name.as_str().into();
        let peer_names = balancer.peers.iter().map(|peer| peer.written.as_str().into()).collect();
        Rc::new(Group { balancer, spares, name, peer_names, pool: Pool::default() })
    }

    /// A group of one, for an address worked out at request time.
    pub fn single(address: &PeerAddress, written: &str, spares: Rc<Spares>) -> Rc<Group> {
        Group::new(Arc::new(Balancer::single(address.clone(), written)), spares)
    }

    /// The app of this server that is called instead of a socket: it is alone in its group.
    pub fn app(&self) -> Option<(u16, &Rc<str>)> {
        match (self.balancer.peers.as_slice(), self.peer_names.as_slice()) {
            ([BalancedPeer { address: PeerAddress::App(app), .. }], [name]) => Some((*app, name)),
            _ => None,
        }
    }

    /// Closes connections that have been idle for too long, or have ended.
    pub fn sweep(&self, now: u64) {
        self.pool.sweep(&self.balancer, now);
    }
}

impl Chosen {
    /// A peer for the next attempt of a request; `None` if nobody is live.
    pub fn new(group: &Rc<Group>, request: &mut Request, now: u64) -> Option<Chosen> {
        let index = group.balancer.choose(&mut request.tried, request.client, now)?;
        Some(Chosen { group: group.clone(), index })
    }

    pub fn peer(&self) -> &BalancedPeer {
        &self.group.balancer.peers[self.index]
    }

    /// Its name, for traces.
    pub fn name(&self) -> Rc<str> {
        self.group.peer_names[self.index].clone()
    }

    pub fn note_failure(&self, now: u64) {
        self.group.balancer.note_failure(self.index, now);
    }

    pub fn note_success(&self) {
        self.group.balancer.note_success(self.index);
    }

    /// Takes a live connection to the peer, made for `tls` if that is asked for.
    pub fn kept_connection(&self, tls: Option<&Identity>, now: u64) -> Option<Box<Connection>> {
        self.group.pool.take(&self.group.balancer, (self.index, tls), now)
    }

    /// Takes back what a request has used that has been sent; one that has not is given back.
    pub fn put_if_done(&self, request: Box<Request>) -> Option<Box<Request>> {
        if !request.sender.is_done() {
            return Some(request);
        }
        self.group.spares.put(request);
        None
    }

    /// Closes a connection whose answer has been read.
    pub fn close(&self, connection: Box<Connection>) {
        self.group.spares.put_inbox(connection.inbox);
    }

    /// Keeps a connection to the peer for its next request.
    pub fn keep(&self, connection: Box<Connection>, now: u64) {
        self.group.pool.keep(&self.group.balancer, self.index, connection, now);
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.group.balancer.note_end(self.index);
    }
}
