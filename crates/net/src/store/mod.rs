//! Cached objects on disk, the small hot ones also in memory; one [`Store`] per zone, shared by
//! all threads of the front.
//!
//! # How the front uses it
//!
//! ```text
//! let store = Arc::new(Store::open(&zone)?);            // once; the index fills in the background
//! match store.lookup(&key, &request, now).await {
//!     Lookup::Fresh(object) => serve it,
//!     Lookup::Stale(object) => cache::may_serve_while_updating …, or revalidate with its head,
//!     Lookup::Absent { uses } => below,                 // store only if uses >= min_uses
//! }
//! match store.begin_fill(&key, &request, lock, now) {
//!     Fill::Leader(filler) => call the upstream,
//!     Fill::Wait(waiting) => match waiting.done(now, give_up_at).await {
//!         Waited::LookAgain => from the start,
//!         Waited::GaveUp => call the upstream without storing,
//!     },
//! }
//! filler.head(&head, times, &vary, &request);           // times from cache::lifetime
//! filler.write(&data);                                  // each piece, in order
//! filler.commit(now);                                   // only if the response is whole
//! ```
//!
//! Dropping a [`Filler`] abandons the fill: nothing is stored, one of those who wait leads next.
//! Nothing here fails a request: if the disk is full or gone, `commit` says so and the response
//! has passed through all the same. `store.freshen` renews the times after a 304.
//!
//! # What holds
//!
//! * An object is served only if its head's and its body's checksums were right since the file
//!   was last changed; a file that is damaged, truncated or of another key is removed and absent.
//! * Files appear by rename only, whole. The directory is made again if somebody deleted it.
//! * A file that is removed or replaced behind our back is noticed at once, for objects in memory
//!   within a second.
//!
//! Rooms: `format` (the file), `disk` (reading and writing it), `fill`, `keeper` (the background
//! thread: index rebuilt at start, eviction).

mod disk;
mod fill;
mod format;
mod keeper;

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use cache::{Budget, CacheKey, FillingTable, Hash, Index, Times, VaryInputs};
use message::ResponseHead;
use plan::front::CacheZone;
use tokio::sync::watch;

pub use fill::{Fill, Filler, LockRules, Waited, Waiting};

use disk::{LoadError, Loaded, Stamp};

/// Bodies up to this size are also kept in memory.
const MEMORY_OBJECT_BYTES_MAX: u64 = 64 * 1024;

/// Bytes of bodies that one zone keeps in memory.
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How long an object in memory is served without a look at its file, in milliseconds.
const UNSEEN_MS: u64 = 1000;

/// Bodies above this size are checked on a thread of their own.
const CHECKED_INLINE_BYTES_MAX: u64 = 1024 * 1024;

/// The two clocks, read once by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970: what freshness is about.
    pub unix_ms: u64,
    /// Monotonic milliseconds: what waiting and inactivity are about.
    pub monotonic_ms: u64,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Now {
        let since = sys::clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            monotonic_ms: sys::clock::monotonic_ms(),
        }
    }
}

/// What the store has for a request.
#[derive(Debug)]
pub enum Lookup {
    /// An object that is fresh.
    Fresh(Object),
    /// An object whose time is over.
    Stale(Object),
    /// Nothing.
    Absent {
        /// How often it was asked for, this time included; for `min_uses`.
        uses: u32,
    },
}

/// A stored response.
#[derive(Debug)]
pub struct Object {
    /// Its head as it was given to [`Filler::head`]; the body's length is exact.
    pub head: Arc<ResponseHead>,
    /// Its body.
    pub body: ObjectBody,
    /// When it was stored and until when it is fresh.
    pub times: Times,
    /// The name of its file.
    place: Hash,
}

/// The body of a stored response.
#[derive(Debug)]
pub enum ObjectBody {
    /// All of it.
    Memory(Bytes),
    /// A piece of a file, for `sendfile`; stays readable even if the object is evicted.
    File {
        /// The file.
        file: File,
        /// Where the body starts.
        offset: u64,
        /// How many bytes it has.
        len: u64,
    },
}

