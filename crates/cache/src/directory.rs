//! When a look at a directory stands for looks at all files in it.
//!
//! A directory's own times change when a name in it is added, removed or given to another file, and
//! when it is renamed itself. While it is found unchanged, a file that was looked at is still there:
//!
//! ```text
//! look at directory: period 7 ── look at file ── directory the same ─► file is as it was
//! look at directory: period 7 ── look at file ── directory changed: period 8 ─► look at file
//! ```
//!
//! Who looks at a file takes the directory's period *before* it. Then the look that began the
//! period is older than the look at the file, and every change after the latter is one that the
//! next look at the directory finds.
//!
//! Not told by any of this: what somebody writes into a file in place, where the directory stays
//! as it is.

use crate::key::Hash;

/// How long one look counts, at a directory or at a file, in milliseconds.
pub const UNSEEN_MS: u64 = 1000;

/// More directories than this have too few files each for a look to be worth it: files are looked
/// at one by one.
const DIRECTORIES_MAX: usize = 1 << 16;

/// A directory whose times are younger than this may change again without being seen to: clocks
/// of file systems tick every few milliseconds.
const SETTLED_MS: i64 = 100;

/// The same if its times are whole seconds, which is how some file systems keep them.
const SETTLED_WHOLE_SECONDS_MS: i64 = 2100;

/// How often in a row the time to the next look doubles, for a directory that always changes.
const DOUBLED_MAX: u8 = 4;

/// What tells one state of a directory from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectoryStamp {
    /// Its file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// When a name in it last changed, in nanoseconds since 1970; anybody may set it back.
    pub modified_unix_ns: i64,
    /// The same, or when it was itself renamed or given to somebody else. Nobody can set it back.
    pub changed_unix_ns: i64,
}

impl DirectoryStamp {
    /// Whether a change from now on would give it other times.
    fn is_settled(&self, now_unix_ms: u64) -> bool {
        let [modified, changed] = [self.modified_unix_ns, self.changed_unix_ns];
        let whole = modified % 1_000_000_000 == 0 && changed % 1_000_000_000 == 0;
        let settled_ms = if whole { SETTLED_WHOLE_SECONDS_MS } else { SETTLED_MS };
        let now_unix_ms = i64::try_from(now_unix_ms).unwrap_or(i64::MAX);
        now_unix_ms.saturating_sub(modified.max(changed) / 1_000_000) >= settled_ms
    }
}

/// A time during which a directory was always found the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period(u32);

impl Period {
    /// Of files that no directory speaks for.
    pub const NONE: Period = Period(0);
}

/// The directories of a zone that hold files.
#[derive(Debug)]
pub struct Directories {
    list: Vec<Directory>,
}

#[derive(Clone, Debug, Default)]
struct Directory {
    stamp: DirectoryStamp,
    /// Whether `stamp` was when it was taken.
    is_settled: bool,
    period: Period,
    looked_monotonic_ms: u64,
    /// Looks in a row that found a change.
    changed: u8,
}

impl Directories {
    /// Of a zone with these levels. What has too many directories has none here.
    pub fn of(levels: &[u8]) -> Directories {
        let digits = levels.iter().map(|level| u32::from(*level)).sum();
        let count = 16_usize.checked_pow(digits).filter(|count| *count <= DIRECTORIES_MAX);
        Directories { list: vec![Directory::default(); count.unwrap_or(0)] }
    }

    /// The period to note for a file that is looked at from now on.
    pub fn period(&self, file: Hash) -> Period {
        self.list.get(self.number(file)).map_or(Period::NONE, |directory| directory.period)
    }

    /// Whether a file is as it was when it was looked at in that period.
    pub fn speaks_for(&self, file: Hash, period: Period, now_monotonic_ms: u64) -> bool {
        let Some(directory) = self.list.get(self.number(file)) else { return false };
        period != Period::NONE
            && period == directory.period
            && now_monotonic_ms < directory.looked_monotonic_ms.saturating_add(UNSEEN_MS)
    }

    /// Whether it is time to look at a file's directory again: after a second, later if it always
    /// changes, so that looks that tell nothing do not cost as much again as those at the files.
    pub fn is_due(&self, file: Hash, now_monotonic_ms: u64) -> bool {
        let Some(directory) = self.list.get(self.number(file)) else { return false };
        let wait_ms = UNSEEN_MS << directory.changed.saturating_sub(1);
        directory.period == Period::NONE
            || now_monotonic_ms >= directory.looked_monotonic_ms.saturating_add(wait_ms)
    }

    /// What a look at a file's directory found, `None` if it is not there; the clocks are those
    /// from before the look.
    pub fn handle_look(
        &mut self,
        file: Hash,
        found: Option<DirectoryStamp>,
        now_unix_ms: u64,
        now_monotonic_ms: u64,
    ) {
        let number = self.number(file);
        let Some(directory) = self.list.get_mut(number) else { return };
        directory.looked_monotonic_ms = directory.looked_monotonic_ms.max(now_monotonic_ms);
        if directory.is_settled && found == Some(directory.stamp) {
            directory.changed = 0;
            return;
        }
        let is_first = directory.period == Period::NONE;
        directory.changed = if is_first { 0 } else { (directory.changed + 1).min(DOUBLED_MAX + 1) };
        directory.period = Period(directory.period.0.wrapping_add(1).max(1));
        directory.stamp = found.unwrap_or_default();
        directory.is_settled = found.is_some_and(|stamp| stamp.is_settled(now_unix_ms));
    }

