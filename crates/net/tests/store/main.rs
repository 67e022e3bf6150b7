//! The store of cached objects against what happens to files: restarts, cuts, flips, deletions.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod looks;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache::{CacheKey, Times, VaryInputs};
use message::{BodyLength, ResponseHead};
use net::store::{Fill, LockRules, Lookup, Now, ObjectBody, Store, Waited};
use plan::front::CacheZone;

const START: Now = Now { unix_ms: 1_700_000_000_000, monotonic_ms: 1_000_000 };

fn later(ms: u64) -> Now {
    Now { unix_ms: START.unix_ms + ms, monotonic_ms: START.monotonic_ms + ms }
}

/// A directory that is gone when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("net-store-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Directory(path)
    }

    fn zone(&self) -> CacheZone {
        CacheZone {
            name: "test".into(),
            path: self.0.clone(),
            levels: vec![1, 2],
            keys_bytes: 1024 * 1024,
            inactive: Duration::from_secs(600),
            max_size: None,
            min_free: None,
            use_temp_path: true,
        }
    }

    fn open(&self) -> Store {
        Store::open_without_keeper(&self.zone()).unwrap()
    }

    fn file_of(&self, key: &str) -> PathBuf {
        self.0.join(CacheKey::new(key.to_owned()).hash.path(&[1, 2]))
    }

    fn files(&self) -> Vec<PathBuf> {
        fn walk(path: &Path, out: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    walk(&entry.path(), out)
                } else {
                    out.push(entry.path())
                }
            }
        }
        let mut out = Vec::new();
        walk(&self.0, &mut out);
        out
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn key(text: &str) -> CacheKey {
    CacheKey::new(text.to_owned())
}

fn times(now: Now, fresh_ms: u64) -> Times {
    Times {
        stored_unix_ms: now.unix_ms,
        valid_until_unix_ms: now.unix_ms + fresh_ms,
        ..Times::default()
    }
}

fn head() -> ResponseHead {
    let mut head = ResponseHead::new(200, BodyLength::Chunked);
    head.headers.push_named("Content-Type", "text/plain");
    head
}

fn fill(store: &Store, text: &str, body: &[u8], now: Now) -> std::io::Result<bool> {
    let Fill::Leader(mut filler) = store.begin_fill(&key(text), &(), None, now) else {
        panic!("without a lock everybody leads")
    };
    filler.head(&head(), times(now, 60_000), "", &());
    for piece in body.chunks(10_000) {
        filler.write(piece);
    }
    filler.commit(now)
}

fn body_of(object: net::store::Object) -> Vec<u8> {
    match object.body {
        ObjectBody::Memory(body) => body.to_vec(),
        ObjectBody::File { file, offset, len } => {
            let mut body = vec![0; len as usize];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut body, offset).unwrap();
            body
        }
    }
}

/// The fresh body, if there is one.
fn fresh(store: &Store, text: &str, now: Now) -> Option<Vec<u8>> {
    match run(store.lookup(&key(text), &(), now)) {
        Lookup::Fresh(object) => Some(body_of(object)),
        Lookup::Stale(_) | Lookup::Absent { .. } => None,
    }
}

