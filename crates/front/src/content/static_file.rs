//! Files.

use std::fs::Metadata;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use bytes::Bytes;
use message::{KnownHeader, Method};
use plan::front::LogLevel;
use plan::front::location::Precompressed;

use super::open_files::Found;
use super::paths;
use crate::exchange::Exchange;
use crate::filter::gzip;
use crate::phases::Outcome;
use crate::redirect;
use crate::relay::Body;
use crate::response::Response;

/// Answers with the file of the request's URI.
pub fn serve(exchange: &mut Exchange) -> Outcome {
    let path = paths::of_uri(exchange, exchange.uri());
    if path.contains(&0) {
        return Outcome::Status(404);
    }
    let found = exchange.thread.files.open(&path);
    match found {
        Ok(Found::File(metadata, body)) => file(exchange, &path, &metadata, body),
        Ok(Found::Directory) => redirect::with_slash(exchange),
        Ok(Found::Special) => {
            let path = String::from_utf8_lossy(&path);
            exchange.log(LogLevel::Crit, &format!("\"{path}\" is not a regular file"));
            Outcome::Status(404)
        }
        Err(error) => failed(exchange, "open()", &path, &error),
    }
}

/// Logs why a path cannot be used and says which status that is.
pub fn failed(exchange: &Exchange, what: &str, path: &[u8], error: &io::Error) -> Outcome {
    let (status, level) = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
            (404, LogLevel::Error)
        }
        io::ErrorKind::PermissionDenied => (403, LogLevel::Error),
        _ => (500, LogLevel::Crit),
    };
    if status != 404 || exchange.location().manners.log_not_found {
        let path = String::from_utf8_lossy(path);
        let reason = errno_text(error);
        exchange.log(level, &format!("{what} \"{path}\" failed {reason}"));
    }
    Outcome::Status(status)
}

/// `(2: No such file or directory)`.
pub fn errno_text(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else { return format!("({error})") };
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text);
    format!("({number}: {text})")
}

fn file(exchange: &mut Exchange, path: &[u8], metadata: &Metadata, body: Body) -> Outcome {
    if !matches!(exchange.method, Method::Get | Method::Head) {
        return Outcome::Status(405);
    }
    let location = exchange.location();
    let mut response = Response::new(200);
    if location.gzip.precompressed != Precompressed::Off
        && let Some((metadata, body)) = precompressed(exchange, path)
    {
        describe(&mut response, &metadata, body, location.manners.etag);
        response.headers.push(KnownHeader::ContentEncoding, "gzip");
        response.vary_encoding = location.gzip.vary;
    } else {
        describe(&mut response, metadata, body, location.manners.etag);
        response.vary_encoding =
            location.gzip.precompressed != Precompressed::Off && location.gzip.vary;
    }
    response.content_type = content_type(exchange);
    Outcome::Respond(Box::new(response))
}

fn describe(response: &mut Response, metadata: &Metadata, body: Body, etag: bool) {
    response.length = Some(metadata.len());
    response.last_modified = Some(metadata.mtime());
    response.judged = true;
    response.ranges = true;
    response.body = body;
    if etag {
        response.headers.push_with(KnownHeader::ETag, |out| {
            // Writing into a vector does not fail.
            let _ = write!(out, "\"{:x}-{:x}\"", metadata.mtime(), metadata.len());
        });
    }
}

/// The file beside it with `.gz` at the end, if it is there and the client takes it.
fn precompressed(exchange: &Exchange, path: &[u8]) -> Option<(Metadata, Body)> {
    let plan = &exchange.location().gzip;
    let always = plan.precompressed == Precompressed::Always;
    let probe = Response::new(200);
    if !always && !gzip::client_takes(&exchange.head, &probe, plan) {
        return None;
    }
    let mut path = path.to_vec();
    path.extend_from_slice(b".gz");
    match exchange.thread.files.open(&path) {
        Ok(Found::File(metadata, body)) => Some((metadata, body)),
        _ => None,
    }
}

/// The MIME type that the extension of the URI has in the location's table.
pub fn content_type(exchange: &Exchange) -> Option<Bytes> {
    let location = exchange.location();
    extension(exchange.uri())
        .and_then(|extension| exchange.active.mime(location.types, extension))
        .or_else(|| exchange.active.default_type(exchange.location))
}

/// What stands behind the last dot of the last segment; a dot at its beginning hides a file and
/// begins no extension.
fn extension(uri: &[u8]) -> Option<&[u8]> {
    let last = uri.iter().rposition(|&byte| matches!(byte, b'.' | b'/'))?;
    let is_dot = uri.get(last) == Some(&b'.');
    let before = uri.get(last.checked_sub(1)?);
    let behind = uri.get(last + 1..)?;
    (is_dot && before != Some(&b'/') && !behind.is_empty()).then_some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_stands_behind_the_last_dot_of_a_name() {
        for (uri, expected) in [
            ("/a.html", Some("html")),
            ("/a.tar.gz", Some("gz")),
            ("/a.b/c", None),
            ("/.htaccess", None),
            ("/a/.x.y", Some("y")),
            ("/a.", None),
            ("/a..b", Some("b")),
            ("/", None),
            ("", None),
            (".a", None),
            ("a.b", Some("b")),
        ] {
            assert_eq!(extension(uri.as_bytes()), expected.map(str::as_bytes), "{uri}");
        }
    }
}
