//! From PCRE's dialect to that of the engines: small differences in escapes and classes.

/// A pattern in the engines' dialect.
pub(super) struct Translated {
    /// The pattern.
    pub text: String,
    /// It uses something only the backtracking engine can do.
    pub needs_backtracking: bool,
    /// It began with `(*UTF8)`: characters instead of bytes.
    pub unicode: bool,
}

/// Translates; what is not understood is left for the engine to complain about.
pub(super) fn translate(pattern: &str) -> Translated {
    let (unicode, pattern) =
        match pattern.strip_prefix("(*UTF8)").or(pattern.strip_prefix("(*UTF)")) {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
    let mut out = Translated {
        text: String::with_capacity(pattern.len() + 8),
        needs_backtracking: false,
        unicode,
    };
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '\\' => escape(rest, &mut out),
            '[' => class(rest, &mut out),
            '(' => group(rest, &mut out),
            '{' if !is_quantifier(rest) => literal(rest, "\\{", &mut out),
            '*' | '+' | '?' | '}' => quantifier_tail(rest, &mut out),
            _ => copy(rest, first.len_utf8(), &mut out),
        };
    }
    out
}

fn copy<'a>(rest: &'a str, bytes: usize, out: &mut Translated) -> &'a str {
    let (head, tail) = rest.split_at(bytes.min(rest.len()));
    out.text.push_str(head);
    tail
}

fn literal<'a>(rest: &'a str, text: &str, out: &mut Translated) -> &'a str {
    out.text.push_str(text);
    &rest[1..]
}

/// `\x` outside a class.
fn escape<'a>(rest: &'a str, out: &mut Translated) -> &'a str {
    let Some(second) = rest[1..].chars().next() else {
        return copy(rest, 1, out);
    };
    let replaced = match second {
        // These two are word boundaries to the engines and plain characters to PCRE.
        '<' => "<",
        '>' => ">",
        'h' => "[ \\t]",
        'H' => "[^ \\t]",
        'R' => "(?:\\r\\n|[\\n\\x0B\\x0C\\r])",
        'N' => "[^\\n]",
        'e' => "\\x1B",
        // Before a last newline or at the end; see the crate's word on `$`.
        'Z' => "\\z",
        'Q' => return quoted(&rest[2..], out),
        'E' => "",
        'p' | 'P' => return property(rest, out),
        '0'..='9' => return number(rest, out),
        'g' => return numbered_reference(rest, out),
        'k' | 'G' | 'K' => {
            out.needs_backtracking = true;
            return copy(rest, 2, out);
        }
        _ => return copy(rest, 1 + second.len_utf8(), out),
    };
    out.text.push_str(replaced);
    &rest[2..]
}

/// What stands between `\Q` and `\E`.
fn quoted<'a>(rest: &'a str, out: &mut Translated) -> &'a str {
    let (text, tail) = rest.split_once("\\E").unwrap_or((rest, ""));
    out.text.push_str(&regex::escape(text));
    tail
}

/// `\pL`, `\p{Lu}`: known to the engine for characters only.
fn property<'a>(rest: &'a str, out: &mut Translated) -> &'a str {
    let end = match rest[2..].chars().next() {
        Some('{') => rest.find('}').map_or(rest.len(), |at| at + 1),
        Some(letter) => 2 + letter.len_utf8(),
        None => rest.len(),
    };
    out.text.push_str("(?u:");
    let tail = copy(rest, end, out);
    out.text.push(')');
    tail
}

/// `\1` to `\9` refer to groups; with more digits, or a zero, it is an octal number.
fn number<'a>(rest: &'a str, out: &mut Translated) -> &'a str {
    let octal = |byte: &u8| (b'0'..=b'7').contains(byte);
    let digits = rest.bytes().skip(1).take(3).take_while(octal).count();
    if digits < 2 && !rest.starts_with("\\0") {
        out.needs_backtracking = true;
        return copy(rest, 2, out);
    }
    let (text, tail) = rest[1..].split_at(digits.max(1));
    let value = u32::from_str_radix(text, 8).unwrap_or(0);
    out.text.push_str(&format!("\\x{{{value:X}}}"));
    tail
}

/// `\g1`, `\g{1}`; names and relative numbers are left to the engine.
fn numbered_reference<'a>(rest: &'a str, out: &mut Translated) -> &'a str {
    out.needs_backtracking = true;
    let tail = &rest[2..];
    let (number, tail) = match tail.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
        Some(found) => found,
        None => tail.split_at(tail.bytes().take_while(u8::is_ascii_digit).count()),
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return copy(rest, 2, out);
    }
    out.text.push_str(&format!("(?:\\{number})"));
    tail
}

