//! `try_files`: which of the candidates it is.

use plan::front::LocationId;
use plan::front::rewrite::TryFile;
use plan::{Part, Template};

use crate::values::{Values, render};

/// What stands where a candidate points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing, or nothing we may see.
    Nothing,
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// Looks at the file system for the current location.
pub trait FileProbe {
    /// What stands at a URI, mapped to a path by the location's `root` or `alias`. With `alias`,
    /// the location's prefix is cut off the URI only if it is there.
    fn probe(&self, uri: &[u8]) -> Standing;
}

/// What `try_files` decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryOutcome {
    /// Go on in this location with this URI (which is not normalised again).
    Serve(Vec<u8>),
    /// Internal redirect to this URI; `None` leaves the arguments empty.
    Redirect {
        /// New URI.
        uri: Vec<u8>,
        /// What stood behind the first `?`.
        args: Option<Vec<u8>>,
    },
    /// On to a named location.
    Named(LocationId),
    /// Finish with this status.
    Status(u16),
}

/// Goes through the candidates; the last entry is what happens if none is there.
pub fn decide(entries: &[TryFile], values: &dyn Values, files: &dyn FileProbe) -> TryOutcome {
    for entry in entries {
        let (template, wanted) = match entry {
            TryFile::File(template) => (template, Standing::File),
            TryFile::Directory(template) => (template, Standing::Directory),
            TryFile::Uri(template) => return redirect(template, values),
            TryFile::Named(location) => return TryOutcome::Named(*location),
            TryFile::Status(status) => return TryOutcome::Status(*status),
        };
        let mut uri = Vec::with_capacity(64);
        render(template, values, &mut uri);
        // The slash that makes it a directory test is not part of the name; one that came out of
        // a variable is.
        if wanted == Standing::Directory && ends_in_slash(template) {
            uri.pop();
        }
        if files.probe(&uri) == wanted {
            return TryOutcome::Serve(uri);
        }
    }
    TryOutcome::Status(404)
}

fn ends_in_slash(template: &Template) -> bool {
    matches!(template.parts.last(), Some(Part::Text(text)) if text.ends_with(b"/"))
}

fn redirect(template: &Template, values: &dyn Values) -> TryOutcome {
    let mut uri = Vec::with_capacity(64);
    render(template, values, &mut uri);
    let args = uri.iter().position(|byte| *byte == b'?').map(|at| {
        let args = uri.get(at + 1..).unwrap_or(&[]).to_vec();
        uri.truncate(at);
        args
    });
    TryOutcome::Redirect { uri, args }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use plan::front::rewrite::TryFile;
    use plan::{Part, Template, Variable};

    use super::{FileProbe, Standing, TryOutcome, decide};
    use crate::values::Values;

    struct Request(&'static str);

    impl Values for Request {
        fn value(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
            match variable {
                Variable::Uri => out.extend_from_slice(self.0.as_bytes()),
                Variable::Args => out.extend_from_slice(b"a=1"),
                _ => return false,
            }
            true
        }

        fn capture(&self, _: u8, _: &mut Vec<u8>) {}
    }

    impl FileProbe for Request {
        fn probe(&self, uri: &[u8]) -> Standing {
            match uri {
                b"/dir" | b"/dir/" => Standing::Directory,
                b"/file" => Standing::File,
                _ => Standing::Nothing,
            }
        }
    }

    fn template(text: &'static str) -> Template {
        let parts = text.split_inclusive("$uri").flat_map(|piece| {
            let bare = piece.trim_end_matches("$uri");
            let text = (!bare.is_empty()).then(|| Part::Text(Bytes::from_static(bare.as_bytes())));
            let variable = piece.ends_with("$uri").then_some(Part::Variable(Variable::Uri));
            [text, variable].into_iter().flatten()
        });
        Template { parts: parts.collect() }
    }

    #[test]
    fn candidates_are_tried_in_order_and_the_last_one_is_the_way_out() {
        let mut front = template("/index.php?q=");
        front.parts.push(Part::Variable(Variable::Args));
        let entries = [
            TryFile::File(template("$uri")),
            TryFile::Directory(template("$uri/")),
            TryFile::Uri(front),
        ];
        let front =
            TryOutcome::Redirect { uri: b"/index.php".to_vec(), args: Some(b"q=a=1".to_vec()) };
        for (uri, outcome) in [
            ("/file", TryOutcome::Serve(b"/file".to_vec())),
            ("/dir", TryOutcome::Serve(b"/dir".to_vec())),
            ("/dir/", TryOutcome::Serve(b"/dir/".to_vec())),
            ("/none", front),
        ] {
            assert_eq!(decide(&entries, &Request(uri), &Request(uri)), outcome, "{uri}");
        }
    }

    #[test]
    fn a_directory_is_no_file_and_a_status_ends_it() {
        let entries = [TryFile::File(template("$uri")), TryFile::Status(410)];
        let request = Request("/dir");
        assert_eq!(decide(&entries, &request, &request), TryOutcome::Status(410));
    }
}
