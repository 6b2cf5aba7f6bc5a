//! Seals the messages of an answer, and bends seals: the TSIG record is taken apart and put together again.

use secondo_tsig::Seal;
use secondo_wire::{CLASS_IN, RecordType};

use crate::fault::{At, Fault, Wax};
use crate::octets::can_be_sealed;

/// The TSIG record of a message (RFC 8945 §4.2), in pieces.
struct Tsig {
    /// The key's name, uncompressed.
    owner: Vec<u8>,
    class: u16,
    algorithm: Vec<u8>,
    /// Time Signed and Fudge, as they stand.
    timers: [u8; 8],
    mac: Vec<u8>,
    original_id: u16,
    error: u16,
    other: Vec<u8>,
}

impl Tsig {
    /// Takes the record that begins at `at` off its message, and out of its count.
    fn take(message: &mut Vec<u8>, at: usize) -> Option<Tsig> {
        let (owner, rest) = name(message.get(at..)?)?;
        let rest = rest.get(2..)?;
        let (class, rest) = word(rest)?;
        let (algorithm, rest) = name(rest.get(6..)?)?;
        let (timers, rest) = rest.split_first_chunk::<8>()?;
        let (size, rest) = word(rest)?;
        let (mac, rest) = rest.split_at_checked(size.into())?;
        let (original_id, rest) = word(rest)?;
        let (error, rest) = word(rest)?;
        let (_, other) = word(rest)?;
        let tsig = Tsig {
            owner: owner.to_vec(),
            class,
            algorithm: algorithm.to_vec(),
            timers: *timers,
            mac: mac.to_vec(),
            original_id,
            error,
            other: other.to_vec(),
        };
        message.truncate(at);
        count(message, -1);
        Some(tsig)
    }

