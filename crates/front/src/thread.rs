//! One front thread: its own runtime, its own accepting, its own connections.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::RandomState;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use message::HeaderField;
use net::{BufferPool, Listener, Spares, Watch};
use plan::Address;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::{JoinHandle, LocalSet};
use upstream::{AppChannels, AppDoor};

use crate::auth::Proven;
use crate::clock::Clock;
use crate::content::open_files::OpenFiles;
use crate::exchange::Place;
use crate::runtime::{Active, Runtime};
use crate::status::Counters;

/// Idle connections may still send a request while the thread stops for this long: a request
/// that was on its way is answered, with `Connection: close`.
const DRAIN: Duration = Duration::from_millis(300);
/// Pause after accept(2) failed because descriptors are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How late naps may end (`upstream::before_sleep`).
const TIMER_SLACK: Duration = Duration::from_micros(5);

/// What the control loop tells a thread.
#[derive(Debug)]
pub enum Order {
    /// Use this configuration, and exactly these listening sockets.
    Use(Arc<Runtime>, Arc<Vec<(Address, OwnedFd)>>),
    /// An app is there.
    AppUp {
        /// Its number.
        app: u16,
        /// What this thread needs to reach it.
        door: AppDoor,
    },
    /// A worker's reply socket for this thread.
    WorkerUp {
        /// The app.
        app: u16,
        /// The worker's seat.
        seat: u32,
        /// Its number among all workers of the app.
        birth: u32,
        /// The socket.
        replies: OwnedFd,
    },
    /// Finish what is begun.
    Quit,
}

/// What a thread tells the control loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// That configuration is in use.
    Using(u64),
    /// The thread has ended.
    Ended,
}

/// What the connections of one thread share.
pub struct Thread {
    /// Number of the thread: index of its reply sockets.
    pub number: u16,
    /// Texts of the time.
    pub clock: Clock,
    /// Deadlines.
    pub watch: Rc<Watch>,
    /// Read buffers.
    pub pool: BufferPool,
    /// Room for bytes that only pass. Borrowed for one read, never across a wait.
    pub bulk: RefCell<BytesMut>,
    /// Where requests stand.
    pub places: Spares<Place>,
    /// Room for the fields of request heads.
    pub fields: Spares<Vec<HeaderField>>,
    /// A buffer for whoever needs one between two awaits; taken and put back.
    pub scratch: Cell<Vec<u8>>,
    /// Keys of this thread's `$request_id`.
    pub random: RandomState,
    /// Small files.
    pub files: OpenFiles,
    /// Passwords that fitted.
    pub proven: Proven,
    /// Counters of `stub_status`, shared by all threads.
    pub counters: Arc<Counters>,
    /// Whether the thread stops: answers say `Connection: close`.
    pub stopping: Cell<bool>,
    active: RefCell<Option<Rc<Active>>>,
}

impl std::fmt::Debug for Thread {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Thread({})", self.number)
    }
}

impl Thread {
    /// The configuration for a request whose head is complete now; `None` before the first one.
    pub fn active(&self) -> Option<Rc<Active>> {
        self.active.borrow().clone()
    }

    /// A request is over: what it leaves behind is for the next ones.
    pub fn clear(&self, mut place: Place) {
        if let Some(exchange) = place.exchange() {
            let head = &mut exchange.head;
            self.pool.put(std::mem::take(&mut head.bytes));
            let mut fields = std::mem::take(&mut head.headers);
            fields.clear();
            self.fields.put(fields);
        }
        place.clear();
        self.places.put(place);
    }
}

/// A panic of a thread, outside of any request (those are guarded one by one), ends the process:
/// the master starts another on the same sockets, where a front with a thread less would keep
/// what that thread had, and a reload would wait for it for ever.
struct PanicIsFatal;

