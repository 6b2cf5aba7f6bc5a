//! The marked tree: a YAML document with the place of every node, read once from the parser's events.
//!
//! Bounded against hostile files: depth, and nodes counted as if every alias were written out.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use zeroize::Zeroizing;

use super::problem::Mark;

/// Deepest nesting; the configuration itself needs eight.
const MAX_DEPTH: usize = 32;
/// Nodes of one file, aliases written out: room for more than a million zones.
const MAX_NODES: usize = 24_000_000;

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) value: Value,
}

/// A list or map is shared by its aliases.
#[derive(Clone)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Rc<[Node]>),
    Map(Rc<[(Node, Node)]>),
}

/// A scalar as written, unquoted. It may be a secret: wiped when dropped, and not shown by `Debug`.
#[derive(Clone)]
pub(super) struct Scalar {
    text: Zeroizing<String>,
    /// Written without quotes: `null`, numbers and booleans are themselves, not text.
    pub(super) plain: bool,
}

impl Scalar {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Nothing, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    /// Whether a value was left out.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// What kind of thing this is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_null() => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.kind(), self.mark.line, self.mark.column)
    }
}

/// What makes a text no YAML that we take, and where.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) mark: Mark,
    pub(super) message: String,
}

/// A list or map whose end has not come yet.
struct Open {
    mark: Mark,
    anchor: usize,
    is_map: bool,
    /// Of a map: keys and values by turns.
    items: Vec<Node>,
    size: Size,
}

/// Nodes in a subtree with its aliases written out, and levels below its root.
#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    height: usize,
}

/// Reads one document. `start` names the file. An empty text is a null scalar.
pub(super) fn parse(text: &str, start: Mark) -> Result<Node, SyntaxError> {
    // YAML 1.2 §5.1: no control characters; the parser would take a NUL for the end of the file.
    refuse_control_characters(text, start)?;
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder { start, open: Vec::new(), anchors: HashMap::new(), root: None, nodes: 0 };
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => builder.take(event, span)?,
            Err(error) => {
                let marker = error.marker();
                let mark = at(start, marker.line(), marker.col());
                // The parser's words quote no more than one punctuation character of the text.
                let message = format!("not valid YAML: {}", error.info());
                return Err(SyntaxError { mark, message });
            }
        }
    }
    let empty = Scalar { text: Zeroizing::new(String::new()), plain: true };
    Ok(builder.root.unwrap_or(Node { mark: start, value: Value::Scalar(empty) }))
}

struct Builder {
    start: Mark,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Size)>,
    root: Option<Node>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), SyntaxError> {
        let mark = at(self.start, span.start.line(), span.start.col());
        let written_out = match &event {
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => 1,
            Event::Alias(anchor) => self.anchors.get(anchor).map_or(0, |(_, size)| size.nodes),
            _ => 0,
        };
        self.nodes += written_out;
        if self.nodes > MAX_NODES {
            let message = format!("too many values, expected at most {MAX_NODES} with aliases written out");
            return Err(SyntaxError { mark, message });
        }
        let fail = |message: &str| Err(SyntaxError { mark, message: message.to_owned() });
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                fail("a second YAML document begins, expected one document in a file")
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                fail("YAML tags (`!…`) are not supported, expected a plain value")
            }
            Event::Scalar(text, style, anchor, None) => {
                let plain = style == ScalarStyle::Plain;
                let value = Value::Scalar(Scalar { text: Zeroizing::new(text.into_owned()), plain });
                self.close(Node { mark, value }, anchor, Size { nodes: 1, height: 0 })
            }
            Event::SequenceStart(anchor, None) => self.descend(mark, anchor, false),
            Event::MappingStart(anchor, None) => self.descend(mark, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                None => fail("not valid YAML: an end without a beginning"),
                Some(open) => {
                    let value = if open.is_map { map(open.items) } else { Value::List(open.items.into()) };
                    self.close(Node { mark: open.mark, value }, open.anchor, open.size)
                }
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                None => fail("an alias (`*…`) stands inside its own anchor, expected a finished one"),
                Some((node, size)) => {
                    let (node, size) = (node.clone(), *size);
                    self.close(node, 0, size).map_err(|error| SyntaxError { mark, ..error })
                }
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn descend(&mut self, mark: Mark, anchor: usize, is_map: bool) -> Result<(), SyntaxError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(mark));
        }
        self.open.push(Open { mark, anchor, is_map, items: Vec::new(), size: Size { nodes: 1, height: 0 } });
        Ok(())
    }

    /// Hangs a finished node into the innermost open one.
    fn close(&mut self, node: Node, anchor: usize, size: Size) -> Result<(), SyntaxError> {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        if self.open.len() + size.height > MAX_DEPTH {
            return Err(too_deep(node.mark));
        }
        match self.open.last_mut() {
            None => {
                self.root = Some(node);
                Ok(())
            }
            Some(parent) => {
                parent.size.nodes += size.nodes;
                parent.size.height = parent.size.height.max(size.height + 1);
                parent.items.push(node);
                Ok(())
            }
        }
    }
}

