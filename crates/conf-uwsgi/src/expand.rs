//! The three passes over values: `$(NAME)`, `@(file)`, `%(option)` with its arithmetic.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

/// References inside references stop here: nothing sane is this deep, and rings end.
const DEPTH_MAX: usize = 16;

/// Values that name each other several times would grow without end; this many look-ups of
/// options are made for one value.
const LOOKUPS_MAX: u32 = 1_000;

/// Files behind `@( )` are read up to this size.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a pass could not do; the value keeps the reference as it was written.
#[derive(Debug, PartialEq, Eq)]
pub enum Gap {
    /// `$(NAME)` of a variable that is not set.
    VariableNotSet(String),
    /// `%(name)` of nothing that was given.
    OptionNotGiven(String),
    /// `%(a)` that leads back to itself.
    Ring(String),
    /// `%((a * b) + c)`: computed here, but uWSGI has no parentheses.
    Parentheses(String),
    /// `@(…)` that cannot be read, and why. Nothing can go on without it.
    File(String, String),
}

/// What the references can name.
pub struct Names<'run> {
    /// The environment.
    pub environment: &'run HashMap<String, String>,
    /// Options and variables; the first one given under a name counts.
    pub options: HashMap<String, String>,
    /// Where relative paths of `@( )` start.
    pub directory: &'run Path,
    /// Look-ups of options left for the value at hand.
    pub lookups_left: Cell<u32>,
}

impl Names<'_> {
    /// One option's value, as long as look-ups are left.
    fn option(&self, name: &str) -> Option<&String> {
        let left = self.lookups_left.get().checked_sub(1)?;
        self.lookups_left.set(left);
        self.options.get(name)
    }
}

/// Runs all three passes over a value.
pub fn expand(text: &str, names: &Names<'_>, gaps: &mut Vec<Gap>) -> String {
    names.lookups_left.set(LOOKUPS_MAX);
    let text = environment(text, names, gaps);
    let text = files(&text, names, gaps);
    options(&text, names, gaps, 0)
}

/// `$(NAME)`; also `$(NAME:-default)` and `$(NAME-default)` as uWSGI 2.1 has them.
pub fn environment(text: &str, names: &Names<'_>, gaps: &mut Vec<Gap>) -> String {
    references(text, '$', &mut |inside| {
        let (name, default, even_empty) = match inside.split_once('-') {
            Some((name, default)) => match name.strip_suffix(':') {
                Some(name) => (name, Some(default), true),
                None => (name, Some(default), false),
            },
            None => (inside, None, false),
        };
        let set = names.environment.get(name).filter(|value| !(even_empty && value.is_empty()));
        match set.map(String::as_str).or(default) {
            Some(value) => Some(value.to_owned()),
            None => {
                gaps.push(Gap::VariableNotSet(inside.to_owned()));
                None
            }
        }
    })
}

fn files(text: &str, names: &Names<'_>, gaps: &mut Vec<Gap>) -> String {
    references(text, '@', &mut |inside| match read_file(inside, names.directory) {
        Ok(content) => Some(content),
        Err(reason) => {
            gaps.push(Gap::File(inside.to_owned(), reason));
            None
        }
    })
}