#[test]
fn what_was_stored_is_found_fresh_then_stale_and_again_after_a_restart() {
    let directory = Directory::new("restart");
    let large: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let store = directory.open();
    assert!(fill(&store, "small", b"hello", START).unwrap());
    assert!(fill(&store, "large", &large, START).unwrap());
    assert!(fill(&store, "empty", b"", START).unwrap());
    for store in [store, directory.open()] {
        store.rebuild(START);
        assert_eq!(fresh(&store, "small", later(1)).as_deref(), Some(&b"hello"[..]));
        assert_eq!(fresh(&store, "large", later(1)).as_deref(), Some(&large[..]));
        assert_eq!(fresh(&store, "empty", later(1)).as_deref(), Some(&b""[..]));
        let Lookup::Stale(object) = run(store.lookup(&key("small"), &(), later(60_000))) else {
            panic!("its time is over")
        };
        assert_eq!(object.head().status, 200);
        assert_eq!(object.head().body, BodyLength::Length(5));
        assert_eq!(object.head().headers, head().headers);
        assert_eq!(store.bytes(), directory.files().iter().map(|path| size(path)).sum::<u64>());
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn objects_are_found_while_the_directory_is_still_being_read() {
    let directory = Directory::new("loading");
    fill(&directory.open(), "k", b"body", START).unwrap();
    let store = Store::open(&directory.zone()).unwrap();
    assert_eq!(fresh(&store, "k", START).as_deref(), Some(&b"body"[..]));
}

#[test]
fn a_file_cut_at_any_length_is_absent_and_removed() {
    let directory = Directory::new("cut");
    fill(&directory.open(), "k", b"a body of some bytes", START).unwrap();
    let path = directory.file_of("k");
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let store = directory.open();
        store.rebuild(START);
        assert_eq!(fresh(&store, "k", START), None, "cut at {length}");
        assert!(!path.exists(), "cut at {length}");
    }
}

#[test]
fn a_file_with_any_byte_flipped_is_absent_and_removed() {
    let directory = Directory::new("flip");
    fill(&directory.open(), "k", b"a body of some bytes", START).unwrap();
    let path = directory.file_of("k");
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        let store = directory.open();
        store.rebuild(START);
        assert_eq!(fresh(&store, "k", START), None, "byte {at}");
        assert!(!path.exists(), "byte {at}");
    }
}

#[test]
fn a_large_file_that_is_flipped_after_it_was_served_is_absent() {
    let directory = Directory::new("flip-large");
    let store = directory.open();
    fill(&store, "k", &[7; 2_000_000], START).unwrap();
    assert!(fresh(&store, "k", START).is_some());
    let path = directory.file_of("k");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] = 8;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(fresh(&store, "k", START), None);
    assert!(!path.exists());
}

#[test]
fn a_removed_file_is_noticed_within_a_second() {
    let directory = Directory::new("removed");
    let store = directory.open();
    fill(&store, "k", b"body", START).unwrap();
    std::fs::remove_file(directory.file_of("k")).unwrap();
    assert_eq!(fresh(&store, "k", later(1000)), None);
}

#[test]
fn a_fifo_in_the_place_of_a_file_blocks_nobody_and_is_replaced() {
    let directory = Directory::new("fifo");
    let store = directory.open();
    let body = vec![7; 2 * 1024 * 1024];
    assert!(fill(&store, "a", &body, START).unwrap());
    let path = directory.file_of("a");
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(fresh(&store, "a", later(2_000)), None);
    assert!(fill(&store, "a", &body, later(3_000)).unwrap());
    assert_eq!(fresh(&store, "a", later(4_000)), Some(body));
}

#[test]
fn a_deleted_directory_is_made_again() {
    let directory = Directory::new("deleted");
    let store = directory.open();
    fill(&store, "k", b"body", START).unwrap();
    std::fs::remove_dir_all(&directory.0).unwrap();
    assert!(fill(&store, "k", &[1; 100_000], START).unwrap());
    assert!(fill(&store, "l", b"small", START).unwrap());
    assert_eq!(fresh(&store, "k", START).map(|body| body.len()), Some(100_000));
}

#[test]
fn a_disk_that_fails_is_an_error_of_the_fill_and_nothing_else() {
    let directory = Directory::new("failing");
    let store = directory.open();
    let path = directory.file_of("k");
    let level = path.parent().unwrap().parent().unwrap();
    std::fs::write(level, b"a file where a directory should be").unwrap();
    assert!(fill(&store, "k", b"small", START).is_err());
    assert!(fill(&store, "k", &[1; 200_000], START).is_err());
    assert_eq!(fresh(&store, "k", START), None);
}

#[test]
fn a_body_of_another_length_than_its_head_said_is_not_stored() {
    let directory = Directory::new("short");
    let store = directory.open();
    for body in [&b"four"[..], b"more than five"] {
        let fill = store.begin_fill(&key("k"), &(), None, START);
        let Fill::Leader(mut filler) = fill else { panic!("nobody else fills") };
        let head = ResponseHead::new(200, BodyLength::Length(5));
        filler.head(&head, times(START, 1000), "", &());
        filler.write(body);
        assert!(!filler.commit(START).unwrap());
    }
    assert_eq!(directory.files(), Vec::<PathBuf>::new());
}

