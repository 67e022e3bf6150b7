//! Opening a connection to a peer.

use std::borrow::Cow;
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
    let at_once = unix_name(address).map(|name| open_unix(&name, sender));
    let opened = match at_once {
        Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        Some(Ok(stream)) => Ok(stream),
        // In a box: a call over a kept connection must not be as large as one that waits here.
        _ => match Box::pin(timeout(patience, open(address, sender))).await {
            Ok(opened) => opened,
            Err(_) => {
                let failure = Failure::timed_out(During::Connecting);
                return Err(Failure { nothing_received: true, ..failure });
            }
        },
    };
    opened
        .map_err(|error| Failure::connect(written, &error))
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
        Address::Unix(_) | Address::Abstract(_) | Address::Inherited(_) => {
            let unsupported = || io::Error::from(io::ErrorKind::Unsupported);
            let name = unix_name(address).ok_or_else(unsupported)?;
            let mut pause = BACKLOG_PAUSE_FIRST;
            loop {
                sleep(pause).await;
                pause = (pause * 2).min(BACKLOG_PAUSE_MAX);
                match open_unix(&name, sender) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    opened => return opened,
                }
            }
        }
    }
}

/// A Unix socket's name as the kernel takes it.
fn unix_name(address: &Address) -> Option<Cow<'_, [u8]>> {
    match address {
        Address::Unix(path) => Some(Cow::Borrowed(path.as_os_str().as_encoded_bytes())),
        Address::Abstract(name) => Some(Cow::Owned([&[0], name.as_bytes()].concat())),
        Address::Inet(_) | Address::Inherited(_) => None,
    }
}

/// Connects if the backlog has room; `WouldBlock` if not.
fn open_unix(name: &[u8], sender: &mut Sender) -> io::Result<Stream> {
    let socket = sys::socket::connect_unix(name)?;
    sender.send_at_once(socket.as_fd());
    Ok(Stream::Unix(UnixStream::from_std(socket.into())?))
}
