//! Socket addresses as uWSGI writes them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use plan::Address;

use crate::row::Fault;

/// The longest path of a Unix socket on Linux, without the NUL at its end.
const UNIX_PATH_BYTES_MAX: usize = 107;

/// `host:port`, `:port`, `*:port`, `[v6]:port`, `@abstract`, `fd://N`, or a path, which is
/// relative to `directory`. The second value is worth a warning.
pub fn parse(text: &str, directory: &Path) -> Result<(Address, Option<Fault>), Fault> {
    if let Some(number) = text.strip_prefix("fd://") {
        let number = number.parse().ok().filter(|number| *number >= 0);
        let number = number.ok_or_else(|| {
            Fault::fatal(format!("not a descriptor number: {text}"), "write `fd://3`")
        })?;
        return Ok((Address::Inherited(number), None));
    }
    if let Some(name) = text.strip_prefix('@') {
        return Ok((Address::Abstract(name.to_owned()), None));
    }
    if text.is_empty() {
        return Err(Fault::fatal("the address is empty", "write `127.0.0.1:8000` or a path"));
    }
    if text.starts_with('=') {
        let message = format!("shared sockets are not here: {text}");
        return Err(Fault::fatal(message, "write the address itself"));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !text.starts_with(['/', '.']) => {
            inet(text, host, port).map(|address| (Address::Inet(address), None))
        }
        _ => unix(text, directory),
    }
}

fn inet(text: &str, host: &str, port: &str) -> Result<SocketAddr, Fault> {
    let Ok(port) = port.trim().parse::<u16>() else {
        let message = format!("not a port number after the last colon: {text}");
        return Err(Fault::fatal(message, "write `HOST:PORT`, or a path that starts with `/`"));
    };
    if host.is_empty() || host == "*" {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let found = (bare, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let version_4 = found.iter().find(|address| address.is_ipv4());
    version_4.or(found.first()).copied().ok_or_else(|| {
        Fault::fatal(format!("the host name is not known: {host}"), "write an IP address")
    })
}

fn unix(text: &str, directory: &Path) -> Result<(Address, Option<Fault>), Fault> {
    let path: PathBuf = directory.join(text);
    if path.as_os_str().len() > UNIX_PATH_BYTES_MAX {
        let message = format!(
            "the path of a Unix socket has at most {UNIX_PATH_BYTES_MAX} bytes: {}",
            path.display()
        );
        return Err(Fault::fatal(message, "choose a shorter directory"));
    }
    let number = text.bytes().all(|byte| byte.is_ascii_digit());
    let warning = number.then(|| {
        Fault::warning(
            format!("a number alone is the name of a Unix socket, not a port: {text}"),
            format!("write `:{text}` for the port"),
        )
    });
    Ok((Address::Unix(path), warning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text, Path::new("/srv/app")) {
            Ok((address, _)) => address.to_string(),
            Err(fault) => fault.message,
        }
    }

    #[test]
    fn every_form_of_an_address_is_understood() {
        let forms = [
            ("127.0.0.1:80", "127.0.0.1:80"),
            (":8000", "0.0.0.0:8000"),
            ("*:8000", "0.0.0.0:8000"),
            (": 5000", "0.0.0.0:5000"),
            ("[::1]:80", "[::1]:80"),
            ("app.sock", "unix:/srv/app/app.sock"),
            ("/run/app.sock", "unix:/run/app.sock"),
            ("/run/a:b.sock", "unix:/run/a:b.sock"),
            ("@app", "@app"),
            ("fd://3", "fd://3"),
            ("80", "unix:/srv/app/80"),
        ];
        for (text, address) in forms {
            assert_eq!(shown(text), address, "{text}");
        }
        assert!(parse("80", Path::new("/")).unwrap().1.is_some());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "fd://x", "fd://-1", "=0", "host:port", "host:99999"] {
            assert!(parse(text, Path::new("/")).is_err(), "{text}");
        }
    }
}
