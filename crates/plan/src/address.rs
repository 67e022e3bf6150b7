//! Where a socket listens or connects.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A socket address, resolved: names became numbers when the configuration was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// An IP address and port.
    Inet(SocketAddr),
    /// A Unix socket in the file system; always an absolute path.
    Unix(PathBuf),
    /// A Unix socket in Linux's abstract namespace, without the leading NUL.
    Abstract(String),
    /// A socket that was already open when we were started (`fd://N`, socket activation).
    Inherited(i32),
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => write!(out, "{address}"),
            Address::Unix(path) => write!(out, "unix:{}", path.display()),
            Address::Abstract(name) => write!(out, "@{name}"),
            Address::Inherited(number) => write!(out, "fd://{number}"),
        }
    }
}
