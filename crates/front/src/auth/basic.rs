//! `auth_basic`: a name and a password (RFC 7617), looked up in the user file.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use message::{KnownHeader, RequestHead};
use plan::front::{BasicPlan, LogLevel};
use route::{render, render_bytes};

use super::proven::Unproven;
use super::{Refusal, Verdict};
use crate::content::open_files::Found;
use crate::content::static_file::errno_text;
use crate::exchange::Exchange;
use crate::relay::{Body, FilePart};

/// Largest user file, in bytes.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Longest stored password, in bytes. The longest that libraries make have about 200.
const STORED_BYTES_MAX: usize = 2048;

/// Who a request says it is.
pub struct Credentials {
    /// Name. Invariant: not empty, and without a colon.
    pub user: Vec<u8>,
    /// Password as it was sent.
    pub password: Vec<u8>,
}

/// Name and password of a Basic Authorization, checked by nobody. `None` if there is none, more
/// than one, or one that cannot be read.
pub fn credentials(head: &RequestHead) -> Option<Credentials> {
    let mut lines = head.header_all(KnownHeader::Authorization);
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    let (scheme, coded) = line.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let plain = crate::base64::decode(coded.trim_ascii())?;
    let colon = plain.iter().position(|&byte| byte == b':').filter(|&colon| colon > 0)?;
    let (user, password) = (plain.get(..colon)?, plain.get(colon + 1..)?);
    Some(Credentials { user: user.to_vec(), password: password.to_vec() })
}

/// Whether the request has the password of a user in the file.
pub async fn check(exchange: &Exchange, plan: &BasicPlan) -> Verdict {
    let realm = render_bytes(&plan.realm, exchange);
    if realm == "off" {
        return Verdict::NotAsked;
    }
    let Some(user_file) = &plan.user_file else {
        exchange.log(LogLevel::Error, "no user file is set for basic authentication");
        return Verdict::Refuse(Refusal::forbidden());
    };
    let Some(credentials) = credentials(&exchange.head) else {
        exchange.log(LogLevel::Info, "no user/password was provided for basic authentication");
        return refused(&realm);
    };
    let mut path = Vec::new();
    render(user_file, exchange, &mut path);
    if !path.starts_with(b"/") {
        let directory = plan.directory.as_os_str().as_bytes();
        path.splice(..0, [directory, b"/"].concat());
    }
    let users = match users(exchange, &path) {
        Ok(users) => users,
        Err(403) => return Verdict::Refuse(Refusal::forbidden()),
        Err(status) => return Verdict::Failed(status),
    };
    let user = shown(&credentials.user);
    let Some(stored) = stored(&users, &credentials.user) else {
        let path = shown(&path);
        exchange.log(LogLevel::Error, &format!("user \"{user}\" was not found in \"{path}\""));
        return refused(&realm);
    };
    match exchange.thread.proven.fits(&credentials, stored).await {
        Ok(true) => Verdict::Pass,
        Ok(false) => {
            exchange.log(LogLevel::Error, &format!("user \"{user}\": password mismatch"));
            refused(&realm)
        }
        Err(Unproven) => {
            let text = format!("user \"{user}\": crypt_r() failed: is libcrypt installed?");
            exchange.log(LogLevel::Crit, &text);
            Verdict::Failed(500)
        }
    }
}

/// Asks the client. What variables bring into the realm must not end the line.
fn refused(realm: &[u8]) -> Verdict {
    let mut challenge = b"Basic realm=\"".to_vec();
    challenge.extend(realm.iter().copied().filter(|byte| !byte.is_ascii_control()));
    challenge.push(b'"');
    Verdict::Refuse(Refusal::asking(vec![Bytes::from(challenge)]))
}

/// The user file's text, or the status to answer with.
fn users(exchange: &Exchange, path: &[u8]) -> Result<Bytes, u16> {
    let failed = |what: &str, error: std::io::Error| {
        let (status, level) = match error.kind() {
            std::io::ErrorKind::NotFound => (403, LogLevel::Error),
            _ => (500, LogLevel::Crit),
        };
        let text = format!("{what} \"{}\" failed {}", shown(path), errno_text(&error));
        exchange.log(level, &text);
        status
    };
    match exchange.thread.files.open(path) {
        Ok(Found::File(_, Body::Memory(users))) => Ok(users),
        Ok(Found::File(_, Body::File(part))) if part.bytes > FILE_BYTES_MAX => {
            let text = format!(
                "user file \"{}\" has {} bytes, more than {FILE_BYTES_MAX}",
                shown(path),
                part.bytes
            );
            exchange.log(LogLevel::Crit, &text);
            Err(500)
        }
        Ok(Found::File(_, Body::File(part))) => {
            read(&part).map_err(|error| failed("pread()", error))
        }
        Ok(Found::File(..)) => Ok(Bytes::new()),
        Ok(Found::Directory | Found::Special) => {
            let text = format!("user file \"{}\" is not a regular file", shown(path));
            exchange.log(LogLevel::Crit, &text);
            Err(500)
        }
        Err(error) => Err(failed("open()", error)),
    }
}

fn read(part: &FilePart) -> std::io::Result<Bytes> {
    let mut users = vec![0; usize::try_from(part.bytes).unwrap_or(0)];
    part.file.read_exact_at(&mut users, part.offset)?;
    Ok(Bytes::from(users))
}

/// The stored password of a user: what stands behind the name and its colon in the first line
/// with that name, up to another colon. One that is too long to be one is none.
fn stored<'a>(users: &'a [u8], user: &[u8]) -> Option<&'a [u8]> {
    let mut lines = users.split(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"#"));
    let rest = lines.find_map(|line| line.strip_prefix(user)?.strip_prefix(b":"))?;
    let stored = rest.split(|byte| matches!(byte, b':' | b'\r')).next()?;
    (stored.len() <= STORED_BYTES_MAX).then_some(stored)
}

/// A client's or variable's text as the log may show it: on one line.
fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &[u8] = b"# ann:commented\nann:one:a comment\r\nbob:two\r\nann:other\n\n\
        eve\neva:\n last:three\nend:four";

    #[test]
    fn the_first_line_of_a_user_counts_up_to_its_comment() {
        for (user, expected) in [
            ("ann", Some("one")),
            ("bob", Some("two")),
            ("eva", Some("")),
            ("end", Some("four")),
            (" last", Some("three")),
            ("eve", None),
            ("an", None),
            ("# ann", None),
            ("last", None),
            ("eve\neva", None),
        ] {
            assert_eq!(stored(USERS, user.as_bytes()), expected.map(str::as_bytes), "{user}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_nobody_s() {
        let line = |bytes: usize| [b"ann:".to_vec(), vec![b'x'; bytes]].concat();
        assert!(stored(&line(STORED_BYTES_MAX), b"ann").is_some());
        assert!(stored(&line(STORED_BYTES_MAX + 1), b"ann").is_none());
    }

    #[test]
    fn a_name_stays_on_its_line_of_the_log() {
        assert_eq!(
            shown("jürgen\r\n2026/01/01 [emerg]".as_bytes()),
            "jürgen\\r\\n2026/01/01 [emerg]"
        );
    }
}
