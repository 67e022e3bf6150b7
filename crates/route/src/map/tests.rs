//! Three maps, and what the real nginx answered for each source.

use plan::front::ServerName;
use plan::front::rewrite::MapPlan;
use plan::template::Slot;
use plan::{Part, RegexPlan, Template, Variable};

use super::MapTable;
use crate::values::Values;

/// `$arg_s` is the source, `$arg_t` is `tt`.
struct Request(&'static str);

impl Values for Request {
    fn value(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let Variable::Arg(name) = variable else { return false };
        out.extend_from_slice(if name == "s" { self.0.as_bytes() } else { b"tt" });
        true
    }

    fn capture(&self, _: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(b"of the location");
    }
}

fn text(text: &'static str) -> Template {
    Template::text(text.as_bytes())
}

fn with(prefix: &'static str, part: Part) -> Template {
    Template { parts: vec![Part::Text(prefix.into()), part] }
}

fn regex(pattern: &str, ignore_case: bool, named: &[&str]) -> RegexPlan {
    let named = named.iter().map(|name| ((*name).to_owned(), Slot(0))).collect();
    RegexPlan { pattern: pattern.to_owned(), ignore_case, named }
}

fn map(hostnames: bool, exact: &[(&str, Template)], default: &'static str) -> MapPlan {
    MapPlan {
        source: Template { parts: vec![Part::Variable(Variable::Arg("s".into()))] },
        hostnames,
        exact: exact.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        wildcards: Vec::new(),
        regexes: Vec::new(),
        default: text(default),
    }
}

fn plain() -> MapPlan {
    let argument = Template { parts: vec![Part::Variable(Variable::Arg("t".into()))] };
    let exact = [
        ("*.x.com", text("literal")),
        ("", text("nothing")),
        ("key", text("exact")),
        ("red", text("colour")),
        ("v", argument),
    ];
    let who = Part::Variable(Variable::User(Slot(0)));
    MapPlan {
        regexes: vec![
            (regex("^re(.+)$", false, &[]), with("regex-", Part::Capture(1))),
            (regex("^RE(.+)$", true, &[]), with("iregex-", Part::Capture(1))),
            (regex("^(?<who>w.*)$", false, &["who"]), with("named-", who)),
        ],
        ..map(false, &exact, "other")
    }
}

fn hosts() -> MapPlan {
    MapPlan {
        wildcards: vec![
            (ServerName::Ending(".example.com".into()), text("star")),
            (ServerName::EndingOrExact(".example.org".into()), text("dot")),
            (ServerName::Beginning("www.example.".into()), text("tail")),
            (ServerName::Ending(".a.example.com".into()), text("longstar")),
        ],
        regexes: vec![(regex("example", false, &[]), text("regex"))],
        ..map(true, &[("example.com", text("exact"))], "other")
    }
}

#[test]
fn every_source_finds_the_value_that_nginx_finds() {
    let maps = [plain(), hosts(), map(false, &[("a", text("1"))], "")];
    let maps = maps.map(|plan| MapTable::new(&plan).unwrap());
    for (source, expected) in [
        ("Key", "exact|other|"),
        ("key", "exact|other|"),
        ("", "nothing|other|"),
        ("rex", "regex-x|other|"),
        ("REx", "iregex-x|other|"),
        ("REX", "iregex-X|other|"),
        ("who", "named-who|other|"),
        ("RED", "colour|other|"),
        ("q.x.com", "other|other|"),
        ("*.x.com", "literal|other|"),
        ("v", "tt|other|"),
        ("A", "other|other|1"),
        ("example.com", "other|exact|"),
        ("EXAMPLE.com.", "other|exact|"),
        ("x.example.com", "other|star|"),
        ("x.a.example.com", "other|longstar|"),
        ("example.org", "other|dot|"),
        ("y.x.example.org", "other|dot|"),
        ("www.example.net", "named-www.example.net|tail|"),
        ("q.example.net", "other|regex|"),
        ("www.example.com", "named-www.example.com|star|"),
        ("re", "other|other|"),
    ] {
        let values = maps.each_ref().map(|map| {
            let mut out = Vec::new();
            map.look_up(&Request(source), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        });
        assert_eq!(values.join("|"), expected, "{source}");
    }
}

#[test]
fn a_named_group_of_a_map_is_handed_over_for_the_request() {
    let map = MapTable::new(&plain()).unwrap();
    let captures = map.look_up(&Request("who"), &mut Vec::new()).unwrap();
    assert_eq!(captures.unwrap().slot(Slot(0)), Some(&b"who"[..]));
}
