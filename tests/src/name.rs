//! Names label by label, spelled as they came.

use std::fmt;

/// A domain name (RFC 1035 §3.1), absolute. Equal and ordered as spelled: compare [`Name::lower`] where case is nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name {
    labels: Vec<Vec<u8>>,
}

impl Name {
    /// The root.
    pub fn root() -> Self {
        Self::default()
    }

    /// From the text of a master file; a name without a final dot is taken as absolute too.
    ///
    /// # Panics
    /// On an escape that is none.
    pub fn of(text: &str) -> Self {
        let mut labels = Vec::new();
        let mut label = Vec::new();
        let mut octets = text.bytes();
        while let Some(octet) = octets.next() {
            match octet {
                b'.' => labels.push(std::mem::take(&mut label)),
                b'\\' => {
                    let next = octets.next().expect("something follows a backslash");
                    if next.is_ascii_digit() {
                        let mut digit = || octets.next().expect("an escape has three digits") - b'0';
                        let number =
                            u16::from(next - b'0') * 100 + u16::from(digit()) * 10 + u16::from(digit());
                        label.push(u8::try_from(number).expect("an octet"));
                    } else {
                        label.push(next);
                    }
                }
                other => label.push(other),
            }
        }
        labels.push(label);
        labels.retain(|label| !label.is_empty());
        Self { labels }
    }

    /// From labels, the leftmost first.
    pub fn from_labels(labels: Vec<Vec<u8>>) -> Self {
        Self { labels }
    }

    /// Its labels without the root's, the leftmost first.
    pub fn labels(&self) -> &[Vec<u8>] {
        &self.labels
    }

    /// Octets in wire form.
    pub fn size(&self) -> usize {
        1 + self.labels.iter().map(|label| label.len() + 1).sum::<usize>()
    }

    /// Uncompressed, as spelled.
    pub fn wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.size());
        for label in &self.labels {
            wire.push(u8::try_from(label.len()).expect("labels have at most 63 octets"));
            wire.extend_from_slice(label);
        }
        wire.push(0);
        wire
    }

    /// In lower case (RFC 4343 §3).
    pub fn lower(&self) -> Self {
        Self { labels: self.labels.iter().map(|label| label.to_ascii_lowercase()).collect() }
    }

    /// The name one label up; the root's is the root.
    pub fn parent(&self) -> Self {
        Self { labels: self.labels.get(1..).unwrap_or_default().to_vec() }
    }

    /// With one more label on the left; `None` when the name would be too long.
    pub fn child(&self, label: &[u8]) -> Option<Self> {
        let mut labels = vec![label.to_vec()];
        labels.extend_from_slice(&self.labels);
        let child = Self { labels };
        (child.size() <= 255 && (1..=63).contains(&label.len())).then_some(child)
    }

    /// Whether it is this name or below it, in any case.
    pub fn is_at_or_below(&self, ancestor: &Self) -> bool {
        let extra = self.labels.len().checked_sub(ancestor.labels.len());
        extra.is_some_and(|extra| {
            let tail = &self.labels[extra..];
            tail.iter().zip(&ancestor.labels).all(|(a, b)| a.eq_ignore_ascii_case(b))
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.labels.is_empty() {
            return f.write_str(".");
        }
        for label in &self.labels {
            for octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(*octet))?;
                    }
                    0x21..=0x7e => write!(f, "{}", char::from(*octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_wire_lead_to_the_same_name() {
        let name = Name::of(r"A\.b.\000x.test.");
        assert_eq!(name.wire(), b"\x03A.b\x02\0x\x04test\0");
        assert_eq!(name.to_string(), r"A\.b.\000x.test.");
        assert_eq!(name.size(), name.wire().len());
        assert_eq!(Name::of("."), Name::root());
    }

    #[test]
    fn below_is_told_label_by_label() {
        let test = Name::of("test.");
        assert!(Name::of("a.TEST.").is_at_or_below(&test) && test.is_at_or_below(&test));
        assert!(!Name::of("atest.").is_at_or_below(&test) && !Name::root().is_at_or_below(&test));
        assert_eq!(Name::of("a.test.").parent(), test);
        assert_eq!(test.child(b"a"), Some(Name::of("a.test.")));
        assert_eq!(test.child(&[b'l'; 64]), None);
    }
}
