//! `propylon serve`: app and front in one, joined by the private channel.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use conf_nginx::LoadOptions;
use diag::Severity;
use plan::front::{LogFileId, LogTarget};
use plan::{Address, AppPlan, FrontPlan};
use supervise::{AppLaunch, FrontLaunch, Launch, PidFile, Place, Reloaded};

use crate::front_command::{for_log, told};
use crate::{app_command, http_front, join, words};

/// Where a bare `propylon serve wsgi:app` listens.
const USUAL_ADDRESS: &str = "127.0.0.1:8000";
/// Stands for "no access log was named" while the site is read; nothing is written there.
const NO_ACCESS_LOG: &str = "/dev/null";
/// Threads per worker of a bare `propylon serve wsgi:app`.
const USUAL_THREADS: u32 = 4;

/// The command line taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Request {
    /// What goes to the app's own language.
    app: Vec<OsString>,
    /// `--site`.
    site: Option<PathBuf>,
    /// `--listen`.
    listen: Vec<SocketAddr>,
    help: bool,
}

/// Runs the command and returns the exit code.
pub fn run(arguments: &[OsString]) -> i32 {
    let request = match parse(arguments) {
        Ok(request) => request,
        Err(text) => {
            eprintln!("propylon: {text}\n\n{}", words::SERVE_HELP.trim_end());
            return 1;
        }
    };
    if request.help {
        print!("{}", words::SERVE_HELP);
        return 0;
    }
    match read(&request, true) {
        Ok((app, front)) => {
            let place = place(&app.plan, &front);
            let front = Some(FrontLaunch { plan: front, beside_app: request.site.is_none() });
            let mut reload = || reload(&request);
            supervise::run(Launch { app: Some(app), front, place }, &mut reload)
        }
        Err(text) => {
            eprintln!("{text}");
            1
        }
    }
}

fn parse(arguments: &[OsString]) -> Result<Request, String> {
    let mut request = Request::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy().into_owned();
        let (name, glued) = match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(OsString::from(value))),
            None => (text.clone(), None),
        };
        match name.as_str() {
            "--site" | "--listen" => {
                let value = glued.or_else(|| arguments.next().cloned());
                let value = value.ok_or_else(|| format!("`{name}` needs a value"))?;
                if name == "--site" {
                    request.site = Some(absolute(&value));
                } else {
                    request.listen.extend(addresses(&value.to_string_lossy())?);
                }
            }
            "--help" | "-h" => request.help = true,
            _ => request.app.push(argument.clone()),
        }
    }
    if request.site.is_some() && !request.listen.is_empty() {
        return Err("`--listen` is for apps without a site: the site says where to listen".into());
    }
    Ok(request)
}

fn absolute(path: &OsString) -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")).join(path)
}

/// `8000`, `:8000`, `host:8000`, `[::1]:8000`.
fn addresses(text: &str) -> Result<Vec<SocketAddr>, String> {
    let whole = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => format!("127.0.0.1:{text}"),
        None => text.to_owned(),
    };
    let found = whole.to_socket_addrs();
    let found = found.map_err(|error| {
        format!("`--listen` needs an address like {USUAL_ADDRESS}: {text} ({error})")
    })?;
    let mut found: Vec<SocketAddr> = found.collect();
    found.truncate(1);
    Ok(found)
}

/// Reads both halves; `first` shows warnings as well.
fn read(request: &Request, first: bool) -> Result<(AppLaunch, FrontPlan), String> {
    let mut app = read_app(request, first)?;
    let front = match &request.site {
        Some(site) => finish_site(read_site(site)?, &app.plan),
        None => {
            // What the start says is where it really listens.
            app.plan.http = built_in_addresses(&app.plan, &request.listen);
            http_front::front_for(&app.plan, &app.plan.http)
        }
    };
    Ok((app, front))
}

/// A site beside its app: in the foreground, joined to it, with the app's own addresses.
fn finish_site(mut front: FrontPlan, app: &AppPlan) -> FrontPlan {
    front.main.daemon = false;
    join::join(&mut front, app);
    http_front::add_to(&mut front, app);
    front
}