#[test]
fn an_abandoned_fill_leaves_nothing_behind() {
    let directory = Directory::new("abandoned");
    let store = directory.open();
    let Fill::Leader(mut filler) = store.begin_fill(&key("k"), &(), None, START) else {
        panic!("nobody else fills")
    };
    filler.head(&head(), times(START, 1000), "", &());
    filler.write(&[1; 300_000]);
    assert_eq!(directory.files().len(), 1);
    drop(filler);
    assert_eq!(directory.files(), Vec::<PathBuf>::new());
}

#[test]
fn of_twelve_who_want_to_fill_one_leads_and_eleven_find_what_it_stored() {
    let directory = Directory::new("twelve");
    let store = Arc::new(directory.open());
    let leaders = run(async {
        let tasks = tokio::task::LocalSet::new();
        let asked: Vec<_> =
            (0..12).map(|_| tasks.spawn_local(fill_or_wait(Arc::clone(&store)))).collect();
        tasks.await;
        let mut leaders = 0;
        for task in asked {
            leaders += u32::from(task.await.unwrap());
        }
        leaders
    });
    assert_eq!(leaders, 1);
}

/// Whether this one led.
async fn fill_or_wait(store: Arc<Store>) -> bool {
    let lock = LockRules { age: Duration::from_secs(5) };
    match store.begin_fill(&key("k"), &(), Some(lock), START) {
        Fill::Leader(mut filler) => {
            tokio::task::yield_now().await;
            filler.head(&head(), times(START, 1000), "", &());
            filler.write(b"once");
            assert!(filler.commit(START).unwrap());
            true
        }
        Fill::Wait(waiting) => {
            let waited = waiting.done(START, START.monotonic_ms + 60_000).await;
            assert_eq!(waited, Waited::LookAgain);
            let found = store.lookup(&key("k"), &(), START).await;
            assert!(matches!(found, Lookup::Fresh(_)));
            false
        }
    }
}

#[test]
fn when_the_leader_gives_up_the_next_one_leads() {
    let directory = Directory::new("next");
    let store = directory.open();
    let lock = Some(LockRules { age: Duration::from_secs(5) });
    let Fill::Leader(first) = store.begin_fill(&key("k"), &(), lock, START) else {
        panic!("nobody else fills")
    };
    let Fill::Wait(waiting) = store.begin_fill(&key("k"), &(), lock, START) else {
        panic!("the first one fills")
    };
    drop(first);
    assert_eq!(run(waiting.done(START, u64::MAX)), Waited::LookAgain);
    assert!(matches!(store.begin_fill(&key("k"), &(), lock, START), Fill::Leader(_)));
}

#[test]
fn who_waits_too_long_gives_up() {
    let directory = Directory::new("gives-up");
    let store = directory.open();
    let lock = Some(LockRules { age: Duration::from_secs(5) });
    let Fill::Leader(_first) = store.begin_fill(&key("k"), &(), lock, START) else {
        panic!("nobody else fills")
    };
    let Fill::Wait(waiting) = store.begin_fill(&key("k"), &(), lock, START) else {
        panic!("the first one fills")
    };
    assert_eq!(run(waiting.done(START, START.monotonic_ms)), Waited::GaveUp);
    assert!(matches!(store.begin_fill(&key("k"), &(), lock, later(5000)), Fill::Leader(_)));
}

#[test]
fn the_objects_unused_for_longest_go_when_there_are_too_many_bytes() {
    let directory = Directory::new("size");
    let zone = CacheZone { max_size: Some(25_000), ..directory.zone() };
    let store = Store::open_without_keeper(&zone).unwrap();
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        fill(&store, name, &[1; 10_000], later(at as u64 * 2000)).unwrap();
    }
    assert!(fresh(&store, "a", later(10_000)).is_some());
    store.tidy(later(10_000));
    assert!(fresh(&store, "a", later(10_000)).is_some());
    assert_eq!(fresh(&store, "b", later(10_000)), None);
    assert!(fresh(&store, "c", later(10_000)).is_some());
    assert_eq!(directory.files().len(), 2);
}

