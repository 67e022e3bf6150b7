//! What the user wrote: statements and blocks with their places, includes expanded.

use std::path::{Path, PathBuf};

use diag::{Severity, SourceId, Sources, Span};

use crate::include;
use crate::lexer::{Event, Found, LexProblem, Lexer, RawWord, Terminator};
use crate::report::{At, Report};

/// Blocks inside blocks; nothing real comes near.
const DEPTH_MAX: usize = 64;
/// Files including files.
const INCLUDE_DEPTH_MAX: usize = 32;
/// Statements of one configuration, all files together.
const STATEMENTS_MAX: u32 = 4_000_000;

/// A word of a statement.
#[derive(Clone, Debug)]
pub struct Word {
    /// The text, escapes taken out.
    pub text: String,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// A statement: a directive, or an entry of a `map` or `types` block.
#[derive(Clone, Debug)]
pub struct Directive {
    /// The name and its arguments; never empty.
    pub words: Vec<Word>,
    /// What stands in braces, if it ended with a brace.
    pub block: Option<Block>,
    /// The `;` or `{` that ended it.
    pub end: Span,
    /// Position in the walk over all files.
    pub order: u32,
}

/// What stands in braces.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Its statements, those of included files in their place.
    pub children: Vec<Directive>,
    /// The `}`.
    pub close: Option<Span>,
    /// Position of the `}` in the walk.
    pub order: u32,
}

impl Directive {
    /// The directive's name.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", |word| word.text.as_str())
    }

    /// Everything after the name.
    pub fn args(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }

    /// The text of an argument, counted from 0; empty if there is none.
    pub fn arg(&self, index: usize) -> &str {
        self.args().get(index).map_or("", |word| word.text.as_str())
    }

    /// The statement as the place of a problem.
    pub fn at(&self) -> At {
        self.at_word(0)
    }

    /// One word of it as the place of a problem; 0 is the name.
    pub fn at_word(&self, index: usize) -> At {
        let span = self.words.get(index).map_or(self.end, |word| word.span);
        At { span, noticed: self.end, order: self.order }
    }

    /// The closing brace as the place of a problem: for what nginx checks when a block is over.
    pub fn at_close(&self) -> At {
        match &self.block {
            Some(Block { close: Some(close), order, .. }) => {
                At { span: self.at().span, noticed: *close, order: *order }
            }
            _ => self.at(),
        }
    }
}

/// Reads files into trees.
pub struct Reader<'a> {
    /// Every text read.
    pub sources: &'a mut Sources,
    /// Where problems go.
    pub report: &'a mut Report,
    /// Includes are relative to it: the main file's directory.
    pub conf_directory: PathBuf,
    order: u32,
    files_open: usize,
}

/// One text being read.
struct Open {
    id: SourceId,
    params: bool,
}

