//! The floor below every server: the system calls that none can do without, and nothing else.
//!
//! `floor answer ADDRESS FILE` answers each request with the bytes of a file, head and body.
//! `floor proxy ADDRESS ORIGIN` passes the bytes of each connection on to one of its own to the
//! origin, and back. One thread; connections are kept alive; nothing is parsed, checked or logged,
//! so this is no server. `make bench ONLY=front` measures it beside the servers: what they take
//! above it is their own code, what it takes itself is the kernel's.
//!
//! Rooms: `calls` (the loop).

mod calls;

use std::error::Error;
use std::process::ExitCode;

use calls::{Calls, Work};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, address, with] = arguments.as_slice() else {
        eprintln!("usage: floor answer ADDRESS FILE | floor proxy ADDRESS ORIGIN");
        return ExitCode::from(2);
    };
    match run(what, address, with) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(what: &str, address: &str, with: &str) -> Result<(), Box<dyn Error>> {
    let work = match what {
        "answer" => Work::Answer(std::fs::read(with)?),
        "proxy" => Work::PassOn(with.parse()?),
        _ => return Err(format!("`answer` or `proxy`, not `{what}`").into()),
    };
    Ok(Calls::new(address.parse()?, work)?.run()?)
}
