//! Each folder of `tests/golden` is a run: `args`, perhaps `variables`, the files it reads, and
//! `expected`: the command, what of the plan differs from the defaults, and the problems.
//!
//! `UPDATE_GOLDEN=1 cargo test -p conf-uwsgi` writes the `expected` files anew.

#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use conf_uwsgi::{Context, Loaded, load};
use serde_json::Value;

fn context(directory: &Path) -> Context {
    Context {
        working_directory: directory.to_owned(),
        program: PathBuf::from("/usr/bin/propylon"),
        processors: 4,
        host_name: "host".to_owned(),
        now: Duration::from_secs(1_000_000),
        user: (1000, "sammy".to_owned()),
        group: (1000, "sammy".to_owned()),
        version: "2.0.31",
    }
}

fn run(directory: &Path) -> Loaded {
    let args = std::fs::read_to_string(directory.join("args")).unwrap();
    let args: Vec<OsString> = args.split_whitespace().map(OsString::from).collect();
    let variables = std::fs::read_to_string(directory.join("variables")).unwrap_or_default();
    let variables: Vec<(OsString, OsString)> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    load(&args, &variables, &context(directory))
}

/// The plan without any option, to leave out what was not asked for.
fn plain_plan(directory: &Path) -> Value {
    let args = [OsString::from("--module=m"), OsString::from("--socket=@s")];
    serde_json::to_value(load(&args, &[], &context(directory)).plan.unwrap()).unwrap()
}

/// Every leaf that is not as in the plain plan.
fn differences(path: &str, plain: Option<&Value>, value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let plain = plain.and_then(|plain| plain.get(name));
                differences(&format!("{path}.{name}"), plain, value, out);
            }
        }
        _ if plain == Some(value) => {}
        _ => writeln!(out, "{} = {value}", path.trim_start_matches('.')).unwrap(),
    }
}

fn rendered(directory: &Path) -> String {
    let loaded = run(directory);
    let mut out = format!("command = {:?}\n", loaded.command);
    match &loaded.plan {
        Some(plan) => {
            let plan = serde_json::to_value(plan).unwrap();
            differences("", Some(&plain_plan(directory)), &plan, &mut out);
        }
        None => out.push_str("no plan\n"),
    }
    for problem in loaded.problems.iter() {
        writeln!(out, "\n{:?}: {problem}", problem.severity).unwrap();
    }
    out.replace(&directory.display().to_string(), "DIR")
}

#[test]
fn every_golden_run_gives_what_it_gave_before() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(golden).unwrap() {
        let directory = entry.unwrap().path();
        let now = rendered(&directory);
        let expected = directory.join("expected");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &now).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != now {
            wrong.push(format!("{}:\n{now}", directory.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