/// The objects of one zone.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    keeper: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    levels: Vec<u8>,
    budget: Budget,
    min_free: Option<u64>,
    /// Guards the index, the fills under way and the list of files to remove. Held for table work
    /// only: never across a file operation or an await.
    state: Mutex<State>,
    /// Wakes the keeper: something to remove, or the end.
    wake: Condvar,
    /// The index is not complete yet: a miss in it is no miss.
    loading: AtomicBool,
    stopping: AtomicBool,
    memory_bytes: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    index: Index<Stored>,
    filling: FillingTable<watch::Receiver<()>>,
    /// Evicted from the index, still on disk.
    to_remove: Vec<Hash>,
}

/// What the index knows about an object.
#[derive(Clone, Debug)]
struct Stored {
    loaded: Arc<Loaded>,
    times: Times,
    stamp: Stamp,
    /// The body's checksum was right for this stamp.
    checked: bool,
    /// When the file was last looked at.
    seen_monotonic_ms: u64,
    memory: Option<Arc<InMemory>>,
}

/// A body in memory and its share of the zone's budget, given back when dropped.
#[derive(Debug)]
struct InMemory {
    body: Bytes,
    budget: Arc<AtomicU64>,
}

impl Drop for InMemory {
    fn drop(&mut self) {
        self.budget.fetch_sub(self.body.len() as u64, Ordering::Relaxed);
    }
}

/// Where a request's object is, by what the index knows.
enum Place {
    /// In memory and seen lately.
    Ready(Object),
    /// In the index; its file must be looked at.
    Known(Hash, Stored, u32),
    /// Not in the index.
    Unknown(Hash, u32),
}

impl Store {
    /// Opens a zone: makes its directory, and starts the thread that reads what is in it and
    /// later evicts. Until that has finished, objects are found on disk one by one.
    ///
    /// # Errors
    /// The directory can be neither found nor made, or there is no thread.
    pub fn open(zone: &CacheZone) -> std::io::Result<Store> {
        let mut store = Store::open_without_keeper(zone)?;
        store.shared.loading.store(true, Ordering::Release);
        let shared = Arc::clone(&store.shared);
        let thread = std::thread::Builder::new().name(format!("cache-{}", zone.name));
        store.keeper = Some(thread.spawn(move || keeper::run(&shared))?);
        Ok(store)
    }

    /// Opens a zone without a thread: the caller calls [`Store::rebuild`] and [`Store::tidy`].
    ///
    /// # Errors
    /// The directory can be neither found nor made.
    pub fn open_without_keeper(zone: &CacheZone) -> std::io::Result<Store> {
        disk::make_directory(&zone.path)?;
        let shared = Shared {
            directory: zone.path.clone(),
            levels: zone.levels.clone(),
            budget: Budget::of(zone),
            min_free: zone.min_free,
            state: Mutex::default(),
            wake: Condvar::new(),
            loading: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            memory_bytes: Arc::default(),
        };
        Ok(Store { shared: Arc::new(shared), keeper: None })
    }

    /// Reads the directory into the index.
    pub fn rebuild(&self, now: Now) {
        keeper::rebuild(&self.shared, now);
    }

    /// Removes what has to go.
    pub fn tidy(&self, now: Now) {
        keeper::tidy(&self.shared, now);
    }

    /// Whether the directory has been read.
    pub fn is_complete(&self) -> bool {
        !self.shared.loading.load(Ordering::Acquire)
    }

    /// Bytes of all objects on disk, as far as they are known.
    pub fn bytes(&self) -> u64 {
        self.shared.state().index.bytes()
    }

