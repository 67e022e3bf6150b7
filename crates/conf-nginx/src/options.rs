//! The door of this crate: what to read, and what came of it.

use std::path::{Path, PathBuf};

use diag::{Problem, Problems, Sources};
use plan::FrontPlan;

/// What to read and under which circumstances.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// `-c`; relative to `prefix`.
    pub conf_file: PathBuf,
    /// `-p`; relative file names other than includes are relative to it.
    pub prefix: PathBuf,
    /// `-e`: the error log until (and unless) the configuration names one.
    pub error_log: PathBuf,
    /// `-g`: main-level directives, read before the file.
    pub global_directives: Option<String>,
    /// `-t`: nothing is started; paths are still looked at.
    pub test_mode: bool,
    /// Whether we were started by root: decides the default port and whether `user` counts.
    pub is_root: bool,
    /// The file holds what stands inside `http { }` (a file of sites-available): it is wrapped in
    /// defaults like those of Debian's nginx.conf.
    pub server_blocks_only: bool,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions {
            conf_file: PathBuf::from("/etc/nginx/nginx.conf"),
            prefix: PathBuf::from("/usr/share/nginx"),
            error_log: PathBuf::from("/var/log/nginx/error.log"),
            global_directives: None,
            test_mode: false,
            is_root: false,
            server_blocks_only: false,
        }
    }
}

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The plan; `None` if there is any error.
    pub plan: Option<FrontPlan>,
    /// Everything found, in the order nginx would meet it.
    pub problems: Problems,
    /// Every text that was read.
    pub sources: Sources,
    /// The main file's absolute path.
    pub conf_file: PathBuf,
    lines: Vec<String>,
}

impl Loaded {
    /// The problems as nginx prints them: `nginx: [emerg] unknown directive "x" in FILE:LINE`.
    pub fn nginx_lines(&self) -> &[String] {
        &self.lines
    }

    /// What `-T` prints: each file once, after a line that names it.
    pub fn dump(&self) -> String {
        let mut seen: Vec<&Path> = Vec::new();
        let mut out = String::new();
        for (name, text) in self.sources.iter() {
            if name.is_absolute() && !seen.contains(&name) {
                seen.push(name);
                out.push_str(&format!("# configuration file {}:\n{text}\n", name.display()));
            }
        }
        out
    }
}

/// Reads a configuration and everything it includes.
pub fn load(options: &LoadOptions) -> Loaded {
    let conf_file = options.prefix.join(&options.conf_file);
    let mut sources = Sources::default();
    let mut problems = Problems::default();
    let mut lines = Vec::new();
    let plan = match std::fs::read(&conf_file) {
        Ok(bytes) => {
            sources.add(&conf_file, String::from_utf8_lossy(&bytes));
            Some(FrontPlan::default())
        }
        Err(error) => {
            let message = format!("open() \"{}\" failed ({error})", conf_file.display());
            lines.push(format!("nginx: [emerg] {message}"));
            problems.push(Problem {
                severity: diag::Severity::Error,
                place: None,
                message,
                hint: None,
            });
            None
        }
    };
    Loaded { plan, problems, sources, conf_file, lines }
}
