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
//!   within a second: by a look at it or, for all files of a directory together, by one at that.
//!   What is written into a file in place is noticed at once if the object is not in memory; from
//!   there it is served as it was checked, and its own file is looked at when
//!   [`look::FILE_UNSEEN_MS`] are over.
//! * Memory: what is asked for lately uses as much as the zone's keys may, at least
//!   [`MEMORY_BYTES_MIN`]; each further object about 100 bytes.
//!
//! Rooms: `format` (the file), `disk` (reading and writing it), `entry` (what the index knows),
//! `image` (an object in memory), `look` (is the file still there), `fill`, `keeper` (the
//! background thread: index rebuilt at start, eviction).

mod disk;
mod entry;
mod fill;
mod format;
mod image;
mod keeper;
mod look;

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use cache::{Budget, CacheKey, Directories, FillingTable, Hash, Index, Period, Times, VaryInputs};
use message::ResponseHead;
use plan::front::CacheZone;
use tokio::sync::watch;

pub use fill::{Fill, Filler, LockRules, Waited, Waiting};

use disk::{LoadError, Stamp};
use entry::{Seen, Stored, WarmOrder};
use format::Described;
use image::{Image, View};

/// Bodies up to this size are also kept in memory.
const MEMORY_OBJECT_BYTES_MAX: u64 = 64 * 1024;

/// Bytes of objects that a zone may keep in memory, if those of its `keys_zone` are not more.
const MEMORY_BYTES_MIN: u64 = 64 * 1024 * 1024;

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
    /// Its body.
    pub body: ObjectBody,
    /// When it was stored and until when it is fresh.
    pub times: Times,
    /// The name of its file.
    place: Hash,
    /// Its [`Image`]. What the head and the body share are these bytes and not those of the index:
    /// then their owners are counted where only this request looks.
    bytes: Bytes,
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
    memory_bytes_max: u64,
}

#[derive(Debug)]
struct State {
    index: Index<Stored>,
    warm: WarmOrder,
    directories: Directories,
    filling: FillingTable<watch::Receiver<()>>,
    /// Evicted from the index, still on disk.
    to_remove: Vec<Hash>,
}

