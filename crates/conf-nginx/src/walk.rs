//! Applies the rows of the directive tables to the tree, block by block.

mod blocks;
mod call;
mod text;

use std::collections::HashSet;

use diag::{Severity, Sources};
use plan::front::log::LogEscape;
use plan::front::rewrite::MapPlan;
use plan::front::{CacheZone, GeoPlan, LimitZone, LogFormat, SplitPlan};
use plan::{Part, Template, Variable};

pub use call::Call;

use crate::directives;
use crate::draft::{GroupDraft, HttpDraft, LocationDraft, MainDraft, ServerDraft};
use crate::level::Level;
use crate::options::LoadOptions;
use crate::report::{At, Report};
use crate::row::{self, Args, BlockKind, Contexts, Effect, Fault, Outcome, Row, Shape};
use crate::tree::Directive;
use crate::value;
use crate::variable::Variables;

/// What all blocks share.
pub struct Run<'s> {
    /// What was asked for.
    pub options: &'s LoadOptions,
    /// The texts, for places.
    pub sources: &'s Sources,
    /// Problems.
    pub report: Report,
    /// User variables.
    pub variables: Variables,
    /// Log files, each once.
    pub log_files: Vec<std::path::PathBuf>,
    /// Formats; `combined` is the first.
    pub log_formats: Vec<LogFormat>,
    /// Cache zones, in the order of the file.
    pub caches: Vec<CacheZone>,
    /// `limit_req_zone`s with their rates in thousandths of requests a second.
    pub limit_req_zones: Vec<(LimitZone, u64)>,
    /// `limit_conn_zone`s.
    pub limit_conn_zones: Vec<LimitZone>,
    /// `upstream` blocks.
    pub groups: Vec<(GroupDraft, At)>,
    /// `map` blocks.
    pub maps: Vec<MapPlan>,
    /// `geo` blocks.
    pub geos: Vec<GeoPlan>,
    /// `split_clients` blocks.
    pub splits: Vec<SplitPlan>,
    /// Directives without effect that have been mentioned.
    pub quiet_seen: HashSet<&'static str>,
}