    /// Which of them holds a file: its levels are the last digits of its name.
    fn number(&self, file: Hash) -> usize {
        u128::from_be_bytes(file.0) as usize & self.list.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Directories, DirectoryStamp, Period};
    use crate::Hash;

    const FILE: Hash = Hash([7; 16]);
    /// When the directory last changed.
    const CHANGED_MS: u64 = 1_700_000_000_001;
    /// The monotonic clock at that moment.
    const START_MS: u64 = 5_000;

    fn stamp(changed_ms: u64) -> DirectoryStamp {
        let changed_unix_ns = changed_ms as i64 * 1_000_000;
        DirectoryStamp { device: 1, inode: 2, modified_unix_ns: changed_unix_ns, changed_unix_ns }
    }

    /// A zone and its clock.
    struct Zone {
        directories: Directories,
        now_ms: u64,
    }

    impl Zone {
        fn new(levels: &[u8]) -> Zone {
            Zone { directories: Directories::of(levels), now_ms: 0 }
        }

        fn at(&mut self, ms: u64) -> &mut Zone {
            self.now_ms = ms;
            self
        }

        fn look(&mut self, found: Option<DirectoryStamp>) -> Period {
            let now_ms = self.now_ms;
            self.directories.handle_look(FILE, found, CHANGED_MS + now_ms, START_MS + now_ms);
            self.directories.period(FILE)
        }

        fn speaks_for(&self, period: Period) -> bool {
            self.directories.speaks_for(FILE, period, START_MS + self.now_ms)
        }

        fn is_due(&self) -> bool {
            self.directories.is_due(FILE, START_MS + self.now_ms)
        }
    }

    #[test]
    fn a_directory_speaks_for_what_was_seen_in_it_for_a_second_after_each_look() {
        let mut zone = Zone::new(&[1, 2]);
        assert!(zone.is_due());
        assert!(!zone.speaks_for(Period::NONE));
        let period = zone.at(500).look(Some(stamp(CHANGED_MS)));
        assert!(zone.at(1499).speaks_for(period) && !zone.is_due());
        assert!(!zone.at(1500).speaks_for(period) && zone.is_due());
        assert_eq!(zone.look(Some(stamp(CHANGED_MS))), period);
        assert!(zone.at(2499).speaks_for(period));
    }

    #[test]
    fn after_a_change_nothing_that_was_seen_before_counts() {
        let other_inode = DirectoryStamp { inode: 3, ..stamp(CHANGED_MS) };
        let set_back = DirectoryStamp { changed_unix_ns: 1, ..stamp(CHANGED_MS) };
        for found in [Some(stamp(CHANGED_MS + 600)), Some(other_inode), Some(set_back), None] {
            let mut zone = Zone::new(&[1, 2]);
            let before = zone.at(500).look(Some(stamp(CHANGED_MS)));
            let after = zone.at(1500).look(found);
            assert!(!zone.speaks_for(before), "{found:?}");
            assert!(zone.speaks_for(after), "{found:?}");
        }
    }

    #[test]
    fn a_look_within_the_tick_of_a_change_proves_nothing_to_the_next_one() {
        let mut zone = Zone::new(&[1]);
        let within_tick = zone.at(99).look(Some(stamp(CHANGED_MS)));
        // Another change in the same tick would have left the same times.
        let later = zone.at(1099).look(Some(stamp(CHANGED_MS)));
        assert!(!zone.speaks_for(within_tick));
        assert_eq!(zone.at(2099).look(Some(stamp(CHANGED_MS))), later);
    }

    #[test]
    fn times_of_whole_seconds_are_settled_later() {
        let mut zone = Zone::new(&[1]);
        let whole = stamp(CHANGED_MS / 1000 * 1000);
        let early = zone.at(2000).look(Some(whole));
        let settled = zone.at(3000).look(Some(whole));
        assert_ne!(early, settled);
        assert_eq!(zone.at(4000).look(Some(whole)), settled);
    }

    #[test]
    fn times_in_the_future_are_never_settled() {
        let mut zone = Zone::new(&[1]);
        let first = zone.at(1000).look(Some(stamp(CHANGED_MS + 10_000_000)));
        assert_ne!(zone.at(2000).look(Some(stamp(CHANGED_MS + 10_000_000))), first);
    }

    #[test]
    fn a_directory_that_always_changes_is_looked_at_every_sixteen_seconds_in_the_end() {
        let mut zone = Zone::new(&[]);
        let mut looks = Vec::new();
        for ms in 0..100_000 {
            if zone.at(ms).is_due() {
                looks.push(ms);
                zone.look(Some(stamp(CHANGED_MS + ms)));
            }
        }
        assert_eq!(
            looks,
            [0, 1000, 2000, 4000, 8000, 16_000, 32_000, 48_000, 64_000, 80_000, 96_000]
        );
        zone.at(112_000).look(Some(stamp(CHANGED_MS + 96_000)));
        zone.at(128_000).look(Some(stamp(CHANGED_MS + 96_000)));
        assert!(zone.at(129_000).is_due());
    }

    #[test]
    fn files_with_other_levels_have_other_directories_and_too_many_directories_are_none() {
        let one = Directories::of(&[1, 2]);
        let hash = |text| Hash::from_hex(text).unwrap();
        let number = one.number(hash("b7f54b2df7773722d382f4809d65029c"));
        assert_eq!(number, 0x29c);
        assert_eq!(number, one.number(hash("0000000000000000000000000000029c")));
        assert_ne!(number, one.number(hash("0000000000000000000000000000039c")));
        assert!(!Directories::of(&[2, 2, 2]).is_due(FILE, 0));
        assert_eq!(Directories::of(&[]).list.len(), 1);
    }
}
