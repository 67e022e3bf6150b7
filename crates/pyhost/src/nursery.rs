//! The nursery: imports the app once, then forks a worker whenever the master says so.
//!
//! A worker is forked twice: the process in between exits at once, so that the worker becomes a
//! child of the master (the nearest subreaper), which learns of its death itself.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::time::Instant;

use plan::app::{AppPlan, ProcessPlan, TitlePlan};
use proto::control::{
    self, AppStart, DESCRIPTORS_MAX, FromNursery, FromWorker, MESSAGE_BYTES_MAX, START_VARIABLE,
    ToNursery,
};
use proto::mailbox::Mailboxes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use sys::memory::SharedWords;
use sys::{fdpass, users};

use crate::sources;
use crate::worker::{self, Listener, Mail, WorkerStart};
use crate::wsgi::{App, uwsgi_module};

/// A nursery that has had no order for this long goes to sleep.
const REST_AFTER_MS: u64 = 1000;
/// Paths told by one message, so that it stays within its limit.
const SOURCES_A_MESSAGE: usize = 10;
/// Exit code when no app could be loaded and `need-app` is set; uWSGI's.
const EXIT_NO_APP: i32 = 22;

/// Everything inherited from the master.
struct Nursery {
    plan: AppPlan,
    master_pid: u32,
    control: OwnedFd,
    queue: Option<OwnedFd>,
    mailboxes: Option<Mailboxes>,
    bells: Vec<OwnedFd>,
    listeners: Vec<Listener>,
    scoreboard: SharedWords,
}

/// What came out of a message of the master.
enum Order {
    Fork { seat: u32, number: u32, birth: u32, control: OwnedFd, replies: Vec<OwnedFd> },
    Stop,
}

/// Which process we are after a fork.
enum Forked {
    Nursery { pid: u32 },
    Worker,
}

/// The nursery's whole life, and that of every worker: ends the process.
///
/// # Errors
/// The master did not say how to start.
pub fn main(py: Python<'_>) -> PyResult<()> {
    let nursery = Nursery::inherit().map_err(|error| {
        PyRuntimeError::new_err(format!("this module is started by propylon's master: {error}"))
    })?;
    nursery.forget_start(py)?;
    let code = nursery.live(py);
    leave(py, code)
}

impl Nursery {
    fn inherit() -> io::Result<Nursery> {
        let number = std::env::var(START_VARIABLE)
            .map_err(|_| io::Error::other(format!("`{START_VARIABLE}` is not set")))?;
        let number: RawFd = number.parse().map_err(io::Error::other)?;
        let mut text = Vec::new();
        File::from(inherited(number)?).read_to_end(&mut text)?;
        let start: AppStart = control::decode(&text)?;
        let mut listeners = Vec::with_capacity(start.listeners.len());
        for listener in &start.listeners {
            listeners.push(Listener::new(inherited(listener.descriptor)?, listener.protocol)?);
        }
        let mailboxes = start.mailboxes.map(|number| Mailboxes::map(inherited(number)?));
        Ok(Nursery {
            plan: start.plan,
            master_pid: start.master_pid,
            control: inherited(start.control)?,
            queue: start.queue.map(inherited).transpose()?,
            listeners,
            mailboxes: mailboxes.transpose()?,
            bells: start.bells.into_iter().map(inherited).collect::<io::Result<_>>()?,
            scoreboard: SharedWords::map_all(inherited(start.scoreboard)?)?,
        })
    }

    /// The app and what it starts have no business with our start.
    fn forget_start(&self, py: Python<'_>) -> PyResult<()> {
        let environ = py.import("os")?.getattr("environ")?;
        environ.call_method1("pop", (START_VARIABLE, py.None()))?;
        Ok(())
    }

    /// Prepares, loads, and obeys; in a forked worker it returns when that is done.
    fn live(self, py: Python<'_>) -> i32 {
        if let Err(error) = worker::absorb_terminal() {
            worker::note(&format!("cannot set signal handlers: {error}"));
        }
        set_title(&self.plan.process.titles, "nursery");
        if let Err(error) = become_user(&self.plan.process) {
            worker::write_line(format!("{error}\n").as_bytes());
            return 1;
        }
        if let Err(error) = uwsgi_module::install(py, &self.plan, self.master_pid) {
            error.print(py);
            return 1;
        }
        let app = if self.plan.lazy_apps {
            self.tell(&FromNursery::Loaded { apps: 0 });
            None
        } else {
            match self.load_once(py) {
                Ok(app) => Some(app),
                Err(error) => {
                    error.print(py);
                    return 1;
                }
            }
        };
        if self.plan.watch.sources.is_some() {
            self.tell_sources(py);
        }
        self.obey(py, app)
    }

