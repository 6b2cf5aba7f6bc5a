//! DNS cookies: what tells a client that was heard from before from one whose address is made up (RFC 7873), in the form
//! that servers of one address share (RFC 9018).

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;
use zeroize::Zeroizing;

/// Octets of the client's part (RFC 7873 §4).
const CLIENT: usize = 8;
/// Octets of an option with a server cookie of ours (RFC 9018 §4).
pub(crate) const WHOLE: usize = CLIENT + 16;
/// The only version there is (RFC 9018 §4.1).
const VERSION: u8 = 1;
/// RFC 9018 §4.3: how old a cookie may be, and how far ahead the clock of the server that made it, in seconds.
const AGE: std::ops::RangeInclusive<i32> = -300..=3600;
/// RFC 9018 §4.3: older than this, a cookie is renewed; seconds.
const FRESH: i32 = 1800;

/// The secrets of server cookies.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookies {
    first: Zeroizing<[u8; 16]>,
    others: Zeroizing<Vec<[u8; 16]>>,
}

/// A COOKIE option that no server may answer: its length is wrong (RFC 7873 §5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What a request's COOKIE option is worth, and the option that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) standing: Standing,
    /// The client's cookie and ours.
    pub(crate) answer: [u8; WHOLE],
}

/// What the server part of a cookie is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is none yet.
    Missing,
    /// It is not ours, not for this address, or too old.
    Bad,
    /// The client has had an answer of ours at this address not long ago.
    Good,
}

impl Cookies {
    /// Makes cookies with `first`, takes those made with it or any of `others`: the earlier secret and the one to come,
    /// while a secret is rolled (RFC 9018 §5).
    pub fn new(first: [u8; 16], others: impl IntoIterator<Item = [u8; 16]>) -> Cookies {
        Cookies { first: Zeroizing::new(first), others: Zeroizing::new(others.into_iter().collect()) }
    }

    /// Judges the value of a COOKIE option that came from `client`, and makes its answer. A good cookie that is fresh is
    /// given back as it is.
    pub(crate) fn examine(&self, option: &[u8], client: IpAddr, unix: u64) -> Result<Cookie, Malformed> {
        let standing = match option.len() {
            CLIENT => Standing::Missing,
            16..=40 => Standing::Bad,
            _ => return Err(Malformed),
        };
        let own: [u8; CLIENT] = *option.first_chunk().ok_or(Malformed)?;
        // RFC 9018 §4.3: the time in a cookie is read by the arithmetic of RFC 1982.
        let now = unix as u32;
        if let Ok(whole) = <&[u8; WHOLE]>::try_from(option)
            && whole[CLIENT] == VERSION
        {
            let time = u32::from_be_bytes([whole[12], whole[13], whole[14], whole[15]]);
            let age = now.wrapping_sub(time) as i32;
            let [.., a, b, c, d, e, f, g, h] = *whole;
            // Numbers: comparing them takes the same time wherever they differ.
            let theirs = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let made_by = |secret: &[u8; 16]| hash(secret, &whole[..16], client) == theirs;
            if AGE.contains(&age) && made_by(&self.first) {
                let answer = if age <= FRESH { *whole } else { self.bake(own, client, now) };
                return Ok(Cookie { standing: Standing::Good, answer });
            }
            if AGE.contains(&age) && self.others.iter().any(made_by) {
                return Ok(Cookie { standing: Standing::Good, answer: self.bake(own, client, now) });
            }
        }
        Ok(Cookie { standing, answer: self.bake(own, client, now) })
    }

    fn bake(&self, own: [u8; CLIENT], client: IpAddr, now: u32) -> [u8; WHOLE] {
        let mut whole = [0; WHOLE];
        whole[..CLIENT].copy_from_slice(&own);
        whole[CLIENT] = VERSION;
        whole[12..16].copy_from_slice(&now.to_be_bytes());
        let hash = hash(&self.first, &whole[..16], client);
        whole[16..].copy_from_slice(&hash.to_le_bytes());
        whole
    }
}

/// Shows no secret.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookies(of {} secrets)", self.others.len() + 1)
    }
}