/// The block whose statements are being applied.
pub enum Scope<'a> {
    /// Outside all blocks.
    Main(&'a mut MainDraft),
    /// `events`
    Events(&'a mut MainDraft),
    /// `http`
    Http(&'a mut HttpDraft),
    /// `server`
    Server(&'a mut ServerDraft),
    /// `location`
    Location(&'a mut LocationDraft),
    /// `if`, in a server or not.
    If(&'a mut Level, bool),
    /// `limit_except`
    LimitExcept(&'a mut Level),
    /// `upstream`
    Upstream(&'a mut GroupDraft),
}

impl Scope<'_> {
    fn context(&self) -> Contexts {
        match self {
            Scope::Main(_) => row::MAIN,
            Scope::Events(_) => row::EVENTS,
            Scope::Http(_) => row::HTTP,
            Scope::Server(_) => row::SERVER,
            Scope::Location(_) => row::LOCATION,
            Scope::If(_, true) => row::SERVER_IF,
            Scope::If(_, false) => row::LOCATION_IF,
            Scope::LimitExcept(_) => row::LIMIT_EXCEPT,
            Scope::Upstream(_) => row::UPSTREAM,
        }
    }

    fn level(&mut self) -> Option<&mut Level> {
        match self {
            Scope::Http(http) => Some(&mut http.level),
            Scope::Server(server) => Some(&mut server.level),
            Scope::Location(location) => Some(&mut location.level),
            Scope::If(level, _) | Scope::LimitExcept(level) => Some(level),
            Scope::Main(_) | Scope::Events(_) | Scope::Upstream(_) => None,
        }
    }
}

impl<'s> Run<'s> {
    /// A run with nothing applied yet; knows the log format that nginx has built in.
    pub fn new(options: &'s LoadOptions, sources: &'s Sources, report: Report) -> Run<'s> {
        Run {
            options,
            sources,
            report,
            variables: Variables::default(),
            log_files: Vec::new(),
            log_formats: vec![combined()],
            caches: Vec::new(),
            limit_req_zones: Vec::new(),
            limit_conn_zones: Vec::new(),
            groups: Vec::new(),
            maps: Vec::new(),
            geos: Vec::new(),
            splits: Vec::new(),
            quiet_seen: HashSet::new(),
        }
    }
}

impl Run<'_> {
    /// Zones of either kind of limit.
    pub fn limit_zones(&self) -> impl Iterator<Item = &LimitZone> {
        self.limit_req_zones.iter().map(|(zone, _)| zone).chain(&self.limit_conn_zones)
    }

    /// Applies all statements of a block.
    pub fn apply_all(&mut self, scope: &mut Scope<'_>, children: &[Directive]) {
        for directive in children {
            self.apply(scope, directive);
        }
    }

    fn apply(&mut self, scope: &mut Scope<'_>, directive: &Directive) {
        let mut rows = directives::rows(directive.name()).peekable();
        if rows.peek().is_none() {
            self.tell_unknown(directive);
            return;
        }
        let Some(row) = rows.find(|row| row.contexts & scope.context() != 0) else {
            self.tell_misplaced(directive);
            return;
        };
        if let Effect::Refused(module, instead) = row.effect {
            let name = directive.name();
            let message =
                format!("`{name}` is a directive of nginx's {module} and is not supported here");
            self.hinted(directive.at(), message, instead);
            return;
        }
        if !self.well_formed(row, directive) {
            return;
        }
        let outcome = match row.effect {
            Effect::Block(kind) => self.enter(kind, scope, directive),
            _ => self.store(row, scope, directive),
        };
        if let Err(fault) = outcome {
            self.tell_fault(directive, fault);
        }
    }

    fn store(&mut self, row: &Row, scope: &mut Scope<'_>, directive: &Directive) -> Outcome {
        let mut call = Call { directive, run: self };
        match (row.effect, scope) {
            (Effect::Main(apply), Scope::Main(main) | Scope::Events(main)) => {
                apply(main, &mut call)
            }
            (Effect::Server(apply), Scope::Server(server)) => apply(server, &mut call),
            (Effect::Group(apply), Scope::Upstream(group)) => apply(group, &mut call),
            (Effect::Level(apply), scope) => match scope.level() {
                Some(level) => apply(level, &mut call),
                None => Ok(()),
            },
            (Effect::Quiet(shape, reason), _) => {
                check_shape(shape, directive)?;
                // Once per name: `check` lists them, and nobody wants the list twice.
                if call.run.quiet_seen.insert(row.name) {
                    let message = format!("`{}` has no effect here", row.name);
                    call.run.notice(directive.at(), message, reason);
                }
                Ok(())
            }
            (Effect::Warned(reason), _) => {
                let message = format!("`{}` has no effect here", directive.name());
                let hint = Some(reason.to_owned());
                call.run.add(Severity::Warning, directive.at(), message, hint);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self, kind: BlockKind, scope: &mut Scope<'_>, directive: &Directive) -> Outcome {
        match (kind, scope) {
            (BlockKind::Events, Scope::Main(main)) => self.enter_events(main, directive),
            (BlockKind::Http, Scope::Main(main)) => self.enter_http(main, directive),
            (BlockKind::Server, Scope::Http(http)) => self.enter_server(http, directive),
            (BlockKind::Upstream, Scope::Http(_)) => self.enter_upstream(directive),
            (BlockKind::Map, Scope::Http(_)) => self.enter_map(directive),
            (BlockKind::Geo, Scope::Http(_)) => self.enter_geo(directive),
            (BlockKind::SplitClients, Scope::Http(_)) => self.enter_split_clients(directive),
            (BlockKind::Location, Scope::Server(server)) => {
                self.enter_location(&mut server.locations, None, directive)
            }
            (BlockKind::Location, Scope::Location(location)) => {
                let outer = location.level.own.site.clone();
                self.enter_location(&mut location.nested, Some(&outer), directive)
            }
            (BlockKind::LimitExcept, Scope::Location(location)) => {
                self.enter_limit_except(&mut location.level, directive)
            }
            (BlockKind::If, scope) => match scope.level() {
                Some(level) => self.enter_if(level, directive),
                None => Ok(()),
            },
            (BlockKind::CharsetMap, _) => Ok(()),
            (BlockKind::Types, scope) => match scope.level() {
                Some(level) => self.enter_types(level, directive),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The checks nginx makes before it looks at any argument.
    fn well_formed(&mut self, row: &Row, directive: &Directive) -> bool {
        let name = directive.name();
        let wants_block = matches!(row.effect, Effect::Block(_));
        let at = directive.at();
        if directive.block.is_some() && !wants_block {
            self.error(at, format!("directive \"{name}\" is not terminated by \";\""));
            return false;
        }
        if directive.block.is_none() && wants_block {
            self.error(at, format!("directive \"{name}\" has no opening \"{{\""));
            return false;
        }
        let count = directive.args().len();
        if !row.args.allow(count) {
            let message = format!("invalid number of arguments in \"{name}\" directive");
            let hint = self.swallowed(directive).unwrap_or_else(|| wanted(row.args, count));
            self.hinted(at, message, &hint);
            return false;
        }
        true
    }

    /// A missing `;` makes the next directive an argument: tells where.
    fn swallowed(&self, directive: &Directive) -> Option<String> {
        let line_of = |word: &crate::tree::Word| self.sources.place(word.span).line;
        let mut words = directive.words.iter();
        let mut line = line_of(words.next()?);
        for word in words {
            let next = line_of(word);
            if next != line && directives::rows(&word.text).next().is_some() {
                return Some(format!("is a `;` missing at the end of line {line}?"));
            }
            line = next;
        }
        None
    }

    fn tell_unknown(&mut self, directive: &Directive) {
        let name = directive.name();
        let message = format!("unknown directive \"{name}\"");
        let near = diag::nearest(name, directives::names());
        let stripped = name.trim_end_matches('/').to_ascii_lowercase();
        let hint = match near {
            _ if stripped != name && directives::rows(&stripped).next().is_some() => {
                let end = name.get(stripped.len()..).unwrap_or("");
                Some(format!("did you mean `{}`?", format!("{stripped} {end}").trim()))
            }
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => self.swallowed(directive),
        };
        self.add(Severity::Error, directive.at(), message, hint);
    }

    fn tell_misplaced(&mut self, directive: &Directive) {
        let name = directive.name();
        let contexts = directives::rows(name).fold(0, |all, row| all | row.contexts);
        let message = format!("\"{name}\" directive is not allowed here");
        self.hinted(directive.at(), message, &format!("it may stand in {}", places(contexts)));
    }

    fn tell_fault(&mut self, directive: &Directive, fault: Fault) {
        match fault {
            Fault::Directive(words) => {
                let name = directive.name();
                self.error(directive.at_word(1), format!("\"{name}\" directive {words}"));
            }
            Fault::Says(word, message) => self.error(directive.at_word(word), message),
            Fault::Hinted(word, message, hint) => {
                self.hinted(directive.at_word(word), message, &hint);
            }
            Fault::Told => {}
        }
    }

    /// Reports an error.
    pub fn error(&mut self, at: At, message: impl Into<String>) {
        self.report.error(self.sources, at, message);
    }

    /// Reports an error with what to write instead.
    pub fn hinted(&mut self, at: At, message: impl Into<String>, hint: &str) {
        self.add(Severity::Error, at, message.into(), Some(hint.to_owned()));
    }

    /// Reports a warning.
    pub fn warning(&mut self, at: At, message: impl Into<String>) {
        self.add(Severity::Warning, at, message.into(), None);
    }

    /// Reports something worth knowing that nginx would not mention.
    pub fn notice(&mut self, at: At, message: impl Into<String>, hint: &str) {
        self.add(Severity::Notice, at, message.into(), Some(hint.to_owned()));
    }

    fn add(&mut self, severity: Severity, at: At, message: String, hint: Option<String>) {
        self.report.add(self.sources, severity, at, message, hint);
    }
}

/// The log format `combined`.
fn combined() -> LogFormat {
    let text = |text: &'static str| Part::Text(text.into());
    let http = |name: &str| Part::Variable(Variable::Http(name.to_owned()));
    let parts = vec![
        Part::Variable(Variable::RemoteAddr),
        text(" - "),
        Part::Variable(Variable::RemoteUser),
        text(" ["),
        Part::Variable(Variable::TimeLocal),
        text("] \""),
        Part::Variable(Variable::Request),
        text("\" "),
        Part::Variable(Variable::Status),
        text(" "),
        Part::Variable(Variable::BodyBytesSent),
        text(" \""),
        http("referer"),
        text("\" \""),
        http("user_agent"),
        text("\""),
    ];
    let template = Template { parts };
    LogFormat { name: "combined".to_owned(), escape: LogEscape::Default, template }
}

fn wanted(args: Args, count: usize) -> String {
    let expected = match args {
        Args { max: 0, .. } => "none".to_owned(),
        Args { min, max } if min == max => min.to_string(),
        Args { min, max: u8::MAX } => format!("{min} or more"),
        Args { min, max } => format!("{min} to {max}"),
    };
    format!("it takes {expected}, found {count}")
}

fn places(contexts: Contexts) -> String {
    let names = [
        (row::MAIN, "the main level"),
        (row::EVENTS, "`events`"),
        (row::HTTP, "`http`"),
        (row::SERVER, "`server`"),
        (row::LOCATION, "`location`"),
        (row::UPSTREAM, "`upstream`"),
        (row::SERVER_IF | row::LOCATION_IF, "`if`"),
        (row::LIMIT_EXCEPT, "`limit_except`"),
    ];
    let found = names.iter().filter(|(bits, _)| contexts & bits != 0);
    found.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

fn check_shape(shape: Shape, directive: &Directive) -> Outcome {
    let text = directive.arg(0);
    match shape {
        Shape::Free => Ok(()),
        Shape::Flag => call::flag(directive).map(|_| ()),
        Shape::Number => match value::number(text) {
            Some(_) => Ok(()),
            None => Err(Fault::Directive("invalid number")),
        },
        Shape::Size => match value::size(text) {
            Some(_) => Ok(()),
            None => Err(Fault::Directive("invalid value")),
        },
        Shape::Time => match value::time(text) {
            Some(_) => Ok(()),
            None => Err(Fault::Directive("invalid value")),
        },
    }
}
