//! Signals of a worker: TERM means quiesce; what a terminal sends to the whole group is the
//! master's business; a pipe wakes the request threads.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Where the handler writes; -1 before there is a worker.
static TERM_PIPE: AtomicI32 = AtomicI32::new(-1);

/// The worker itself: what an app forks (`multiprocessing`) inherits the handler, and must be
/// ended by SIGTERM as usual.
static WORKER: AtomicI32 = AtomicI32::new(-1);

/// What the handler writes, told apart from a plain ring.
const TERM_BYTE: u8 = b'T';
const RING_BYTE: u8 = b'r';

/// A pipe in the event loop.
#[derive(Debug)]
pub struct Wake {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Wake {
    /// Makes the pipe and installs the handlers.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new() -> io::Result<Wake> {
        let (reader, writer) = io::pipe()?;
        sys::socket::set_nonblocking(reader.as_fd())?;
        sys::socket::set_nonblocking(writer.as_fd())?;
        // Process ids are positive `pid_t`.
        WORKER.store(std::process::id().cast_signed(), Ordering::Release);
        TERM_PIPE.store(writer.as_raw_fd(), Ordering::Release);
        install_term()?;
        absorb_terminal()?;
        Ok(Wake { reader, writer })
    }

    /// The end to watch.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Wakes one thread after the other.
    pub fn ring(&self) {
        // A full pipe wakes as well.
        let _ = (&self.writer).write(&[RING_BYTE]);
    }

    /// Empties the pipe; whether SIGTERM came.
    pub fn read(&self) -> bool {
        let mut room = [0; 64];
        let mut term = false;
        while let Ok(count) = (&self.reader).read(&mut room) {
            if count == 0 {
                break;
            }
            term |= room.get(..count).unwrap_or(&[]).contains(&TERM_BYTE);
        }
        term
    }
}

/// Takes what a terminal sends to its whole process group: the master decides.
///
/// # Errors
/// As of sigaction(2).
pub fn absorb_terminal() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
        sys::signals::absorb(signal)?;
    }
    Ok(())
}

fn install_term() -> io::Result<()> {
    // SAFETY: an all-zero sigaction is a valid start; its fields are set below.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle_term as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler only writes to a pipe, which is safe at any moment.
    let result = unsafe { libc::sigaction(libc::SIGTERM, &action, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn handle_term(_: libc::c_int) {
    // SAFETY: getpid(2) is async-signal-safe.
    if unsafe { libc::getpid() } != WORKER.load(Ordering::Acquire) {
        // SAFETY: signal(2) is async-signal-safe; the default is a valid disposition.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_DFL) };
        // SAFETY: raise(3) is async-signal-safe; it takes effect when this handler returns.
        unsafe { libc::raise(libc::SIGTERM) };
        return;
    }
    let pipe = TERM_PIPE.load(Ordering::Acquire);
    // SAFETY: write(2) is async-signal-safe; the pipe stays open as long as the process.
    unsafe { libc::write(pipe, [TERM_BYTE].as_ptr().cast(), 1) };
}
