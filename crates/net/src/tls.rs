//! A connection under TLS: bytes of a socket ↔ bytes of a session of rustls.
//!
//! ```text
//!  of a client: first byte ──plain text──► left to the caller as it is
//!                  │handshake
//!                  ▼
//!               hello ──► the caller chooses the configuration ──► handshake ─┐
//!  to an upstream: whom it is for ──► handshake ──────────────────────────────┴► Secured
//!                                                                 Secured ──drop──► goodbye
//! ```

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use plan::Address;
use rustls::server::{Accepted, Acceptor, ClientHello};
use rustls::{Connection, HandshakeKind, ServerConfig};
use tls::Identity;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::Stream;

/// Bytes of a file that are sealed at once.
const FILE_PIECE_BYTES: usize = 64 * 1024;
/// First byte of a handshake.
const HANDSHAKE: u8 = 0x16;

/// What is below the session.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix stream socket.
    Unix(UnixStream),
}

impl Socket {
    /// Address of our own end.
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(stream) => stream.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// Makes the coming close a reset.
    pub fn reset_on_close(&self) {
        if let Socket::Tcp(stream) = self {
            // A failure leaves an ordinary close, which is right as well.
            let _ = stream.set_zero_linger();
        }
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(stream) => stream.poll_read_ready(context),
            Socket::Unix(stream) => stream.poll_read_ready(context),
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(room);
        ready!(match self {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(context, &mut room),
            Socket::Unix(stream) => Pin::new(stream).poll_read(context, &mut room),
        })?;
        Poll::Ready(Ok(room.filled().len()))
    }

    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Socket::Unix(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
        }
    }

    fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_read(room),
            Socket::Unix(stream) => stream.try_read(room),
        }
    }

    fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_write_vectored(pieces),
            Socket::Unix(stream) => stream.try_write_vectored(pieces),
        }
    }

    /// The first byte the client sent, left where it is; `None` at its end of file.
    async fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        let count = match self {
            Socket::Tcp(stream) => stream.peek(&mut byte).await?,
            Socket::Unix(stream) => {
                use std::os::fd::AsFd;
                let peek = || sys::send::peek(stream.as_fd(), &mut byte);
                stream.async_io(tokio::io::Interest::READABLE, peek).await?
            }
        };
        Ok((count > 0).then_some(byte[0]))
    }
}

/// A socket inside one poll, as rustls wants it: "not now" is an error.
struct Now<'a, 'c> {
    socket: &'a mut Socket,
    context: &'a mut Context<'c>,
}

/// "Not now" as an error.
fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// And back.
fn later<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl Read for Now<'_, '_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        now(self.socket.poll_read(self.context, room))
    }
}

impl Write for Now<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        now(self.socket.poll_write(self.context, pieces))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes as much as the socket takes at once.
struct Parting<'a>(&'a Socket);

impl Write for Parting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(&[IoSlice::new(bytes)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads what is there already.
struct Arrived<'a>(&'a Socket);

impl Read for Arrived<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(room)
    }
}

/// What beginning a connection came to.
#[derive(Debug)]
pub enum Begun {
    /// TLS is spoken.
    Secured(Box<Secured>),
    /// The client speaks something else; nothing has been read.
    Plain(Stream),
}

/// Why there is no session.
#[derive(Debug)]
pub enum HandshakeError {
    /// The other end closed its side.
    PeerGone,
    /// The socket failed.
    Socket(io::Error),
    /// No configuration was chosen for it; the client has been told.
    TurnedAway,
    /// Client and server could not agree; the other end has been told.
    Session(rustls::Error),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> HandshakeError {
        HandshakeError::Socket(error)
    }
}

