//! Walking the marked tree: what is expected at a place, and the error when something else stands there.
//!
//! Every function reports to [`Findings`] and goes on, so that one pass finds all errors.

use std::collections::HashMap;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::problem::{Findings, Mark, quoted};
use super::tree::{Node, Value};
use super::units;

/// The keys that a map may have.
pub(super) struct Words {
    /// Whose keys these are, for messages: `a zone`.
    pub(super) of: &'static str,
    /// Keys that are read.
    pub(super) known: &'static [&'static str],
    /// Keys of the contract whose feature is not built.
    pub(super) later: &'static [&'static str],
    /// Its values are secrets, perhaps at the wrong place: words from the file are never repeated.
    pub(super) private: bool,
}

/// The known keys of one map, each at most once.
pub(super) struct Fields<'n> {
    /// Where the map begins.
    pub(super) mark: Mark,
    found: Vec<(&'static str, Mark, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// The node of a key, if written.
    pub(super) fn of(&self, word: &str) -> Option<&'n Node> {
        self.found.iter().find(|(known, ..)| *known == word).map(|(_, _, node)| *node)
    }

    /// Whether no other keys are written than these.
    pub(super) fn are_all_of(&self, words: &[&str]) -> bool {
        self.found.iter().all(|(known, ..)| words.contains(known))
    }

    /// The first key that is not `word`, with its mark.
    pub(super) fn other_than(&self, word: &str) -> Option<(&'static str, Mark)> {
        self.found.iter().find(|(known, ..)| *known != word).map(|(known, mark, _)| (*known, *mark))
    }
}

/// Reads a map with fixed keys; `None` (and an error) when it is none. Unknown, later and double keys are errors.
pub(super) fn fields<'n>(node: &'n Node, words: &Words, findings: &mut Findings) -> Option<Fields<'n>> {
    let Value::Map(entries) = &node.value else {
        let example = words.known.first().copied().unwrap_or_default();
        findings.error(
            node.mark,
            format!("{} cannot be {}, expected a map such as `{example}: …`", words.of, node.kind()),
        );
        return None;
    };
    let mut found: Vec<(&'static str, Mark, &Node)> =
        Vec::with_capacity(entries.len().min(words.known.len()));
    let mut later: Vec<&str> = Vec::new();
    for (key, value) in entries.iter() {
        let Value::Scalar(scalar) = &key.value else {
            findings
                .error(key.mark, format!("a key of {} cannot be {}, expected a word", words.of, key.kind()));
            continue;
        };
        let text = scalar.text();
        if let Some(word) = words.known.iter().find(|word| **word == text) {
            if found.iter().any(|(known, ..)| known == word) {
                findings.error(
                    key.mark,
                    format!("key `{word}` is written twice, expected it once in {}", words.of),
                );
            } else {
                found.push((word, key.mark, value));
            }
        } else if let Some(word) = words.later.iter().find(|word| **word == text) {
            if !later.contains(word) {
                findings.error(key.mark, format!("`{word}` is not supported yet"));
                later.push(word);
            }
        } else {
            findings.error(key.mark, unknown_key(text, words));
        }
    }
    Some(Fields { mark: node.mark, found })
}

fn unknown_key(text: &str, words: &Words) -> String {
    let shown = if words.private { String::new() } else { format!(" {}", quoted(text)) };
    if text == "<<" {
        return "merge keys (`<<`) are not supported, expected templates instead".to_owned();
    }
    match nearest(text, words.known.iter().copied()) {
        Some(word) => format!("unknown key{shown} in {}, did you mean `{word}`?", words.of),
        None => format!("unknown key{shown} in {}, expected {}", words.of, one_of(words.known)),
    }
}

/// `` `a`, `b` or `c` ``
pub(super) fn one_of(words: &[&str]) -> String {
    let mut text = String::new();
    for (n, word) in words.iter().enumerate() {
        let before = match n {
            0 => "",
            _ if n + 1 == words.len() => " or ",
            _ => ", ",
        };
        text += &format!("{before}`{word}`");
    }
    text
}

