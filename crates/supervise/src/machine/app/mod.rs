//! One app: its nurseries (one per generation of its code) and its workers.
//!
//! ```text
//! generation:  Incoming ──all its workers accept──► Current ──a newer one took over──► Outgoing
//!                 └─────does not load────► Outgoing (the old one stays)
//! nursery:     Starting ──► Ready ──► Stopping ──► (gone)      any ──died──► Dead{until} ──► Starting
//! worker:      Forking ──► Forked ──► Accepting ──► Quiescing ──► Killed ──► (gone)
//! ```
//!
//! Invariants: a seat belongs to one worker until that worker is known to be gone; a worker of the
//! current generation that dies is replaced, one that was told to go is not; a replacement that
//! was asked for accepts before its predecessor is told to quiesce.

mod generations;
mod workers;

use std::collections::BTreeMap;

use super::backoff::Backoff;
use super::{Ending, Loudness, Millis};

/// A nursery that was told to stop gets this long.
const NURSERY_STOP_MS: Millis = 3_000;
/// After a worker's control socket ended, its death should be reported within this time.
const LIMBO_MS: Millis = 1_000;
/// A new generation whose workers die this often before they accept is given up.
const INCOMING_DEATHS_MAX: u32 = 3;

/// What the machine must know of a generation's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppSettings {
    /// Workers.
    pub processes: u32,
    /// Threads per worker, for the log.
    pub threads: u32,
    /// Time a worker gets to finish when it is recycled.
    pub mercy_ms: Millis,
    /// The same when the whole app reloads or stops.
    pub reload_mercy_ms: Millis,
    /// Without an app there is no service.
    pub need_app: bool,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppEvent {
    /// That generation's nursery has loaded the app.
    NurseryLoaded(u64),
    /// That generation's nursery could not load it.
    NurseryLoadFailed(u64, String),
    /// That generation's nursery is gone.
    NurseryGone(u64, Ending),
    /// The worker on that seat is a process now.
    Forked(u32, u32),
    /// It takes requests.
    Accepting(u32),
    /// It could not load the app (`lazy-apps`).
    WorkerLoadFailed(u32, String),
    /// It asks for a replacement.
    Recycle(u32, String),
    /// Its control socket ended.
    ControlEnded(u32),
    /// It is gone.
    WorkerGone(u32, Ending),
    /// New code or configuration.
    Reload(AppSettings),
    /// Finish and end.
    Stop,
    /// End at once.
    StopNow,
    /// Time has passed.
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppAction {
    /// Start a nursery for that generation.
    StartNursery(u64),
    /// Tell it that no more workers will be asked for.
    StopNursery(u64),
    /// Kill it.
    KillNursery(u64),
    /// Ask that generation's nursery for a worker.
    Fork {
        /// Whose code.
        generation: u64,
        /// Place on the scoreboard.
        seat: u32,
        /// Number as users see it.
        worker: u32,
    },
    /// Tell the worker on that seat to finish and exit.
    Quiesce(u32),
    /// Kill it.
    Kill(u32),
    /// Its seat is free: forget its sockets.
    Free(u32),
    /// That generation serves now; the one before is on its way out.
    Promoted(u64),
    /// That generation will never serve.
    Abandoned(u64),
    /// Give up the whole service with this exit code (only before anything was served).
    GiveUp(i32),
    /// Everything is gone after `Stop`.
    Ended,
    /// Write a line to the log.
    Say(Loudness, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Incoming,
    Current,
    Outgoing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nursery {
    Starting,
    Ready,
    Stopping { kill_at: Millis },
    Dead { until: Millis },
}

#[derive(Debug)]
struct Generation {
    number: u64,
    role: Role,
    nursery: Nursery,
    settings: AppSettings,
    deaths: Backoff,
    /// Workers that died before they accepted.
    stillborn: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WorkerState {
    Forking,
    Forked,
    Accepting { since: Millis },
    Quiescing { kill_at: Millis, since: Millis },
    Killed,
}

#[derive(Debug)]
struct Worker {
    generation: u64,
    number: u32,
    pid: Option<u32>,
    state: WorkerState,
    /// It asked to be replaced, or a replacement for it is wanted.
    leaving: bool,
    /// The seat whose worker quiesces when this one accepts.
    replaces: Option<u32>,
    /// Its control socket ended at this time.
    limbo_since: Option<Millis>,
    respawn: bool,
}

/// A worker that is wanted but not yet asked for.
#[derive(Clone, Copy, Debug)]
struct Want {
    generation: u64,
    number: u32,
    not_before: Millis,
    replaces: Option<u32>,
    respawn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping,
    Ended,
}

/// The machine. Feed it with [`AppMachine::handle`]; call it again at
/// [`AppMachine::next_deadline`] with [`AppEvent::Tick`].
#[derive(Debug)]
pub struct AppMachine {
    seats_max: u32,
    generations: Vec<Generation>,
    workers: BTreeMap<u32, Worker>,
    wants: Vec<Want>,
    deaths: BTreeMap<u32, Backoff>,
    phase: Phase,
    last_generation: u64,
    actions: Vec<AppAction>,
}

impl AppMachine {
    /// A machine that has just asked for its first nursery. At most `seats_max` workers, of all
    /// generations together, live at any time.
    pub fn start(settings: AppSettings, seats_max: u32) -> (AppMachine, Vec<AppAction>) {
        let mut machine = AppMachine {
            seats_max,
            generations: Vec::new(),
            workers: BTreeMap::new(),
            wants: Vec::new(),
            deaths: BTreeMap::new(),
            phase: Phase::Running,
            last_generation: 0,
            actions: Vec::new(),
        };
        machine.new_generation(Role::Current, settings);
        let actions = std::mem::take(&mut machine.actions);
        (machine, actions)
    }

    /// Takes one event and says what to do.
    pub fn handle(&mut self, now: Millis, event: AppEvent) -> Vec<AppAction> {
        match event {
            AppEvent::NurseryLoaded(generation) => self.nursery_ready(now, generation),
            AppEvent::NurseryLoadFailed(generation, summary) => {
                self.nursery_load_failed(now, generation, &summary);
            }
            AppEvent::NurseryGone(generation, ending) => {
                self.nursery_gone(now, generation, ending);
            }
            AppEvent::Forked(seat, pid) => self.forked(seat, pid),
            AppEvent::Accepting(seat) => self.accepting(now, seat),
            AppEvent::WorkerLoadFailed(seat, summary) => {
                self.worker_load_failed(now, seat, &summary);
            }
            AppEvent::Recycle(seat, why) => self.recycle(now, seat, &why),
            AppEvent::ControlEnded(seat) => {
                if let Some(worker) = self.workers.get_mut(&seat) {
                    worker.limbo_since.get_or_insert(now);
                }
            }
            AppEvent::WorkerGone(seat, ending) => self.worker_gone(now, seat, ending),
            AppEvent::Reload(settings) => self.reload(now, settings),
            AppEvent::Stop => self.stop(now),
            AppEvent::StopNow => self.stop_now(),
            AppEvent::Tick => {}
        }
        self.check_clock(now);
        self.fork_what_is_due(now);
        self.finish_if_empty();
        debug_assert!(self.workers.len() <= self.seats_max as usize);
        std::mem::take(&mut self.actions)
    }

    /// When [`AppEvent::Tick`] is due next.
    pub fn next_deadline(&self) -> Option<Millis> {
        let nurseries = self.generations.iter().filter_map(|generation| match generation.nursery {
            Nursery::Stopping { kill_at } => Some(kill_at),
            Nursery::Dead { until } if generation.role != Role::Outgoing => Some(until),
            _ => None,
        });
        let workers = self.workers.values().flat_map(|worker| {
            let kill = match worker.state {
                WorkerState::Quiescing { kill_at, .. } => Some(kill_at),
                _ => None,
            };
            let limbo = worker.limbo_since.map(|since| since + LIMBO_MS);
            kill.into_iter().chain(limbo)
        });
        // A want that waits for a nursery or a seat is woken by that event, not by the clock.
        let wants = self.wants.iter().filter(|want| self.ready(want.generation));
        let wants = wants.filter(|_| self.free_seat().is_some()).map(|want| want.not_before);
        nurseries.chain(workers).chain(wants).min()
    }

    /// The generation that serves.
    pub fn current_generation(&self) -> Option<u64> {
        self.generations.iter().find(|one| one.role == Role::Current).map(|one| one.number)
    }

    /// How many workers take requests.
    pub fn accepting_count(&self) -> usize {
        let accepting = |worker: &&Worker| matches!(worker.state, WorkerState::Accepting { .. });
        self.workers.values().filter(accepting).count()
    }

    fn say(&mut self, text: impl Into<String>) {
        self.actions.push(AppAction::Say(Loudness::Notice, text.into()));
    }

    fn shout(&mut self, text: impl Into<String>) {
        self.actions.push(AppAction::Say(Loudness::Error, text.into()));
    }

    fn new_generation(&mut self, role: Role, settings: AppSettings) {
        self.last_generation += 1;
        let number = self.last_generation;
        self.generations.push(Generation {
            number,
            role,
            nursery: Nursery::Starting,
            settings,
            deaths: Backoff::default(),
            stillborn: 0,
        });
        self.actions.push(AppAction::StartNursery(number));
    }

    fn generation(&mut self, number: u64) -> Option<&mut Generation> {
        self.generations.iter_mut().find(|generation| generation.number == number)
    }

    fn role(&self, number: u64) -> Option<Role> {
        self.generations.iter().find(|one| one.number == number).map(|one| one.role)
    }

    fn settings(&self, number: u64) -> Option<AppSettings> {
        self.generations.iter().find(|one| one.number == number).map(|one| one.settings)
    }

    fn ready(&self, number: u64) -> bool {
        let mut generations = self.generations.iter();
        generations.any(|one| one.number == number && one.nursery == Nursery::Ready)
    }

    fn free_seat(&self) -> Option<u32> {
        (0..self.seats_max).find(|seat| !self.workers.contains_key(seat))
    }

    fn stop(&mut self, now: Millis) {
        if self.phase != Phase::Running {
            return;
        }
        self.phase = Phase::Stopping;
        let numbers: Vec<_> =
            self.generations.iter().map(|one| (one.number, one.settings)).collect();
        for (number, settings) in numbers {
            self.retire(now, number, settings.reload_mercy_ms);
        }
        self.wants.clear();
    }

    fn stop_now(&mut self) {
        self.phase = if self.phase == Phase::Ended { Phase::Ended } else { Phase::Stopping };
        self.wants.clear();
        for (seat, worker) in &mut self.workers {
            if worker.state != WorkerState::Killed {
                worker.state = WorkerState::Killed;
                self.actions.push(AppAction::Kill(*seat));
            }
        }
        for generation in &mut self.generations {
            if !matches!(generation.nursery, Nursery::Dead { .. }) {
                generation.nursery = Nursery::Stopping { kill_at: Millis::MAX };
                self.actions.push(AppAction::KillNursery(generation.number));
            }
        }
        self.generations.retain(|one| !matches!(one.nursery, Nursery::Dead { .. }));
    }

    fn check_clock(&mut self, now: Millis) {
        let mut lost = Vec::new();
        for (seat, worker) in &mut self.workers {
            if let WorkerState::Quiescing { kill_at, .. } = worker.state
                && now >= kill_at
            {
                worker.state = WorkerState::Killed;
                self.actions.push(AppAction::Kill(*seat));
                let (number, pid) = (worker.number, worker.pid.unwrap_or(0));
                let text = format!(
                    "worker {number} (pid: {pid}) is taking too much time to die...NO MERCY !!!"
                );
                self.actions.push(AppAction::Say(Loudness::Error, text));
            }
            if worker.limbo_since.is_some_and(|since| now >= since + LIMBO_MS) {
                lost.push(*seat);
            }
        }
        for seat in lost {
            self.actions.push(AppAction::Kill(seat));
            self.worker_gone(now, seat, Ending::Unknown);
        }
        let mut restart = Vec::new();
        for generation in &mut self.generations {
            match generation.nursery {
                Nursery::Stopping { kill_at } if now >= kill_at => {
                    generation.nursery = Nursery::Stopping { kill_at: Millis::MAX };
                    self.actions.push(AppAction::KillNursery(generation.number));
                }
                Nursery::Dead { until } if now >= until && self.phase == Phase::Running => {
                    generation.nursery = Nursery::Starting;
                    restart.push(generation.number);
                }
                _ => {}
            }
        }
        self.actions.extend(restart.into_iter().map(AppAction::StartNursery));
    }

    fn fork_what_is_due(&mut self, now: Millis) {
        let mut index = 0;
        while let Some(want) = self.wants.get(index).copied() {
            let due = now >= want.not_before && self.ready(want.generation);
            let Some(seat) = self.free_seat().filter(|_| due) else {
                index += 1;
                continue;
            };
            self.wants.remove(index);
            self.workers.insert(
                seat,
                Worker {
                    generation: want.generation,
                    number: want.number,
                    pid: None,
                    state: WorkerState::Forking,
                    leaving: false,
                    replaces: want.replaces,
                    limbo_since: None,
                    respawn: want.respawn,
                },
            );
            let (generation, worker) = (want.generation, want.number);
            self.actions.push(AppAction::Fork { generation, seat, worker });
        }
    }

    fn finish_if_empty(&mut self) {
        let empty = self.workers.is_empty() && self.generations.is_empty();
        if self.phase == Phase::Stopping && empty {
            self.phase = Phase::Ended;
            self.actions.push(AppAction::Ended);
        }
    }
}

fn words(ending: Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("exited with code {code}"),
        Ending::Killed(signal) => format!("killed by signal {signal}"),
        Ending::Unknown => "how is not known".into(),
    }
}