/// `(`: look-around, atomic groups, and spellings of names.
fn group<'a>(rest: &'a str, out: &mut Translated) -> &'a str {
    for look in ["(?=", "(?!", "(?<=", "(?<!", "(?>", "(?("] {
        if rest.starts_with(look) {
            out.needs_backtracking = true;
            return copy(rest, look.len(), out);
        }
    }
    if rest.starts_with("(?#") {
        return rest.find(')').map_or("", |end| &rest[end + 1..]);
    }
    if let Some(quoted) = rest.strip_prefix("(?'")
        && let Some(end) = quoted.find('\'')
    {
        out.text.push_str("(?<");
        out.text.push_str(&quoted[..end]);
        out.text.push('>');
        return &quoted[end + 1..];
    }
    for call in ["(?&", "(?P>", "(?R", "(?0", "(?1", "(?2", "(?3", "(?4"] {
        if rest.starts_with(call)
            && let Some((inside, tail)) = rest[2..].split_once(')')
        {
            let name = inside.trim_start_matches(['&', 'P', '>']);
            out.needs_backtracking = true;
            out.text.push_str(&format!("\\g<{}>", if name == "R" { "0" } else { name }));
            return tail;
        }
    }
    if rest.starts_with("(?P=") {
        out.needs_backtracking = true;
    }
    copy(rest, 1, out)
}

/// A quantifier character; one followed by `+` is possessive.
fn quantifier_tail<'a>(rest: &'a str, out: &mut Translated) -> &'a str {
    if rest[1..].starts_with('+') {
        out.needs_backtracking = true;
        return copy(rest, 2, out);
    }
    if rest.starts_with('}') && !out.text.contains('{') {
        return literal(rest, "\\}", out);
    }
    copy(rest, 1, out)
}

/// Whether `{…` is `{n}`, `{n,}` or `{n,m}`; anything else is text to PCRE.
fn is_quantifier(rest: &str) -> bool {
    let Some(end) = rest.find('}') else { return false };
    let inside = &rest[1..end];
    let (low, high) = inside.split_once(',').unwrap_or((inside, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}

/// What stands before a hyphen in a class decides what the hyphen means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// One character, which may begin a range.
    Character,
    /// A character and a hyphen: the next item ends a range.
    RangeStart,
    /// The start of the class, a set such as `\w`, or the end of a range.
    Other,
}

/// `[…]`: what the engines read as nested classes or set operations is text to PCRE.
fn class<'a>(rest: &'a str, out: &mut Translated) -> &'a str {
    let mut rest = copy(rest, 1, out);
    if rest.starts_with('^') {
        rest = copy(rest, 1, out);
    }
    let mut before = Before::Other;
    if rest.starts_with(']') {
        rest = literal(rest, "\\]", out);
        before = Before::Character;
    }
    while let Some(first) = rest.chars().next() {
        if first == ']' {
            return copy(rest, 1, out);
        }
        if first == '-' && before == Before::Character && !rest.starts_with("-]") {
            rest = copy(rest, 1, out);
            before = Before::RangeStart;
            continue;
        }
        let (tail, is_set) = class_item(rest, first, out);
        rest = tail;
        before =
            if is_set || before == Before::RangeStart { Before::Other } else { Before::Character };
    }
    rest
}

/// One item of a class; says whether it was a set.
fn class_item<'a>(rest: &'a str, first: char, out: &mut Translated) -> (&'a str, bool) {
    match first {
        '[' if rest.starts_with("[:") && rest.contains(":]") => {
            let end = rest.find(":]").map_or(1, |at| at + 2);
            (copy(rest, end, out), true)
        }
        '[' | '&' | '~' | '-' => (literal(rest, &format!("\\{first}"), out), false),
        '\\' => {
            let second = rest[1..].chars().next();
            let is_set = matches!(second, Some('w' | 'W' | 'd' | 'D' | 's' | 'S' | 'h'));
            let tail = match second {
                Some('<' | '>') => literal(&rest[1..], &rest[1..2], out),
                Some('h') => literal(&rest[1..], " \\t", out),
                Some('b') => literal(&rest[1..], "\\x08", out),
                Some(other) => copy(rest, 1 + other.len_utf8(), out),
                None => copy(rest, 1, out),
            };
            (tail, is_set)
        }
        _ => (copy(rest, first.len_utf8(), out), false),
    }
}
