//! An upstream's head neither panics nor brings line ends into fields.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use proto::http1::{ResponseReader, ResponseStyle};

fuzz_target!(|input: (bool, &[u8])| {
    let style = if input.0 { ResponseStyle::Http } else { ResponseStyle::Cgi };
    let mut buffer = BytesMut::from(input.1);
    if let Ok(Some(head)) = ResponseReader::new(style).next_head(&mut buffer, false, 4096) {
        assert!((100..=999).contains(&head.status));
        for header in head.headers.iter() {
            assert!(!header.value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        }
    }
});
