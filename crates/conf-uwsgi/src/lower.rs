//! The draft to the plan: paths resolved, addresses parsed, contradictions told.

use std::path::{Path, PathBuf};

use diag::{Problem, Severity};
use plan::app::{AppSource, LoadPlan, SocketPlan, StaticMap};

use crate::collect::{Collector, Origin, paths};
use crate::draft::Draft;
use crate::row::{Effect, Fault};
use crate::rows::Meaning;

/// Fills the plan's gaps from the rest of the draft.
pub fn lower(collector: &mut Collector<'_>, draft: &mut Draft) {
    let start = collector.context.working_directory.clone();
    let directory = match &draft.plan.python.chdir {
        Some(chdir) => start.join(chdir),
        None => start.clone(),
    };
    if draft.plan.python.chdir.is_some() {
        draft.plan.python.chdir = Some(directory.clone());
    }
    contradictions(collector, draft);
    draft.plan.load = load(draft);
    draft.plan.python.path = python_path(draft, &directory);
    if let Some(home) = &draft.plan.python.virtualenv {
        draft.plan.python.virtualenv = Some(directory.join(home));
    }
    sockets(collector, draft, &directory);
    draft.plan.static_maps = std::mem::take(&mut draft.static_maps)
        .into_iter()
        .map(|(prefix, path)| StaticMap { prefix, path: directory.join(path) })
        .collect();
    let watch = &mut draft.plan.watch;
    for path in watch.reload.iter_mut().chain(&mut watch.reopen_logs) {
        *path = directory.join(&path);
    }
    if let Some(path) = &draft.plan.log.requests_file {
        draft.plan.log.requests_file = Some(directory.join(path));
    }
    files(draft, &start);
}

/// Pidfiles and logs are opened before the directory is changed.
fn files(draft: &mut Draft, start: &Path) {
    let process = &mut draft.plan.process;
    for path in [&mut process.pidfile, &mut process.pidfile2, &mut process.safe_pidfile] {
        if let Some(given) = path.take() {
            *path = Some(start.join(given));
        }
    }
    for path in [&mut process.daemonize, &mut process.daemonize2] {
        if let Some(given) = path.take() {
            *path = Some(start.join(given).display().to_string());
        }
    }
    let log = draft.log_file.take().map(PathBuf::from);
    let background = process.daemonize.as_ref().or(process.daemonize2.as_ref());
    let log = log.or_else(|| background.map(PathBuf::from));
    draft.plan.log.file = log.map(|path| start.join(path));
}

fn load(draft: &Draft) -> Vec<LoadPlan> {
    let main = match (&draft.module, &draft.wsgi_file) {
        (Some(module), _) => Some(AppSource::Module(module.clone())),
        (None, Some(file)) => Some(file_source(file)),
        (None, None) => None,
    };
    let main = main.map(|source| LoadPlan { mount: String::new(), source });
    let mounts = draft.mounts.iter().map(|(prefix, app)| {
        let mount = prefix.trim_end_matches('/').to_owned();
        LoadPlan { mount, source: app_source(app) }
    });
    main.into_iter().chain(mounts).collect()
}

/// `app.py`, `app.py:callable`, `mod`, `mod:callable`.
pub fn app_source(text: &str) -> AppSource {
    let path = text.split(':').next().unwrap_or(text);
    if is_python_file(path) || path.contains('/') {
        file_source(text)
    } else {
        AppSource::Module(text.to_owned())
    }
}

/// Whether the name's ending says that it is a file for Python.
pub fn is_python_file(path: &str) -> bool {
    path.ends_with(".py") || path.ends_with(".wsgi")
}

fn file_source(text: &str) -> AppSource {
    match text.rsplit_once(':') {
        Some((path, name)) if is_python_file(path) && !name.is_empty() => {
            AppSource::File { path: PathBuf::from(path), callable: Some(name.to_owned()) }
        }
        _ => AppSource::File { path: PathBuf::from(text), callable: None },
    }
}

/// A pattern that matches nothing stays, as a directory that may come later.
fn python_path(draft: &Draft, directory: &Path) -> Vec<PathBuf> {
    let mut path = Vec::new();
    for pattern in &draft.python_path {
        let found = match pattern.contains(['*', '?', '[']) {
            true => paths(directory, pattern),
            false => Vec::new(),
        };
        if found.is_empty() {
            path.push(directory.join(pattern));
        }
        path.extend(found.into_iter().map(|found| directory.join(found)));
    }
    path
}

fn sockets(collector: &mut Collector<'_>, draft: &mut Draft, directory: &Path) {
    for (written, protocol) in std::mem::take(&mut draft.sockets) {
        let protocol = protocol.unwrap_or(draft.default_protocol);
        if let Some(address) = address(collector, &written, directory) {
            draft.plan.sockets.push(SocketPlan { address, protocol, written });
        }
    }
    for written in std::mem::take(&mut draft.http) {
        if let Some(address) = address(collector, &written, directory) {
            draft.plan.http.push(address);
        }
    }
    if draft.plan.http.is_empty() && draft.plan.sockets.is_empty() {
        let hint = "write `socket = app.sock`, `http = :8000` or `http-socket = :8000`";
        general(collector, Severity::Notice, "no socket is named, so nobody can connect", hint);
    }
}

