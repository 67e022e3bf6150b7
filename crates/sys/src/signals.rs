//! Signals as something to read: blocked for the process, delivered through a descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// Signals that a terminal or a service manager sends to a whole process group, though they are
/// meant for its master: HUP, INT, QUIT, TERM, USR1, USR2, WINCH.
pub const TERMINAL_SIGNALS: [i32; 7] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
];

/// Blocked signals and the descriptor they are read from.
#[derive(Debug)]
pub struct SignalReader {
    fd: OwnedFd,
}

impl SignalReader {
    /// Blocks `signals` for the calling thread (call it before any other thread starts) and
    /// makes them readable. Children started by [`crate::process::Child`] begin with nothing
    /// blocked.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn block(signals: &[i32]) -> io::Result<SignalReader> {
        let set = set_of(signals);
        // SAFETY: `set` is initialised; the old mask is not asked for.
        let result = unsafe { libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        check(result)?;
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: -1 asks for a new descriptor; `set` is initialised.
        let number = check(unsafe { libc::signalfd(-1, &set, flags) })?;
        // SAFETY: the call succeeded; the descriptor is new and ours alone.
        Ok(SignalReader { fd: unsafe { OwnedFd::from_raw_fd(number) } })
    }

    /// The next signal that came, if any; never waits.
    ///
    /// # Errors
    /// As `read(2)`.
    pub fn next(&self) -> io::Result<Option<i32>> {
        // SAFETY: an all-zero value of that plain C struct is valid.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let bytes = size_of_val(&info);
        // SAFETY: the buffer is `bytes` long.
        let read = unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut info).cast(), bytes) };
        if read == bytes as isize {
            return Ok(Some(info.ssi_signo as i32));
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        }
    }
}

impl AsFd for SignalReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Lets the process ignore a signal. Ignoring is inherited through exec: a process that starts
/// others on behalf of an app should use [`absorb`] instead.
///
/// # Errors
/// An invalid number.
pub fn ignore(signal: i32) -> io::Result<()> {
    // SAFETY: SIG_IGN is a valid disposition and runs no code.
    let old = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if old == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives a signal its default meaning back.
///
/// # Errors
/// An invalid number.
pub fn restore_default(signal: i32) -> io::Result<()> {
    // SAFETY: SIG_DFL is a valid disposition.
    let old = unsafe { libc::signal(signal, libc::SIG_DFL) };
    if old == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Catches a signal and does nothing: like ignoring, but programs started later by exec have
/// the default again. System calls are restarted.
///
/// # Errors
/// An invalid number.
pub fn absorb(signal: i32) -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: an all-zero sigaction is valid; its fields are set below.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler does nothing, so it is safe at any moment.
    check(unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) }).map(drop)
}

/// Unblocks everything; async-signal-safe, for use between fork and exec.
pub(crate) fn unblock_all() {
    let set = set_of(&[]);
    // SAFETY: `set` is initialised; the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut()) };
}

/// The short name of a signal, as `SIGTERM`; `SIG42` for those without one.
pub fn name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGCHLD => "SIGCHLD",
        libc::SIGSYS => "SIGSYS",
        _ => return format!("SIG{signal}"),
    };
    name.to_owned()
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: an all-zero sigset_t is only a start; sigemptyset initialises it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid place for a signal set.
    unsafe { libc::sigemptyset(&mut set) };
    for signal in signals {
        // SAFETY: `set` was initialised; a bad number is reported by the call and ignored.
        unsafe { libc::sigaddset(&mut set, *signal) };
    }
    set
}
