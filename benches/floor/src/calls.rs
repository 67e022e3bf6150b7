//! One loop over epoll: a `recv` and a `send` for each piece of a request or answer.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

use sys::epoll::{Epoll, Events, Interest};
use sys::listen::{self, InetOptions, ListenError};
use sys::socket;

const LISTENER: u64 = u64::MAX;
const BACKLOG: u32 = 4096;
const EVENTS_MAX: usize = 512;
/// Longer than any request or proxied answer of the benchmark: a short read says that the socket is
/// drained.
const PIECE_BYTES: usize = 16 * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// What is done with a request.
#[derive(Debug)]
pub enum Work {
    /// These bytes are its answer.
    Answer(Vec<u8>),
    /// It goes to this server, whose answer goes back.
    PassOn(SocketAddr),
}

/// A client's connection, and the one that was made for it.
#[derive(Debug)]
struct Connection {
    client: OwnedFd,
    /// Invariant: there if requests are passed on.
    origin: Option<OwnedFd>,
}

/// The loop, and what it holds.
#[derive(Debug)]
pub struct Calls {
    work: Work,
    epoll: Epoll,
    listener: OwnedFd,
    /// The events of number `n` have the token `2n` for its client and `2n + 1` for its origin.
    connections: Vec<Option<Connection>>,
    piece: Vec<u8>,
}

impl Calls {
    /// Listens on `address`.
    pub fn new(address: SocketAddr, work: Work) -> Result<Calls, ListenError> {
        let options = InetOptions { backlog: BACKLOG, ..InetOptions::default() };
        let listener = listen::inet(address, options)?;
        let watch = || {
            let epoll = Epoll::new()?;
            epoll.add(listener.as_fd(), LISTENER, Interest::READ).map(|()| epoll)
        };
        let fail = |source| ListenError { what: "cannot watch sockets".into(), source, hint: None };
        let epoll = watch().map_err(fail)?;
        Ok(Calls { work, epoll, listener, connections: Vec::new(), piece: vec![0; PIECE_BYTES] })
    }

    /// Serves until it is killed, or the kernel no longer tells what is ready.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_room(EVENTS_MAX);
        loop {
            self.epoll.wait(&mut events, None)?;
            while let Some(event) = events.take() {
                match event.token {
                    LISTENER => self.handle_connection()?,
                    token => self.handle_input(token),
                }
            }
        }
    }

    /// One that cannot reach the origin is closed: the client counts it as failed.
    fn handle_connection(&mut self) -> io::Result<()> {
        let (client, _) = match socket::accept(self.listener.as_fd()) {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let origin = match self.work {
            Work::Answer(_) => None,
            Work::PassOn(origin) => match TcpStream::connect(origin) {
                Ok(stream) => Some(OwnedFd::from(stream)),
                Err(_) => return Ok(()),
            },
        };
        let number = self.free_number();
        let edges = Interest { edge: true, ..Interest::READ };
        for (end, token) in [Some(&client), origin.as_ref()].into_iter().flatten().zip(2 * number..)
        {
            socket::send_at_once(end.as_fd());
            self.epoll.add(end.as_fd(), token as u64, edges)?;
        }
        self.connections[number] = Some(Connection { client, origin });
        Ok(())
    }

    fn free_number(&mut self) -> usize {
        self.connections.iter().position(Option::is_none).unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        })
    }

    /// Whatever goes wrong, an end included, ends the connection.
    fn handle_input(&mut self, token: u64) {
        let (number, from_origin) = ((token / 2) as usize, token % 2 == 1);
        // An event of the same batch may have ended it.
        let Some(place) = self.connections.get_mut(number) else { return };
        let Some(connection) = place else { return };
        if connection.handle_input(from_origin, &self.work, &mut self.piece).is_err() {
            *place = None;
        }
    }
}

impl Connection {
    /// One `recv`, one `send`. What does not fit into a piece, or is not taken at once, is an error:
    /// with the requests of the benchmark neither happens.
    fn handle_input(&self, from_origin: bool, work: &Work, piece: &mut [u8]) -> io::Result<()> {
        let (from, to) = match (&self.origin, from_origin) {
            (None, _) => (&self.client, &self.client),
            (Some(origin), false) => (&self.client, origin),
            (Some(origin), true) => (origin, &self.client),
        };
        let count = match socket::receive(from.as_fd(), piece) {
            Ok(count) if 0 < count && count < piece.len() => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
            Err(error) => return Err(error),
        };
        let received = &piece[..count];
        let bytes = match work {
            Work::PassOn(_) => received,
            Work::Answer(answer) if received.ends_with(END_OF_HEAD) => answer,
            Work::Answer(_) => return Err(io::ErrorKind::InvalidData.into()),
        };
        match socket::send(to.as_fd(), bytes, false)? {
            sent if sent == bytes.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// Serves for as long as the tests run.
    fn started(work: Work) -> SocketAddr {
        let mut calls = Calls::new("127.0.0.1:0".parse().unwrap(), work).unwrap();
        let address = listen::bound_inet(calls.listener.as_fd()).unwrap();
        std::thread::spawn(move || calls.run());
        address
    }

    fn asked_twice(address: SocketAddr) {
        let mut client = TcpStream::connect(address).unwrap();
        for _ in 0..2 {
            client.write_all(REQUEST).unwrap();
            let mut answer = [0; 6];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"answer");
        }
    }

    #[test]
    fn requests_of_one_connection_are_answered_one_after_the_other() {
        asked_twice(started(Work::Answer(b"answer".to_vec())));
    }

    #[test]
    fn what_is_passed_on_comes_back_from_the_origin() {
        let origin = started(Work::Answer(b"answer".to_vec()));
        asked_twice(started(Work::PassOn(origin)));
    }

    #[test]
    fn half_a_head_ends_its_connection_and_no_other() {
        let address = started(Work::Answer(b"answer".to_vec()));
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(&REQUEST[..10]).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
        asked_twice(address);
    }
}