impl<'a> Reader<'a> {
    /// A reader whose includes are relative to `conf_directory`.
    pub fn new(
        sources: &'a mut Sources,
        report: &'a mut Report,
        conf_directory: PathBuf,
    ) -> Reader<'a> {
        Reader { sources, report, conf_directory, order: 0, files_open: 0 }
    }

    /// Reads a whole text as a file of that name.
    pub fn read_text(&mut self, name: &Path, text: &str) -> Vec<Directive> {
        self.read(name, text, false)
    }

    /// Reads the text of `-g`.
    pub fn read_params(&mut self, text: &str) -> Vec<Directive> {
        self.read(Path::new("command line"), text, true)
    }

    fn read(&mut self, name: &Path, text: &str, params: bool) -> Vec<Directive> {
        let id = self.sources.add(name, text);
        let mut lexer = Lexer::new(text);
        let mut block = Block::default();
        self.fill(&mut lexer, &Open { id, params }, 0, &mut block);
        block.children
    }

    /// Reads statements up to the closing brace (or, at depth 0, the end of the text).
    /// Returns false when nothing more can be made of the text.
    fn fill(
        &mut self,
        lexer: &mut Lexer<'_>,
        open: &Open,
        depth: usize,
        block: &mut Block,
    ) -> bool {
        loop {
            let Found { event, problem, at } = lexer.next_event();
            let end = span(open.id, at, at + 1);
            self.order = self.order.saturating_add(1);
            if let Some((problem, at)) = &problem {
                self.tell(open, problem, *at, end);
            }
            match event {
                None => {}
                Some(Event::End) => {
                    if depth > 0 && problem.is_none() {
                        self.error(end, "unexpected end of file, expecting \"}\"");
                    }
                    return depth == 0;
                }
                Some(Event::CloseBrace) if depth == 0 => {
                    if problem.is_none() {
                        self.error(end, "unexpected \"}\"");
                    }
                    return false;
                }
                Some(Event::CloseBrace) => {
                    (block.close, block.order) = (Some(end), self.order);
                    return true;
                }
                Some(Event::Statement(words, terminator)) => {
                    let statement = Statement { words, terminator, end };
                    if !self.statement(lexer, open, depth, statement, block) {
                        return false;
                    }
                }
            }
        }
    }

    fn statement(
        &mut self,
        lexer: &mut Lexer<'_>,
        open: &Open,
        depth: usize,
        statement: Statement,
        parent: &mut Block,
    ) -> bool {
        let Statement { words, terminator, end } = statement;
        let words: Vec<Word> = words
            .into_iter()
            .map(|word| Word { text: word.text, span: span(open.id, word.start, word.end) })
            .collect();
        let order = self.order;
        let mut directive = Directive { words, block: None, end, order };
        let mut intact = true;
        if terminator == Terminator::OpenBrace {
            if open.params {
                self.error(end, "block directives are not supported in -g option");
            }
            if depth >= DEPTH_MAX || order >= STATEMENTS_MAX {
                self.error(end, format!("blocks are nested deeper than {DEPTH_MAX}"));
                return false;
            }
            let mut block = Block::default();
            intact = self.fill(lexer, open, depth + 1, &mut block);
            directive.block = Some(block);
        }
        if directive.words.is_empty() {
            return intact;
        }
        if directive.name() == "include" && directive.block.is_none() {
            self.include(&directive, parent);
        } else {
            parent.children.push(directive);
        }
        intact
    }

    fn include(&mut self, directive: &Directive, parent: &mut Block) {
        let [pattern] = directive.args() else {
            let message = "invalid number of arguments in \"include\" directive";
            self.report.error(self.sources, directive.at(), message);
            return;
        };
        if self.files_open >= INCLUDE_DEPTH_MAX {
            let message = format!("files include each other deeper than {INCLUDE_DEPTH_MAX}");
            self.report.error(self.sources, directive.at_word(1), message);
            return;
        }
        let files = match include::files(&self.conf_directory, &pattern.text) {
            Ok(files) => files,
            Err(message) => {
                self.report.error(self.sources, directive.at_word(1), message);
                return;
            }
        };
        for path in files {
            let built_in = include::built_in(&path, &self.conf_directory);
            if built_in.is_some() {
                let message = format!("\"{}\" is not there", path.display());
                let hint = Some("a built-in copy is used".to_owned());
                let at = directive.at_word(1);
                self.report.add(self.sources, Severity::Notice, at, message, hint);
            }
            let text = built_in.map_or_else(|| include::text(&path), |text| Ok(text.to_owned()));
            match text {
                Ok(text) => {
                    if text.contains(char::REPLACEMENT_CHARACTER) {
                        let message = format!("\"{}\" is not UTF-8", path.display());
                        let at = directive.at_word(1);
                        self.report.add(self.sources, Severity::Notice, at, message, None);
                    }
                    self.files_open += 1;
                    let mut children = self.read(&path, &text, false);
                    self.files_open -= 1;
                    parent.children.append(&mut children);
                }
                Err(fault) => {
                    let at = directive.at_word(1);
                    let (message, hint) = (fault.message, fault.hint);
                    self.report.add(self.sources, Severity::Error, at, message, hint);
                }
            }
        }
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        let at = At { span, noticed: span, order: self.order };
        self.report.error(self.sources, at, message);
    }

    fn tell(&mut self, open: &Open, problem: &LexProblem, at: usize, noticed: Span) {
        let here = span(open.id, at, at + 1);
        let (message, noticed) = match problem {
            LexProblem::Unexpected(what) => (format!("unexpected \"{what}\""), here),
            LexProblem::EndInStatement if open.params => {
                ("unexpected end of parameter, expecting \";\"".to_owned(), noticed)
            }
            LexProblem::EndInStatement => {
                let end = self.sources.text(open.id).len();
                let message = "unexpected end of file, expecting \";\" or \"}\"".to_owned();
                (message, span(open.id, end, end))
            }
            LexProblem::TooLong(Some(quote), _) => (
                format!("too long parameter, probably missing terminating \"{quote}\" character"),
                here,
            ),
            LexProblem::TooLong(None, head) => {
                (format!("too long parameter \"{head}...\" started"), here)
            }
        };
        let hint = match problem {
            LexProblem::Unexpected('}') => Some("the line before may lack its `;`".to_owned()),
            LexProblem::EndInStatement => {
                Some("the statement that starts here is never ended with `;`".to_owned())
            }
            _ => None,
        };
        let at = At { span: here, noticed, order: self.order };
        self.report.add(self.sources, Severity::Error, at, message, hint);
    }
}

struct Statement {
    words: Vec<RawWord>,
    terminator: Terminator,
    end: Span,
}

fn span(source: SourceId, start: usize, end: usize) -> Span {
    Span { source, start: start as u32, end: end as u32 }
}
