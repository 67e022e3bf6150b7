//! The table of paths, as the real nginx answered them.

use super::{BadUri, normalise};

#[test]
fn every_path_becomes_what_nginx_makes_of_it() {
    let table = include_str!("../../tests/data/uris.txt");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let mut wrong = Vec::new();
    for row in rows {
        let columns: Vec<&str> = row.split('\t').collect();
        let [path, on, off] = columns[..] else { panic!("three columns: {row}") };
        for (merge_slashes, expected) in [(true, on), (false, off)] {
            let found = match normalise(path.as_bytes(), merge_slashes) {
                Ok(uri) => shown(&uri),
                Err(_) => "400".to_owned(),
            };
            if found != expected {
                wrong.push(format!("{path} (merge {merge_slashes}): {found}, not {expected}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Printable ASCII as it is, other bytes as `\xNN`, as the table has them.
fn shown(uri: &[u8]) -> String {
    let byte = |byte: &u8| match byte {
        b'\\' => "\\x5c".to_owned(),
        0x21..=0x7e => (*byte as char).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    uri.iter().map(byte).collect()
}

#[test]
fn a_path_that_is_normal_is_not_copied() {
    assert!(matches!(normalise(b"/a/b.c", true), Ok(std::borrow::Cow::Borrowed(_))));
}

#[test]
fn a_path_is_copied_if_a_byte_in_it_has_to_be_looked_at() {
    for byte in 0..=255u8 {
        let coded = matches!(byte, b'%' | b'#' | 0);
        for (path, plain) in [
            ([b'/', byte, b'a', b'a'], !coded && !matches!(byte, b'/' | b'.')),
            ([b'/', b'a', byte, b'a'], !coded),
            ([b'/', b'a', b'a', byte], !coded),
            ([b'/', b'a', b'/', byte], !coded && !matches!(byte, b'/' | b'.')),
        ] {
            let borrowed = matches!(normalise(&path, true), Ok(std::borrow::Cow::Borrowed(_)));
            assert_eq!(borrowed, plain, "{}", path.escape_ascii());
        }
    }
}

#[test]
fn normalising_twice_changes_nothing_more() {
    for path in ["/a//b/../c", "/a/./b//", "/%61/%2e"] {
        let once = normalise(path.as_bytes(), true).unwrap().into_owned();
        assert_eq!(normalise(&once, true).unwrap(), once);
    }
}

#[test]
fn what_is_wrong_with_a_path_is_named() {
    for (path, why) in [
        ("*", BadUri::NoSlashAtStart),
        ("", BadUri::NoSlashAtStart),
        ("/%4", BadUri::BadEscape),
        ("/%00", BadUri::Nul),
        ("/a/../..", BadUri::AboveRoot),
    ] {
        assert_eq!(normalise(path.as_bytes(), true), Err(why), "{path}");
    }
}

#[test]
fn no_short_path_keeps_a_dot_segment_or_leaves_the_root() {
    let pieces = ["/", ".", "%2e", "%2F", "a", "%", "#"];
    let mut paths = vec![String::from("/")];
    for _ in 0..6 {
        let longer =
            paths.iter().flat_map(|path| pieces.iter().map(move |it| format!("{path}{it}")));
        paths = longer.collect();
        for path in &paths {
            let Ok(uri) = normalise(path.as_bytes(), true) else { continue };
            assert_eq!(uri.first(), Some(&b'/'), "{path}");
            let mut segments = uri.split(|byte| *byte == b'/').skip(1);
            assert!(segments.all(|segment| segment != b"." && segment != b".."), "{path}");
            assert!(!uri.windows(2).any(|pair| pair == b"//"), "{path}");
        }
    }
}
