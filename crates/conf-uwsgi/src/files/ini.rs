//! ini: `[section]`, `key = value`, `#` and `;` at the start of a line.

use super::{Line, Lines};

/// Reads one section; it may appear several times.
pub fn read(text: &str, section: &str, magic: &dyn Fn(&str) -> String) -> Lines {
    let mut found = Lines::default();
    let mut inside = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let at = start + (line.len() - line.trim_start().len());
        start += line.len();
        // A byte order mark is no part of the first line.
        let (trimmed, at) = match trimmed.strip_prefix('\u{feff}') {
            Some(rest) => (rest, at + '\u{feff}'.len_utf8()),
            None => (trimmed, at),
        };
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = trimmed.strip_prefix('[') {
            let name = magic(rest.split(']').next().unwrap_or(rest));
            inside = name == section;
            found.section_found |= inside;
            found.sections.push(name);
        } else if inside {
            found.lines.push(option(trimmed, at, magic));
        }
    }
    found
}

fn option(text: &str, at: usize, magic: &dyn Fn(&str) -> String) -> Line {
    let Some((key, value)) = text.split_once('=') else {
        let place = at..at + text.len();
        return Line { key: magic(text), value: None, key_at: place.clone(), value_at: place };
    };
    let key_at = at..at + key.trim_end().len();
    let value_start = at + key.len() + 1 + (value.len() - value.trim_start().len());
    let value = value.trim();
    Line {
        key: magic(key.trim()),
        value: Some(magic(value)),
        key_at,
        value_at: value_start..value_start + value.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn only_the_asked_section_is_read_wherever_it_appears() {
        let text = "a = 0\n[uwsgi]\na=1\n[x]\na = 2\n[uwsgi]\nb\n  c  =  3 = 4  \n; d\n# e = 5\n";
        let found = read(text, "uwsgi", &same);
        let pairs: Vec<_> =
            found.lines.iter().map(|line| (line.key.as_str(), line.value.as_deref())).collect();
        assert_eq!(pairs, [("a", Some("1")), ("b", None), ("c", Some("3 = 4"))]);
        let c = &found.lines[2];
        assert_eq!((&text[c.key_at.clone()], &text[c.value_at.clone()]), ("c", "3 = 4"));
    }
}
