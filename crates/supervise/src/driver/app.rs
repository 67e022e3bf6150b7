//! The app's half of the driver: nurseries and workers as processes and sockets.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use proto::channel::SLOT_WORDS;
use proto::control::{
    AppStart, FromNursery, FromWorker, InheritedListener, START_VARIABLE, ToNursery, ToWorker,
};
use proto::mailbox::Mailboxes;
use sys::fdpass;
use sys::memory::{SharedWords, memory_file};
use sys::process::Child;

use crate::control::{Control, Received};
use crate::launch::{AppLaunch, app_credentials};
use crate::machine::app::{AppEvent, AppMachine, AppSettings};
use crate::machine::{Ending, Millis};
use crate::sockets::Listener;

/// The number of the one app that a master runs today.
pub const APP: u16 = 0;
/// Loads the extension module from the file named in `sys.argv[1]` and hands over to it.
const BOOTSTRAP: &str = "\
import sys, importlib.machinery, importlib.util
path = sys.argv.pop(1)
loader = importlib.machinery.ExtensionFileLoader('_pyhost', path)
spec = importlib.util.spec_from_file_location('_pyhost', path, loader=loader)
module = importlib.util.module_from_spec(spec)
loader.exec_module(module)
sys.modules['_pyhost'] = module
module.nursery_main()
";
/// Seats beyond three generations of workers, for replacements.
const SPARE_SEATS: u32 = 4;
/// Deaths of processes we do not know (yet) are remembered for this long.
const LOST_MS: Millis = 10_000;

/// A generation of the app's code.
#[derive(Debug)]
pub struct Generation {
    /// What it runs.
    pub launch: Rc<AppLaunch>,
    /// Its sockets; the last generation that has one closes it.
    pub listeners: Vec<Rc<Listener>>,
    scoreboard: Rc<SharedWords>,
    nursery: Option<Nursery>,
    /// It serves no more: forgotten as soon as its nursery is reaped.
    retired: bool,
}

#[derive(Debug)]
struct Nursery {
    pid: u32,
    control: Control,
    ended: bool,
}

/// A worker as the master sees it.
#[derive(Debug)]
pub struct Worker {
    pid: Option<u32>,
    control: Control,
    /// Counts all workers of the app, from 1.
    pub birth: u32,
    /// The front's ends of its reply sockets: a front that takes over from a crashed one gets
    /// the same.
    pub replies: Vec<OwnedFd>,
    ended: bool,
}

/// The app.
#[derive(Debug)]
pub struct AppSide {
    /// Decides.
    pub machine: AppMachine,
    /// Generations that are not gone, by number.
    pub generations: BTreeMap<u64, Generation>,
    /// Workers by seat.
    pub workers: BTreeMap<u32, Worker>,
    /// What the next new generation runs.
    next: Option<(Rc<AppLaunch>, Vec<Rc<Listener>>)>,
    /// What ties the app to a front, if there is one.
    tie: Option<Tie>,
    /// Workers forked so far.
    births: u32,
    /// Shared with the front, if there is one; it never changes then.
    scoreboard: Rc<SharedWords>,
    seats_max: u32,
    threads: u32,
    front_threads: u32,
    lost: BTreeMap<u32, (Ending, Millis)>,
    /// Files that nurseries have imported their app from, not yet taken over by the watch.
    sources: Vec<(u64, Vec<PathBuf>)>,
}

/// The private channel as the master holds it.
#[derive(Debug)]
struct Tie {
    /// Sending and receiving end of the request queue.
    queue: (OwnedFd, OwnedFd),
    mailboxes: Mailboxes,
    /// What wakes the front's threads.
    bells: Vec<OwnedFd>,
}

/// A source of events of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The nursery of that generation.
    Nursery(u64),
    /// The worker on that seat.
    Worker(u32),
}

/// What the machine has to know of a plan.
pub fn settings(launch: &AppLaunch) -> AppSettings {
    let limits = &launch.plan.limits;
    let millis =
        |time: std::time::Duration| Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX);
    AppSettings {
        processes: launch.plan.processes.max(1),
        threads: launch.plan.threads.max(1),
        mercy_ms: millis(limits.mercy),
        reload_mercy_ms: millis(limits.reload_mercy.unwrap_or(limits.mercy)),
        need_app: launch.plan.need_app,
    }
}

fn new_scoreboard(seats_max: u32, threads: u32) -> io::Result<Rc<SharedWords>> {
    let words = seats_max as usize * threads.max(1) as usize * SLOT_WORDS;
    Ok(Rc::new(SharedWords::create(words)?))
}

