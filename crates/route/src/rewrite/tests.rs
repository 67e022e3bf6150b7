//! The table of rewrites, as the real nginx answered them.

mod reading;
mod request;

use plan::front::{LocationId, LocationTree};

use super::{Changes, RewriteOutcome, Step, run};
use crate::location::Level;
use reading::Reader;
use request::Request;

/// One block of the table.
#[derive(Default)]
struct Block {
    title: String,
    lines: Vec<String>,
    expected: Vec<(String, String)>,
}

fn blocks() -> Vec<Block> {
    let table = include_str!("../../tests/data/rewrites.txt");
    let mut blocks: Vec<Block> = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        if let Some(title) = line.strip_prefix("== ") {
            blocks.push(Block { title: title.to_owned(), ..Block::default() });
            continue;
        }
        let block = blocks.last_mut().unwrap();
        match line.split_once(" => ").filter(|_| line.starts_with('/')) {
            Some((uri, answer)) => block.expected.push((uri.to_owned(), answer.to_owned())),
            None => block.lines.push(line.to_owned()),
        }
    }
    blocks
}

/// A block, compiled.
struct Site {
    server: Vec<Step>,
    locations: Vec<Vec<Step>>,
    level: Level,
    /// Names of locations and `if`s by their number.
    names: Vec<String>,
}

impl Site {
    fn new(block: &Block) -> Site {
        let read = Reader::read(&block.lines);
        let tree = LocationTree { prefixes: read.prefixes, ..LocationTree::default() };
        let compile = |steps: &Vec<_>| Step::compile(steps).unwrap();
        Site {
            server: compile(&read.server),
            locations: read.locations.iter().map(compile).collect(),
            level: Level::new(&tree, &|_| false).unwrap(),
            names: read.names,
        }
    }

    /// What becomes of a request, in the words of the table.
    fn answer(&self, target: &str) -> String {
        let mut request = Request::new(target);
        let mut changes = Changes::default();
        if let Some(answer) = spoken(run(&self.server, &mut request)) {
            return answer;
        }
        loop {
            let found = self.level.find(&request.uri, LocationId(u32::MAX)).unwrap();
            request.location = found.location;
            let steps = &self.locations[found.location.0 as usize];
            let outcome = run(steps, &mut request);
            if outcome == RewriteOutcome::ChooseAnew {
                if changes.spend().is_err() {
                    return "500".to_owned();
                }
                continue;
            }
            let shown = || request.shown(&self.names[request.location.0 as usize]);
            return spoken(outcome).unwrap_or_else(shown);
        }
    }
}

/// The answer, if the outcome is one.
fn spoken(outcome: RewriteOutcome) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match outcome {
        RewriteOutcome::Stay | RewriteOutcome::ChooseAnew => None,
        RewriteOutcome::Redirect { status, location } => {
            Some(format!("{status} {}", text(&location)))
        }
        RewriteOutcome::Return { status, text: None } => Some(status.to_string()),
        RewriteOutcome::Return { status, text: Some(body) } => {
            Some(format!("{status} {}", text(&body)))
        }
        RewriteOutcome::Failed(_) => Some("500".to_owned()),
    }
}

#[test]
fn every_request_is_rewritten_as_nginx_does() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for block in blocks() {
        let site = Site::new(&block);
        for (target, expected) in &block.expected {
            rows += 1;
            let answer = site.answer(target);
            if answer != *expected {
                wrong.push(format!("{}: {target} became {answer}, not {expected}", block.title));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(rows > 100, "the table has been read");
}

#[test]
fn the_eleventh_change_of_a_uri_is_one_too_many() {
    let mut changes = Changes::default();
    assert_eq!((0..12).filter(|_| changes.spend().is_ok()).count(), 10);
}
