//! The background of a zone: reads its directory at start, then removes what has to go.

use std::fs::DirEntry;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use cache::Hash;

use super::entry::Stored;
use super::{Now, Shared};

/// Time between two rounds if nobody wakes the keeper.
const ROUND: Duration = Duration::from_secs(10);

/// Objects evicted at once, between two looks at the lock.
const EVICTED_AT_ONCE: usize = 100;

/// A temporary file of this age belongs to nobody any more.
const LEFT_OVER_AGE: Duration = Duration::from_secs(600);

/// The keeper's life.
pub(super) fn run(shared: &Shared) {
    rebuild(shared, Now::read());
    while !shared.stopping.load(Ordering::Acquire) {
        tidy(shared, Now::read());
        let state = shared.state();
        if state.to_remove.is_empty() && !shared.stopping.load(Ordering::Acquire) {
            let waited = shared.wake.wait_timeout(state, ROUND);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Reads the directory into the index; objects that were stored meanwhile stay as they are.
pub(super) fn rebuild(shared: &Shared, now: Now) {
    visit(shared, &shared.directory, shared.levels.len(), now);
    shared.loading.store(false, Ordering::Release);
}

fn visit(shared: &Shared, directory: &Path, levels_left: usize, now: Now) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if shared.stopping.load(Ordering::Acquire) {
            return;
        }
        let path = entry.path();
        if levels_left > 0 {
            visit(shared, &path, levels_left - 1, now);
            continue;
        }
        let name = entry.file_name();
        match name.to_str().and_then(Hash::from_hex) {
            Some(hash) if shared.path(hash) == path => add(shared, hash, &entry, now),
            _ => remove_if_left_over(&path),
        }
    }
}

/// Whether it is whole is seen when somebody asks for it.
fn add(shared: &Shared, hash: Hash, entry: &DirEntry, now: Now) {
    let Ok(data) = entry.metadata() else { return };
    if !data.is_file() {
        return;
    }
    let mut state = shared.state();
    if state.index.get(hash).is_none() {
        state.index.insert(hash, Stored::Cold, data.len(), now.monotonic_ms);
    }
}

/// Removes a temporary file (`<hash>.<process>-<number>`) that an earlier process left.
fn remove_if_left_over(path: &Path) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_ours = name.split_once('.').is_some_and(|(stem, rest)| {
        Hash::from_hex(stem).is_some()
            && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    });
    let age = || {
        let modified = std::fs::metadata(path).and_then(|data| data.modified()).ok()?;
        SystemTime::now().duration_since(modified).ok()
    };
    if is_ours && age().is_some_and(|age| age > LEFT_OVER_AGE) {
        // It will be there at the next start, too, if it cannot be removed now.
        let _ = std::fs::remove_file(path);
    }
}

/// One round: what is over the budget or unused for too long goes.
pub(super) fn tidy(shared: &Shared, now: Now) {
    loop {
        let gone = {
            let mut state = shared.state();
            let mut gone = std::mem::take(&mut state.to_remove);
            gone.extend(state.index.evict(&shared.budget, now.monotonic_ms, EVICTED_AT_ONCE));
            gone
        };
        let is_done = gone.is_empty();
        remove_all(shared, &gone);
        if is_done || shared.stopping.load(Ordering::Acquire) {
            break;
        }
    }
    make_room(shared);
}

/// Removes the files of evicted objects, unless they have been stored again meanwhile.
fn remove_all(shared: &Shared, gone: &[Hash]) {
    for hash in gone {
        if shared.state().index.get(*hash).is_none() {
            // A file that is gone already is as good.
            let _ = std::fs::remove_file(shared.path(*hash));
        }
    }
}

/// `min_free`: the oldest objects go until the file system has room again.
fn make_room(shared: &Shared) {
    let Some(min_free) = shared.min_free else { return };
    while sys::files::free_bytes(&shared.directory).is_ok_and(|free| free < min_free) {
        let Some(oldest) = shared.state().index.evict_oldest() else { return };
        remove_all(shared, &[oldest]);
    }
}
