//! Opening a connection to a peer, and shaking hands with it if that is asked for.

use std::borrow::Cow;
use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use net::Stream;
use plan::Address;
use tls::Identity;
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
    match open_unix(&unix_name(address)?, Some(sender)) {
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
    match timeout(patience, open(address, Some(sender))).await {
        Ok(opened) => opened.map_err(|error| not_connected(written, &error)),
        Err(_) => {
            let failure = Failure::timed_out(During::Connecting);
            Err(Failure { nothing_received: true, ..failure })
        }
    }
}

/// Connects and shakes hands within `patience`. Of the request nothing is sent: the peer may be
/// somebody else.
pub(crate) async fn connect_secured(
    address: &Address,
    written: &str,
    patience: Duration,
    tls: &Arc<Identity>,
) -> Result<Stream, Failure> {
    let during = Cell::new(During::Connecting);
    let opening = async {
        let stream = open(address, None).await;
        let stream = stream.map_err(|error| Failure::connect(written, &error))?;
        during.set(During::ShakingHands);
        net::tls::connect(stream, tls.clone(), address)
            .await
            .map_err(|error| Failure::handshake(&error, &tls.name()))
    };
    match timeout(patience, opening).await.unwrap_or_else(|_| Err(Failure::timed_out(during.get())))
    {
        Ok(secured) => Ok(Stream::Tls(secured)),
        Err(failure) => Err(Failure { nothing_received: true, ..failure }),
    }
}

fn not_connected(written: &str, error: &io::Error) -> Failure {
    Failure { nothing_received: true, ..Failure::connect(written, error) }
}

/// `sender` begins at once on a Unix socket, whose backlog was full a moment ago.
async fn open(address: &Address, mut sender: Option<&mut Sender>) -> io::Result<Stream> {
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
            if sender.is_some() {
                sleep(pause).await;
            }
            loop {
                match open_unix(&name, sender.as_deref_mut()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    opened => return opened,
                }
                pause = (pause * 2).min(BACKLOG_PAUSE_MAX);
                sleep(pause).await;
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
fn open_unix(name: &[u8], sender: Option<&mut Sender>) -> io::Result<Stream> {
    let socket = sys::socket::connect_unix(name)?;
    if let Some(sender) = sender {
        sender.send_at_once(socket.as_fd());
    }
    Ok(Stream::Unix(UnixStream::from_std(socket.into())?))
}
