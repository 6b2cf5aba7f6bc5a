//! A primary's diary in the words of [`Expect::asks`](super::Expect::asks).

use secondo_wire::RecordType;

use crate::diary::{Asked, Over};

use super::{Scene, Seals};

/// The questions of a diary, one word each; `address` is 1 for the first one, 2 for the second. A datagram that is sent
/// again is the same question.
pub fn words(asked: &[Asked], scene: &Scene, address: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = None;
    for question in asked {
        let word = word(question, scene, address);
        let again = question.over == Over::Udp && before == Some(&word);
        if !again {
            words.push(word);
        }
        before = words.last();
    }
    words
}

fn word(asked: &Asked, scene: &Scene, address: usize) -> String {
    let mut word = if address == 1 { String::new() } else { format!("{address}:") };
    word += match (asked.rtype, asked.over) {
        (RecordType::SOA, Over::Udp) => "soa",
        (RecordType::SOA, Over::Tcp) => "soa/tcp",
        (RecordType::AXFR, Over::Tcp) => "axfr",
        (RecordType::IXFR, Over::Tcp) => "ixfr",
        _ => "another question",
    };
    if !asked.edns {
        word += "-edns";
    }
    let old = asked.key.as_ref().filter(|_| scene.seals == Seals::Roll);
    if let Some(key) = old.filter(|key| key.to_string() == "old.") {
        word += &format!("+{}", key.to_string().trim_end_matches('.'));
    }
    word
}
