//! Users and groups: look-ups, and becoming somebody with no way back.

use std::ffi::{CStr, CString};
use std::io;

use crate::check;

/// Longest answer of the user database we take, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Number.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
}

/// Who a process becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User; `None` stays.
    pub uid: Option<u32>,
    /// Group; `None` stays.
    pub gid: Option<u32>,
    /// All supplementary groups.
    pub groups: Vec<u32>,
}

/// Whether this process is root (effective user 0).
pub fn is_root() -> bool {
    effective_uid() == 0
}

/// The effective user.
pub fn effective_uid() -> u32 {
    // SAFETY: always succeeds, touches no memory.
    unsafe { libc::geteuid() }
}

/// The effective group.
pub fn effective_gid() -> u32 {
    // SAFETY: always succeeds, touches no memory.
    unsafe { libc::getegid() }
}

/// The user with that name, or with that number if `name` is one (a number needs no entry in
/// the database; its primary group is then the same number).
///
/// # Errors
/// The database cannot be read. An unknown name is `Ok(None)`.
pub fn user(name: &str) -> io::Result<Option<User>> {
    let by_number = name.parse::<u32>().ok();
    let key = CString::new(name)?;
    let mut buffer = vec![0 as libc::c_char; 4096];
    loop {
        // SAFETY: an all-zero value of that plain C struct is valid.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        let (at, length) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: all pointers are valid for the call; strings land in `buffer`.
        let code = unsafe {
            match by_number {
                Some(uid) => libc::getpwuid_r(uid, &mut entry, at, length, &mut found),
                None => libc::getpwnam_r(key.as_ptr(), &mut entry, at, length, &mut found),
            }
        };
        if code == libc::ERANGE && length < ANSWER_BYTES_MAX {
            buffer.resize(length * 4, 0);
            continue;
        }
        if found.is_null() {
            let unnamed = by_number.map(|id| User { name: name.to_owned(), uid: id, gid: id });
            return known(code).map(|()| unnamed);
        }
        // SAFETY: the entry was found, so pw_name is a NUL-terminated string in `buffer`.
        let name = unsafe { CStr::from_ptr(entry.pw_name) }.to_string_lossy().into_owned();
        return Ok(Some(User { name, uid: entry.pw_uid, gid: entry.pw_gid }));
    }
}

/// The number of the group with that name, or that number itself.
///
/// # Errors
/// The database cannot be read. An unknown name is `Ok(None)`.
pub fn group(name: &str) -> io::Result<Option<u32>> {
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let key = CString::new(name)?;
    let mut buffer = vec![0 as libc::c_char; 4096];
    loop {
        // SAFETY: an all-zero value of that plain C struct is valid.
        let mut entry: libc::group = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        let (at, length) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: all pointers are valid for the call; strings land in `buffer`.
        let code = unsafe { libc::getgrnam_r(key.as_ptr(), &mut entry, at, length, &mut found) };
        if code == libc::ERANGE && length < ANSWER_BYTES_MAX {
            buffer.resize(length * 4, 0);
            continue;
        }
        return known(code).map(|()| (!found.is_null()).then_some(entry.gr_gid));
    }
}

/// Codes that only say "no such entry" are no errors (the manual lists these).
fn known(code: libc::c_int) -> io::Result<()> {
    match code {
        0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => Ok(()),
        _ => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Every group a user belongs to, with `primary` among them (`initgroups`).
pub fn groups_of(user: &str, primary: u32) -> Vec<u32> {
    let Ok(name) = CString::new(user) else { return vec![primary] };
    let mut groups = vec![0 as libc::gid_t; 64];
    let mut count = groups.len() as libc::c_int;
    loop {
        let at = groups.as_mut_ptr();
        // SAFETY: `groups` has room for `count` entries.
        let result = unsafe { libc::getgrouplist(name.as_ptr(), primary, at, &mut count) };
        if result >= 0 {
            groups.truncate(count.max(0) as usize);
            return groups;
        }
        if groups.len() >= 65_536 {
            return vec![primary];
        }
        groups.resize(groups.len() * 4, 0);
        count = groups.len() as libc::c_int;
    }
}

/// Becomes `who` for good: groups, group, user, in that order, then checks that there is no way
/// back. Makes no allocation, so it may run between fork and exec.
///
/// # Errors
/// Not allowed to, or (a broken kernel or sandbox) the way back is open.
pub fn drop_privileges(who: &Credentials) -> io::Result<()> {
    if who.uid.is_none() && who.gid.is_none() {
        return Ok(());
    }
    if is_root() {
        // SAFETY: pointer and length are those of one vector.
        check(unsafe { libc::setgroups(who.groups.len(), who.groups.as_ptr()) })?;
    }
    if let Some(gid) = who.gid {
        // SAFETY: plain call.
        check(unsafe { libc::setresgid(gid, gid, gid) })?;
    }
    let Some(uid) = who.uid else { return Ok(()) };
    // SAFETY: plain call.
    check(unsafe { libc::setresuid(uid, uid, uid) })?;
    // SAFETY: plain call; it must fail, which is the point.
    if uid != 0 && unsafe { libc::setuid(0) } == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

/// PR_SET_NO_NEW_PRIVS: no exec from here on gives more privileges (setuid programs do not).
///
/// # Errors
/// A kernel without it.
pub fn no_new_privileges() -> io::Result<()> {
    // SAFETY: plain call with integer arguments.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_number_and_a_stranger_by_neither() {
        let root = user("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user("0").unwrap().unwrap().name, "root");
        assert_eq!(user("no-such-user-here").unwrap(), None);
        assert_eq!(user("4242424").unwrap().unwrap().gid, 4_242_424);
        assert_eq!(group("root").unwrap(), Some(0));
        assert_eq!(group("no-such-group-here").unwrap(), None);
    }
}