fn map(items: Vec<Node>) -> Value {
    let mut entries = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        entries.push((key, value));
    }
    Value::Map(entries.into())
}

fn too_deep(mark: Mark) -> SyntaxError {
    SyntaxError { mark, message: format!("nested too deep, expected at most {MAX_DEPTH} levels") }
}

fn at(start: Mark, line: usize, column: usize) -> Mark {
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Mark { file: start.file, line: narrow(line).max(1), column: narrow(column).saturating_add(1) }
}

fn refuse_control_characters(text: &str, start: Mark) -> Result<(), SyntaxError> {
    let bad = |octet: u8| (octet < 0x20 && !matches!(octet, b'\t' | b'\n' | b'\r')) || octet == 0x7f;
    let Some(offset) = text.bytes().position(bad) else { return Ok(()) };
    let before = text.get(..offset).unwrap_or_default();
    let (line, column) = line_and_column(before);
    let message = "a control character, expected printable text (UTF-8)".to_owned();
    Err(SyntaxError { mark: at(start, line, column), message })
}

/// Line (from 1) and column (from 0, in characters) of the end of `before`.
pub(super) fn line_and_column(before: &str) -> (usize, usize) {
    let line = before.bytes().filter(|octet| *octet == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mark = Mark { file: 0, line: 1, column: 1 };

    fn refused(text: &str) -> (u32, u32, String) {
        let error = parse(text, START).unwrap_err();
        (error.mark.line, error.mark.column, error.message)
    }

    /// The same document for the YAML crate that gives us values.
    fn as_value(node: &Node) -> serde_yaml::Value {
        match &node.value {
            Value::Scalar(scalar) if scalar.plain => serde_yaml::from_str(scalar.text()).unwrap(),
            Value::Scalar(scalar) => serde_yaml::Value::String(scalar.text().to_owned()),
            Value::List(items) => serde_yaml::Value::Sequence(items.iter().map(as_value).collect()),
            Value::Map(entries) => serde_yaml::Value::Mapping(
                entries.iter().map(|(key, value)| (as_value(key), as_value(value))).collect(),
            ),
        }
    }

    #[test]
    fn both_yaml_crates_read_the_annotated_example_alike() {
        for text in [
            include_str!("../../../../etc/secondo.yaml"),
            include_str!("../../../../etc/secondo-minimal.yaml"),
            "a: [1, \"1\", on, true, ~]\nb: &x {c: 'd'}\ne: *x\nf: |\n  two\n  lines\n",
        ] {
            let ours = as_value(&parse(text, START).unwrap());
            assert_eq!(ours, serde_yaml::from_str::<serde_yaml::Value>(text).unwrap());
        }
    }

    #[test]
    fn every_node_knows_its_place() {
        let root = parse("a: 1\nlist:\n  - \"x\"\n  - ü: 2\n", START).unwrap();
        let Value::Map(entries) = &root.value else { panic!("no map") };
        let Value::List(items) = &entries[1].1.value else { panic!("no list") };
        assert_eq!((items[0].mark.line, items[0].mark.column), (3, 5));
        let Value::Map(inner) = &items[1].value else { panic!("no map") };
        assert_eq!((inner[0].1.mark.line, inner[0].1.mark.column), (4, 8));
    }

    #[test]
    fn an_empty_file_is_null() {
        assert!(parse("", START).unwrap().is_null());
        assert!(parse("# only a comment\n", START).unwrap().is_null());
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..20 {
            let last = n - 1;
            text += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{last}"); 10].join(", "));
        }
        assert!(refused(&text).2.starts_with("too many values"));
    }

    #[test]
    fn deep_nesting_is_refused_also_through_aliases() {
        assert!(refused(&"[".repeat(100)).2.starts_with("nested too deep"));
        assert!(
            refused(&(0..2000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>())
                .2
                .contains("deep")
        );
        let chain: String = (1..60)
            .map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1))
            .fold("a0: &a0 [x]\n".into(), |a, b| a + &b);
        assert!(refused(&chain).2.starts_with("nested too deep"));
    }

    #[test]
    fn an_alias_inside_its_own_anchor_is_refused() {
        assert_eq!(refused("a: &x [1, *x]\n").1, 11);
    }

    #[test]
    fn tags_second_documents_and_control_characters_are_refused_with_their_place() {
        assert_eq!(refused("a: !!str 1\n").0, 1);
        assert_eq!(refused("a: 1\n---\nb: 2\n").0, 2);
        assert_eq!((refused("a: 1\nb: ü\0c\n").0, refused("a: 1\nb: ü\0c\n").1), (2, 5));
    }
}
