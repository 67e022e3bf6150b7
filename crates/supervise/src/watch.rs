//! Files that are looked at now and then: one whose time of modification changes asks for a reload, or
//! for new log files.
//!
//! Source: uWSGI's documentation of `touch-reload`, `py-autoreload` and their like.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use plan::app::WatchPlan;

use crate::machine::Millis;

/// Time between two looks at files that are there to be touched, in milliseconds.
const LOOK_MS: Millis = 1000;

/// What a change asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Everything anew, as after HUP.
    Reload,
    /// New log files, as after USR1.
    ReopenLogs,
}

/// The files of one configuration, and of the app as it was imported last.
#[derive(Debug, Default)]
pub struct Watch {
    flags: Group,
    sources: Group,
    /// Whose sources those are.
    generation: u64,
}

/// Files that are looked at together.
#[derive(Debug, Default)]
struct Group {
    files: Vec<Watched>,
    every: Millis,
    next_look: Millis,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    touch: Touch,
    /// When it was last modified; `None` while there is no such file.
    modified: Option<SystemTime>,
}

impl Watch {
    /// Files as they are now. One that does not exist counts as changed as soon as it does.
    pub fn new(plan: &WatchPlan, now: Millis) -> Watch {
        let mut watch = Watch::default();
        watch.renew(plan, now);
        watch
    }

    /// Another configuration. Sources stay until those of newer code are known: if that does not
    /// load, mending it is a change of one of these.
    pub fn renew(&mut self, plan: &WatchPlan, now: Millis) {
        let reload = plan.reload.iter().map(|path| Watched::new(path.clone(), Touch::Reload));
        let logs = plan.reopen_logs.iter();
        let logs = logs.map(|path| Watched::new(path.clone(), Touch::ReopenLogs));
        self.flags =
            Group { files: reload.chain(logs).collect(), every: LOOK_MS, next_look: now + LOOK_MS };
        match plan.sources {
            Some(every) => {
                let every = Millis::try_from(every.as_millis()).unwrap_or(Millis::MAX);
                self.sources.every = every;
                self.sources.next_look = now.saturating_add(every);
            }
            None => self.sources = Group::default(),
        }
    }

    /// Files that a generation of the app was imported from, as they are now.
    pub fn add_sources(&mut self, generation: u64, files: Vec<PathBuf>) {
        if generation < self.generation {
            return;
        }
        if generation > self.generation {
            self.generation = generation;
            self.sources.files.clear();
        }
        for path in files {
            // A nursery that was started again tells the same.
            if !self.sources.files.iter().any(|known| known.path == path) {
                self.sources.files.push(Watched::new(path, Touch::Reload));
            }
        }
    }

    /// When [`Watch::look`] is due; `None` if there is nothing to look at.
    pub fn next_look(&self) -> Option<Millis> {
        self.flags.due().into_iter().chain(self.sources.due()).min()
    }

    /// Looks at the files if it is time to; those that have changed since the last look.
    pub fn look(&mut self, now: Millis) -> Vec<(Touch, PathBuf)> {
        let mut changed = self.flags.look(now);
        changed.extend(self.sources.look(now));
        changed
    }
}

impl Group {
    fn due(&self) -> Option<Millis> {
        (!self.files.is_empty()).then_some(self.next_look)
    }

    fn look(&mut self, now: Millis) -> Vec<(Touch, PathBuf)> {
        if self.due().is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.next_look = now.saturating_add(self.every);
        self.files.iter_mut().filter_map(Watched::changed).collect()
    }
}

impl Watched {
    fn new(path: PathBuf, touch: Touch) -> Watched {
        let modified = modified(&path);
        Watched { path, touch, modified }
    }

    /// What the file asks for, if it has changed since the last look. One that has gone has not:
    /// editors and deployments remove a file before they write it anew.
    fn changed(&mut self) -> Option<(Touch, PathBuf)> {
        let found = modified(&self.path)?;
        let before = self.modified.replace(found);
        (before != Some(found)).then(|| (self.touch, self.path.clone()))
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|found| found.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    fn directory(name: &str) -> PathBuf {
        let name = format!("supervise-watch-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }

    fn touch(path: &Path, seconds: u64) {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::create(path).unwrap().set_modified(at).unwrap();
    }

    #[test]
    fn a_file_is_touched_once_per_change_and_when_it_comes_into_being() {
        let directory = directory("flags");
        let (code, logs) = (directory.join("code"), directory.join("logs"));
        touch(&code, 1000);
        let plan = WatchPlan {
            reload: vec![code.clone()],
            reopen_logs: vec![logs.clone()],
            ..WatchPlan::default()
        };
        let mut watch = Watch::new(&plan, 0);
        assert_eq!(watch.next_look(), Some(LOOK_MS));
        assert_eq!(watch.look(LOOK_MS), []);
        touch(&code, 900);
        assert_eq!(watch.look(LOOK_MS + 1), [], "it is not time yet");
        assert_eq!(watch.look(2 * LOOK_MS), [(Touch::Reload, code.clone())], "older is other, too");
        assert_eq!(watch.look(3 * LOOK_MS), []);
        touch(&logs, 5);
        assert_eq!(watch.look(4 * LOOK_MS), [(Touch::ReopenLogs, logs)]);
        std::fs::remove_file(&code).unwrap();
        assert_eq!(watch.look(5 * LOOK_MS), []);
        touch(&code, 900);
        assert_eq!(watch.look(6 * LOOK_MS), [], "put back as it was");
        std::fs::remove_dir_all(directory).unwrap();
        assert_eq!(Watch::new(&WatchPlan::default(), 0).next_look(), None);
    }

    #[test]
    fn sources_are_those_of_the_newest_code_that_told_any() {
        let directory = directory("sources");
        let (one, two) = (directory.join("one.py"), directory.join("two.py"));
        touch(&one, 1);
        touch(&two, 1);
        let plan = WatchPlan { sources: Some(Duration::from_secs(3)), ..WatchPlan::default() };
        let mut watch = Watch::new(&plan, 0);
        watch.add_sources(1, vec![one.clone()]);
        watch.add_sources(1, vec![one.clone(), two.clone()]);
        assert_eq!(watch.next_look(), Some(3000));
        touch(&one, 2);
        assert_eq!(watch.look(2999), []);
        assert_eq!(watch.look(3000), [(Touch::Reload, one.clone())]);
        // The new code does not load.
        watch.renew(&plan, 3000);
        touch(&one, 3);
        assert_eq!(watch.look(6000), [(Touch::Reload, one.clone())]);
        watch.add_sources(3, vec![two.clone()]);
        watch.add_sources(2, vec![one.clone()]);
        touch(&one, 4);
        touch(&two, 4);
        assert_eq!(watch.look(9000), [(Touch::Reload, two)]);
        watch.renew(&WatchPlan::default(), 9000);
        assert_eq!(watch.next_look(), None);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
