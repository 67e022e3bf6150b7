//! Checks of the house: dependencies point down, `unsafe` stays in its rooms, files stay small,
//! licences are ours to use, and nothing is in twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

/// Level of every crate of ours; a crate may depend on lower levels only.
const LEVELS: &[(&str, u32)] = &[
    ("diag", 0),
    ("message", 0),
    ("recent", 0),
    ("sys", 0),
    ("plan", 1),
    ("proto", 2),
    ("conf-nginx", 3),
    ("conf-uwsgi", 2),
    ("route", 2),
    ("tls", 2),
    ("cache", 2),
    ("limit", 2),
    ("net", 3),
    ("upstream", 4),
    ("supervise", 4),
    ("pyhost", 4),
    ("front", 5),
    ("propylon", 6),
    ("floor", 6),
    ("instructions", 6),
    ("xtask", 9),
];

/// Crates that may hold `unsafe`.
const UNSAFE_ROOMS: &[&str] = &["crates/sys/", "crates/pyhost/"];
/// Longest source file in lines.
const FILE_LINES_MAX: usize = 800;
/// Longest function in lines.
const FUNCTION_LINES_MAX: usize = 70;
/// Licences of third-party crates that we can ship under MIT OR Apache-2.0.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Apache-2.0 WITH LLVM-exception",
];

/// Runs every check and prints all findings.
pub fn run() -> ExitCode {
    let mut findings = Vec::new();
    match metadata() {
        Ok(metadata) => {
            check_levels(&metadata, &mut findings);
            check_third_party(&metadata, &mut findings);
        }
        Err(error) => findings.push(error),
    }
    for file in source_files() {
        check_file(&file, &mut findings);
    }
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn metadata() -> Result<Value, String> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn is_ours(package: &Value) -> bool {
    package["source"].is_null()
}

fn level(name: &str) -> Option<u32> {
    LEVELS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, level)| *level)
}

fn check_levels(metadata: &Value, findings: &mut Vec<String>) {
    for package in packages(metadata).filter(|package| is_ours(package)) {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(own) = level(name) else {
            findings.push(format!("crate `{name}` has no level in xtask/src/tidy.rs"));
            continue;
        };
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        for dependency in dependencies.filter(|dependency| dependency["kind"] != "dev") {
            let other = dependency["name"].as_str().unwrap_or_default();
            if level(other).is_some_and(|below| below >= own) {
                findings.push(format!("`{name}` (level {own}) must not depend on `{other}`"));
            }
        }
    }
}

fn check_third_party(metadata: &Value, findings: &mut Vec<String>) {
    let mut majors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages(metadata).filter(|package| !is_ours(package)) {
        let name = package["name"].as_str().unwrap_or_default();
        majors.entry(name).or_default().push(package["version"].as_str().unwrap_or_default());
        let licence = package["license"].as_str().unwrap_or("none");
        if !licence_is_fine(licence) {
            findings.push(format!("licence of `{name}` is not on the list: {licence}"));
        }
    }
    for (name, versions) in majors.iter().filter(|(_, versions)| versions.len() > 1) {
        // Windows and build-time helpers never reach the executable.
        let harmless = name.starts_with("windows") || matches!(*name, "syn" | "getrandom");
        if !harmless {
            findings.push(format!("`{name}` is in twice: {}", versions.join(", ")));
        }
    }
}

/// Reads the subset of SPDX expressions that crates use: `A OR B`, `A/B`, `A AND B`.
fn licence_is_fine(expression: &str) -> bool {
    let expression = expression.replace(['(', ')'], "").replace('/', " OR ");
    expression
        .split(" AND ")
        .all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

fn source_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for root in ["crates", "xtask", "benches"] {
        collect(Path::new(root), &mut files);
    }
    files.sort();
    files
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn check_file(path: &Path, findings: &mut Vec<String>) {
    let shown = path.display().to_string();
    let Ok(text) = fs::read_to_string(path) else {
        findings.push(format!("{shown}: cannot be read as UTF-8"));
        return;
    };
    if !text.starts_with("//!") {
        findings.push(format!("{shown}:1: the first line must say the file's job (`//!`)"));
    }
    if text.lines().count() > FILE_LINES_MAX {
        findings.push(format!("{shown}: over {FILE_LINES_MAX} lines, split by what it does"));
    }
    let may_be_unsafe = UNSAFE_ROOMS.iter().any(|room| shown.starts_with(room));
    if !may_be_unsafe && !shown.starts_with("xtask") && text.contains("unsafe {") {
        findings.push(format!("{shown}: `unsafe` outside of {}", UNSAFE_ROOMS.join(" and ")));
    }
    if !shown.contains("/tests") {
        check_functions(&shown, &text, findings);
    }
}

/// A function ends at the first line that closes its indentation: rustfmt guarantees that.
fn check_functions(shown: &str, text: &str, findings: &mut Vec<String>) {
    let mut open: Option<(usize, usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let word = line.trim_start();
        if let Some((start, depth, name)) = &open {
            if indent == *depth && word.starts_with('}') {
                let lines = number - start + 1;
                if lines > FUNCTION_LINES_MAX {
                    findings.push(format!(
                        "{shown}:{}: `{name}` has {lines} lines, {FUNCTION_LINES_MAX} fit a screen",
                        start + 1
                    ));
                }
                open = None;
            }
            continue;
        }
        if let Some(name) = function_name(word) {
            let ends_here = word.ends_with(';') || word.ends_with('}');
            if !ends_here {
                open = Some((number, indent, name.to_owned()));
            }
        }
    }
}

fn function_name(line: &str) -> Option<&str> {
    let prefixes = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe "];
    let mut rest = line;
    while let Some(shorter) = prefixes.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = shorter;
    }
    let rest = rest.strip_prefix("fn ")?;
    Some(&rest[..rest.find(['(', '<'])?])
}
