//! The table of locations, as the real nginx chose them; and the search against a plain one.

use plan::RegexPlan;
use plan::front::http::{PrefixLocation, RegexLocation};
use plan::front::{LocationId, LocationTree};

use super::Level;

const NONE: LocationId = LocationId(u32::MAX);

/// The locations of one block of the table.
#[derive(Default)]
struct Block {
    title: String,
    lines: Vec<String>,
    expected: Vec<(String, String)>,
}

fn blocks() -> Vec<Block> {
    let table = include_str!("../../tests/data/locations.txt");
    let mut blocks: Vec<Block> = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        if let Some(title) = line.strip_prefix("== ") {
            blocks.push(Block { title: title.to_owned(), ..Block::default() });
            continue;
        }
        let block = blocks.last_mut().unwrap();
        match line.split_once(" => ") {
            Some((uri, name)) => block.expected.push((uri.to_owned(), name.to_owned())),
            None => block.lines.push(line.to_owned()),
        }
    }
    blocks
}

/// Reads the locations that are indented by `depth` steps, from `next` on.
fn read(lines: &[String], next: &mut usize, depth: usize) -> LocationTree {
    let mut tree = LocationTree::default();
    while let Some(line) = lines.get(*next) {
        if line.len() - line.trim_start().len() < depth * 4 {
            break;
        }
        let location = LocationId(*next as u32);
        *next += 1;
        let nested = read(lines, next, depth + 1);
        let (kind, text) = line.trim().split_once(' ').unwrap();
        let (modifier, pattern) = text.split_once(' ').unwrap_or(("", text));
        match modifier {
            "=" => tree.exact.push((pattern.to_owned(), location)),
            "~" | "~*" => tree.regexes.push(RegexLocation {
                regex: RegexPlan {
                    pattern: pattern.to_owned(),
                    ignore_case: modifier == "~*",
                    named: Vec::new(),
                },
                location,
                nested,
            }),
            _ => tree.prefixes.push(PrefixLocation {
                uri: pattern.to_owned(),
                location,
                skip_regexes: modifier == "^~",
                auto_redirect: kind == "proxy",
                nested,
            }),
        }
    }
    tree
}

#[test]
fn every_uri_finds_the_location_that_nginx_finds() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for block in blocks() {
        let tree = read(&block.lines, &mut 0, 0);
        let is_proxy = |id: LocationId| block.lines[id.0 as usize].trim().starts_with("proxy");
        let level = Level::new(&tree, &is_proxy).unwrap();
        for (uri, expected) in &block.expected {
            rows += 1;
            let found = level.find(uri.as_bytes(), NONE).unwrap();
            let name = match found.location {
                _ if found.redirect_to_slash => "301",
                NONE => "none",
                location => block.lines[location.0 as usize].trim().split_once(' ').unwrap().1,
            };
            if name != expected {
                wrong.push(format!("{}: {uri} found {name}, not {expected}", block.title));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(rows > 100, "the table has been read");
}

#[test]
fn the_longest_prefix_is_found_among_all_short_texts() {
    let mut tree = LocationTree::default();
    let alphabet = [b'/', b'a', b'b'];
    // Every fifth of all texts of up to five of these letters.
    let texts: Vec<Vec<u8>> = (1..=5).flat_map(|length| texts(&alphabet, length)).collect();
    for (at, text) in texts.iter().enumerate().filter(|(at, _)| at % 5 == 1) {
        tree.prefixes.push(PrefixLocation {
            uri: String::from_utf8(text.clone()).unwrap(),
            location: LocationId(at as u32),
            skip_regexes: false,
            auto_redirect: false,
            nested: LocationTree::default(),
        });
    }
    let level = Level::new(&tree, &|_| false).unwrap();
    for uri in &texts {
        let all = tree.prefixes.iter().filter(|prefix| uri.starts_with(prefix.uri.as_bytes()));
        let longest = all.max_by_key(|prefix| prefix.uri.len()).map_or(NONE, |it| it.location);
        assert_eq!(level.find(uri, NONE).unwrap().location, longest, "{uri:?}");
    }
}

fn texts(alphabet: &[u8], length: usize) -> Vec<Vec<u8>> {
    if length == 0 {
        return vec![Vec::new()];
    }
    let shorter = texts(alphabet, length - 1);
    let longer = |text: &Vec<u8>| {
        let text = text.clone();
        alphabet.iter().map(move |letter| [text.as_slice(), &[*letter]].concat())
    };
    shorter.iter().flat_map(longer).collect()
}
