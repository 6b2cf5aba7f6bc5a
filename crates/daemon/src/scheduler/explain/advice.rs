//! What a person should do: the reasons' help, with names, addresses, numbers and lines to copy.

use secondo_lifecycle::{Step, Validity};
use secondo_tsig::Key;
use secondo_wire::{Class, Reason, Serial};
use std::net::SocketAddr;

use super::super::contacts::off_by;
use super::super::trouble::Try;
use super::lines::{self, bare, key_name};
use super::{Case, Known, long, roll, silence, tls, whom};
use crate::calendar::utc;
use crate::config::PrimaryConfig;
use crate::control::Unanswered;

/// Failures that are advised on; further ones wait until these are mended.
const MOST: usize = 3;

/// What to do, the most pressing first.
pub(super) fn advice(case: &Case) -> Vec<String> {
    let mut said = Vec::new();
    if !case.status.durable {
        said.push(disk(case));
    }
    let mut known = Vec::new();
    for (primary, failed) in case.tries.iter().rev() {
        let about = (primary.name.clone(), cause(case, failed));
        if known.len() < MOST && !known.contains(&about) {
            said.extend(on(case, primary, failed, about.1));
            known.push(about);
        }
    }
    // Another zone found it out.
    if case.tries.is_empty() && case.all_down().is_some() {
        let down = case.contacts.iter().filter_map(|known| Some((known, known.down.as_ref()?))).take(MOST);
        said.extend(down.flat_map(|(known, down)| {
            silence::advice(case, &known.primary, known.address, down.reason, None)
        }));
    }
    if case.tries.is_empty()
        && let Some((primary, ixfr)) = &case.ixfr
    {
        said.extend(no_ixfr(case, primary, ixfr.reason));
    }
    said.extend(case.status.unanswered.iter().map(|told| unanswered(case, told)));
    said.extend(case.contacts.iter().filter_map(|known| roll::advice(case, known)));
    let told = said.iter().any(|line| line.contains("clock"));
    if !told {
        said.extend(
            case.contacts
                .iter()
                .filter_map(|known| known.skew.map(|skew| clocks(case, &whom_of(known), skew))),
        );
    }
    match case.validity {
        _ if !said.is_empty() => {}
        Validity::Current { .. } => said.push("Nothing.".into()),
        Validity::Empty | Validity::Expired { .. } => {
            said.push(format!(
                "Wait for the running attempt, or ask at once with `secondo refresh {}`.",
                bare(&case.status.zone)
            ));
        }
    }
    said
}

fn whom_of(known: &Known) -> String {
    whom(&known.primary, known.address)
}

/// Why an attempt failed; of a primary that is down, why that is.
fn cause(case: &Case, failed: &Try) -> Reason {
    let down = case.contacts.iter().filter(|known| known.address == failed.target.address);
    match failed.reason {
        Reason::PrimaryDown => down
            .filter_map(|known| known.down.as_ref())
            .map(|down| down.reason)
            .next()
            .unwrap_or(Reason::PrimaryDown),
        reason => reason,
    }
}

/// The key that the reason of a failure is of: with several, the last one tried.
pub(super) fn sealed_with<'p>(primary: &'p PrimaryConfig, failed: &Try) -> Option<&'p Key> {
    let named = primary.keys.iter().find(|key| Some(key.name()) == failed.key.as_ref());
    named.or(primary.keys.first())
}

