//! From a launch to a master with its first children: sockets, files, background, banner.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use plan::front::LogLevel;
use sys::clock::monotonic_ms;
use sys::signals::SignalReader;
use sys::users::Credentials;

use super::app::{AppSide, settings};
use super::front::{self, FrontSide, failed};
use super::{
    Course, Master, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
};
use crate::launch::{Launch, Place, Reloaded, app_credentials, socket_owner};
use crate::log::{app_line, ctime};
use crate::machine::{AppMachine, FrontMachine};
use crate::sockets::{Listener, Sockets, VanishingFile};
use crate::watch::Watch;

/// How long a front that was replaced (other user, other threads) may finish its requests.
const OLD_FRONT_DRAIN_MS: u64 = 60_000;

/// Opens everything, settles down, and starts the first children.
pub(super) fn settle(
    launch: Launch,
    reload: &mut dyn FnMut() -> Reloaded,
) -> Result<Master<'_>, String> {
    let watched = [SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];
    let signals = SignalReader::block(&watched).map_err(|error| format!("signals: {error}"))?;
    let Launch { app, front, place } = launch;
    prepare_process(&place)?;
    let mut sockets = Sockets::default();
    let app_sockets = match &app {
        Some(app) => {
            let owner = socket_owner(&app.plan)?;
            let opened = sockets.for_app(&app.plan, owner);
            opened.map_err(|error| error.to_string())?
        }
        None => Vec::new(),
    };
    let beside_app = front.as_ref().is_some_and(|front| front.beside_app);
    let front = front.map(|front| front::open(&mut sockets, front.plan)).transpose()?;
    go_to_the_background(&place, app.as_ref().map(|app| &app.plan))?;
    // Not inherited by the copy that went to the background: so only now.
    sys::process::become_subreaper().map_err(|error| format!("subreaper: {error}"))?;
    let pid_files = write_pid_files(&place)?;
    if let Some(title) = &place.title {
        sys::title::set(title);
    }
    let watched = app.as_ref().map(|app| Watch::new(&app.plan.watch, monotonic_ms()));
    let watch = watched.unwrap_or_default();
    let front_threads = front.as_ref().map_or(0, |front| front.plan.main.threads.max(1));
    let mut master = Master {
        app: None,
        front: None,
        sockets,
        signals,
        reload,
        log_file: place.log.clone(),
        watch,
        course: Course::Serving,
        exit_code: 0,
        app_ended: false,
        front_ended: false,
        rests: false,
        _pid_files: pid_files,
    };
    let mut app_actions = Vec::new();
    if let Some(app) = app {
        banner(&app_sockets, &app.plan);
        let seats_max = AppSide::seats_for(app.plan.processes);
        let (machine, actions) = AppMachine::start(settings(&app), seats_max);
        let side = AppSide::new(app, app_sockets, front_threads, seats_max, machine);
        master.app = Some(side.map_err(|error| format!("cannot prepare the app: {error}"))?);
        app_actions = actions;
    }
    let mut front_actions = Vec::new();
    if let Some(front) = front {
        let (machine, actions) = FrontMachine::start(1, OLD_FRONT_DRAIN_MS);
        let side = FrontSide::new(front, machine, beside_app);
        side.log.line(LogLevel::Notice, "using the \"epoll\" event method");
        side.log.line(LogLevel::Notice, concat!("Propylon/", env!("CARGO_PKG_VERSION")));
        master.front = Some(side);
        front_actions = actions;
    }
    master.perform_front(front_actions);
    master.perform_app(app_actions);
    Ok(master)
}

/// Rights and limits that everything after depends on.
fn prepare_process(place: &Place) -> Result<(), String> {
    sys::process::open_standard().map_err(|error| format!("standard descriptors: {error}"))?;
    if let Some(mask) = place.umask {
        sys::files::umask(mask);
    }
    if let Some(wanted) = place.descriptors_max {
        sys::files::limit_descriptors(wanted).map_err(|error| {
            format!("cannot raise the limit of descriptors to {wanted}: {error}")
        })?;
    }
    Ok(())
}

/// Background and log files: after the sockets are open, so that their errors reach the terminal.
fn go_to_the_background(place: &Place, app: Option<&plan::AppPlan>) -> Result<(), String> {
    let log = place.log.as_deref();
    // The names were looked up for the sockets already.
    let owner = app.and_then(|plan| app_credentials(plan).ok().flatten());
    if let Some(path) = log {
        // Opened once before the fork, for the error's sake.
        try_log(path, owner.as_ref().filter(|_| place.log_after_drop))?;
    }
    if let Some(path) = app.and_then(|plan| plan.log.requests_file.as_deref()) {
        // The workers open it, as whom they are then.
        try_log(path, owner.as_ref())?;
    }
    if place.daemon {
        sys::process::daemonise()
            .map_err(|error| format!("cannot go to the background: {error}"))?;
    }
    if let Some(path) = log {
        redirect(path, &[1, 2])
            .map_err(|error| format!("cannot open the log `{}`: {error}", path.display()))?;
    } else if let Some(path) = &place.stderr_log {
        redirect(path, &[2]).map_err(|error| failed("open()", path, &error))?;
    }
    Ok(())
}

/// Whether a log file can be opened; gives it to `owner`, if there is one.
fn try_log(path: &Path, owner: Option<&Credentials>) -> Result<(), String> {
    sys::files::open_log(path)
        .map_err(|error| format!("cannot open the log `{}`: {error}", path.display()))?;
    match owner {
        Some(who) => sys::files::chown(path, who.uid, who.gid)
            .map_err(|error| format!("cannot give away `{}`: {error}", path.display())),
        None => Ok(()),
    }
}

/// Puts a log file in the place of standard descriptors.
pub(super) fn redirect(path: &Path, numbers: &[i32]) -> std::io::Result<File> {
    let file = sys::files::open_log(path)?;
    sys::process::replace_standard(&file, numbers)?;
    Ok(file)
}

fn write_pid_files(place: &Place) -> Result<Vec<VanishingFile>, String> {
    let mut vanishing = Vec::new();
    for file in &place.pid_files {
        sys::files::write_pid(&file.path, sys::process::pid())
            .map_err(|error| failed("open()", &file.path, &error))?;
        if file.vanishes {
            vanishing.push(VanishingFile { path: file.path.clone() });
        }
    }
    Ok(vanishing)
}

fn banner(listeners: &[std::rc::Rc<Listener>], plan: &plan::AppPlan) {
    let version = env!("CARGO_PKG_VERSION");
    app_line(&format!("*** Starting Propylon {version} (in uWSGI's place) on [{}] ***", ctime()));
    if sys::users::is_root() && plan.process.uid.is_none() {
        app_line("*** WARNING: the app runs as root: name a user with `uid` ***");
    }
    for (number, (socket, listener)) in plan.sockets.iter().zip(listeners).enumerate() {
        let family = match listener.address() {
            plan::Address::Inet(_) => "TCP",
            plan::Address::Unix(_) | plan::Address::Abstract(_) => "UNIX",
            plan::Address::Inherited(_) => "inherited",
        };
        let fd = std::os::fd::AsRawFd::as_raw_fd(&listener.as_fd());
        let bound = match listener.address() {
            plan::Address::Inet(_) => listener.bound(),
            _ => socket.written.clone(),
        };
        app_line(&format!("uwsgi socket {number} bound to {family} address {bound} fd {fd}"));
    }
    for address in &plan.http {
        app_line(&format!("uWSGI http bound on {address}"));
    }
    app_line(&format!("spawned uWSGI master process (pid: {})", sys::process::pid()));
}
