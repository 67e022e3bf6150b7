//! The front process: takes orders from the master and hands them to its threads.

use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use net::store::Store;
use plan::front::CacheZone;
use plan::front::MainPlan;
use plan::{Address, FrontPlan};
use proto::control::{FromFront, MESSAGE_BYTES_MAX, ToFront};
use proto::mailbox::Mailboxes;
use sys::fdpass;
use sys::memory::SharedWords;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use upstream::AppDoor;
use zeroize::Zeroize;

use crate::limit::Zones;
use crate::runtime::Runtime;
use crate::status::Counters;
use crate::thread::{self, Order, Told};

/// Most threads; a reply socket per thread and worker is the price of each.
const THREADS_MAX: u32 = 64;

/// Our end of the control socket, for whoever has something to say to the master.
#[derive(Debug)]
pub struct MasterLine {
    socket: OwnedFd,
}

impl MasterLine {
    /// Wraps the control socket.
    pub fn new(socket: OwnedFd) -> MasterLine {
        MasterLine { socket }
    }

    /// Sends a message; a master that is gone hears nothing, and the reading side notices.
    pub fn say(&self, message: &FromFront) {
        if let Ok(bytes) = proto::control::encode(message) {
            let _ = fdpass::send_with_fds(self.socket.as_fd(), &[IoSlice::new(&bytes)], &[], 0);
        }
    }
}

/// Runs the front until the master says `Quit` or is gone. The exit code: 0 if it ended so,
/// 1 if it could not start or the master spoke nonsense.
pub fn run_process(control: OwnedFd) -> i32 {
    sys::resident::keep_freed_memory();
    // Signals of the terminal reach the whole group; only the master decides what they mean.
    for signal in sys::signals::TERMINAL_SIGNALS {
        // Only an invalid number can fail.
        let _ = sys::signals::ignore(signal);
    }
    let mut front = Front::new(control);
    loop {
        match front.receive() {
            Some(ToFront::Quit) | None => break,
            Some(order) => {
                if let Err(reason) = front.handle(order) {
                    eprintln!("front: {reason}");
                    return 1;
                }
            }
        }
    }
    front.quit();
    0
}

struct Front {
    master: Arc<MasterLine>,
    /// Descriptors that came and wait for the message they belong to.
    handles: Vec<OwnedFd>,
    /// Orders about apps that came before there were threads.
    early: Vec<(ToFront, Vec<OwnedFd>)>,
    threads: Vec<Running>,
    told: UnboundedReceiver<Told>,
    tell: UnboundedSender<Told>,
    counters: Arc<Counters>,
    current: Option<Arc<Runtime>>,
    /// Caches by zone; a zone that stays over a reload keeps its index.
    stores: Vec<(CacheZone, Arc<Store>)>,
}

struct Running {
    orders: UnboundedSender<Order>,
    handle: std::thread::JoinHandle<()>,
}

impl Front {
    fn new(control: OwnedFd) -> Front {
        let (tell, told) = unbounded_channel();
        Front {
            master: Arc::new(MasterLine::new(control)),
            handles: Vec::new(),
            early: Vec::new(),
            threads: Vec::new(),
            told,
            tell,
            counters: Arc::default(),
            current: None,
            stores: Vec::new(),
        }
    }

