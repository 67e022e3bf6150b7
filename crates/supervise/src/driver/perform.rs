//! Doing what the machines say, and reloading.

use plan::FrontPlan;
use plan::front::LogLevel;
use sys::clock::monotonic_ms;

use super::app::{APP, settings};
use super::{Course, Master, front};
use crate::launch::{AppLaunch, socket_owner};
use crate::log::app_line;
use crate::machine::Ending;
use crate::machine::app::{AppAction, AppEvent};
use crate::machine::front::{FrontAction, FrontEvent};

impl Master<'_> {
    pub(super) fn perform_app(&mut self, actions: Vec<AppAction>) {
        for action in actions {
            self.do_for_app(action);
        }
    }

    fn do_for_app(&mut self, action: AppAction) {
        let Some(app) = &mut self.app else { return };
        match action {
            AppAction::StartNursery(generation) => {
                if let Err(error) = app.start_nursery(generation) {
                    if let Some(one) = app.generations.get(&generation) {
                        app_line(&interpreter_problem(&one.launch, &error));
                    }
                    self.app_events(vec![AppEvent::NurseryGone(generation, Ending::Unknown)]);
                }
            }
            AppAction::StopNursery(generation) => app.stop_nursery(generation),
            AppAction::KillNursery(generation) => app.kill_nursery(generation),
            AppAction::Fork { generation, seat, worker } => self.fork(generation, seat, worker),
            AppAction::Quiesce(seat) => app.quiesce(seat),
            AppAction::Kill(seat) => app.kill_worker(seat),
            AppAction::Free(seat) => {
                app.workers.remove(&seat);
            }
            AppAction::Promoted(generation) => {
                app.retire(|number| number < generation);
            }
            AppAction::Abandoned(generation) => {
                app.retire(|number| number == generation);
            }
            AppAction::GiveUp(code) => self.give_up(code),
            AppAction::Ended => self.app_ended = true,
            AppAction::Say(_, text) => app_line(&text),
        }
    }

    fn fork(&mut self, generation: u64, seat: u32, worker: u32) {
        let Some(app) = &mut self.app else { return };
        let asked = app.fork(generation, seat, worker);
        // The front has its ends before the worker can answer anything.
        if let (Some(front), Some(worker)) = (&self.front, app.workers.get(&seat)) {
            for process in front.machine.live_processes() {
                // A front that is gone is noticed when it is reaped.
                drop(front.worker_up(process, APP, (seat, worker.birth), &worker.replies));
            }
        }
        if let Err(error) = asked {
            app_line(&format!("cannot ask for worker {worker}: {error}"));
            app.kill_nursery(generation);
        }
    }

    pub(super) fn perform_front(&mut self, actions: Vec<FrontAction>) {
        for action in actions {
            self.do_for_front(action);
        }
    }

    fn do_for_front(&mut self, action: FrontAction) {
        let Some(front) = &mut self.front else { return };
        match action {
            FrontAction::Start(process, generation) => self.start_front(process, generation),
            FrontAction::Configure(process, generation) => {
                if front.configure(process, generation).is_err() {
                    front.kill(process);
                }
            }
            FrontAction::Quit(process) => front.quit(process),
            FrontAction::Kill(process) => front.kill(process),
            FrontAction::Adopted(generation) => front.adopted(generation),
            FrontAction::Rejected(generation) => {
                front.generations.remove(&generation);
            }
            FrontAction::GiveUp(code) => self.give_up(code),
            FrontAction::Ended => {
                self.front_ended = true;
                if self.course == Course::FrontDrains {
                    self.finish_app();
                }
            }
            FrontAction::Say(loudness, text) => front.log.say(loudness, &text),
        }
    }

    /// Starts a front process and tells it, in this order: the app, its workers, the
    /// configuration; so no request finds its app missing.
    fn start_front(&mut self, process: u64, generation: u64) {
        let Some(front) = &mut self.front else { return };
        let started = front.start(process, generation).and_then(|pid| {
            if let Some(app) = &self.app
                && let Some(fds) = app.front_door()
            {
                front.app_up(process, APP, app.threads(), &fds)?;
                for (seat, worker) in &app.workers {
                    front.worker_up(process, APP, (*seat, worker.birth), &worker.replies)?;
                }
            }
            front.configure(process, generation)?;
            Ok(pid)
        });
        match started {
            Ok(pid) if front.log.beside_app => {
                app_line(&format!("spawned uWSGI http 1 (pid: {pid})"))
            }
            Ok(pid) => front.log.line(LogLevel::Notice, &format!("start worker process {pid}")),
            Err(error) => {
                let text = format!("cannot start the front process: {error}");
                front.log.line(LogLevel::Alert, &text);
                front.kill(process);
                if !front.knows(process) {
                    self.front_events(vec![FrontEvent::Gone(process, Ending::Unknown)]);
                }
            }
        }
    }

    /// Ends the service before it served: everything is killed, `code` is the exit code.
    fn give_up(&mut self, code: i32) {
        self.exit_code = code;
        self.stop_now();
    }

    pub(super) fn handle_reload(&mut self) {
        if self.course != Course::Serving {
            return;
        }
        let reloaded = (self.reload)();
        if let Some(front) = reloaded.front {
            match front.and_then(|plan| self.reload_front(plan)) {
                Ok(()) => {}
                Err(text) => self.front_says(&text),
            }
        }
        if let Some(app) = reloaded.app {
            match app.and_then(|launch| self.reload_app(launch)) {
                Ok(()) => {}
                Err(text) => app_line(&format!("*** reload refused, nothing changes: {text} ***")),
            }
        }
    }

    fn front_says(&self, text: &str) {
        if let Some(front) = &self.front {
            for line in text.lines() {
                front.log.line(LogLevel::Emerg, line);
            }
        }
    }

    fn reload_front(&mut self, mut plan: FrontPlan) -> Result<(), String> {
        let Some(front) = &mut self.front else { return Ok(()) };
        let Some(before) = front.newest() else { return Ok(()) };
        let other_threads = before.main.threads != plan.main.threads;
        let other_user = before.main.user != plan.main.user;
        let mut new_process = other_threads || other_user;
        if new_process && self.app.is_some() {
            // Every worker has one reply socket per front thread of this one front.
            plan.main.threads = before.main.threads;
            plan.main.user = before.main.user.clone();
            front.log.line(
                LogLevel::Warn,
                "\"worker_processes\" and \"user\" of a front beside an app change at the next \
                 start only",
            );
            new_process = false;
        }
        let opened = front::open(&mut self.sockets, plan)?;
        let generation = front.admit(opened);
        self.front_events(vec![FrontEvent::Reconfigure { generation, new_process }]);
        Ok(())
    }

    fn reload_app(&mut self, mut launch: AppLaunch) -> Result<(), String> {
        let Some(app) = &mut self.app else { return Ok(()) };
        if app.has_front() && launch.plan.threads.max(1) != app.threads() {
            launch.plan.threads = app.threads();
            app_line("`threads` of an app behind a front changes at the next start only");
        }
        let owner = socket_owner(&launch.plan)?;
        let listeners = self.sockets.for_app(&launch.plan, owner);
        let listeners = listeners.map_err(|error| error.to_string())?;
        let settings = settings(&launch);
        self.watch.renew(&launch.plan.watch, monotonic_ms());
        app.prepare(launch, listeners);
        self.app_events(vec![AppEvent::Reload(settings)]);
        Ok(())
    }
}

/// Why an interpreter does not start, and whose rights count.
fn interpreter_problem(launch: &AppLaunch, error: &std::io::Error) -> String {
    let python = launch.python.display();
    let mut text = format!("cannot start the interpreter `{python}`: {error}");
    if let Some(user) = &launch.plan.process.uid
        && error.kind() == std::io::ErrorKind::PermissionDenied
    {
        text.push_str(&format!(
            "\n  hint: user `{user}` must be able to reach and execute it and what it links to"
        ));
    }
    text
}
