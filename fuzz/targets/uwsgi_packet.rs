//! Variables of an accepted packet can all be read, and make the same packet again.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use proto::uwsgi::{next_packet, push_var, vars};

fuzz_target!(|bytes: &[u8]| {
    let mut buffer = BytesMut::from(bytes);
    if let Ok(Some(packet)) = next_packet(&mut buffer, 65_535) {
        let mut again = Vec::new();
        for var in vars(&packet.vars) {
            let (key, value) = var.expect("an accepted packet is sound");
            push_var(&mut again, key, value).expect("what came in goes out");
        }
        assert_eq!(again, packet.vars);
    }
});
