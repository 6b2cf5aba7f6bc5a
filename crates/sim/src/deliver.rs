//! An answer on its way: its messages, and how they are put on the wire.

use std::time::Duration;

/// What is sent, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The messages, without TCP's lengths. None: no answer.
    pub messages: Vec<Vec<u8>>,
    /// TCP: the connection ends behind so many octets, lengths counted.
    pub close_after: Option<usize>,
    /// TCP: one octet in each such time.
    pub pace: Option<Duration>,
}

impl Delivery {
    /// No answer.
    pub fn silence() -> Delivery {
        Delivery::default()
    }

    /// What goes over TCP: each message behind its length (RFC 1035 §4.2.2), cut where the connection ends.
    pub fn frames(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.messages.iter().map(|message| message.len() + 2).sum());
        for message in &self.messages {
            let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&message[..usize::from(length)]);
        }
        out.truncate(self.close_after.unwrap_or(usize::MAX));
        out
    }
}
