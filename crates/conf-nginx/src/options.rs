//! The door of this crate: what to read, and what came of it.

use std::path::{Path, PathBuf};

use diag::{Problems, Severity, Sources};
use plan::FrontPlan;

use crate::draft::MainDraft;
use crate::report::Report;
use crate::tree::{Directive, Reader};
use crate::walk::{Run, Scope};
use crate::{builtin, include, lower};

/// What to read and under which circumstances.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// `-c`; relative to `prefix`.
    pub conf_file: PathBuf,
    /// `-p`; relative file names other than includes are relative to it.
    pub prefix: PathBuf,
    /// `-e`: the error log until (and unless) the configuration names one; may be `stderr`.
    pub error_log: PathBuf,
    /// The access log until (and unless) the configuration names one; may be `off`.
    pub access_log: PathBuf,
    /// The pid file until (and unless) the configuration names one.
    pub pid_file: PathBuf,
    /// Where temporary files go unless the configuration says: `body`, `proxy` and `uwsgi` in it.
    pub state_directory: PathBuf,
    /// `-g`: main-level directives, read before the file.
    pub global_directives: Option<String>,
    /// `-t`: nothing will be started. What is read, and how, is the same.
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
            access_log: PathBuf::from("/var/log/nginx/access.log"),
            pid_file: PathBuf::from("/run/nginx.pid"),
            state_directory: PathBuf::from("/var/lib/nginx"),
            global_directives: None,
            test_mode: false,
            is_root: false,
            server_blocks_only: false,
        }
    }
}

impl LoadOptions {
    /// The directory of the main file: where includes, certificates and user files are looked for.
    pub fn conf_directory(&self) -> PathBuf {
        let conf_file = self.prefix.join(&self.conf_file);
        conf_file.parent().map_or_else(PathBuf::new, Path::to_path_buf)
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
    /// One line for each of `problems` that is at least a warning, in the same order.
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
    let directory = options.conf_directory();
    let mut sources = Sources::default();
    let mut report = Report::default();
    let mut reader = Reader::new(&mut sources, &mut report, directory);
    let mut tree = match &options.global_directives {
        Some(text) => reader.read_params(text),
        None => Vec::new(),
    };
    match include::text(&conf_file) {
        Ok(text) if options.server_blocks_only => {
            tree.extend(reader.read_text(Path::new("built-in defaults"), builtin::AROUND_SITES));
            let site = reader.read_text(&conf_file, &text);
            insert_into_http(&mut tree, site);
        }
        Ok(text) => tree.extend(reader.read_text(&conf_file, &text)),
        Err(fault) => report.add_placeless(Severity::Error, fault.message, fault.hint),
    }
    let (report, plan) = walk(options, &sources, report, &tree);
    let plan = (!report.any_error()).then_some(plan);
    let (problems, lines) = report.finish(&sources);
    Loaded { plan, problems, sources, conf_file, lines }
}

/// Puts the directives of a site file at the end of the wrapping `http` block.
fn insert_into_http(tree: &mut [Directive], site: Vec<Directive>) {
    let http = tree.iter_mut().rev().find(|directive| directive.name() == "http");
    if let Some(block) = http.and_then(|http| http.block.as_mut()) {
        block.children.extend(site);
    }
}

fn walk(
    options: &LoadOptions,
    sources: &Sources,
    report: Report,
    tree: &[Directive],
) -> (Report, FrontPlan) {
    let mut run = Run::new(options, sources, report);
    let mut main = MainDraft::default();
    run.apply_all(&mut Scope::Main(&mut main), tree);
    if !main.events_seen && !run.report.any_error() {
        let hint = Some("add `events {}` to the main level".to_owned());
        let message = "no \"events\" section in configuration".to_owned();
        run.report.add_placeless(Severity::Error, message, hint);
    }
    let http = tree.iter().rev().find(|directive| directive.name() == "http");
    let plan = lower::front_plan(&mut run, main, http.map(Directive::at_close));
    (run.report, plan)
}
