//! A site's `uwsgi_pass` to a socket of our own app takes the private channel instead.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use plan::Address;
use plan::app::{AppPlan, Protocol};
use plan::front::upstream::{PeerAddress, Speak, Target};
use plan::front::{FrontPlan, GroupId, Handler, UpstreamCall};
use supervise::driver::app::APP;

/// Points every uwsgi peer that is a socket of `app` at the app itself, and returns how many
/// there were. The sockets stay open for everybody else.
pub fn join(front: &mut FrontPlan, app: &AppPlan) -> usize {
    let own = app.sockets.iter().filter(|socket| socket.protocol == Protocol::Uwsgi);
    let own: Vec<&Address> = own.map(|socket| &socket.address).collect();
    let uwsgi_groups: Vec<GroupId> =
        calls(front).filter(|(_, uwsgi)| *uwsgi).map(|(group, _)| group).collect();
    let http_groups: Vec<GroupId> =
        calls(front).filter(|(_, uwsgi)| !uwsgi).map(|(group, _)| group).collect();
    let mut joined = 0;
    for (index, group) in front.groups.iter_mut().enumerate() {
        let id = GroupId(index as u32);
        // The private channel carries uwsgi variables: a group that is (also) spoken to in HTTP
        // or under TLS keeps its sockets.
        if !uwsgi_groups.contains(&id) || http_groups.contains(&id) {
            continue;
        }
        for peer in &mut group.peers {
            let PeerAddress::Socket(address) = &peer.address else { continue };
            if own.iter().any(|socket| same(socket, address)) {
                peer.address = PeerAddress::App(APP);
                joined += 1;
            }
        }
    }
    joined
}

/// The group of every upstream call, and whether uwsgi is spoken to it without TLS.
fn calls(front: &FrontPlan) -> impl Iterator<Item = (GroupId, bool)> + '_ {
    front.locations.iter().filter_map(|location| match &location.handler {
        Handler::Upstream(call) => match call.target {
            Target::Group(group) => Some((group, is_plain_uwsgi(call))),
            Target::Dynamic(_) => None,
        },
        _ => None,
    })
}

fn is_plain_uwsgi(call: &UpstreamCall) -> bool {
    matches!(call.speak, Speak::Uwsgi { .. }) && call.tls.is_none()
}

/// Whether a connection to `peer` would reach `socket`.
fn same(socket: &Address, peer: &Address) -> bool {
    match (socket, peer) {
        (Address::Inet(socket), Address::Inet(peer)) => same_inet(*socket, *peer),
        (Address::Unix(socket), Address::Unix(peer)) => canonical(socket) == canonical(peer),
        (Address::Abstract(socket), Address::Abstract(peer)) => socket == peer,
        _ => false,
    }
}

/// A socket on every address is reached through every loopback address.
fn same_inet(socket: SocketAddr, peer: SocketAddr) -> bool {
    let covers = match (socket.ip(), peer.ip()) {
        (IpAddr::V4(any), IpAddr::V4(peer)) if any.is_unspecified() => peer.is_loopback(),
        (IpAddr::V6(any), IpAddr::V6(peer)) if any.is_unspecified() => peer.is_loopback(),
        (socket, peer) => socket == peer,
    };
    socket.port() == peer.port() && covers
}

/// The path with the links of its directory followed; the socket itself may not exist yet.
fn canonical(path: &Path) -> PathBuf {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return path.to_path_buf();
    };
    match std::fs::canonicalize(path)
        .or_else(|_| std::fs::canonicalize(folder).map(|folder| folder.join(name)))
    {
        Ok(found) => found,
        Err(_) => path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(text: &str) -> Address {
        Address::Inet(text.parse().unwrap())
    }

    #[test]
    fn a_socket_on_every_address_is_reached_through_the_loopback_only() {
        assert!(same(&inet("0.0.0.0:3031"), &inet("127.0.0.1:3031")));
        assert!(same(&inet("127.0.0.1:3031"), &inet("127.0.0.1:3031")));
        assert!(!same(&inet("0.0.0.0:3031"), &inet("10.1.2.3:3031")));
        assert!(!same(&inet("0.0.0.0:3031"), &inet("127.0.0.1:3032")));
    }

    #[test]
    fn two_spellings_of_a_path_are_one_socket() {
        let folder = std::env::temp_dir().join(format!("join-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("real")).unwrap();
        std::os::unix::fs::symlink(folder.join("real"), folder.join("link")).unwrap();
        let direct = Address::Unix(folder.join("real/app.sock"));
        let linked = Address::Unix(folder.join("link/../link/app.sock"));
        assert!(same(&direct, &linked));
        assert!(!same(&direct, &Address::Unix(folder.join("real/other.sock"))));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