/// Where a request's object is, by what the index knows.
enum Place {
    /// In the index and seen lately; only a body that is not in memory must be opened.
    Ready(Hash, Image, u32),
    /// In the index; it must be looked at.
    Known(Hash, Image, Seen, u32),
    /// In the index; its file must be read.
    Cold(Hash, u32),
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
        let state = State {
            index: Index::default(),
            warm: WarmOrder::default(),
            directories: Directories::of(&zone.levels),
            filling: FillingTable::default(),
            to_remove: Vec::new(),
        };
        let shared = Shared {
            directory: zone.path.clone(),
            levels: zone.levels.clone(),
            budget: Budget::of(zone),
            min_free: zone.min_free,
            state: Mutex::new(state),
            wake: Condvar::new(),
            loading: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            memory_bytes_max: zone.keys_bytes.max(MEMORY_BYTES_MIN),
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
            Place::Ready(hash, image, uses) => match self.shared.object(hash, &image, now) {
                Some(object) => return found(object, now),
                None => (hash, uses),
            },
            Place::Known(hash, image, seen, uses) => {
                if let Some(object) = self.shared.look_again(hash, &image, seen, now) {
                    return found(object, now);
                }
                (hash, uses)
            }
            Place::Unknown(_, uses) if self.is_complete() => return Lookup::Absent { uses },
            Place::Cold(hash, uses) | Place::Unknown(hash, uses) => (hash, uses),
        };
        let Some(image) = self.shared.load(hash, key, now).await else {
            return Lookup::Absent { uses };
        };
        let Some(described) = image.view().described() else { return Lookup::Absent { uses } };
        let wanted = described.wanted_variant(key, request);
        let (hash, image) = if wanted == hash || described.variant == wanted {
            (hash, Some(image))
        } else {
            // Found the one that says what the variants are called; the one wanted is another.
            (wanted, self.shared.load(wanted, key, now).await)
        };
        match image.and_then(|image| self.shared.object(hash, &image, now)) {
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
        let before = object.view().stamp();
        match disk::rewrite_times(&path, times, before) {
            Ok(Some(stamp)) => {
                self.shared.state().index.change(object.place, |stored| match stored {
                    Stored::Warm { image, seen_monotonic_ms, .. }
                        if image.view().stamp() == before =>
                    {
                        *image = image.with(times, stamp);
                        *seen_monotonic_ms = now.monotonic_ms;
                    }
                    _ => {}
                });
            }
            Err(_) => self.shared.forget(object.place, Some(before)),
            Ok(None) => {}
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
        let mut guard = self.state();
        let state = &mut *guard;
        let (mut uses, mut entry) = state.index.touch(key.hash, now.monotonic_ms);
        let mut hash = key.hash;
        let known = entry.and_then(described).filter(|known| known.is_of(key));
        let mut is_of_key = known.is_some();
        if let Some(known) = known.filter(|known| !known.vary.is_empty()) {
            let wanted = known.wanted_variant(key, request);
            if wanted != known.variant && wanted != hash {
                hash = wanted;
                (uses, entry) = state.index.touch(wanted, now.monotonic_ms);
                is_of_key = entry.and_then(described).is_some_and(|other| other.is_of(key));
            }
        }
        let place = match entry {
            Some(Stored::Warm { image, seen_monotonic_ms, period }) if is_of_key => {
                let seen = Seen { monotonic_ms: *seen_monotonic_ms, period: *period };
                if look::is_seen(&state.directories, hash, seen, now) {
                    Place::Ready(hash, image.clone(), uses)
                } else {
                    Place::Known(hash, image.clone(), seen, uses)
                }
            }
            Some(Stored::Cold) => Place::Cold(hash, uses),
            _ => Place::Unknown(hash, uses),
        };
        self.evict_surplus(state, now);
        place
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

    /// Reads and checks a file and puts it into the index.
    async fn load(&self, hash: Hash, key: &CacheKey, now: Now) -> Option<Image> {
        let path = self.path(hash);
        let period = self.look_at_directory(hash, now);
        let seen = Seen { monotonic_ms: now.monotonic_ms, period };
        // What is forgotten below must be what was looked at, not what has replaced it.
        let before = self.state().index.get(hash).map(Stored::stamp);
        let mut result = disk::load(&path, CHECKED_INLINE_BYTES_MAX);
        if let Err(LoadError::TooLongForHere) = result {
            let path = path.clone();
            let checking = tokio::task::spawn_blocking(move || disk::load(&path, u64::MAX));
            result = checking.await.unwrap_or(Err(LoadError::Unreadable));
        }
        match result {
            Ok(image) if image.view().described().is_some_and(|known| known.is_of(key)) => {
                self.insert(hash, image.clone(), seen, now);
                Some(image)
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
    fn insert(&self, hash: Hash, image: Image, seen: Seen, now: Now) {
        let bytes = image.view().stamp().bytes;
        let mut guard = self.state();
        let state = &mut *guard;
        let was_warm = state.index.get(hash).is_some_and(|it| it.image().is_some());
        state.index.insert(hash, Stored::warm(image, seen), bytes, now.monotonic_ms);
        if !was_warm {
            state.warm.push(&state.index, hash, now.monotonic_ms);
        }
        state.warm.cool(&mut state.index, self.memory_bytes_max);
        self.evict_surplus(state, now);
        if self.budget.bytes_max.is_some_and(|max| state.index.bytes() > max) {
            self.wake.notify_one();
        }
    }

    /// An object that need not be looked at, unless its body has to be opened.
    fn object(&self, hash: Hash, image: &Image, now: Now) -> Option<Object> {
        Object::from_memory(hash, image)
            .or_else(|| self.look_at_file(hash, image, Period::NONE, now))
    }

    /// Forgets an object unless it has been replaced meanwhile; without a stamp, if it is cold.
    fn forget(&self, hash: Hash, stamp: Option<Stamp>) {
        let mut state = self.state();
        let entry = state.index.get(hash);
        if entry.is_some_and(|it| it.stamp() == stamp) {
            state.index.forget(hash);
        }
    }
}

/// Whose object it is, unless it is cold.
fn described(stored: &Stored) -> Option<Described<'_>> {
    stored.image()?.view().described()
}

impl Object {
    /// Its head as it was given to [`Filler::head`]; the body's length is exact.
    pub fn head(&self) -> ResponseHead {
        self.view().head().expect("an image's description has been read before")
    }

    /// From memory, if all of it is there.
    fn from_memory(place: Hash, image: &Image) -> Option<Object> {
        let range = image.view().body_range()?;
        let bytes = image.bytes();
        let body = ObjectBody::Memory(bytes.slice(range));
        Some(Object { body, times: image.view().times(), place, bytes })
    }

    /// With the body in its file.
    fn from_file(place: Hash, image: &Image, file: File) -> Object {
        let (offset, len) = image.view().body_in_file();
        let body = ObjectBody::File { file, offset, len };
        Object { body, times: image.view().times(), place, bytes: image.bytes() }
    }

    fn view(&self) -> View<'_> {
        View(&self.bytes)
    }
}
