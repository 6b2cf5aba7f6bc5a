//! What is in the zone of a world, as master files and changes.

use secondo_sim::{Chance, Name, Zone};
use secondo_wire::KeyBuf;

use crate::pace::Pace;

/// Owners of a large zone: those that stay, and those that come and go. With all of them it has a page file, without it
/// has a row; and either way is too long for a step that does without a new image, so that no thread writes one in the
/// background and each world can be played again.
const BULK: (u32, u32) = (130, 300);

/// The first version.
pub(crate) fn whole(serial: u32, pace: &Pace, large: bool) -> String {
    let [refresh, retry, expire] = pace.soa;
    let mut text = format!(
        "$TTL 300\n@ SOA ns h {serial} {refresh} {retry} {expire} 60\n@ NS ns\nns A 192.0.2.1\n* TXT \"wild\"\n\
         cut NS ns.cut\nns.cut A 192.0.2.2\nTwo A 192.0.2.3\nTwo A 192.0.2.4\n"
    );
    text.extend((0..BULK.1).filter(|_| large).map(|owner| bulk("", owner, "")));
    text
}

/// What makes the next version of this one: a new host; at times without an older one; at times without the owners that
/// make a zone large, or with them again.
pub(crate) fn change(zone: &Zone, host: u32, large: bool, chance: &mut Chance) -> String {
    let mut lines = format!("+ host{host} 300 A 192.0.2.{}\n", host % 250);
    if host > 0 && chance.one_in(2) {
        let gone = chance.below(u64::from(host));
        if has(zone, &format!("host{gone}")) {
            lines += &format!("- host{gone} A 192.0.2.{}\n", gone % 250);
        }
    }
    if large && chance.one_in(4) {
        let there = has(zone, &format!("bulk{}", BULK.0));
        let (sign, ttl) = if there { ("- ", "") } else { ("+ ", "300 ") };
        lines.extend((BULK.0..BULK.1).map(|owner| bulk(sign, owner, ttl)));
    }
    lines
}

fn bulk(sign: &str, owner: u32, ttl: &str) -> String {
    format!("{sign}bulk{owner} {ttl}TXT \"{}\"\n", "bulk".repeat(60))
}

fn has(zone: &Zone, owner: &str) -> bool {
    let mut key = KeyBuf::new();
    let owner = Name::parse(&format!("{owner}.{}", zone.apex())).unwrap();
    key.set(owner.as_ref(), zone.apex().as_ref());
    zone.find(key.as_slice()).is_some()
}