/// An entry of a map whose keys are names: the name, its mark, the value.
pub(super) type Named<'n> = (&'n str, Mark, &'n Node);

/// Reads a map whose keys are names given by the operator. Nothing at all is an empty map. With `private`, names are
/// not repeated in messages.
pub(super) fn named<'n>(
    node: &'n Node,
    what: &str,
    private: bool,
    findings: &mut Findings,
) -> Vec<Named<'n>> {
    if node.is_null() {
        return Vec::new();
    }
    let Value::Map(entries) = &node.value else {
        findings.error(node.mark, format!("{} stands here, expected a map of names to {what}", node.kind()));
        return Vec::new();
    };
    let mut seen: HashMap<&str, Mark> = HashMap::with_capacity(entries.len());
    let mut found = Vec::with_capacity(entries.len());
    for (key, value) in entries.iter() {
        let Value::Scalar(scalar) = &key.value else {
            findings.error(key.mark, format!("{} stands here, expected a name", key.kind()));
            continue;
        };
        let name = scalar.text();
        if let Some(first) = seen.get(name) {
            let shown = if private { "this name".to_owned() } else { quoted(name) };
            let first = findings.place(*first);
            findings.error(key.mark, format!("{shown} is defined twice, expected once (first at {first})"));
            continue;
        }
        seen.insert(name, key.mark);
        found.push((name, key.mark, value));
    }
    found
}

/// Reads a list; `None` (and an error) when it is none. `expected` is what the list holds: `a list of addresses`.
pub(super) fn list<'n>(node: &'n Node, expected: &str, findings: &mut Findings) -> Option<&'n [Node]> {
    if let Value::List(items) = &node.value {
        return Some(items);
    }
    findings.error(node.mark, format!("{} stands here, expected {expected}", node.kind()));
    None
}

/// Reads a scalar as text, whatever YAML would make of it (a name may be `no` or `10`).
pub(super) fn text<'n>(node: &'n Node, expected: &str, findings: &mut Findings) -> Option<&'n str> {
    if let Value::Scalar(scalar) = &node.value
        && !scalar.is_null()
    {
        return Some(scalar.text());
    }
    findings.error(node.mark, format!("{} stands here, expected {expected}", node.kind()));
    None
}

/// Reads a scalar with a grammar of its own.
pub(super) fn parsed<T>(
    node: &Node,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
    findings: &mut Findings,
) -> Option<T> {
    let text = text(node, expected, findings)?;
    let value = parse(text);
    if value.is_none() {
        findings.error(node.mark, format!("bad value {}, expected {expected}", quoted(text)));
    }
    value
}

/// Reads a scalar that YAML itself has a type for: a boolean, a number, one word out of several.
pub(super) fn typed<T: DeserializeOwned>(node: &Node, expected: &str, findings: &mut Findings) -> Option<T> {
    let atom = |text: &str| {
        let is_word = text.len() <= 64
            && text
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'+' | b'_' | b'.'));
        if is_word { serde_yaml::from_str(text).ok() } else { None }
    };
    parsed(node, expected, atom, findings)
}

/// `true` or `false`.
pub(super) fn boolean(node: &Node, findings: &mut Findings) -> Option<bool> {
    typed(node, "true or false", findings)
}

/// A whole number within bounds, both ends included.
pub(super) fn number(node: &Node, least: u64, most: u64, findings: &mut Findings) -> Option<u64> {
    let expected = format!("a whole number from {least} to {most}");
    let value: u64 = typed(node, &expected, findings)?;
    if (least..=most).contains(&value) {
        return Some(value);
    }
    findings.error(node.mark, format!("{value} is out of range, expected {expected}"));
    None
}

/// A duration of at least `least`.
pub(super) fn duration(node: &Node, least: Duration, findings: &mut Findings) -> Option<Duration> {
    let value = parsed(node, units::DURATION, units::parse_duration, findings)?;
    if value >= least {
        return Some(value);
    }
    findings.error(node.mark, format!("the duration is too short, expected at least {least:?}"));
    None
}

