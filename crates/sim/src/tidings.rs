//! NOTIFYs as they should be, and with one rule broken each (RFC 1996 §3).

use secondo_tsig::{Algorithm, Key, sign_request};
use secondo_wire::{CLASS_CH, Message, Name, RecordType, Serial, control, flags};
use secondo_zone::Zone;

use crate::notation::foreign;

/// What a NOTIFY tells, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tidings {
    /// Of the newest version; in order.
    Newest,
    /// The same, from an address that is no primary's (RFC 1996 §3.10). The octets are those of [`Tidings::Newest`].
    Stranger,
    /// Of this serial, whoever has it; in order.
    Of(u32),
    /// Without a SOA: something has changed; in order (RFC 1996 §3.7).
    Bare,
    /// Its SOA is cut short.
    CutSoa,
    /// Of class CH.
    OtherClass,
    /// Of the type A (RFC 1996 §3.11: for others to specify).
    OtherType,
    /// Of a zone that is not served.
    OtherZone,
    /// Without a question.
    NoQuestion,
    /// With two.
    TwoQuestions,
    /// An answer to a NOTIFY that nobody sent (QR set).
    Response,
    /// Octets stand behind the last record.
    Trailing,
    /// Sealed with another secret of a key that is known (RFC 8945 §5.2.2).
    OtherSecret,
    /// Sealed with a key that nobody knows (RFC 8945 §5.2.1).
    OtherKey,
    /// Sealed so many seconds ahead of the clock (RFC 8945 §5.2.3).
    Clock(i64),
    /// Not sealed, though there is a key; in order.
    Unsealed,
}

impl Tidings {
    /// The message, from who has `zone`; sealed if there is a key.
    pub fn message(self, zone: &Zone, key: Option<&Key>, id: u16, unix_now: u64) -> Vec<u8> {
        let mut soa = zone.soa().clone();
        if let Tidings::Of(serial) = self {
            soa.serial = Serial(serial);
        }
        let apex = if self == Tidings::OtherZone { &foreign() } else { zone.apex() };
        let mut message = control::notify(apex, &soa, zone.soa_ttl(), id);
        self.bend(&mut message);
        let made = |name: Name| Key::new(name, Algorithm::HmacSha256, b"a secret that only strangers know");
        let key = match self {
            Tidings::OtherSecret => key.and_then(|key| made(key.name().clone()).ok()),
            Tidings::OtherKey => made(foreign()).ok(),
            Tidings::Unsealed => None,
            _ => key.cloned(),
        };
        let ahead = if let Tidings::Clock(ahead) = self { ahead } else { 0 };
        if let Some(key) = key {
            sign_request(&mut message, &key, unix_now.saturating_add_signed(ahead));
        }
        message
    }

    /// Breaks the rule in the octets of the message, which end with the SOA.
    fn bend(self, message: &mut Vec<u8>) {
        let records = Message::new(message).ok().and_then(|message| message.records_start().ok());
        let records = records.expect("we wrote it");
        let question = message[12..records].to_vec();
        match self {
            Tidings::Bare => {
                message.truncate(records);
                message[7] = 0;
            }
            Tidings::CutSoa => {
                message.truncate(message.len() - 4);
                // RDLENGTH as it is then: behind the owner, type, class and TTL.
                let length = secondo_wire::skip_name(message, records);
                let at = length.expect("its owner is whole") + 8;
                let rdata = (message.len() - at - 2) as u16;
                message[at..at + 2].copy_from_slice(&rdata.to_be_bytes());
            }
            Tidings::OtherClass => message[records - 2..records].copy_from_slice(&CLASS_CH.to_be_bytes()),
            Tidings::OtherType => {
                message[records - 4..records - 2].copy_from_slice(&RecordType::A.0.to_be_bytes());
            }
            Tidings::NoQuestion => {
                message.truncate(12);
                message[4..12].fill(0);
            }
            Tidings::TwoQuestions => {
                message.splice(records..records, question);
                message[5] = 2;
            }
            Tidings::Response => message[2] |= (flags::QR >> 8) as u8,
            Tidings::Trailing => message.extend_from_slice(&[0, 0, 1]),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_zone;
    use secondo_tsig::{KeyRing, verify_request};
    use secondo_wire::{Header, Opcode};

    #[test]
    fn each_breaks_its_rule_and_is_a_notify_still() {
        let apex = Name::parse("example.").unwrap();
        let zone = read_zone("@ 60 SOA ns h 7 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n", &apex).unwrap();
        let key = Key::new(Name::parse("key.").unwrap(), Algorithm::HmacSha256, b"a secret").unwrap();
        let ring = KeyRing::new([key.clone()]);
        let sent = |tidings: Tidings| tidings.message(&zone, None, 4711, 1000);
        let honest = sent(Tidings::Newest);
        let all = [
            Tidings::Of(8),
            Tidings::Bare,
            Tidings::CutSoa,
            Tidings::OtherClass,
            Tidings::OtherType,
            Tidings::OtherZone,
            Tidings::NoQuestion,
            Tidings::TwoQuestions,
            Tidings::Response,
            Tidings::Trailing,
        ];
        for tidings in all {
            let message = sent(tidings);
            assert_ne!(message, honest, "{tidings:?}");
            let header = Header::read(&message).unwrap();
            assert_eq!((header.id, header.opcode()), (4711, Opcode::NOTIFY), "{tidings:?}");
        }
        for (tidings, holds) in [
            (Tidings::Newest, true),
            (Tidings::OtherSecret, false),
            (Tidings::OtherKey, false),
            (Tidings::Clock(-7200), false),
        ] {
            let message = tidings.message(&zone, Some(&key), 1, 100_000);
            assert_eq!(
                verify_request(&message, &ring, 100_000).is_ok_and(|seal| seal.is_some()),
                holds,
                "{tidings:?}"
            );
        }
        assert_eq!(Tidings::Unsealed.message(&zone, Some(&key), 4711, 1000), honest);
    }
}
