//! The table against the names that uWSGI 2.0.31 and its plugins have (`tests/uwsgi-names`), and
//! the documentation against the table.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

use conf_uwsgi::{Command, Context, load, reference};

fn known_names() -> Vec<String> {
    let loaded = load(&[OsString::from("--dump-options")], &[], &Context::of_this_process());
    let Command::Print(text) = loaded.command else { panic!("{:?}", loaded.command) };
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_option_of_uwsgi_is_known() {
    let known: HashSet<String> = known_names().into_iter().collect();
    let unknown: Vec<&str> =
        include_str!("uwsgi-names").lines().filter(|name| !known.contains(*name)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn no_option_has_two_rows() {
    let mut seen = HashSet::new();
    let twice: Vec<String> =
        known_names().into_iter().filter(|name| !seen.insert(name.clone())).collect();
    assert_eq!(twice, Vec::<String>::new());
}

#[test]
fn the_reference_in_the_documentation_is_made_from_the_rows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/uwsgi-options.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == reference(),
        "run `cargo run -p conf-uwsgi --example reference > docs/uwsgi-options.md`"
    );
}

#[test]
fn the_help_names_every_option_with_an_effect_once() {
    let loaded = load(&[OsString::from("-h")], &[], &Context::of_this_process());
    let Command::Help(text) = loaded.command else { panic!("{:?}", loaded.command) };
    for option in ["-w|--module|--wsgi VALUE", "-C|--chmod-socket", "--http|--httprouter"] {
        assert_eq!(text.matches(option).count(), 1, "{option}");
    }
}
