//! EDNS options: those of a request that are answered, and those of a reply (RFC 6891 §6.1.2). Others are ignored.

use secondo_wire::edns::{DO, OPT_SIZE, Opt, option};
use secondo_wire::{Full, Rcode, RecordType, Writer};

use crate::cookies::WHOLE;
use crate::refusal::{Ede, Refusal};

/// Octets of an option before its value.
const HEAD: usize = 4;
/// Answers are padded to a multiple of so many octets (RFC 8467 §4.1).
const BLOCK: usize = 468;
/// Octets that a COOKIE option of a reply takes.
pub(crate) const COOKIE_SIZE: usize = HEAD + WHOLE;

/// The options of a request that are answered. Of each kind the first counts; ZONEVERSION comes once (RFC 9660 §3.2.1).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asks<'m> {
    pub(crate) cookie: Option<&'m [u8]>,
    pub(crate) nsid: Option<&'m [u8]>,
    pub(crate) expire: Option<&'m [u8]>,
    pub(crate) keepalive: Option<&'m [u8]>,
    pub(crate) zone_version: Option<&'m [u8]>,
    pub(crate) zone_version_again: bool,
    pub(crate) padding: Option<&'m [u8]>,
}

impl<'m> Asks<'m> {
    /// One pass over the options.
    pub(crate) fn of(opt: &Opt<'m>) -> Asks<'m> {
        let mut asks = Asks::default();
        for (code, value) in opt.options() {
            let place = match code {
                option::COOKIE => &mut asks.cookie,
                option::NSID => &mut asks.nsid,
                option::EXPIRE => &mut asks.expire,
                option::KEEPALIVE => &mut asks.keepalive,
                option::ZONEVERSION => {
                    asks.zone_version_again = asks.zone_version.is_some();
                    &mut asks.zone_version
                }
                option::PADDING => &mut asks.padding,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        asks
    }
}

/// The OPT record of a reply.
#[derive(Clone, Debug)]
pub(crate) struct Told<'b> {
    /// Our UDP payload size.
    pub(crate) payload: u16,
    pub(crate) dnssec: bool,
    /// Space for it is held back: no reply goes without.
    pub(crate) cookie: Option<[u8; WHOLE]>,
    /// Seconds until the zone expires.
    pub(crate) expire: Option<u32>,
    pub(crate) ede: Option<Ede>,
    /// Labels of the zone's name, and its serial.
    pub(crate) zone_version: Option<(u8, u32)>,
    /// Tenths of a second.
    pub(crate) keepalive: Option<u16>,
    pub(crate) nsid: Option<&'b [u8]>,
    /// Whether the message is filled up to whole blocks, where there is room.
    pub(crate) padded: bool,
}

impl Told<'_> {
    /// The least octets that the record takes.
    pub(crate) fn reserved(&self) -> usize {
        OPT_SIZE + self.cookie.map_or(0, |_| COOKIE_SIZE)
    }

    /// Tells whole seconds, at least one: zero would tell that the zone has expired (RFC 7314 §3.2).
    pub(crate) fn tell_expire(&mut self, ms: u64) {
        self.expire = Some(u32::try_from(ms / 1000).unwrap_or(u32::MAX).max(1));
    }

    /// What is wanted of all requests, whatever they ask for, is left; what tells of a zone is not.
    pub(crate) fn forget_zone(&mut self) {
        (self.expire, self.zone_version) = (None, None);
    }

    /// Tells why there is no answer. RFC 9660 §3.2: a failure tells of which version, if there was one to answer from.
    pub(crate) fn fail(&mut self, refusal: Refusal) {
        let version = self.zone_version.filter(|_| refusal.rcode == Rcode::SERVFAIL);
        self.forget_zone();
        (self.zone_version, self.ede) = (version, refusal.ede);
    }

    /// Leaves out options that do not fit into `room` octets beside what is held back, the extended error's text first.
    fn fit(&mut self, mut room: usize) {
        let mut fits = |octets: usize| {
            let fits = octets <= room;
            room -= if fits { octets } else { 0 };
            fits
        };
        self.expire = self.expire.filter(|_| fits(HEAD + 4));
        self.ede.take_if(|_| !fits(HEAD + 2));
        self.zone_version = self.zone_version.filter(|_| fits(HEAD + 6));
        self.keepalive = self.keepalive.filter(|_| fits(HEAD + 2));
        self.nsid = self.nsid.filter(|nsid| fits(HEAD + nsid.len()));
        if let Some(ede) = &mut self.ede
            && !fits(ede.text.len())
        {
            ede.text = "".into();
        }
    }

    /// Octets of padding, for a message that has so many with its OPT record and all that comes behind it.
    fn padding(&self, octets: usize, room: usize) -> Option<usize> {
        let room = room.checked_sub(HEAD)?;
        let wanted = (octets + HEAD).next_multiple_of(BLOCK) - (octets + HEAD);
        self.padded.then_some(wanted.min(room))
    }

    /// Writes the record; of `rcode` the upper eight bits. `behind` octets of TSIG are to follow.
    pub(crate) fn write(mut self, rcode: Rcode, behind: usize, writer: &mut Writer<'_>) -> Result<(), Full> {
        self.fit(writer.room().saturating_sub(self.reserved()));
        let ede = self.ede.as_ref();
        let lengths = [
            self.cookie.map(|cookie| cookie.len()),
            self.expire.map(|_| 4),
            ede.map(|ede| 2 + ede.text.len()),
            self.zone_version.map(|_| 6),
            self.keepalive.map(|_| 2),
            self.nsid.map(<[u8]>::len),
        ];
        let length: usize = lengths.iter().flatten().map(|length| HEAD + length).sum();
        let own = OPT_SIZE + length;
        let padding = self.padding(writer.len() + own + behind, writer.room().saturating_sub(own));
        let length = length + padding.map_or(0, |padding| HEAD + padding);
        let mut head = [0; OPT_SIZE];
        head[1..3].copy_from_slice(&RecordType::OPT.0.to_be_bytes());
        head[3..5].copy_from_slice(&self.payload.to_be_bytes());
        head[5] = (rcode.0 >> 4) as u8;
        // RFC 3225 §3: DO is copied, all other bits are clear.
        head[7..9].copy_from_slice(&(if self.dnssec { DO } else { 0 }).to_be_bytes());
        head[9..].copy_from_slice(&(length as u16).to_be_bytes());
        writer.octets(&head)?;
        let mut option = |code: u16, first: &[u8], second: &[u8]| {
            let length = (first.len() + second.len()) as u16;
            let [[a, b], [c, d]] = [code.to_be_bytes(), length.to_be_bytes()];
            writer.octets(&[a, b, c, d])?;
            writer.octets(first)?;
            writer.octets(second)
        };
        if let Some(cookie) = &self.cookie {
            option(option::COOKIE, cookie, &[])?;
        }
        if let Some(expire) = self.expire {
            option(option::EXPIRE, &expire.to_be_bytes(), &[])?;
        }
        if let Some(ede) = ede {
            option(option::EDE, &ede.code.to_be_bytes(), ede.text.as_bytes())?;
        }
        if let Some((labels, serial)) = self.zone_version {
            // RFC 9660 §2.1, §4: the type of the version is SOA-SERIAL.
            option(option::ZONEVERSION, &[labels, 0], &serial.to_be_bytes())?;
        }
        if let Some(keepalive) = self.keepalive {
            option(option::KEEPALIVE, &keepalive.to_be_bytes(), &[])?;
        }
        if let Some(nsid) = self.nsid {
            option(option::NSID, nsid, &[])?;
        }
        if let Some(padding) = padding {
            // RFC 7830 §3: of zeros, which are never compressed away.
            option(option::PADDING, &[0; BLOCK][..padding], &[])?;
        }
        Ok(())
    }
}
