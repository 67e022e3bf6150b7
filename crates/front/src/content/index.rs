//! Index files of directories.

use bytes::Bytes;
use plan::front::LogLevel;
use route::render;

use super::{listing, paths, static_file};
use crate::exchange::Exchange;
use crate::phases::{Outcome, Start};

/// Answers a URI that ends in a slash: by the first index file that exists, by a listing, or
/// not at all.
pub fn serve(exchange: &mut Exchange) -> Outcome {
    let directory = paths::of_uri(exchange, exchange.uri());
    let active = exchange.active.clone();
    let location = active.location(exchange.location);
    let mut checked = false;
    for template in &location.index {
        let mut name = Vec::with_capacity(16);
        render(template, exchange, &mut name);
        if name.starts_with(b"/") {
            return redirect(exchange, name);
        }
        let mut path = directory.clone();
        path.extend_from_slice(&name);
        match std::fs::metadata(paths::as_path(&path)) {
            Ok(_) => {
                let mut uri = exchange.uri().to_vec();
                uri.extend_from_slice(&name);
                return redirect(exchange, uri);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !checked => {
                checked = true;
                if let Err(error) = std::fs::metadata(paths::as_path(&directory)) {
                    return missing(exchange, &path, &error);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                return missing(exchange, &path, &error);
            }
            Err(error) => return static_file::failed(exchange, "stat()", &path, &error),
        }
    }
    if location.autoindex {
        return listing::serve(exchange, &directory);
    }
    let shown = String::from_utf8_lossy(&directory);
    exchange.log(LogLevel::Error, &format!("directory index of \"{shown}\" is forbidden"));
    Outcome::Status(403)
}

fn redirect(exchange: &Exchange, uri: Vec<u8>) -> Outcome {
    let args = Bytes::copy_from_slice(exchange.args());
    Outcome::Again(Start::Redirect(Bytes::from(uri), args))
}

fn missing(exchange: &Exchange, path: &[u8], error: &std::io::Error) -> Outcome {
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return static_file::failed(exchange, "stat()", path, error);
    }
    if exchange.location().manners.log_not_found {
        let path = String::from_utf8_lossy(path);
        let reason = static_file::errno_text(error);
        exchange.log(LogLevel::Error, &format!("\"{path}\" is not found {reason}"));
    }
    Outcome::Status(404)
}
