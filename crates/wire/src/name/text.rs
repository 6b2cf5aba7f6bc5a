//! Names as text (RFC 1035 §5.1): escapes `\X` and `\DDD`, the last dot optional on reading and always written.

use std::fmt;

use super::{MAX_LABEL, MAX_NAME, NameBuf, NameError, NameRef};

impl NameBuf {
    pub(super) fn parse(text: &str) -> Result<NameBuf, NameError> {
        let mut buf = NameBuf::new();
        if text == "." {
            return Ok(buf);
        }
        let (mut start, mut at) = (0, 1);
        let mut octets = text.bytes();
        while let Some(octet) = octets.next() {
            let octet = match octet {
                b'.' => {
                    if at == start + 1 {
                        return Err(NameError::Label);
                    }
                    buf.octets[start] = (at - start - 1) as u8;
                    (start, at) = (at, at + 1);
                    if start >= MAX_NAME {
                        return Err(NameError::TooLong);
                    }
                    continue;
                }
                b'\\' => match octets.next().ok_or(NameError::Escape)? {
                    hundreds @ b'0'..=b'9' => {
                        let mut number = u32::from(hundreds - b'0');
                        for _ in 0..2 {
                            let digit = octets.next().filter(u8::is_ascii_digit).ok_or(NameError::Escape)?;
                            number = number * 10 + u32::from(digit - b'0');
                        }
                        u8::try_from(number).map_err(|_| NameError::Escape)?
                    }
                    other => other,
                },
                other => other,
            };
            if at - start > MAX_LABEL {
                return Err(NameError::LabelTooLong);
            }
            if at >= MAX_NAME - 1 {
                return Err(NameError::TooLong);
            }
            buf.octets[at] = octet;
            at += 1;
        }
        if at > start + 1 {
            buf.octets[start] = (at - start - 1) as u8;
            start = at;
        } else if start == 0 {
            return Err(NameError::Label);
        }
        if start >= MAX_NAME {
            return Err(NameError::TooLong);
        }
        buf.octets[start] = 0;
        buf.length = (start + 1) as u8;
        Ok(buf)
    }
}

impl NameRef<'_> {
    /// Appends it in presentation format, absolute, with the last dot: printable ASCII.
    ///
    /// Letters, digits, hyphens, underscores, slashes and asterisks stand for themselves; what means something in a
    /// master file has a backslash before it; everything else is written by its number, printable or not, because not
    /// every reader of master files takes it otherwise (Knot DNS no `!`, NSD no `\\` before a dot).
    pub fn put_text(self, out: &mut Vec<u8>) {
        if self.is_root() {
            out.push(b'.');
        }
        for label in self.labels() {
            for &octet in label {
                match octet {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'/' | b'*' => out.push(octet),
                    b'.' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        out.extend_from_slice(&[b'\\', octet]);
                    }
                    _ => {
                        let digit = |unit| b'0' + octet / unit % 10;
                        out.extend_from_slice(&[b'\\', digit(100), digit(10), digit(1)]);
                    }
                }
            }
            out.push(b'.');
        }
    }
}

impl fmt::Display for NameRef<'_> {
    /// Presentation format, absolute, with the last dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(self.as_wire().len());
        self.put_text(&mut text);
        f.write_str(std::str::from_utf8(&text).expect("presentation format is ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    #[test]
    fn presentation_survives_a_round_trip() {
        for text in [
            ".",
            "example.com.",
            "a\\.b.c.",
            "\\000\\255x.y.",
            "0/25.2.0.192.in-addr.arpa.",
            "-x-.\\@.\\092.\\033.",
        ] {
            assert_eq!(Name::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Name::parse("no.dot").unwrap().to_string(), "no.dot.");
        assert_eq!(Name::parse("a\\032b.").unwrap().as_wire(), b"\x03a b\0");
    }

    #[test]
    fn bad_text_is_an_error() {
        for (text, error) in [
            ("", NameError::Label),
            ("..", NameError::Label),
            ("a..b", NameError::Label),
            (".a", NameError::Label),
            ("a\\", NameError::Escape),
            ("a\\25", NameError::Escape),
            ("a\\256", NameError::Escape),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text}");
        }
        assert_eq!(Name::parse(&"x".repeat(64)), Err(NameError::LabelTooLong));
        assert!(Name::parse(&"x".repeat(63)).is_ok());
    }

    #[test]
    fn the_longest_name_has_255_octets() {
        let label = "y".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}.", "z".repeat(61));
        assert_eq!(Name::parse(&longest).unwrap().as_wire().len(), 255);
        for tail in ["z".repeat(62), format!("{}.q", "z".repeat(60)), format!("{}.q.", "z".repeat(61))] {
            let text = format!("{label}.{label}.{label}.{tail}");
            assert_eq!(Name::parse(&text), Err(NameError::TooLong), "{text}");
        }
    }
}