impl Drop for PanicIsFatal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// Starts a thread.
///
/// # Errors
/// If the system has no more threads.
pub fn start(
    number: u16,
    counters: Arc<Counters>,
    orders: UnboundedReceiver<Order>,
    told: UnboundedSender<Told>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(format!("front-{number}")).spawn(move || {
        let _fatal = PanicIsFatal;
        sys::clock::set_timer_slack(TIMER_SLACK);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .on_thread_park(|| {
                crate::log::files::flush();
                upstream::before_sleep();
            })
            .on_thread_unpark(upstream::after_sleep)
            .build();
        if let Ok(runtime) = runtime {
            LocalSet::new().block_on(&runtime, run(number, counters, orders, told.clone()));
        }
        crate::log::files::flush();
        // The control loop may have gone already.
        let _ = told.send(Told::Ended);
    })
}

async fn run(
    number: u16,
    counters: Arc<Counters>,
    mut orders: UnboundedReceiver<Order>,
    told: UnboundedSender<Told>,
) {
    let thread = Rc::new(Thread {
        number,
        clock: Clock::new(),
        watch: Watch::new(),
        pool: BufferPool::new(),
        bulk: RefCell::default(),
        places: Spares::default(),
        fields: Spares::default(),
        scratch: Cell::new(Vec::new()),
        random: RandomState::new(),
        files: OpenFiles::new(),
        proven: Proven::new(),
        counters,
        stopping: Cell::new(false),
        active: RefCell::new(None),
    });
    let watch = thread.watch.clone();
    tokio::task::spawn_local(async move { watch.sweep().await });
    let sweeping = thread.clone();
    tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Some(active) = sweeping.active() {
                active.upstreams.sweep();
            }
        }
    });
    let apps = AppChannels::new(number);
    let mut accepting: HashMap<Address, JoinHandle<()>> = HashMap::new();
    // This is polled whenever tasks have had their turn, even if there are always more of them.
    let mut next_order = async || {
        poll_fn(|context| {
            upstream::look();
            orders.poll_recv(context)
        })
        .await
    };
    while let Some(order) = next_order().await {
        match order {
            Order::Use(runtime, sockets) => {
                let generation = runtime.generation;
                listen(&thread, &mut accepting, &sockets);
                thread.active.replace(Some(Rc::new(Active::new(runtime, apps.clone()))));
                let _ = told.send(Told::Using(generation));
            }
            Order::AppUp { app, door } => apps.add_app(app, door),
            // A descriptor that cannot be watched leaves the worker to the other threads.
            Order::WorkerUp { app, seat, birth, replies } => {
                let _ = apps.add_worker(app, seat, birth, replies);
            }
            Order::Quit => break,
        }
    }
    stop(&thread, accepting).await;
}

/// Accepts on exactly `sockets`: those that stay keep their task.
fn listen(
    thread: &Rc<Thread>,
    accepting: &mut HashMap<Address, JoinHandle<()>>,
    sockets: &[(Address, OwnedFd)],
) {
    accepting.retain(|address, task| {
        let stays = sockets.iter().any(|(known, _)| known == address);
        if !stays {
            task.abort();
        }
        stays
    });
    for (address, socket) in sockets {
        if accepting.contains_key(address) {
            continue;
        }
        // A socket that cannot be registered was already accepted on by no thread; the master
        // made it and knows it listens, so only exhausted descriptors come here.
        if let Ok(listener) = Listener::register(socket.as_fd()) {
            let task = accept(thread.clone(), listener, address.clone());
            accepting.insert(address.clone(), tokio::task::spawn_local(task));
        }
    }
}

async fn accept(thread: Rc<Thread>, listener: Listener, address: Address) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let number = crate::connection::next_number();
                let client = crate::connection::client(number, &stream, peer, address.clone());
                let connection = crate::connection::serve(thread.clone(), stream, client.into());
                tokio::task::spawn_local(connection);
                // One at a time, so that the other threads get their share.
                tokio::task::yield_now().await;
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn stop(thread: &Rc<Thread>, accepting: HashMap<Address, JoinHandle<()>>) {
    for task in accepting.into_values() {
        task.abort();
    }
    thread.stopping.set(true);
    let limit = thread.active().and_then(|active| active.plan().main.shutdown_timeout);
    let started = std::time::Instant::now();
    while !thread.watch.is_empty() {
        if started.elapsed() >= DRAIN {
            thread.watch.expire_idle();
        }
        if limit.is_some_and(|limit| started.elapsed() >= limit) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
