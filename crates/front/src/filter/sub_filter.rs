//! Texts that are replaced in a body on its way out.

use bytes::Bytes;
use message::KnownHeader;
use plan::front::Handler;
use route::render_bytes;

use super::gzip::{type_listed, weaken_tag};
use crate::exchange::Exchange;
use crate::relay::{Body, BodyCut, Part, Pieces};
use crate::response::Response;

/// A body in which texts are replaced while it is pulled. What it keeps from one piece to the next
/// is shorter than the longest text it looks for.
#[derive(Debug)]
pub struct Replaced {
    source: Pieces,
    search: Search,
}

/// The texts, and where the search stands.
#[derive(Debug)]
struct Search {
    pairs: Vec<Pair>,
    once: bool,
    /// Bytes that one of the pairs begins with, in any case.
    begins: Box<[bool; 256]>,
    /// The end of what came, if more could make it one of the texts.
    /// Invariant: shorter than the longest pattern.
    held: Vec<u8>,
}

#[derive(Debug)]
struct Pair {
    /// In any case; not empty.
    pattern: Bytes,
    replacement: Bytes,
    used: bool,
}

/// What a place in the body is.
enum Place {
    /// The beginning of the text with that number.
    Text(usize),
    /// One, if what comes next is right.
    Undecided,
    /// Nothing.
    Plain,
}

impl Replaced {
    fn new(source: Body, pairs: Vec<Pair>, once: bool) -> Replaced {
        Replaced { source: Pieces::of(source), search: Search::new(pairs, once) }
    }

    /// The body below, for what it learnt.
    pub fn into_source(self) -> Body {
        self.source.into_body()
    }

    /// The next piece; `None` is the end.
    ///
    /// # Errors
    /// If the body below was cut, or a file could not be read.
    pub async fn next(&mut self) -> Result<Option<Part>, BodyCut> {
        loop {
            let output = match self.source.next().await? {
                Some(piece) => self.search.pass(piece),
                None if self.search.held.is_empty() => return Ok(None),
                None => Bytes::from(std::mem::take(&mut self.search.held)),
            };
            if !output.is_empty() {
                return Ok(Some(Part::Data(output)));
            }
        }
    }
}

impl Search {
    fn new(pairs: Vec<Pair>, once: bool) -> Search {
        let mut begins = Box::new([false; 256]);
        for first in pairs.iter().filter_map(|pair| pair.pattern.first()) {
            begins[usize::from(first.to_ascii_lowercase())] = true;
            begins[usize::from(first.to_ascii_uppercase())] = true;
        }
        Search { pairs, once, begins, held: Vec::new() }
    }

    /// What goes out of what was held and a new piece: the piece itself if nothing is replaced.
    fn pass(&mut self, piece: Bytes) -> Bytes {
        let text = if self.held.is_empty() {
            piece
        } else {
            self.held.extend_from_slice(&piece);
            Bytes::from(std::mem::take(&mut self.held))
        };
        let mut output = Vec::new();
        let (mut copied, mut at) = (0, 0);
        while let Some(next) = self.next_place(&text, at) {
            at = next;
            match self.judge(&text[at..]) {
                Place::Plain => at += 1,
                Place::Undecided => {
                    self.held.extend_from_slice(&text[at..]);
                    break;
                }
                Place::Text(number) => {
                    let pair = &mut self.pairs[number];
                    pair.used = true;
                    output.extend_from_slice(&text[copied..at]);
                    output.extend_from_slice(&pair.replacement);
                    at += pair.pattern.len();
                    copied = at;
                }
            }
        }
        let end = text.len() - self.held.len();
        if copied == 0 {
            return text.slice(..end);
        }
        output.extend_from_slice(&text[copied..end]);
        Bytes::from(output)
    }

    /// The next place, from `at` on, where a text could begin.
    fn next_place(&self, text: &[u8], at: usize) -> Option<usize> {
        let rest = text.get(at..)?;
        let found = rest.iter().position(|byte| self.begins[usize::from(*byte)])?;
        Some(at + found)
    }

    fn judge(&self, rest: &[u8]) -> Place {
        let usable = |pair: &Pair| !(self.once && pair.used);
        for (number, pair) in self.pairs.iter().enumerate().filter(|(_, pair)| usable(pair)) {
            let common = rest.len().min(pair.pattern.len());
            if rest[..common].eq_ignore_ascii_case(&pair.pattern[..common]) {
                let is_whole = common == pair.pattern.len();
                return if is_whole { Place::Text(number) } else { Place::Undecided };
            }
        }
        Place::Plain
    }
}

