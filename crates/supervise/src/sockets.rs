//! Listening sockets: opened once, shared by the generations that use them, closed by the last.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::{Rc, Weak};

use plan::Address;
use plan::app::{AppPlan, SocketPlan};
use plan::front::ListenPlan;
use sys::listen::{self, InetOptions, ListenError, UnixOptions};

/// nginx's backlog on Linux.
const FRONT_BACKLOG: u32 = 511;

/// An open listening socket.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    address: Address,
    /// Remove the socket file when the last user of this listener is gone.
    unlink: Cell<bool>,
}

impl Listener {
    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The port and address that were really bound (for port 0), else the address asked for.
    pub fn bound(&self) -> String {
        match listen::bound_inet(self.fd.as_fd()) {
            Some(address) => address.to_string(),
            None => self.address.to_string(),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let (true, Address::Unix(path)) = (self.unlink.get(), &self.address) {
            // The file may be gone already: then there is nothing to tidy.
            drop(std::fs::remove_file(path));
        }
    }
}

/// Every open listening socket by its address, so that a reload finds the ones it keeps.
#[derive(Debug, Default)]
pub struct Sockets {
    open: Vec<Weak<Listener>>,
}

/// The numbers that go with `chown-socket` and `uid`/`gid`.
pub type Owner = (Option<u32>, Option<u32>);

impl Sockets {
    /// The app's sockets, in the order of the plan.
    ///
    /// # Errors
    /// The first one that cannot be opened.
    pub fn for_app(
        &mut self,
        plan: &AppPlan,
        owner: Owner,
    ) -> Result<Vec<Rc<Listener>>, ListenError> {
        let open = |socket: &SocketPlan| {
            let unix =
                UnixOptions { backlog: plan.limits.backlog, mode: plan.process.socket_mode, owner };
            let inet = InetOptions { backlog: plan.limits.backlog, ..InetOptions::default() };
            let listener = self.open(&socket.address, inet, &unix)?;
            listener.unlink.set(plan.process.vacuum);
            Ok(listener)
        };
        plan.sockets.iter().map(open).collect()
    }

    /// The front's sockets, in the order of the plan.
    ///
    /// # Errors
    /// The first one that cannot be opened.
    pub fn for_front(&mut self, listens: &[ListenPlan]) -> Result<Vec<Rc<Listener>>, ListenError> {
        let open = |listen: &ListenPlan| {
            let backlog = listen.backlog.unwrap_or(FRONT_BACKLOG);
            let inet = InetOptions {
                backlog,
                ipv6_only: listen.ipv6_only,
                reuse_port: listen.reuse_port,
                keepalive: listen.so_keepalive,
            };
            let unix = UnixOptions { backlog, mode: Some(0o666), ..UnixOptions::default() };
            let listener = self.open(&listen.address, inet, &unix)?;
            listener.unlink.set(true);
            Ok(listener)
        };
        listens.iter().map(open).collect()
    }

    fn open(
        &mut self,
        address: &Address,
        inet: InetOptions,
        unix: &UnixOptions,
    ) -> Result<Rc<Listener>, ListenError> {
        self.open.retain(|weak| weak.strong_count() > 0);
        let mut known = self.open.iter().filter_map(Weak::upgrade);
        if let Some(listener) = known.find(|listener| listener.address == *address) {
            return Ok(listener);
        }
        let fd = match address {
            Address::Inet(address) => listen::inet(*address, inet)?,
            Address::Unix(path) => listen::unix(path, unix)?,
            Address::Abstract(name) => listen::abstract_unix(name, unix.backlog)?,
            Address::Inherited(number) => listen::inherited(*number)?,
        };
        let address = address.clone();
        let listener = Rc::new(Listener { fd, address, unlink: Cell::new(false) });
        self.open.push(Rc::downgrade(&listener));
        Ok(listener)
    }
}

/// A file that is removed when the service ends (`vacuum`; nginx's pid file always).
#[derive(Debug)]
pub struct VanishingFile {
    /// Which.
    pub path: PathBuf,
}

impl Drop for VanishingFile {
    fn drop(&mut self) {
        // Gone already is as good as removed.
        drop(std::fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_stays_open_while_anybody_uses_it_and_its_file_goes_with_the_last() {
        let path = std::env::temp_dir().join(format!("supervise-{}.sock", std::process::id()));
        drop(std::fs::remove_file(&path));
        let mut sockets = Sockets::default();
        let address = Address::Unix(path.clone());
        let unix = UnixOptions { backlog: 1, ..UnixOptions::default() };
        let first = sockets.open(&address, InetOptions::default(), &unix).unwrap();
        first.unlink.set(true);
        let second = sockets.open(&address, InetOptions::default(), &unix).unwrap();
        assert!(Rc::ptr_eq(&first, &second));
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
