//! Reads the table's rules into plans, as far as the table goes.

use bytes::Bytes;
use plan::front::LocationId;
use plan::front::LocationTree;
use plan::front::http::PrefixLocation;
use plan::front::rewrite::{Condition, FileTest, Return, RewriteFlag, RewriteStep};
use plan::template::Slot;
use plan::{Part, RegexPlan, Template, Variable};

/// What was read.
#[derive(Default)]
pub(super) struct Reader {
    pub server: Vec<RewriteStep>,
    /// Steps by location number; those of `if`s are empty.
    pub locations: Vec<Vec<RewriteStep>>,
    pub prefixes: Vec<PrefixLocation>,
    pub names: Vec<String>,
}

impl Reader {
    pub(super) fn read(lines: &[String]) -> Reader {
        let mut reader = Reader::default();
        let mut next = 0;
        while let Some(line) = lines.get(next) {
            next += 1;
            let Some(prefix) = line.strip_prefix("location ") else {
                reader.server = reader.steps(lines, &mut next, 1, None);
                continue;
            };
            let location = reader.add(prefix.trim().to_owned());
            reader.prefixes.push(PrefixLocation {
                uri: prefix.trim().to_owned(),
                location,
                skip_regexes: false,
                auto_redirect: false,
                nested: LocationTree::default(),
            });
            let steps = reader.steps(lines, &mut next, 1, Some(prefix.trim()));
            reader.locations[location.0 as usize] = steps;
        }
        reader
    }

    fn add(&mut self, name: String) -> LocationId {
        self.names.push(name);
        self.locations.push(Vec::new());
        LocationId(self.names.len() as u32 - 1)
    }

    fn steps(
        &mut self,
        lines: &[String],
        next: &mut usize,
        depth: usize,
        location: Option<&str>,
    ) -> Vec<RewriteStep> {
        let mut steps = Vec::new();
        let mut ifs = 0;
        while let Some(line) = lines.get(*next) {
            if line.len() - line.trim_start().len() < depth * 4 {
                break;
            }
            *next += 1;
            let Some(text) = line.trim().strip_prefix("if (") else {
                steps.push(step(&words(line.trim())));
                continue;
            };
            ifs += 1;
            let condition = condition(text.strip_suffix(')').unwrap());
            let installed = location.map(|name| self.add(format!("{name}:if{ifs}")));
            let inside = self.steps(lines, next, depth + 1, None);
            steps.push(RewriteStep::If { condition, steps: inside, location: installed });
        }
        steps
    }
}

/// Words as nginx cuts them: by blanks, except within double quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(letter),
        }
    }
    words
}

fn step(words: &[String]) -> RewriteStep {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["set", name, value] => RewriteStep::Set(slot(&name[1..]), template(value)),
        ["break"] => RewriteStep::Break,
        ["return", first] if first.parse::<u16>().is_err() => {
            RewriteStep::Return(Return { status: 302, text: Some(template(first)) })
        }
        ["return", status] => {
            RewriteStep::Return(Return { status: status.parse().unwrap(), text: None })
        }
        ["return", status, text] => RewriteStep::Return(Return {
            status: status.parse().unwrap(),
            text: Some(template(text)),
        }),
        ["rewrite", pattern, replacement] => rewrite(pattern, replacement, None),
        ["rewrite", pattern, replacement, flag] => rewrite(pattern, replacement, Some(flag)),
        _ => panic!("no step: {words:?}"),
    }
}

fn rewrite(pattern: &str, replacement: &str, flag: Option<&str>) -> RewriteStep {
    let is_absolute = replacement.starts_with("http://") || replacement.starts_with("https://");
    let flag = match flag {
        Some("permanent") => RewriteFlag::Redirect(301),
        Some("redirect") => RewriteFlag::Redirect(302),
        _ if is_absolute => RewriteFlag::Redirect(302),
        Some("last") => RewriteFlag::Last,
        Some("break") => RewriteFlag::Break,
        _ => RewriteFlag::Continue,
    };
    let stripped = replacement.strip_suffix('?');
    RewriteStep::Rewrite {
        regex: regex(pattern, false),
        replacement: template(stripped.unwrap_or(replacement)),
        drop_args: stripped.is_some(),
        flag,
    }
}

fn regex(pattern: &str, ignore_case: bool) -> RegexPlan {
    let is_named = pattern.contains("(?<");
    let name = pattern.split("(?<").nth(1).and_then(|rest| rest.split('>').next());
    let named = name.filter(|_| is_named).map(|name| (name.to_owned(), slot(name)));
    RegexPlan { pattern: pattern.to_owned(), ignore_case, named: named.into_iter().collect() }
}

fn condition(text: &str) -> Condition {
    let words = words(text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [name] => Condition::Truthy(variable(&name[1..])),
        [test, path] if test.trim_start_matches('!').starts_with('-') => Condition::File {
            test: match test.trim_start_matches('!') {
                "-f" => FileTest::File,
                "-d" => FileTest::Directory,
                "-e" => FileTest::Exists,
                _ => FileTest::Executable,
            },
            path: template(path),
            negate: test.starts_with('!'),
        },
        [name, "=" | "!=", value] => Condition::Equals {
            variable: variable(&name[1..]),
            value: template(value),
            negate: words[1] == "!=",
        },
        [name, operator, pattern] => Condition::Matches {
            variable: variable(&name[1..]),
            regex: regex(pattern, operator.ends_with('*')),
            negate: operator.starts_with('!'),
        },
        _ => panic!("no condition: {text}"),
    }
}

fn slot(name: &str) -> Slot {
    Slot(u16::from(name == "y"))
}

fn variable(name: &str) -> Variable {
    match name {
        "uri" => Variable::Uri,
        "args" => Variable::Args,
        "request_uri" => Variable::RequestUri,
        "x" | "y" => Variable::User(slot(name)),
        _ => Variable::Arg(name.strip_prefix("arg_").unwrap().to_owned()),
    }
}

fn template(text: &str) -> Template {
    let mut pieces = text.split('$');
    let mut parts = Vec::new();
    let push_text = |parts: &mut Vec<Part>, text: &str| {
        if !text.is_empty() {
            parts.push(Part::Text(Bytes::copy_from_slice(text.as_bytes())));
        }
    };
    push_text(&mut parts, pieces.next().unwrap_or_default());
    for piece in pieces {
        if let Some((name, rest)) = piece.strip_prefix('{').and_then(|it| it.split_once('}')) {
            parts.push(Part::Variable(variable(name)));
            push_text(&mut parts, rest);
            continue;
        }
        if let Some(digit) = piece.chars().next().and_then(|first| first.to_digit(10)) {
            parts.push(Part::Capture(digit as u8));
            push_text(&mut parts, &piece[1..]);
            continue;
        }
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let end = piece.find(|letter| !is_name(letter)).unwrap_or(piece.len());
        parts.push(Part::Variable(variable(&piece[..end])));
        push_text(&mut parts, &piece[end..]);
    }
    Template { parts }
}
