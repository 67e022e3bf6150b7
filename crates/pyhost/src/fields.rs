//! Header fields of a response, held as the lines of its head.

/// Where a piece of text is among the lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    from: usize,
    to: usize,
}

/// Header fields: `Name: value`, CR and LF for each, one behind the other. Its buffers are used
/// again after [`Fields::clear`].
#[derive(Debug, Default)]
pub struct Fields {
    lines: Vec<u8>,
    /// Name and value of each field.
    spans: Vec<(Span, Span)>,
}

impl Fields {
    /// These fields, each a name and a value.
    pub fn of(fields: &[(&[u8], &[u8])]) -> Fields {
        let mut made = Fields::default();
        fields.iter().for_each(|(name, value)| made.push(name, value));
        made
    }

    /// Adds a field.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let Ok(name) = self.begin(|out| append(out, name));
        let Ok(value) = self.go_on(|out| append(out, value));
        self.end(name, value);
    }

    /// Begins a field with the name that `append_name` appends; [`Fields::go_on`] is to follow.
    ///
    /// # Errors
    /// Those of `append_name`; the fields are to be cleared then.
    pub fn begin<E>(
        &mut self,
        append_name: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Span, E> {
        let from = self.lines.len();
        append_name(&mut self.lines)?;
        Ok(Span { from, to: self.lines.len() })
    }

    /// Gives the field that was begun the value that `append_value` appends; [`Fields::end`] is to
    /// follow.
    ///
    /// # Errors
    /// Those of `append_value`; the fields are to be cleared then.
    pub fn go_on<E>(
        &mut self,
        append_value: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Span, E> {
        self.lines.extend_from_slice(b": ");
        self.begin(append_value)
    }

    /// Ends the field of that name and value.
    pub fn end(&mut self, name: Span, value: Span) {
        self.lines.extend_from_slice(b"\r\n");
        self.spans.push((name, value));
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.spans.clear();
    }

    /// Removes the fields with names of which `is_kept` says no.
    pub fn retain(&mut self, is_kept: impl Fn(&[u8]) -> bool) {
        let mut rest = Fields::default();
        let kept = self.iter().filter(|(name, _)| is_kept(name));
        kept.for_each(|(name, value)| rest.push(name, value));
        *self = rest;
    }

    /// All fields, as they stand in a head.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Name and value of each field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.spans.iter().map(|&(name, value)| (self.text(name), self.text(value)))
    }

    /// How many fields there are.
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// A name or a value.
    pub fn text(&self, span: Span) -> &[u8] {
        self.lines.get(span.from..span.to).unwrap_or_default()
    }
}

fn append(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), std::convert::Infallible> {
    out.extend_from_slice(bytes);
    Ok(())
}
