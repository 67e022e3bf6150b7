//! The ways in: a whole file, a site alone, `-g`; and what is printed of them.

use std::fs;
use std::path::{Path, PathBuf};

use conf_nginx::{LoadOptions, Loaded, load};
use plan::Address;

/// A folder that is removed when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("conf-nginx-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a writable temporary directory");
        Folder(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a writable folder");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn options(file: &Path) -> LoadOptions {
    LoadOptions { conf_file: file.to_path_buf(), is_root: true, ..LoadOptions::default() }
}

fn lines(loaded: &Loaded) -> Vec<&str> {
    loaded.nginx_lines().iter().map(String::as_str).collect()
}

#[test]
fn a_site_alone_gets_the_defaults_of_a_whole_configuration() {
    let folder = Folder::new("site");
    let site = folder.file(
        "site",
        "server { listen 127.0.0.1:8080; location / { include uwsgi_params; \
         uwsgi_pass unix:/run/app.sock; } }",
    );
    let loaded = load(&LoadOptions { server_blocks_only: true, ..options(&site) });
    let plan = loaded.plan.unwrap();
    assert_eq!(plan.servers.len(), 1);
    assert!(plan.locations[0].gzip.on);
    let types = &plan.types[plan.locations[0].types.0 as usize];
    assert!(types.iter().any(|(extension, kind)| extension == "css" && kind == "text/css"));
}

#[test]
fn a_problem_in_a_site_is_shown_at_its_own_line() {
    let folder = Folder::new("site-problem");
    let site = folder.file("site", "server {\n    lisen 80;\n}\n");
    let loaded = load(&LoadOptions { server_blocks_only: true, ..options(&site) });
    let problem = loaded.problems.iter().next().unwrap().to_string();
    let wanted = format!(
        "{}:2:5: unknown directive \"lisen\"\n  hint: did you mean `listen`?",
        site.display()
    );
    assert_eq!(problem, wanted);
}

#[test]
fn directives_of_the_command_line_count_and_their_problems_name_it() {
    let folder = Folder::new("globals");
    let file = folder.file("nginx.conf", "events {}");
    let with = |text: &str| {
        load(&LoadOptions { global_directives: Some(text.to_owned()), ..options(&file) })
    };
    let plan = with("daemon off; pid /x;").plan.unwrap();
    assert!(!plan.main.daemon);
    assert_eq!(plan.main.pid_file, Path::new("/x"));
    assert_eq!(
        lines(&with("deamon off;")),
        ["nginx: [emerg] unknown directive \"deamon\" in command line"]
    );
    assert_eq!(
        lines(&with("daemon off")),
        ["nginx: [emerg] unexpected end of parameter, expecting \";\" in command line"]
    );
}

#[test]
fn the_dump_holds_each_file_once_after_its_name() {
    let folder = Folder::new("dump");
    let inner = folder.file("a.inc", "gzip on;\n");
    let text = "events {}\nhttp {\n  server { include a.inc; }\n  server { include a.inc; }\n}\n";
    let file = folder.file("nginx.conf", text);
    let loaded = load(&options(&file));
    let wanted = format!(
        "# configuration file {}:\n{text}\n# configuration file {}:\ngzip on;\n\n",
        file.display(),
        inner.display()
    );
    assert_eq!(loaded.dump(), wanted);
}

#[test]
fn a_file_that_is_not_there_is_said_to_be_missing() {
    let loaded = load(&options(Path::new("/nowhere/nginx.conf")));
    assert!(loaded.plan.is_none());
    assert_eq!(
        lines(&loaded),
        ["nginx: [emerg] open() \"/nowhere/nginx.conf\" failed (2: No such file or directory)"]
    );
}

#[test]
fn files_that_include_each_other_end_in_an_error() {
    let folder = Folder::new("loop");
    folder.file("loop.conf", "include loop.conf;");
    let file = folder.file("nginx.conf", "events {}\ninclude loop.conf;");
    let loaded = load(&options(&file));
    assert_eq!(loaded.problems.iter().count(), 1);
    assert!(loaded.plan.is_none());
}

#[test]
fn blocks_nested_without_end_are_an_error_and_no_overflow() {
    let folder = Folder::new("deep");
    let file = folder.file("nginx.conf", &"http {".repeat(100_000));
    assert!(load(&options(&file)).plan.is_none());
}

#[test]
fn an_address_and_every_address_of_one_port_are_bound_side_by_side() {
    let folder = Folder::new("ports");
    let text = "events {}\nhttp { server { listen 8080; listen 127.0.0.1:8080; listen 8081; } }";
    let plan = load(&options(&folder.file("nginx.conf", text))).plan.unwrap();
    let shared: Vec<(String, bool)> =
        plan.listens.iter().map(|it| (it.address.to_string(), it.reuse_port)).collect();
    let wanted = [("0.0.0.0:8080", true), ("127.0.0.1:8080", true), ("0.0.0.0:8081", false)];
    assert_eq!(shared, wanted.map(|(address, shared)| (address.to_owned(), shared)));
}

#[test]
fn a_server_that_names_no_address_listens_on_80_or_without_rights_on_8000() {
    let folder = Folder::new("implied");
    let file = folder.file("nginx.conf", "events {}\nhttp { server { } }");
    for (is_root, port) in [(true, 80), (false, 8000)] {
        let plan = load(&LoadOptions { is_root, ..options(&file) }).plan.unwrap();
        let wanted = Address::Inet(([0, 0, 0, 0], port).into());
        assert_eq!(plan.listens[0].address, wanted);
    }
}

#[test]
fn tuning_without_effect_is_mentioned_once_and_never_in_nginx_s_lines() {
    let folder = Folder::new("quiet");
    let text = "events {}\nhttp { tcp_nopush on; server { listen 8080; tcp_nopush off; } }";
    let loaded = load(&options(&folder.file("nginx.conf", text)));
    assert_eq!(loaded.problems.iter().count(), 1);
    assert!(loaded.nginx_lines().is_empty());
}

#[test]
fn a_well_known_file_is_built_in_beside_the_configuration_and_nowhere_else() {
    let folder = Folder::new("builtin");
    let with = |include: &str| {
        let text = format!("events {{}}\nhttp {{ include {include}; }}");
        load(&options(&folder.file("nginx.conf", &text))).plan.is_some()
    };
    assert!(with("mime.types"));
    assert!(!with("/etc/ngnix/mime.types"));
    assert!(!with("sub/mime.types"));
}
