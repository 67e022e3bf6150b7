//! Datagrams with descriptors beside them (SCM_RIGHTS) over Unix socket pairs.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::check;

/// Most descriptors in one message: the kernel's SCM_MAX_FD.
pub const DESCRIPTORS_MAX: usize = 253;
/// Send and receive buffer asked for; without privileges the kernel caps it at `wmem_max`.
const BUFFER_BYTES: libc::c_int = 4 * 1024 * 1024;
/// Room for the control message of [`DESCRIPTORS_MAX`] descriptors, in u64 for its alignment.
const CONTROL_WORDS: usize = (DESCRIPTORS_MAX * 4 + 64) / 8;

/// A connected pair of SOCK_SEQPACKET sockets, close-on-exec, blocking, with large buffers.
///
/// # Errors
/// Out of descriptors or memory.
pub fn seqpacket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(libc::SOCK_SEQPACKET)
}

/// A connected pair of SOCK_STREAM sockets, close-on-exec, blocking.
///
/// # Errors
/// Out of descriptors or memory.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(libc::SOCK_STREAM)
}

fn pair(kind: libc::c_int) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    let kind = kind | libc::SOCK_CLOEXEC;
    // SAFETY: `ends` is a valid array of two ints for the call to fill.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so both are open and owned by nobody else.
    let ends = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    // What is under way is charged to its sender; Unix sockets do not look at SO_RCVBUF.
    enlarge(ends.0.as_raw_fd(), libc::SO_SNDBUF, libc::SO_SNDBUFFORCE);
    enlarge(ends.1.as_raw_fd(), libc::SO_SNDBUF, libc::SO_SNDBUFFORCE);
    Ok(ends)
}

/// Asks for a large buffer; smaller is slower, never wrong, so failure is not an error.
fn enlarge(socket: RawFd, option: libc::c_int, forced: libc::c_int) {
    for option in [forced, option] {
        let bytes = BUFFER_BYTES;
        // SAFETY: the option's value is an int that lives through the call.
        let result = unsafe {
            libc::setsockopt(
                socket,
                libc::SOL_SOCKET,
                option,
                (&raw const bytes).cast(),
                size_of_val(&bytes) as libc::socklen_t,
            )
        };
        if result == 0 {
            return;
        }
    }
}

/// Sends one message made of `iov`, with `fds` beside it, and returns the bytes sent. Never
/// raises SIGPIPE. `flags` are MSG_* (`libc::MSG_DONTWAIT`).
///
/// # Errors
/// As `sendmsg(2)`; more than [`DESCRIPTORS_MAX`] descriptors are `InvalidInput`.
pub fn send_with_fds(
    socket: BorrowedFd<'_>,
    iov: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
    flags: i32,
) -> io::Result<usize> {
    if fds.len() > DESCRIPTORS_MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut control = [0u64; CONTROL_WORDS];
    // SAFETY: an all-zero msghdr is valid: no name, no data, no control.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // IoSlice is guaranteed to have the layout of iovec; sendmsg does not write through it.
    message.msg_iov = iov.as_ptr().cast_mut().cast();
    message.msg_iovlen = iov.len() as _;
    if !fds.is_empty() {
        let bytes = size_of_val(fds) as u32;
        debug_assert_eq!(size_of::<BorrowedFd<'_>>(), size_of::<RawFd>());
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: pure arithmetic on a length.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(bytes) } as _;
        // SAFETY: msg_control points at `control`, which has room for at least one header.
        let header = unsafe { libc::CMSG_FIRSTHDR(&message) };
        // SAFETY: `header` is inside `control`, aligned for cmsghdr because that is u64.
        unsafe {
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(bytes) as _;
        }
        for (index, fd) in fds.iter().enumerate() {
            // SAFETY: CONTROL_WORDS leaves room for DESCRIPTORS_MAX ints behind the header, and
            // the number was checked above.
            unsafe {
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                data.add(index).write_unaligned(fd.as_raw_fd());
            }
        }
    }
    loop {
        let flags = flags | libc::MSG_NOSIGNAL;
        // SAFETY: `message` points at `iov` and `control`, both alive through the call.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &message, flags) };
        if sent >= 0 {
            return Ok(sent as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Receives one message into `buffer` and appends the descriptors that came along (close-on-exec)
/// to `fds`. Returns its bytes; 0 is the end: the other side is gone. An interrupted call is
/// returned as `Interrupted`, so that signal handlers of the caller get their turn.
///
/// # Errors
/// As `recvmsg(2)`; a message longer than `buffer`, or with more descriptors than fit, is
/// `InvalidData` (its descriptors are closed).
pub fn recv_with_fds(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    flags: i32,
) -> io::Result<usize> {
    let mut control = [0u64; CONTROL_WORDS];
    let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: an all-zero msghdr is valid: no name, no data, no control.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut iov;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    let flags = flags | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `message` points at `iov`, `buffer` and `control`, all alive through the call.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, flags) };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    let before = fds.len();
    take_descriptors(&message, fds);
    if message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        fds.truncate(before);
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message longer than its buffer"));
    }
    Ok(received as usize)
}

/// Receives up to `N` messages with one system call: those that are there, and the answer to
/// the question whether there are more. Returns how many came and the length of each; fewer than
/// `N` says that there are no more now. Descriptors are appended to the `fds` of the same place;
/// a message may bring eight at most. A length of 0 is the end: the other side is gone.
///
/// # Errors
/// As [`recv_with_fds`]; `WouldBlock` if there is nothing at all.
pub fn recv_many_with_fds<const N: usize>(
    socket: BorrowedFd<'_>,
    rooms: &mut [Box<[u8]>; N],
    fds: &mut [Vec<OwnedFd>; N],
) -> io::Result<(usize, [usize; N])> {
    let mut control = [[0u64; 8]; N];
    let mut iov = rooms
        .each_mut()
        .map(|room| libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() });
    // SAFETY: an all-zero mmsghdr is valid: no name, no data, no control.
    let mut messages: [libc::mmsghdr; N] = unsafe { std::mem::zeroed() };
    for ((message, iov), control) in messages.iter_mut().zip(&mut iov).zip(&mut control) {
        message.msg_hdr.msg_iov = iov;
        message.msg_hdr.msg_iovlen = 1;
        message.msg_hdr.msg_control = control.as_mut_ptr().cast();
        message.msg_hdr.msg_controllen = size_of_val(control) as _;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the messages point at rooms and control buffers that live through the call; a null
    // time limit is allowed.
    let received = check(unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            N as _,
            flags as _,
            std::ptr::null_mut(),
        )
    })?;
    let mut cut = false;
    for (message, fds) in messages.iter().zip(fds).take(received as usize) {
        take_descriptors(&message.msg_hdr, fds);
        cut |= message.msg_hdr.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
    }
    if cut {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message longer than its buffer"));
    }
    Ok((received as usize, messages.map(|message| message.msg_len as usize)))
}

