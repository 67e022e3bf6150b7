//! The master's own lines, in the shape of the program whose place it takes.

use std::fs::File;
use std::io::Write;
use std::rc::Rc;

use plan::front::{ErrorLog, LogLevel, LogTarget};
use sys::clock::{self, LocalTime};

use crate::machine::Loudness;

/// Where the app's lines go: standard error (which `logto` may have replaced by a file).
pub fn app_line(text: &str) {
    // Nobody is left to tell if standard error is gone.
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// The error log of the front's main level.
#[derive(Debug, Default)]
pub struct FrontLog {
    targets: Vec<(LogLevel, Option<Rc<File>>)>,
    /// The front belongs to an app's `http` option: its lines go where the app's go.
    pub beside_app: bool,
}

impl FrontLog {
    /// The logs of `plan`, whose files are `files` in the order of its table.
    pub fn new(logs: &[ErrorLog], files: &[Rc<File>], beside_app: bool) -> FrontLog {
        let target = |log: &ErrorLog| {
            let file = match log.target {
                LogTarget::File(id) => files.get(id.0 as usize).cloned(),
                LogTarget::Stderr => None,
            };
            (log.level, file)
        };
        FrontLog { targets: logs.iter().map(target).collect(), beside_app }
    }

    /// Writes a line of the machine.
    pub fn say(&self, loudness: Loudness, text: &str) {
        let level = match loudness {
            Loudness::Notice => LogLevel::Notice,
            Loudness::Error => LogLevel::Alert,
        };
        self.line(level, text);
    }

    /// Writes a line in nginx's format to every log that wants this level.
    pub fn line(&self, level: LogLevel, text: &str) {
        if self.beside_app {
            if level >= LogLevel::Warn {
                app_line(text);
            }
            return;
        }
        let line = format!("{} {} {}#0: {text}\n", moment(), bracket(level), sys::process::pid());
        for (_, file) in self.targets.iter().filter(|(least, _)| level >= *least) {
            // A log that cannot be written must not stop the service.
            match file {
                Some(file) => drop((&**file).write_all(line.as_bytes())),
                None => drop(std::io::stderr().write_all(line.as_bytes())),
            }
        }
    }
}

fn bracket(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "[debug]",
        LogLevel::Info => "[info]",
        LogLevel::Notice => "[notice]",
        LogLevel::Warn => "[warn]",
        LogLevel::Error => "[error]",
        LogLevel::Crit => "[crit]",
        LogLevel::Alert => "[alert]",
        LogLevel::Emerg => "[emerg]",
    }
}

/// `2026/11/20 19:00:00`, local time.
fn moment() -> String {
    let LocalTime { year, month, day, hour, minute, second, .. } = clock::local(clock::wall());
    format!("{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `Fri Nov 20 19:00:00 2026`, local time.
pub fn ctime() -> String {
    clock::local(clock::wall()).ctime()
}
