//! xml: `<uwsgi>` (or a root around it), one element per option; an empty element is a flag.

use roxmltree::{Document, Node};

use super::{Line, Lines};

/// Reads the `<uwsgi>` elements, or those whose `id` is the section.
pub fn read(text: &str, section: &str, magic: &dyn Fn(&str) -> String) -> Lines {
    let mut found = Lines::default();
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let at = place(text, error.pos().row, error.pos().col);
            found.broken = Some((error.to_string(), at));
            return found;
        }
    };
    let groups = document.descendants().filter(|node| node.has_tag_name("uwsgi"));
    for group in groups {
        let name = group.attribute("id").unwrap_or("uwsgi");
        found.sections.push(name.to_owned());
        if name == section {
            found.section_found = true;
            found.lines.extend(group.children().filter(Node::is_element).map(|n| line(n, magic)));
        }
    }
    found
}

fn line(node: Node<'_, '_>, magic: &dyn Fn(&str) -> String) -> Line {
    let at = node.range();
    let key = node.tag_name().name();
    let key_at = at.start + 1..(at.start + 1 + key.len()).min(at.end);
    let text = node.children().find(Node::is_text);
    let value_at = text.map_or(key_at.clone(), |text| text.range());
    let value = text.and_then(|text| text.text()).map(|text| magic(text.trim()));
    // uWSGI gives an empty element the value `1`.
    let value = Some(value.unwrap_or_else(|| "1".to_owned()));
    Line { key: magic(key), value, key_at, value_at }
}

/// Line and column, both from 1, to a byte.
fn place(text: &str, row: u32, column: u32) -> usize {
    let before: usize =
        text.split_inclusive('\n').take(row.saturating_sub(1) as usize).map(str::len).sum();
    (before + column.saturating_sub(1) as usize).min(text.len())
}
