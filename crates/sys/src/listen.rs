//! Listening sockets: TCP and Unix, with the reasons of failure in words.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{check, process, users};

/// How long we wait for an answer when we ask whether somebody still listens on a socket file.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);

/// Options of a TCP listener.
#[derive(Clone, Copy, Debug, Default)]
pub struct InetOptions {
    /// Connections the kernel keeps waiting.
    pub backlog: u32,
    /// An IPv6 socket takes no IPv4.
    pub ipv6_only: bool,
    /// SO_REUSEPORT.
    pub reuse_port: bool,
    /// SO_KEEPALIVE, inherited by accepted connections.
    pub keepalive: bool,
}

/// Options of a Unix listener.
#[derive(Clone, Debug, Default)]
pub struct UnixOptions {
    /// Connections the kernel keeps waiting.
    pub backlog: u32,
    /// Mode of the file; `None` leaves what the umask gives.
    pub mode: Option<u32>,
    /// Owner of the file: user and group numbers.
    pub owner: (Option<u32>, Option<u32>),
}

/// Why nobody can listen there.
#[derive(Debug)]
pub struct ListenError {
    /// What was tried, in words, and on which address.
    pub what: String,
    /// What the kernel said.
    pub source: io::Error,
    /// What to do about it, or who is in the way.
    pub hint: Option<String>,
}

impl fmt::Display for ListenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.what, self.source)?;
        match &self.hint {
            Some(hint) => write!(out, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ListenError {}

/// Listens on an IP address; non-blocking, close-on-exec, SO_REUSEADDR.
///
/// # Errors
/// In use (the hint names the program, if `/proc` tells), not ours, privileged, ….
pub fn inet(address: SocketAddr, options: InetOptions) -> Result<OwnedFd, ListenError> {
    let fail = |source: io::Error| ListenError {
        hint: inet_hint(address, &source),
        what: format!("cannot listen on `{address}`"),
        source,
    };
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let socket = socket(family).map_err(fail)?;
    let set = |level, option, on: bool| set_option(&socket, level, option, libc::c_int::from(on));
    let prepare = || {
        set(libc::SOL_SOCKET, libc::SO_REUSEADDR, true)?;
        if options.reuse_port {
            set(libc::SOL_SOCKET, libc::SO_REUSEPORT, true)?;
        }
        if options.keepalive {
            set(libc::SOL_SOCKET, libc::SO_KEEPALIVE, true)?;
        }
        if address.is_ipv6() {
            set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, options.ipv6_only)?;
        }
        bind_inet(&socket, address)?;
        start_listening(&socket, options.backlog)
    };
    prepare().map_err(fail)?;
    Ok(socket)
}

/// Listens on a socket file. A file left by a dead process is removed, but only after a
/// connection showed that nobody answers there; owner and mode are set before anybody can
/// connect.
///
/// # Errors
/// Somebody listens there, something else is in the way, the directory is missing or not ours,
/// the owner cannot be set.
pub fn unix(path: &Path, options: &UnixOptions) -> Result<OwnedFd, ListenError> {
    let fail = |source: io::Error, hint: Option<String>| ListenError {
        what: format!("cannot listen on `{}`", path.display()),
        source,
        hint,
    };
    let address = UnixAddress::from_pathname(path).map_err(|error| {
        fail(error, Some("a socket's path may have 107 bytes at most: choose a shorter one".into()))
    })?;
    clear_stale(path, &address).map_err(|(error, hint)| fail(error, hint))?;
    let socket = socket(libc::AF_UNIX).map_err(|error| fail(error, None))?;
    bind_unix(&socket, path.as_os_str().as_bytes(), false).map_err(|error| {
        let hint = unix_hint(path, &error);
        fail(error, hint)
    })?;
    let (uid, gid) = options.owner;
    if uid.is_some() || gid.is_some() {
        std::os::unix::fs::chown(path, uid, gid).map_err(|source| {
            drop(std::fs::remove_file(path));
            ListenError {
                what: format!(
                    "cannot give `{}` to user {} and group {}",
                    path.display(),
                    uid.map_or_else(|| "(same)".into(), |id| id.to_string()),
                    gid.map_or_else(|| "(same)".into(), |id| id.to_string())
                ),
                source,
                hint: Some(
                    "start as root, or be a member of that group, or leave the owner out".into(),
                ),
            }
        })?;
    }
    if let Some(mode) = options.mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .map_err(|error| fail(error, None))?;
    }
    // Until here a connection would have been refused: nobody got in with the wrong mode.
    start_listening(&socket, options.backlog).map_err(|error| fail(error, None))?;
    Ok(socket)
}

/// Listens in Linux's abstract namespace.
///
/// # Errors
/// In use.
pub fn abstract_unix(name: &str, backlog: u32) -> Result<OwnedFd, ListenError> {
    let fail = |source: io::Error| ListenError {
        what: format!("cannot listen on `@{name}`"),
        source,
        hint: None,
    };
    UnixAddress::from_abstract_name(name).map_err(fail)?;
    let socket = socket(libc::AF_UNIX).map_err(fail)?;
    bind_unix(&socket, name.as_bytes(), true).map_err(fail)?;
    start_listening(&socket, backlog).map_err(fail)?;
    Ok(socket)
}

