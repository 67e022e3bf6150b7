//! Case files: `expectation | bytes`, one per line, with names for what cannot be typed.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

/// Expectation and bytes of every case in a file.
pub fn cases(file: &'static str) -> Vec<(&'static str, Vec<u8>)> {
    let lines = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (expected, text) = line.split_once(" | ").expect("a case has ` | ` in it");
            (expected.trim(), unescape(&repeat(text)))
        })
        .collect()
}

/// `{3*ab}` is `ababab`; the outermost first.
fn repeat(text: &str) -> String {
    let Some(open) = text.find('{') else { return text.to_owned() };
    let mut depth = 0;
    let close = text[open..].find(|letter| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        depth == 0
    });
    let close = open + close.expect("a closing brace");
    let (count, piece) = text[open + 1..close].split_once('*').expect("{N*text}");
    let piece = repeat(piece).repeat(count.parse().unwrap());
    format!("{}{piece}{}", &text[..open], repeat(&text[close + 1..]))
}

fn unescape(text: &str) -> Vec<u8> {
    let text = text.replace('⏎', "\r\n");
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let (letter, tail) = rest.split_first().expect("something behind the backslash");
        rest = tail;
        out.push(match letter {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).unwrap();
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).unwrap()
            }
            other => *other,
        });
    }
    out
}

/// Deterministic pseudo-random numbers (xorshift), so that a failure comes again.
pub struct Random(pub u64);

impl Random {
    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    /// `bytes` with a few changes: bytes replaced, removed, doubled, or two inputs spliced.
    pub fn mutate(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        const INTERESTING: &[u8] = b"\r\n\0 \t:;,/?#%0159aZ\x7f\x80\xff";
        let mut out = bytes.to_vec();
        for _ in 0..1 + self.below(4) {
            let at = self.below(out.len() + 1);
            match self.below(6) {
                0 if at < out.len() => out[at] = INTERESTING[self.below(INTERESTING.len())],
                1 if at < out.len() => drop(out.remove(at)),
                2 => out.insert(at, INTERESTING[self.below(INTERESTING.len())]),
                3 if at < out.len() => out[at] ^= 1 << self.below(8),
                4 => {
                    out.truncate(at);
                    out.extend_from_slice(&other[self.below(other.len() + 1)..]);
                }
                _ => {
                    let from = self.below(out.len() + 1);
                    let piece = out[from..(from + 8).min(out.len())].to_vec();
                    out.splice(at..at, piece);
                }
            }
        }
        out
    }
}
