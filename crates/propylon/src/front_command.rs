//! `propylon front`: nginx's place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use conf_nginx::{LoadOptions, Loaded, load};
use diag::Severity;
use plan::FrontPlan;
use supervise::{FrontLaunch, Launch, Place, Reloaded};

use crate::front_options::{FrontOptions, Signal, parse};
use crate::words;

/// Runs the command and returns the exit code.
pub fn run(arguments: &[OsString]) -> i32 {
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("nginx: {text}");
            return 1;
        }
    };
    if options.help || options.version || options.build {
        let text = if options.build { words::nginx_build() } else { words::nginx_version() };
        eprintln!("{text}");
        if options.help {
            eprint!("{}", words::NGINX_HELP);
        }
        return 0;
    }
    let wanted = load_options(&options);
    let loaded = load(&wanted);
    let errors_only = options.quiet && options.test;
    print_lines(&loaded, errors_only);
    if options.test {
        return test(&options, &loaded);
    }
    let Some(plan) = loaded.plan else { return 1 };
    match options.signal {
        Some(signal) => tell(&plan.main.pid_file, signal),
        None => serve(plan, &wanted),
    }
}

/// Every problem in nginx's words, with our hint under it: lines without the last line's end.
pub fn told(loaded: &Loaded, errors_only: bool) -> String {
    // Notices have no line of nginx's; all others have one each, in the same order.
    let spoken = loaded.problems.iter().filter(|problem| problem.severity >= Severity::Warning);
    let hints: Vec<Option<&String>> = spoken.map(|problem| problem.hint.as_ref()).collect();
    let matching = hints.len() == loaded.nginx_lines().len();
    let mut lines = Vec::new();
    for (index, line) in loaded.nginx_lines().iter().enumerate() {
        if errors_only && (line.contains("[warn]") || line.contains("[notice]")) {
            continue;
        }
        lines.push(line.clone());
        if let Some(hint) = hints.get(index).copied().flatten().filter(|_| matching) {
            lines.push(format!("  hint: {hint}"));
        }
    }
    lines.join("\n")
}

fn print_lines(loaded: &Loaded, errors_only: bool) {
    let lines = told(loaded, errors_only);
    if !lines.is_empty() {
        eprintln!("{lines}");
    }
}

/// What to read. Paths of a Debian installation stand in for those a build of nginx has.
fn load_options(options: &FrontOptions) -> LoadOptions {
    let usual = LoadOptions::default();
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let absolute = |path: &OsString| here.join(path);
    // Relative to the prefix; without `-p`, a relative `-c` is relative to where the
    // configuration usually is only for nginx itself; people mean where they are.
    let conf_file = match (&options.conf_file, &options.prefix) {
        (Some(file), Some(_)) => PathBuf::from(file),
        (Some(file), None) => absolute(file),
        (None, _) => usual.conf_file.clone(),
    };
    let mut wanted = LoadOptions { conf_file, ..usual };
    if let Some(prefix) = &options.prefix {
        wanted.prefix = absolute(prefix);
    }
    if let Some(log) = &options.error_log {
        wanted.error_log = PathBuf::from(log);
    }
    wanted.global_directives =
        options.globals.as_ref().map(|text| text.to_string_lossy().into_owned());
    wanted.test_mode = options.test;
    wanted.is_root = sys::users::is_root();
    wanted
}

/// `-t` and `-T`.
fn test(options: &FrontOptions, loaded: &Loaded) -> i32 {
    let file = loaded.conf_file.display();
    let Some(plan) = &loaded.plan else {
        eprintln!("nginx: configuration file {file} test failed");
        return 1;
    };
    if !options.quiet {
        eprintln!("nginx: the configuration file {file} syntax is ok");
    }
    // As nginx does, so that a test that passes means logs that can be written.
    for path in &plan.log_files {
        if let Err(error) = sys::files::open_log(path) {
            eprintln!("nginx: [emerg] open() \"{}\" failed ({})", path.display(), plain(&error));
            eprintln!("nginx: configuration file {file} test failed");
            return 1;
        }
    }
    if !options.quiet {
        eprintln!("nginx: configuration file {file} test is successful");
    }
    if options.dump {
        print!("{}", loaded.dump());
    }
    0
}

/// `-s`: tells the running master.
fn tell(pid_file: &Path, signal: Signal) -> i32 {
    let pid = match sys::files::read_pid(pid_file) {
        Ok(pid) => pid,
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            eprintln!("nginx: [error] invalid PID number in \"{}\"", pid_file.display());
            return 1;
        }
        Err(error) => {
            eprintln!(
                "nginx: [error] open() \"{}\" failed ({})",
                pid_file.display(),
                plain(&error)
            );
            return 1;
        }
    };
    match sys::process::kill(pid, signal.number()) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("nginx: [alert] kill({pid}, {}) failed ({})", signal.number(), plain(&error));
            1
        }
    }
}

/// `2: No such file or directory`.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("{}: {text}", error.raw_os_error().unwrap_or(0))
}

fn serve(plan: FrontPlan, wanted: &LoadOptions) -> i32 {
    let place = Place::of_front(&plan);
    let front = Some(FrontLaunch { plan, beside_app: false });
    let mut reload = || Reloaded { app: None, front: Some(reload(wanted)) };
    supervise::run(Launch { app: None, front, place }, &mut reload)
}

/// Reads the configuration again.
///
/// # Errors
/// Every problem, a line each, without the program's name.
pub fn reload(wanted: &LoadOptions) -> Result<FrontPlan, String> {
    let loaded = load(wanted);
    let text = for_log(&told(&loaded, false));
    loaded.plan.ok_or(text)
}

/// Problems as the error log has them: it puts the level before each line itself.
pub fn for_log(lines: &str) -> String {
    let lines = lines.lines().map(str::trim_start);
    let bare = lines.map(|line| line.strip_prefix("nginx: [emerg] ").unwrap_or(line));
    bare.collect::<Vec<_>>().join("\n")
}
