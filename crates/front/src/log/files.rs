//! Log files: shared by all threads, appended to in whole lines.
//!
//! Lines gather in a buffer of the thread and are written when the thread is about to sleep, or
//! when much has gathered: under load many lines leave in one write, otherwise each at once.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLock};

use plan::front::LogTarget;

/// Bytes that gather before they are written whatever the thread has to do.
const GATHERED_BYTES_MAX: usize = 32 * 1024;

thread_local! {
    static GATHERED: RefCell<Vec<(Arc<LogFile>, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
}

/// One log file, open for appending; the master opens it and opens it anew.
#[derive(Debug)]
pub struct LogFile {
    /// Guards the moment in which the file is exchanged for a new one.
    file: RwLock<File>,
}

/// The log files of one configuration, in the plan's order.
#[derive(Debug, Default)]
pub struct LogFiles {
    files: Vec<Arc<LogFile>>,
}

impl LogFile {
    fn write(&self, bytes: &[u8]) {
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        // A full disk loses log lines and nothing else.
        let _ = (&*file).write_all(bytes);
    }
}

impl LogFiles {
    /// Takes the descriptors the master sent.
    pub fn new(descriptors: Vec<OwnedFd>) -> LogFiles {
        let wrap = |fd| Arc::new(LogFile { file: RwLock::new(File::from(fd)) });
        LogFiles { files: descriptors.into_iter().map(wrap).collect() }
    }

    /// Exchanges the files for newly opened ones, in the same order.
    pub fn reopen(&self, descriptors: Vec<OwnedFd>) {
        for (log, fd) in self.files.iter().zip(descriptors) {
            *log.file.write().unwrap_or_else(PoisonError::into_inner) = File::from(fd);
        }
    }

    /// Adds a line, line end included, to what this thread will write.
    pub fn gather(&self, target: &LogTarget, line: &[u8]) {
        let LogTarget::File(id) = target else { return self.write_now(target, line) };
        let Some(log) = self.files.get(id.0 as usize) else { return };
        GATHERED.with_borrow_mut(|gathered| {
            let known = gathered.iter_mut().find(|(file, _)| Arc::ptr_eq(file, log));
            match known {
                Some((file, lines)) => {
                    lines.extend_from_slice(line);
                    if lines.len() >= GATHERED_BYTES_MAX {
                        file.write(lines);
                        lines.clear();
                    }
                }
                None => gathered.push((log.clone(), line.to_vec())),
            }
        });
    }

    /// Writes a line at once: error logs must not wait for anything.
    pub fn write_now(&self, target: &LogTarget, line: &[u8]) {
        match target {
            LogTarget::File(id) => {
                if let Some(log) = self.files.get(id.0 as usize) {
                    log.write(line);
                }
            }
            LogTarget::Stderr => {
                let _ = std::io::stderr().write_all(line);
            }
        }
    }
}

/// Writes what this thread has gathered; files that no configuration uses any more are let go.
pub fn flush() {
    GATHERED.with_borrow_mut(|gathered| {
        for (file, lines) in gathered.iter_mut().filter(|(_, lines)| !lines.is_empty()) {
            file.write(lines);
            lines.clear();
        }
        gathered.retain(|(file, _)| Arc::strong_count(file) > 1);
    });
}

#[cfg(test)]
mod tests {
    use plan::front::LogFileId;

    use super::*;

    #[test]
    fn lines_gather_until_the_flush_and_go_to_the_reopened_file_after_it() {
        let memory = || sys::memory::memory_file("log", b"").unwrap();
        let read = |fd: &OwnedFd| {
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(fd));
            std::fs::read_to_string(path).unwrap()
        };
        let (first, second) = (memory(), memory());
        let logs = LogFiles::new(vec![first.try_clone().unwrap()]);
        let target = LogTarget::File(LogFileId(0));
        logs.gather(&target, b"one\n");
        assert_eq!(read(&first), "");
        flush();
        logs.reopen(vec![second.try_clone().unwrap()]);
        logs.gather(&target, b"two\n");
        flush();
        assert_eq!((read(&first).as_str(), read(&second).as_str()), ("one\n", "two\n"));
    }
}