/// A size in bytes of at least `least`.
pub(super) fn size(node: &Node, least: u64, findings: &mut Findings) -> Option<u64> {
    let value = parsed(node, units::SIZE, units::parse_size, findings)?;
    if value >= least {
        return Some(value);
    }
    findings.error(node.mark, format!("the size is too small, expected at least {least} bytes"));
    None
}

/// A domain name, absolute whether or not it ends in a dot.
pub(super) fn name(node: &Node, findings: &mut Findings) -> Option<secondo_wire::Name> {
    let text = text(node, "a domain name", findings)?;
    match secondo_wire::Name::parse(text) {
        Ok(name) => Some(name),
        Err(error) => {
            findings.error(node.mark, format!("bad name {}: {error}, expected a domain name", quoted(text)));
            None
        }
    }
}

/// Whether an operator's own word (of a primary, a template) can stand in logs and commands.
pub(super) fn is_label(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
}

/// What to say of a reference to nothing: the name that was probably meant, else what was `expected`.
pub(super) fn undefined<'w>(
    what: &str,
    text: &str,
    names: impl Iterator<Item = &'w str>,
    expected: &str,
    findings: &Findings,
) -> String {
    // A search through all names for each of very many references would take long.
    let near = if findings.is_flood() { None } else { nearest(text, names) };
    match near {
        Some(near) => format!("undefined {what}, did you mean `{near}`?"),
        None => format!("undefined {what}, expected {expected}"),
    }
}

/// What [`is_label`] wants, for messages.
pub(super) const LABEL: &str = "1 to 64 letters, digits, `-`, `_` or `.`";

/// The candidate that was probably meant: at most a third of the letters differ.
pub(super) fn nearest<'w>(text: &str, candidates: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    if text.len() > 64 {
        return None;
    }
    let limit = (text.chars().count() / 3).clamp(1, 3);
    candidates
        .filter(|word| word.len().abs_diff(text.len()) <= limit)
        .map(|word| (distance(text, word), word))
        .filter(|(far, _)| *far <= limit)
        .min()
        .map(|(_, word)| word)
}

/// Letters to insert, delete, replace or swap with their neighbour to make one word from the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut last_letter = None;
    for (row, letter) in from.chars().enumerate() {
        let mut next = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let cell = |cells: &[usize], at: usize| cells.get(at).copied().unwrap_or(usize::MAX - 1);
            let replaced = cell(&last, column) + usize::from(letter != *other);
            let mut best = replaced.min(cell(&last, column + 1) + 1).min(cell(&next, column) + 1);
            let swapped = column > 0 && last_letter == Some(*other) && to.get(column - 1) == Some(&letter);
            if swapped && row > 0 {
                best = best.min(cell(&before, column - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
        last_letter = Some(letter);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_slip_finds_the_word_meant_and_a_strange_word_none() {
        let words = ["primaries", "allow-query", "name", "retry-bounds", "refresh-bounds"];
        let meant = |text| nearest(text, words.iter().copied());
        assert_eq!(meant("primarys"), Some("primaries"));
        assert_eq!(meant("nmae"), Some("name"));
        assert_eq!(meant("allow_query"), Some("allow-query"));
        assert_eq!(meant("refresh-bound"), Some("refresh-bounds"));
        assert_eq!(meant("zonefile"), None);
        assert_eq!(meant(""), None);
        assert_eq!(meant(&"x".repeat(100_000)), None);
    }

    #[test]
    fn distance_counts_single_slips() {
        assert_eq!(distance("name", "name"), 0);
        assert_eq!(distance("nmae", "name"), 1);
        assert_eq!(distance("nam", "name"), 1);
        assert_eq!(distance("", "name"), 4);
    }

    #[test]
    fn words_are_listed_as_people_write_them() {
        assert_eq!(one_of(&["a"]), "`a`");
        assert_eq!(one_of(&["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
