//! Accepting on a listening socket that several threads (and the master) share.
//!
//! Every thread registers its own duplicate, edge-triggered. All threads hear of a new
//! connection and one gets it; with few threads that costs less than handing connections over.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tokio::net::{TcpListener, UnixListener};

use crate::{Peer, Stream};

/// A listening socket as one thread sees it.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix stream socket.
    Unix(UnixListener),
}

impl Listener {
    /// Registers a duplicate of a listening socket with this thread's runtime.
    ///
    /// # Errors
    /// If it is not a socket, or of a family nobody listens on, or descriptors are used up.
    pub fn register(socket: BorrowedFd<'_>) -> io::Result<Listener> {
        let socket: OwnedFd = socket.try_clone_to_owned()?;
        let tcp = std::net::TcpListener::from(socket);
        if tcp.local_addr().is_ok() {
            tcp.set_nonblocking(true)?;
            return Ok(Listener::Tcp(TcpListener::from_std(tcp)?));
        }
        let unix = std::os::unix::net::UnixListener::from(OwnedFd::from(tcp));
        unix.local_addr()?;
        unix.set_nonblocking(true)?;
        Ok(Listener::Unix(UnixListener::from_std(unix)?))
    }

    /// The next connection.
    ///
    /// # Errors
    /// As of accept(2): the connection may have gone already, or descriptors may be used up.
    pub async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers leave in one write; what follows in pieces must not wait for
                // acknowledgements. A failure only costs time.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Peer::Inet(peer)))
            }
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::Unix))
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(listener) => listener.as_fd(),
        }
    }
}