    fn load_once(&self, py: Python<'_>) -> PyResult<App> {
        let started = Instant::now();
        match App::load(py, &self.plan) {
            Ok(app) => {
                report(&app, started);
                load_what_requests_need(py);
                share_memory(py);
                self.tell(&FromNursery::Loaded { apps: app.count() });
                Ok(app)
            }
            Err(failure) => {
                worker::write_line(failure.text.as_bytes());
                self.tell(&FromNursery::LoadFailed { summary: failure.summary });
                App::absent(py, &self.plan)
            }
        }
    }

    /// Forks workers until the master says stop or is gone.
    fn obey(self, py: Python<'_>, app: Option<App>) -> i32 {
        let mut room = vec![0; MESSAGE_BYTES_MAX];
        let mut rested = false;
        loop {
            rested = rested || self.rest(py);
            let order = match self.next_order(py, &mut room) {
                Ok(Some(order)) => order,
                Ok(None) => continue,
                Err(error) => {
                    worker::note(&format!("the nursery cannot read its orders: {error}"));
                    return 1;
                }
            };
            let Order::Fork { seat, number, birth, control, replies } = order else { return 0 };
            rested = false;
            match fork_twice(py) {
                Ok(Forked::Nursery { pid }) => self.tell(&FromNursery::Forked { seat, pid }),
                Ok(Forked::Worker) => {
                    let start = WorkerStart {
                        plan: self.plan,
                        seat,
                        number,
                        control,
                        replies,
                        queue: self.queue,
                        mail: self.mailboxes.map(|boxes| Mail::new(boxes, self.bells, seat, birth)),
                        listeners: self.listeners,
                        scoreboard: self.scoreboard,
                    };
                    drop(self.control);
                    return work(py, start, app);
                }
                Err(error) => worker::note(&format!("cannot fork a worker: {error}")),
            }
        }
    }

    /// When the master has nothing more to say for now, what only loading needed is given back
    /// to the kernel; whether it was.
    fn rest(&self, py: Python<'_>) -> bool {
        let control = [self.control.as_fd()];
        let said = py.detach(|| sys::poll::readable(&control, Some(REST_AFTER_MS)));
        if let Err(error) = py.check_signals() {
            error.print(py);
        }
        let quiet = said.is_ok_and(|ready| !ready.contains(&true));
        // Without `/proc` the pages stay.
        quiet && sys::resident::release_file_pages().is_ok()
    }

    /// Waits for the master's next message; `None` if a signal came or it made no sense.
    fn next_order(&self, py: Python<'_>, room: &mut [u8]) -> io::Result<Option<Order>> {
        let mut fds = Vec::with_capacity(DESCRIPTORS_MAX);
        let received = py.detach(|| fdpass::recv_with_fds(self.control.as_fd(), room, &mut fds, 0));
        let count = match received {
            Ok(0) => return Ok(Some(Order::Stop)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                if let Err(error) = py.check_signals() {
                    error.print(py);
                }
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Ok(Some(Order::Stop));
            }
            Err(error) => return Err(error),
        };
        match control::decode::<ToNursery>(room.get(..count).unwrap_or(&[])) {
            Ok(ToNursery::Stop) => Ok(Some(Order::Stop)),
            Ok(ToNursery::Log) => {
                worker::replace_log(fds.pop());
                Ok(None)
            }
            Ok(ToNursery::Fork { seat, worker: number, birth }) => {
                let mut fds = fds.into_iter();
                let Some(control) = fds.next() else {
                    worker::note("the master wants a worker but sent no control socket");
                    return Ok(None);
                };
                Ok(Some(Order::Fork { seat, number, birth, control, replies: fds.collect() }))
            }
            Err(error) => {
                worker::note(&format!("the master sent no order: {error}"));
                Ok(None)
            }
        }
    }

