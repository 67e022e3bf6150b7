//! Steps of a request, each run so many times and nothing else: `instructions CASE COUNT`.
//!
//! `make bench ONLY=instructions` runs each case under callgrind with two counts; the difference
//! is what the repetitions cost, exactly, whatever the machine does meanwhile. Without arguments
//! the cases are listed.
//!
//! Rooms: `codecs` (HTTP/1, uwsgi, chunks, CGI variables), `lookups` (router, cache).

mod codecs;
mod lookups;

use std::process::ExitCode;

/// A name and what runs a step so many times.
type Case = (&'static str, fn(usize) -> Option<()>);

const CASES: &[Case] = &[
    ("request head read", codecs::request_head_read),
    ("request head written", codecs::request_head_written),
    ("response head read", codecs::response_head_read),
    ("response fields written", codecs::response_fields_written),
    ("environ as CGI variables", codecs::cgi_variables),
    ("uwsgi packet read", codecs::uwsgi_packet_read),
    ("16 chunks of 100 bytes decoded", codecs::chunks_decoded),
    ("router, plain name and prefix", lookups::router_prefix),
    ("router, regex location", lookups::router_regex),
    ("router, regex name", lookups::router_regex_name),
    ("cache key and hit in memory", lookups::cache_hit),
    ("cache index, one of 100,000", lookups::cache_index),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(count)) = (arguments.next(), arguments.next()) else {
        for (name, _) in CASES {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let case = CASES.iter().find(|(known, _)| *known == name);
    match (case, count.parse()) {
        (Some((_, run)), Ok(count)) if run(count).is_some() => ExitCode::SUCCESS,
        (Some(_), Ok(_)) => {
            eprintln!("instructions: `{name}` does not do what it should");
            ExitCode::FAILURE
        }
        _ => {
            eprintln!("usage: instructions [CASE COUNT]");
            ExitCode::from(2)
        }
    }
}
