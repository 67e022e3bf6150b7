//! nginx's command line: single letters, values glued or apart, nothing else.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontOptions {
    /// `-c`.
    pub conf_file: Option<OsString>,
    /// `-p`.
    pub prefix: Option<OsString>,
    /// `-e`.
    pub error_log: Option<OsString>,
    /// `-g`.
    pub globals: Option<OsString>,
    /// `-s`.
    pub signal: Option<Signal>,
    /// `-t` or `-T`.
    pub test: bool,
    /// `-T`.
    pub dump: bool,
    /// `-q`.
    pub quiet: bool,
    /// `-v`.
    pub version: bool,
    /// `-V`.
    pub build: bool,
    /// `-h`, `-?`.
    pub help: bool,
}

/// `-s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `stop`: TERM.
    Stop,
    /// `quit`: QUIT.
    Quit,
    /// `reopen`: USR1.
    Reopen,
    /// `reload`: HUP.
    Reload,
}

impl Signal {
    /// Its number.
    pub fn number(self) -> i32 {
        match self {
            Signal::Stop => 15,
            Signal::Quit => 3,
            Signal::Reopen => 10,
            Signal::Reload => 1,
        }
    }
}

/// Reads the command line (without the program's name).
///
/// # Errors
/// What is wrong, in the words nginx's users know.
pub fn parse(arguments: &[OsString]) -> Result<FrontOptions, String> {
    let mut options = FrontOptions::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let bytes = argument.as_bytes();
        let Some(letters) = bytes.strip_prefix(b"-") else {
            return Err(format!("invalid option: \"{}\"", argument.to_string_lossy()));
        };
        let mut at = 0;
        while let Some(letter) = letters.get(at).copied() {
            at += 1;
            match letter {
                b'?' | b'h' => options.help = true,
                b'v' => options.version = true,
                b'V' => options.build = true,
                b't' => options.test = true,
                b'T' => {
                    options.test = true;
                    options.dump = true;
                }
                b'q' => options.quiet = true,
                b'c' | b'p' | b'e' | b'g' | b's' => {
                    let rest = letters.get(at..).unwrap_or_default();
                    let value = if rest.is_empty() {
                        arguments.next().cloned()
                    } else {
                        Some(OsString::from_vec(rest.to_vec()))
                    };
                    set(&mut options, letter, value.filter(|value| !value.is_empty()))?;
                    break;
                }
                other => {
                    return Err(format!("invalid option: \"{}\"", char::from(other)));
                }
            }
        }
    }
    Ok(options)
}

fn set(options: &mut FrontOptions, letter: u8, value: Option<OsString>) -> Result<(), String> {
    let needs = match letter {
        b'c' => "file name",
        b'p' => "directory name",
        b'e' => "file name or \"stderr\"",
        b's' => "signal name",
        _ => "directives",
    };
    let Some(value) = value else {
        return Err(format!("option \"-{}\" requires {needs}", char::from(letter)));
    };
    match letter {
        b'c' => options.conf_file = Some(value),
        b'p' => options.prefix = Some(value),
        b'e' => options.error_log = Some(value),
        b'g' => options.globals = Some(value),
        _ => {
            options.signal = Some(match value.to_str() {
                Some("stop") => Signal::Stop,
                Some("quit") => Signal::Quit,
                Some("reopen") => Signal::Reopen,
                Some("reload") => Signal::Reload,
                _ => return Err(format!("invalid option: \"-s {}\"", value.to_string_lossy())),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<FrontOptions, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn letters_may_stand_together_and_values_may_be_glued() {
        let options = read(&["-tq", "-c/etc/x.conf", "-p", "/srv/"]).unwrap();
        assert!(options.test && options.quiet && !options.dump);
        assert_eq!(options.conf_file.unwrap(), "/etc/x.conf");
        assert_eq!(options.prefix.unwrap(), "/srv/");
        assert_eq!(read(&["-s", "reload"]).unwrap().signal, Some(Signal::Reload));
    }

    #[test]
    fn what_is_wrong_is_said_in_known_words() {
        assert_eq!(read(&["-c"]).unwrap_err(), "option \"-c\" requires file name");
        assert_eq!(read(&["-x"]).unwrap_err(), "invalid option: \"x\"");
        assert_eq!(read(&["start"]).unwrap_err(), "invalid option: \"start\"");
        assert_eq!(read(&["-s", "halt"]).unwrap_err(), "invalid option: \"-s halt\"");
    }
}