/// Takes ownership of every descriptor in the control part of a received message.
fn take_descriptors(message: &libc::msghdr, fds: &mut Vec<OwnedFd>) {
    // SAFETY: the kernel filled msg_control and set msg_controllen to what it wrote.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return headers inside the buffer or null.
        let head = unsafe { &*header };
        if head.cmsg_level == libc::SOL_SOCKET && head.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: pure arithmetic.
            let head_bytes = unsafe { libc::CMSG_LEN(0) } as usize;
            let count = (head.cmsg_len as usize).saturating_sub(head_bytes) / size_of::<RawFd>();
            for index in 0..count {
                // SAFETY: cmsg_len says that so many ints follow the header.
                let number =
                    unsafe { libc::CMSG_DATA(header).cast::<RawFd>().add(index).read_unaligned() };
                // SAFETY: the kernel installed it for this message; nobody else owns it.
                fds.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: `header` belongs to `message`.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_message_and_its_descriptors_arrive_together_and_the_end_is_zero() {
        let (left, right) = seqpacket_pair().unwrap();
        let mut file = std::fs::File::from(crate::memory::memory_file("t", b"").unwrap());
        file.write_all(b"through").unwrap();
        let parts = [IoSlice::new(b"ab"), IoSlice::new(b"cd")];
        assert_eq!(send_with_fds(left.as_fd(), &parts, &[file.as_fd()], 0).unwrap(), 4);
        drop(left);
        let (mut buffer, mut fds) = ([0; 16], Vec::new());
        assert_eq!(recv_with_fds(right.as_fd(), &mut buffer, &mut fds, 0).unwrap(), 4);
        assert_eq!(&buffer[..4], b"abcd");
        let mut received = std::fs::File::from(fds.remove(0));
        received.rewind().unwrap();
        let mut text = String::new();
        received.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        assert_eq!(recv_with_fds(right.as_fd(), &mut buffer, &mut fds, 0).unwrap(), 0);
    }

    #[test]
    fn a_message_longer_than_the_buffer_is_an_error_and_leaks_no_descriptor() {
        let (left, right) = seqpacket_pair().unwrap();
        send_with_fds(left.as_fd(), &[IoSlice::new(b"abcdef")], &[left.as_fd()], 0).unwrap();
        let (mut buffer, mut fds) = ([0; 3], Vec::new());
        let error = recv_with_fds(right.as_fd(), &mut buffer, &mut fds, 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(fds.is_empty());
    }

    #[test]
    fn messages_come_together_and_the_end_is_told_apart_from_silence() {
        let (left, right) = seqpacket_pair().unwrap();
        let room = || vec![0; 8].into_boxed_slice();
        let receive = || {
            let (mut rooms, mut fds) = ([room(), room()], [Vec::new(), Vec::new()]);
            let received = recv_many_with_fds(right.as_fd(), &mut rooms, &mut fds);
            received.map(|received| (received, rooms, fds.map(|fds| fds.len())))
        };
        assert_eq!(receive().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        send_with_fds(left.as_fd(), &[IoSlice::new(b"one")], &[], 0).unwrap();
        assert_eq!(receive().unwrap().0, (1, [3, 0]));
        for (text, count) in [(b"two", 0), (b"thr", 1)] {
            let fds = [left.as_fd()];
            send_with_fds(left.as_fd(), &[IoSlice::new(text)], &fds[..count], 0).unwrap();
        }
        let (lengths, rooms, fds) = receive().unwrap();
        assert_eq!((lengths, &rooms[1][..3], fds), ((2, [3, 3]), &b"thr"[..], [0, 1]));
        drop(left);
        assert_eq!(receive().unwrap().0.1[0], 0);
    }
}
