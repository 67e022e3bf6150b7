//! The loop: waits for signals, children and the clock, tells the machines, does what they say.
//!
//! Rooms: [`app`] and [`front`] (processes and sockets of either half), [`settle`] (what is done
//! once before the first child).

pub mod app;
pub mod front;
mod perform;
mod settle;

use std::os::fd::AsFd;

use plan::front::LogLevel;
use sys::clock::monotonic_ms;
use sys::signals::SignalReader;

use crate::launch::{Launch, Reloaded};
use crate::log::app_line;
use crate::machine::app::AppEvent;
use crate::machine::front::FrontEvent;
use crate::machine::{Ending, Millis};
use crate::sockets::{Sockets, VanishingFile};
use crate::watch::{Touch, Watch};
use app::{AppSide, Speaker};
use front::FrontSide;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGUSR1: i32 = 10;
const SIGUSR2: i32 = 12;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const SIGWINCH: i32 = 28;

/// Requests in flight in the front get this long after TERM or INT…
const TERM_DRAIN_MS: Millis = 10_000;
/// …and this long after QUIT, unless `worker_shutdown_timeout` says otherwise.
const QUIT_DRAIN_MS: Millis = 60_000;

/// After so long without any event the master sleeps.
const REST_AFTER_MS: Millis = 1000;

/// Where the service is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// It serves.
    Serving,
    /// The front finishes; the app still works for it.
    FrontDrains,
    /// The app finishes.
    AppFinishes,
}

/// Everything the master has.
pub(crate) struct Master<'a> {
    app: Option<AppSide>,
    front: Option<FrontSide>,
    sockets: Sockets,
    signals: SignalReader,
    reload: &'a mut dyn FnMut() -> Reloaded,
    log_file: Option<std::path::PathBuf>,
    watch: Watch,
    course: Course,
    exit_code: i32,
    app_ended: bool,
    front_ended: bool,
    /// Nothing has happened since what only the last event needed was given back to the kernel.
    rests: bool,
    /// Removed when the master ends.
    _pid_files: Vec<VanishingFile>,
}

/// Runs everything until it is told to stop, and returns the exit code: 0 after a clean stop,
/// 1 if it could not start, 22 if there is no app and `need-app` is set. Must be called while the
/// process has one thread. `reload` reads the configuration again (on HUP).
pub fn run(launch: Launch, reload: &mut dyn FnMut() -> Reloaded) -> i32 {
    let nginx_like = launch.app.is_none();
    let mut master = match settle::settle(launch, reload) {
        Ok(master) => master,
        Err(text) if nginx_like => {
            app_line(&format!("nginx: [emerg] {text}"));
            return 1;
        }
        Err(text) => {
            app_line(&format!("propylon: {text}"));
            return 1;
        }
    };
    while !master.ended() {
        master.step();
    }
    master.farewell();
    master.exit_code
}

/// What a descriptor that became readable belongs to.
enum Source {
    Signals,
    App(Speaker),
    Front(u64),
}

