//! The front: one process that serves, sometimes others that drain.
//!
//! ```text
//! process:  Starting ──Ready──► Serving ──► Quitting ──► Killed ──► (gone)
//!               └──Refused──► Serving (the generation before stays)
//!           any ──died──► started again on the same sockets, after a delay if it keeps dying
//! ```
//!
//! Invariant: at most one process is neither quitting nor killed, except while a new one starts
//! beside an old one that still serves.

use super::backoff::Backoff;
use super::{Ending, Loudness, Millis};

/// Deaths in a row before the first configuration was ever in use: then nothing works here.
const FIRST_DEATHS_MAX: u32 = 4;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrontEvent {
    /// A new configuration was read, validated and its sockets are open. `new_process`: it needs
    /// another process (other user, other number of threads).
    Reconfigure {
        /// Its number, rising.
        generation: u64,
        /// Whether the running process cannot take it over.
        new_process: bool,
    },
    /// That process uses that generation.
    Ready(u64, u64),
    /// That process cannot use that generation, with the reason.
    Refused(u64, u64, String),
    /// That process is gone.
    Gone(u64, Ending),
    /// Finish within this time and end.
    Stop(Millis),
    /// End at once.
    StopNow,
    /// Time has passed.
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrontAction {
    /// Start the process of that number and configure it with that generation.
    Start(u64, u64),
    /// Give that process that generation.
    Configure(u64, u64),
    /// Tell it to finish and exit.
    Quit(u64),
    /// Kill it.
    Kill(u64),
    /// That generation is in use: what only the ones before needed can be closed.
    Adopted(u64),
    /// That generation will not be used.
    Rejected(u64),
    /// Give up the whole service with this exit code.
    GiveUp(i32),
    /// Everything is gone after `Stop`.
    Ended,
    /// Write a line to the log.
    Say(Loudness, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Serving { since: Millis },
    Quitting { kill_at: Millis },
    Killed,
}

#[derive(Debug)]
struct Process {
    number: u64,
    generation: u64,
    state: State,
}

/// The machine. Feed it with [`FrontMachine::handle`]; call it again at
/// [`FrontMachine::next_deadline`] with [`FrontEvent::Tick`].
#[derive(Debug)]
pub struct FrontMachine {
    processes: Vec<Process>,
    last_process: u64,
    /// The generation that new processes get.
    generation: u64,
    /// The newest generation that was ever in use.
    adopted: Option<u64>,
    restart_at: Option<Millis>,
    deaths: Backoff,
    stopping: bool,
    ended: bool,
    drain_ms: Millis,
    actions: Vec<FrontAction>,
}

impl FrontMachine {
    /// A machine that has just asked for its first process. `drain_ms` bounds how long a process
    /// that was replaced may finish its requests.
    pub fn start(generation: u64, drain_ms: Millis) -> (FrontMachine, Vec<FrontAction>) {
        let mut machine = FrontMachine {
            processes: Vec::new(),
            last_process: 0,
            generation,
            adopted: None,
            restart_at: None,
            deaths: Backoff::default(),
            stopping: false,
            ended: false,
            drain_ms,
            actions: Vec::new(),
        };
        machine.start_process();
        let actions = std::mem::take(&mut machine.actions);
        (machine, actions)
    }

    /// Takes one event and says what to do.
    pub fn handle(&mut self, now: Millis, event: FrontEvent) -> Vec<FrontAction> {
        match event {
            FrontEvent::Reconfigure { generation, new_process } => {
                self.reconfigure(generation, new_process);
            }
            FrontEvent::Ready(process, generation) => self.ready(now, process, generation),
            FrontEvent::Refused(process, generation, reason) => {
                self.refused(now, process, generation, &reason);
            }
            FrontEvent::Gone(process, ending) => self.gone(now, process, ending),
            FrontEvent::Stop(within) => self.stop(now, within),
            FrontEvent::StopNow => self.stop_now(),
            FrontEvent::Tick => {}
        }
        self.check_clock(now);
        if self.stopping && !self.ended && self.processes.is_empty() {
            self.ended = true;
            self.actions.push(FrontAction::Ended);
        }
        std::mem::take(&mut self.actions)
    }

    /// When [`FrontEvent::Tick`] is due next.
    pub fn next_deadline(&self) -> Option<Millis> {
        let kills = self.processes.iter().filter_map(|process| match process.state {
            State::Quitting { kill_at } => Some(kill_at),
            _ => None,
        });
        kills.chain(self.restart_at).min()
    }

    /// The process that serves (or is about to): where log files and workers are announced.
    pub fn live_processes(&self) -> impl Iterator<Item = u64> {
        let live =
            |process: &&Process| matches!(process.state, State::Starting | State::Serving { .. });
        self.processes.iter().filter(live).map(|process| process.number)
    }

    fn say(&mut self, loudness: Loudness, text: String) {
        self.actions.push(FrontAction::Say(loudness, text));
    }

    fn start_process(&mut self) {
        self.last_process += 1;
        let (number, generation) = (self.last_process, self.generation);
        self.processes.push(Process { number, generation, state: State::Starting });
        self.restart_at = None;
        self.actions.push(FrontAction::Start(number, generation));
    }

    fn reconfigure(&mut self, generation: u64, new_process: bool) {
        if self.stopping {
            return;
        }
        self.generation = generation;
        let live: Vec<u64> = self.live_processes().collect();
        if new_process || live.is_empty() {
            self.start_process();
            return;
        }
        for number in live {
            self.actions.push(FrontAction::Configure(number, generation));
        }
    }

    fn ready(&mut self, now: Millis, number: u64, generation: u64) {
        let drain_ms = self.drain_ms;
        let Some(process) = self.processes.iter_mut().find(|one| one.number == number) else {
            return;
        };
        if !matches!(process.state, State::Starting | State::Serving { .. }) {
            return;
        }
        process.generation = generation;
        if process.state == State::Starting {
            process.state = State::Serving { since: now };
        }
        if self.adopted.is_none_or(|adopted| adopted < generation) {
            self.adopted = Some(generation);
        }
        self.actions.push(FrontAction::Adopted(generation));
        let serving = |state| matches!(state, State::Starting | State::Serving { .. });
        for old in &mut self.processes {
            if old.number < number && serving(old.state) {
                old.state = State::Quitting { kill_at: now.saturating_add(drain_ms) };
                self.actions.push(FrontAction::Quit(old.number));
            }
        }
    }

    fn refused(&mut self, now: Millis, number: u64, generation: u64, reason: &str) {
        self.say(Loudness::Error, format!("the configuration cannot be used: {reason}"));
        let Some(adopted) = self.adopted else {
            self.actions.push(FrontAction::GiveUp(1));
            return;
        };
        self.actions.push(FrontAction::Rejected(generation));
        if self.generation == generation {
            self.generation = adopted;
        }
        // A process that never served anything has no configuration to fall back on.
        let starting = |one: &&mut Process| one.number == number && one.state == State::Starting;
        if let Some(process) = self.processes.iter_mut().find(starting) {
            process.state = State::Quitting { kill_at: now };
        }
    }

    fn gone(&mut self, now: Millis, number: u64, ending: Ending) {
        let Some(at) = self.processes.iter().position(|one| one.number == number) else { return };
        let process = self.processes.remove(at);
        let served = match process.state {
            State::Quitting { .. } | State::Killed => return,
            _ if self.stopping => return,
            State::Serving { since } => Some(now.saturating_sub(since)),
            State::Starting => None,
        };
        let how = match ending {
            Ending::Exited(code) => format!("exited with code {code}"),
            Ending::Killed(signal) => format!("was killed by signal {signal}"),
            Ending::Unknown => "is gone".into(),
        };
        let delay = self.deaths.next_delay(served);
        if self.adopted.is_none() && self.deaths.quick_deaths() >= FIRST_DEATHS_MAX {
            let text = format!("the front {how} again and again before it ever served: giving up");
            self.say(Loudness::Error, text);
            self.actions.push(FrontAction::GiveUp(1));
            return;
        }
        self.say(Loudness::Error, format!("the front {how}: starting another on the same sockets"));
        if self.live_processes().next().is_none() {
            self.restart_at = Some(now.saturating_add(delay));
        }
    }

    fn stop(&mut self, now: Millis, within: Millis) {
        self.stopping = true;
        self.restart_at = None;
        for process in &mut self.processes {
            let kill_at = now.saturating_add(within);
            match process.state {
                State::Starting | State::Serving { .. } => {
                    process.state = State::Quitting { kill_at };
                    self.actions.push(FrontAction::Quit(process.number));
                }
                State::Quitting { kill_at: before } => {
                    process.state = State::Quitting { kill_at: before.min(kill_at) };
                }
                State::Killed => {}
            }
        }
    }

    fn stop_now(&mut self) {
        self.stopping = true;
        self.restart_at = None;
        for process in &mut self.processes {
            if process.state != State::Killed {
                process.state = State::Killed;
                self.actions.push(FrontAction::Kill(process.number));
            }
        }
    }

    fn check_clock(&mut self, now: Millis) {
        for process in &mut self.processes {
            if let State::Quitting { kill_at } = process.state
                && now >= kill_at
            {
                process.state = State::Killed;
                self.actions.push(FrontAction::Kill(process.number));
            }
        }
        if self.restart_at.is_some_and(|at| now >= at) && !self.stopping {
            self.start_process();
        }
    }
}
