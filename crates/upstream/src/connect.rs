//! Opening a connection to a peer.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use net::Stream;
use plan::Address;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use crate::error::{During, Failure, FailureKind};
use crate::send::Sender;

/// First and longest pause while a Unix socket's backlog is full: the kernel refuses at once
/// where it would let TCP wait.
const BACKLOG_PAUSE_FIRST: Duration = Duration::from_millis(1);
const BACKLOG_PAUSE_MAX: Duration = Duration::from_millis(50);

/// Connects within `patience`. `written` is the peer's address as the user wrote it. Where that
/// can be done at once, the beginning of the request is sent before anything else: a peer that
/// accepts before the request is there goes to sleep once more.
pub(crate) async fn connect(
    address: &Address,
    written: &str,
    patience: Duration,
    sender: &mut Sender,
) -> Result<Stream, Failure> {
    match timeout(patience, open(address, sender)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Failure::connect(written, &error)),
        Err(_) => Err(Failure::timed_out(During::Connecting)),
    }
    .map_err(|failure| Failure { nothing_received: true, ..failure })
    .inspect_err(|failure| debug_assert!(failure.kind != FailureKind::InvalidHead))
}

async fn open(address: &Address, sender: &mut Sender) -> io::Result<Stream> {
    match address {
        Address::Inet(address) => {
            let stream = TcpStream::connect(address).await?;
            // Requests leave in one write; waiting for more would only delay their tail.
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Address::Unix(path) => open_unix(path.as_os_str().as_encoded_bytes(), sender).await,
        Address::Abstract(name) => {
            let mut path = vec![0];
            path.extend_from_slice(name.as_bytes());
            open_unix(&path, sender).await
        }
        Address::Inherited(_) => Err(io::Error::from(io::ErrorKind::Unsupported)),
    }
}

async fn open_unix(path: &[u8], sender: &mut Sender) -> io::Result<Stream> {
    let mut pause = BACKLOG_PAUSE_FIRST;
    loop {
        match sys::socket::connect_unix(path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(pause).await;
                pause = (pause * 2).min(BACKLOG_PAUSE_MAX);
            }
            Err(error) => return Err(error),
            Ok(socket) => {
                sender.send_at_once(socket.as_fd());
                return Ok(Stream::Unix(UnixStream::from_std(socket.into())?));
            }
        }
    }
}
