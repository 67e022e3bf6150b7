//! Where a URI is in the file system.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use route::render;
use route::try_files::{FileProbe, Standing};

use crate::exchange::Exchange;

/// The path that `root` or `alias` of the location makes of a URI.
pub fn of_uri(exchange: &Exchange, uri: &[u8]) -> Vec<u8> {
    let plan = &exchange.location().root;
    let mut path = Vec::with_capacity(64 + uri.len());
    render(&plan.path, exchange, &mut path);
    if plan.alias {
        path.extend_from_slice(uri.get(plan.alias_prefix_bytes..).unwrap_or(&[]));
    } else {
        path.extend_from_slice(uri);
    }
    path
}

/// `$document_root`.
pub fn root(exchange: &Exchange) -> Vec<u8> {
    let mut path = Vec::with_capacity(64);
    render(&exchange.location().root.path, exchange, &mut path);
    path
}

/// Bytes as a path.
pub fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

impl FileProbe for Exchange {
    fn probe(&self, uri: &[u8]) -> Standing {
        let plan = &self.location().root;
        let mut path = Vec::with_capacity(64 + uri.len());
        render(&plan.path, self, &mut path);
        let name = self.location().name.as_bytes();
        let under = plan.alias && plan.alias_prefix_bytes > 0 && uri.starts_with(name);
        if plan.alias && (under || plan.alias_prefix_bytes == 0) {
            path.extend_from_slice(uri.get(plan.alias_prefix_bytes..).unwrap_or(&[]));
        } else {
            path.extend_from_slice(uri);
        }
        match std::fs::metadata(as_path(&path)) {
            Ok(found) if found.is_dir() => Standing::Directory,
            Ok(_) => Standing::File,
            Err(_) => Standing::Nothing,
        }
    }
}
