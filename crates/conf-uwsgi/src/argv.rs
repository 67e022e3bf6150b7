//! The command line, by getopt's rules.
//!
//! Long options take `=value` or the next word and may be cut as long as the rest is unambiguous;
//! letters may be bundled; an optional argument only counts when it is attached; words that are
//! no options are kept for the end; `--` ends the options.

use diag::nearest;

use crate::row::{Fault, Takes};
use crate::rows::{self, Entry};

/// One option of the command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Word {
    /// The option's full name.
    pub name: &'static str,
    /// Its argument.
    pub value: Option<String>,
    /// Which word of the command line it was, from 0.
    pub at: usize,
}

/// The command line, taken apart.
#[derive(Debug, Default)]
pub struct Words {
    /// The options, in order.
    pub options: Vec<Word>,
    /// The other words, with their places.
    pub bare: Vec<(usize, String)>,
    /// What could not be understood, with the places.
    pub faults: Vec<(usize, Fault)>,
}

/// Takes the words apart; `words` is without the program's name.
pub fn parse(words: &[String]) -> Words {
    let mut found = Words::default();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1);
        let used_next = if word == "--" {
            let rest = words.iter().enumerate().skip(at + 1);
            found.bare.extend(rest.map(|(at, word)| (at, word.clone())));
            break;
        } else if let Some(long) = word.strip_prefix("--") {
            parse_long(&mut found, at, long, next)
        } else if word.len() > 1 && word.starts_with('-') {
            parse_letters(&mut found, at, word, next)
        } else {
            found.bare.push((at, word.clone()));
            false
        };
        at += 1 + usize::from(used_next);
    }
    found
}

/// Returns whether the next word was its argument.
fn parse_long(found: &mut Words, at: usize, long: &str, next: Option<&String>) -> bool {
    let (name, attached) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (long, None),
    };
    let entry = match by_prefix(name) {
        Ok(entry) => entry,
        Err(fault) => {
            found.faults.push((at, fault));
            return false;
        }
    };
    let name = entry.name;
    let (value, used_next) = match (entry.takes, attached) {
        (Takes::Nothing, Some(_)) => {
            let message = format!("option `--{name}` takes no argument");
            let fault = Fault::fatal(message, format!("write `--{name}`"));
            found.faults.push((at, fault));
            return false;
        }
        (Takes::Value, None) => match next {
            Some(next) => (Some(next.clone()), true),
            None => {
                found.faults.push((at, argument_missing(&format!("--{name}"))));
                return false;
            }
        },
        (_, attached) => (attached, false),
    };
    found.options.push(Word { name, value, at });
    used_next
}

/// Returns whether the next word was the argument of the last letter.
fn parse_letters(found: &mut Words, at: usize, word: &str, next: Option<&String>) -> bool {
    for (index, letter) in word.char_indices().skip(1) {
        let rest = word.get(index + letter.len_utf8()..).unwrap_or("");
        let Some(entry) = rows::find_short(letter) else {
            let hint = "letters are bundled after one `-`; long names need `--`";
            found.faults.push((at, Fault::fatal(format!("unknown option `-{letter}`"), hint)));
            return false;
        };
        let attached = (!rest.is_empty()).then(|| rest.to_owned());
        let (value, used_next) = match entry.takes {
            Takes::Nothing => {
                found.options.push(Word { name: entry.name, value: None, at });
                continue;
            }
            Takes::Value if attached.is_none() => match next {
                Some(next) => (Some(next.clone()), true),
                None => {
                    found.faults.push((at, argument_missing(&format!("-{letter}"))));
                    return false;
                }
            },
            Takes::Optional | Takes::Value => (attached, false),
        };
        found.options.push(Word { name: entry.name, value, at });
        return used_next;
    }
    false
}

fn argument_missing(option: &str) -> Fault {
    Fault::fatal(format!("option `{option}` needs an argument"), format!("write `{option} VALUE`"))
}

/// The option of that name, or the only one that starts with it.
fn by_prefix(name: &str) -> Result<Entry, Fault> {
    if let Some(entry) = rows::find(name) {
        return Ok(entry);
    }
    let matching: Vec<&str> = rows::names().filter(|known| known.starts_with(name)).collect();
    match (matching.as_slice(), rows::find(matching.first().copied().unwrap_or(""))) {
        ([_], Some(entry)) if !name.is_empty() => Ok(entry),
        ([_, _, ..], _) if !name.is_empty() => {
            const SHOWN_MAX: usize = 8;
            let shown: Vec<String> =
                matching.iter().take(SHOWN_MAX).map(|name| format!("`--{name}`")).collect();
            let more = if matching.len() > SHOWN_MAX { " or others" } else { "" };
            let hint = format!("write one of {}{more}", shown.join(", "));
            Err(Fault::fatal(format!("option `--{name}` is ambiguous"), hint))
        }
        _ => {
            let dashed = name.replace('_', "-");
            let guess = rows::find(&dashed).map(|entry| entry.name);
            let hint = match guess.or_else(|| nearest(&dashed, rows::names())) {
                Some(known) => format!("did you mean `--{known}`?"),
                None => "`--help` lists the options; `--set-placeholder NAME=VALUE` defines a \
                         variable"
                    .to_owned(),
            };
            Err(Fault::fatal(format!("unknown option `--{name}`"), hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Words {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    fn options(line: &str) -> Vec<(&'static str, Option<String>)> {
        parsed(line).options.into_iter().map(|word| (word.name, word.value)).collect()
    }

    #[test]
    fn letters_bundle_and_the_last_one_takes_the_rest_or_the_next_word() {
        let expected = vec![("master", None), ("processes", Some("4".to_owned()))];
        assert_eq!(options("-Mp4"), expected);
        assert_eq!(options("-M -p 4"), expected);
    }

    #[test]
    fn an_optional_argument_is_never_the_next_word() {
        let words = parsed("-C 664 --need-app true --chmod-socket=660 -C666");
        let values: Vec<_> = words.options.iter().map(|word| word.value.as_deref()).collect();
        assert_eq!(values, [None, None, Some("660"), Some("666")]);
        assert_eq!(words.bare, [(1, "664".to_owned()), (3, "true".to_owned())]);
    }

    #[test]
    fn a_long_name_may_be_cut_while_it_is_unambiguous() {
        assert_eq!(options("--vacu"), [("vacuum", None)]);
        assert!(parsed("--mas").faults[0].1.message.contains("ambiguous"));
    }

    #[test]
    fn an_unknown_long_option_names_the_nearest() {
        let words = parsed("--vaccum");
        assert_eq!(words.faults[0].1.hint.as_deref(), Some("did you mean `--vacuum`?"));
        let words = parsed("--enable_threads");
        assert_eq!(words.faults[0].1.hint.as_deref(), Some("did you mean `--enable-threads`?"));
    }

    #[test]
    fn two_dashes_end_the_options() {
        assert_eq!(parsed("-- -p 4").bare.len(), 2);
    }
}
