//! Which peer of a group is called: nginx's smooth weighted round robin, least connections, and
//! the client's address; and which peers are left alone for a while.
//!
//! A policy: no clock, no socket. Time comes in as milliseconds of the monotonic clock.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use plan::FrontPlan;
use plan::front::upstream::{Balance, Group, Peer, PeerAddress};

/// Rounds that `ip_hash` looks for a live peer before it falls back to round robin.
const HASH_ROUNDS_MAX: u32 = 20;

/// The groups of one plan and the health of their peers, shared by all threads.
#[derive(Debug)]
pub struct PeerStates {
    /// In the plan's order.
    pub(crate) groups: Vec<Arc<Balancer>>,
    /// Whether anybody asks how long upstreams take.
    pub(crate) keeps_times: bool,
}

impl PeerStates {
    /// All peers are thought to be well.
    pub fn new(plan: &FrontPlan) -> Arc<PeerStates> {
        let groups = plan.groups.iter().map(|group| Arc::new(Balancer::new(group))).collect();
        Arc::new(PeerStates { groups, keeps_times: plan.reads_upstream_times })
    }
}

/// A group and the state of its peers.
#[derive(Debug)]
pub(crate) struct Balancer {
    pub name: String,
    pub peers: Vec<BalancedPeer>,
    pub keepalive: usize,
    pub keepalive_timeout_ms: u64,
    pub keepalive_requests: u32,
    /// How many peers a request may try at most.
    pub tries: usize,
    balance: Balance,
    /// There is more than one peer to choose from, or a limit to keep: what is known about the
    /// only peer of a group without one never matters.
    keeps_states: bool,
    /// Somebody asks how many connections a peer has.
    counts_connections: bool,
    /// Guards the counters of all peers; held for one choice or one report, never across a wait.
    states: Mutex<Vec<PeerState>>,
}

/// What does not change about a peer.
#[derive(Debug)]
pub(crate) struct BalancedPeer {
    pub address: PeerAddress,
    pub written: String,
    weight: i64,
    max_fails: u32,
    fail_timeout_ms: u64,
    max_conns: u32,
    backup: bool,
    down: bool,
}

#[derive(Clone, Debug, Default)]
struct PeerState {
    current_weight: i64,
    effective_weight: i64,
    connections: u32,
    fails: u32,
    /// When it failed last.
    failed_at: u64,
    /// When a failed peer was last given a chance.
    checked_at: u64,
}

/// Peers a request has already tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried(Vec<usize>);

impl Balancer {
    pub fn new(group: &Group) -> Balancer {
        let peers: Vec<BalancedPeer> = group.peers.iter().map(BalancedPeer::new).collect();
        Balancer {
            keepalive: group.keepalive as usize,
            keepalive_timeout_ms: millis(group.keepalive_timeout),
            keepalive_requests: group.keepalive_requests,
            ..Balancer::of(&group.name, peers, group.balance.clone())
        }
    }

    /// A group of one, for an address worked out at request time.
    pub fn single(address: PeerAddress, written: &str) -> Balancer {
        let peer = BalancedPeer {
            address,
            written: written.to_owned(),
            weight: 1,
            max_fails: 0,
            fail_timeout_ms: 0,
            max_conns: 0,
            backup: false,
            down: false,
        };
        Balancer::of(written, vec![peer], Balance::RoundRobin)
    }

    /// A group that keeps no connections.
    fn of(name: &str, peers: Vec<BalancedPeer>, balance: Balance) -> Balancer {
        let limited = peers.iter().any(|peer| peer.max_conns != 0);
        let state = |peer: &BalancedPeer| PeerState {
            effective_weight: peer.weight,
            ..PeerState::default()
        };
        Balancer {
            name: name.to_owned(),
            keepalive: 0,
            keepalive_timeout_ms: 0,
            keepalive_requests: 0,
            tries: peers.iter().filter(|peer| !peer.down).count(),
            keeps_states: limited || peers.len() > 1,
            counts_connections: limited || balance == Balance::LeastConn,
            balance,
            states: Mutex::new(peers.iter().map(state).collect()),
            peers,
        }
    }

    /// Chooses a peer that `tried` does not hold and adds it there; `None` if nobody is live.
    /// Whoever has chosen says when that is over ([`Balancer::note_end`]).
    pub fn choose(&self, tried: &mut Tried, client: Option<IpAddr>, now: u64) -> Option<usize> {
        if !self.keeps_states {
            return self.peers.first().filter(|only| !only.down).map(|_| 0);
        }
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self
            .choose_among(&mut states, tried, client, now, false)
            .or_else(|| self.choose_among(&mut states, tried, client, now, true))?;
        let (peer, state) = (self.peers.get(index)?, states.get_mut(index)?);
        state.connections = state.connections.saturating_add(1);
        if now.saturating_sub(state.checked_at) > peer.fail_timeout_ms {
            state.checked_at = now;
        }
        // Nobody else to try: saves an allocation on the most common way.
        if self.peers.len() > 1 {
            tried.0.push(index);
        }
        Some(index)
    }

