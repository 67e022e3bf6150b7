//! `propylon app`: uWSGI's place.

use std::ffi::OsString;
use std::path::Path;

use conf_uwsgi::{Command, Context, Loaded};
use diag::{Problems, Severity};
use plan::AppPlan;
use supervise::{AppLaunch, FrontLaunch, Launch, Place, Reloaded};

use crate::{http_front, python};

/// Runs the command and returns the exit code.
pub fn run(arguments: &[OsString]) -> i32 {
    let start_directory = std::env::current_dir().ok();
    let loaded = read(arguments);
    match &loaded.command {
        Command::Run => {}
        Command::Help(text) | Command::Version(text) | Command::Print(text) => {
            println!("{}", text.trim_end());
            return 0;
        }
        Command::PythonVersion => return python_version(&loaded),
        Command::Reload(pid_file) => return tell(pid_file, 1),
        Command::Stop(pid_file) => return tell(pid_file, 2),
    }
    print_problems(&loaded.problems, Severity::Warning);
    if let Some(shown) = &loaded.shown_config {
        eprint!("{shown}");
    }
    let Some(plan) = loaded.plan else { return 1 };
    if plan.sockets.is_empty() && plan.http.is_empty() {
        eprintln!(
            "propylon: no address to serve on\n  hint: write `http = :8000`, `http-socket = :8000` \
             or `socket = app.sock`"
        );
        return 1;
    }
    let launch = match launch(plan) {
        Ok(launch) => launch,
        Err(text) => {
            eprintln!("propylon: {text}");
            return 1;
        }
    };
    let place = Place::of_app(&launch.plan);
    let front = own_front(&launch.plan);
    let front = front.map(|plan| FrontLaunch { plan, beside_app: true });
    let mut reload = || {
        if let Some(start) = &start_directory {
            // Files are named relative to where we were started.
            drop(sys::files::chdir(start));
        }
        let app = reload(arguments);
        let front = app.as_ref().ok().and_then(|launch| own_front(&launch.plan));
        Reloaded { front: front.map(Ok), app: Some(app) }
    };
    supervise::run(Launch { app: Some(launch), front, place }, &mut reload)
}

/// Reads what the command line and the environment say.
pub fn read(arguments: &[OsString]) -> Loaded {
    let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    conf_uwsgi::load(arguments, &environment, &Context::of_this_process())
}

/// Reads the configuration again.
///
/// # Errors
/// Every problem, a line each.
pub fn reload(arguments: &[OsString]) -> Result<AppLaunch, String> {
    let loaded = read(arguments);
    match loaded.plan {
        Some(plan) => {
            print_problems(&loaded.problems, Severity::Warning);
            launch(plan)
        }
        None => {
            let errors = loaded.problems.iter().filter(|one| one.severity == Severity::Error);
            let lines: Vec<String> = errors.map(ToString::to_string).collect();
            Err(lines.join("\n"))
        }
    }
}

/// Adds the interpreter and the extension to a plan.
///
/// # Errors
/// One of them is missing; in words.
pub fn launch(plan: AppPlan) -> Result<AppLaunch, String> {
    let python = python::interpreter(&plan)?;
    let extension = python::extension()?;
    Ok(AppLaunch { plan, python, extension })
}

/// Prints the problems that are at least that bad.
pub fn print_problems(problems: &Problems, least: Severity) {
    for problem in problems.iter().filter(|problem| problem.severity >= least) {
        let kind = match problem.severity {
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        eprintln!("propylon: {kind}: {problem}");
    }
}

/// The front of the app's own `http` addresses, if it has any.
fn own_front(plan: &AppPlan) -> Option<plan::FrontPlan> {
    (!plan.http.is_empty()).then(|| http_front::front_for(plan, &plan.http))
}

fn python_version(loaded: &Loaded) -> i32 {
    match python::version(loaded.plan.as_ref()) {
        Ok(version) => {
            println!("{version}");
            0
        }
        Err(text) => {
            eprintln!("propylon: {text}");
            1
        }
    }
}

/// `--reload` and `--stop`: a signal to the master named in a pid file.
fn tell(pid_file: &Path, signal: i32) -> i32 {
    let shown = pid_file.display();
    let told = sys::files::read_pid(pid_file).and_then(|pid| sys::process::kill(pid, signal));
    match told {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("propylon: cannot signal the process named in `{shown}`: {error}");
            1
        }
    }
}
