//! Workers: born, accepting, recycled, gone.

use super::{
    AppAction, AppMachine, INCOMING_DEATHS_MAX, Phase, Role, Want, Worker, WorkerState, words,
};
use crate::machine::{Ending, Millis};

impl AppMachine {
    pub(super) fn want(
        &mut self,
        generation: u64,
        number: u32,
        not_before: Millis,
        replaces: Option<u32>,
        respawn: bool,
    ) {
        if self.phase == Phase::Running {
            self.wants.push(Want { generation, number, not_before, replaces, respawn });
        }
    }

    pub(super) fn forked(&mut self, seat: u32, pid: u32) {
        let Some(worker) = self.workers.get_mut(&seat) else { return };
        worker.pid = Some(pid);
        if worker.state == WorkerState::Forking {
            worker.state = WorkerState::Forked;
        }
        let (number, generation, respawn) = (worker.number, worker.generation, worker.respawn);
        let cores = self.settings(generation).map_or(1, |settings| settings.threads);
        self.say(if respawn {
            format!("Respawned uWSGI worker {number} (new pid: {pid})")
        } else {
            format!("spawned uWSGI worker {number} (pid: {pid}, cores: {cores})")
        });
    }

    pub(super) fn accepting(&mut self, now: Millis, seat: u32) {
        let Some(worker) = self.workers.get_mut(&seat) else { return };
        if !matches!(worker.state, WorkerState::Forking | WorkerState::Forked) {
            return;
        }
        worker.state = WorkerState::Accepting { since: now };
        let (generation, replaces) = (worker.generation, worker.replaces.take());
        if let Some(old) = replaces {
            let mercy = self.settings(generation).map_or(0, |settings| settings.mercy_ms);
            self.quiesce(now, old, mercy);
        }
        if self.role(generation) == Some(Role::Incoming) {
            self.promote_if_complete(now, generation);
        }
    }

    pub(super) fn worker_load_failed(&mut self, now: Millis, seat: u32, summary: &str) {
        let Some(worker) = self.workers.get(&seat) else { return };
        let (generation, number) = (worker.generation, worker.number);
        let need_app = self.settings(generation).is_some_and(|settings| settings.need_app);
        match self.role(generation) {
            Some(Role::Incoming) => self.abandon(now, generation, summary),
            Some(Role::Current) if need_app && self.last_generation == 1 => {
                self.shout(format!("no app could be loaded, and `need-app` is set: {summary}"));
                self.actions.push(AppAction::GiveUp(22));
            }
            Some(Role::Current) => {
                self.shout(format!("worker {number} could not load the app: {summary}"));
            }
            Some(Role::Outgoing) | None => {}
        }
    }

    pub(super) fn recycle(&mut self, now: Millis, seat: u32, why: &str) {
        let Some(worker) = self.workers.get_mut(&seat) else { return };
        let accepting = matches!(worker.state, WorkerState::Accepting { .. });
        if !accepting || worker.leaving || self.phase != Phase::Running {
            return;
        }
        worker.leaving = true;
        let (generation, number) = (worker.generation, worker.number);
        let pid = worker.pid.unwrap_or(0);
        if self.role(generation) == Some(Role::Outgoing) {
            return;
        }
        self.say(format!("worker {number} (pid: {pid}) is to be replaced ({why})"));
        self.want(generation, number, now, Some(seat), true);
    }

    pub(super) fn quiesce(&mut self, now: Millis, seat: u32, mercy: Millis) {
        let Some(worker) = self.workers.get_mut(&seat) else { return };
        worker.leaving = true;
        if matches!(worker.state, WorkerState::Quiescing { .. } | WorkerState::Killed) {
            return;
        }
        worker.state = WorkerState::Quiescing { kill_at: now.saturating_add(mercy), since: now };
        self.actions.push(AppAction::Quiesce(seat));
    }

    pub(super) fn remove_worker(&mut self, seat: u32) -> Option<Worker> {
        let worker = self.workers.remove(&seat)?;
        // The seat's next owner must not be taken for the one that is gone.
        for want in &mut self.wants {
            want.replaces = want.replaces.filter(|old| *old != seat);
        }
        for other in self.workers.values_mut() {
            other.replaces = other.replaces.filter(|old| *old != seat);
        }
        self.actions.push(AppAction::Free(seat));
        Some(worker)
    }

    pub(super) fn worker_gone(&mut self, now: Millis, seat: u32, ending: Ending) {
        let Some(worker) = self.remove_worker(seat) else { return };
        let (number, pid) = (worker.number, worker.pid.unwrap_or(0));
        match worker.state {
            WorkerState::Quiescing { since, .. } => {
                let seconds = now.saturating_sub(since) / 1000;
                self.say(format!(
                    "worker {number} (pid: {pid}) buried after {seconds} seconds ({})",
                    words(ending)
                ));
                return;
            }
            WorkerState::Killed => {
                self.say(format!("worker {number} (pid: {pid}) buried"));
                return;
            }
            _ if self.phase != Phase::Running => return,
            _ => {}
        }
        let served = match worker.state {
            WorkerState::Accepting { since } => Some(now.saturating_sub(since)),
            _ => None,
        };
        let cause = match ending {
            Ending::Killed(signal) => format!(", killed by signal {signal}"),
            Ending::Exited(0) | Ending::Unknown => String::new(),
            Ending::Exited(code) => format!(", exited with code {code}"),
        };
        self.shout(format!(
            "DAMN ! worker {number} (pid: {pid}) died{cause} :( trying respawn ..."
        ));
        if worker.leaving {
            // Its replacement is on the way already; it need not wait for anything now.
            return;
        }
        let delay = self.deaths.entry(number).or_default().next_delay(served);
        if delay > 0 {
            self.say(format!("worker {number} keeps dying: next try in {delay} ms"));
        }
        let generation = worker.generation;
        if self.role(generation) == Some(Role::Incoming) && served.is_none() {
            let Some(incoming) = self.generation(generation) else { return };
            incoming.stillborn += 1;
            if incoming.stillborn >= INCOMING_DEATHS_MAX {
                self.abandon(now, generation, "its workers die before they accept");
                return;
            }
        }
        if self.role(generation).is_some_and(|role| role != Role::Outgoing) {
            self.want(generation, number, now + delay, worker.replaces, true);
        }
    }
}
