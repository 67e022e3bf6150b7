//! Stream sockets without waiting: accept, receive, send; and the few options they need.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// Who is on the other end of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An IP address and port.
    Inet(SocketAddr),
    /// A process of this machine.
    Unix,
}

/// Accepts one connection, non-blocking and close-on-exec.
///
/// # Errors
/// `WouldBlock` if nobody waits (the listener must be non-blocking); otherwise as of accept4(2).
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Peer)> {
    // SAFETY: an all-zero address is a valid value of this plain structure.
    let mut address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: address and length live on our stack and the length says the room.
    let fd = check(unsafe {
        libc::accept4(listener.as_raw_fd(), (&raw mut address).cast(), &mut length, flags)
    })?;
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok((fd, peer_of(&address)))
}

/// Connects to a Unix stream socket without waiting: close-on-exec and non-blocking. A name that
/// begins with NUL is an abstract one. Unlike std's sockets it is connected, or not, at once.
///
/// # Errors
/// `WouldBlock` if the listener's backlog is full; otherwise as of connect(2).
pub fn connect_unix(name: &[u8]) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes numbers only.
    let fd = check(unsafe { libc::socket(libc::AF_UNIX, kind, 0) })?;
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: an all-zero sockaddr_un is a valid value.
    let mut raw: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
    if name.len() >= raw.sun_path.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in raw.sun_path.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    // An abstract name ends where its length says, a path with its NUL.
    let end = usize::from(name.first() != Some(&0));
    let bytes = std::mem::offset_of!(libc::sockaddr_un, sun_path) + name.len() + end;
    let length = bytes as libc::socklen_t;
    // SAFETY: `length` is at most the size of `raw`, which lives through the call.
    check(unsafe { libc::connect(fd.as_raw_fd(), (&raw const raw).cast(), length) })?;
    Ok(fd)
}

/// The address a connected or bound socket has on our side; `None` for Unix sockets.
///
/// # Errors
/// As of getsockname(2).
pub fn local_address(socket: BorrowedFd<'_>) -> io::Result<Option<SocketAddr>> {
    // SAFETY: an all-zero address is a valid value of this plain structure.
    let mut address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: address and length live on our stack and the length says the room.
    check(unsafe {
        libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &mut length)
    })?;
    Ok(match peer_of(&address) {
        Peer::Inet(address) => Some(address),
        Peer::Unix => None,
    })
}

