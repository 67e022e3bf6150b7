//! Whether the file of an object is still the one that the index knows: its directory says so for
//! an object in memory, or a look at the file itself.

use cache::{Directories, Hash, Period, UNSEEN_MS};

use super::disk;
use super::entry::{Seen, Stored, Warm};
use super::{Now, Object, ObjectBody, Shared};

/// How long an object in memory is served by looks at its directory alone, in milliseconds. They
/// do not tell when somebody else writes into a file in place; looks at each file do, and would
/// be most of what a hit costs if all were looked at every second.
pub(super) const FILE_UNSEEN_MS: u64 = 10 * 60 * 1000;

/// Whether nothing has to be looked at.
pub(super) fn is_seen(directories: &Directories, hash: Hash, seen: Seen, now: Now) -> bool {
    let unseen_ms = now.monotonic_ms.saturating_sub(seen.monotonic_ms);
    unseen_ms < UNSEEN_MS
        || (unseen_ms < FILE_UNSEEN_MS
            && directories.speaks_for(hash, seen.period, now.monotonic_ms))
}

impl Shared {
    /// The object, if its file still is what the index says.
    pub(super) fn look_again(&self, hash: Hash, warm: &Warm, now: Now) -> Option<Object> {
        let Some(body) = &warm.kept.body else {
            return self.look_at_file(hash, warm, Period::NONE, now);
        };
        let period = self.look_at_directory(hash, now);
        if is_seen(&self.state().directories, hash, warm.seen, now) {
            return Some(Object::new(hash, warm, ObjectBody::Memory(body.clone())));
        }
        self.look_at_file(hash, warm, period, now)
    }

    /// Looks at a file's directory if it is time to, and says in which period it is.
    pub(super) fn look_at_directory(&self, hash: Hash, now: Now) -> Period {
        let state = self.state();
        if !state.directories.is_due(hash, now.monotonic_ms) {
            return state.directories.period(hash);
        }
        drop(state);
        let path = self.path(hash);
        let found = path.parent().and_then(|path| disk::look_at_directory(path).ok());
        let mut state = self.state();
        state.directories.handle_look(hash, found, now.unix_ms, now.monotonic_ms);
        state.directories.period(hash)
    }

    /// The object, if its file is found to be what the index says; `period` is from before.
    pub(super) fn look_at_file(
        &self,
        hash: Hash,
        warm: &Warm,
        period: Period,
        now: Now,
    ) -> Option<Object> {
        let path = self.path(hash);
        let seen = match &warm.kept.body {
            Some(body) => disk::look(&path).map(|it| (it, ObjectBody::Memory(body.clone()))),
            None => disk::open(&path).map(|(file, stamp)| {
                let (offset, len) = (warm.loaded.body_offset, warm.loaded.body_len);
                (stamp, ObjectBody::File { file, offset, len })
            }),
        };
        let Ok((stamp, body)) = seen else {
            self.forget(hash, Some(warm.stamp));
            return None;
        };
        if stamp != warm.stamp {
            return None;
        }
        self.state().index.change(hash, |stored: &mut Stored| {
            if let Some(warm) = stored.warm_of(stamp) {
                warm.seen = Seen { monotonic_ms: now.monotonic_ms, period };
            }
        });
        Some(Object::new(hash, warm, body))
    }
}