fn on(case: &Case, primary: &PrimaryConfig, failed: &Try, reason: Reason) -> Vec<String> {
    let (zone, address) = (bare(&case.status.zone), failed.target.address);
    let who = whom(primary, address);
    let key = sealed_with(primary, failed);
    match reason {
        Reason::Refused | Reason::NotAuth => refused(case, primary, failed),
        Reason::TsigBadKey => bad_key(&who, key),
        Reason::TsigBadSig => vec![format!(
            "The secrets of key {} differ between here and {who}. Copy it from one side to the other: here it stands in \
             `keys:` as `secret` or in the file that `secret-file` names; then `secondo reload`.",
            key_name(key)
        )],
        Reason::TsigBadTime => {
            let skew =
                case.contacts.iter().find(|known| known.address == address).and_then(|known| known.skew);
            match skew {
                Some(skew) => vec![clocks(case, &who, skew)],
                None => vec![format!(
                    "{who} says that the clocks differ by more than 300 s. Ours shows {}: compare, and see that NTP runs \
                     on both (`timedatectl`, `chronyc tracking`).",
                    utc(case.wall)
                )],
            }
        }
        Reason::TsigMissing => unsigned(zone, &who, address, key),
        Reason::TsigUnexpected => vec![format!(
            "{who} seals though no key is configured for it here: give it its key, `primaries: {}: key: …`.",
            primary.name
        )],
        Reason::NoSuchZone => vec![format!(
            "{who} does not have {zone}: add the zone there, or correct its name or the primary's address here."
        )],
        Reason::NotAuthoritative | Reason::ServerFailure | Reason::PrimaryExpiring => {
            vec![
                format!(
                    "{who} cannot serve {zone} itself: its copy is not loaded or has expired. Look there, and if it is a \
                     secondary, at its own primary:"
                ),
                format!("  BIND      rndc zonestatus {zone}"),
                format!("  Knot DNS  knotc zone-status {zone}"),
                format!("  NSD       nsd-control zonestatus {zone}"),
                format!("  PowerDNS  pdnsutil check-zone {zone}"),
            ]
        }
        Reason::Timeout
        | Reason::ConnectionRefused
        | Reason::ConnectionReset
        | Reason::Unreachable
        | Reason::NetworkError
        | Reason::TruncatedStream
        | Reason::PrimaryDown => silence::advice(case, primary, address, reason, Some(failed)),
        Reason::TooSlow => vec![format!(
            "Transfers from {who} must bring `minimum-rate: {}` in each minute from the sixth on and end within \
             `transfer-timeout: {}`: mend the way there, or change these in `primaries: {}`.",
            octets(primary.minimum_rate),
            long(primary.transfer_timeout).replace(' ', ""),
            primary.name
        )],
        Reason::SerialBehind | Reason::SerialIncomparable => serials(case, &who, failed),
        Reason::LimitBytes | Reason::LimitRecords | Reason::LimitRrset | Reason::LimitTypes => {
            vec![limit(case, &who, failed, reason)]
        }
        Reason::Disk => vec![disk(case)],
        reason if reason.class() == Class::Rejected => vec![
            format!("{}: {}.", reason, reason.help()),
            format!(
                "Mend the zone at {who} and raise its serial; a version with the serial that was found unfit is not \
                 fetched again before the next refresh. To try at once: `secondo refresh {zone}`."
            ),
        ],
        reason if reason.class() == Class::Malformed => vec![
            format!("{}: {}.", reason, reason.help()),
            format!(
                "That is for those who run {who}: what was wrong stands above, with the rule. The zone is asked for again \
                 by itself; to try at once: `secondo refresh {zone}`."
            ),
        ],
        reason if reason.is_tls() => tls::advice(case, primary, address, reason),
        reason if reason.class() == Class::IxfrUnavailable => no_ixfr(case, primary, reason),
        reason => vec![format!("{who}: {}: {}.", reason, reason.help())],
    }
}