    /// The next message; its descriptors join the handles. `None`: the master is gone.
    fn receive(&mut self) -> Option<ToFront> {
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        loop {
            let socket = self.master.socket.as_fd();
            match fdpass::recv_with_fds(socket, &mut buffer, &mut self.handles, 0) {
                Ok(0) => return None,
                Ok(bytes) => return proto::control::decode(buffer.get(..bytes)?).ok(),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    fn handle(&mut self, order: ToFront) -> Result<(), String> {
        if matches!(order, ToFront::Handles) {
            return Ok(());
        }
        let handles = std::mem::take(&mut self.handles);
        match order {
            ToFront::Handles | ToFront::Quit => Ok(()),
            ToFront::Configure { generation } => self.configure(generation, handles),
            ToFront::ReopenLogs => {
                if let Some(runtime) = &self.current {
                    runtime.logs.reopen(handles);
                }
                Ok(())
            }
            app @ (ToFront::AppUp { .. } | ToFront::WorkerUp { .. }) => {
                if self.threads.is_empty() {
                    self.early.push((app, handles));
                    return Ok(());
                }
                self.pass_on(&app, handles)
            }
        }
    }

    /// Tells every thread about an app or a worker.
    fn pass_on(&self, order: &ToFront, handles: Vec<OwnedFd>) -> Result<(), String> {
        let mut handles = handles.into_iter();
        let said = |what: &str| format!("the master sent too few descriptors for {what}");
        match *order {
            ToFront::AppUp { app, threads } => {
                let queue = handles.next().ok_or_else(|| said("an app"))?;
                let board = handles.next().ok_or_else(|| said("an app"))?;
                let board = SharedWords::map_all(board)
                    .map_err(|error| format!("cannot map the scoreboard: {error}"))?;
                let board = Arc::new(board);
                let mailboxes = handles.next().map(Mailboxes::map).transpose();
                let mailboxes = mailboxes.map_err(|error| format!("the mailboxes: {error}"))?;
                let mailboxes = mailboxes.map(Arc::new);
                for thread in &self.threads {
                    let queue = queue.try_clone().map_err(|error| error.to_string())?;
                    let mail = mailboxes.clone().zip(handles.next());
                    let door = AppDoor { queue, scoreboard: board.clone(), threads, mail };
                    let _ = thread.orders.send(Order::AppUp { app, door });
                }
            }
            ToFront::WorkerUp { app, seat, birth } => {
                for (thread, replies) in self.threads.iter().zip(handles) {
                    let _ = thread.orders.send(Order::WorkerUp { app, seat, birth, replies });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn configure(&mut self, generation: u64, handles: Vec<OwnedFd>) -> Result<(), String> {
        let first = self.current.is_none();
        match self.prepare(generation, handles) {
            Ok((runtime, sockets)) => {
                self.start_threads(&runtime.plan.main)?;
                // The first request may come with the first configuration: its app comes before.
                for (order, handles) in std::mem::take(&mut self.early) {
                    self.pass_on(&order, handles)?;
                }
                for thread in &self.threads {
                    let _ = thread.orders.send(Order::Use(runtime.clone(), sockets.clone()));
                }
                self.current = Some(runtime);
                let mut waiting = self.threads.len();
                while waiting > 0 {
                    match self.told.blocking_recv() {
                        Some(Told::Using(using)) if using == generation => waiting -= 1,
                        Some(Told::Using(_)) => {}
                        Some(Told::Ended) | None => return Err("a thread ended".to_owned()),
                    }
                }
                self.master.say(&FromFront::Ready { generation });
                Ok(())
            }
            Err(reason) => {
                self.master.say(&FromFront::Refused { generation, reason: reason.clone() });
                if first { Err(reason) } else { Ok(()) }
            }
        }
    }

    fn prepare(
        &mut self,
        generation: u64,
        handles: Vec<OwnedFd>,
    ) -> Result<(Arc<Runtime>, Arc<Sockets>), String> {
        let mut handles = handles.into_iter();
        let file = handles.next().ok_or("no plan came with the configuration")?;
        let plan = read_plan(file)?;
        let sockets: Sockets = plan
            .listens
            .iter()
            .map(|listen| Some((listen.address.clone(), handles.next()?)))
            .collect::<Option<_>>()
            .ok_or("fewer sockets than addresses to listen on")?;
        let logs: Vec<OwnedFd> = handles.collect();
        if logs.len() < plan.log_files.len() {
            return Err("fewer descriptors than log files".to_owned());
        }
        if self.current.is_none() {
            drop_privileges(&plan.main)?;
        }
        let stores = self.stores(&plan)?;
        // A reload must not forgive those who asked too often.
        let limits = Zones::new(&plan, self.current.as_deref().map(|current| &current.limits));
        let runtime = Runtime::new(generation, plan, logs, stores, limits, self.master.clone())?;
        Ok((Arc::new(runtime), Arc::new(sockets)))
    }

    fn stores(&mut self, plan: &FrontPlan) -> Result<Vec<Arc<Store>>, String> {
        let mut stores = Vec::new();
        let mut known = Vec::new();
        for zone in &plan.caches {
            let old = self.stores.iter().find(|(old, _)| is_same_zone(old, zone));
            let store = match old {
                Some((_, store)) => store.clone(),
                None => Arc::new(Store::open(zone).map_err(|error| {
                    format!("cannot use the cache directory: {}: {error}", zone.path.display())
                })?),
            };
            known.push((zone.clone(), store.clone()));
            stores.push(store);
        }
        self.stores = known;
        Ok(stores)
    }

    /// The number of threads is fixed by the first configuration: workers have one reply socket
    /// for each.
    fn start_threads(&mut self, main: &MainPlan) -> Result<(), String> {
        if !self.threads.is_empty() {
            return Ok(());
        }
        for number in 0..main.threads.clamp(1, THREADS_MAX) {
            let (orders, receive) = unbounded_channel();
            let number = u16::try_from(number).unwrap_or(0);
            let handle = thread::start(number, self.counters.clone(), receive, self.tell.clone())
                .map_err(|error| format!("cannot start a thread: {error}"))?;
            self.threads.push(Running { orders, handle });
        }
        Ok(())
    }

    fn quit(self) {
        for thread in &self.threads {
            let _ = thread.orders.send(Order::Quit);
        }
        for thread in self.threads {
            // A thread that panicked has said so already.
            let _ = thread.handle.join();
        }
    }
}

type Sockets = Vec<(Address, OwnedFd)>;

fn is_same_zone(old: &CacheZone, new: &CacheZone) -> bool {
    old.path == new.path
        && old.levels == new.levels
        && old.keys_bytes == new.keys_bytes
        && old.max_size == new.max_size
        && old.inactive == new.inactive
        && old.min_free == new.min_free
}

fn read_plan(file: OwnedFd) -> Result<FrontPlan, String> {
    use std::io::{Read, Seek};
    let mut file = std::fs::File::from(file);
    let mut text = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut text))
        .map_err(|error| format!("cannot read the plan: {error}"))?;
    let plan = proto::control::decode(&text);
    // The keys of certificates were in it.
    text.zeroize();
    plan.map_err(|error| format!("the plan is not one: {error}"))
}

/// Becomes the configured user. Only root can, and only once: without root the front stays who
/// it is, as the original does with a warning.
fn drop_privileges(main: &MainPlan) -> Result<(), String> {
    static DROPPED: Mutex<bool> = Mutex::new(false);
    let mut dropped = DROPPED.lock().unwrap_or_else(PoisonError::into_inner);
    if *dropped || !sys::users::is_root() {
        return Ok(());
    }
    if let Some((name, group)) = &main.user {
        let user = sys::users::user(name).map_err(|error| error.to_string())?;
        let user = user.ok_or_else(|| format!("no such user: `{name}`"))?;
        let gid = match group {
            Some(group) => sys::users::group(group)
                .map_err(|error| error.to_string())?
                .ok_or_else(|| format!("no such group: `{group}`"))?,
            None => user.gid,
        };
        let groups = sys::users::groups_of(&user.name, gid);
        if user.uid != 0 {
            let who = sys::users::Credentials { uid: Some(user.uid), gid: Some(gid), groups };
            sys::users::drop_privileges(&who)
                .map_err(|error| format!("cannot become `{name}`: {error}"))?;
        }
    }
    sys::users::no_new_privileges().map_err(|error| error.to_string())?;
    *dropped = true;
    Ok(())
}