/// RFC 9018 §4.4: over client cookie, version, reserved octets as they came, time, and address.
fn hash(secret: &[u8; 16], before: &[u8], client: IpAddr) -> u64 {
    let mut octets = [0; 32];
    octets[..16].copy_from_slice(before);
    let length = match client.to_canonical() {
        IpAddr::V4(v4) => {
            octets[16..20].copy_from_slice(&v4.octets());
            20
        }
        IpAddr::V6(v6) => {
            octets[16..].copy_from_slice(&v6.octets());
            32
        }
    };
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write(&octets[..length]);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        let octet = |n: usize| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap();
        assert_eq!(hex.len(), 2 * N);
        std::array::from_fn(octet)
    }

    fn examine(secrets: &[&str], option: &[u8], client: &str, unix: u64) -> Result<Cookie, Malformed> {
        let secrets: Vec<[u8; 16]> = secrets.iter().map(|secret| octets(secret)).collect();
        Cookies::new(secrets[0], secrets[1..].iter().copied()).examine(option, client.parse().unwrap(), unix)
    }

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const NEXT: &str = "445536bcd2513298075a5d379663c962";
    const FORMER: &str = "dd3bdf9344b678b185a6f5cb60fca715";
    const CLIENT_1: &str = "198.51.100.100";
    const BAKED: &str = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
    const BAKED_AT: u64 = 1_559_731_985;

    // RFC 9018 Appendix A.
    #[test]
    fn cookies_are_those_of_every_server() {
        let fresh = examine(&[SECRET], &octets::<8>(&BAKED[..16]), CLIENT_1, BAKED_AT).unwrap();
        assert_eq!(fresh, Cookie { standing: Standing::Missing, answer: octets(BAKED) });
        // A.2: 40 minutes later it is renewed.
        let renewed = examine(&[SECRET], &octets::<24>(BAKED), CLIENT_1, 1_559_734_385).unwrap();
        let answer = octets("2464c4abcf10c957010000005cf7a871d4a564a1442aca77");
        assert_eq!(renewed, Cookie { standing: Standing::Good, answer });
        // A.3: reserved octets count as they are; the time of the example is not within the hour.
        let reserved = octets::<24>("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5");
        let in_time = examine(&[SECRET], &reserved, "203.0.113.203", 1_559_727_985).unwrap();
        assert_eq!(in_time.standing, Standing::Good);
        let late = examine(&[SECRET], &reserved, "203.0.113.203", 1_559_734_700).unwrap();
        let answer = octets("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e");
        assert_eq!(late, Cookie { standing: Standing::Bad, answer });
        // A.4: over IPv6, with a secret that is being rolled.
        let rolled = examine(
            &[NEXT, FORMER],
            &octets::<24>("22681ab97d52c298010000005cf7c57926556bd0934c72f8"),
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            1_559_741_961,
        );
        let answer = octets("22681ab97d52c298010000005cf7c609a6bb79d16625507a");
        assert_eq!(rolled.unwrap(), Cookie { standing: Standing::Good, answer });
    }

    #[test]
    fn a_cookie_is_good_for_an_hour_at_its_address_under_a_secret_that_is_known() {
        let judge = |secrets: &[&str], client: &str, unix| {
            let cookie = examine(secrets, &octets::<24>(BAKED), client, unix).unwrap();
            (cookie.standing == Standing::Good, cookie.answer == octets(BAKED))
        };
        for (unix, good) in [
            (BAKED_AT - 301, (false, false)),
            (BAKED_AT - 300, (true, true)),
            (BAKED_AT, (true, true)),
            (BAKED_AT + 1800, (true, true)),
            (BAKED_AT + 1801, (true, false)),
            (BAKED_AT + 3600, (true, false)),
            (BAKED_AT + 3601, (false, false)),
            (BAKED_AT + (1 << 32), (true, true)),
        ] {
            assert_eq!(judge(&[SECRET], CLIENT_1, unix), good, "{unix}");
        }
        assert_eq!(judge(&[SECRET], "198.51.100.101", BAKED_AT), (false, false));
        assert_eq!(judge(&[SECRET], "::ffff:198.51.100.100", BAKED_AT), (true, true));
        assert_eq!(judge(&[NEXT], CLIENT_1, BAKED_AT), (false, false));
        // Made with a secret that is on its way out: good, and made anew with the first.
        assert_eq!(judge(&[NEXT, FORMER, SECRET], CLIENT_1, BAKED_AT), (true, false));
    }

    #[test]
    fn every_octet_of_a_cookie_counts() {
        for at in 0..WHOLE {
            let mut option = octets::<24>(BAKED);
            option[at] ^= 1;
            let cookie = examine(&[SECRET], &option, CLIENT_1, BAKED_AT).unwrap();
            assert_eq!(cookie.standing, Standing::Bad, "{at}");
            assert_eq!(cookie.answer[..8], option[..8]);
        }
    }

    #[test]
    fn a_length_that_no_cookie_has_is_malformed() {
        for length in 0..=64 {
            let cookie = examine(&[SECRET], &vec![1; length], CLIENT_1, BAKED_AT);
            let standing = match length {
                8 => Ok(Standing::Missing),
                16..=40 => Ok(Standing::Bad),
                _ => Err(Malformed),
            };
            assert_eq!(cookie.map(|cookie| cookie.standing), standing, "{length}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", Cookies::new([0xAB; 16], [[0xCD; 16]])), "Cookies(of 2 secrets)");
    }
}
