//! The front process: started by the master under a name of its own.

use std::ffi::OsString;

/// Runs the front on the control socket whose number is the only argument.
pub fn run(arguments: &[OsString]) -> i32 {
    let number = arguments.first().and_then(|number| number.to_str()?.parse().ok());
    let Some(control) = number.and_then(sys::process::take_inherited) else {
        eprintln!("propylon: the front is started by its master only");
        return 2;
    };
    front::run_process(control)
}
