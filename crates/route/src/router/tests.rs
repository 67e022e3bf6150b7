//! The table of server names, as the real nginx chose among them.

use plan::RegexPlan;
use plan::front::{ServerId, ServerName};
use plan::template::Slot;

use super::Listen;
use crate::host;

fn name(written: &str) -> ServerName {
    if let Some(pattern) = written.strip_prefix('~') {
        let named = pattern.contains("(?<sub>").then(|| ("sub".to_owned(), Slot(0)));
        let named = named.into_iter().collect();
        let pattern = pattern.to_owned();
        return ServerName::Regex(RegexPlan { pattern, ignore_case: true, named });
    }
    let written = written.trim_matches('"').to_ascii_lowercase();
    if let Some(ending) = written.strip_prefix('*') {
        return ServerName::Ending(ending.to_owned());
    }
    if let Some(beginning) = written.strip_suffix('*') {
        return ServerName::Beginning(beginning.to_owned());
    }
    match written.starts_with('.') {
        true => ServerName::EndingOrExact(written),
        false => ServerName::Exact(written),
    }
}

/// The table's servers, and rows of host and server.
fn table() -> (Vec<String>, Listen, Vec<(&'static str, &'static str)>) {
    let table = include_str!("../../tests/data/names.txt");
    let lines: Vec<&str> = table.lines().filter(|line| !line.starts_with('#')).collect();
    let (rows, servers): (Vec<&str>, Vec<&str>) =
        lines.iter().partition(|line| line.contains(" => "));
    let mut titles = Vec::new();
    let mut names = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let mut words = server.split(' ');
        titles.push(words.next().unwrap().to_owned());
        names.extend(words.map(|written| (name(written), ServerId(at as u32))));
    }
    let names = names.iter().map(|(name, server)| (name, *server));
    let listen = Listen::of_names(names, ServerId(0)).unwrap();
    (titles, listen, rows.iter().map(|row| row.split_once(" => ").unwrap()).collect())
}

#[test]
fn every_host_finds_the_server_that_nginx_finds() {
    let (titles, listen, rows) = table();
    let mut wrong = Vec::new();
    for (host, expected) in &rows {
        let found = match host::normalise(host.as_bytes()) {
            Ok(name) => titles[listen.find(&name).unwrap().0.0 as usize].as_str(),
            Err(host::BadHost) => "400",
        };
        let expected = if expected.starts_with('!') { "400" } else { *expected };
        if found != expected {
            wrong.push(format!("{host} found {found}, not {expected}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(rows.len() > 40, "the table has been read");
}

#[test]
fn a_regex_name_hands_its_captures_over_and_no_host_means_the_empty_name() {
    let (titles, listen, _) = table();
    let (_, captures) = listen.find(b"bob.regex.net").unwrap();
    assert_eq!(captures.unwrap().slot(Slot(0)), Some(&b"bob"[..]));
    assert_eq!(titles[listen.find(b"").unwrap().0.0 as usize], "empty");
}

#[test]
fn one_server_answers_every_host_without_a_look_and_two_do_not() {
    let names =
        ["example.org", "*.example.org", "www.*"].map(|written| (name(written), ServerId(3)));
    let names = || names.iter().map(|(name, server)| (name, *server));
    let alone = Listen::of_names(names(), ServerId(3)).unwrap();
    assert!(alone.is_single);
    assert_eq!(alone.find(b"a.example.org").unwrap().0, ServerId(3));
    assert_eq!(alone.find(b"elsewhere.org").unwrap().0, ServerId(3));
    let second = Listen::of_names(names(), ServerId(4)).unwrap();
    assert!(!second.is_single);
    assert_eq!(second.find(b"www.net").unwrap().0, ServerId(3));
    assert_eq!(second.find(b"elsewhere.org").unwrap().0, ServerId(4));
    let regex = name("~^a");
    assert!(!Listen::of_names([(&regex, ServerId(0))].into_iter(), ServerId(0)).unwrap().is_single);
}