    fn tell_sources(&self, py: Python<'_>) {
        match sources::loaded(py, &self.plan) {
            Ok(files) => {
                for files in files.chunks(SOURCES_A_MESSAGE) {
                    self.tell(&FromNursery::Sources { files: files.to_vec() });
                }
            }
            Err(error) => error.print(py),
        }
    }

    fn tell(&self, message: &FromNursery) {
        // A master that has gone is noticed by reading.
        if let Ok(bytes) = control::encode(message) {
            let _ = fdpass::send_with_fds(self.control.as_fd(), &[IoSlice::new(&bytes)], &[], 0);
        }
    }
}

/// A worker's life after the fork.
fn work(py: Python<'_>, start: WorkerStart, app: Option<App>) -> i32 {
    let titles = &start.plan.process.titles;
    set_title(titles, &format!("worker {}", start.number));
    if let Err(error) = uwsgi_module::set_worker(py, start.number) {
        error.print(py);
    }
    let app = match app {
        Some(app) => app,
        None => match load_late(py, &start) {
            Ok(app) => app,
            Err(code) => return code,
        },
    };
    uwsgi_module::run_post_fork_hooks(py);
    match worker::run(py, start, app) {
        Ok(()) => {
            uwsgi_module::run_atexit(py);
            run_exit_functions(py);
            0
        }
        Err(error) => {
            worker::note(&format!("cannot start a worker: {error}"));
            1
        }
    }
}

/// `lazy-apps`: loads in the worker; the exit code if that is the end.
fn load_late(py: Python<'_>, start: &WorkerStart) -> Result<App, i32> {
    let started = Instant::now();
    let failure = match App::load(py, &start.plan) {
        Ok(app) => {
            report(&app, started);
            return Ok(app);
        }
        Err(failure) => failure,
    };
    worker::write_line(failure.text.as_bytes());
    let message = FromWorker::LoadFailed { summary: failure.summary };
    if let Ok(bytes) = control::encode(&message) {
        // A master that has gone is noticed by reading.
        let _ = fdpass::send_with_fds(start.control.as_fd(), &[IoSlice::new(&bytes)], &[], 0);
    }
    if start.plan.need_app {
        return Err(EXIT_NO_APP);
    }
    App::absent(py, &start.plan).map_err(|error| {
        error.print(py);
        1
    })
}

/// Takes over a descriptor the master left open for us, and closes it on exec: what the app
/// starts must not inherit it.
fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl on any number is harmless; a number that is not open is an error.
    let result = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    if number < 3 || result < 0 {
        return Err(io::Error::other(format!("descriptor is not open: {number}")));
    }
    // SAFETY: it is open, and the master gave it to this process for this use only.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Forks a process whose parent will be the master. Python's own hooks run once on each side.
fn fork_twice(_attached: Python<'_>) -> io::Result<Forked> {
    let (mut reader, mut writer) = io::pipe()?;
    // SAFETY: we are attached; every path below calls one of the AfterFork functions or exits.
    unsafe { pyo3::ffi::PyOS_BeforeFork() };
    // SAFETY: the child goes on with this one thread; Python's state is repaired by its hooks,
    // ours has no other threads in the nursery.
    let between = unsafe { libc::fork() };
    if between == 0 {
        // SAFETY: as above.
        let worker = unsafe { libc::fork() };
        if worker == 0 {
            // SAFETY: we are the child of a fork that `PyOS_BeforeFork` preceded.
            unsafe { pyo3::ffi::PyOS_AfterFork_Child() };
            return Ok(Forked::Worker);
        }
        let _ = writer.write_all(&worker.to_le_bytes());
        // SAFETY: ends the process in between without running anybody's exit code.
        unsafe { libc::_exit(0) };
    }
    let failure = io::Error::last_os_error();
    // SAFETY: we are the parent of a fork that `PyOS_BeforeFork` preceded.
    unsafe { pyo3::ffi::PyOS_AfterFork_Parent() };
    if between < 0 {
        return Err(failure);
    }
    drop(writer);
    let mut pid = [0; 4];
    let read = reader.read_exact(&mut pid);
    reap(between);
    read?;
    match i32::from_le_bytes(pid) {
        pid if pid > 0 => Ok(Forked::Nursery { pid: pid.unsigned_abs() }),
        _ => Err(io::Error::other("the second fork failed")),
    }
}