fn read_app(request: &Request, first: bool) -> Result<AppLaunch, String> {
    let mut words = request.app.clone();
    let bare = !words.iter().any(|word| word.to_string_lossy().starts_with('-'));
    if let ([only], true) = (words.as_slice(), bare)
        && is_app_name(&only.to_string_lossy())
    {
        words.insert(0, "-w".into());
    }
    // An app with no socket at all is fine here: the private channel is its socket. Its own
    // language wants one named, so it is named, and not opened.
    let loaded = app_command::read(&words);
    let loaded = if loaded.plan.is_none() && bare && !words.is_empty() {
        let mut with_socket = words.clone();
        with_socket.extend(["--http".into(), USUAL_ADDRESS.into()]);
        app_command::read(&with_socket)
    } else {
        loaded
    };
    if first {
        app_command::print_problems(&loaded.problems, Severity::Warning);
    }
    let errors = loaded.problems.iter().filter(|one| one.severity == Severity::Error);
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    let Some(mut plan) = loaded.plan else {
        return Err(if first { String::new() } else { errors.join("\n") });
    };
    if plan.load.is_empty() {
        return Err("propylon: no app is named\n  hint: `propylon serve wsgi:app`, or `--ini \
                    FILE` with `module = wsgi:app` in it"
            .to_owned());
    }
    if bare {
        plan.processes = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
        plan.threads = USUAL_THREADS;
        plan.master = true;
    }
    plan.process.daemonize = None;
    plan.process.daemonize2 = None;
    app_command::launch(plan)
}

/// `wsgi:app`, `wsgi`, `package.module:factory()`: not a file.
fn is_app_name(text: &str) -> bool {
    let module = text.split(':').next().unwrap_or_default();
    let looks_like_a_file = text.contains('/')
        || [".py", ".ini", ".xml", ".yml", ".yaml", ".json"]
            .iter()
            .any(|end| module.ends_with(end));
    !looks_like_a_file && !module.is_empty()
}

/// A whole nginx.conf, or the server blocks of a sites-available file.
fn read_site(site: &Path) -> Result<FrontPlan, String> {
    // Comments and names may be in any encoding: only the one ASCII word `http` is looked for.
    let text = std::fs::read(site)
        .map_err(|error| format!("propylon: cannot read the site `{}`: {error}", site.display()))?;
    let text = String::from_utf8_lossy(&text);
    let folder = site.parent().map(PathBuf::from).unwrap_or_else(|| PathBuf::from("/"));
    let mut options = LoadOptions {
        conf_file: site.to_path_buf(),
        prefix: folder,
        error_log: PathBuf::from("stderr"),
        access_log: PathBuf::from(NO_ACCESS_LOG),
        is_root: sys::users::is_root(),
        server_blocks_only: !has_http_block(&text),
        ..LoadOptions::default()
    };
    if !options.is_root {
        options.state_directory = private_directory()?;
    }
    let loaded = conf_nginx::load(&options);
    let lines = told(&loaded, false);
    match loaded.plan {
        Some(mut plan) => {
            if !lines.is_empty() {
                eprintln!("{lines}");
            }
            drop_usual_access_log(&mut plan);
            Ok(plan)
        }
        None => Err(lines),
    }
}

/// A directory for temporary files that only this user can enter; anybody may make directories
/// in `/tmp`, so one that is there already is looked at.
fn private_directory() -> Result<PathBuf, String> {
    use std::os::unix::fs::MetadataExt;
    let uid = sys::users::effective_uid();
    let path = std::env::temp_dir().join(format!("propylon-{uid}"));
    let fail = |why: String| format!("propylon: cannot use `{}`: {why}", path.display());
    sys::files::own_directory(&path, None).map_err(|error| fail(error.to_string()))?;
    let found = std::fs::symlink_metadata(&path).map_err(|error| fail(error.to_string()))?;
    if !found.is_dir() || found.uid() != uid || found.mode() & 0o077 != 0 {
        return Err(fail("it belongs to somebody else or is open to others; remove it".into()));
    }
    Ok(path)
}

