//! The front's half of the driver: its processes, sockets and log files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use plan::FrontPlan;
use plan::front::LogLevel;
use proto::control::{FromFront, ToFront};
use sys::memory::memory_file;
use sys::process::{Child, own_executable};

use crate::control::{Control, Received};
use crate::launch::front_credentials;
use crate::log::FrontLog;
use crate::machine::Ending;
use crate::machine::front::{FrontEvent, FrontMachine};
use crate::sockets::{Listener, Sockets};

/// Name under which the executable knows that it is to be the front; the number of its control
/// socket follows.
pub const FRONT_PROCESS: &str = "propylon-front-process";

/// One configuration with what was opened for it.
#[derive(Debug)]
pub struct Generation {
    /// What to do.
    pub plan: FrontPlan,
    listeners: Vec<Rc<Listener>>,
    logs: Vec<Rc<File>>,
}

#[derive(Debug)]
struct Process {
    pid: u32,
    control: Control,
    ended: bool,
}

/// The front.
#[derive(Debug)]
pub struct FrontSide {
    /// Decides.
    pub machine: FrontMachine,
    /// Configurations in use or about to be, by number.
    pub generations: BTreeMap<u64, Generation>,
    /// The newest number given.
    pub last_generation: u64,
    /// Where the master writes about the front.
    pub log: FrontLog,
    processes: BTreeMap<u64, Process>,
}

/// Opens everything a configuration needs: log files, sockets, directories.
///
/// # Errors
/// The first thing that cannot be opened, in the words nginx's users know.
pub fn open(sockets: &mut Sockets, plan: FrontPlan) -> Result<Generation, String> {
    let logs = plan.log_files.iter().map(|path| open_log(path)).collect::<Result<_, _>>()?;
    let listeners = sockets.for_front(&plan.listens).map_err(|error| {
        let hint = error.hint.as_ref().map(|hint| format!("\n  hint: {hint}"));
        let words = kernel_words(&error.source);
        let what = error.what.replacen("cannot listen on ", "bind() to ", 1);
        let what = what.replacen("`/", "`unix:/", 1).replace('`', "");
        format!("{what} failed ({words}){}", hint.unwrap_or_default())
    })?;
    let owner = front_credentials(&plan)?.and_then(|who| who.uid);
    for path in &plan.main.own_directories {
        sys::files::own_directory(path, owner).map_err(|error| failed("mkdir()", path, &error))?;
    }
    Ok(Generation { plan, listeners, logs })
}

fn open_log(path: &Path) -> Result<Rc<File>, String> {
    let file = sys::files::open_log(path);
    file.map(Rc::new).map_err(|error| failed("open()", path, &error))
}

/// A call on a path that failed, as nginx says it.
pub(super) fn failed(call: &str, path: &Path, error: &std::io::Error) -> String {
    format!("{call} \"{}\" failed ({})", path.display(), kernel_words(error))
}

/// The number and the kernel's own words, without Rust's "(os error N)".
fn kernel_words(error: &std::io::Error) -> String {
    let words = error.to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    format!("{}: {words}", error.raw_os_error().unwrap_or(0))
}

impl FrontSide {
    /// A front whose machine was just started on generation 1.
    pub fn new(first: Generation, machine: FrontMachine, beside_app: bool) -> FrontSide {
        let log = FrontLog::new(&first.plan.main.error_log, &first.logs, beside_app);
        FrontSide {
            machine,
            generations: BTreeMap::from([(1, first)]),
            last_generation: 1,
            log,
            processes: BTreeMap::new(),
        }
    }

    /// The newest configuration.
    pub fn newest(&self) -> Option<&FrontPlan> {
        self.generations.values().next_back().map(|generation| &generation.plan)
    }

    /// Takes a configuration in and returns its number.
    pub fn admit(&mut self, generation: Generation) -> u64 {
        self.last_generation += 1;
        self.generations.insert(self.last_generation, generation);
        self.last_generation
    }

    /// That configuration is in use: older ones, and what only they needed, are closed.
    pub fn adopted(&mut self, number: u64) {
        self.generations.retain(|one, _| *one >= number);
        if let Some(generation) = self.generations.get(&number) {
            let beside_app = self.log.beside_app;
            self.log = FrontLog::new(&generation.plan.main.error_log, &generation.logs, beside_app);
        }
    }

    /// Starts a process; it knows nothing yet.
    ///
    /// # Errors
    /// Out of processes or descriptors.
    pub fn start(&mut self, number: u64, generation: u64) -> io::Result<u32> {
        let plan = self.generations.get(&generation).map(|generation| &generation.plan);
        let plan = plan.ok_or(io::ErrorKind::NotFound)?;
        let (control, theirs) = Control::pair()?;
        let child = Child {
            program: own_executable(),
            argv0: Some(FRONT_PROCESS.into()),
            args: vec![theirs.as_raw_fd().to_string().into()],
            inherit: vec![theirs.as_fd()],
            credentials: front_credentials(plan).map_err(io::Error::other)?,
            no_new_privileges: true,
            ..Child::default()
        };
        let pid = child.spawn()?;
        self.processes.insert(number, Process { pid, control, ended: false });
        Ok(pid)
    }

