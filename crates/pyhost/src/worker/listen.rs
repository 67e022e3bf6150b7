//! Accepting connections.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use plan::app::Protocol;
use sys::clock::monotonic_ms;
use sys::epoll::Interest;
use sys::socket;

use super::connection::{Connection, Local};
use super::harakiri::lock;
use super::table::NEVER;
use super::{FIRST_LISTENER, Worker, log};

/// How long nothing is accepted when there are no descriptors left.
const PAUSE_MS: u64 = 100;

/// A listening socket.
pub struct Listener {
    fd: OwnedFd,
    local: Arc<Local>,
}

impl Listener {
    /// Prepares an inherited socket.
    ///
    /// # Errors
    /// It is not a socket.
    pub fn new(fd: OwnedFd, protocol: Protocol) -> io::Result<Listener> {
        socket::set_nonblocking(fd.as_fd())?;
        // Accepted connections inherit it.
        socket::send_at_once(fd.as_fd());
        let port = socket::local_address(fd.as_fd())?
            .map_or_else(|| "80".to_owned(), |address| address.port().to_string());
        Ok(Listener { fd, local: Arc::new(Local { protocol, port }) })
    }

    /// Its descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Worker {
    /// Accepts one connection: with several workers each takes what it can serve.
    pub(super) fn accept(&self, index: usize) -> Option<Box<Connection>> {
        if self.is_quiescing() {
            return None;
        }
        let listener = self.listeners.get(index)?;
        match socket::accept(listener.fd()) {
            Ok((fd, peer)) => {
                let token = lock(&self.table).admit(fd.as_raw_fd());
                let local = Arc::clone(&listener.local);
                let server_name = &self.settings.server_name;
                Some(Box::new(Connection::new(token, fd, peer, local, server_name)))
            }
            Err(error) => {
                let code = error.raw_os_error();
                if matches!(code, Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
                {
                    self.make_room(&error);
                }
                None
            }
        }
    }

    /// Begins to accept again after a pause.
    pub(super) fn resume_accepting(&self) {
        self.accept_again_ms.store(NEVER, Ordering::Relaxed);
        if self.is_quiescing() {
            return;
        }
        let shared = Interest { exclusive: true, ..Interest::READ };
        for (index, listener) in self.listeners.iter().enumerate() {
            let _ = self.epoll.add(listener.fd(), FIRST_LISTENER + index as u64, shared);
        }
    }

    /// No descriptors left: the longest-idle connection goes; without one, a pause.
    fn make_room(&self, error: &io::Error) {
        let mut table = lock(&self.table);
        if let Some(token) = table.longest_idle() {
            table.forget(token);
            return;
        }
        drop(table);
        log::note(&format!("accept(): {error}"));
        for listener in &self.listeners {
            let _ = self.epoll.remove(listener.fd());
        }
        self.accept_again_ms.store(monotonic_ms() + PAUSE_MS, Ordering::Relaxed);
    }
}
