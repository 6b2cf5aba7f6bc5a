//! The log of `secondo`, read as events.

use std::path::Path;

use serde_json::Value;

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Event {
    fields: Value,
}

impl Event {
    /// Its fixed phrase, such as `zone.published`.
    pub fn name(&self) -> &str {
        self.text("event")
    }

    /// A field as text; empty when it is absent.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A field as a number.
    pub fn number(&self, field: &str) -> Option<u64> {
        let value = self.fields.get(field)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }

    /// Whether it has the field at all.
    pub fn has(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|value| !value.is_null())
    }

    /// Whether it is about this zone, with or without the final dot.
    pub fn is_about(&self, zone: &str) -> bool {
        self.text("zone").trim_end_matches('.').eq_ignore_ascii_case(zone.trim_end_matches('.'))
    }

    /// The whole line again.
    pub fn line(&self) -> String {
        self.fields.to_string()
    }
}

/// All events in a log so far. A last line that is still being written is left for the next look.
///
/// # Panics
/// On a line that is not a JSON object with an `event`: everything that `secondo run` prints must be one.
pub fn read(log: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| {
            let fields: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("a line of the log is not JSON ({error}): {line}\n{text}"));
            let event = Event { fields };
            assert!(!event.name().is_empty(), "a line of the log has no event: {line}");
            event
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_line_waits() {
        let folder = crate::Folder::fresh();
        let log = folder.path().join("log");
        std::fs::write(&log, "{\"event\":\"zone.published\",\"zone\":\"A.example\",\"serial\":7}\n{\"ev")
            .unwrap();
        let events = read(&log);
        assert_eq!(events.len(), 1);
        assert!(events[0].is_about("a.example."));
        assert_eq!(events[0].number("serial"), Some(7));
        assert_eq!(events[0].text("reason"), "");
        assert!(!events[0].has("reason"));
    }
}