    /// Puts the record behind a message, and into its count.
    fn put(&self, message: &mut Vec<u8>) {
        let length = |octets: &[u8]| u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes();
        let mut rdata = self.algorithm.clone();
        rdata.extend_from_slice(&self.timers);
        rdata.extend_from_slice(&length(&self.mac));
        rdata.extend_from_slice(&self.mac);
        rdata.extend_from_slice(&self.original_id.to_be_bytes());
        rdata.extend_from_slice(&self.error.to_be_bytes());
        rdata.extend_from_slice(&length(&self.other));
        rdata.extend_from_slice(&self.other);
        message.extend_from_slice(&self.owner);
        message.extend_from_slice(&RecordType::TSIG.0.to_be_bytes());
        message.extend_from_slice(&self.class.to_be_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(&length(&rdata));
        message.extend_from_slice(&rdata);
        count(message, 1);
    }
}

fn name(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    while *octets.get(at)? != 0 {
        at += 1 + usize::from(octets[at]);
    }
    octets.split_at_checked(at + 1)
}

fn word(octets: &[u8]) -> Option<(u16, &[u8])> {
    octets.split_first_chunk().map(|(word, rest)| (u16::from_be_bytes(*word), rest))
}

/// Changes ARCOUNT.
fn count(message: &mut [u8], by: i16) {
    if let Some(octets) = message.get_mut(10..12) {
        let count = u16::from_be_bytes([octets[0], octets[1]]).wrapping_add_signed(by);
        octets.copy_from_slice(&count.to_be_bytes());
    }
}

/// Seals the messages of an answer as the faults say. `replay` is the MAC of the answer before, and becomes that of this
/// one.
pub(crate) fn seal(
    messages: &mut [Vec<u8>],
    mut seal: Option<Seal>,
    faults: &[Fault],
    unix_now: u64,
    replay: &mut Vec<u8>,
) {
    let total = messages.len();
    // RFC 8945 §5.3.1: what goes unsealed is under the next seal.
    let mut pending = Vec::new();
    let before = std::mem::take(replay);
    for (index, message) in messages.iter_mut().enumerate() {
        let Some(seal) = &mut seal else {
            if faults.contains(&Fault::Unasked) {
                forged(message).put(message);
            }
            continue;
        };
        let waxes = faults.iter().filter_map(|fault| bend(*fault, index, total));
        let waxes: Vec<Wax> = waxes.collect();
        if !can_be_sealed(message) {
            continue;
        }
        if skipped(faults, index, total) {
            pending.extend_from_slice(message);
            continue;
        }
        let ahead = waxes.iter().find_map(|wax| if let Wax::Time(ahead) = wax { Some(*ahead) } else { None });
        let now = unix_now.saturating_add_signed(ahead.unwrap_or(0));
        let start = message.len();
        sign(message, &mut pending, seal, now);
        let Some(mut tsig) = Tsig::take(message, start) else { continue };
        replay.clone_from(&tsig.mac);
        let mut times = 1;
        for wax in waxes {
            match wax {
                Wax::Missing => times = 0,
                Wax::Twice => times = 2,
                Wax::Flipped => flip(&mut tsig.mac),
                Wax::Replayed => tsig.mac.clone_from(&before),
                Wax::OtherKey => tsig.owner = b"\x05other\x03key\0".to_vec(),
                Wax::OtherAlgorithm => tsig.algorithm = b"\x0bhmac-sha224\0".to_vec(),
                Wax::Length(octets) => tsig.mac.resize(octets.into(), 0),
                Wax::Error(error) => tsig.error = error,
                Wax::Bare(error) => {
                    tsig.mac.clear();
                    tsig.error = error;
                    message[3] = message[3] & 0xF0 | 9;
                }
                Wax::OriginalId => tsig.original_id ^= 0x5555,
                Wax::Class => tsig.class = CLASS_IN,
                Wax::Time(_) | Wax::Followed => {}
            }
            if wax == Wax::Followed {
                times = 0;
                tsig.put(message);
                // An OPT record, which is in its place anywhere in the additional section but here.
                message.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
                count(message, 1);
            }
        }
        for _ in 0..times {
            tsig.put(message);
        }
    }
}

/// What a fault does to the seal of the message at this place.
fn bend(fault: Fault, index: usize, total: usize) -> Option<Wax> {
    let (at, wax) = match fault {
        Fault::Seal(at, wax) => (at, wax),
        Fault::BadSignature => (At::Last, Wax::Flipped),
        Fault::Clock(ahead) => (At::Every, Wax::Time(ahead)),
        _ => return None,
    };
    at.covers(index, total).then_some(wax)
}

/// Whether the message at this place goes without its seal.
fn skipped(faults: &[Fault], index: usize, total: usize) -> bool {
    let last = index + 1 == total;
    faults.iter().any(|fault| match *fault {
        Fault::Unsigned => true,
        Fault::UnsignedEnd => total > 1 && last,
        Fault::SealEach(each) => !index.is_multiple_of(each.max(1)) && !last,
        _ => false,
    })
}

/// Signs a message together with those before it that went unsealed.
fn sign(message: &mut Vec<u8>, pending: &mut Vec<u8>, seal: &mut Seal, now: u64) {
    if pending.is_empty() {
        return seal.sign(message, 0, now);
    }
    let unsealed = pending.len();
    pending.extend_from_slice(message);
    seal.sign(pending, 0, now);
    // The record went behind the last of them, and was counted in the header of the first.
    *message = pending.split_off(unsealed);
    count(message, 1);
    pending.clear();
}

fn flip(mac: &mut [u8]) {
    if let Some(octet) = mac.last_mut() {
        *octet ^= 1;
    }
}

/// A seal that nobody asked for.
fn forged(message: &[u8]) -> Tsig {
    Tsig {
        owner: b"\x05other\x03key\0".to_vec(),
        class: secondo_wire::CLASS_ANY,
        algorithm: b"\x0bhmac-sha256\0".to_vec(),
        timers: [0, 0, 0, 0, 0, 1, 1, 44],
        mac: vec![7; 32],
        original_id: message.first_chunk().map_or(0, |id| u16::from_be_bytes(*id)),
        error: 0,
        other: Vec::new(),
    }
}