    /// Finds the object for a request. Reads at most one small file on this thread; large bodies
    /// that have not been checked yet are checked on another one.
    pub async fn lookup(&self, key: &CacheKey, request: &dyn VaryInputs, now: Now) -> Lookup {
        let (hash, uses) = match self.shared.place(key, request, now) {
            Place::Ready(object) => return found(object, now),
            Place::Known(hash, stored, uses) => {
                if let Some(object) = self.shared.look_at_file(hash, &stored, now) {
                    return found(object, now);
                }
                (hash, uses)
            }
            Place::Unknown(_, uses) if self.is_complete() => return Lookup::Absent { uses },
            Place::Unknown(hash, uses) => (hash, uses),
        };
        let Some(loaded) = self.shared.load(hash, key, now).await else {
            return Lookup::Absent { uses };
        };
        let wanted = loaded.wanted_variant(key, request);
        if wanted == hash || loaded.variant == wanted {
            return self
                .shared
                .object(hash, now)
                .map_or(Lookup::Absent { uses }, |it| found(it, now));
        }
        // Found the one that says what the variants are called; the one wanted is another.
        let _ = self.shared.load(wanted, key, now).await;
        match self.shared.object(wanted, now) {
            Some(object) => found(object, now),
            None => Lookup::Absent { uses },
        }
    }

    /// Asks to fill the object for a request. Without a lock everybody may at once.
    pub fn begin_fill(
        &self,
        key: &CacheKey,
        request: &dyn VaryInputs,
        lock: Option<LockRules>,
        now: Now,
    ) -> Fill {
        fill::begin(&self.shared, key, request, lock, now)
    }

    /// Gives an object new times, after its upstream said that it has not changed.
    pub fn freshen(&self, object: &Object, times: Times, now: Now) {
        let path = self.shared.path(object.place);
        let stored = self.shared.state().index.get(object.place).cloned();
        let Some(stored) = stored else { return };
        let stamp = disk::rewrite_times(&path, &stored.loaded, times, stored.stamp);
        let mut state = self.shared.state();
        match (stamp, state.index.get(object.place)) {
            (Ok(Some(stamp)), Some(entry)) if entry.stamp == stored.stamp => {
                entry.stamp = stamp;
                entry.times = times;
                entry.seen_monotonic_ms = now.monotonic_ms;
            }
            (Err(_), Some(entry)) if entry.stamp == stored.stamp => {
                state.index.forget(object.place);
            }
            _ => {}
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        drop(self.shared.state());
        self.shared.wake.notify_all();
        if let Some(keeper) = self.keeper.take() {
            // A keeper that panicked has said so already.
            let _ = keeper.join();
        }
    }
}

fn found(object: Object, now: Now) -> Lookup {
    if object.times.is_fresh(now.unix_ms) { Lookup::Fresh(object) } else { Lookup::Stale(object) }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // The tables are whole between any two statements that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, hash: Hash) -> PathBuf {
        self.directory.join(hash.path(&self.levels))
    }

    /// Looks the request up in the index and counts the use.
    fn place(&self, key: &CacheKey, request: &dyn VaryInputs, now: Now) -> Place {
        let mut state = self.state();
        let (mut uses, entry) = state.index.touch(key.hash, now.monotonic_ms);
        let mut hash = key.hash;
        let mut stored = entry.filter(|stored| stored.loaded.key == key.text).map(|it| it.clone());
        if let Some(known) = &stored {
            let wanted = known.loaded.wanted_variant(key, request);
            if wanted != hash && wanted != known.loaded.variant {
                let (variant_uses, entry) = state.index.touch(wanted, now.monotonic_ms);
                (hash, uses) = (wanted, variant_uses);
                stored = entry.filter(|it| it.loaded.key == key.text).map(|it| it.clone());
            }
        }
        self.evict_surplus(&mut state, now);
        drop(state);
        let Some(stored) = stored else { return Place::Unknown(hash, uses) };
        let is_seen = now.monotonic_ms < stored.seen_monotonic_ms.saturating_add(UNSEEN_MS);
        match &stored.memory {
            Some(memory) if is_seen && stored.checked => {
                let body = ObjectBody::Memory(memory.body.clone());
                Place::Ready(Object::new(hash, &stored, body))
            }
            _ => Place::Known(hash, stored, uses),
        }
    }

    /// The index may never outgrow its bound, however fast new keys come.
    fn evict_surplus(&self, state: &mut State, now: Now) {
        if state.index.len() > self.budget.entries_max {
            let gone = state.index.evict(&self.budget, now.monotonic_ms, 4);
            if !gone.is_empty() {
                state.to_remove.extend(gone);
                self.wake.notify_one();
            }
        }
    }