/// Looks at the first byte and makes a session of it. `choose` gets what the client said and
/// answers the configuration; `None` turns the client away.
///
/// # Errors
/// If the client is gone or there is no agreement.
pub async fn begin(
    stream: Stream,
    choose: impl FnOnce(&ClientHello<'_>) -> Option<Arc<ServerConfig>>,
) -> Result<Begun, HandshakeError> {
    let mut socket = match stream {
        Stream::Tcp(stream) => Socket::Tcp(stream),
        Stream::Unix(stream) => Socket::Unix(stream),
        Stream::Tls(secured) => return Ok(Begun::Secured(secured)),
    };
    match socket.first_byte().await? {
        None => return Err(HandshakeError::PeerGone),
        // Version 2 hellos, which nobody can speak any more, begin with their length.
        Some(byte) if byte != HANDSHAKE && byte & 0x80 == 0 => {
            return Ok(Begun::Plain(match socket {
                Socket::Tcp(stream) => Stream::Tcp(stream),
                Socket::Unix(stream) => Stream::Unix(stream),
            }));
        }
        Some(_) => {}
    }
    let accepted = hello(&mut socket).await?;
    let Some(config) = choose(&accepted.client_hello()) else {
        let _ = socket.try_write(&[IoSlice::new(&UNRECOGNISED_NAME)]);
        return Err(HandshakeError::TurnedAway);
    };
    let session = match accepted.into_connection(config) {
        Ok(session) => session,
        Err((error, mut alert)) => {
            // The client may have gone; then nobody needs to be told.
            let _ = alert.write_all(&mut Parting(&socket));
            return Err(HandshakeError::Session(error));
        }
    };
    Ok(Begun::Secured(Secured::new(socket, session.into(), None).shake_hands().await?))
}

/// Shakes hands with an upstream at the other end of `stream`, as its client.
///
/// # Errors
/// If the peer is gone, there is no agreement, or its certificate is refused.
pub async fn connect(
    stream: Stream,
    identity: Arc<Identity>,
    peer: &Address,
) -> Result<Box<Secured>, HandshakeError> {
    let socket = match stream {
        Stream::Tcp(stream) => Socket::Tcp(stream),
        Stream::Unix(stream) => Socket::Unix(stream),
        Stream::Tls(_) => return Err(io::Error::from(io::ErrorKind::Unsupported).into()),
    };
    let session = identity.session(peer).map_err(HandshakeError::Session)?;
    Secured::new(socket, session.into(), Some(identity)).shake_hands().await
}

/// The alert `unrecognized_name`, fatal, as a record (RFC 8446, sections 5.1 and 6.2).
const UNRECOGNISED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

async fn hello(socket: &mut Socket) -> Result<Accepted, HandshakeError> {
    let mut acceptor = Acceptor::default();
    loop {
        let read = poll_fn(|context| later(acceptor.read_tls(&mut Now { socket, context })));
        if read.await? == 0 {
            return Err(HandshakeError::PeerGone);
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => {}
            Err((error, mut alert)) => {
                let _ = alert.write_all(&mut Parting(socket));
                return Err(HandshakeError::Session(error));
            }
        }
    }
}

/// What client and server agreed on.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// `TLSv1.3`
    pub version: &'static str,
    /// OpenSSL's name of the cipher suite.
    pub cipher: &'static str,
    /// The name the client asked for.
    pub server_name: Option<String>,
    /// The protocol chosen by ALPN.
    pub application: Option<Vec<u8>>,
    /// An earlier session was taken up again.
    pub resumed: bool,
    /// The client showed a certificate, and it is good.
    pub client_certificate: bool,
}

/// A connection under TLS.
#[derive(Debug)]
pub struct Secured {
    socket: Socket,
    session: Connection,
    /// Whom a connection to an upstream was made for; `None` if the other end is a client.
    identity: Option<Arc<Identity>>,
    /// Bytes taken from the caller, sealed, and not all out yet. The caller hears of them when
    /// they are; until then it offers the same bytes again.
    owed: usize,
    /// Bytes that went out, sealed.
    sent: u64,
    /// Nothing more is to be said, not even goodbye.
    parted: bool,
}

impl Secured {
    /// Before the handshake. In a box at once: what waits for the handshake must not be large.
    fn new(socket: Socket, session: Connection, identity: Option<Arc<Identity>>) -> Box<Secured> {
        Box::new(Secured { socket, session, identity, owed: 0, sent: 0, parted: true })
    }

    async fn shake_hands(mut self: Box<Secured>) -> Result<Box<Secured>, HandshakeError> {
        poll_fn(|context| self.poll_handshake(context)).await?;
        self.parted = false;
        Ok(self)
    }

    /// Whether it was made for this name and by these rules.
    pub fn is_for(&self, identity: &Identity) -> bool {
        self.identity.as_deref().is_some_and(|own| own == identity)
    }