fn address(
    collector: &mut Collector<'_>,
    written: &str,
    directory: &Path,
) -> Option<plan::Address> {
    let fault = match crate::address::parse(written, directory) {
        Ok((address, warning)) => {
            if let Some(warning) = warning {
                at_value(collector, written, warning);
            }
            return Some(address);
        }
        Err(fault) => fault,
    };
    at_value(collector, written, fault);
    None
}

/// Reports at the option that has this value.
fn at_value(collector: &mut Collector<'_>, value: &str, fault: Fault) {
    let found = collector.given.iter().rfind(|option| option.value.contains(value));
    match found.map(|option| (option.key.clone(), option.value_at)) {
        Some((key, at)) => {
            let message = format!("`{key}`: {}", fault.message);
            collector.report(at, Fault { message, ..fault });
        }
        None => collector.problems.push(Problem {
            severity: if fault.fatal { Severity::Error } else { Severity::Warning },
            place: None,
            message: fault.message,
            hint: fault.hint,
        }),
    }
}

fn contradictions(collector: &mut Collector<'_>, draft: &Draft) {
    if draft.module.is_some() && draft.wsgi_file.is_some() {
        let message =
            "both `module` and `wsgi-file` are given: `module` is loaded, the file is not";
        at_key(collector, &["wsgi-file", "file"], message, "remove one of them");
    }
    let last = |names: &[&str]| {
        let named = collector.given.iter().filter(|option| names.contains(&option.key.as_str()));
        named.map(|option| option.value.clone()).next_back()
    };
    if let (Some(processes), Some(workers)) = (last(&["processes"]), last(&["workers"]))
        && processes != workers
    {
        let message = format!(
            "`processes` and `workers` are the same option; the last one counts: {}",
            draft.plan.processes
        );
        at_key(collector, &["workers"], &message, "remove one of them");
    }
    overridden(collector);
    if draft.plan.watch.sources.is_some() && draft.plan.lazy_apps {
        let names = ["py-autoreload", "py-auto-reload", "python-autoreload", "python-auto-reload"];
        let message = "with `lazy-apps` the app's sources are not known before its workers run, so none \
                       is looked at";
        at_key(collector, &names, message, "remove `lazy-apps`, or name files with `touch-reload`");
    }
    if draft.module.is_none() && draft.wsgi_file.is_none() && draft.mounts.is_empty() {
        let hint = "write `module = package.module:callable` or `wsgi-file = app.py`";
        general(collector, Severity::Warning, "no app is named", hint);
    }
    if draft.plan.processes == 0 {
        let hint = "write `processes = 1` or more";
        general(
            collector,
            Severity::Error,
            "no worker shall run, so nothing would be served",
            hint,
        );
    }
}

/// A file named without `--ini` is read after the whole command line, so it wins.
fn overridden(collector: &mut Collector<'_>) {
    let mut lost = Vec::new();
    for (index, option) in collector.given.iter().enumerate() {
        let single = match option.entry.map(|entry| entry.meaning) {
            Some(Meaning::Effect(Effect::Flag(_) | Effect::Number(_))) => true,
            Some(_) => SINGLE.contains(&option.key.as_str()),
            None => false,
        };
        if !single || option.origin != Origin::CommandLine {
            continue;
        }
        let later = collector.given.iter().skip(index + 1).rfind(|other| other.key == option.key);
        let later = later.filter(|other| {
            other.origin == Origin::File && (other.value != option.value && !option.bare)
        });
        lost.extend(later.map(|other| (option.key.clone(), option.key_at, other.value.clone())));
    }
    for (key, at, value) in lost {
        let message = format!("`{key}` of a file that is read later wins: {value}");
        let hint = "write `--ini FILE` before the options that shall win over it";
        collector.report(at, Fault::warning(message, hint));
    }
}

/// Texts of which only the last counts.
const SINGLE: &[&str] =
    &["module", "wsgi-file", "callable", "chdir", "virtualenv", "home", "uid", "gid", "pidfile"];

fn at_key(collector: &mut Collector<'_>, names: &[&str], message: &str, hint: &str) {
    let found = collector.given.iter().rfind(|option| names.contains(&option.key.as_str()));
    if let Some(at) = found.map(|option| option.key_at) {
        collector.report(at, Fault::warning(message, hint));
    }
}

/// Reports what no place shows. What is missing may be missing because of another error.
fn general(collector: &mut Collector<'_>, severity: Severity, message: &str, hint: &str) {
    if collector.problems.any_error() {
        return;
    }
    collector.problems.push(Problem {
        severity,
        place: None,
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    });
}