    /// The object, if its file still is what the index says.
    fn look_at_file(&self, hash: Hash, stored: &Stored, now: Now) -> Option<Object> {
        if !stored.checked {
            return None;
        }
        let (file, stamp) = match disk::open(&self.path(hash)) {
            Ok(opened) => opened,
            Err(_) => {
                self.forget(hash, stored.stamp);
                return None;
            }
        };
        if stamp != stored.stamp {
            return None;
        }
        if let Some(entry) = self.state().index.get(hash).filter(|entry| entry.stamp == stamp) {
            entry.seen_monotonic_ms = now.monotonic_ms;
        }
        let body = match &stored.memory {
            Some(memory) => ObjectBody::Memory(memory.body.clone()),
            None => ObjectBody::File {
                file,
                offset: stored.loaded.body_offset,
                len: stored.loaded.body_len,
            },
        };
        Some(Object::new(hash, stored, body))
    }

    /// Reads and checks a file and puts it into the index.
    async fn load(&self, hash: Hash, key: &CacheKey, now: Now) -> Option<Arc<Loaded>> {
        let path = self.path(hash);
        // What is forgotten below must be what was looked at, not what has replaced it.
        let before = self.state().index.get(hash).map(|stored| stored.stamp);
        let mut result = disk::load(&path, CHECKED_INLINE_BYTES_MAX);
        if let Err(LoadError::TooLongForHere) = result {
            let path = path.clone();
            let checking = tokio::task::spawn_blocking(move || disk::load(&path, u64::MAX));
            result = checking.await.unwrap_or(Err(LoadError::Unreadable));
        }
        match result {
            Ok(file) if file.loaded.key == key.text => {
                let loaded = Arc::clone(&file.loaded);
                self.insert(hash, file, now);
                Some(loaded)
            }
            Ok(_) => None,
            Err(error) => {
                if error == LoadError::Damaged {
                    // Nothing can be done if it cannot be removed: it stays damaged and absent.
                    let _ = std::fs::remove_file(&path);
                }
                if let Some(before) = before {
                    self.forget(hash, before);
                }
                None
            }
        }
    }

    /// Puts a checked file into the index.
    fn insert(&self, hash: Hash, file: disk::Checked, now: Now) {
        let stored = Stored {
            memory: file.body.and_then(|body| self.keep_in_memory(body)),
            times: file.times,
            stamp: file.stamp,
            checked: true,
            seen_monotonic_ms: now.monotonic_ms,
            loaded: file.loaded,
        };
        let mut state = self.state();
        state.index.insert(hash, stored, file.stamp.bytes, now.monotonic_ms);
        self.evict_surplus(&mut state, now);
        if self.budget.bytes_max.is_some_and(|max| state.index.bytes() > max) {
            self.wake.notify_one();
        }
    }

    fn keep_in_memory(&self, body: Bytes) -> Option<Arc<InMemory>> {
        let bytes = body.len() as u64;
        let before = self.memory_bytes.fetch_add(bytes, Ordering::Relaxed);
        let share = InMemory { body, budget: Arc::clone(&self.memory_bytes) };
        (before + bytes <= MEMORY_BYTES_MAX).then(|| Arc::new(share))
    }

    /// An object that has just been loaded.
    fn object(&self, hash: Hash, now: Now) -> Option<Object> {
        let stored = self.state().index.get(hash).cloned()?;
        match &stored.memory {
            Some(memory) => {
                Some(Object::new(hash, &stored, ObjectBody::Memory(memory.body.clone())))
            }
            None => self.look_at_file(hash, &stored, now),
        }
    }

    /// Forgets an object unless it has been replaced meanwhile.
    fn forget(&self, hash: Hash, stamp: Stamp) {
        let mut state = self.state();
        if state.index.get(hash).is_some_and(|stored| stored.stamp == stamp) {
            state.index.forget(hash);
        }
    }
}

impl Object {
    fn new(place: Hash, stored: &Stored, body: ObjectBody) -> Object {
        Object { head: Arc::clone(&stored.loaded.head), body, times: stored.times, place }
    }
}
