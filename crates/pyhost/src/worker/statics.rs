//! `static-map`: files under a URI prefix, answered without Python.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plan::app::StaticMap;
use pyo3::Python;

use crate::exchange::{Responder, ResponseParts, Served};
use crate::fields::Fields;

/// Answers with a file if one of the maps has it; `None` leaves the request to the app.
pub fn serve(
    py: Python<'_>,
    maps: &[StaticMap],
    vars: &[u8],
    responder: &mut dyn Responder,
) -> Option<Served> {
    if maps.is_empty() {
        return None;
    }
    let (mut path, mut method, mut since) = (&[][..], &[][..], None);
    for (name, value) in proto::uwsgi::vars(vars).flatten() {
        match name {
            b"PATH_INFO" => path = value,
            b"REQUEST_METHOD" => method = value,
            b"HTTP_IF_MODIFIED_SINCE" => since = std::str::from_utf8(value).ok(),
            _ => {}
        }
    }
    if !matches!(method, b"GET" | b"HEAD") {
        return None;
    }
    let (found, file, metadata) = maps.iter().find_map(|map| find(map, path))?;
    let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
    let date = httpdate::fmt_http_date(modified);
    let unchanged = since
        .and_then(|text| httpdate::parse_http_date(text).ok())
        .is_some_and(|since| whole_seconds(modified) <= since);
    let length = metadata.len().to_string();
    let mut fields = Fields::default();
    if !unchanged {
        fields.push(b"Content-Type", content_type(&found).as_bytes());
        fields.push(b"Content-Length", length.as_bytes());
    }
    fields.push(b"Last-Modified", date.as_bytes());
    let bare = unchanged || metadata.len() == 0 || method == b"HEAD";
    let parts = ResponseParts {
        status: if unchanged { 304 } else { 200 },
        reason: if unchanged { b"Not Modified" } else { b"OK" },
        fields: &fields,
        content_length: (!unchanged).then_some(metadata.len()),
        add_content_length: false,
    };
    // A client that has gone needs no more.
    let mut sent = responder.start(py, &parts, b"", bare);
    if sent.is_ok() && !bare {
        sent = responder.file(py, file.as_fd(), 0, metadata.len()).and_then(|()| responder.end(py));
    }
    let status_line = b"HTTP/1.1 200 \r\n".len() + parts.reason.len();
    Some(Served {
        status: parts.status,
        header_count: fields.count() as u32,
        header_bytes: (status_line + fields.lines().len()) as u64,
        body_bytes: if bare || sent.is_err() { 0 } else { metadata.len() },
        via_sendfile: !bare,
        ..Served::default()
    })
}

/// The file a map has for a decoded path, opened.
fn find(map: &StaticMap, path: &[u8]) -> Option<(PathBuf, File, Metadata)> {
    let rest = path.strip_prefix(map.prefix.as_bytes())?;
    // `/static` is not a prefix of `/statics`.
    let rest = match rest.strip_prefix(b"/") {
        Some(rest) => rest,
        None if rest.is_empty() || map.prefix.ends_with('/') => rest,
        None => return None,
    };
    // Segments are names; nothing climbs.
    if rest.contains(&0) || rest.split(|byte| *byte == b'/').any(|part| part == b"..") {
        return None;
    }
    let root = map.path.canonicalize().ok()?;
    let wanted = if rest.is_empty() { root.clone() } else { root.join(OsStr::from_bytes(rest)) };
    // Symbolic links may not lead out either.
    let found = wanted.canonicalize().ok().filter(|found| found.starts_with(&root))?;
    let mut options = File::options();
    // A pipe in the directory must not hold the worker.
    let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(&found).ok()?;
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    Some((found, file, metadata))
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "js" | "mjs" => "application/javascript",
        "json" | "map" => "application/json",
        "txt" => "text/plain",
        "xml" => "text/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