/// Takes over a listening socket that was open when we were started.
///
/// # Errors
/// The number is not an open, listening socket.
pub fn inherited(number: i32) -> Result<OwnedFd, ListenError> {
    let fail = |source: io::Error| ListenError {
        what: format!("descriptor {number} is not a listening socket"),
        source,
        hint: Some("start under socket activation, or name an address instead".into()),
    };
    let mut listening: libc::c_int = 0;
    let mut bytes = size_of_val(&listening) as libc::socklen_t;
    // SAFETY: the value is an int that lives through the call, `bytes` is its size.
    let result = unsafe {
        libc::getsockopt(
            number,
            libc::SOL_SOCKET,
            libc::SO_ACCEPTCONN,
            (&raw mut listening).cast(),
            &mut bytes,
        )
    };
    check(result).map_err(fail)?;
    if listening == 0 {
        return Err(fail(io::ErrorKind::InvalidInput.into()));
    }
    // SAFETY: the getsockopt above showed that it is open; it may be closed at any time by
    // nobody, because numbers named by the user are never owned by our own code.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let socket = borrowed.try_clone_to_owned().map_err(fail)?;
    non_blocking(&socket).map_err(fail)?;
    Ok(socket)
}

/// The address a socket is bound to, if it is an IP socket (for port 0).
pub fn bound_inet(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    let listener = std::net::TcpListener::from(socket.try_clone_to_owned().ok()?);
    listener.local_addr().ok()
}

fn socket(family: libc::c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: plain call with integer arguments.
    let number = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the call succeeded; the descriptor is new and ours alone.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn non_blocking(socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: plain calls on a descriptor we own.
    let flags = check(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) })?;
    let flags = flags | libc::O_NONBLOCK;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, flags) }).map(drop)
}

fn set_option(
    socket: &OwnedFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let bytes = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the option's value is an int that lives through the call.
    check(unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), bytes)
    })
    .map(drop)
}

fn bind_inet(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    let number = socket.as_raw_fd();
    match address {
        SocketAddr::V4(address) => {
            // SAFETY: an all-zero sockaddr_in is a valid value.
            let mut raw: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            raw.sin_family = libc::AF_INET as libc::sa_family_t;
            raw.sin_port = address.port().to_be();
            raw.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
            let bytes = size_of_val(&raw) as libc::socklen_t;
            // SAFETY: pointer and length are those of `raw`.
            check(unsafe { libc::bind(number, (&raw const raw).cast(), bytes) })
        }
        SocketAddr::V6(address) => {
            // SAFETY: an all-zero sockaddr_in6 is a valid value.
            let mut raw: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
            raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            raw.sin6_port = address.port().to_be();
            raw.sin6_addr.s6_addr = address.ip().octets();
            raw.sin6_scope_id = address.scope_id();
            let bytes = size_of_val(&raw) as libc::socklen_t;
            // SAFETY: pointer and length are those of `raw`.
            check(unsafe { libc::bind(number, (&raw const raw).cast(), bytes) })
        }
    }
    .map(drop)
}

/// Binds to a path or abstract name; its length was checked by the caller.
fn bind_unix(socket: &OwnedFd, name: &[u8], abstract_name: bool) -> io::Result<()> {
    // SAFETY: an all-zero sockaddr_un is a valid value.
    let mut raw: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let start = usize::from(abstract_name);
    if start + name.len() > raw.sun_path.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in raw.sun_path.iter_mut().skip(start).zip(name) {
        *to = *from as libc::c_char;
    }
    // One more byte either way: the NUL before an abstract name, or the one behind a path.
    let bytes = (std::mem::offset_of!(libc::sockaddr_un, sun_path) + 1 + name.len())
        .min(size_of_val(&raw)) as libc::socklen_t;
    // SAFETY: `bytes` is at most the size of `raw`.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const raw).cast(), bytes) }).map(drop)
}

fn start_listening(socket: &OwnedFd, backlog: u32) -> io::Result<()> {
    let backlog = libc::c_int::try_from(backlog).unwrap_or(libc::c_int::MAX);
    // SAFETY: plain call on a descriptor we own.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog) }).map(drop)
}

/// Removes a socket file that nobody answers on.
fn clear_stale(path: &Path, address: &UnixAddress) -> Result<(), (io::Error, Option<String>)> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        let error = io::Error::from_raw_os_error(libc::EADDRINUSE);
        return Err((error, Some("a file that is no socket is there: move it away".into())));
    }
    match UnixStream::connect_addr(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| {
                let hint = format!(
                    "a socket file left by a dead process is there (owner {}): remove it",
                    owner_name(metadata.uid())
                );
                (error, Some(hint))
            })
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let hint = format!(
                "the socket belongs to {} and we may not ask who listens: stop that program, \
                 or remove the file, or start as that user",
                owner_name(metadata.uid())
            );
            Err((error, Some(hint)))
        }
        // Gone meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answered => {
            let holder = answered.ok().and_then(|stream| peer_pid(&stream));
            let error = io::Error::from_raw_os_error(libc::EADDRINUSE);
            let hint = match holder.and_then(|pid| Some((pid, process::command_line(pid)?))) {
                Some((pid, command)) => format!("pid {pid} listens there: `{command}`"),
                None => "another process listens there: stop it first".into(),
            };
            Err((error, Some(hint)))
        }
    }
}