/// What a primary must be told to let us transfer: for each of the usual ones.
fn refused(case: &Case, primary: &PrimaryConfig, failed: &Try) -> Vec<String> {
    let zone = bare(&case.status.zone);
    let address = failed.target.address;
    let who = whom(primary, address);
    let us = lines::local_address(primary, address);
    let us = us.map_or_else(|| "ADDRESS-OF-SECONDO".into(), |ip| ip.to_string());
    let key = sealed_with(primary, failed);
    let mut said = Vec::new();
    if failed.step == Step::Probe {
        said.push(format!(
            "Even the question for the SOA was refused: {who} does not have {zone} (any more), or does not answer us at all \
             (BIND: `allow-query`). From here it tells:"
        ));
        said.extend(lines::questions(zone, primary, address));
    }
    said.push(match key {
        Some(key) => format!(
            "{who} must have the zone {zone} and let key {} ({}) transfer it. We ask from {us}. On the primary:",
            key_name(Some(key)),
            key.algorithm()
        ),
        None if failed.reason == Reason::NotAuth => format!(
            "{who} says that it is not authoritative for {zone}: BIND and NSD do so where they do not have it, Knot DNS and \
             PowerDNS also where we may not. It must have the zone {zone} and let {us}, from where we ask, transfer it \
             unsigned (a key would be safer: `primaries: {}: key: …`). On the primary:",
            primary.name
        ),
        None => format!(
            "{who} must have the zone {zone} and let {us}, from where we ask, transfer it unsigned (a key would be safer: \
             `primaries: {}: key: …`). On the primary:",
            primary.name
        ),
    });
    said.extend(lines::permission(zone, &us, key));
    said
}

fn bad_key(who: &str, key: Option<&Key>) -> Vec<String> {
    let name = key_name(key);
    let algorithm = key.map_or_else(|| "-".into(), |key| key.algorithm().to_string());
    let mut said = vec![format!(
        "{who} does not know a key {name} with algorithm {algorithm}: both belong to the key and must be the same on both \
         sides. Correct them in `keys:` here, or add the key on the primary:"
    )];
    said.extend(key.map(lines::definition).unwrap_or_default());
    said
}

/// PowerDNS answers so to a key that it does not know, to a wrong secret and to a key that may not.
fn unsigned(zone: &str, who: &str, address: SocketAddr, key: Option<&Key>) -> Vec<String> {
    let name = key_name(key);
    let algorithm = key.map_or_else(|| "-".into(), |key| key.algorithm().to_string());
    vec![
        format!(
            "{who} answers without a seal though we asked with key {name}. PowerDNS does so when it does not know the key or \
             has another secret for it; with others, see that nothing between answers in their place. On the primary:"
        ),
        "  PowerDNS:".into(),
        format!("    pdnsutil import-tsig-key {name} {algorithm} '…'"),
        format!("    pdnsutil activate-tsig-key {zone} {name} primary"),
        "Whether the answer is sealed is shown from here by:".into(),
        format!("  dig @{} -p {} {zone} SOA +norecurse -k FILE-OF-THE-KEY", address.ip(), address.port()),
    ]
}

fn clocks(case: &Case, who: &str, skew: i64) -> String {
    format!(
        "Set the clocks: ours shows {}, that of {who} {}: it is {}, and 300 s are allowed. See that NTP runs on \
         both (`timedatectl`, `chronyc tracking`).",
        utc(case.wall),
        utc(case.wall.saturating_add_signed(skew)),
        off_by(skew)
    )
}

/// A server downstream that does not answer: it still has its own REFRESH.
fn unanswered(case: &Case, told: &Unanswered) -> String {
    let zone = bare(&case.status.zone);
    format!(
        "See that {} runs, is reached over UDP, has {zone} as a secondary and takes NOTIFY from us, with the key that \
         `also-notify` names or without one (BIND: we are one of its `primaries`, or `allow-notify`; Knot DNS: `acl` with \
         `action: notify`; NSD: `allow-notify`). Until then it learns of changes at its own REFRESH only.",
        told.address
    )
}

