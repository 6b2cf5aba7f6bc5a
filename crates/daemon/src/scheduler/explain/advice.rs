//! What a person should do: the reasons' help, with names, addresses, numbers and lines to copy.

use secondo_lifecycle::{Step, Validity};
use secondo_tsig::Key;
use secondo_wire::{Class, Reason, Serial};
use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::super::trouble::Try;
use super::calendar::utc;
use super::{Case, Known, long, whom};
use crate::config::PrimaryConfig;

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
    if case.tries.is_empty()
        && let Some((primary, ixfr)) = &case.ixfr
    {
        said.extend(no_ixfr(case, primary, ixfr.reason));
    }
    said.extend(case.contacts.iter().filter_map(key_roll));
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
            said.push("Wait for the running attempt, or ask at once with `secondo refresh`.".into());
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

/// Names as other programs' configurations write them.
fn bare(name: &str) -> &str {
    if name == "." { name } else { name.trim_end_matches('.') }
}

fn on(case: &Case, primary: &PrimaryConfig, failed: &Try, reason: Reason) -> Vec<String> {
    let (zone, address) = (bare(&case.status.zone), failed.target.address);
    let who = whom(primary, address);
    let key = primary.keys.first();
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
        Reason::TsigMissing => unsigned(zone, &who, key),
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
        | Reason::PrimaryDown => unreachable_primary(case, &who, address, reason),
        Reason::TooSlow => vec![format!(
            "Transfers from {who} must bring `minimum-rate: {}` octets in each minute from the sixth on and end within \
             `transfer-timeout: {}`: mend the way there, or change these in `primaries: {}`.",
            primary.minimum_rate,
            long(primary.transfer_timeout).replace(' ', ""),
            primary.name
        )],
        Reason::SerialBehind | Reason::SerialIncomparable => serials(case, &who, failed),
        Reason::LimitBytes => vec![format!(
            "The zone at {who} is larger than `max-size: {}` (octets) allows: raise it for this zone, its template or \
             `zone-defaults`, or find out why the zone grew.",
            case.settings.max_size
        )],
        Reason::LimitRecords => vec![format!(
            "The zone at {who} has more records than `max-records: {}` allows: raise it for this zone, its template or \
             `zone-defaults`, or find out why the zone grew.",
            case.settings.max_records.unwrap_or(u64::MAX)
        )],
        Reason::LimitRrset => vec![format!(
            "One name at {who} has more records of one type than `limits: rrset-records: {}` allows: raise it, or mend the \
             zone there.",
            case.limits.rrset_records
        )],
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
        reason if reason.class() == Class::IxfrUnavailable => no_ixfr(case, primary, reason),
        reason => vec![format!("{who}: {}: {}.", reason, reason.help())],
    }
}

fn key_name(key: Option<&Key>) -> String {
    key.map_or_else(|| "-".into(), |key| bare(&key.name().to_string()).to_string())
}

/// What a primary must be told to let us transfer: for each of the usual ones.
fn refused(case: &Case, primary: &PrimaryConfig, failed: &Try) -> Vec<String> {
    let zone = bare(&case.status.zone);
    let address = failed.target.address;
    let who = whom(primary, address);
    let us = local_address(primary, address).map_or_else(|| "ADDRESS-OF-SECONDO".into(), |ip| ip.to_string());
    let mut said = vec![match primary.keys.first() {
        Some(key) => format!(
            "{who} must have the zone {zone} and let key {} ({}) transfer it. We ask from {us}. On the primary:",
            key_name(Some(key)),
            key.algorithm()
        ),
        None => format!(
            "{who} must have the zone {zone} and let {us}, from where we ask, transfer it unsigned (a key would be safer: \
             `primaries: {}: key: …`). On the primary:",
            primary.name
        ),
    }];
    match primary.keys.first() {
        Some(key) => {
            let key = key_name(Some(key));
            said.extend([
                format!("  BIND      zone \"{zone}\" {{ … allow-transfer {{ key \"{key}\"; }}; }};"),
                format!("  Knot DNS  acl: [{{ id: secondo, key: {key}, action: transfer }}]  and  zone: [{{ domain: {zone}, acl: secondo }}]"),
                format!("  NSD       zone: name: {zone} … provide-xfr: {us} {key}"),
                format!("  PowerDNS  pdnsutil activate-tsig-key {zone} {key} primary"),
            ]);
        }
        None => said.extend([
            format!("  BIND      zone \"{zone}\" {{ … allow-transfer {{ {us}; }}; }};"),
            format!("  Knot DNS  acl: [{{ id: secondo, address: {us}, action: transfer }}]  and  zone: [{{ domain: {zone}, acl: secondo }}]"),
            format!("  NSD       zone: name: {zone} … provide-xfr: {us} NOKEY"),
            format!("  PowerDNS  pdnsutil set-meta {zone} ALLOW-AXFR-FROM {us}"),
        ]),
    }
    if failed.step == Step::Probe {
        said.push(format!(
            "Even the question for the SOA was refused: `allow-query` (BIND), or the zone is not there at all (`dig @{} -p {} \
             {zone} SOA` tells from here).",
            address.ip(),
            address.port()
        ));
    }
    said
}

fn bad_key(who: &str, key: Option<&Key>) -> Vec<String> {
    let name = key_name(key);
    let algorithm = key.map_or_else(|| "-".into(), |key| key.algorithm().to_string());
    vec![
        format!(
            "{who} does not know a key {name} with algorithm {algorithm}: both belong to the key and must be the same on \
             both sides. Correct them in `keys:` here, or add the key on the primary:"
        ),
        format!("  BIND      key \"{name}\" {{ algorithm {algorithm}; secret \"…\"; }};"),
        format!("  Knot DNS  key: [{{ id: {name}, algorithm: {algorithm}, secret: … }}]"),
        format!("  NSD       key: name: {name}  algorithm: {algorithm}  secret: \"…\""),
        format!("  PowerDNS  pdnsutil import-tsig-key {name} {algorithm} '…'"),
    ]
}