    /// Whether the other end is still there and has said nothing more. Takes in what belongs to
    /// the session alone: tickets come behind the handshake.
    pub fn is_quiet(&mut self) -> bool {
        loop {
            match self.session.reader().into_first_chunk() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => return false,
            }
            match self.session.read_tls(&mut Arrived(&self.socket)) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
            if self.session.process_new_packets().is_err() {
                self.parted = true;
                return false;
            }
        }
    }

    /// What was agreed on.
    pub fn agreed(&self) -> Agreed {
        let session = &self.session;
        let version = session.protocol_version().map_or("", tls::names::version);
        Agreed {
            version,
            cipher: session.negotiated_cipher_suite().map_or("", tls::names::cipher),
            server_name: match session {
                Connection::Server(session) => session.server_name().map(str::to_owned),
                Connection::Client(_) => None,
            },
            application: session.alpn_protocol().map(<[u8]>::to_vec),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            client_certificate: session.peer_certificates().is_some(),
        }
    }

    /// What is below.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Bytes that went out so far: tells a client that takes little from one that takes nothing.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Ends without the goodbye: the client must not take what it got for the whole.
    pub fn cut(&mut self) {
        self.parted = true;
    }

    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
        loop {
            ready!(self.poll_flush(context))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_take(context))? == 0 {
                return Poll::Ready(Err(HandshakeError::PeerGone));
            }
            if let Err(error) = self.session.process_new_packets() {
                // The alert; the client may have gone.
                let _ = self.session.write_tls(&mut Parting(&self.socket));
                return Poll::Ready(Err(HandshakeError::Session(error)));
            }
        }
    }

    /// Reads from the socket into the session; zero is the end.
    fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        later(self.session.read_tls(&mut Now { socket: &mut self.socket, context }))
    }

    /// Ready when a read would say something.
    pub fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.session.reader().into_first_chunk() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.poll_readable(context)
            }
            // The end as well: the read will say so.
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Reads into the spare room of `buffer`; zero is the end, with or without goodbye.
    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        loop {
            let room = buffer.capacity() - buffer.len();
            let mut reader = self.session.reader();
            match reader.into_first_chunk() {
                Ok(chunk) => {
                    let count = chunk.len().min(room);
                    buffer.extend_from_slice(chunk.get(..count).unwrap_or(chunk));
                    reader = self.session.reader();
                    std::io::BufRead::consume(&mut reader, count);
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Ok(0));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            // At the end of file the session's reader tells in the next round what kind it is.
            ready!(self.poll_take(context))?;
            if let Err(error) = self.session.process_new_packets() {
                let _ = self.session.write_tls(&mut Parting(&self.socket));
                self.parted = true;
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        }
    }

    /// Writes some of `pieces`.
    ///
    /// After `Pending` the next write must begin with the same bytes.
    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.owed == 0 {
            self.owed = self.session.writer().write_vectored(pieces)?;
        }
        ready!(self.poll_flush(context))?;
        Poll::Ready(Ok(std::mem::take(&mut self.owed)))
    }

    /// Sends up to `bytes_max` bytes of `file`; zero means that the file is shorter than that.
    ///
    /// After `Pending` the next call must be for the same bytes.
    pub fn poll_send_file(
        &mut self,
        context: &mut Context<'_>,
        file: &File,
        offset: u64,
        bytes_max: usize,
    ) -> Poll<io::Result<usize>> {
        if self.owed == 0 {
            let mut piece = vec![0; bytes_max.min(FILE_PIECE_BYTES)];
            let count = file.read_at(&mut piece, offset)?;
            if count == 0 {
                return Poll::Ready(Ok(0));
            }
            self.owed = self.session.writer().write(piece.get(..count).unwrap_or(&piece))?;
        }
        ready!(self.poll_flush(context))?;
        Poll::Ready(Ok(std::mem::take(&mut self.owed)))
    }

    /// Ready when everything sealed is out.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let mut now = Now { socket: &mut self.socket, context };
            let count = ready!(later(self.session.write_tls(&mut now)))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count as u64;
        }
        Poll::Ready(Ok(()))
    }

    /// Says goodbye and that nothing more will be written.
    pub fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.parted, true) {
            self.session.send_close_notify();
        }
        // Whatever was written is out. A socket without room for the goodbye has a client that is
        // not listening, and nobody waits for that one.
        if let Poll::Ready(Err(error)) = self.poll_flush(context) {
            return Poll::Ready(Err(error));
        }
        self.socket.poll_shutdown(context)
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        if !self.parted {
            self.session.send_close_notify();
            // A socket that is full has a client that is not listening.
            let _ = self.session.write_tls(&mut Parting(&self.socket));
        }
    }
}