fn peer_of(address: &libc::sockaddr_storage) -> Peer {
    match i32::from(address.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel wrote a `sockaddr_in` here, and the
            // storage is large enough and aligned for it.
            let v4 = unsafe { &*std::ptr::from_ref(address).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Peer::Inet(SocketAddr::new(IpAddr::V4(ip), u16::from_be(v4.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for `sockaddr_in6`.
            let v6 = unsafe { &*std::ptr::from_ref(address).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Peer::Inet(SocketAddr::new(IpAddr::V6(ip), u16::from_be(v6.sin6_port)))
        }
        _ => Peer::Unix,
    }
}

/// Receives what is there, up to the length of `room`; 0 is the end of the stream.
///
/// # Errors
/// `WouldBlock` if there is nothing; otherwise as of recv(2).
pub fn receive(socket: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the room is valid for writes of its own length.
    let count = unsafe {
        libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT)
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Receives what is there behind what `buffer` holds already, at most `bytes_max`; 0 is the end
/// of the stream.
///
/// # Errors
/// `WouldBlock` if there is nothing; otherwise as of recv(2).
pub fn receive_into(
    socket: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
    bytes_max: usize,
) -> io::Result<usize> {
    buffer.reserve(bytes_max);
    // SAFETY: at least `bytes_max` bytes behind the length are reserved.
    let count = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().add(buffer.len()).cast(),
            bytes_max,
            libc::MSG_DONTWAIT,
        )
    };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has written `count` bytes behind the length, within the capacity.
    unsafe { buffer.set_len(buffer.len() + count) };
    Ok(count)
}

/// Whether a read would find something: bytes, the end or an error.
pub fn has_input(socket: BorrowedFd<'_>) -> bool {
    peek(socket).map_or_else(|error| error.kind() != io::ErrorKind::WouldBlock, |_| true)
}

/// Whether there are bytes that nobody has read: a close would be seen as a reset.
pub fn has_unread_bytes(socket: BorrowedFd<'_>) -> bool {
    peek(socket).is_ok_and(|count| count > 0)
}

/// How much of one byte could be read.
fn peek(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut byte = [0u8; 1];
    let flags = libc::MSG_DONTWAIT | libc::MSG_PEEK;
    // SAFETY: the room is one byte long, as is said.
    let count = unsafe { libc::recv(socket.as_raw_fd(), byte.as_mut_ptr().cast(), 1, flags) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Sends as much as the socket takes. `more` tells the kernel that the rest follows at once.
///
/// # Errors
/// `WouldBlock` if it takes nothing; otherwise as of send(2), never with a signal.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], more: bool) -> io::Result<usize> {
    let mut flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    if more {
        flags |= libc::MSG_MORE;
    }
    // SAFETY: the bytes are valid for reads of their own length.
    let count =
        unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Sends as much of several pieces, in order, as the socket takes.
///
/// # Errors
/// `WouldBlock` if it takes nothing; otherwise as of sendmsg(2), never with a signal.
pub fn send_pieces(socket: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: an all-zero message header is a valid value of this plain structure.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = pieces.len() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `IoSlice` has the layout of `iovec`; sendmsg reads the pieces only.
    let count = unsafe { libc::sendmsg(socket.as_raw_fd(), &message, flags) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Sends small writes at once (TCP_NODELAY). Unix sockets have no such option: ignored there.
pub fn send_at_once(socket: BorrowedFd<'_>) {
    let _ = set_option(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, &1 as &libc::c_int);
}

/// Makes the next close a reset: what has not been sent is dropped, and the peer sees that the
/// connection was cut.
///
/// # Errors
/// As of setsockopt(2).
pub fn reset_on_close(socket: BorrowedFd<'_>) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    set_option(socket, libc::SOL_SOCKET, libc::SO_LINGER, &linger)
}

/// Bytes that the peer has not acknowledged (TCP) or read (Unix) yet.
///
/// # Errors
/// As of ioctl(2).
pub fn unsent_bytes(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ writes one int, which outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &mut bytes) })?;
    Ok(u64::from(bytes.unsigned_abs()))
}

/// Says that nothing more will be sent.
pub fn finish_sending(socket: BorrowedFd<'_>) {
    // SAFETY: takes numbers only; the descriptor is borrowed and therefore open.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) };
}

/// Ends both directions for everybody who holds the descriptor.
pub fn shut(socket: BorrowedFd<'_>) {
    // SAFETY: takes numbers only; the descriptor is borrowed and therefore open.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
}

/// Makes the descriptor (and everything that shares its open file) non-blocking.
///
/// # Errors
/// As of fcntl(2).
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes numbers only; the descriptor is borrowed and therefore open.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}

fn set_option<T>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the value is valid for reads of the length that is said.
    check(unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_unix_socket_is_connected_at_once_by_path_and_by_abstract_name() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixListener};
        let name = format!("propylon-test-{}", std::process::id());
        let _abstract =
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        assert!(connect_unix(format!("\0{name}").as_bytes()).is_ok());
        let path = std::env::temp_dir().join(format!("{name}.sock"));
        let listener = UnixListener::bind(&path).unwrap();
        let path = path.as_os_str().as_encoded_bytes();
        let client = connect_unix(path).unwrap();
        assert_eq!(send_pieces(client.as_fd(), &[IoSlice::new(b"early")]).unwrap(), 5);
        assert!(listener.accept().is_ok());
        std::fs::remove_file(std::env::temp_dir().join(format!("{name}.sock"))).unwrap();
        assert_eq!(connect_unix(path).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(connect_unix(&[b'x'; 200]).is_err());
    }

    #[test]
    fn what_is_sent_arrives_and_an_empty_socket_does_not_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, peer) = accept(listener.as_fd()).unwrap();
        assert_eq!(peer, Peer::Inet(client.local_addr().unwrap()));
        assert_eq!(local_address(server.as_fd()).unwrap(), Some(address));
        let mut buffer = Vec::new();
        let nothing = receive_into(server.as_fd(), &mut buffer, 10).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        let pieces = [IoSlice::new(b"ab"), IoSlice::new(b"cd")];
        assert_eq!(send_pieces(client.as_fd(), &pieces).unwrap(), 4);
        crate::poll::readable(&[server.as_fd()], Some(1000)).unwrap();
        assert!(has_input(server.as_fd()));
        assert_eq!(receive_into(server.as_fd(), &mut buffer, 10).unwrap(), 4);
        assert_eq!(buffer, b"abcd");
    }
}
