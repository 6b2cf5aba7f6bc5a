//! For the tests: messages, keys, and seals forged with any fields.

use secondo_wire::{Header, Name, flags};

use crate::digest::MacOctets;
use crate::record::Outgoing;
use crate::{Algorithm, Key};

pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn key(algorithm: Algorithm) -> Key {
    named("Transfer.Key.example", algorithm, b"0123456789abcdef0123456789abcdef")
}

pub(crate) fn named(name: &str, algorithm: Algorithm, secret: &[u8]) -> Key {
    Key::new(Name::parse(name).unwrap(), algorithm, secret).unwrap()
}

/// A question for the SOA of `example.`
pub(crate) fn question() -> Vec<u8> {
    let header = Header { id: 0x1234, flags: 0, counts: [1, 0, 0, 0] };
    [&header.to_octets()[..], b"\x07example\0\x00\x06\x00\x01"].concat()
}

/// An answer to it, with an OPT record.
pub(crate) fn answer() -> Vec<u8> {
    let header = Header { id: 0x1234, flags: flags::QR | flags::AA, counts: [1, 1, 0, 1] };
    let soa = b"\xC0\x0C\x00\x06\x00\x01\x00\x00\x00\x3C\x00\x16\x00\x00\x00\x00\x00\x07\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01";
    let opt = b"\x00\x00\x29\x04\xD0\x00\x00\x00\x00\x00\x00";
    [&header.to_octets()[..], b"\x07example\0\x00\x06\x00\x01", soa, opt].concat()
}

/// The answer with another RCODE.
pub(crate) fn answer_with(rcode: u8) -> Vec<u8> {
    let mut message = answer();
    message[3] |= rcode;
    message
}

/// A TSIG record with any fields and a MAC that fits them.
#[derive(Clone)]
pub(crate) struct Forgery {
    pub(crate) key: Key,
    /// The MAC before: the request's for an answer, none for a request.
    pub(crate) prior: Option<Vec<u8>>,
    pub(crate) time: u64,
    pub(crate) fudge: u16,
    pub(crate) error: u16,
    pub(crate) other: Vec<u8>,
    /// Octets of the MAC: the hash cut, or lengthened with zeros.
    pub(crate) mac_len: usize,
    /// Digest the timers alone.
    pub(crate) timers: bool,
}

impl Forgery {
    pub(crate) fn new(key: &Key, prior: Option<&[u8]>) -> Forgery {
        Forgery {
            key: key.clone(),
            prior: prior.map(<[u8]>::to_vec),
            time: NOW,
            fudge: 300,
            error: 0,
            other: Vec::new(),
            mac_len: key.algorithm().mac_len(),
            timers: false,
        }
    }

    /// `message` signed with it.
    pub(crate) fn seal(&self, message: &[u8]) -> Vec<u8> {
        let mut digest = match &self.prior {
            Some(prior) => self.key.begin_after(&MacOctets::leading(prior, prior.len())),
            None => self.key.begin(),
        };
        digest.update(message);
        match self.timers {
            true => digest.timers(self.time, self.fudge),
            false => digest.variables(&self.key, self.time, self.fudge, self.error, &self.other),
        }
        // The algorithm of the same hash that cuts nothing.
        let whole = Algorithm::ALL.into_iter().find(|a| a.hash_len() == self.key.algorithm().hash_len());
        let mut mac = digest.finish(whole.unwrap()).as_slice().to_vec();
        mac.resize(self.mac_len, 0);
        let mut out = message.to_vec();
        self.record(&mac).append(&mut out, 0);
        out
    }

    fn record<'a>(&'a self, mac: &'a [u8]) -> Outgoing<'a> {
        Outgoing {
            name: self.key.canonical_name(),
            algorithm: self.key.algorithm().as_wire(),
            time: self.time,
            fudge: self.fudge,
            mac,
            error: self.error,
            other: &self.other,
        }
    }
}

/// The MAC in a message signed by [`Forgery`] or by us, its Other Data being empty.
pub(crate) fn mac_of(message: &[u8]) -> Vec<u8> {
    crate::record::find(message).unwrap().unwrap().mac.to_vec()
}