    fn choose_among(
        &self,
        states: &mut [PeerState],
        tried: &Tried,
        client: Option<IpAddr>,
        now: u64,
        backup: bool,
    ) -> Option<usize> {
        if let [only] = self.peers.as_slice() {
            return (only.backup == backup && self.is_live(0, states, now)).then_some(0);
        }
        let live: Vec<usize> = (0..self.peers.len())
            .filter(|&index| self.peers[index].backup == backup && !tried.0.contains(&index))
            .filter(|&index| self.is_live(index, states, now))
            .collect();
        match self.balance {
            _ if live.len() <= 1 => live.first().copied(),
            Balance::LeastConn => self.round_robin(states, &self.least_busy(states, &live)),
            Balance::IpHash if !backup => match client.and_then(|ip| self.by_hash(ip, &live)) {
                Some(index) => Some(index),
                None => self.round_robin(states, &live),
            },
            Balance::IpHash | Balance::RoundRobin => self.round_robin(states, &live),
        }
    }

    fn is_live(&self, index: usize, states: &[PeerState], now: u64) -> bool {
        let (Some(peer), Some(state)) = (self.peers.get(index), states.get(index)) else {
            return false;
        };
        // The only peer of a group is never given up: that would help nobody.
        let rests = self.peers.len() > 1
            && peer.max_fails != 0
            && state.fails >= peer.max_fails
            && now.saturating_sub(state.checked_at) <= peer.fail_timeout_ms;
        let full = peer.max_conns != 0 && state.connections >= peer.max_conns;
        !peer.down && !rests && !full
    }

    /// Everybody gains its weight, the richest is chosen and pays what all gained: the choices
    /// of a heavy peer are spread evenly between those of the others.
    fn round_robin(&self, states: &mut [PeerState], live: &[usize]) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for &index in live {
            let (peer, state) = (self.peers.get(index)?, states.get_mut(index)?);
            state.current_weight += state.effective_weight;
            total += state.effective_weight;
            // Trust that was lost by failing comes back step by step.
            if state.effective_weight < peer.weight {
                state.effective_weight += 1;
            }
            if best.is_none_or(|(_, weight)| state.current_weight > weight) {
                best = Some((index, state.current_weight));
            }
        }
        let (index, _) = best?;
        states.get_mut(index)?.current_weight -= total;
        Some(index)
    }

    /// The live peers with the fewest connections for their weight.
    fn least_busy(&self, states: &[PeerState], live: &[usize]) -> Vec<usize> {
        let load = |index: usize| {
            // Compared over a common denominator, so that no precision is lost.
            let connections = states.get(index).map_or(0, |state| i64::from(state.connections));
            let weight = self.peers.get(index).map_or(1, |peer| peer.weight);
            (connections, weight)
        };
        let less = |a: (i64, i64), b: (i64, i64)| (a.0 * b.1).cmp(&(b.0 * a.1));
        let Some(least) = live.iter().map(|&index| load(index)).min_by(|a, b| less(*a, *b)) else {
            return Vec::new();
        };
        live.iter().copied().filter(|&index| less(load(index), least).is_eq()).collect()
    }

    /// nginx's hash of the address: the first three bytes of IPv4, all of IPv6.
    fn by_hash(&self, client: IpAddr, live: &[usize]) -> Option<usize> {
        let total: i64 =
            self.peers.iter().filter(|peer| !peer.backup).map(|peer| peer.weight).sum();
        let mut hash: u32 = 89;
        for _ in 0..HASH_ROUNDS_MAX {
            hash = match client {
                IpAddr::V4(ip) => fold(hash, &ip.octets()[..3]),
                IpAddr::V6(ip) => fold(hash, &ip.octets()),
            };
            let mut left = i64::from(hash) % total.max(1);
            let primary = (0..self.peers.len()).filter(|&index| !self.peers[index].backup);
            for index in primary {
                left -= self.peers.get(index)?.weight;
                if left < 0 {
                    if live.contains(&index) {
                        return Some(index);
                    }
                    break;
                }
            }
        }
        None
    }

    /// An attempt with the peer has failed.
    pub fn note_failure(&self, index: usize, now: u64) {
        if !self.keeps_states {
            return;
        }
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(peer), Some(state)) = (self.peers.get(index), states.get_mut(index)) else {
            return;
        };
        state.fails = state.fails.saturating_add(1);
        state.failed_at = now;
        state.checked_at = now;
        if peer.max_fails != 0 {
            let loss = peer.weight / i64::from(peer.max_fails);
            state.effective_weight = (state.effective_weight - loss).max(0);
        }
    }

    /// The peer has answered.
    pub fn note_success(&self, index: usize) {
        if !self.keeps_states {
            return;
        }
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get_mut(index)
            && state.failed_at < state.checked_at
        {
            state.fails = 0;
        }
    }

    /// The peer has one connection less.
    pub fn note_end(&self, index: usize) {
        if !self.counts_connections {
            return;
        }
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get_mut(index) {
            state.connections = state.connections.saturating_sub(1);
        }
    }
}

