//! Files that are looked at once a second: one whose time of modification changes asks for a reload, or
//! for new log files.
//!
//! Source: uWSGI's documentation of `touch-reload` and its like.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use plan::app::WatchPlan;

use crate::machine::Millis;

/// Time between two looks, in milliseconds.
const LOOK_MS: Millis = 1000;

/// What a touched file asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Everything anew, as after HUP.
    Reload,
    /// New log files, as after USR1.
    ReopenLogs,
}

/// The files of one configuration.
#[derive(Debug, Default)]
pub struct Watch {
    files: Vec<Watched>,
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
    /// Files as they are now. One that does not exist counts as touched as soon as it does.
    pub fn new(plan: &WatchPlan, now: Millis) -> Watch {
        let watched = |touch| {
            move |path: &PathBuf| Watched { path: path.clone(), touch, modified: modified(path) }
        };
        let reload = plan.reload.iter().map(watched(Touch::Reload));
        let logs = plan.reopen_logs.iter().map(watched(Touch::ReopenLogs));
        Watch { files: reload.chain(logs).collect(), next_look: now + LOOK_MS }
    }

    /// When [`Watch::look`] is due; `None` if there is nothing to look at.
    pub fn next_look(&self) -> Option<Millis> {
        (!self.files.is_empty()).then_some(self.next_look)
    }

    /// Looks at the files if it is time to; those that were touched since the last look. A file that
    /// has gone is not touched: editors and deployments remove one before they write it anew.
    pub fn look(&mut self, now: Millis) -> Vec<(Touch, PathBuf)> {
        if self.next_look().is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.next_look = now + LOOK_MS;
        let touched = self.files.iter_mut().filter_map(|file| {
            let found = modified(&file.path)?;
            let before = file.modified.replace(found);
            (before != Some(found)).then(|| (file.touch, file.path.clone()))
        });
        touched.collect()
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

    #[test]
    fn a_file_is_touched_once_per_change_and_when_it_comes_into_being() {
        let directory =
            std::env::temp_dir().join(format!("supervise-watch-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (code, logs) = (directory.join("code"), directory.join("logs"));
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let touch = |path: &PathBuf, seconds| {
            File::create(path).unwrap().set_modified(at(seconds)).unwrap();
        };
        touch(&code, 1000);
        let plan = WatchPlan { reload: vec![code.clone()], reopen_logs: vec![logs.clone()] };
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
}