/// Where no access log was asked for there is none: the app logs its own requests.
fn drop_usual_access_log(plan: &mut FrontPlan) {
    let usual = plan.log_files.iter().position(|path| path == Path::new(NO_ACCESS_LOG));
    let Some(usual) = usual.map(|index| LogTarget::File(LogFileId(index as u32))) else { return };
    for location in &mut plan.locations {
        location.access_logs.retain(|log| log.target != usual);
    }
}

/// Whether a file is a whole configuration: only those have an `http` block.
fn has_http_block(text: &str) -> bool {
    text.lines().any(|line| {
        let code = line.split('#').next().unwrap_or_default().trim();
        code.strip_prefix("http").is_some_and(|rest| {
            let rest = rest.trim_start();
            rest.is_empty() || rest.starts_with('{')
        })
    })
}

/// Where an app without a site listens.
fn built_in_addresses(plan: &AppPlan, listen: &[SocketAddr]) -> Vec<Address> {
    let mut addresses: Vec<Address> = listen.iter().copied().map(Address::Inet).collect();
    if addresses.is_empty() {
        addresses = plan.http.clone();
    }
    if addresses.is_empty() {
        addresses.extend(USUAL_ADDRESS.parse().map(Address::Inet));
    }
    addresses
}

/// In the foreground, with the pid files that somebody asked for by name.
fn place(app: &AppPlan, front: &FrontPlan) -> Place {
    let mut place = Place::of_app(app);
    place.daemon = false;
    // nginx's usual pid file is not written: nobody named it, and a real nginx may own it.
    if front.main.pid_file != plan::front::MainPlan::default().pid_file {
        place.pid_files.push(PidFile { path: front.main.pid_file.clone(), vanishes: true });
    }
    place.descriptors_max = place.descriptors_max.max(front.main.descriptors_max);
    place
}

fn reload(request: &Request) -> Reloaded {
    match read(request, false) {
        Ok((app, front)) => Reloaded { app: Some(Ok(app)), front: Some(Ok(front)) },
        Err(text) => {
            // One half is broken: the other one need not wait for it.
            let app = read_app(request, false);
            let front = match (&request.site, &app) {
                (Some(site), Ok(launch)) => {
                    let front = read_site(site).map_err(|lines| for_log(&lines));
                    Some(front.map(|front| finish_site(front, &launch.plan)))
                }
                _ => None,
            };
            let app = app.map_err(|_| text);
            Reloaded { app: Some(app), front }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(words: &[&str]) -> Result<Request, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_not_ours_goes_to_the_app() {
        let request = request(&["--ini", "a.ini", "--site=/s.conf", "--processes", "2"]).unwrap();
        assert_eq!(request.app, ["--ini", "a.ini", "--processes", "2"]);
        assert_eq!(request.site, Some(PathBuf::from("/s.conf")));
    }

    #[test]
    fn addresses_may_be_short() {
        for (short, long) in
            [("8001", "127.0.0.1:8001"), (":80", "0.0.0.0:80"), ("[::1]:9", "[::1]:9")]
        {
            assert_eq!(request(&["--listen", short]).unwrap().listen, [long.parse().unwrap()]);
        }
        assert!(request(&["--listen"]).is_err());
        assert!(request(&["--site", "x", "--listen", "1"]).is_err());
    }

    #[test]
    fn a_file_with_an_http_block_is_a_whole_configuration() {
        assert!(has_http_block("user www;\nhttp {\n}"));
        assert!(has_http_block("http\n{"));
        assert!(!has_http_block("# http {\nserver { listen 80; }"));
    }

    #[test]
    fn an_app_is_told_from_a_file() {
        assert!(is_app_name("wsgi:app") && is_app_name("pkg.wsgi"));
        assert!(!is_app_name("app.py") && !is_app_name("my.ini") && !is_app_name("/x/y"));
    }
}
