//! A connection of a client or to an upstream, over TCP or a Unix socket, in plain text or under
//! TLS.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};

use crate::tls::Secured;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An IP address and port.
    Inet(SocketAddr),
    /// A Unix socket, whose other end has no address worth telling.
    Unix,
}

impl Peer {
    /// The IP address, if it has one. IPv4 addresses mapped into IPv6 stay as they are.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Peer::Inet(address) => Some(address.ip()),
            Peer::Unix => None,
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix stream socket.
    Unix(UnixStream),
    /// Either of them under TLS.
    Tls(Box<Secured>),
}

impl Stream {
    /// Address of our own end; asked for when a variable needs it.
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.local_addr().ok(),
            Stream::Unix(_) => None,
            Stream::Tls(secured) => secured.socket().local(),
        }
    }

    /// Ready when a read would say something.
    pub fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(context),
            Stream::Unix(stream) => stream.poll_read_ready(context),
            Stream::Tls(secured) => secured.poll_readable(context),
        }
    }

    /// Reads into the spare room of `buffer`; zero is the end.
    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(stream) => poll_read(stream, context, buffer),
            Stream::Unix(stream) => poll_read(stream, context, buffer),
            Stream::Tls(secured) => secured.poll_read(context, buffer),
        }
    }

    /// Writes some of `bytes`; cheaper than one piece of [`Stream::poll_write_vectored`].
    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(secured) => secured.poll_write(context, &[IoSlice::new(bytes)]),
        }
    }

    /// Writes some of `pieces`.
    pub fn poll_write_vectored(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Stream::Tls(secured) => secured.poll_write(context, pieces),
        }
    }

    /// Sends up to `bytes_max` bytes of `file` from `offset` on, without copying them through
    /// this process unless they are sealed here; zero means that the file is shorter than that.
    pub fn poll_send_file(
        &mut self,
        context: &mut Context<'_>,
        file: &File,
        offset: u64,
        bytes_max: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(match self {
                Stream::Tcp(stream) => stream.poll_write_ready(context),
                Stream::Unix(stream) => stream.poll_write_ready(context),
                Stream::Tls(secured) => {
                    return secured.poll_send_file(context, file, offset, bytes_max);
                }
            })?;
            let sent = match self {
                Stream::Tcp(stream) => stream.try_io(Interest::WRITABLE, || {
                    sys::send::sendfile(stream.as_fd(), file.as_fd(), offset, bytes_max)
                }),
                Stream::Unix(stream) => stream.try_io(Interest::WRITABLE, || {
                    sys::send::sendfile(stream.as_fd(), file.as_fd(), offset, bytes_max)
                }),
                Stream::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return Poll::Ready(other),
            }
        }
    }

    /// Tells the client that nothing more will be written.
    pub fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(secured) => secured.poll_shutdown(context),
        }
    }

    /// Makes the coming close a reset: what is still buffered is thrown away.
    pub fn reset_on_close(&self) {
        match self {
            // A failure leaves an ordinary close, which is right as well.
            Stream::Tcp(stream) => drop(stream.set_zero_linger()),
            Stream::Unix(_) => {}
            Stream::Tls(secured) => secured.socket().reset_on_close(),
        }
    }

    /// Bytes that left although the last write has not ended: under TLS a write ends when all of
    /// its bytes are out.
    pub fn moved(&self) -> u64 {
        match self {
            Stream::Tcp(_) | Stream::Unix(_) => 0,
            Stream::Tls(secured) => secured.sent(),
        }
    }

    /// What was sent is not the whole: a client that can tell a cut from an end must see a cut.
    pub fn cut(&mut self) {
        if let Stream::Tls(secured) = self {
            secured.cut();
        }
    }
}

fn poll_read(
    stream: &mut (impl AsyncRead + Unpin),
    context: &mut Context<'_>,
    buffer: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let future = std::pin::pin!(tokio::io::AsyncReadExt::read_buf(stream, buffer));
    std::future::Future::poll(future, context)
}
