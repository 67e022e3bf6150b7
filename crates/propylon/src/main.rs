//! The executable: command lines, plan to running program.
//!
//! Rooms: [`app_command`] (uWSGI's place), [`front_command`] and [`front_options`] (nginx's
//! place), [`serve_command`] (both), [`check_command`], [`python`] (which interpreter, which
//! extension module), [`http_front`] (the front of an app's own `http` addresses), [`join`] (a
//! site's `uwsgi_pass` to our own app takes the private channel), [`words`] (help and versions).
//!
//! The same file is three programs by the name it is called with: `uwsgi` is `propylon app`,
//! `nginx` is `propylon front`, and the master starts its front as `propylon-front-process N`.

mod app_command;
mod check_command;
mod front_command;
mod front_options;
mod front_process;
mod http_front;
mod join;
mod python;
mod serve_command;
mod words;

use std::ffi::OsString;
use std::path::Path;

fn main() {
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    std::process::exit(dispatch(&called, &arguments));
}

fn dispatch(called: &OsString, arguments: &[OsString]) -> i32 {
    let name = Path::new(called).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name {
        supervise::driver::front::FRONT_PROCESS => return front_process::run(arguments),
        "uwsgi" => return app_command::run(arguments),
        "nginx" => return front_command::run(arguments),
        _ => {}
    }
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.to_str().unwrap_or_default(), rest),
        None => ("", arguments),
    };
    match command {
        "app" => app_command::run(rest),
        "front" => front_command::run(rest),
        "serve" => serve_command::run(rest),
        "check" => check_command::run(rest),
        "--version" | "-V" | "-v" | "version" => {
            println!("{}", words::version());
            0
        }
        "--help" | "-h" | "help" => {
            print!("{}", words::HELP);
            0
        }
        "" => {
            eprint!("{}", words::HELP);
            2
        }
        other => {
            let known = ["app", "front", "serve", "check", "help", "version"];
            eprintln!("propylon: there is no command `{other}`");
            match diag::nearest(other, known) {
                Some(near) => eprintln!("  hint: did you mean `propylon {near}`?"),
                None => eprintln!("  hint: `propylon --help` lists the commands"),
            }
            2
        }
    }
}
