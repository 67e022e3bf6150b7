//! Objects in memory against what happens to their files behind our back, with a clock that is
//! only said to go on.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use net::store::{Fill, Lookup, Now, Store};
use plan::front::CacheZone;

use super::{Directory, body_of, head, key, run, times};

const HOUR_MS: u64 = 3_600_000;

/// A zone, one store of it, and its clock.
struct Zone {
    directory: Directory,
    levels: Vec<u8>,
    store: Store,
    now: Now,
}

impl Zone {
    /// With a clock a minute ahead: what is done now was done long ago.
    fn new(name: &str, levels: &[u8]) -> Zone {
        let directory = Directory::new(name);
        let zone = CacheZone { levels: levels.to_vec(), ..directory.zone() };
        let store = Store::open_without_keeper(&zone).unwrap();
        let unix_ms = unix_ms(SystemTime::now()) + 60_000;
        let now = Now { unix_ms, monotonic_ms: 1_000_000 };
        Zone { directory, levels: levels.to_vec(), store, now }
    }

    /// With an object whose directory has been found unchanged since it was looked at.
    fn with_object(name: &str, levels: &[u8]) -> Zone {
        let mut zone = Zone::new(name, levels);
        zone.fill("k", "body");
        for _ in 0..3 {
            zone.passes(1000);
            assert_eq!(zone.get("k").as_deref(), Some("body"));
        }
        zone
    }

    fn passes(&mut self, ms: u64) {
        self.now.unix_ms += ms;
        self.now.monotonic_ms += ms;
    }

    fn fill(&self, text: &str, body: &str) {
        fill(&self.store, text, body, self.now);
    }

    fn get(&self, text: &str) -> Option<String> {
        match run(self.store.lookup(&key(text), &(), self.now)) {
            Lookup::Fresh(object) => String::from_utf8(body_of(object)).ok(),
            Lookup::Stale(_) | Lookup::Absent { .. } => None,
        }
    }

    fn file(&self, text: &str) -> PathBuf {
        self.directory.0.join(key(text).hash.path(&self.levels))
    }

    fn folder(&self) -> PathBuf {
        self.file("k").parent().unwrap().to_owned()
    }

    /// Whether what was done just now is unnoticed during the second after the last look, and
    /// noticed after it.
    fn notices(&mut self) -> bool {
        self.passes(999);
        let early = self.get("k");
        self.passes(1);
        early.as_deref() == Some("body") && self.get("k").as_deref() != Some("body")
    }
}

fn fill(store: &Store, text: &str, body: &str, now: Now) {
    let Fill::Leader(mut filler) = store.begin_fill(&key(text), &(), None, now) else {
        panic!("without a lock everybody leads")
    };
    filler.head(&head(), times(now, HOUR_MS), "", &());
    filler.write(body.as_bytes());
    assert!(filler.commit(now).unwrap());
}

fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Waits until what is done next gets other times than what a directory has now; some ms at most.
fn until_the_clock_ticks(directory: &Path) {
    let time = |path: &Path| {
        let data = std::fs::metadata(path).unwrap();
        (data.ctime(), data.ctime_nsec())
    };
    let probe = directory.with_extension("probe");
    while {
        std::fs::write(&probe, "").unwrap();
        time(&probe) <= time(directory)
    } {}
    std::fs::remove_file(probe).unwrap();
}

#[test]
fn a_file_removed_from_a_directory_that_was_quiet_is_noticed_within_a_second() {
    for levels in [&[][..], &[1, 2], &[2, 2, 2]] {
        let mut zone = Zone::with_object("look-removed", levels);
        until_the_clock_ticks(&zone.folder());
        std::fs::remove_file(zone.file("k")).unwrap();
        assert!(zone.notices(), "{levels:?}");
    }
}

#[test]
fn a_file_replaced_by_another_process_is_noticed_within_a_second() {
    let mut zone = Zone::with_object("look-replaced", &[1, 2]);
    let other = Zone::new("look-replaced-by", &[1, 2]);
    other.fill("k", "news");
    until_the_clock_ticks(&zone.folder());
    std::fs::rename(other.file("k"), zone.file("k")).unwrap();
    assert!(zone.notices());
    assert_eq!(zone.get("k").as_deref(), Some("news"));
}

#[test]
fn a_file_removed_in_the_tick_of_a_look_is_noticed_within_a_second() {
    let mut zone = Zone::new("look-tick", &[1, 2]);
    zone.fill("k", "body");
    let created = std::fs::metadata(zone.folder()).unwrap().modified().unwrap();
    // The first look at the directory: its times may not have changed for the last time.
    zone.now = Now { unix_ms: unix_ms(created) + 50, monotonic_ms: 1_001_000 };
    assert_eq!(zone.get("k").as_deref(), Some("body"));
    std::fs::remove_file(zone.file("k")).unwrap();
    assert!(zone.notices());
}

#[test]
fn a_removed_file_is_noticed_even_if_its_directory_gets_its_old_time_back() {
    let mut zone = Zone::with_object("look-set-back", &[1, 2]);
    let before = std::fs::metadata(zone.folder()).unwrap().modified().unwrap();
    until_the_clock_ticks(&zone.folder());
    std::fs::remove_file(zone.file("k")).unwrap();
    std::fs::File::open(zone.folder()).unwrap().set_modified(before).unwrap();
    assert!(zone.notices());
}

#[test]
fn a_directory_that_is_renamed_away_is_noticed_within_a_second() {
    for replaced in [false, true] {
        let mut zone = Zone::with_object("look-renamed", &[1, 2]);
        let folder = zone.folder();
        std::fs::rename(&folder, folder.with_extension("away")).unwrap();
        if replaced {
            std::fs::create_dir(&folder).unwrap();
        }
        assert!(zone.notices(), "{replaced}");
    }
}

#[test]
fn a_zone_without_levels_that_is_always_filled_notices_a_removed_file_within_a_second() {
    let mut zone = Zone::with_object("look-flat", &[]);
    for round in 0..40 {
        until_the_clock_ticks(&zone.folder());
        zone.fill(&format!("other {round}"), "body");
        zone.passes(1000);
        assert_eq!(zone.get("k").as_deref(), Some("body"));
    }
    std::fs::remove_file(zone.file("k")).unwrap();
    assert!(zone.notices());
}

#[test]
fn a_link_in_the_place_of_a_file_is_not_followed() {
    let mut zone = Zone::with_object("look-link", &[1, 2]);
    until_the_clock_ticks(&zone.folder());
    let elsewhere = zone.folder().with_extension("elsewhere");
    std::fs::rename(zone.file("k"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, zone.file("k")).unwrap();
    assert!(zone.notices());
    assert_eq!(zone.get("k"), None);
}

#[test]
fn what_is_written_into_a_file_in_place_is_noticed_after_ten_minutes() {
    let mut zone = Zone::with_object("look-in-place", &[1, 2]);
    std::fs::write(zone.file("k"), "something else").unwrap();
    for _ in 0..597 {
        zone.passes(1000);
        assert_eq!(zone.get("k").as_deref(), Some("body"));
    }
    zone.passes(3000);
    assert_eq!(zone.get("k"), None);
    assert!(!zone.file("k").exists());
}

#[test]
fn what_is_written_in_place_is_noticed_within_a_second_while_the_directory_changes() {
    let mut zone = Zone::with_object("look-busy", &[]);
    until_the_clock_ticks(&zone.folder());
    zone.fill("other", "body");
    std::fs::write(zone.file("k"), "something else").unwrap();
    assert!(zone.notices());
}
