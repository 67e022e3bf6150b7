//! Starting, reaping and ending processes.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::users::Credentials;
use crate::{check, signals, users};

/// A program to start by fork and exec.
#[derive(Debug, Default)]
pub struct Child<'a> {
    /// The program's file.
    pub program: PathBuf,
    /// What it sees as its own name; `None` is the program's path.
    pub argv0: Option<OsString>,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables added to the inherited environment.
    pub env: Vec<(OsString, OsString)>,
    /// Variables taken out of it.
    pub env_removed: Vec<OsString>,
    /// Descriptors it gets, under the numbers they have here; everything else is closed.
    pub inherit: Vec<BorrowedFd<'a>>,
    /// Who it becomes, after groups, before exec; with the check that there is no way back.
    pub credentials: Option<Credentials>,
    /// PR_SET_NO_NEW_PRIVS.
    pub no_new_privileges: bool,
}

impl Child<'_> {
    /// Starts it: standard input is `/dev/null`, signals are unblocked and at their defaults,
    /// and it leads a process group of its own, so that a Ctrl-C reaches only its parent.
    /// Returns its pid; reap it with [`reap`].
    ///
    /// # Errors
    /// No such program, not executable, out of processes, privileges could not be dropped.
    pub fn spawn(self) -> io::Result<u32> {
        let mut command = Command::new(&self.program);
        command.arg0(self.argv0.as_deref().unwrap_or_else(|| self.program.as_os_str()));
        command.args(&self.args).stdin(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        for name in &self.env_removed {
            command.env_remove(name);
        }
        let inherit: Vec<RawFd> = self.inherit.iter().map(AsRawFd::as_raw_fd).collect();
        let credentials = self.credentials;
        let no_new_privileges = self.no_new_privileges;
        let prepare = move || {
            signals::unblock_all();
            // SAFETY: plain call; fails only for session leaders, which a fresh child is not.
            check(unsafe { libc::setpgid(0, 0) })?;
            for fd in &inherit {
                // SAFETY: plain call on a number that is open in the child (fork copied it).
                check(unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) })?;
            }
            if let Some(who) = &credentials {
                users::drop_privileges(who)?;
            }
            if no_new_privileges {
                users::no_new_privileges()?;
            }
            Ok(())
        };
        // SAFETY: the closure only makes async-signal-safe system calls on values made before
        // the fork; it neither allocates nor takes locks.
        unsafe { command.pre_exec(prepare) };
        Ok(command.spawn()?.id())
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this code.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
}

/// Collects one ended child (or orphan handed to us as subreaper); never waits. `None`: no more
/// have ended.
pub fn reap() -> Option<(u32, Ending)> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for an int.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    if pid <= 0 {
        return None;
    }
    let status = ExitStatus::from_raw(status);
    let ending = match status.code() {
        Some(code) => Ending::Exited(code),
        None => Ending::Killed(status.signal().unwrap_or(0)),
    };
    Some((pid as u32, ending))
}

