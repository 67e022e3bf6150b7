//! What a row of the directive tables says.

use crate::draft::{GroupDraft, MainDraft, ServerDraft};
use crate::level::Level;
use crate::walk::Call;

/// Blocks a directive may stand in, as bits.
pub type Contexts = u16;

/// Outside every block.
pub const MAIN: Contexts = 1;
/// `events { }`
pub const EVENTS: Contexts = 2;
/// `http { }`
pub const HTTP: Contexts = 4;
/// `server { }`
pub const SERVER: Contexts = 8;
/// `location { }`
pub const LOCATION: Contexts = 16;
/// `upstream { }`
pub const UPSTREAM: Contexts = 32;
/// `if { }` in a server.
pub const SERVER_IF: Contexts = 64;
/// `if { }` in a location.
pub const LOCATION_IF: Contexts = 128;
/// `limit_except { }`
pub const LIMIT_EXCEPT: Contexts = 256;
/// Wherever it is written: for directives that are refused anyway.
pub const ANYWHERE: Contexts = u16::MAX;
/// Where most settings may stand.
pub const ALL_LEVELS: Contexts = HTTP | SERVER | LOCATION;

/// How many words follow the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Args {
    /// At least.
    pub min: u8,
    /// At most.
    pub max: u8,
}

/// `on` or `off`.
pub const ONE: Args = Args { min: 1, max: 1 };
/// No word.
pub const NONE: Args = Args { min: 0, max: 0 };
/// Exactly two.
pub const TWO: Args = Args { min: 2, max: 2 };
/// One or two.
pub const ONE_OR_TWO: Args = Args { min: 1, max: 2 };
/// One or more.
pub const SOME: Args = Args { min: 1, max: u8::MAX };
/// Two or more.
pub const TWO_OR_MORE: Args = Args { min: 2, max: u8::MAX };
/// Not looked at.
pub const ANY: Args = Args { min: 0, max: u8::MAX };

impl Args {
    /// Whether that many words are right.
    pub fn allow(self, count: usize) -> bool {
        count >= usize::from(self.min) && (self.max == u8::MAX || count <= usize::from(self.max))
    }
}

/// What the argument of a directive without effect must still look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Anything.
    Free,
    /// `on` or `off`.
    Flag,
    /// Digits.
    Number,
    /// `8k`
    Size,
    /// `60s`
    Time,
}

/// What comes of a directive that could not be taken.
#[derive(Debug)]
pub enum Fault {
    /// `"NAME" directive WORDS`.
    Directive(&'static str),
    /// A sentence of its own, about the word with that number (0 is the name).
    Says(usize, String),
    /// The same with what to write instead.
    Hinted(usize, String, String),
    /// Already reported.
    Told,
}

/// What a row's function returns.
pub type Outcome = Result<(), Fault>;

/// Which kind of block a directive opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BlockKind {
    Events,
    Http,
    Server,
    Location,
    If,
    Upstream,
    Types,
    CharsetMap,
    Map,
    LimitExcept,
    Geo,
    SplitClients,
}

/// What a directive does.
#[derive(Clone, Copy)]
pub enum Effect {
    /// Stores something about the process.
    Main(fn(&mut MainDraft, &mut Call<'_, '_>) -> Outcome),
    /// Stores a setting of http, a server or a location.
    Level(fn(&mut Level, &mut Call<'_, '_>) -> Outcome),
    /// Stores something about one server.
    Server(fn(&mut ServerDraft, &mut Call<'_, '_>) -> Outcome),
    /// Stores something about an upstream group.
    Group(fn(&mut GroupDraft, &mut Call<'_, '_>) -> Outcome),
    /// Opens a block.
    Block(BlockKind),
    /// Checked and then without effect, for the reason given.
    Quiet(Shape, &'static str),
    /// Without effect, which its writer should know.
    Warned(&'static str),
    /// Known, but not supported: module, and what to do instead.
    Refused(&'static str, &'static str),
}

/// One directive of nginx in one set of contexts.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Where it may stand.
    pub contexts: Contexts,
    /// How many words follow.
    pub args: Args,
    /// What it is for, in one line.
    pub doc: &'static str,
    /// What it does.
    pub effect: Effect,
}

/// A setting of http, a server or a location.
pub const fn level(
    name: &'static str,
    contexts: Contexts,
    args: Args,
    doc: &'static str,
    apply: fn(&mut Level, &mut Call<'_, '_>) -> Outcome,
) -> Row {
    Row { name, contexts, args, doc, effect: Effect::Level(apply) }
}

/// Something about the process.
pub const fn main(
    name: &'static str,
    contexts: Contexts,
    args: Args,
    doc: &'static str,
    apply: fn(&mut MainDraft, &mut Call<'_, '_>) -> Outcome,
) -> Row {
    Row { name, contexts, args, doc, effect: Effect::Main(apply) }
}

/// Something about one server.
pub const fn server(
    name: &'static str,
    args: Args,
    doc: &'static str,
    apply: fn(&mut ServerDraft, &mut Call<'_, '_>) -> Outcome,
) -> Row {
    Row { name, contexts: SERVER, args, doc, effect: Effect::Server(apply) }
}

/// Something about an upstream group.
pub const fn group(
    name: &'static str,
    args: Args,
    doc: &'static str,
    apply: fn(&mut GroupDraft, &mut Call<'_, '_>) -> Outcome,
) -> Row {
    Row { name, contexts: UPSTREAM, args, doc, effect: Effect::Group(apply) }
}

/// A directive that opens a block.
pub const fn block(
    name: &'static str,
    contexts: Contexts,
    args: Args,
    doc: &'static str,
    kind: BlockKind,
) -> Row {
    Row { name, contexts, args, doc, effect: Effect::Block(kind) }
}

/// A directive that is checked and then without effect.
pub const fn quiet(
    name: &'static str,
    contexts: Contexts,
    args: Args,
    shape: Shape,
    reason: &'static str,
) -> Row {
    Row { name, contexts, args, doc: reason, effect: Effect::Quiet(shape, reason) }
}

/// A directive that is without effect, with a warning.
pub const fn warned(name: &'static str, contexts: Contexts, reason: &'static str) -> Row {
    Row { name, contexts, args: ANY, doc: reason, effect: Effect::Warned(reason) }
}

/// A directive that is known and not supported.
pub const fn refused(name: &'static str, module: &'static str, instead: &'static str) -> Row {
    let effect = Effect::Refused(module, instead);
    Row { name, contexts: ANYWHERE, args: ANY, doc: instead, effect }
}
