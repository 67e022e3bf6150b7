//! Broken input never panics, whatever the break.

#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::path::Path;

use conf_uwsgi::{Context, load};

/// Every format's whole grammar in a few lines.
const SAMPLES: &[(&str, &str)] = &[
    (
        "cut.ini",
        "\u{feff}; é\n[uwsgi]\nbase = /srv\nif-env = HOME\nenv = H=%(_)\nelse =\nmaster\nendif =\n\
         for = a b\nstatic-map = /%(_)=/%(_)\nendfor =\nprocesses = %((%k * 2) + 1)\n\
         socket = %d%n.sock # c\nhttp = [::1]:80\nchdir = $(HOME)/%(base)@(/dev/null)\n\
         ini = :other\n[other]\nmodule = \"a:b\"\n",
    ),
    (
        "cut.yaml",
        "# é\nuwsgi:\n  socket: %n.sock\n  env: [A=1, \"B=é\"]\n  master:\n  static-map:\n    - /a=/b\n\
         other: &x {a: *x, b: [c]}\n",
    ),
    ("cut.json", "{\"uwsgi\": {\"env\": [\"A=\\u00e9\"], \"master\": true, \"x\": {\"y\": []}}}"),
    (
        "cut.xml",
        "<?xml version=\"1.0\"?><c><!-- é --><uwsgi id='uwsgi'><master/><env>A=&lt;é</env>\
         <![CDATA[x]]></uwsgi></c>",
    ),
];

fn read(name: &str, bytes: &[u8], context: &Context) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    let argv = [path.into_os_string()];
    let environment = [(OsString::from("HOME"), OsString::from("/root"))];
    let loaded = load(&argv, &environment, context);
    for problem in loaded.problems.iter() {
        assert!(!problem.to_string().is_empty());
    }
}

#[test]
fn a_file_cut_at_any_byte_is_read_without_a_panic() {
    let context = Context::of_this_process();
    for (name, text) in SAMPLES {
        for end in 0..=text.len() {
            read(name, &text.as_bytes()[..end], &context);
        }
    }
}

#[test]
fn a_file_with_any_byte_replaced_is_read_without_a_panic() {
    let context = Context::of_this_process();
    for (name, text) in SAMPLES {
        for at in 0..text.len() {
            for byte in [b'%', 0xff] {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = byte;
                read(&format!("replaced-{name}"), &bytes, &context);
            }
        }
    }
}

#[test]
fn deep_nesting_is_read_without_a_panic() {
    let context = Context::of_this_process();
    const DEPTH: usize = 3_000;
    read("deep.json", "[".repeat(DEPTH).as_bytes(), &context);
    read("deep.yaml", "- ".repeat(DEPTH).as_bytes(), &context);
    read("deep.ini", format!("[uwsgi]\na = {}", "%(".repeat(DEPTH)).as_bytes(), &context);
    let sum = format!("[uwsgi]\na = %({}1 + 1{})", "( ".repeat(DEPTH), ")".repeat(DEPTH));
    read("sum.ini", sum.as_bytes(), &context);
    read("deep.xml", "<a>".repeat(DEPTH).as_bytes(), &context);
}