fn reap(pid: libc::pid_t) {
    loop {
        let mut status = 0;
        // SAFETY: `status` is valid for the call; the child is our own.
        let result = unsafe { libc::waitpid(pid, &mut status, 0) };
        let interrupted =
            result < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
        if !interrupted {
            return;
        }
    }
}

/// Gives up root for good before the first line of the app runs.
fn become_user(process: &ProcessPlan) -> Result<(), String> {
    if let Some(umask) = process.umask {
        // SAFETY: takes a number and cannot fail.
        unsafe { libc::umask(umask) };
    }
    let user = match &process.uid {
        Some(name) => {
            let user = users::user(name).map_err(|error| format!("user `{name}`: {error}"))?;
            Some(user.ok_or_else(|| format!("user does not exist: {name}"))?)
        }
        None => None,
    };
    let gid = match &process.gid {
        Some(name) => {
            let gid = users::group(name).map_err(|error| format!("group `{name}`: {error}"))?;
            Some(gid.ok_or_else(|| format!("group does not exist: {name}"))?)
        }
        None => None,
    };
    if !users::is_root() {
        // As uWSGI: somebody who is not root stays who he is.
        return Ok(());
    }
    let groups = match (&user, gid) {
        (Some(user), gid) => users::groups_of(&user.name, gid.unwrap_or(user.gid)),
        (None, Some(gid)) => vec![gid],
        (None, None) => Vec::new(),
    };
    let who = users::Credentials { uid: user.map(|user| user.uid), gid, groups };
    users::drop_privileges(&who).map_err(|error| format!("cannot drop privileges: {error}"))
}

/// The process title, if the user asked for titles.
fn set_title(titles: &TitlePlan, role: &str) {
    let wanted = titles.auto || titles.all.is_some() || titles.prefix.is_some();
    if !wanted && titles.append.is_none() {
        // Else `ps` shows the command that loads this extension, which tells an operator nothing.
        sys::title::set(&format!("propylon {role}"));
        return;
    }
    let own = format!("uWSGI {role}");
    let name = titles.all.as_deref().unwrap_or(&own);
    let prefix = titles.prefix.as_deref().unwrap_or_default();
    let append = titles.append.as_deref().unwrap_or_default();
    sys::title::set(&format!("{prefix}{name}{append}"));
}

/// Python loads the codec of host names when it is used for the first time: by Flask in the first
/// request, by anything that connects somewhere. Loaded here it is shared, and no request waits
/// for it.
fn load_what_requests_need(py: Python<'_>) {
    let uses_names = |py: Python<'_>| py.import("sys")?.getattr("modules")?.contains("socket");
    let loaded = uses_names(py)
        .and_then(|uses| if uses { py.import("encodings.idna").map(drop) } else { Ok(()) });
    if let Err(error) = loaded {
        error.print(py);
    }
}

/// What has been imported is shared with the workers as long as the collector does not touch it.
fn share_memory(py: Python<'_>) {
    let frozen = py.import("gc").and_then(|gc| gc.call_method0("freeze"));
    if let Err(error) = frozen {
        error.print(py);
    }
}

/// Tells the log what was loaded, and what could not be loaded beside it.
fn report(app: &App, started: Instant) {
    worker::write_line(app.ready_lines(started.elapsed().as_secs()).as_bytes());
    for failure in app.failures() {
        worker::write_line(failure.text.as_bytes());
    }
}

/// The app's `atexit` functions. Threads of the app are not waited for, as in uWSGI.
fn run_exit_functions(py: Python<'_>) {
    let ran = py.import("atexit").and_then(|atexit| atexit.call_method0("_run_exitfuncs"));
    if let Err(error) = ran {
        error.print(py);
    }
}

/// Writes what Python still buffers and ends the process.
fn leave(py: Python<'_>, code: i32) -> ! {
    for name in ["stdout", "stderr"] {
        // A stream that an app has closed or replaced is its own business.
        let _ = py.import("sys").and_then(|sys| sys.getattr(name)?.call_method0("flush"));
    }
    // SAFETY: ends the process; exit functions have run where they should.
    unsafe { libc::_exit(code) }
}
