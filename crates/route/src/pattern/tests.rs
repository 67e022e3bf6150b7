//! Patterns as people write them for PCRE.

use plan::RegexPlan;
use plan::template::Slot;

use super::Pattern;

fn plan(pattern: &str) -> RegexPlan {
    RegexPlan { pattern: pattern.to_owned(), ignore_case: false, named: Vec::new() }
}

fn matches(pattern: &str, subject: &str) -> bool {
    Pattern::new(&plan(pattern)).unwrap().is_match(subject.as_bytes()).unwrap()
}

#[test]
fn patterns_of_pcre_mean_here_what_they_mean_there() {
    for (pattern, yes, no) in [
        (r"\.(jpg|png)$", "/a.jpg", "/a.jpgx"),
        (r"^/[\w-.]+$", "/a-b.c", "/a b"),
        (r"^/[a-z[]+$", "/a[", "/a]"),
        (r"^/[^]]+$", "/a", "/]"),
        (r"^/\<x\>$", "/<x>", "/x"),
        (r"^/{id}$", "/{id}", "/id"),
        (r"^/a{2}$", "/aa", "/a{2}"),
        (r"^/a{2,}$", "/aaa", "/a"),
        (r"^/(?!admin)", "/x", "/admin"),
        (r"^/(\w)\1$", "/aa", "/ab"),
        (r"(?<!x)\.php$", "/a.php", "/x.php"),
        (r"^/a++b$", "/aab", "/b"),
        (r"^/[a&&b]+$", "/a&b", "/c"),
        (r"^/\/\-\_\%$", "//-_%", "/"),
        (r"^/[[:alpha:]]+$", "/abc", "/1"),
        (r"(?i)^/A$", "/a", "/b"),
        (r"^/a(?#comment)b$", "/ab", "/a"),
        (r"^/[+--]$", "/,", "/."),
        (r"\.php$", "/a.php", "/a.php\n"),
    ] {
        assert!(matches(pattern, yes), "{pattern} should match {yes}");
        assert!(!matches(pattern, no), "{pattern} should not match {no}");
    }
}

#[test]
fn a_dot_matches_bytes_that_are_not_utf8() {
    let pattern = Pattern::new(&plan("^/(.)$")).unwrap();
    assert_eq!(pattern.captures(b"/\xff").unwrap().unwrap().group(1), b"\xff");
    let pattern = Pattern::new(&plan("^/(?!x)(.)$")).unwrap();
    assert_eq!(pattern.captures(b"/\xff").unwrap().unwrap().group(1), b"\xff");
}

#[test]
fn named_groups_fill_their_slots_in_every_spelling() {
    for pattern in [r"^(?<user>\w+)\.(\w+)$", r"^(?P<user>\w+)\.(\w+)$", r"^(?'user'\w+)\.(\w+)$"] {
        let mut plan = plan(pattern);
        plan.named.push(("user".to_owned(), Slot(7)));
        let found = Pattern::new(&plan).unwrap().captures(b"bob.example").unwrap().unwrap();
        assert_eq!(found.slot(Slot(7)), Some(&b"bob"[..]));
        assert_eq!(found.group(2), b"example");
        assert_eq!(found.group(3), b"");
        assert_eq!(Pattern::names(&plan).unwrap(), ["user"]);
    }
}

#[test]
fn a_pattern_that_backtracks_for_ever_is_stopped() {
    let pattern = Pattern::new(&plan(r"^(?=(a+)+\1$)(a+)+$")).unwrap();
    let subject = [b"a".repeat(64), b"b".to_vec()].concat();
    assert!(pattern.is_match(&subject) != Ok(true));
}

#[test]
fn a_broken_pattern_is_an_error_with_words() {
    assert!(!Pattern::new(&plan("(unclosed")).unwrap_err().is_empty());
}

#[test]
fn every_pattern_finds_what_pcre_finds() {
    let table = include_str!("../../tests/data/patterns.txt");
    let mut wrong = Vec::new();
    for row in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [pattern, subject, expected] = columns[..] else { panic!("three columns: {row}") };
        let found = match Pattern::new(&plan(pattern)) {
            Err(why) => format!("refused: {}", why.lines().last().unwrap_or_default()),
            Ok(compiled) => match compiled.captures(subject.as_bytes()) {
                Err(_) => "gave up".to_owned(),
                Ok(None) => "no".to_owned(),
                Ok(Some(found)) => {
                    let group = |number| String::from_utf8_lossy(found.group(number)).into_owned();
                    format!("yes[{}][{}][{}]", group(1), group(2), group(3))
                }
            },
        };
        if found != expected {
            wrong.push(format!("{pattern} on {subject}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_text_makes_the_translation_or_the_compilation_panic() {
    let alphabet =
        ["\\", "[", "]", "(", ")", "?", "-", "{", "1", "a", "g", "Q", "<", "é", "^", "+"];
    let mut texts = vec![String::new()];
    for _ in 0..3 {
        let longer =
            texts.iter().flat_map(|text| alphabet.iter().map(move |it| format!("{text}{it}")));
        texts = longer.collect();
        for text in &texts {
            // Whether it compiles is the engine's business.
            let _ = Pattern::new(&plan(text));
            let _ = Pattern::new(&plan(&format!("\\{text}")));
            let _ = Pattern::new(&plan(&format!("[{text}")));
            let _ = Pattern::new(&plan(&format!("(?{text}")));
        }
    }
}
