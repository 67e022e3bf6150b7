//! A request as the table's rules see it.

use std::collections::HashMap;

use plan::Variable;
use plan::front::LocationId;
use plan::front::rewrite::FileTest;
use plan::template::Slot;

use crate::pattern::Captures;
use crate::rewrite::RewriteState;
use crate::values::Values;

/// The state of one request.
pub(super) struct Request {
    target: String,
    pub uri: Vec<u8>,
    args: Vec<u8>,
    slots: HashMap<Slot, Vec<u8>>,
    captures: Option<Captures>,
    pub location: LocationId,
}

impl Request {
    pub(super) fn new(target: &str) -> Request {
        let (path, args) = target.split_once('?').unwrap_or((target, ""));
        Request {
            target: target.to_owned(),
            uri: crate::uri::normalise(path.as_bytes(), true).unwrap().into_owned(),
            args: args.as_bytes().to_vec(),
            slots: HashMap::new(),
            captures: None,
            location: LocationId(0),
        }
    }

    /// `location|uri|args|$x|$y`.
    pub(super) fn shown(&self, location: &str) -> String {
        let slot = |number| self.slots.get(&Slot(number)).map_or(&[][..], Vec::as_slice);
        let columns = [&self.uri, &self.args, slot(0), slot(1)];
        let columns = columns.map(|column| String::from_utf8_lossy(column).into_owned());
        format!("{location}|{}", columns.join("|"))
    }

    fn argument(&self, name: &str) -> Option<&[u8]> {
        let mut pairs = self.args.split(|byte| *byte == b'&');
        pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }
}

impl Values for Request {
    fn value(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let value = match variable {
            Variable::Uri => Some(self.uri.as_slice()),
            Variable::Args => Some(self.args.as_slice()),
            Variable::RequestUri => Some(self.target.as_bytes()),
            Variable::Arg(name) => self.argument(name),
            Variable::User(slot) => self.slots.get(slot).map(Vec::as_slice),
            _ => None,
        };
        out.extend_from_slice(value.unwrap_or_default());
        value.is_some()
    }

    fn capture(&self, number: u8, out: &mut Vec<u8>) {
        let captures = self.captures.iter();
        captures.for_each(|it| out.extend_from_slice(it.group(usize::from(number))));
    }
}

impl RewriteState for Request {
    fn uri(&self) -> &[u8] {
        &self.uri
    }

    fn set_uri(&mut self, uri: Vec<u8>) {
        self.uri = uri;
    }

    fn args(&self) -> &[u8] {
        &self.args
    }

    fn set_args(&mut self, args: Vec<u8>) {
        self.args = args;
    }

    fn set_slot(&mut self, slot: Slot, value: Vec<u8>) {
        self.slots.insert(slot, value);
    }

    fn set_captures(&mut self, captures: Option<Captures>) {
        self.captures = captures;
    }

    fn path_was_escaped(&self) -> bool {
        let path = self.target.split('?').next().unwrap_or_default();
        path.contains(['%', '+'])
    }

    fn install_location(&mut self, location: LocationId) {
        self.location = location;
    }

    fn test_file(&self, test: FileTest, path: &[u8]) -> bool {
        // A file system that holds nothing but its root.
        path == b"/" && test != FileTest::File
    }
}
