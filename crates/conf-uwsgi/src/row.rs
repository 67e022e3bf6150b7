//! The shape of a row: one option's names, argument, documentation and effect.

use crate::draft::Draft;

/// One option.
#[derive(Debug)]
pub struct Row {
    /// The name in the documentation first, then its aliases.
    pub names: &'static [&'static str],
    /// The letter of the command line.
    pub short: Option<char>,
    /// Whether the command line gives it an argument.
    pub takes: Takes,
    /// One sentence for help and reference.
    pub doc: &'static str,
    /// What it does.
    pub effect: Effect,
}

/// Options that share one answer. Each name in the lists is an option; all are known.
#[derive(Debug)]
pub struct Family {
    /// What they are, for the reference.
    pub title: &'static str,
    /// The answer.
    pub answer: Answer,
    /// Names that take no argument on the command line, separated by blanks.
    pub flags: &'static str,
    /// Names whose argument may be left out, separated by blanks.
    pub optional: &'static str,
    /// Names that need an argument, separated by blanks.
    pub valued: &'static str,
}

/// getopt's three kinds of options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// `--master`.
    Nothing,
    /// `--need-app` or `--need-app=true`, never the next word.
    Optional,
    /// `--module=wsgi` or `--module wsgi`.
    Value,
}

/// What a known option without an effect here means to its user.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// Nothing is lost; the text says why.
    NoOp(&'static str),
    /// The app serves, but something the user asked for does not happen.
    Missing(&'static str),
    /// Going on would be wrong or unsafe.
    Refused(&'static str),
}

/// Stores a text, or says what is wrong with it.
pub type TextEffect = fn(&mut Draft, &str) -> Result<(), Fault>;

/// What an option does. The variant is also the kind of its value.
#[derive(Debug)]
pub enum Effect {
    /// A boolean.
    Flag(fn(&mut Draft, bool)),
    /// A whole number, not negative.
    Number(fn(&mut Draft, u64) -> Result<(), Fault>),
    /// A text without blanks, so that ` #` after it is surely a comment.
    Word(TextEffect),
    /// A free text or path.
    Text(TextEffect),
    /// The same, in which a `%(name)` that names no option is for later; quotes and ` #` belong to it.
    Template(TextEffect),
    /// Acts while the configuration is being read.
    Immediate(Immediate),
    /// Turns the run into something else than serving.
    Asks(Ask),
    /// Known, without an effect.
    Known(Answer),
}

/// Why a value cannot be used, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// Lower case, no full stop.
    pub message: String,
    /// The next action.
    pub hint: Option<String>,
    /// Whether it stops the start, or is only worth a warning.
    pub fatal: bool,
}

impl Fault {
    /// A value that stops the start.
    pub fn fatal(message: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault { message: message.into(), hint: Some(hint.into()), fatal: true }
    }

    /// A value that is worth a warning.
    pub fn warning(message: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault { message: message.into(), hint: Some(hint.into()), fatal: false }
    }
}

/// Options that act where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Immediate {
    /// Read a file; the format may be fixed by the option.
    Include(Option<Format>),
    /// Read a file after the expansion of variables.
    Inherit,
    /// `key=value` as if it stood there itself.
    Set,
    /// `key=value` that is never an option.
    Placeholder,
    /// A condition for the lines up to `endif`.
    If(Condition),
    /// The other branch.
    Else,
    /// A loop over the lines up to `endfor`.
    For(Loop),
    /// The end of either.
    End,
    /// Unknown options are refused.
    Strict,
    /// An environment variable that `$(NAME)` sees.
    Environment,
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `[section]`, `key = value`.
    Ini,
    /// A mapping of sections to mappings.
    Yaml,
    /// The same in JSON.
    Json,
    /// `<uwsgi><key>value</key></uwsgi>`.
    Xml,
}

/// What a condition asks; `negated` by the `-not` forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The question.
    pub test: Test,
    /// The answer that lets the lines in.
    pub wanted: bool,
}

/// The questions of the `if-` family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `NAME` or `NAME=value` in the environment.
    Environment,
    /// `name` or `name=value` among the options so far.
    Option,
    /// Something has that path.
    Exists,
    /// A regular file has that path.
    File,
    /// A directory has that path.
    Directory,
    /// That plugin is there.
    Plugin,
    /// The machine has that name.
    HostName,
    /// This start is a reload. (Ours never re-executes itself, so it never is.)
    Reload,
}

/// The loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// Over blank-separated words.
    Words,
    /// Over the paths that match.
    Glob,
    /// Over 1 to N.
    Times,
    /// Over the lines of a file.
    Lines,
}

/// What else a run may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The list of options.
    Help,
    /// The version of uWSGI whose place we take.
    Version,
    /// The interpreter's version.
    PythonVersion,
    /// HUP to the process of a pidfile.
    Reload,
    /// INT to the process of a pidfile.
    Stop,
    /// The names of all options.
    DumpOptions,
    /// The names of all plugins.
    Plugins,
    /// The expanded configuration, before serving.
    ShowConfig,
}
