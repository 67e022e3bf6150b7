//! Servers, locations and where files are.

use plan::Template;

use crate::draft::{SiteKind, TryDraft};
use crate::level::{Level, RootDraft};
use crate::row::{
    ALL_LEVELS, Args, BlockKind, Fault, HTTP, LOCATION, LOCATION_IF, NONE, ONE, ONE_OR_TWO,
    Outcome, Row, SERVER, SOME, Shape, TWO, TWO_OR_MORE, block, level, quiet,
};
use crate::value;
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    block("server", HTTP, NONE, "a virtual server", BlockKind::Server),
    block("location", SERVER | LOCATION, ONE_OR_TWO, "settings by URI", BlockKind::Location),
    level("root", ALL_LEVELS | LOCATION_IF, ONE, "directory before the URI", root),
    level("alias", LOCATION, ONE, "directory in place of the location's prefix", alias),
    level("index", ALL_LEVELS, SOME, "files tried for URIs that end in a slash", index),
    level("try_files", SERVER | LOCATION, TWO_OR_MORE, "first file that exists", try_files),
    level("internal", LOCATION, NONE, "for internal redirects only", |level, _| {
        level.core.internal = Some(true);
        Ok(())
    }),
    level(
        "stub_status",
        SERVER | LOCATION,
        Args { min: 0, max: 1 },
        "page of counters",
        |level, _| {
            level.own.stub_status = true;
            Ok(())
        },
    ),
    level("merge_slashes", HTTP | SERVER, ONE, "makes one slash of several", |level, call| {
        call.flag(&mut level.core.merge_slashes)
    }),
    level("underscores_in_headers", HTTP | SERVER, ONE, "lets `_` pass", |level, call| {
        call.flag(&mut level.core.underscores)
    }),
    level("ignore_invalid_headers", HTTP | SERVER, ONE, "drops odd names", |level, call| {
        call.flag(&mut level.core.ignore_invalid)
    }),
    level("client_header_timeout", HTTP | SERVER, ONE, "time for the head", |level, call| {
        call.time(&mut level.core.header_timeout)
    }),
    level("large_client_header_buffers", HTTP | SERVER, TWO, "limits of a head", header_buffers),
    quiet("client_header_buffer_size", HTTP | SERVER, ONE, Shape::Size, "buffers grow by need"),
    quiet("connection_pool_size", HTTP | SERVER, ONE, Shape::Size, "memory is not pooled"),
    quiet("request_pool_size", HTTP | SERVER, ONE, Shape::Size, "memory is not pooled"),
    quiet("max_headers", HTTP | SERVER, ONE, Shape::Number, "heads have a limit of their own"),
];

fn root(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    set_root(level, call, "root")
}

fn alias(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    set_root(level, call, "alias")
}

fn set_root(level: &mut Level, call: &mut Call<'_, '_>, kind: &'static str) -> Outcome {
    if let Some(earlier) = &level.core.root {
        let first = if earlier.alias.is_some() { "alias" } else { "root" };
        if first == kind {
            return Err(Fault::Directive("is duplicate"));
        }
        let message = format!(
            "\"{kind}\" directive is duplicate, \"{first}\" directive was specified earlier"
        );
        return Err(Fault::Says(0, message));
    }
    let alias = match &level.own.site {
        _ if kind == "root" => None,
        SiteKind::Named(_) => {
            let message = "the \"alias\" directive cannot be used inside the named location";
            return Err(Fault::Says(0, message.to_owned()));
        }
        SiteKind::Regex(_) => Some(usize::MAX),
        site => Some(site.name().len()),
    };
    for name in ["document_root", "realpath_root"] {
        if call.arg(0).contains(&format!("${name}")) || call.arg(0).contains(&format!("${{{name}"))
        {
            let message =
                format!("the ${name} variable cannot be used in the \"{kind}\" directive");
            return Err(Fault::Says(1, message));
        }
    }
    let path = call.arg(0);
    if path.is_empty() {
        return call.once(&mut level.core.root, RootDraft { path: Template::default(), alias });
    }
    let trimmed = match path.strip_suffix('/') {
        Some(trimmed) if alias.is_none() && !trimmed.is_empty() => trimmed,
        _ => path,
    };
    let full = match trimmed.starts_with(['/', '$']) {
        true => trimmed.to_owned(),
        false => call.prefixed(trimmed).to_string_lossy().into_owned(),
    };
    let path = call.template_of(0, &full)?;
    call.once(&mut level.core.root, RootDraft { path, alias })
}

fn index(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    for number in 0..call.args().len() {
        let name = call.arg(number);
        if name.is_empty() {
            let message = "index \"\" in \"index\" directive is invalid".to_owned();
            return Err(Fault::Says(number + 1, message));
        }
        if name.starts_with('/') && number + 1 != call.args().len() {
            let message = "only the last index in \"index\" directive should be absolute";
            call.run.warning(call.directive.at_word(number + 1), message);
        }
        let template = call.template(number)?;
        level.core.index.get_or_insert_default().push(template);
    }
    Ok(())
}

fn try_files(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    if level.own.try_files.is_some() {
        return Err(Fault::Directive("is duplicate"));
    }
    let last = call.args().len() - 1;
    let mut entries = Vec::with_capacity(last + 1);
    for number in 0..last {
        let text = call.arg(number);
        entries.push(match text.strip_suffix('/') {
            Some(directory) => TryDraft::Directory(call.template_of(number, directory)?),
            None => TryDraft::File(call.template(number)?),
        });
    }
    let text = call.arg(last);
    entries.push(match text.as_bytes().first() {
        Some(b'=') => {
            let code = value::number(text.get(1..).unwrap_or("")).filter(|code| *code <= 999);
            let code = code.and_then(|code| u16::try_from(code).ok());
            let invalid = || Fault::Says(last + 1, format!("invalid code \"{text}\""));
            TryDraft::Status(code.ok_or_else(invalid)?)
        }
        Some(b'@') if !text.contains('$') => {
            TryDraft::Named(text.to_owned(), call.directive.at_word(last + 1))
        }
        _ => TryDraft::Uri(call.template(last)?),
    });
    level.own.try_files = Some(entries);
    Ok(())
}

fn header_buffers(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let (number, size) = call.buffers()?;
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    call.once(&mut level.core.header_buffers, (small(number), small(size)))
}