/// The file's text without the blanks at its end.
fn read_file(name: &str, directory: &Path) -> Result<String, String> {
    let path = match name.split_once("://") {
        Some(("file", path)) => path,
        Some(("exec", _)) => return Err("commands are not run while reading".to_owned()),
        Some((scheme, _)) => return Err(format!("`{scheme}://` cannot be read here")),
        None => name,
    };
    let path = directory.join(path);
    let size = std::fs::metadata(&path).map_err(|error| error.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("more than {FILE_BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    Ok(text.trim_end().to_owned())
}

/// `%(name)` and `%(2 + 3)`.
fn options(text: &str, names: &Names<'_>, gaps: &mut Vec<Gap>, depth: usize) -> String {
    references(text, '%', &mut |inside| {
        if depth >= DEPTH_MAX {
            gaps.push(Gap::Ring(inside.to_owned()));
            return None;
        }
        if !inside.contains(' ') {
            return match names.option(inside) {
                Some(value) => {
                    let value = environment(value, names, &mut Vec::new());
                    Some(options(&value, names, gaps, depth + 1))
                }
                None => {
                    gaps.push(Gap::OptionNotGiven(inside.to_owned()));
                    None
                }
            };
        }
        if inside.contains(['(', ')']) {
            gaps.push(Gap::Parentheses(inside.to_owned()));
        }
        let spaced = inside.replace('(', " ( ").replace(')', " ) ");
        let mut tokens = spaced.split_whitespace();
        Some(compute(&mut tokens, names, gaps, depth))
    })
}

/// Left to right, without precedence; two values without an operator are put together.
fn compute(
    tokens: &mut std::str::SplitWhitespace<'_>,
    names: &Names<'_>,
    gaps: &mut Vec<Gap>,
    depth: usize,
) -> String {
    let mut result = String::new();
    let mut operator = None;
    while let Some(token) = tokens.next() {
        let value = match token {
            ")" => break,
            "+" | "-" | "*" | "/" => {
                operator = Some(token);
                continue;
            }
            "++" => {
                result = whole(&result).saturating_add(1).to_string();
                continue;
            }
            "--" => {
                result = whole(&result).saturating_sub(1).to_string();
                continue;
            }
            "(" if depth < DEPTH_MAX => compute(tokens, names, gaps, depth + 1),
            token => match names.option(token) {
                Some(value) if depth < DEPTH_MAX => options(value, names, gaps, depth + 1),
                _ => token.to_owned(),
            },
        };
        let (left, right) = (whole(&result), whole(&value));
        result = match operator.take() {
            None => result + &value,
            Some("+") => left.saturating_add(right).to_string(),
            Some("-") => left.saturating_sub(right).to_string(),
            Some("*") => left.saturating_mul(right).to_string(),
            Some(_) => left.checked_div(right).unwrap_or(0).to_string(),
        };
    }
    result
}

/// The number that a text starts with, or 0.
fn whole(text: &str) -> i64 {
    let end = text
        .char_indices()
        .find(|(at, letter)| !(letter.is_ascii_digit() || (*at == 0 && *letter == '-')))
        .map_or(text.len(), |(at, _)| at);
    text.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Replaces `<sign>(inside)`, parentheses inside being balanced; `None` keeps the text.
fn references(text: &str, sign: char, resolve: &mut dyn FnMut(&str) -> Option<String>) -> String {
    let open = format!("{sign}(");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open.as_str()) {
        out.push_str(before);
        let Some(end) = closing(after) else {
            out.push_str(&open);
            rest = after;
            continue;
        };
        let (inside, after) = after.split_at(end);
        match resolve(inside) {
            Some(value) => out.push_str(&value),
            None => {
                out.push_str(&open);
                out.push_str(inside);
                out.push(')');
            }
        }
        rest = after.strip_prefix(')').unwrap_or(after);
    }
    out + rest
}

/// Where the parenthesis closes that was opened just before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// All names that `%( )` asks for in a text, for telling a variable from a misspelt option.
pub fn asked_names(text: &str) -> Vec<String> {
    let mut asked = Vec::new();
    references(text, '%', &mut |inside| {
        let words = inside.split([' ', '(', ')', '%']).filter(|word| !word.is_empty());
        asked.extend(words.map(str::to_owned));
        None
    });
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> (String, Vec<Gap>) {
        let environment = HashMap::from([("HOME".to_owned(), "/root".to_owned())]);
        let pairs = [("a", "1"), ("ring", "%(ring)"), ("home", "$(HOME)/%(a)")];
        let options = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let directory = Path::new("/");
        let lookups_left = Cell::new(0);
        let names = Names { environment: &environment, options, directory, lookups_left };
        let mut gaps = Vec::new();
        (expand(text, &names, &mut gaps), gaps)
    }

    #[test]
    fn arithmetic_goes_from_left_to_right_as_in_uwsgi() {
        let pairs = [
            ("%(a a)", "11"),
            ("%(a + 5 - 2)", "4"),
            ("%(2 + 3 * 4)", "20"),
            ("%(7 / 2)", "3"),
            ("%(7 / 0)", "0"),
            ("%(3 4)", "34"),
            ("%(a ++)", "2"),
            ("%(a + x)", "1"),
            ("x%(home)y", "x/root/1y"),
        ];
        for (text, value) in pairs {
            assert_eq!(expanded(text).0, value, "{text}");
        }
    }

    #[test]
    fn parentheses_are_computed_and_told() {
        let (value, gaps) = expanded("%((2 * 2) + 1)");
        assert_eq!(value, "5");
        assert_eq!(gaps, [Gap::Parentheses("(2 * 2) + 1".to_owned())]);
    }

    #[test]
    fn what_is_not_there_stays_as_written_and_is_told() {
        let (value, gaps) = expanded("$(NO)-%(no)-$(open-%(ring)");
        assert!(value.starts_with("$(NO)-%(no)-"), "{value}");
        assert_eq!(gaps[0], Gap::VariableNotSet("NO".to_owned()));
        assert!(gaps.contains(&Gap::OptionNotGiven("no".to_owned())));
    }

    #[test]
    fn a_ring_of_references_ends() {
        assert!(expanded("%(ring)").1.contains(&Gap::Ring("ring".to_owned())));
    }

    #[test]
    fn a_default_stands_in_for_a_variable_that_is_not_set() {
        assert_eq!(expanded("$(NO:-80)$(NO-81)$(HOME:-82)").0, "8081/root");
    }
}
