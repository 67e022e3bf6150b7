//! Lines on standard error: notes, and one line per request in uWSGI's default format or
//! ([`mod@format`]) in the one of `log-format`.

mod format;

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use super::harakiri::lock;
use crate::exchange::Served;

pub use self::format::formatted;

/// Longest request line; uWSGI's limit as well.
const LINE_BYTES_MAX: usize = 4096;

/// Facts of a served request that the line shows beside [`Served`].
pub struct Entry<'a> {
    /// CGI variables, coded.
    pub vars: &'a [u8],
    /// What became of it.
    pub served: &'a Served,
    /// The worker's number.
    pub worker: u32,
    /// Requests this worker has served, this one included.
    pub worker_requests: u64,
    /// The same of all workers.
    pub total_requests: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// How many times the app was asked for more.
    pub switches: u32,
    /// Number of the request thread.
    pub core: u32,
    /// Since 1970, when it began.
    pub started: Duration,
}

/// Writes a note, prefixed with the time as uWSGI's own messages about requests are.
pub fn note(text: &str) {
    let seconds = since_1970().as_secs();
    let mut line = with_ctime(seconds, |time| format!("{time} - "));
    // Text from a client must not be able to forge a line.
    line.extend(text.chars().map(|c| if c.is_control() { '?' } else { c }));
    line.push('\n');
    write_line(line.as_bytes());
}

/// Writes several lines at once, as they are.
pub fn write_line(bytes: &[u8]) {
    // Nothing can be done about a log that cannot be written.
    let _ = std::io::stderr().lock().write_all(bytes);
}

/// The file of request lines (`req-logger`).
pub struct RequestLog {
    path: PathBuf,
    /// Locked for one line. `None`: it could not be opened, lines go to standard error.
    file: Mutex<Option<File>>,
}

impl RequestLog {
    /// Opens it; it is made if it is missing.
    pub fn new(path: &Path) -> RequestLog {
        let log = RequestLog { path: path.to_owned(), file: Mutex::new(None) };
        log.reopen();
        log
    }

    /// Goes on in the file that has the name now. The old one is better than none.
    pub fn reopen(&self) {
        match sys::files::open_log(&self.path) {
            Ok(file) => *lock(&self.file) = Some(file),
            Err(error) => note(&format!("cannot open `{}`: {error}", self.path.display())),
        }
    }

    fn write(&self, line: &[u8]) {
        match &mut *lock(&self.file) {
            // Nothing can be done about a log that cannot be written.
            Some(file) => drop(file.write_all(line)),
            None => write_line(line),
        }
    }
}

/// Puts the master's new log file, if it has one, in the place of standard output and error, for us, the
/// app and what it starts.
pub fn replace(file: Option<OwnedFd>) {
    let Some(file) = file else { return };
    // The old file is better than none.
    if let Err(error) = sys::process::replace_standard(&file, &[1, 2]) {
        note(&format!("cannot go on in the new log file: {error}"));
    }
}

/// The time of day.
pub fn since_1970() -> Duration {
    sys::clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Writes the line of a request. `out` is a buffer to build it in.
pub fn request(out: &mut Vec<u8>, entry: &Entry<'_>, to: Option<&RequestLog>) {
    let mut facts = Facts::default();
    for (name, value) in proto::uwsgi::vars(entry.vars).flatten() {
        // uWSGI counts names and values.
        facts.count += 2;
        match name {
            b"REMOTE_ADDR" => facts.address = value,
            b"REMOTE_USER" => facts.user = value,
            b"REQUEST_METHOD" => facts.method = value,
            b"REQUEST_URI" => facts.uri = value,
            b"SERVER_PROTOCOL" => facts.protocol = value,
            _ => {}
        }
    }
    out.clear();
    push_line(out, entry, &facts);
    if out.len() > LINE_BYTES_MAX {
        // The address of the resource is what makes a line long.
        facts.uri = facts.uri.get(..LINE_BYTES_MAX / 2).unwrap_or(facts.uri);
        out.clear();
        push_line(out, entry, &facts);
    }
    end_line(out, to);
}

/// Ends the line of a request and writes it.
fn end_line(out: &mut Vec<u8>, to: Option<&RequestLog>) {
    for byte in out.iter_mut() {
        // Values from a packet may hold anything: one request, one line.
        if byte.is_ascii_control() {
            *byte = b'?';
        }
    }
    out.push(b'\n');
    match to {
        Some(log) => log.write(out),
        None => write_line(out),
    }
}

#[derive(Default)]
struct Facts<'a> {
    count: u32,
    address: &'a [u8],
    user: &'a [u8],
    method: &'a [u8],
    uri: &'a [u8],
    protocol: &'a [u8],
}

fn push_line(out: &mut Vec<u8>, entry: &Entry<'_>, facts: &Facts<'_>) {
    let served = entry.served;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "[pid: {}|app: ", std::process::id(),);
    // As uWSGI shows what came to no app.
    let _ = match served.app {
        Some(app) => write!(out, "{app}|req: {}/", entry.worker_requests),
        None => write!(out, "-1|req: -1/"),
    };
    let _ = write!(out, "{}] ", entry.total_requests);
    out.extend_from_slice(facts.address);
    out.extend_from_slice(b" (");
    out.extend_from_slice(facts.user);
    let bytes = entry.vars.len();
    let _ = write!(out, ") {{{} vars in {bytes} bytes}} [", facts.count);
    with_ctime(entry.started.as_secs(), |time| out.extend_from_slice(time.as_bytes()));
    out.extend_from_slice(b"] ");
    out.extend_from_slice(facts.method);
    out.push(b' ');
    out.extend_from_slice(facts.uri);
    let via = if served.via_sendfile { " via sendfile() " } else { " " };
    let _ = write!(
        out,
        " => generated {} bytes in {} msecs{via}(",
        served.body_bytes,
        entry.elapsed.as_millis()
    );
    out.extend_from_slice(facts.protocol);
    let _ = write!(
        out,
        " {}) {} headers in {} bytes ({} switches on core {})",
        served.status, served.header_count, served.header_bytes, entry.switches, entry.core
    );
}

/// Hands the local time as ctime(3) writes it to `with`; made anew once per second.
fn with_ctime<T>(seconds: u64, with: impl FnOnce(&str) -> T) -> T {
    thread_local! {
        static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    LAST.with_borrow_mut(|(at, text)| {
        if *at != seconds {
            *at = seconds;
            *text = sys::clock::local(UNIX_EPOCH + Duration::from_secs(seconds)).ctime();
        }
        with(text)
    })
}