/// Has texts replaced in a response if the location wants that.
pub fn apply(exchange: &Exchange, response: &mut Response) {
    let location = exchange.location();
    let Some(plan) = &location.sub_filter else { return };
    let wanted = response.content_type().is_some_and(|found| type_listed(found, &plan.types));
    if !wanted || response.length == Some(0) {
        return;
    }
    let pairs = plan.pairs.iter().map(|pair| Pair {
        pattern: render_bytes(&pair.pattern, exchange),
        replacement: render_bytes(&pair.replacement, exchange),
        used: false,
    });
    let pairs: Vec<Pair> = pairs.filter(|pair| !pair.pattern.is_empty()).collect();
    if pairs.is_empty() {
        return;
    }
    let source = std::mem::replace(&mut response.body, Body::Empty);
    response.body = Body::Replaced(Box::new(Replaced::new(source, pairs, plan.once)));
    // A HEAD request has no body to replace in, but the same head.
    response.length = None;
    response.ranges = false;
    if !matches!(location.handler, Handler::Upstream(_)) {
        response.headers.remove(KnownHeader::AcceptRanges);
    }
    if plan.keeps_validators {
        weaken_tag(response);
    } else {
        response.last_modified = None;
        response.headers.remove(KnownHeader::LastModified);
        response.headers.remove(KnownHeader::ETag);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn pairs(texts: &[(&'static str, &'static str)]) -> Vec<Pair> {
        let pair = |(pattern, replacement): &(&'static str, &'static str)| Pair {
            pattern: Bytes::from_static(pattern.as_bytes()),
            replacement: Bytes::from_static(replacement.as_bytes()),
            used: false,
        };
        texts.iter().map(pair).collect()
    }

    async fn replaced(
        text: &'static str,
        texts: &[(&'static str, &'static str)],
        once: bool,
        piece: usize,
    ) -> String {
        let parts = text.as_bytes().chunks(piece);
        let parts: VecDeque<Part> =
            parts.map(|part| Part::Data(Bytes::from_static(part))).collect();
        let mut body = Replaced::new(Body::Parts(parts), pairs(texts), once);
        let longest = texts.iter().map(|(pattern, _)| pattern.len()).max().unwrap();
        let mut out = Vec::new();
        while let Some(Part::Data(bytes)) = body.next().await.unwrap() {
            assert!(!bytes.is_empty() && body.search.held.len() < longest);
            out.extend_from_slice(&bytes);
        }
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn texts_are_replaced_wherever_the_pieces_end() {
        for (text, texts, once, expected) in [
            ("Hello hello HELLO", &[("hello", "bye")][..], true, "bye hello HELLO"),
            ("Hello hello HELLO", &[("hello", "bye")], false, "bye bye bye"),
            ("aaab", &[("aab", "x")], false, "ax"),
            ("abababc", &[("ababc", "x")], false, "abx"),
            ("abcd ab", &[("abcd", "long"), ("ab", "short")], false, "long ab"),
            ("abcd ab.", &[("abcd", "long"), ("ab", "short")], false, "long short."),
            ("abcd ab", &[("ab", "short"), ("abcd", "long")], false, "shortcd short"),
            ("a a a", &[("a", "x"), ("a", "y")], true, "x y a"),
            ("aXbXc", &[("x", "")], false, "abc"),
            ("aa", &[("a", "aa")], false, "aaaa"),
            ("x", &[("x", "")], false, ""),
            ("no such thing", &[("zz", "y")], false, "no such thing"),
            ("<head></HEAD>", &[("</head>", "<b></head>")], true, "<head><b></head>"),
        ] {
            for piece in 1..=text.len() {
                let found = replaced(text, texts, once, piece).await;
                assert_eq!(found, expected, "{text} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_piece_without_a_text_goes_out_as_it_came() {
        let mut search = Search::new(pairs(&[("needle", "x")]), true);
        let piece = Bytes::from_static(b"all hay, not needed");
        let output = search.pass(piece.clone());
        assert_eq!(output.as_ptr(), piece.as_ptr());
        assert_eq!(output, piece);
    }
}
