//! Options about the configuration itself, and those that ask for something else than serving.

use crate::row::{Ask, Condition, Effect, Format, Immediate, Loop, Row, Takes, Test};

const fn row(
    names: &'static [&'static str],
    takes: Takes,
    act: Immediate,
    doc: &'static str,
) -> Row {
    Row { names, short: None, takes, doc, effect: Effect::Immediate(act) }
}

const fn file(
    names: &'static [&'static str],
    short: Option<char>,
    format: Format,
    doc: &'static str,
) -> Row {
    let effect = Effect::Immediate(Immediate::Include(Some(format)));
    Row { names, short, takes: Takes::Value, doc, effect }
}

const fn condition(
    names: &'static [&'static str],
    test: Test,
    wanted: bool,
    doc: &'static str,
) -> Row {
    row(names, Takes::Value, Immediate::If(Condition { test, wanted }), doc)
}

const fn ask(names: &'static [&'static str], takes: Takes, what: Ask, doc: &'static str) -> Row {
    Row { names, short: None, takes, doc, effect: Effect::Asks(what) }
}

const fn with_short(row: Row, short: char) -> Row {
    Row { short: Some(short), ..row }
}

/// The rows.
pub const ROWS: &[Row] = &[
    file(
        &["ini"],
        None,
        Format::Ini,
        "read `file`, `file:section` or `:section` of the same file at this place",
    ),
    file(&["yaml", "yml"], Some('y'), Format::Yaml, "read a YAML file at this place"),
    file(&["json", "js"], Some('j'), Format::Json, "read a JSON file at this place"),
    file(&["xml", "xmlconfig"], Some('x'), Format::Xml, "read an XML file at this place"),
    row(
        &["include", "config"],
        Takes::Value,
        Immediate::Include(None),
        "read a file at this place; its ending tells the format",
    ),
    row(
        &["inherit"],
        Takes::Value,
        Immediate::Inherit,
        "read a file after variables were replaced",
    ),
    with_short(
        row(&["set"], Takes::Value, Immediate::Set, "`key=value`, as if it stood in a file"),
        'S',
    ),
    row(
        &["set-placeholder", "set-ph"],
        Takes::Value,
        Immediate::Placeholder,
        "`key=value` for `%(key)`; never an option, so `strict` allows it",
    ),
    row(
        &["strict"],
        Takes::Nothing,
        Immediate::Strict,
        "refuse unknown options instead of warning",
    ),
    row(
        &["ienv"],
        Takes::Value,
        Immediate::Environment,
        "set an environment variable at once, so that `$(NAME)` sees it",
    ),
    condition(
        &["if-env", "ifenv"],
        Test::Environment,
        true,
        "up to `endif`: only if the variable is set (`NAME`, `NAME=value`); `%(_)` is its value",
    ),
    condition(
        &["if-not-env"],
        Test::Environment,
        false,
        "up to `endif`: only if the variable is not set",
    ),
    condition(
        &["if-opt"],
        Test::Option,
        true,
        "up to `endif`: only if the option was given (`name`, `name=value`); `%(_)` is its value",
    ),
    condition(
        &["if-not-opt"],
        Test::Option,
        false,
        "up to `endif`: only if the option was not given",
    ),
    condition(
        &["if-exists", "ifexists"],
        Test::Exists,
        true,
        "up to `endif`: only if the path exists; `%(_)` is the path",
    ),
    condition(
        &["if-not-exists"],
        Test::Exists,
        false,
        "up to `endif`: only if the path does not exist",
    ),
    condition(
        &["if-file"],
        Test::File,
        true,
        "up to `endif`: only if the path is a file; `%(_)` is the path",
    ),
    condition(&["if-not-file"], Test::File, false, "up to `endif`: only if the path is no file"),
    condition(
        &["if-dir", "ifdir", "if-directory"],
        Test::Directory,
        true,
        "up to `endif`: only if the path is a directory; `%(_)` is the path",
    ),
    condition(
        &["if-not-dir"],
        Test::Directory,
        false,
        "up to `endif`: only if the path is no directory",
    ),
    condition(
        &["if-plugin", "ifplugin"],
        Test::Plugin,
        true,
        "up to `endif`: only if the plugin is there",
    ),
    condition(
        &["if-not-plugin"],
        Test::Plugin,
        false,
        "up to `endif`: only if the plugin is not there",
    ),
    condition(
        &["if-hostname"],
        Test::HostName,
        true,
        "up to `endif`: only on the machine of that name",
    ),
    condition(&["if-not-hostname"], Test::HostName, false, "up to `endif`: only on other machines"),
    row(
        &["if-reload"],
        Takes::Nothing,
        Immediate::If(Condition { test: Test::Reload, wanted: true }),
        "up to `endif`: only after a reload in place, which never happens here",
    ),
    row(
        &["if-not-reload"],
        Takes::Nothing,
        Immediate::If(Condition { test: Test::Reload, wanted: false }),
        "up to `endif`: always, since nothing here reloads in place",
    ),
    row(
        &["else"],
        Takes::Optional,
        Immediate::Else,
        "up to `endif`: the other case of the condition",
    ),
    row(
        &["endif", "end-if", "endfor", "end-for", "end"],
        Takes::Optional,
        Immediate::End,
        "end of a condition or loop",
    ),
    row(
        &["for"],
        Takes::Value,
        Immediate::For(Loop::Words),
        "up to `endfor`: each line once per word, which is `%(_)`",
    ),
    row(
        &["for-glob"],
        Takes::Value,
        Immediate::For(Loop::Glob),
        "up to `endfor`: each line once per path that matches, which is `%(_)`",
    ),
    row(
        &["for-times"],
        Takes::Value,
        Immediate::For(Loop::Times),
        "up to `endfor`: each line N times; `%(_)` counts from 1",
    ),
    row(
        &["for-readline"],
        Takes::Value,
        Immediate::For(Loop::Lines),
        "up to `endfor`: each line once per line of the file, which is `%(_)`",
    ),
    with_short(
        ask(&["help", "usage"], Takes::Nothing, Ask::Help, "print the options and exit"),
        'h',
    ),
    ask(
        &["version"],
        Takes::Nothing,
        Ask::Version,
        "print the version of uWSGI whose place this takes and exit",
    ),
    ask(
        &["python-version"],
        Takes::Nothing,
        Ask::PythonVersion,
        "print the version of the app's interpreter and exit",
    ),
    ask(
        &["reload"],
        Takes::Value,
        Ask::Reload,
        "reload the instance whose pidfile this is, and exit",
    ),
    ask(&["stop"], Takes::Value, Ask::Stop, "stop the instance whose pidfile this is, and exit"),
    ask(
        &["show-config"],
        Takes::Nothing,
        Ask::ShowConfig,
        "print the configuration with everything replaced, then serve",
    ),
    ask(
        &["dump-options"],
        Takes::Nothing,
        Ask::DumpOptions,
        "print the names of all options and exit",
    ),
    ask(
        &["plugins-list", "plugin-list"],
        Takes::Nothing,
        Ask::Plugins,
        "print what is built in and exit",
    ),
];
