//! Control messages with descriptors over a socket pair; the coding is [`proto::control`].

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proto::control::{DESCRIPTORS_MAX, MESSAGE_BYTES_MAX, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sys::fdpass;

/// A child that takes no message for this long is as good as dead.
const STUCK_MS: u64 = 2_000;

/// The master's end of a control socket.
#[derive(Debug)]
pub struct Control {
    socket: OwnedFd,
}

/// What came out of a control socket.
#[derive(Debug)]
pub enum Received<T> {
    /// A message.
    Message(T),
    /// Nothing at the moment.
    Nothing,
    /// The other side is gone (or talks nonsense, which is treated the same).
    End,
}

impl Control {
    /// A new pair: ours, and the child's.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn pair() -> io::Result<(Control, OwnedFd)> {
        let (ours, theirs) = fdpass::seqpacket_pair()?;
        Ok((Control { socket: ours }, theirs))
    }

    /// Sends a message with descriptors.
    ///
    /// # Errors
    /// The other side is gone, or has taken nothing for two seconds.
    pub fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = encode(message).map_err(io::Error::other)?;
        loop {
            let parts = [IoSlice::new(&bytes)];
            let flags = MSG_DONTWAIT;
            match fdpass::send_with_fds(self.socket.as_fd(), &parts, fds, flags) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = sys::poll::writable(&[self.socket.as_fd()], Some(STUCK_MS))?;
                    if !ready.contains(&true) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends `message` with any number of descriptors: what does not fit beside one message
    /// goes ahead beside as many copies of `carrier` as needed.
    ///
    /// # Errors
    /// As [`Control::send`].
    pub fn send_many<T: Serialize>(
        &self,
        carrier: &T,
        message: &T,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        for chunk in fds.chunks(DESCRIPTORS_MAX) {
            self.send(carrier, chunk)?;
        }
        self.send(message, &[])
    }

    /// The next message, if there is one; never waits.
    pub fn receive<T: DeserializeOwned>(&self) -> Received<T> {
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        // Children send no descriptors; those that came anyway are closed here.
        let mut fds = Vec::new();
        match fdpass::recv_with_fds(self.socket.as_fd(), &mut buffer, &mut fds, MSG_DONTWAIT) {
            Ok(0) => Received::End,
            Ok(bytes) => match buffer.get(..bytes).map(decode) {
                Some(Ok(message)) => Received::Message(message),
                _ => Received::End,
            },
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Received::Nothing,
                _ => Received::End,
            },
        }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// `MSG_DONTWAIT`, the same number on every Linux.
const MSG_DONTWAIT: i32 = 0x40;
