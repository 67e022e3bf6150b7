//! Which site, which location, which object. A case is `None` if it finds something else than it
//! should.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use cache::{CacheKey, Hash, Index, Times, Weighed};
use message::{BodyLength, ResponseHead};
use net::store::{Fill, Lookup, Now, Store};
use plan::front::{CacheZone, ServerId};
use route::Router;

fn router() -> Option<(plan::front::FrontPlan, Router)> {
    let conf_file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/sites.conf"));
    let options = conf_nginx::LoadOptions { conf_file, ..conf_nginx::LoadOptions::default() };
    let plan = conf_nginx::load(&options).plan?;
    let router = Router::new(&plan).ok()?;
    Some((plan, router))
}

/// Asks for a server and a location, and checks both once.
fn routed(count: usize, host: &[u8], server: u32, path: &[u8], name: &str) -> Option<()> {
    let (plan, router) = router()?;
    let (found, _) = router.server(0, host).ok()?;
    let location = router.location(found, path).ok()?.location;
    (found == ServerId(server)).then_some(())?;
    plan.locations.get(location.0 as usize).filter(|it| it.name == name)?;
    for _ in 0..count {
        let (server, captures) = router.server(0, black_box(host)).ok()?;
        black_box(captures);
        black_box(router.location(server, black_box(path)).ok()?);
    }
    Some(())
}

/// A plain name, and a location by its prefix.
pub fn router_prefix(count: usize) -> Option<()> {
    routed(count, b"www.example.org", 0, b"/static/images/../images/logo.svg", "/static/images/")
}

/// A plain name, and a location by its regex, after another one did not match.
pub fn router_regex(count: usize) -> Option<()> {
    routed(count, b"www.example.org", 0, b"/photos/2026/beach.jpg", r"\.(gif|jpg|png)$")
}

/// A server by a regex on its name.
pub fn router_regex_name(count: usize) -> Option<()> {
    routed(count, b"carol.users.example", 2, b"/", "")
}

const NOW: Now = Now { unix_ms: 1_700_000_000_000, monotonic_ms: 1_000_000 };

/// A directory that is gone at the end.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is a small file among the temporary ones.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Hashing a key and finding a fresh small object that is in memory.
pub fn cache_hit(count: usize) -> Option<()> {
    let directory = std::env::temp_dir().join(format!("instructions-{}", std::process::id()));
    let directory = Directory(directory);
    let zone = CacheZone {
        name: "instructions".into(),
        path: directory.0.clone(),
        levels: vec![1, 2],
        keys_bytes: 1024 * 1024,
        inactive: Duration::from_secs(600),
        max_size: None,
        min_free: None,
        use_temp_path: true,
    };
    let store = Store::open_without_keeper(&zone).ok()?;
    fill(&store, &key())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
    runtime.block_on(async {
        for _ in 0..count {
            let Lookup::Fresh(object) = store.lookup(&key(), &(), NOW).await else { return None };
            black_box(object);
        }
        Some(())
    })
}

fn key() -> CacheKey {
    CacheKey::new(black_box("httpwww.example.org/articles/2026/november?page=2"))
}

fn fill(store: &Store, key: &CacheKey) -> Option<()> {
    let mut head = ResponseHead::new(200, BodyLength::Length(5));
    head.headers.push_named("Content-Type", "text/html; charset=utf-8");
    let valid_until_unix_ms = NOW.unix_ms + 60_000;
    let times = Times { stored_unix_ms: NOW.unix_ms, valid_until_unix_ms, ..Times::default() };
    let Fill::Leader(mut filler) = store.begin_fill(key, &(), None, NOW) else { return None };
    filler.head(&head, times, "", &());
    filler.write(b"hello");
    filler.commit(NOW).ok()?.then_some(())
}

/// An object of which only the number is known.
#[derive(Debug)]
struct Numbered(u32);

impl Weighed for Numbered {
    fn memory_bytes(&self) -> u64 {
        0
    }
}

/// One use of one entry among very many, each time another.
pub fn cache_index(count: usize) -> Option<()> {
    const ENTRIES: u32 = 100_000;
    let hash = |number: u32| Hash::of(&[&number.to_le_bytes()]);
    let mut index = Index::default();
    for number in 0..ENTRIES {
        index.insert(hash(number), Numbered(number), 100, NOW.monotonic_ms);
    }
    let hashes: Vec<Hash> = (0..10_000).map(|step| hash(step * 7)).collect();
    for hash in hashes.iter().cycle().take(count) {
        black_box(index.touch(black_box(*hash), NOW.monotonic_ms + 10).1?.0);
    }
    Some(())
}
