//! Which variant of an object a request wants (RFC 9111, 4.1).

use crate::key::{CacheKey, Hash};

/// The request's header fields, as far as Vary asks for them.
pub trait VaryInputs {
    /// Appends the request's values of a field, several joined with `, `; the name is lower case.
    fn field(&self, name: &str, out: &mut Vec<u8>);
}

/// A request without header fields.
impl VaryInputs for () {
    fn field(&self, _: &str, _: &mut Vec<u8>) {}
}

/// The hash of the variant that this request wants of an object whose Vary names these fields
/// (lower case, joined by commas). Blanks around the list items do not count, as in nginx.
pub fn variant(key: &CacheKey, names: &str, request: &dyn VaryInputs) -> Hash {
    let mut text = Vec::with_capacity(128);
    for name in names.split(',') {
        let mut value = Vec::new();
        request.field(name, &mut value);
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        for item in value.split(|byte| *byte == b',') {
            text.extend_from_slice(item.trim_ascii());
            text.push(b',');
        }
        text.push(b'\n');
    }
    Hash::of(&[&key.hash.0, &text])
}

#[cfg(test)]
mod tests {
    use super::{VaryInputs, variant};
    use crate::CacheKey;

    struct Language(&'static str);

    impl VaryInputs for Language {
        fn field(&self, name: &str, out: &mut Vec<u8>) {
            if name == "accept-language" {
                out.extend_from_slice(self.0.as_bytes());
            }
        }
    }

    #[test]
    fn requests_differ_only_by_the_fields_that_are_named() {
        let key = CacheKey::new("k");
        let of = |names, language| variant(&key, names, &Language(language));
        assert_eq!(of("accept-language", "de, en"), of("accept-language", "de,en"));
        assert_ne!(of("accept-language", "de"), of("accept-language", "en"));
        assert_eq!(of("accept-encoding", "de"), of("accept-encoding", "en"));
        assert_ne!(of("accept-language", "de"), key.hash);
    }
}
