//! A normal path begins at the root, holds no dot segment and no NUL, and joins its slashes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(uri) = route::normalise_uri(bytes, true) else { return };
    assert_eq!(uri.first(), Some(&b'/'));
    assert!(uri.split(|byte| *byte == b'/').all(|segment| segment != b"." && segment != b".."));
    assert!(!uri.windows(2).any(|pair| pair == b"//"));
    assert!(!uri.contains(&0));
});
