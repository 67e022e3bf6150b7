//! Rewrite steps with their regexes compiled.

use plan::front::LocationId;
use plan::front::rewrite::{self as plans, FileTest, RewriteFlag, RewriteStep};
use plan::template::Slot;
use plan::{Part, RegexPlan, Template, Variable};

use crate::pattern::Pattern;

/// One compiled step; made by [`crate::Router`], run by [`super::run`].
#[derive(Debug)]
pub enum Step {
    /// `set`.
    Set(Slot, Template),
    /// `set $args`.
    SetArgs(Template),
    /// `rewrite`.
    Rewrite(Box<Rewrite>),
    /// `return`: status and text.
    Return(u16, Option<Template>),
    /// `break`.
    Break,
    /// `if`.
    If {
        /// When.
        condition: Condition,
        /// Steps inside.
        steps: Vec<Step>,
        /// Settings inside.
        location: Option<LocationId>,
    },
}

/// A compiled `rewrite`.
#[derive(Debug)]
pub struct Rewrite {
    pub(super) pattern: Pattern,
    /// The whole replacement of a redirect; else what stands before its first literal `?`.
    pub(super) uri: Template,
    /// What stands behind the first literal `?`; `None` if there is none, or in a redirect.
    pub(super) args: Option<Template>,
    /// A literal `?` is somewhere in the replacement.
    pub(super) has_question_mark: bool,
    pub(super) drop_args: bool,
    pub(super) flag: RewriteFlag,
}

/// A compiled condition.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Condition {
    Truthy(Variable),
    Equals { variable: Variable, value: Template, negate: bool },
    Matches { variable: Variable, pattern: Pattern, negate: bool },
    File { test: FileTest, path: Template, negate: bool },
}

impl Step {
    /// Compiles steps; the error is that of a regex, with its pattern.
    pub(crate) fn compile(steps: &[RewriteStep]) -> Result<Vec<Step>, (String, String)> {
        steps.iter().map(Step::new).collect()
    }

    fn new(step: &RewriteStep) -> Result<Step, (String, String)> {
        Ok(match step {
            RewriteStep::Set(slot, value) => Step::Set(*slot, value.clone()),
            RewriteStep::SetArgs(value) => Step::SetArgs(value.clone()),
            RewriteStep::Rewrite { regex, replacement, drop_args, flag } => {
                let is_redirect = matches!(flag, RewriteFlag::Redirect(_));
                let (before, after) = split_at_question_mark(replacement);
                let has_question_mark = after.is_some();
                let (uri, args) =
                    if is_redirect { (replacement.clone(), None) } else { (before, after) };
                Step::Rewrite(Box::new(Rewrite {
                    pattern: compile(regex)?,
                    uri,
                    args,
                    has_question_mark,
                    drop_args: *drop_args,
                    flag: *flag,
                }))
            }
            RewriteStep::Return(plans::Return { status, text }) => {
                Step::Return(*status, text.clone())
            }
            RewriteStep::Break => Step::Break,
            RewriteStep::If { condition, steps, location } => Step::If {
                condition: Condition::new(condition)?,
                steps: Step::compile(steps)?,
                location: *location,
            },
        })
    }
}

impl Condition {
    fn new(condition: &plans::Condition) -> Result<Condition, (String, String)> {
        Ok(match condition {
            plans::Condition::Truthy(variable) => Condition::Truthy(variable.clone()),
            plans::Condition::Equals { variable, value, negate } => Condition::Equals {
                variable: variable.clone(),
                value: value.clone(),
                negate: *negate,
            },
            plans::Condition::Matches { variable, regex, negate } => Condition::Matches {
                variable: variable.clone(),
                pattern: compile(regex)?,
                negate: *negate,
            },
            plans::Condition::File { test, path, negate } => {
                Condition::File { test: *test, path: path.clone(), negate: *negate }
            }
        })
    }
}

fn compile(regex: &RegexPlan) -> Result<Pattern, (String, String)> {
    Pattern::new(regex).map_err(|why| (regex.pattern.clone(), why))
}

/// Cuts a template at its first literal `?`; one that comes out of a variable does not count.
fn split_at_question_mark(template: &Template) -> (Template, Option<Template>) {
    let mut before = Template::default();
    for (at, part) in template.parts.iter().enumerate() {
        if let Part::Text(text) = part
            && let Some(mark) = text.iter().position(|byte| *byte == b'?')
        {
            before.parts.push(Part::Text(text.slice(..mark)));
            let mut after = vec![Part::Text(text.slice(mark + 1..))];
            after.extend(template.parts.iter().skip(at + 1).cloned());
            return (before, Some(Template { parts: after }));
        }
        before.parts.push(part.clone());
    }
    (before, None)
}