fn serials(case: &Case, who: &str, failed: &Try) -> Vec<String> {
    let zone = bare(&case.status.zone);
    let ours = case.status.serial.map(Serial);
    let (ours_text, theirs_text) = (
        ours.map_or_else(|| "-".into(), |Serial(ours)| ours.to_string()),
        failed.serial.map_or_else(|| "an older serial".into(), |Serial(theirs)| format!("serial {theirs}")),
    );
    let why = match failed.reason {
        Reason::SerialBehind => "which is older",
        _ => "which is neither older nor newer by RFC 1982 §3.2",
    };
    // Its SOA told of it, and the transfer did not bring it.
    if let (Some(ours), Some(theirs)) = (ours, failed.serial)
        && theirs.newer_than(ours)
    {
        return vec![
            format!(
                "{who} tells {theirs_text} in its SOA, but its transfer brings none newer than serial {ours_text} that is served here: several servers or views with different versions answer at that address. Look at each of them."
            ),
            format!("To take what it sends now, whatever the serial: `secondo retransfer {zone}`."),
        ];
    }
    // The next is the least that is newer; 2^31 - 1 further is the last.
    let range = ours.map_or_else(String::new, |Serial(ours)| {
        format!(" (newer are {} to {})", ours.wrapping_add(1), ours.wrapping_add((1 << 31) - 1))
    });
    vec![
        format!("{who} has {theirs_text}, {why} than serial {ours_text} that is served here. If its content is right, raise its serial there{range}."),
        format!("If the serial was set back on purpose, take what it has now, whatever the serial: `secondo retransfer {zone}`."),
        "If another primary is ahead of this one, it catches up by itself, or its own refresh fails: look there.".into(),
    ]
}

/// Which limit, what it is, what was seen, and where it is raised.
fn limit(case: &Case, who: &str, failed: &Try, reason: Reason) -> String {
    let settings = &case.settings;
    let (key, value, place) = match reason {
        Reason::LimitRecords => (
            "max-records",
            settings.max_records.map_or_else(|| "no limit".into(), |records| records.to_string()),
            "for this zone, its template or `zone-defaults`, and reload",
        ),
        Reason::LimitTypes => ("limits: name-types", case.limits.name_types.to_string(), "and restart"),
        Reason::LimitRrset => ("limits: rrset-records", case.limits.rrset_records.to_string(), "and restart"),
        _ => (
            "max-size",
            octets(settings.max_size),
            "for this zone, its template or `zone-defaults`, and reload",
        ),
    };
    let seen = if failed.detail.is_empty() { String::new() } else { format!(" ({})", failed.detail) };
    format!(
        "What {who} has is beyond `{key}: {value}`{seen}. If it should be, raise `{key}` {place}; else find out \
         there why it grew."
    )
}

/// A size as the configuration writes it, where that is a whole number.
fn octets(size: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = |(shift, _): &&(u32, &str)| size > 0 && size.trailing_zeros() >= *shift;
    units
        .iter()
        .find(fits)
        .map_or_else(|| size.to_string(), |(shift, unit)| format!("{}{unit}", size >> shift))
}

fn no_ixfr(case: &Case, primary: &PrimaryConfig, reason: Reason) -> Vec<String> {
    let zone = bare(&case.status.zone);
    let name = &primary.name;
    match reason {
        Reason::IxfrNotImplemented | Reason::IxfrFormatError => vec![format!(
            "Nothing must be done: AXFR works. `primaries: {name}: ixfr: false` saves the question; or turn IXFR on there (NSD: \
             `store-ixfr: yes` and `create-ixfr: yes`; BIND: `ixfr-from-differences yes`; Knot DNS: `journal-content: changes`)."
        )],
        Reason::IxfrTooLarge => vec![format!(
            "Nothing must be done: {}. What {name} had to send was more than the zone itself (1 MiB at least) or than 10000 \
             versions, the limits of the program; the whole zone is cheaper and was taken. If it happens at each change, \
             more changes there than stays, or a NOTIFY is lost for long: `primaries: {name}: ixfr: false` saves the \
             question.",
            case.ixfr.as_ref().map_or("", |(_, ixfr)| ixfr.detail.as_str())
        )],
        reason => vec![format!(
            "{reason}: {}. If it goes on at each change, the history of {zone} at {name} is damaged: have it written anew there \
             (BIND `rndc sync -clean {zone}`, Knot DNS `knotc zone-purge +journal {zone}`, NSD removes its ixfr file), or \
             ask for whole zones with `primaries: {name}: ixfr: false`.",
            reason.help()
        )],
    }
}

fn disk(case: &Case) -> String {
    let why = case.disk.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!(
        "See to the disk under {}{why}: free space and inodes (`df -h`, `df -i`), permissions, a file system that went \
         read-only (`dmesg`).",
        lines::absolute(&case.state_dir).display()
    )
}
