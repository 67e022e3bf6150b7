//! Cuts a configuration text into statements, exactly where nginx cuts it.
//!
//! A word ends at white space, `;` or `{`; quotes count only at the start of a word; a backslash
//! protects the next character; `#` starts a comment only where a word could start; `${` does not
//! open a block. A quoted word must be followed by white space, `;`, `{` or `)`.

/// Longest word nginx takes; longer ones are nearly always a missing quote.
const WORD_BYTES_MAX: usize = 4096;

/// A word and where it stood, in bytes, quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawWord {
    /// The text, escapes taken out.
    pub text: String,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// What ended a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminator {
    /// `;`
    Semicolon,
    /// `{`
    OpenBrace,
}

/// One step through the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Words and what ended them. Without words only after [`LexProblem::Unexpected`].
    Statement(Vec<RawWord>, Terminator),
    /// `}`
    CloseBrace,
    /// The text is over.
    End,
}

/// Where the text is not well formed. Lexing can go on after each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LexProblem {
    /// A character that cannot stand here.
    Unexpected(char),
    /// The text ended inside a statement.
    EndInStatement,
    /// A word that is too long; the quote it started with, if any, and its first bytes.
    TooLong(Option<char>, String),
}

/// Walks over one text.
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// What one call of [`Lexer::next_event`] found.
pub struct Found {
    /// The step; `None` after a problem that left nothing to use.
    pub event: Option<Event>,
    /// What was wrong on the way, and at which byte.
    pub problem: Option<(LexProblem, usize)>,
    /// Byte of the terminator (or of the end of the text).
    pub at: usize,
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning.
    pub fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    /// The next statement, closing brace or end.
    pub fn next_event(&mut self) -> Found {
        let mut words = Vec::new();
        loop {
            self.skip_blanks();
            let at = self.at;
            match self.peek() {
                None if words.is_empty() => return found(Event::End, at),
                None => return broken(None, LexProblem::EndInStatement, at),
                Some(end @ (';' | '{')) => {
                    self.at += 1;
                    let terminator = terminator(end);
                    let problem = words.is_empty().then_some((LexProblem::Unexpected(end), at));
                    let event = Some(Event::Statement(words, terminator));
                    return Found { event, problem, at };
                }
                Some('}') => {
                    self.at += 1;
                    if words.is_empty() {
                        return found(Event::CloseBrace, at);
                    }
                    return broken(Some(Event::CloseBrace), LexProblem::Unexpected('}'), at);
                }
                Some(_) => match self.word() {
                    Ok(word) => words.push(word),
                    Err((problem, at)) => {
                        self.skip_statement();
                        return broken(None, problem, at);
                    }
                },
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_blanks(&mut self) {
        let mut comment = false;
        for byte in self.text.as_bytes()[self.at..].iter() {
            match byte {
                b'\n' => comment = false,
                b' ' | b'\t' | b'\r' => {}
                b'#' => comment = true,
                _ if comment => {}
                _ => return,
            }
            self.at += 1;
        }
    }

    /// After a problem inside a statement: goes to the end of its line or past its `;`.
    fn skip_statement(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let stop = rest.iter().position(|byte| matches!(byte, b';' | b'\n' | b'{' | b'}'));
        self.at += match stop {
            Some(offset) if rest[offset] == b';' => offset + 1,
            Some(offset) => offset,
            None => rest.len(),
        };
    }

    fn word(&mut self) -> Result<RawWord, (LexProblem, usize)> {
        let start = self.at;
        let quote = self.peek().filter(|first| matches!(first, '"' | '\''));
        let inner = start + usize::from(quote.is_some());
        let end = self.word_end(inner, quote);
        if end.unwrap_or(self.text.len()) - inner >= WORD_BYTES_MAX {
            let head: String = self.text[inner..].chars().take(10).collect();
            self.at = end.unwrap_or(self.text.len());
            return Err((LexProblem::TooLong(quote, head), start));
        }
        let Some(end) = end else {
            self.at = self.text.len();
            return Err((LexProblem::EndInStatement, start));
        };
        let text = unescape(&self.text[inner..end]);
        self.at = end + usize::from(quote.is_some());
        if quote.is_some() {
            match self.peek() {
                None | Some(' ' | '\t' | '\r' | '\n' | ';' | '{' | ')') => {}
                Some(other) => return Err((LexProblem::Unexpected(other), self.at)),
            }
        }
        Ok(RawWord { text, start, end: self.at })
    }

    /// Where the word that starts at `from` ends; `None` if the text ends first.
    fn word_end(&self, from: usize, quote: Option<char>) -> Option<usize> {
        let mut protected = false;
        let mut dollar = false;
        for (offset, byte) in self.text.as_bytes()[from..].iter().enumerate() {
            if protected {
                protected = false;
                continue;
            }
            let after_dollar = std::mem::replace(&mut dollar, *byte == b'$');
            match (byte, quote) {
                (b'\\', _) => protected = true,
                (b'{', _) if after_dollar => {}
                (byte, Some(quote)) if *byte as char == quote => return Some(from + offset),
                (b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{', None) => return Some(from + offset),
                _ => {}
            }
        }
        None
    }
}

fn terminator(end: char) -> Terminator {
    if end == ';' { Terminator::Semicolon } else { Terminator::OpenBrace }
}

fn found(event: Event, at: usize) -> Found {
    Found { event: Some(event), problem: None, at }
}

fn broken(event: Option<Event>, problem: LexProblem, at: usize) -> Found {
    Found { event, problem: Some((problem, at)), at }
}

/// Takes the backslashes out that nginx takes out: before quotes and backslashes, and the three
/// that mean a control character. All others stay, which is why regexes need no doubling.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(next) = chars.next() {
        if next != '\\' {
            out.push(next);
            continue;
        }
        match chars.next() {
            Some(plain @ ('"' | '\'' | '\\')) => out.push(plain),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('n') => out.push('\n'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        match Lexer::new(text).next_event().event {
            Some(Event::Statement(words, _)) => words.into_iter().map(|word| word.text).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn problem(text: &str) -> LexProblem {
        Lexer::new(text).next_event().problem.expect("a problem").0
    }

    #[test]
    fn a_brace_after_a_dollar_stays_in_the_word() {
        assert_eq!(words("return 200 ${a}b{"), ["return", "200", "${a}b"]);
    }

    #[test]
    fn a_hash_inside_a_word_is_no_comment() {
        assert_eq!(words("a b#c #d ;\n e;"), ["a", "b#c", "e"]);
    }

    #[test]
    fn only_quotes_backslashes_and_control_letters_lose_their_backslash() {
        assert_eq!(words(r#"a "\"\'\\\t\." \.b;"#), ["a", "\"'\\\t\\.", "\\.b"]);
    }

    #[test]
    fn a_closing_parenthesis_may_follow_a_quote() {
        assert_eq!(words(r#"if ($a = "b") {"#), ["if", "($a", "=", "b", ")"]);
    }

    #[test]
    fn a_letter_after_a_closing_quote_is_unexpected() {
        assert_eq!(problem("a \"b\"c;"), LexProblem::Unexpected('c'));
    }

    #[test]
    fn a_brace_in_the_middle_of_a_statement_is_unexpected() {
        assert_eq!(problem("root a }"), LexProblem::Unexpected('}'));
    }

    #[test]
    fn a_missing_quote_is_seen_when_the_word_gets_too_long() {
        let text = format!("a \"b;{}", "x".repeat(5000));
        assert!(matches!(problem(&text), LexProblem::TooLong(Some('"'), _)));
    }
}