/// The pid behind the other end of a Unix connection (for a listener: who called `listen`).
fn peer_pid(stream: &UnixStream) -> Option<u32> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut bytes = size_of_val(&peer) as libc::socklen_t;
    // SAFETY: `peer` is a valid place for the answer and `bytes` is its size.
    let result = unsafe {
        libc::getsockopt(
            stream.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &mut bytes,
        )
    };
    (result == 0 && peer.pid > 0).then_some(peer.pid as u32)
}

fn owner_name(uid: u32) -> String {
    match users::user(&uid.to_string()) {
        Ok(Some(user)) if user.name != uid.to_string() => format!("`{}`", user.name),
        _ => format!("uid {uid}"),
    }
}

fn unix_hint(path: &Path, error: &io::Error) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    match error.kind() {
        io::ErrorKind::NotFound => {
            Some(format!("the directory `{}` does not exist: make it first", folder.display()))
        }
        io::ErrorKind::PermissionDenied => {
            let owner = std::fs::metadata(&folder).map(|found| owner_name(found.uid())).ok();
            Some(format!(
                "the directory `{}` belongs to {} and {} may not write there: choose another \
                 directory, or give it away with chown",
                folder.display(),
                owner.unwrap_or_else(|| "somebody else".into()),
                owner_name(users::effective_uid())
            ))
        }
        _ => None,
    }
}

fn inet_hint(address: SocketAddr, error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::AddrInUse => match holder_of(address.port()) {
            Some((pid, command)) => {
                Some(format!("pid {pid} holds port {}: `{command}`", address.port()))
            }
            None if TcpStream::connect_timeout(&address, ASK_TIMEOUT).is_ok() => {
                Some("another program answers there (started by another user)".into())
            }
            None => None,
        },
        io::ErrorKind::PermissionDenied if address.port() < 1024 => Some(format!(
            "ports below 1024 need root or CAP_NET_BIND_SERVICE: start as root, or use {}",
            if address.port() == 80 { 8080 } else { u32::from(address.port()) + 8000 }
        )),
        io::ErrorKind::AddrNotAvailable => {
            Some("no network interface of this machine has that address".into())
        }
        _ => None,
    }
}

/// Who listens on a TCP port, as far as `/proc` lets us see.
fn holder_of(port: u16) -> Option<(u32, String)> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| {
            table.lines().filter_map(|line| listener_inode(line, port)).collect::<Vec<_>>()
        })
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let pids = std::fs::read_dir("/proc").ok()?.flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let Ok(fds) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        let mut links = fds.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        if links.any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str())) {
            return Some((pid, process::command_line(pid)?));
        }
    }
    None
}

/// The inode of a line of `/proc/net/tcp`, if it is a listener on that port.
fn listener_inode(line: &str, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, hexadecimal) = fields.get(1)?.rsplit_once(':')?;
    let same = u16::from_str_radix(hexadecimal, 16).ok()? == port;
    (same && *fields.get(3)? == "0A").then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sys-listen-{}-{name}", std::process::id()));
        drop(std::fs::remove_file(&path));
        path
    }

    fn any_port() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn a_port_in_use_names_its_holder() {
        let options = InetOptions { backlog: 8, ..InetOptions::default() };
        let first = inet(any_port(), options).unwrap();
        let address = bound_inet(first.as_fd()).unwrap();
        let error = inet(address, options).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        let hint = error.hint.unwrap();
        assert!(hint.contains(&format!("pid {}", std::process::id())), "{hint}");
    }

    #[test]
    fn a_socket_file_is_replaced_when_its_owner_is_dead_and_kept_when_it_answers() {
        let path = scratch("stale");
        let options = UnixOptions { backlog: 8, mode: Some(0o660), ..UnixOptions::default() };
        let alive = unix(&path, &options).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        let error = unix(&path, &options).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.hint.unwrap().contains("listens there"));
        drop(alive);
        unix(&path, &options).unwrap();
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_plain_file_in_the_way_is_never_removed() {
        let path = scratch("plain");
        std::fs::write(&path, "precious").unwrap();
        assert!(unix(&path, &UnixOptions::default()).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = unix(Path::new("/no/such/place/a.sock"), &UnixOptions::default()).unwrap_err();
        assert!(error.to_string().contains("`/no/such/place` does not exist"), "{error}");
    }

    #[test]
    fn an_abstract_name_is_taken_only_once() {
        let name = format!("sys-listen-{}", std::process::id());
        let first = abstract_unix(&name, 8).unwrap();
        assert!(abstract_unix(&name, 8).is_err());
        drop(first);
    }

    #[test]
    fn a_descriptor_that_does_not_listen_is_refused() {
        assert!(inherited(0).is_err());
        assert!(inherited(987_654).is_err());
    }
}