impl Master<'_> {
    fn ended(&self) -> bool {
        (self.app.is_none() || self.app_ended) && (self.front.is_none() || self.front_ended)
    }

    /// Waits once and handles what came.
    fn step(&mut self) {
        let mut sources = vec![Source::Signals];
        let mut fds = vec![self.signals.as_fd()];
        if let Some(app) = &self.app {
            for (speaker, control) in app.speakers() {
                sources.push(Source::App(speaker));
                fds.push(control.as_fd());
            }
        }
        if let Some(front) = &self.front {
            for (number, control) in front.speakers() {
                sources.push(Source::Front(number));
                fds.push(control.as_fd());
            }
        }
        let now = monotonic_ms();
        let deadlines = self.next_deadline().into_iter().chain(self.watch.next_look());
        let timeouts = deadlines.map(|deadline| deadline.saturating_sub(now));
        let rest = (!self.rests).then_some(REST_AFTER_MS);
        let timeout = timeouts.chain(rest).min();
        // Out of memory for a list of descriptors: nothing to do but try again.
        let Ok(ready) = sys::poll::readable(&fds, timeout) else { return };
        drop(fds);
        let quiet = !ready.contains(&true) && !self.is_due();
        if quiet && !self.rests {
            // Reading a configuration and starting processes is most of the code a master ever
            // uses. Without `/proc` the pages stay.
            let _ = sys::resident::release_file_pages();
        }
        self.rests = quiet;
        for (source, _) in sources.iter().zip(ready).filter(|(_, ready)| *ready) {
            match source {
                Source::Signals => self.read_signals(),
                Source::App(speaker) => {
                    let Some(app) = &mut self.app else { continue };
                    let events = app.listen_to(*speaker);
                    for (generation, files) in app.take_sources() {
                        self.watch.add_sources(generation, files);
                    }
                    self.app_events(events);
                }
                Source::Front(number) => {
                    let front = self.front.as_mut();
                    let events = front.map_or_else(Vec::new, |front| front.listen_to(*number));
                    self.front_events(events);
                }
            }
        }
        if self.is_due() {
            self.app_events(vec![AppEvent::Tick]);
            self.front_events(vec![FrontEvent::Tick]);
        }
        self.look_at_files();
    }

    /// One reload, however many files were touched since the last look.
    fn look_at_files(&mut self) {
        let touched = self.watch.look(monotonic_ms());
        for (_, path) in &touched {
            app_line(&format!("`{}` has changed", path.display()));
        }
        let asks = |wanted| touched.iter().any(|(touch, _)| *touch == wanted);
        if asks(Touch::ReopenLogs) {
            self.reopen_logs();
        }
        if asks(Touch::Reload) {
            self.handle_reload();
        }
    }

    fn is_due(&self) -> bool {
        self.next_deadline().is_some_and(|deadline| monotonic_ms() >= deadline)
    }

    fn next_deadline(&self) -> Option<Millis> {
        let app = self.app.as_ref().and_then(|app| app.machine.next_deadline());
        let front = self.front.as_ref().and_then(|front| front.machine.next_deadline());
        app.into_iter().chain(front).min()
    }

    fn app_events(&mut self, events: Vec<AppEvent>) {
        for event in events {
            let Some(app) = &mut self.app else { return };
            let actions = app.machine.handle(monotonic_ms(), event);
            self.perform_app(actions);
        }
    }

    fn front_events(&mut self, events: Vec<FrontEvent>) {
        for event in events {
            let Some(front) = &mut self.front else { return };
            let actions = front.machine.handle(monotonic_ms(), event);
            self.perform_front(actions);
        }
    }

    fn read_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.next() {
            match signal {
                SIGCHLD => self.reap(),
                SIGHUP => {
                    self.say(LogLevel::Notice, "SIGHUP received, reconfiguring");
                    self.handle_reload();
                }
                SIGTERM | SIGINT | SIGQUIT => self.handle_stop(signal),
                SIGUSR1 => self.reopen_logs(),
                _ => {}
            }
        }
    }

    fn reap(&mut self) {
        while let Some((pid, ending)) = sys::process::reap() {
            let ending = match ending {
                sys::process::Ending::Exited(code) => Ending::Exited(code),
                sys::process::Ending::Killed(signal) => Ending::Killed(signal),
            };
            let front = self.front.as_mut();
            let events = front.map_or_else(Vec::new, |front| front.reaped(pid, ending));
            if !events.is_empty() {
                self.front_events(events);
                continue;
            }
            let app = self.app.as_mut();
            let events = app.map_or_else(Vec::new, |app| app.reaped(monotonic_ms(), pid, ending));
            self.app_events(events);
        }
    }

    /// The first signal stops gracefully, front first; the next TERM or INT stops at once.
    fn handle_stop(&mut self, signal: i32) {
        let name = sys::signals::name(signal);
        if self.course != Course::Serving {
            if signal != SIGQUIT {
                self.say(LogLevel::Notice, &format!("{name} again: stopping at once"));
                self.stop_now();
            }
            return;
        }
        self.say(LogLevel::Notice, &format!("{name}: finishing the requests in flight"));
        let Some(front) = &self.front else {
            self.finish_app();
            return;
        };
        self.course = Course::FrontDrains;
        let asked = front.newest().and_then(|plan| plan.main.shutdown_timeout);
        let asked = asked.map(|time| Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX));
        let usual = if signal == SIGQUIT { QUIT_DRAIN_MS } else { TERM_DRAIN_MS };
        self.front_events(vec![FrontEvent::Stop(asked.unwrap_or(usual))]);
    }

    fn finish_app(&mut self) {
        self.course = Course::AppFinishes;
        self.app_events(vec![AppEvent::Stop]);
    }

    fn stop_now(&mut self) {
        self.course = Course::AppFinishes;
        self.front_events(vec![FrontEvent::StopNow]);
        self.app_events(vec![AppEvent::StopNow]);
    }

    /// A line for whoever reads this master's log: the app's, if there is one.
    fn say(&self, level: LogLevel, text: &str) {
        match &self.front {
            Some(front) if self.app.is_none() => front.log.line(level, text),
            _ => app_line(text),
        }
    }

    fn farewell(&self) {
        if self.app.is_some() {
            app_line("goodbye to uWSGI.");
        } else {
            self.say(LogLevel::Notice, "exit");
        }
    }

    fn reopen_logs(&mut self) {
        if let Some(front) = &mut self.front {
            front.log.line(LogLevel::Notice, "reopening logs");
            front.reopen_logs();
        }
        let file = self.log_file.as_ref().map(|path| {
            // The old file is better than none.
            settle::redirect(path, &[1, 2]).inspect_err(|error| {
                app_line(&format!("cannot reopen `{}`: {error}", path.display()));
            })
        });
        if let Some(app) = &self.app {
            let file = file.and_then(Result::ok);
            app.reopen_logs(file.as_ref().map(AsFd::as_fd));
        }
    }
}
