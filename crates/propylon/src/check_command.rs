//! `propylon check`: every problem of either kind of file, with its place and a hint.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use conf_nginx::LoadOptions;
use diag::{Problems, Severity};

use crate::app_command;

/// Runs the command and returns the exit code: 1 if any file cannot be used.
pub fn run(arguments: &[OsString]) -> i32 {
    if arguments.is_empty() || arguments.iter().any(|word| word == "--help" || word == "-h") {
        eprintln!("usage: propylon check FILE…");
        return if arguments.is_empty() { 2 } else { 0 };
    }
    let mut failed = false;
    for argument in arguments {
        let file = Path::new(argument);
        let problems = match kind_of(file) {
            Ok(Kind::App) => app_command::read(std::slice::from_ref(argument)).problems,
            Ok(Kind::Site { whole }) => site_problems(file, whole),
            Err(error) => {
                println!("{}: {error}", file.display());
                failed = true;
                continue;
            }
        };
        failed |= problems.any_error();
        report(file, &problems);
    }
    i32::from(failed)
}

/// Which language a file is written in.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// uWSGI's.
    App,
    /// nginx's; whole or server blocks only.
    Site { whole: bool },
}

fn kind_of(file: &Path) -> std::io::Result<Kind> {
    let text = String::from_utf8_lossy(&std::fs::read(file)?).into_owned();
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    Ok(match ending {
        "ini" | "xml" | "yml" | "yaml" | "json" | "js" => Kind::App,
        _ => guess(&text),
    })
}

/// By the first line that says anything: `[section]` is an ini file; nginx's directives end in a
/// semicolon or open a block.
fn guess(text: &str) -> Kind {
    let lines = || text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    if lines()
        .find(|line| !line.is_empty() && !line.starts_with(';'))
        .is_some_and(|line| line.starts_with('['))
    {
        return Kind::App;
    }
    let first_words = || lines().filter_map(|line| line.split([' ', '\t', '{', ';']).next());
    Kind::Site { whole: first_words().any(|word| word == "http" || word == "events") }
}

fn site_problems(file: &Path, whole: bool) -> Problems {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let options = LoadOptions {
        conf_file: here.join(file),
        test_mode: true,
        is_root: sys::users::is_root(),
        server_blocks_only: !whole,
        ..LoadOptions::default()
    };
    conf_nginx::load(&options).problems
}

fn report(file: &Path, problems: &Problems) {
    if problems.is_empty() {
        println!("{}: fine", file.display());
    }
    for problem in problems.iter() {
        let kind = match problem.severity {
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        match &problem.place {
            Some(_) => println!("{kind}: {problem}"),
            None => println!("{kind}: {}: {problem}", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_a_file_is_seen_in_its_first_lines() {
        assert_eq!(guess("; note\n[uwsgi]\nmaster = true\n"), Kind::App);
        assert_eq!(guess("# note\n[uwsgi]\nmaster = true\n"), Kind::App);
        assert_eq!(guess("events { }\nhttp { }\n"), Kind::Site { whole: true });
        assert_eq!(guess("server {\n listen 80;\n}\n"), Kind::Site { whole: false });
    }
}
