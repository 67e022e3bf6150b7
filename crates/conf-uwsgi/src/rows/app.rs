//! Which app, and the interpreter around it.

use std::path::PathBuf;

use crate::draft::pair;
use crate::row::{Effect, Fault, Row, Takes, TextEffect};

const fn word(names: &'static [&'static str], doc: &'static str, set: TextEffect) -> Row {
    Row { names, short: None, takes: Takes::Value, doc, effect: Effect::Word(set) }
}

const fn text(names: &'static [&'static str], doc: &'static str, set: TextEffect) -> Row {
    Row { names, short: None, takes: Takes::Value, doc, effect: Effect::Text(set) }
}

const fn with_short(row: Row, short: char) -> Row {
    Row { short: Some(short), ..row }
}

/// The rows.
pub const ROWS: &[Row] = &[
    with_short(
        word(
            &["module", "wsgi"],
            "import `pkg.mod` and serve its `application`, or the callable named by \
             `pkg.mod:name`, or the result of `pkg.mod:factory()`",
            |draft, text| {
                draft.module = Some(text.to_owned());
                python_file_as_module(text)
            },
        ),
        'w',
    ),
    text(
        &["wsgi-file", "file"],
        "load a Python file, then look up `callable` in it",
        |draft, text| {
            draft.wsgi_file = Some(text.to_owned());
            Ok(())
        },
    ),
    word(
        &["callable"],
        "the name to look up in the module or file; `application`, then `app`, if not given",
        |draft, text| {
            draft.plan.callable = Some(text.to_owned());
            Ok(())
        },
    ),
    text(
        &["mount"],
        "`/prefix=app.py` or `/prefix=mod:callable`: serve that app below the prefix; repeatable",
        |draft, text| {
            draft.mounts.push(pair(text, "mount = /prefix=module:callable")?);
            Ok(())
        },
    ),
    Row {
        names: &["manage-script-name"],
        short: None,
        takes: Takes::Nothing,
        doc: "move the longest matching mount point from PATH_INFO to SCRIPT_NAME",
        effect: Effect::Flag(|draft, on| draft.plan.manage_script_name = on),
    },
    Row {
        names: &["need-app"],
        short: None,
        takes: Takes::Optional,
        doc: "exit with 22 if the app cannot be loaded, instead of answering 500",
        effect: Effect::Flag(|draft, on| draft.plan.need_app = on),
    },
    Row {
        names: &["lazy-apps", "lazy"],
        short: None,
        takes: Takes::Nothing,
        doc: "import the app in each worker instead of once before forking",
        effect: Effect::Flag(|draft, on| draft.plan.lazy_apps = on),
    },
    with_short(
        text(
            &["virtualenv", "home", "venv", "pyhome"],
            "the root of the virtual environment",
            |draft, text| {
                draft.plan.python.virtualenv = Some(PathBuf::from(text));
                Ok(())
            },
        ),
        'H',
    ),
    text(
        &["pythonpath", "python-path", "pp"],
        "a directory (or glob) before everything else in `sys.path`; repeatable",
        |draft, text| {
            draft.python_path.push(text.to_owned());
            Ok(())
        },
    ),
    text(&["pyargv"], "the tail of `sys.argv`, separated by blanks", |draft, text| {
        draft.plan.python.argv = text.split_whitespace().map(str::to_owned).collect();
        Ok(())
    }),
    text(&["chdir"], "the working directory; relative paths start there", |draft, text| {
        draft.plan.python.chdir = Some(PathBuf::from(text));
        Ok(())
    }),
    text(&["env"], "`NAME=value`: set an environment variable; repeatable", |draft, text| {
        let (name, value) = pair(text, "env = NAME=value")?;
        let trimmed = name.trim_end().to_owned();
        let blank = trimmed.len() != name.len() || value.starts_with(' ');
        let value = if blank { value.trim_start().to_owned() } else { value };
        draft.plan.python.env.push((trimmed.clone(), value.clone()));
        if blank {
            return Err(Fault::warning(
                format!("blanks around `=` would become part of the variable `{trimmed}`; dropped"),
                format!("write `env = {trimmed}={value}`"),
            ));
        }
        Ok(())
    }),
];

/// `module = app.py` means the attribute `py` of a package `app` to Python.
fn python_file_as_module(text: &str) -> Result<(), Fault> {
    if text.ends_with(".py") || text.contains('/') {
        return Err(Fault::warning(
            format!("`module` wants a dotted module name, not a path: {text}"),
            format!("write `wsgi-file = {text}`"),
        ));
    }
    Ok(())
}
