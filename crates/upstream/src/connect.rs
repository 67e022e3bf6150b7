//! Opening a connection to a peer.

use std::borrow::Cow;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use net::Stream;
use plan::Address;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use crate::error::{During, Failure};
use crate::send::Sender;

/// First and longest pause while a Unix socket's backlog is full: the kernel refuses at once
/// where it would let TCP wait.
const BACKLOG_PAUSE_FIRST: Duration = Duration::from_millis(1);
const BACKLOG_PAUSE_MAX: Duration = Duration::from_millis(50);

/// Connects, if that takes no waiting: to a Unix socket whose backlog has room. `written` is the
/// peer's address as the user wrote it. The beginning of the request is sent before anything
/// else: a peer that accepts before the request is there goes to sleep once more.
pub(crate) fn connect_at_once(
    address: &Address,
    written: &str,
    sender: &mut Sender,
) -> Option<Result<Stream, Failure>> {
    match open_unix(&unix_name(address)?, sender) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        opened => Some(opened.map_err(|error| not_connected(written, &error))),
    }
}

/// Connects within `patience`, where [`connect_at_once`] could not.
pub(crate) async fn connect(
    address: &Address,
    written: &str,
    patience: Duration,
    sender: &mut Sender,
) -> Result<Stream, Failure> {
    match timeout(patience, open(address, sender)).await {
        Ok(opened) => opened.map_err(|error| not_connected(written, &error)),
        Err(_) => {
            let failure = Failure::timed_out(During::Connecting);
            Err(Failure { nothing_received: true, ..failure })
        }
    }
}

fn not_connected(written: &str, error: &io::Error) -> Failure {
    Failure { nothing_received: true, ..Failure::connect(written, error) }
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