impl AppSide {
    /// Prepares an app whose machine was just started. `front_threads` is 0 without a front.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn new(
        launch: AppLaunch,
        listeners: Vec<Rc<Listener>>,
        front_threads: u32,
        seats_max: u32,
        machine: AppMachine,
    ) -> io::Result<AppSide> {
        let tie = (front_threads > 0).then(|| Tie::new(front_threads, seats_max)).transpose()?;
        let threads = launch.plan.threads.max(1);
        let scoreboard = new_scoreboard(seats_max, threads)?;
        Ok(AppSide {
            threads,
            machine,
            generations: BTreeMap::new(),
            workers: BTreeMap::new(),
            next: Some((Rc::new(launch), listeners)),
            tie,
            births: 0,
            scoreboard,
            seats_max,
            front_threads,
            lost: BTreeMap::new(),
            sources: Vec::new(),
        })
    }

    /// How many seats an app with so many workers needs: for the old and the new workers of a
    /// reload, those of a reload before that still finish, and replacements.
    pub fn seats_for(processes: u32) -> u32 {
        processes.max(1).saturating_mul(3).saturating_add(SPARE_SEATS)
    }

    /// What the front needs to reach the app, as [`proto::control::ToFront::AppUp`] has it.
    pub fn front_door(&self) -> Option<Vec<BorrowedFd<'_>>> {
        let tie = self.tie.as_ref()?;
        let mut fds = vec![tie.queue.0.as_fd(), self.scoreboard.fd(), tie.mailboxes.fd()];
        fds.extend(tie.bells.iter().map(AsFd::as_fd));
        Some(fds)
    }

    /// Threads per worker that the scoreboard shared with the front is laid out for; with a
    /// front it stays what it was at the start.
    pub fn threads(&self) -> u32 {
        self.threads
    }

    /// Whether the private channel ties this app to a front.
    pub fn has_front(&self) -> bool {
        self.front_threads > 0
    }

    /// Sets aside what the next new generation runs.
    pub fn prepare(&mut self, launch: AppLaunch, listeners: Vec<Rc<Listener>>) {
        self.next = Some((Rc::new(launch), listeners));
    }

    /// Starts (again) the nursery of a generation.
    ///
    /// # Errors
    /// Out of processes, descriptors or memory; no such interpreter.
    pub fn start_nursery(&mut self, number: u64) -> io::Result<u32> {
        if !self.generations.contains_key(&number) {
            let Some((launch, listeners)) = self.next.take() else {
                return Err(io::ErrorKind::NotFound.into());
            };
            let scoreboard = if self.has_front() {
                self.scoreboard.clone()
            } else {
                new_scoreboard(self.seats_max, launch.plan.threads)?
            };
            let generation =
                Generation { launch, listeners, scoreboard, nursery: None, retired: false };
            self.generations.insert(number, generation);
        }
        let (tie, front_threads) = (self.tie.as_ref(), self.front_threads);
        let Some(generation) = self.generations.get_mut(&number) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let (control, theirs) = Control::pair()?;
        let start = AppStart {
            plan: generation.launch.plan.clone(),
            app: APP,
            generation: number,
            listeners: inherited(generation),
            control: theirs.as_raw_fd(),
            queue: tie.map(|tie| tie.queue.1.as_raw_fd()),
            mailboxes: tie.map(|tie| tie.mailboxes.fd().as_raw_fd()),
            bells: tie.iter().flat_map(|tie| &tie.bells).map(|bell| bell.as_raw_fd()).collect(),
            scoreboard: generation.scoreboard.fd().as_raw_fd(),
            front_threads,
            master_pid: sys::process::pid(),
        };
        let json = serde_json::to_vec(&start).map_err(io::Error::other)?;
        let start_file = memory_file("propylon-start", &json)?;
        let mut inherit = vec![start_file.as_fd(), theirs.as_fd(), generation.scoreboard.fd()];
        inherit.extend(tie.iter().flat_map(|tie| tie.for_workers()));
        inherit.extend(generation.listeners.iter().map(|listener| listener.as_fd()));
        let variable = |(name, value): &(String, String)| (name.into(), value.into());
        let mut env: Vec<(OsString, OsString)> =
            generation.launch.plan.python.env.iter().map(variable).collect();
        env.push((START_VARIABLE.into(), start_file.as_raw_fd().to_string().into()));
        let extension = generation.launch.extension.clone().into_os_string();
        let child = Child {
            program: generation.launch.python.clone(),
            args: vec!["-c".into(), BOOTSTRAP.into(), extension],
            env,
            inherit,
            credentials: app_credentials(&generation.launch.plan).map_err(io::Error::other)?,
            no_new_privileges: true,
            ..Child::default()
        };
        let pid = child.spawn()?;
        generation.nursery = Some(Nursery { pid, control, ended: false });
        Ok(pid)
    }

    /// A generation serves no more: its sockets are closed unless another one has them.
    pub fn retire(&mut self, retired: impl Fn(u64) -> bool) {
        for (_, generation) in self.generations.iter_mut().filter(|(number, _)| retired(**number)) {
            generation.retired = true;
            generation.listeners.clear();
        }
        self.generations.retain(|_, one| !one.retired || one.nursery.is_some());
    }

    /// Asks a nursery for a worker.
    ///
    /// # Errors
    /// Out of descriptors, or the nursery is gone.
    pub fn fork(&mut self, generation: u64, seat: u32, worker: u32) -> io::Result<()> {
        let (control, theirs) = Control::pair()?;
        let mut ours = Vec::new();
        let mut worker_ends = vec![theirs];
        for _ in 0..self.front_threads {
            let (front_end, worker_end) = fdpass::seqpacket_pair()?;
            ours.push(front_end);
            worker_ends.push(worker_end);
        }
        self.births = self.births.wrapping_add(1);
        let birth = self.births;
        let newborn = Worker { pid: None, control, birth, replies: ours, ended: false };
        self.workers.insert(seat, newborn);
        let nursery = self.nursery(generation).ok_or(io::ErrorKind::NotFound)?;
        let fds: Vec<_> = worker_ends.iter().map(AsFd::as_fd).collect();
        nursery.control.send(&ToNursery::Fork { seat, worker, birth }, &fds)
    }

    fn nursery(&self, generation: u64) -> Option<&Nursery> {
        self.generations.get(&generation)?.nursery.as_ref()
    }

    /// Tells a nursery that it is not needed any more; one that cannot hear is killed.
    pub fn stop_nursery(&self, generation: u64) {
        if let Some(nursery) = self.nursery(generation)
            && nursery.control.send(&ToNursery::Stop, &[]).is_err()
        {
            self.kill_nursery(generation);
        }
    }

    /// Kills a nursery.
    pub fn kill_nursery(&self, generation: u64) {
        if let Some(nursery) = self.nursery(generation) {
            kill(nursery.pid);
        }
    }

    /// Tells a worker to finish; one that cannot hear is killed.
    pub fn quiesce(&self, seat: u32) {
        let Some(worker) = self.workers.get(&seat) else { return };
        if worker.control.send(&ToWorker::Quiesce, &[]).is_err() {
            self.kill_worker(seat);
        }
    }

    /// What nurseries have said about their sources since the last call, by generation.
    pub fn take_sources(&mut self) -> Vec<(u64, Vec<PathBuf>)> {
        std::mem::take(&mut self.sources)
    }

    /// Tells all of them to go on in new log files; `file` is the master's, if it has one. Who cannot
    /// hear goes on in the old ones.
    pub fn reopen_logs(&self, file: Option<BorrowedFd<'_>>) {
        let file = file.as_slice();
        for nursery in self.generations.values().filter_map(|one| one.nursery.as_ref()) {
            drop(nursery.control.send(&ToNursery::Log, file));
        }
        for worker in self.workers.values() {
            drop(worker.control.send(&ToWorker::Log, file));
        }
    }

    /// Kills a worker.
    pub fn kill_worker(&self, seat: u32) {
        if let Some(pid) = self.workers.get(&seat).and_then(|worker| worker.pid) {
            kill(pid);
        }
    }

    /// Everybody who may have something to say.
    pub fn speakers(&self) -> Vec<(Speaker, &Control)> {
        let nurseries = self.generations.iter().filter_map(|(number, generation)| {
            let nursery = generation.nursery.as_ref().filter(|nursery| !nursery.ended)?;
            Some((Speaker::Nursery(*number), &nursery.control))
        });
        let workers = self.workers.iter().filter(|(_, worker)| !worker.ended);
        let workers = workers.map(|(seat, worker)| (Speaker::Worker(*seat), &worker.control));
        nurseries.chain(workers).collect()
    }

    /// Reads what one of them said; several events only if a death was known before a birth.
    pub fn listen_to(&mut self, speaker: Speaker) -> Vec<AppEvent> {
        match speaker {
            Speaker::Nursery(number) => self.listen_to_nursery(number),
            Speaker::Worker(seat) => self.listen_to_worker(seat),
        }
    }

    fn listen_to_nursery(&mut self, number: u64) -> Vec<AppEvent> {
        let Some(nursery) =
            self.generations.get_mut(&number).and_then(|generation| generation.nursery.as_mut())
        else {
            return Vec::new();
        };
        let message = match nursery.control.receive::<FromNursery>() {
            Received::Message(message) => message,
            Received::Nothing => return Vec::new(),
            Received::End => {
                // Its death is reported when it is reaped.
                nursery.ended = true;
                kill(nursery.pid);
                return Vec::new();
            }
        };
        match message {
            FromNursery::Loaded { .. } => vec![AppEvent::NurseryLoaded(number)],
            FromNursery::LoadFailed { summary } => {
                vec![AppEvent::NurseryLoadFailed(number, summary)]
            }
            FromNursery::Sources { files } => {
                self.sources.push((number, files));
                Vec::new()
            }
            FromNursery::Forked { seat, pid } => {
                let mut events = vec![AppEvent::Forked(seat, pid)];
                if let Some(worker) = self.workers.get_mut(&seat) {
                    worker.pid = Some(pid);
                    if let Some((ending, _)) = self.lost.remove(&pid) {
                        events.push(AppEvent::WorkerGone(seat, ending));
                    }
                }
                events
            }
        }
    }

    fn listen_to_worker(&mut self, seat: u32) -> Vec<AppEvent> {
        let Some(worker) = self.workers.get_mut(&seat).filter(|worker| !worker.ended) else {
            return Vec::new();
        };
        match worker.control.receive::<FromWorker>() {
            Received::Message(FromWorker::Accepting { pid }) => {
                worker.pid.get_or_insert(pid);
                vec![AppEvent::Accepting(seat)]
            }
            Received::Message(FromWorker::LoadFailed { summary }) => {
                vec![AppEvent::WorkerLoadFailed(seat, summary)]
            }
            Received::Message(FromWorker::Recycle { why }) => vec![AppEvent::Recycle(seat, why)],
            Received::Nothing => Vec::new(),
            Received::End => {
                worker.ended = true;
                vec![AppEvent::ControlEnded(seat)]
            }
        }
    }

    /// A process ended: which event is that? Unknown ones are remembered for a while, because
    /// a worker can die before its nursery has told us its pid.
    pub fn reaped(&mut self, now: Millis, pid: u32, ending: Ending) -> Vec<AppEvent> {
        let nursery = self.generations.iter().find_map(|(number, generation)| {
            generation.nursery.as_ref().filter(|nursery| nursery.pid == pid).map(|_| *number)
        });
        if let Some(number) = nursery {
            let mut events = self.last_words(Speaker::Nursery(number));
            if let Some(generation) = self.generations.get_mut(&number) {
                generation.nursery = None;
            }
            self.generations.retain(|_, one| !one.retired || one.nursery.is_some());
            events.push(AppEvent::NurseryGone(number, ending));
            return events;
        }
        let seat = self.workers.iter().find(|(_, worker)| worker.pid == Some(pid));
        if let Some(seat) = seat.map(|(seat, _)| *seat) {
            let mut events = self.last_words(Speaker::Worker(seat));
            events.push(AppEvent::WorkerGone(seat, ending));
            return events;
        }
        self.lost.retain(|_, (_, since)| now.saturating_sub(*since) < LOST_MS);
        self.lost.insert(pid, (ending, now));
        Vec::new()
    }

    /// What a process said before it died counts.
    fn last_words(&mut self, speaker: Speaker) -> Vec<AppEvent> {
        let mut events = Vec::new();
        loop {
            let more = self.listen_to(speaker);
            if more.is_empty() {
                return events;
            }
            events.extend(more);
        }
    }
}

impl Tie {
    fn new(front_threads: u32, seats_max: u32) -> io::Result<Tie> {
        Ok(Tie {
            queue: fdpass::seqpacket_pair()?,
            mailboxes: Mailboxes::create(front_threads, seats_max)?,
            bells: (0..front_threads).map(|_| sys::eventfd::new()).collect::<io::Result<_>>()?,
        })
    }

    /// What a nursery inherits of it.
    fn for_workers(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let first = [self.queue.1.as_fd(), self.mailboxes.fd()];
        first.into_iter().chain(self.bells.iter().map(AsFd::as_fd))
    }
}

fn inherited(generation: &Generation) -> Vec<InheritedListener> {
    let sockets = generation.launch.plan.sockets.iter().zip(&generation.listeners);
    let inherit = sockets.map(|(socket, listener)| InheritedListener {
        descriptor: listener.as_fd().as_raw_fd(),
        protocol: socket.protocol,
        written: socket.written.clone(),
    });
    inherit.collect()
}

fn kill(pid: u32) {
    const SIGKILL: i32 = 9;
    // Gone already is what we want.
    drop(sys::process::kill(pid, SIGKILL));
}
