//! Moving bytes between descriptors inside the kernel.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// sendfile(2): moves up to `bytes_max` bytes of `file` from `offset` on to a socket and says
/// how many went; zero means that the file ends before `offset`.
///
/// # Errors
/// As of sendfile(2), `WouldBlock` included.
pub fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    bytes_max: usize,
) -> io::Result<usize> {
    let mut at = libc::off64_t::try_from(offset)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: both descriptors are borrowed and therefore open; `at` outlives the call.
    let sent =
        unsafe { libc::sendfile64(socket.as_raw_fd(), file.as_raw_fd(), &mut at, bytes_max) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// recv(2) with `MSG_PEEK`: what is read stays there; zero is the end of file.
///
/// # Errors
/// As of recv(2), `WouldBlock` included.
pub fn peek(socket: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<usize> {
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: the descriptor is borrowed and therefore open; `room` is ours to write to, for as
    // many bytes as it has.
    let count =
        unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Flag for open(2): do not wait for the other end of a named pipe.
pub const OPEN_NON_BLOCKING: i32 = libc::O_NONBLOCK;

/// Flag of open(2): fails if the last part of the path is a link.
pub const OPEN_NO_LINK: i32 = libc::O_NOFOLLOW;
