//! Help and versions.

/// Version of the nginx whose place the front takes: what programs that parse `-v` compare with.
pub const NGINX_VERSION: &str = "1.31.5";

/// `propylon --help`.
pub const HELP: &str = "\
Propylon puts a Python web app into production: application server and web server in one.

  propylon app …      the application server; takes uWSGI's command line and files
                        propylon app --ini myproject.ini
                        propylon app --http :5000 -w wsgi:app
  propylon front …    the web server; takes nginx's command line and files
                        propylon front -t
                        propylon front -c /etc/nginx/nginx.conf
  propylon serve …    both in one, in the foreground
                        propylon serve --ini myproject.ini --site /etc/nginx/sites-enabled/myproject
                        propylon serve wsgi:app --listen 127.0.0.1:8000
  propylon check …    reads files of either kind and reports every problem
                        propylon check myproject.ini /etc/nginx/nginx.conf

Called by the name `uwsgi` it is `propylon app`, called by the name `nginx` it is `propylon front`.
";

/// `propylon serve --help`.
pub const SERVE_HELP: &str = "\
usage: propylon serve [APP OPTIONS] [--site FILE | --listen ADDRESS] [wsgi:app]

  --ini FILE          the app, as uWSGI's file (every option of `propylon app` is taken)
  --site FILE         the site: a whole nginx.conf, or the server blocks of a sites-available file
  --listen ADDRESS    without a site: where to listen (default 127.0.0.1:8000)
  wsgi:app            the app as module:callable, with sane defaults for the rest

HUP reloads both; TERM and INT finish the requests in flight, the second one stops at once.
";

/// `propylon --version`.
pub fn version() -> String {
    format!("propylon {}", env!("CARGO_PKG_VERSION"))
}

/// `nginx -v`.
pub fn nginx_version() -> String {
    format!("nginx version: nginx/{NGINX_VERSION} (Propylon/{})", env!("CARGO_PKG_VERSION"))
}

/// Modules of nginx that we do not have, in the words of its build options: programs that parse
/// `-V` take everything else for present.
const WITHOUT: &[&str] = &[
    "http_autoindex",
    "http_browser",
    "http_empty_gif",
    "http_fastcgi",
    "http_grpc",
    "http_memcached",
    "http_mirror",
    "http_referer",
    "http_scgi",
    "http_ssi",
    "http_tunnel",
    "http_upstream_hash",
    "http_upstream_random",
    "http_upstream_sticky",
    "http_userid",
];

/// `nginx -V`.
pub fn nginx_build() -> String {
    let mut text = nginx_version();
    text.push_str("\nbuilt with rustls (ring)\nTLS SNI support enabled");
    text.push_str("\nconfigure arguments: --with-debug --with-http_ssl_module");
    text.push_str(" --with-http_auth_request_module --with-http_stub_status_module");
    text.push_str(" --with-http_sub_module");
    for module in WITHOUT {
        text.push_str(&format!(" --without-{module}_module"));
    }
    text
}

/// `nginx -h`, after the version.
pub const NGINX_HELP: &str = "\
usage: nginx [-?hvVtTq] [-s signal] [-p prefix] [-e filename] [-c filename] [-g directives]

options:
  -?,-h         this text
  -v            version
  -V            version and build options
  -t            read the configuration, report every problem, start nothing
  -T            the same, and print every file that was read
  -q            with -t: errors only
  -s signal     tell the running master: stop, quit, reopen, reload
  -p prefix     directory that relative names start from
  -e filename   error log until the configuration names one
  -c filename   configuration file
  -g directives directives read before the file
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_text_names_its_tls_library_and_claims_nothing_by_a_missing_name() {
        let text = nginx_build();
        assert!(text.starts_with("nginx version: nginx/1.31.5 (Propylon/"));
        assert!(text.contains("\nTLS SNI support enabled\n"));
        for claim in ["OpenSSL", "LibreSSL", "BoringSSL", "http_v2", "http_v3", "dynamic"] {
            assert!(!text.contains(claim), "{claim}");
        }
    }
}
