//! Generations of the app's code and their nurseries.

use super::WorkerState;
use super::{AppAction, AppMachine, AppSettings, NURSERY_STOP_MS, Nursery, Phase, Role, words};
use crate::machine::{Ending, Millis};

impl AppMachine {
    pub(super) fn nursery_ready(&mut self, now: Millis, number: u64) {
        let Some(generation) = self.generation(number) else { return };
        if generation.nursery != Nursery::Starting || generation.role == Role::Outgoing {
            return;
        }
        generation.nursery = Nursery::Ready;
        let processes = generation.settings.processes;
        // A nursery that was started again finds its workers alive.
        for worker in 1..=processes {
            let alive = self
                .workers
                .values()
                .any(|one| one.generation == number && one.number == worker && !one.leaving);
            let wanted =
                self.wants.iter().any(|want| want.generation == number && want.number == worker);
            if !alive && !wanted {
                self.want(number, worker, now, None, false);
            }
        }
    }

    pub(super) fn nursery_load_failed(&mut self, now: Millis, number: u64, summary: &str) {
        let first = self.last_generation == 1;
        let Some(generation) = self.generation(number) else { return };
        let need_app = generation.settings.need_app;
        match generation.role {
            Role::Outgoing => {}
            Role::Incoming => self.abandon(now, number, summary),
            Role::Current if need_app && first => {
                self.shout(format!("no app could be loaded, and `need-app` is set: {summary}"));
                self.actions.push(AppAction::GiveUp(22));
            }
            Role::Current => {
                self.shout(format!(
                    "*** no app loaded: {summary}; every request is answered with 500 until a \
                     reload (HUP) finds an app ***"
                ));
                self.nursery_ready(now, number);
            }
        }
    }

    pub(super) fn nursery_gone(&mut self, now: Millis, number: u64, ending: Ending) {
        // What it was asked to fork and did not is asked of its successor.
        let unborn: Vec<u32> = self
            .workers
            .iter()
            .filter(|(_, one)| one.generation == number && one.pid.is_none())
            .map(|(seat, _)| *seat)
            .collect();
        for seat in unborn {
            let Some(worker) = self.remove_worker(seat) else { continue };
            if worker.state == WorkerState::Forking {
                self.want(number, worker.number, now, worker.replaces, worker.respawn);
            }
        }
        let stopping = self.phase != Phase::Running;
        let Some(generation) = self.generation(number) else { return };
        let expected = matches!(generation.nursery, Nursery::Stopping { .. });
        if expected || generation.role == Role::Outgoing || stopping {
            self.generations.retain(|one| one.number != number);
            return;
        }
        let loading = generation.nursery == Nursery::Starting;
        let how = words(ending);
        if generation.role == Role::Incoming {
            generation.nursery = Nursery::Dead { until: now };
            let reason = format!("the process that imports it ended ({how})");
            self.abandon(now, number, &reason);
            return;
        }
        let delay = generation.deaths.next_delay((!loading).then_some(Millis::MAX));
        generation.nursery = Nursery::Dead { until: now + delay };
        let gives_up = loading && generation.settings.need_app && self.workers.is_empty();
        if gives_up && self.last_generation == 1 {
            self.shout(format!("the app could not be loaded: its process ended ({how})"));
            self.actions.push(AppAction::GiveUp(22));
            return;
        }
        self.shout(format!("the process that imports the app ended ({how}): starting it again"));
        if loading {
            self.say(
                "hint: it ended while it imported the app: look there for `os._exit`, for closed \
                 descriptors and for a crash in an extension module; `PYTHONFAULTHANDLER=1` in the \
                 environment shows where it crashes",
            );
        }
    }

    pub(super) fn reload(&mut self, now: Millis, settings: AppSettings) {
        if self.phase != Phase::Running {
            return;
        }
        let incoming = self.generations.iter().find(|one| one.role == Role::Incoming);
        if let Some(number) = incoming.map(|one| one.number) {
            self.say("reload: asked for again before it was done, so it starts anew");
            self.set_aside(now, number);
        }
        self.new_generation(Role::Incoming, settings);
        self.say("reload: loading the new code; the old workers serve meanwhile");
    }

    pub(super) fn promote_if_complete(&mut self, now: Millis, number: u64) {
        let Some(settings) = self.settings(number) else { return };
        let accepting = self.workers.values().filter(|worker| {
            worker.generation == number && matches!(worker.state, WorkerState::Accepting { .. })
        });
        if accepting.count() < settings.processes as usize {
            return;
        }
        let old = self.current_generation();
        for generation in &mut self.generations {
            if generation.role == Role::Current {
                generation.role = Role::Outgoing;
            } else if generation.number == number {
                generation.role = Role::Current;
            }
        }
        self.deaths.clear();
        self.actions.push(AppAction::Promoted(number));
        self.say("reload: the new workers accept requests; the old ones finish and go");
        if let Some(old) = old {
            self.retire(now, old, settings.reload_mercy_ms);
        }
    }

    /// A new generation that does not work: the old one stays.
    pub(super) fn abandon(&mut self, now: Millis, number: u64, reason: &str) {
        self.shout(format!(
            "*** reload failed, the old workers go on with the old code: {reason} ***"
        ));
        self.set_aside(now, number);
    }

    /// Ends a generation that never took over.
    fn set_aside(&mut self, now: Millis, number: u64) {
        if let Some(generation) = self.generation(number) {
            generation.role = Role::Outgoing;
        }
        let mercy = self.settings(number).map_or(0, |settings| settings.reload_mercy_ms);
        self.retire(now, number, mercy);
        self.actions.push(AppAction::Abandoned(number));
    }

    /// Lets a generation's workers finish and its nursery end.
    pub(super) fn retire(&mut self, now: Millis, number: u64, mercy: Millis) {
        self.wants.retain(|want| want.generation != number);
        let seats: Vec<u32> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.generation == number)
            .map(|(seat, _)| *seat)
            .collect();
        for seat in seats {
            self.quiesce(now, seat, mercy);
        }
        self.stop_nursery(now, number);
    }

    pub(super) fn stop_nursery(&mut self, now: Millis, number: u64) {
        let Some(generation) = self.generation(number) else { return };
        match generation.nursery {
            Nursery::Stopping { .. } => {}
            Nursery::Dead { .. } => self.generations.retain(|one| one.number != number),
            // In the middle of an import it hears nothing.
            Nursery::Starting => {
                generation.nursery = Nursery::Stopping { kill_at: Millis::MAX };
                self.actions.push(AppAction::KillNursery(number));
            }
            Nursery::Ready => {
                generation.nursery = Nursery::Stopping { kill_at: now + NURSERY_STOP_MS };
                self.actions.push(AppAction::StopNursery(number));
            }
        }
    }
}
