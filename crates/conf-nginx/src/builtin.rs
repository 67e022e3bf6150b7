//! Files that distributions ship beside nginx.conf, so that the guides work on a machine where
//! nginx was never installed. A file on disk always wins.

use std::path::Path;

const FILES: [(&str, &str); 5] = [
    ("mime.types", include_str!("builtin/mime.types")),
    ("uwsgi_params", include_str!("builtin/uwsgi_params")),
    ("proxy_params", include_str!("builtin/proxy_params")),
    ("fastcgi.conf", include_str!("builtin/fastcgi_params")),
    ("fastcgi_params", include_str!("builtin/fastcgi_params")),
];

/// What stands around the server blocks of a file of sites-available.
pub const AROUND_SITES: &str = concat!(
    "worker_processes auto;\nevents {}\nhttp {\nsendfile on;\ngzip on;\n",
    "default_type application/octet-stream;\n",
    include_str!("builtin/mime.types"),
    "}\n",
);

/// The text of a well-known file, by its base name.
pub fn file(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Base names of the files there are.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}