#[test]
fn objects_nobody_asks_for_go_after_the_inactive_time() {
    let directory = Directory::new("inactive");
    let store = directory.open();
    fill(&store, "k", b"body", START).unwrap();
    store.tidy(later(600_000));
    assert_eq!(directory.files().len(), 1);
    store.tidy(later(600_001));
    assert_eq!(directory.files(), Vec::<PathBuf>::new());
    assert_eq!(store.bytes(), 0);
}

#[test]
fn the_index_never_outgrows_its_zone() {
    let directory = Directory::new("entries");
    let zone = CacheZone { keys_bytes: 4096, ..directory.zone() };
    let store = Store::open_without_keeper(&zone).unwrap();
    for number in 0..100 {
        fill(&store, &format!("key {number}"), b"body", later(number)).unwrap();
    }
    store.tidy(later(100));
    assert_eq!(directory.files().len(), 31);
}

struct Language(&'static str);

impl VaryInputs for Language {
    fn field(&self, name: &str, out: &mut Vec<u8>) {
        if name == "accept-language" {
            out.extend_from_slice(self.0.as_bytes());
        }
    }
}

#[test]
fn each_request_finds_its_own_variant_before_and_after_a_restart() {
    let directory = Directory::new("vary");
    let store = directory.open();
    for (language, body) in [("de", "Hallo"), ("en", "Hello"), ("fr", "Bonjour")] {
        let fill = store.begin_fill(&key("k"), &Language(language), None, START);
        let Fill::Leader(mut filler) = fill else { panic!("nobody else fills") };
        filler.head(&head(), times(START, 60_000), "accept-language", &Language(language));
        filler.write(body.as_bytes());
        assert!(filler.commit(START).unwrap());
    }
    for store in [store, directory.open()] {
        store.rebuild(START);
        for (language, body) in [("de", "Hallo"), ("en", "Hello"), ("fr", "Bonjour")] {
            let found = run(store.lookup(&key("k"), &Language(language), START));
            let Lookup::Fresh(object) = found else { panic!("{language} is missing") };
            assert_eq!(Bytes::from(body_of(object)), body);
        }
        let found = run(store.lookup(&key("k"), &Language("it"), START));
        assert!(matches!(found, Lookup::Absent { .. }));
    }
}

#[test]
fn an_object_that_is_freshened_stays_fresh_after_a_restart() {
    let directory = Directory::new("freshen");
    let store = directory.open();
    fill(&store, "k", b"body", START).unwrap();
    let Lookup::Stale(object) = run(store.lookup(&key("k"), &(), later(60_000))) else {
        panic!("its time is over")
    };
    store.freshen(&object, times(later(60_000), 5000), later(60_000));
    for store in [store, directory.open()] {
        store.rebuild(later(60_000));
        assert!(fresh(&store, "k", later(64_999)).is_some());
        assert!(fresh(&store, "k", later(65_000)).is_none());
    }
}

#[test]
fn uses_are_counted_until_it_is_stored() {
    let directory = Directory::new("uses");
    let store = directory.open();
    for expected in 1..4 {
        let found = run(store.lookup(&key("k"), &(), START));
        assert!(matches!(found, Lookup::Absent { uses } if uses == expected));
    }
}

#[test]
fn a_body_is_never_mixed_while_threads_fill_read_and_evict() {
    let directory = Directory::new("threads");
    let zone = CacheZone { max_size: Some(400_000), ..directory.zone() };
    let store = Store::open_without_keeper(&zone).unwrap();
    std::thread::scope(|threads| {
        for thread in 1..=4_u8 {
            let store = &store;
            threads.spawn(move || {
                for round in 0..60_u64 {
                    let name = format!("key {}", round % 5);
                    let bytes = if round % 2 == 0 { 500 } else { 120_000 };
                    fill(store, &name, &vec![thread; bytes], later(round)).unwrap();
                    if let Some(body) = fresh(store, &name, later(round)) {
                        assert!(body.iter().all(|byte| *byte == body[0]), "a mixed body");
                    }
                    store.tidy(later(round));
                }
            });
        }
    });
    store.tidy(later(100));
    assert!(store.bytes() <= 400_000);
    // Two who stored one key at once are told apart when it is next looked at.
    for number in 0..5 {
        let _ = fresh(&store, &format!("key {number}"), later(5000));
    }
    let on_disk: u64 = directory.files().iter().map(|path| size(path)).sum();
    assert_eq!(store.bytes(), on_disk);
}
