//! The running MAC: what is fed to it, in which order and in which form (RFC 8945 §4.3).

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use secondo_wire::{CLASS_ANY, Header};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use crate::Algorithm;
use crate::key::Key;
use crate::record::Tsig;

/// Longest MAC in octets: that of SHA-512.
pub(crate) const MAX_MAC: usize = 64;

/// An HMAC under way. Cloning a prepared one saves the work on the key.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // A few hundred octets at most, never held in number.
pub(crate) enum Digest {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha224(Hmac<Sha224>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

/// Does `$body` with the HMAC inside, whichever it is.
macro_rules! with {
    ($digest:expr, $hmac:ident => $body:expr) => {
        match $digest {
            Digest::Md5($hmac) => $body,
            Digest::Sha1($hmac) => $body,
            Digest::Sha224($hmac) => $body,
            Digest::Sha256($hmac) => $body,
            Digest::Sha384($hmac) => $body,
            Digest::Sha512($hmac) => $body,
        }
    };
}

impl Digest {
    /// Prepares the HMAC of `algorithm` with `secret`.
    pub(crate) fn new(algorithm: Algorithm, secret: &[u8]) -> Digest {
        /// Any length will do: RFC 2104 §2 hashes a longer key and pads a shorter one.
        fn keyed<H: KeyInit>(secret: &[u8]) -> H {
            H::new_from_slice(secret).expect("an HMAC takes a key of any length")
        }
        match algorithm {
            Algorithm::HmacMd5 => Digest::Md5(keyed(secret)),
            Algorithm::HmacSha1 => Digest::Sha1(keyed(secret)),
            Algorithm::HmacSha224 => Digest::Sha224(keyed(secret)),
            Algorithm::HmacSha256 | Algorithm::HmacSha256_128 => Digest::Sha256(keyed(secret)),
            Algorithm::HmacSha384 | Algorithm::HmacSha384_192 => Digest::Sha384(keyed(secret)),
            Algorithm::HmacSha512 | Algorithm::HmacSha512_256 => Digest::Sha512(keyed(secret)),
        }
    }

    /// Feeds octets.
    pub(crate) fn update(&mut self, octets: &[u8]) {
        with!(self, hmac => hmac.update(octets));
    }

    /// Feeds a MAC that the next one must build on, with its length before it (RFC 8945 §4.3.1, §5.3.1).
    pub(crate) fn prior(&mut self, mac: &MacOctets) {
        self.update(&u16::from(mac.length).to_be_bytes());
        self.update(mac.as_slice());
    }

    /// Feeds a received message as it was before its TSIG record was added: the octets as they came, but for the
    /// Original ID put back and one record less in ARCOUNT (RFC 8945 §4.3.2). Copies nothing.
    pub(crate) fn stripped(&mut self, message: &[u8], tsig: &Tsig<'_>) {
        let mut head = tsig.header;
        head.id = tsig.original_id;
        // The walk that found the record counted it, so there is one to take away.
        head.counts[3] = head.counts[3].saturating_sub(1);
        self.update(&head.to_octets());
        self.update(message.get(Header::SIZE..tsig.start).unwrap_or_default());
    }

    /// Feeds the TSIG variables (RFC 8945 §4.3.3); names in canonical form, lower case and uncompressed.
    pub(crate) fn variables(&mut self, key: &Key, time: u64, fudge: u16, error: u16, other: &[u8]) {
        self.update(key.canonical_name().as_wire());
        self.update(&CLASS_ANY.to_be_bytes());
        self.update(&0u32.to_be_bytes());
        self.update(key.algorithm().as_wire());
        self.timers(time, fudge);
        self.update(&error.to_be_bytes());
        // Read from, or bounded like, a field of 16 bits.
        self.update(&(other.len() as u16).to_be_bytes());
        self.update(other);
    }

    /// Feeds the timers alone, for all messages of a stream but the first (RFC 8945 §5.3.1).
    pub(crate) fn timers(&mut self, time: u64, fudge: u16) {
        self.update(&time.to_be_bytes()[2..]);
        self.update(&fudge.to_be_bytes());
    }

    /// The MAC, cut to the length of `algorithm`.
    pub(crate) fn finish(self, algorithm: Algorithm) -> MacOctets {
        with!(self, hmac => MacOctets::leading(&hmac.finalize().into_bytes(), algorithm.mac_len()))
    }

    /// Whether `mac` is the beginning of the true MAC, in constant time. The caller has checked its length: any
    /// beginning would do here, even an octet.
    pub(crate) fn verify(self, mac: &[u8]) -> bool {
        with!(self, hmac => hmac.verify_truncated_left(mac).is_ok())
    }
}

/// A MAC as it stood, or will stand, in a message.
#[derive(Clone, Copy)]
pub(crate) struct MacOctets {
    octets: [u8; MAX_MAC],
    /// `length <= 64`.
    length: u8,
}

impl MacOctets {
    /// The first `length` octets of `hash`, or all of them when there are fewer, at most [`MAX_MAC`].
    pub(crate) fn leading(hash: &[u8], length: usize) -> MacOctets {
        let length = length.min(hash.len()).min(MAX_MAC);
        let mut octets = [0; MAX_MAC];
        octets[..length].copy_from_slice(&hash[..length]);
        MacOctets { octets, length: length as u8 }
    }

    /// The octets.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }
}