impl BalancedPeer {
    fn new(peer: &Peer) -> BalancedPeer {
        BalancedPeer {
            address: peer.address.clone(),
            written: peer.written.clone(),
            weight: i64::from(peer.weight.max(1)),
            max_fails: peer.max_fails,
            fail_timeout_ms: millis(peer.fail_timeout),
            max_conns: peer.max_conns,
            backup: peer.backup,
            down: peer.down,
        }
    }
}

fn fold(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |hash, byte| (hash * 113 + u32::from(*byte)) % 6271)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use plan::Address;

    use super::*;

    /// Peers by weight; a minus makes a backup.
    fn balancer(balance: Balance, weights: &[i32]) -> Balancer {
        let peer = |(index, weight): (usize, &i32)| Peer {
            address: PeerAddress::Socket(Address::Unix(PathBuf::from("/x"))),
            written: index.to_string(),
            weight: weight.unsigned_abs(),
            max_fails: 1,
            fail_timeout: Duration::from_secs(10),
            max_conns: 0,
            backup: *weight < 0,
            down: *weight == 0,
        };
        let peers = weights.iter().enumerate().map(peer).collect();
        Balancer::new(&Group {
            name: "g".into(),
            default_port: None,
            peers,
            balance,
            keepalive: 0,
            keepalive_timeout: Duration::ZERO,
            keepalive_requests: 0,
        })
    }

    /// Chooses for a request that is over at once.
    fn choice(balancer: &Balancer, client: Option<IpAddr>, now: u64) -> usize {
        let index = balancer.choose(&mut Tried::default(), client, now).unwrap();
        balancer.note_end(index);
        index
    }

    fn choices(balancer: &Balancer, count: usize) -> Vec<usize> {
        (0..count).map(|_| choice(balancer, None, 0)).collect()
    }

    #[test]
    fn weights_are_spread_smoothly() {
        let balancer = balancer(Balance::RoundRobin, &[5, 1, 1]);
        assert_eq!(choices(&balancer, 7), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn a_failed_peer_rests_for_its_time_and_then_gets_one_chance() {
        let balancer = balancer(Balance::RoundRobin, &[1, 1]);
        let failed = choice(&balancer, None, 0);
        balancer.note_failure(failed, 0);
        let at = |now| choice(&balancer, None, now);
        assert_eq!([at(1), at(5_000), at(10_000)], [1, 1, 1]);
        let mut tried = Tried::default();
        let chosen: Vec<usize> =
            (0..2).map(|_| balancer.choose(&mut tried, None, 10_001).unwrap()).collect();
        assert!(chosen.contains(&0));
        balancer.note_success(0);
        assert!(choices(&balancer, 4).contains(&0));
    }

    #[test]
    fn backups_serve_only_when_no_other_is_live_and_nobody_is_tried_twice() {
        let balancer = balancer(Balance::RoundRobin, &[1, -1, 0]);
        assert_eq!(choices(&balancer, 3), [0, 0, 0]);
        let mut tried = Tried::default();
        let order: Vec<_> = std::iter::from_fn(|| balancer.choose(&mut tried, None, 0)).collect();
        assert_eq!(order, [0, 1]);
    }

    #[test]
    fn the_least_busy_peer_for_its_weight_is_chosen() {
        let balancer = balancer(Balance::LeastConn, &[1, 2]);
        let mut held = [0, 0];
        for _ in 0..6 {
            held[balancer.choose(&mut Tried::default(), None, 0).unwrap()] += 1;
        }
        assert_eq!(held, [2, 4]);
        for _ in 0..4 {
            balancer.note_end(1);
        }
        assert_eq!(choices(&balancer, 1), [1]);
    }

    #[test]
    fn a_client_address_keeps_its_peer_and_its_neighbours_share_it() {
        let balancer = balancer(Balance::IpHash, &[1, 1, 1]);
        let at = |ip: &str| choice(&balancer, Some(ip.parse().unwrap()), 0);
        assert_eq!(at("10.1.2.3"), at("10.1.2.200"));
        let spread: std::collections::BTreeSet<_> =
            (0..50).map(|net| at(&format!("10.1.{net}.1"))).collect();
        assert_eq!(spread.len(), 3);
    }

    #[test]
    fn the_only_peer_is_never_given_up() {
        let balancer = balancer(Balance::RoundRobin, &[1]);
        for now in 0..3 {
            let only = choice(&balancer, None, now);
            balancer.note_failure(only, now);
        }
    }
}
