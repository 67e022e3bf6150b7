//! Files that belong to processes: pid files, log files, directories of their own; and limits.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::check;

/// Writes a pid file: the number and a newline, over what was there.
///
/// # Errors
/// As `open(2)` and `write(2)`.
pub fn write_pid(path: &Path, pid: u32) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
    file.write_all(format!("{pid}\n").as_bytes())
}

/// Reads a pid file.
///
/// # Errors
/// It cannot be read; `InvalidData` if there is no pid in it.
pub fn read_pid(path: &Path) -> io::Result<u32> {
    let text = std::fs::read_to_string(path)?;
    let pid = text.trim().parse::<u32>().ok().filter(|pid| *pid > 1);
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no pid in it"))
}

/// Opens a log file for appending; makes it (mode 0644 less the umask) if need be.
///
/// # Errors
/// As `open(2)`.
pub fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o644).open(path)
}

/// Gives a file to a user and group; `None` leaves that half.
///
/// # Errors
/// As `chown(2)`.
pub fn chown(path: &Path, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    std::os::unix::fs::chown(path, uid, gid)
}

/// Makes sure that a directory exists (mode 0700 if it is made) and, if `owner` is given,
/// belongs to that user and can be used by it.
///
/// # Errors
/// It cannot be made or given away.
pub fn own_directory(path: &Path, owner: Option<u32>) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        Err(error) => return Err(error),
    }
    let Some(uid) = owner else { return Ok(()) };
    let metadata = std::fs::metadata(path)?;
    if metadata.uid() != uid {
        chown(path, Some(uid), None)?;
    }
    if metadata.mode() & 0o700 != 0o700 {
        let mode = metadata.mode() & 0o7777 | 0o700;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Sets the file mode creation mask and returns the old one.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: always succeeds, touches no memory.
    unsafe { libc::umask(mask as libc::mode_t) }
}

/// Raises (or lowers) the soft limit of open descriptors to `wanted`, and the hard one if that
/// is below and we may. Returns what holds now.
///
/// # Errors
/// As `setrlimit(2)`.
pub fn limit_descriptors(wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = wanted;
    limit.rlim_max = limit.rlim_max.max(wanted);
    // SAFETY: `limit` is initialised.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    Ok(limit.rlim_cur)
}

/// Names tried for a file before giving up; one is only taken if an earlier process died between
/// creating and removing it.
const NAMES_TRIED_MAX: u32 = 16;

/// Opens a new file for reading and writing (mode 0600) on the file system of `directory`, without
/// a name, so that nothing is left behind however the process ends.
///
/// # Errors
/// As `open(2)`, and as `unlink(2)` where the file has to have a name for a moment.
pub fn open_nameless(directory: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE);
    match options.open(directory) {
        // Some file systems (overlay, NFS) say the one, kernels without the flag the other.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {}
        result => return result,
    }
    open_named_for_a_moment(directory)
}

fn open_named_for_a_moment(directory: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut tries = 0;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{}-{number:010}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && tries < NAMES_TRIED_MAX => {}
            Err(error) => return Err(error),
        }
        tries += 1;
    }
}

/// Reads into memory that nobody has written to yet, from where the file stands; says how many
/// bytes have been, from the start of `room` on. Zero is the end of the file.
///
/// # Errors
/// As `read(2)`, `Interrupted` excepted: then it is called again.
pub fn read_unwritten(file: &File, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    loop {
        // SAFETY: the room is valid for writes of its own length.
        let count = unsafe { libc::read(file.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        };
        return Ok(count);
    }
}

/// Changes the working directory.
///
/// # Errors
/// As `chdir(2)`.
pub fn chdir(path: &Path) -> io::Result<()> {
    std::env::set_current_dir(path)
}

/// Whether the effective user may execute (or, for a directory, enter) `path`.
pub fn executable(path: &Path) -> bool {
    let Ok(name) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: `name` is NUL-terminated and outlives the call.
    unsafe { libc::faccessat(libc::AT_FDCWD, name.as_ptr(), libc::X_OK, libc::AT_EACCESS) == 0 }
}

/// Bytes that an ordinary user may still write to the file system that `path` is on.
///
/// # Errors
/// As `statvfs(3)`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let mut answer = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `name` is NUL-terminated and `answer` has room for the structure; both outlive the call.
    check(unsafe { libc::statvfs(name.as_ptr(), answer.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it has filled the structure in.
    let answer = unsafe { answer.assume_init() };
    Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_without_a_pid_is_no_pid_file() {
        let path = std::env::temp_dir().join(format!("sys-pid-{}", std::process::id()));
        write_pid(&path, 4711).unwrap();
        assert_eq!(read_pid(&path).unwrap(), 4711);
        for bad in ["", "abc", "-5", "0", "1"] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(read_pid(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_without_a_name_is_ours_alone_and_leaves_nothing_in_its_directory() {
        let directory = std::env::temp_dir().join(format!("sys-nameless-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        for open in [open_nameless, open_named_for_a_moment] {
            let mut file = open(&directory).unwrap();
            file.write_all(b"text").unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
        }
        std::fs::remove_dir(&directory).unwrap();
        let missing = open_nameless(&directory).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