    /// Whether that process was started and is not reaped yet.
    pub fn knows(&self, number: u64) -> bool {
        self.processes.contains_key(&number)
    }

    /// Gives a process a configuration.
    ///
    /// # Errors
    /// It is gone, or we are out of memory.
    pub fn configure(&self, number: u64, generation: u64) -> io::Result<()> {
        let process = self.processes.get(&number).ok_or(io::ErrorKind::NotFound)?;
        let opened = self.generations.get(&generation).ok_or(io::ErrorKind::NotFound)?;
        let json = serde_json::to_vec(&opened.plan).map_err(io::Error::other)?;
        let file = memory_file("propylon-front-plan", &json)?;
        let mut fds = vec![file.as_fd()];
        fds.extend(opened.listeners.iter().map(|listener| listener.as_fd()));
        fds.extend(opened.logs.iter().map(|log| log.as_fd()));
        process.control.send_many(&ToFront::Handles, &ToFront::Configure { generation }, &fds)
    }

    /// Tells one process about an app.
    ///
    /// # Errors
    /// It is gone.
    pub fn app_up(
        &self,
        number: u64,
        app: u16,
        threads: u32,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let process = self.processes.get(&number).ok_or(io::ErrorKind::NotFound)?;
        process.control.send(&ToFront::AppUp { app, threads }, fds)
    }

    /// Tells one process about a worker.
    ///
    /// # Errors
    /// It is gone.
    pub fn worker_up(
        &self,
        number: u64,
        app: u16,
        (seat, birth): (u32, u32),
        replies: &[OwnedFd],
    ) -> io::Result<()> {
        let process = self.processes.get(&number).ok_or(io::ErrorKind::NotFound)?;
        let fds: Vec<_> = replies.iter().map(AsFd::as_fd).collect();
        process.control.send(&ToFront::WorkerUp { app, seat, birth }, &fds)
    }

    /// Tells a process to finish; one that cannot hear is killed.
    pub fn quit(&self, number: u64) {
        let Some(process) = self.processes.get(&number) else { return };
        if process.control.send(&ToFront::Quit, &[]).is_err() {
            self.kill(number);
        }
    }

    /// Kills a process.
    pub fn kill(&self, number: u64) {
        const SIGKILL: i32 = 9;
        if let Some(process) = self.processes.get(&number) {
            // Gone already is what we want.
            drop(sys::process::kill(process.pid, SIGKILL));
        }
    }

    /// Opens every log file anew and hands them over.
    pub fn reopen_logs(&mut self) {
        for generation in self.generations.values_mut() {
            for (path, log) in generation.plan.log_files.iter().zip(&mut generation.logs) {
                match open_log(path) {
                    Ok(file) => *log = file,
                    // The old file is better than none.
                    Err(text) => self.log.line(LogLevel::Emerg, &text),
                }
            }
        }
        let Some(newest) = self.generations.values().next_back() else { return };
        let beside_app = self.log.beside_app;
        self.log = FrontLog::new(&newest.plan.main.error_log, &newest.logs, beside_app);
        let fds: Vec<_> = newest.logs.iter().map(|log| log.as_fd()).collect();
        for process in self.processes.values().filter(|process| !process.ended) {
            // A process that is gone is noticed by its end of file.
            drop(process.control.send_many(&ToFront::Handles, &ToFront::ReopenLogs, &fds));
        }
    }

    /// Everybody who may have something to say.
    pub fn speakers(&self) -> Vec<(u64, &Control)> {
        let alive = self.processes.iter().filter(|(_, process)| !process.ended);
        alive.map(|(number, process)| (*number, &process.control)).collect()
    }

    /// Reads everything a process has said.
    pub fn listen_to(&mut self, number: u64) -> Vec<FrontEvent> {
        let mut events = Vec::new();
        let Some(process) = self.processes.get_mut(&number) else { return events };
        loop {
            match process.control.receive::<FromFront>() {
                Received::Message(FromFront::Ready { generation }) => {
                    events.push(FrontEvent::Ready(number, generation));
                }
                Received::Message(FromFront::Refused { generation, reason }) => {
                    events.push(FrontEvent::Refused(number, generation, reason));
                }
                Received::Message(FromFront::Retired { .. }) => {
                    let text = format!("worker process {} exited with code 0", process.pid);
                    self.log.line(LogLevel::Notice, &text);
                }
                Received::Nothing => return events,
                Received::End => {
                    // Its death is reported when it is reaped; until then it says no more.
                    process.ended = true;
                    return events;
                }
            }
        }
    }

    /// A process ended: is it one of ours? What it said before it died counts.
    pub fn reaped(&mut self, pid: u32, ending: Ending) -> Vec<FrontEvent> {
        let mine = self.processes.iter().find(|(_, process)| process.pid == pid);
        let Some(number) = mine.map(|(number, _)| *number) else { return Vec::new() };
        let mut events = self.listen_to(number);
        self.processes.remove(&number);
        if let Ending::Exited(code) = ending {
            let text = format!("worker process {pid} exited with code {code}");
            self.log.line(LogLevel::Notice, &text);
        }
        events.push(FrontEvent::Gone(number, ending));
        events
    }
}