/// Makes this process the parent of every descendant whose own parent ends.
///
/// # Errors
/// A kernel without PR_SET_CHILD_SUBREAPER.
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: plain call with integer arguments.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// Sends a signal to one process. Signal 0 only asks whether it is there.
///
/// # Errors
/// No such process, or not allowed. Pids 0 and 1 and those beyond `i32` are refused, because
/// they would mean groups.
pub fn kill(pid: u32, signal: i32) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 1);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: plain call; the pid is positive, so it names one process.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Goes to the background: the calling process ends with code 0, its copy goes on in a session
/// of its own with standard input and output on `/dev/null`; standard error stays as it is. Only
/// while there is one thread.
///
/// # Errors
/// Out of processes or descriptors.
pub fn daemonise() -> io::Result<()> {
    // SAFETY: the program has one thread here (documented above), so the copy is complete.
    let pid = check(unsafe { libc::fork() })?;
    if pid > 0 {
        // SAFETY: ends this process without running destructors that belong to the copy.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: plain call; a fresh copy leads no group, so it succeeds.
    check(unsafe { libc::setsid() })?;
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    replace_standard(&null, &[0, 1])
}

/// Puts `file` in the place of standard descriptors (1 and 2 for a log file).
///
/// # Errors
/// As `dup2(2)`.
pub fn replace_standard(file: &impl AsRawFd, numbers: &[RawFd]) -> io::Result<()> {
    for number in numbers {
        // SAFETY: plain call; standard descriptors are owned by nobody in particular.
        check(unsafe { libc::dup2(file.as_raw_fd(), *number) })?;
    }
    Ok(())
}

/// Makes sure that descriptors 0, 1 and 2 are open, so that nothing else ever gets their
/// numbers.
///
/// # Errors
/// `/dev/null` cannot be opened.
pub fn open_standard() -> io::Result<()> {
    loop {
        let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
        if null.as_raw_fd() > 2 {
            return Ok(());
        }
        // Leaves the low number taken for the life of the process; cleared of close-on-exec
        // because children expect it as well.
        let number = std::os::fd::IntoRawFd::into_raw_fd(null);
        // SAFETY: plain call on the descriptor just opened.
        check(unsafe { libc::fcntl(number, libc::F_SETFD, 0) })?;
    }
}

/// Replaces this process by another program.
pub fn exec(program: &Path, argv0: &OsStr, args: &[OsString]) -> io::Error {
    Command::new(program).arg0(argv0).args(args).exec()
}

/// Takes over a descriptor that the parent passed under that number, and makes it close-on-exec.
/// `None` if there is none. For the start of a process only: the number must have no owner yet.
pub fn take_inherited(number: RawFd) -> Option<OwnedFd> {
    if number <= 2 {
        return None;
    }
    // SAFETY: plain call; it fails if the number is not open.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }).ok()?;
    // SAFETY: it is open, and the caller has not handed it to anybody else (documented).
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Where this program's own file is, also after it was replaced on disk.
pub fn own_executable() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// The command line of another process, blanks between its words; `None` if it is gone.
pub fn command_line(pid: u32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| OsStr::from_bytes(word).to_string_lossy().into_owned())
        .collect();
    Some(words.join(" "))
}

/// This process.
pub fn pid() -> u32 {
    std::process::id()
}

/// What a process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Address space, in bytes.
    pub address_space: u64,
    /// Of that in memory, in bytes.
    pub resident: u64,
}

/// What this process uses now: proc(5), `statm`.
///
/// # Errors
/// There is no `/proc`, or it says something else.
pub fn memory() -> io::Result<Memory> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let mut pages = text.split(' ').map(|number| number.parse::<u64>());
    let mut next = || pages.next().and_then(Result::ok).ok_or(io::ErrorKind::InvalidData);
    let (address_space, resident) = (next()?, next()?);
    // SAFETY: asks for a number.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    Ok(Memory {
        address_space: address_space.saturating_mul(page),
        resident: resident.saturating_mul(page),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_process_knows_its_memory() {
        let before = memory().unwrap();
        assert!(before.resident > 1 << 20 && before.address_space > before.resident);
        let more = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(memory().unwrap().resident >= before.resident + more.len() as u64 / 2);
    }

    #[test]
    fn a_child_gets_the_named_descriptors_under_their_numbers_and_no_others() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (other, _end) = std::io::pipe().unwrap();
        let text = format!(
            "echo there >&{}; if test -e /proc/self/fd/{}; then echo leak >&{}; fi",
            writer.as_raw_fd(),
            other.as_raw_fd(),
            writer.as_raw_fd()
        );
        let child = Child {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), text.into()],
            inherit: vec![writer.as_fd()],
            no_new_privileges: true,
            ..Child::default()
        };
        child.spawn().unwrap();
        drop(writer);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "there\n");
    }

    #[test]
    fn a_group_is_never_signalled_by_a_pid_that_is_none() {
        for pid in [0, 1, u32::MAX, 0x8000_0000] {
            assert_eq!(kill(pid, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
