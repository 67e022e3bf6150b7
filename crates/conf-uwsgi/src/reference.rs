//! Help and reference documentation, made from the rows.

use crate::row::{Answer, Effect, Family, Row, Takes};
use crate::rows;

/// The text of `--help`: one line per option with an effect.
pub fn help() -> String {
    let mut out =
        String::from("Usage: propylon app [options...] [file.ini | app.py | module:callable]\n");
    for (title, group) in rows::GROUPS {
        out.push_str(&format!("\n{title}:\n"));
        for row in group.iter() {
            out.push_str(&help_line(row));
        }
    }
    let known: usize = rows::families().map(|family| family.names().count()).sum();
    out.push_str(&format!(
        "\n{known} further options of uWSGI are known; each says what it means here when used.\n"
    ));
    out
}

fn help_line(row: &Row) -> String {
    let short = row.short.map(|letter| format!("-{letter}|")).unwrap_or_default();
    let names: Vec<String> = row.names.iter().map(|name| format!("--{name}")).collect();
    let argument = match row.takes {
        Takes::Nothing => "",
        Takes::Optional => "[=VALUE]",
        Takes::Value => " VALUE",
    };
    let left = format!("    {short}{}{argument}", names.join("|"));
    format!("{left:<40} {}\n", doc(row))
}

fn doc(row: &Row) -> String {
    match row.effect {
        Effect::Known(answer) => answer_text(answer),
        _ => row.doc.to_owned(),
    }
}

fn answer_text(answer: Answer) -> String {
    match answer {
        Answer::NoOp(reason) => format!("no effect, nothing is lost: {reason}"),
        Answer::Missing(reason) => format!("no effect, a warning: {reason}"),
        Answer::Refused(reason) => format!("refused: {reason}"),
    }
}

/// The reference of all options in Markdown, as in `docs/uwsgi-options.md`.
pub fn reference() -> String {
    let mut out = String::from(
        "# uWSGI's options here\n\n\
         Every option that uWSGI 2.0.31 and its plugins know, made from the program's own table.\n\
         In files an option is `name = value`; on the command line `--name value`; in the\n\
         environment `UWSGI_NAME=value`.\n",
    );
    for (title, group) in rows::GROUPS {
        out.push_str(&format!("\n## {title}\n\n| option | value | meaning |\n|---|---|---|\n"));
        for row in group.iter() {
            out.push_str(&table_line(row));
        }
    }
    out.push_str("\n## Known, without an effect\n");
    for family in rows::families() {
        out.push_str(&family_text(family));
    }
    out
}

fn table_line(row: &Row) -> String {
    let mut names: Vec<String> = row.names.iter().map(|name| format!("`{name}`")).collect();
    names.extend(row.short.map(|letter| format!("`-{letter}`")));
    let value = match (&row.effect, row.takes) {
        (Effect::Flag(_), _) => "boolean",
        (Effect::Number(_), _) => "number",
        (_, Takes::Nothing) => "none",
        (_, Takes::Optional) => "text, optional",
        (_, Takes::Value) => "text",
    };
    format!("| {} | {value} | {} |\n", names.join(" "), doc(row).replace('|', "\\|"))
}

fn family_text(family: &Family) -> String {
    let names: Vec<String> = family.names().map(|(name, _)| format!("`{name}`")).collect();
    let answer = answer_text(family.answer);
    let mut letters = answer.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("\n### {}\n\n{first}{}.\n\n{}\n", family.title, letters.as_str(), names.join(", "))
}
