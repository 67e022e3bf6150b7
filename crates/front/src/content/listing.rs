//! Directory listings (`autoindex`).

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use super::{paths, static_file};
use crate::exchange::Exchange;
use crate::phases::Outcome;
use crate::response::Response;

/// Columns of a name; longer ones are cut.
const NAME_COLUMNS: usize = 50;

struct Entry {
    name: Vec<u8>,
    is_directory: bool,
    bytes: u64,
    modified: i64,
}

/// Answers with the listing of a directory: directories first, both by name.
pub fn serve(exchange: &Exchange, directory: &[u8]) -> Outcome {
    let entries = match read(directory) {
        Ok(entries) => entries,
        Err(error) => return static_file::failed(exchange, "opendir()", directory, &error),
    };
    let mut title = Vec::new();
    escape_html(exchange.uri(), &mut title);
    let mut page = b"<html>\r\n<head><title>Index of ".to_vec();
    page.extend_from_slice(&title);
    page.extend_from_slice(b"</title></head>\r\n<body>\r\n<h1>Index of ");
    page.extend_from_slice(&title);
    page.extend_from_slice(b"</h1><hr><pre><a href=\"../\">../</a>\r\n");
    for entry in &entries {
        line(entry, &mut page);
    }
    page.extend_from_slice(b"</pre><hr></body>\r\n</html>\r\n");
    let html = Bytes::from_static(b"text/html");
    Outcome::Respond(Box::new(Response::memory(200, html, Bytes::from(page))))
}

fn read(directory: &[u8]) -> std::io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for found in std::fs::read_dir(paths::as_path(directory))? {
        let found = found?;
        let name = found.file_name().as_bytes().to_vec();
        if name.starts_with(b".") {
            continue;
        }
        // A link that leads nowhere has no metadata and is left out.
        let Ok(metadata) = std::fs::metadata(found.path()) else { continue };
        entries.push(Entry {
            name,
            is_directory: metadata.is_dir(),
            bytes: metadata.len(),
            modified: metadata.mtime(),
        });
    }
    entries.sort_by(|left, right| {
        right.is_directory.cmp(&left.is_directory).then_with(|| left.name.cmp(&right.name))
    });
    Ok(entries)
}

fn line(entry: &Entry, page: &mut Vec<u8>) {
    let slash: &[u8] = if entry.is_directory { b"/" } else { b"" };
    page.extend_from_slice(b"<a href=\"");
    route::escape::escape(&entry.name, route::escape::Escape::Component, page);
    page.extend_from_slice(slash);
    page.extend_from_slice(b"\">");
    let name = String::from_utf8_lossy(&entry.name);
    let width = name.chars().count() + slash.len();
    if width > NAME_COLUMNS {
        let cut: String = name.chars().take(NAME_COLUMNS - 3).collect();
        escape_html(cut.as_bytes(), page);
        page.extend_from_slice(b"..&gt;</a>");
    } else {
        escape_html(&entry.name, page);
        page.extend_from_slice(slash);
        page.extend_from_slice(b"</a>");
    }
    page.resize(page.len() + NAME_COLUMNS.saturating_sub(width) + 1, b' ');
    let modified = u64::try_from(entry.modified).unwrap_or(0);
    // An HTTP date is fixed columns: `Tue, 14 Nov 2023 22:13:20 GMT`.
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(modified));
    let column = |range| date.get(range).unwrap_or_default();
    let (day, month, year) = (column(5..7), column(8..11), column(12..16));
    let _ = write!(page, "{day}-{month}-{year} {}", column(17..22));
    match entry.is_directory {
        true => page.extend_from_slice(b"                   -\r\n"),
        false => {
            let _ = write!(page, "{:>20}\r\n", entry.bytes);
        }
    }
}

fn escape_html(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            _ => out.push(byte),
        }
    }
}