/// PowerDNS answers so to a key that it does not know, to a wrong secret and to a key that may not.
fn unsigned(zone: &str, who: &str, key: Option<&Key>) -> Vec<String> {
    let name = key_name(key);
    let algorithm = key.map_or_else(|| "-".into(), |key| key.algorithm().to_string());
    vec![
        format!(
            "{who} answers without a seal though we asked with key {name}. PowerDNS does so when it does not know the key or \
             has another secret for it; with others, see that nothing between answers in their place. On the primary:"
        ),
        format!("  PowerDNS  pdnsutil import-tsig-key {name} {algorithm} '…'"),
        format!("            pdnsutil activate-tsig-key {zone} {name} primary"),
        format!("  others    dig @… {zone} SOA -k FILE-OF-THE-KEY   shows whether the answer is sealed"),
    ]
}

fn clocks(case: &Case, who: &str, skew: i64) -> String {
    let side = if skew > 0 { "ahead of" } else { "behind" };
    format!(
        "Set the clocks: ours shows {}, that of {who} {}: it is {} s {side} ours, and 300 s are allowed. See that NTP runs on \
         both (`timedatectl`, `chronyc tracking`).",
        utc(case.wall),
        utc(case.wall.saturating_add_signed(skew)),
        skew.unsigned_abs()
    )
}

fn key_roll(known: &Known) -> Option<String> {
    let keys = &known.primary.keys;
    let (worked, first) = (keys.get(known.key?)?, keys.first()?);
    Some(format!(
        "Add key {} at {}, or end the roll: leave it out of `primaries: {}: keys`, so that {} is asked with at once.",
        key_name(Some(first)),
        whom_of(known),
        known.primary.name,
        key_name(Some(worked))
    ))
}

fn unreachable_primary(case: &Case, who: &str, address: SocketAddr, reason: Reason) -> Vec<String> {
    let zone = bare(&case.status.zone);
    let (host, port) = (address.ip(), address.port());
    let what = match reason {
        Reason::ConnectionRefused => "the host is there, but nothing listens at that port over TCP",
        Reason::Unreachable => {
            "this host has no route to that address, or a router says that it is not there"
        }
        Reason::Timeout => {
            "it is down, the address is wrong, or a firewall drops packets (UDP and TCP must pass both ways)"
        }
        Reason::ConnectionReset => {
            "it, or something between, closes the connection: a limit of TCP clients, a firewall, a crash"
        }
        Reason::TruncatedStream => {
            "it, or something between, ends the transfer early: a limit of time, a crash"
        }
        _ => "the connection fails",
    };
    let from = local_address_to(address).map(|ip| format!(" -b {ip}")).unwrap_or_default();
    vec![
        format!("See that {who} runs and can be reached from here: {what}. From this host:"),
        format!("  dig @{host} -p {port}{from} {zone} SOA +norecurse; dig @{host} -p {port}{from} {zone} SOA +tcp"),
        "Its zones are asked for as soon as it answers again, or sends NOTIFY; to ask at once: `secondo refresh`.".into(),
    ]
}

fn serials(case: &Case, who: &str, failed: &Try) -> Vec<String> {
    let zone = bare(&case.status.zone);
    let ours = case.status.serial.map(Serial);
    let (ours_text, theirs) = (
        ours.map_or_else(|| "-".into(), |Serial(ours)| ours.to_string()),
        failed.serial.map_or_else(|| "an older serial".into(), |Serial(theirs)| format!("serial {theirs}")),
    );
    let why = match failed.reason {
        Reason::SerialBehind => "which is older",
        _ => "which is neither older nor newer by RFC 1982 §3.2",
    };
    // The next is the least that is newer; 2^31 - 1 further is the last.
    let range = ours.map_or_else(String::new, |Serial(ours)| {
        format!(" (newer are {} to {})", ours.wrapping_add(1), ours.wrapping_add((1 << 31) - 1))
    });
    vec![
        format!("{who} has {theirs}, {why} than serial {ours_text} that is served here. If its content is right, raise its serial there{range}."),
        format!("If the serial was set back on purpose, take what it has now, whatever the serial: `secondo retransfer {zone}`."),
        "If another primary is ahead of this one, it catches up by itself, or its own refresh fails: look there.".into(),
    ]
}

fn no_ixfr(case: &Case, primary: &PrimaryConfig, reason: Reason) -> Vec<String> {
    let zone = bare(&case.status.zone);
    let name = &primary.name;
    match reason {
        Reason::IxfrNotImplemented | Reason::IxfrFormatError => vec![format!(
            "Nothing must be done: AXFR works. `primaries: {name}: ixfr: false` saves the question; or turn IXFR on there (NSD: \
             `store-ixfr: yes` and `create-ixfr: yes`; BIND: `ixfr-from-differences yes`; Knot DNS: `journal-content: changes`)."
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
        case.state_dir.display()
    )
}

/// The local address that a primary sees, unless something between changes it.
fn local_address(primary: &PrimaryConfig, address: SocketAddr) -> Option<IpAddr> {
    primary.source_towards(address.ip()).or_else(|| local_address_to(address))
}

/// The address that this host would send from. Nothing is sent.
fn local_address_to(address: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(address).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}
