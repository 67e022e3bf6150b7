//! Whether the file of an object is still the one that the index knows: its directory says so for
//! an object in memory, or a look at the file itself.

use cache::{Directories, Hash, Period, UNSEEN_MS};

use super::disk;
use super::entry::{Seen, Stored};
use super::image::Image;
use super::{Now, Object, Shared};

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
    pub(super) fn look_again(
        &self,
        hash: Hash,
        image: &Image,
        seen: Seen,
        now: Now,
    ) -> Option<Object> {
        if image.view().body_range().is_none() {
            return self.look_at_file(hash, image, Period::NONE, now);
        }
        let period = self.look_at_directory(hash, now);
        if is_seen(&self.state().directories, hash, seen, now) {
            return Object::from_memory(hash, image);
        }
        self.look_at_file(hash, image, period, now)
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
        image: &Image,
        period: Period,
        now: Now,
    ) -> Option<Object> {
        let path = self.path(hash);
        let known = image.view().stamp();
        let seen = match Object::from_memory(hash, image) {
            Some(object) => disk::look(&path).map(|stamp| (object, stamp)),
            None => {
                disk::open(&path).map(|(file, stamp)| (Object::from_file(hash, image, file), stamp))
            }
        };
        let Ok((object, stamp)) = seen else {
            self.forget(hash, Some(known));
            return None;
        };
        if stamp != known {
            return None;
        }
        let seen = Seen { monotonic_ms: now.monotonic_ms, period };
        self.state().index.change(hash, |stored: &mut Stored| stored.see(stamp, seen));
        Some(object)
    }
}
