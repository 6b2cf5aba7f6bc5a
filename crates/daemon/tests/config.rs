//! The configuration as an operator writes it: what is read, and what it is resolved to.

// Clippy lets tests unwrap, but not the functions that they share.
#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secondo_answer::{Identity, Origin, RateLimit};
use secondo_daemon::config::{self, Config, Listener, LogFormat, LogLevel, Problem, ZoneSettings};
use secondo_tsig::Key;
use tempfile::TempDir;

/// The secret of all keys here.
const SECRET: &str = "c2VjcmV0IGtleSBtYXRlcmlhbCBvZiAzMiBieXRlcyE=";

/// A folder of configuration files.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn with(files: &[(&str, &str)]) -> Folder {
        let folder = Folder::new();
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    }

    fn load(&self) -> Result<Config, Vec<Problem>> {
        config::load(&self.path("c.yaml"))
    }
}

fn load(text: &str) -> Config {
    match Folder::with(&[("c.yaml", text)]).load() {
        Ok(config) => config,
        Err(problems) => panic!("{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>()),
    }
}

fn settings<'c>(config: &'c Config, name: &str) -> &'c ZoneSettings {
    &config.zones.iter().find(|zone| zone.name == name.parse().unwrap()).expect("no such zone").settings
}

fn key(name: &str, algorithm: &str) -> Key {
    Key::from_base64(name.parse().unwrap(), algorithm.parse().unwrap(), SECRET).unwrap()
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../etc").join(name)
}

fn plain(address: &str) -> Listener {
    Listener { address: address.parse().unwrap(), tls: false }
}

const ONE_ZONE: &str =
    "listen: [127.0.0.1]\nzones: [{ name: a.example, primaries: [{ addresses: [192.0.2.1] }] }]\n";

// --- what is read ----------------------------------------------------------------------------------------------------

#[test]
fn the_annotated_example_passes_and_shows_the_defaults() {
    let shown = config::load(&example("secondo.yaml")).unwrap();
    assert_eq!(shown.zones.len(), 5);
    // Whatever is marked (default) there is what holds when it is left out.
    let bare = load(ONE_ZONE);
    assert_eq!(shown.server.state_dir, bare.server.state_dir);
    assert_eq!(shown.server.control, bare.server.control);
    assert_eq!(shown.server.log, bare.server.log);
    assert!(shown.answers.cookies.is_none() && bare.answers.cookies.is_none());
    assert_eq!(bare.answers.identity, Identity::default());
    assert_eq!((&shown.answers.rate_limit, &bare.answers.rate_limit), (&None, &None));
    let limited = load("listen: [127.0.0.1]\nrate-limit: { responses-per-second: 5 }\n");
    let text = fs::read_to_string(example("secondo.yaml")).unwrap();
    let text = text.replace("responses-per-second: 0", "responses-per-second: 5");
    let folder = Folder::with(&[("c.yaml", &text), ("zones.d/none", "")]);
    assert_eq!(folder.load().unwrap().answers.rate_limit, limited.answers.rate_limit);
    let mut limits = shown.server.limits.clone();
    limits.udp_threads = bare.server.limits.udp_threads;
    assert_eq!(limits, bare.server.limits);
    let (shown, bare) = (settings(&shown, "example.net"), settings(&bare, "a.example"));
    let defaults = ZoneSettings {
        primaries: shown.primaries.clone(),
        allow_notify: shown.allow_notify.clone(),
        max_records: Some(10_000_000),
        ..bare.clone()
    };
    assert_eq!(*shown, defaults);
    let (hidden, bare) = (&shown.primaries[0], &bare.primaries[0]);
    assert_eq!(
        (hidden.ixfr, hidden.transfer_timeout, hidden.idle_timeout, hidden.minimum_rate),
        (bare.ixfr, bare.transfer_timeout, bare.idle_timeout, bare.minimum_rate)
    );
}

#[test]
fn the_annotated_example_shows_every_option() {
    let text = fs::read_to_string(example("secondo.yaml")).unwrap();
    for word in [
        "listen",
        "tls",
        "mode",
        "pins",
        "ca-file",
        "cert-file",
        "key-file",
        "state-dir",
        "control",
        "user",
        "log",
        "format",
        "level",
        "identity",
        "id",
        "nsid",
        "version",
        "cookies",
        "rate-limit",
        "responses-per-second",
        "slip",
        "ipv4-prefix",
        "ipv6-prefix",
        "exempt",
        "limits",
        "transfers",
        "transfers-per-primary",
        "transfers-out",
        "probes-per-primary",
        "tcp-clients",
        "tcp-idle",
        "udp-payload",
        "udp-threads",
        "rrset-records",
        "name-types",
        "nsec3-iterations",
        "keys",
        "algorithm",
        "secret",
        "secret-file",
        "primaries",
        "addresses",
        "key",
        "source",
        "ixfr",
        "transfer-timeout",
        "idle-timeout",
        "minimum-rate",
        "transport",
        "zone-defaults",
        "templates",
        "refresh-bounds",
        "retry-bounds",
        "expire-bounds",
        "max-size",
        "max-records",
        "keep-versions",
        "purge-after",
        "allow-query",
        "allow-transfer",
        "allow-notify",
        "also-notify",
        "zones",
        "name",
        "template",
        "include",
    ] {
        assert!(text.contains(&format!("{word}:")), "{word} is missing");
    }
}

#[test]
fn the_minimal_example_passes() {
    let config = config::load(&example("secondo-minimal.yaml")).unwrap();
    assert_eq!(config.warnings, []);
    assert_eq!(config.zones.len(), 1);
    let zone = settings(&config, "EXAMPLE.com.");
    assert_eq!(zone.primaries[0].addresses, ["192.0.2.1:53".parse().unwrap()]);
    assert_eq!(&*zone.primaries[0].name, "192.0.2.1:53");
}

#[test]
fn the_defaults_are_those_of_the_manual() {
    let config = load(ONE_ZONE);
    let server = &config.server;
    assert_eq!(server.listen, [plain("127.0.0.1:53")]);
    assert_eq!(server.tls, None);
    assert_eq!(server.state_dir, Path::new("/var/lib/secondo"));
    assert_eq!(server.control, Path::new("/run/secondo/control.sock"));
    assert_eq!(server.user, None);
    assert_eq!((server.log.format, server.log.level), (LogFormat::Text, LogLevel::Info));
    assert_eq!(server.limits.name_types, 200);
    assert_eq!((server.limits.rrset_records, server.limits.nsec3_iterations), (65_535, 150));
    let zone = settings(&config, "a.example");
    let (hour, day) = (3600, 86_400);
    for (bounds, min, max) in
        [(zone.refresh_bounds, 60, day), (zone.retry_bounds, 10, hour), (zone.expire_bounds, hour, 60 * day)]
    {
        assert_eq!((bounds.min.as_secs(), bounds.max.as_secs()), (min, max));
    }
    assert_eq!((zone.max_size, zone.max_records), (4 << 30, None));
    assert_eq!((zone.keep_versions, zone.purge_after), (4, Duration::from_secs(7 * day)));
    for address in ["192.0.2.1", "2001:db8::1"] {
        assert!(zone.allow_query.admits(Origin { address: address.parse().unwrap(), key: None, tls: false }));
    }
    assert!(zone.allow_transfer.rules().is_empty() && zone.also_notify.is_empty());
    // NOTIFY: the primaries' addresses, whatever the port and the seal.
    let admitted: Vec<_> = zone
        .allow_notify
        .rules()
        .iter()
        .map(|entry| (entry.prefix.unwrap().to_string(), &entry.key))
        .collect();
    assert_eq!(admitted, [("192.0.2.1/32".to_owned(), &None)]);
}

#[test]
fn every_part_of_a_primary_and_of_a_zone_is_read() {
    let config = load(&format!(
        "listen: [\"[::1]:5353\", {{ address: 127.0.0.1, transport: tcp }}]
state-dir: state
control: c.sock
user: secondo
log: {{ format: json, level: debug }}
limits: {{ transfers: 3, tcp-idle: 2s, udp-payload: 1400, udp-threads: 5 }}
keys:
  K1.example: {{ algorithm: hmac-sha512-256, secret: \"{SECRET}\" }}
  k2: {{ algorithm: hmac-sha256, secret: \"{SECRET}\" }}
primaries:
  p:
    addresses: [192.0.2.1, \"[2001:db8::1]:54\"]
    keys: [k1.EXAMPLE., k2]
    source: [\"2001:db8::53\", 192.0.2.53]
    ixfr: false
    transfer-timeout: 30m
    idle-timeout: 500s
    minimum-rate: 0
zones:
  - name: a.example
    primaries: [p]
    refresh-bounds: [1s, 7d]
    max-size: 64KiB
    max-records: 7
    allow-query: []
    allow-notify: [{{ key: k2 }}]
    allow-transfer: [{{ address: \"::/0\", key: k2 }}, {{ address: 192.0.2.0/24 }}]
    also-notify: [{{ address: \"192.0.2.7:5300\", key: k2 }}, {{ address: 192.0.2.8 }}]
    keep-versions: 1000
    purge-after: 1d
"
    ));
    assert_eq!(config.warnings, []);
    assert_eq!(config.server.listen, [plain("[::1]:5353"), plain("127.0.0.1:53")]);
    assert!(config.server.state_dir.is_absolute() && config.server.state_dir.ends_with("state"));
    assert_eq!(config.server.user.as_deref(), Some("secondo"));
    assert_eq!((config.server.log.format, config.server.log.level), (LogFormat::Json, LogLevel::Debug));
    let limits = &config.server.limits;
    assert_eq!((limits.transfers, limits.udp_payload, limits.udp_threads), (3, 1400, 5));
    assert_eq!(limits.tcp_idle, Duration::from_secs(2));
    let zone = settings(&config, "a.example");
    let p = &zone.primaries[0];
    assert_eq!((&*p.name, p.ixfr, p.minimum_rate), ("p", false, 0));
    assert_eq!(p.addresses, ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:54".parse().unwrap()]);
    assert_eq!(p.keys.iter().map(|key| key.name().to_string()).collect::<Vec<_>>(), ["K1.example.", "k2."]);
    assert_eq!(p.keys[0].algorithm().to_string(), "hmac-sha512-256");
    assert_eq!(p.keys[1], key("k2", "hmac-sha256"));
    assert_eq!(p.source_towards("2001:db8::1".parse().unwrap()), Some("2001:db8::53".parse().unwrap()));
    assert_eq!(p.source_towards("192.0.2.1".parse().unwrap()), Some("192.0.2.53".parse().unwrap()));
    assert_eq!((p.transfer_timeout.as_secs(), p.idle_timeout.as_secs()), (1800, 500));
    assert_eq!((zone.max_size, zone.max_records, zone.keep_versions), (65_536, Some(7), 1000));
    assert!(zone.allow_query.rules().is_empty());
    let notify = &zone.allow_notify.rules()[0];
    assert_eq!((notify.prefix, notify.key.clone()), (None, Some("k2".parse().unwrap())));
    assert_eq!(zone.allow_transfer.rules()[0].key, Some("k2".parse().unwrap()));
    assert_eq!(zone.allow_transfer.rules()[1].prefix.unwrap().to_string(), "192.0.2.0/24");
    assert_eq!(zone.also_notify[0].address, "192.0.2.7:5300".parse().unwrap());
    assert_eq!(zone.also_notify[0].key.as_ref().unwrap().name(), &"k2".parse().unwrap());
    assert_eq!(
        (zone.also_notify[1].address, &zone.also_notify[1].key),
        ("192.0.2.8:53".parse().unwrap(), &None)
    );
}

#[test]
fn a_zone_wins_over_its_template_and_that_over_the_defaults_and_lists_are_replaced() {
    let config = load(
        "listen: [127.0.0.1]
primaries: { p: { addresses: [192.0.2.1] }, q: { addresses: [192.0.2.2] } }
zone-defaults: { primaries: [p], max-records: 1, keep-versions: 0, retry-bounds: [1s, 2s], allow-transfer: [{ address: 192.0.2.1 }] }
templates: { t: { primaries: [q], max-records: 2, keep-versions: 7, allow-transfer: [{ address: 192.0.2.2 }] }, empty: }
zones:
  - { name: plain.example }
  - { name: t.example, template: t }
  - { name: own.example, template: t, max-records: 3, keep-versions: 9, allow-transfer: [], primaries: [p, q] }
  - { name: empty.example, template: empty }
",
    );
    let of = |name| {
        let zone = settings(&config, name);
        let primaries: Vec<&str> = zone.primaries.iter().map(|p| &*p.name).collect();
        let admitted: Vec<String> =
            zone.allow_transfer.rules().iter().map(|e| e.prefix.unwrap().to_string()).collect();
        assert_eq!(zone.retry_bounds.max, Duration::from_secs(2));
        (primaries.join(" "), zone.max_records, zone.keep_versions, admitted.join(" "))
    };
    assert_eq!(of("plain.example"), ("p".into(), Some(1), 0, "192.0.2.1/32".into()));
    assert_eq!(of("t.example"), ("q".into(), Some(2), 7, "192.0.2.2/32".into()));
    assert_eq!(of("own.example"), ("p q".into(), Some(3), 9, String::new()));
    assert_eq!(of("empty.example"), of("plain.example"));
}

#[test]
fn odd_names_are_names() {
    let config = load(
        "listen: [127.0.0.1]\nzone-defaults: { primaries: [{ addresses: [192.0.2.1] }] }\n\
         zones: [{name: no}, {name: 10}, {name: .}, {name: 0/25.2.0.192.in-addr.arpa}, {name: 'a\\.b\\032c.example'}]\n",
    );
    let names: Vec<String> = config.zones.iter().map(|zone| zone.name.to_string()).collect();
    assert_eq!(names, ["no.", "10.", ".", "0/25.2.0.192.in-addr.arpa.", "a\\.b\\032c.example."]);
}

#[test]
fn includes_are_read_in_order_relative_to_the_file() {
    let folder = Folder::with(&[
        (
            "c.yaml",
            "listen: [127.0.0.1]\nzone-defaults: { primaries: [{ addresses: [192.0.2.1] }] }\n\
             zones:\n  - include: zones.d/*.yaml\n  - name: last.example\n  - include: one.yaml\n",
        ),
        ("zones.d/b.yaml", "- name: b.example\n"),
        ("zones.d/a.yaml", "- name: a.example\n- name: a2.example\n"),
        ("zones.d/empty.yaml", "# none yet\n"),
        ("zones.d/c.txt", "[broken"),
        ("one.yaml", "[{ name: one.example }]"),
    ]);
    let mut names: Vec<String> =
        folder.load().unwrap().zones.iter().map(|zone| zone.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["a.example.", "a2.example.", "b.example.", "last.example.", "one.example."]);
}

#[test]
fn what_is_told_of_the_server_and_the_secrets_of_cookies_are_read() {
    let text = "listen: [127.0.0.1]\nidentity: { id: ns2.example.net, nsid: 10, version: \"x \" }\n\
                cookies: { secret-file: cookies }\n";
    let line = "00112233445566778899aabbccddeeff\n";
    let config = Folder::with(&[("c.yaml", text), ("cookies", &line.repeat(2))]).load().unwrap();
    let shown = |text: &str| Some(text.into());
    let identity = Identity { id: shown("ns2.example.net"), nsid: shown("10"), version: shown("x ") };
    assert_eq!(config.answers.identity, identity);
    assert_eq!(format!("{:?}", config.answers.cookies), "Some(Cookies(of 2 secrets))");
    let config = load("listen: [127.0.0.1]\nidentity:\ncookies: {}\n");
    assert!(config.answers.cookies.is_none() && config.answers.identity == Identity::default());
}

#[test]
fn the_limit_of_answers_is_read() {
    let read = |text: &str| load(&format!("listen: [127.0.0.1]\nrate-limit: {text}\n")).answers.rate_limit;
    let limit = RateLimit {
        responses_per_second: 7,
        slip: 3,
        ipv4_prefix: 32,
        ipv6_prefix: 64,
        exempt: vec!["192.0.2.1".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
    };
    let text = "{ responses-per-second: 7, slip: 3, ipv4-prefix: 32, ipv6-prefix: 64, \
                exempt: [192.0.2.1, \"2001:db8::/32\"] }";
    assert_eq!(read(text), Some(limit));
    for off in ["", "{}", "{ slip: 1 }", "{ responses-per-second: 0, exempt: [::1] }"] {
        assert_eq!(read(off), None);
    }
}

#[test]
fn a_secret_is_read_from_a_file_beside_the_configuration() {
    let text = "listen: [127.0.0.1]\nkeys: { k: { algorithm: hmac-sha256, secret-file: keys/k } }\n";
    let folder = Folder::with(&[("c.yaml", text), ("keys/k", &format!("{SECRET}\n"))]);
    let config = folder.load().unwrap();
    assert_eq!(config.keys.values().next(), Some(&key("k", "hmac-sha256")));
}

#[test]
fn a_loaded_configuration_shows_no_secret() {
    let text = fs::read_to_string(example("secondo.yaml")).unwrap();
    let shown = format!("{:#?}", config::load(&example("secondo.yaml")).unwrap());
    let secrets: Vec<&str> = text.split('"').filter(|word| word.len() > 40 && word.ends_with('=')).collect();
    assert_eq!(secrets.len(), 3);
    assert!(secrets.iter().all(|secret| !shown.contains(secret)));
    assert!(shown.contains("transfer-key.") && !shown.contains("secret key material"));
}

#[test]
fn aliases_are_followed() {
    let config = load(
        "listen: [127.0.0.1]\nprimaries: { p: &p { addresses: &a [192.0.2.1] }, q: { addresses: *a } }\n\
         zones: [{ name: a.example, primaries: [p, q, *p] }]\n"
            .replace("[p, q, *p]", "[q, p]")
            .as_str(),
    );
    assert_eq!(settings(&config, "a.example").primaries[0].addresses.len(), 1);
}

#[test]
fn warnings_are_given_for_weak_algorithms_short_secrets_and_open_files() {
    let text = "listen: [127.0.0.1]\nkeys:\n  a: { algorithm: hmac-md5, secret: c2VjcmV0 }\n  b:\n    algorithm: hmac-sha1\n    secret-file: b\n";
    let folder = Folder::with(&[("c.yaml", text), ("b", SECRET)]);
    fs::set_permissions(folder.path("c.yaml"), Permissions::from_mode(0o644)).unwrap();
    let warnings = folder.load().unwrap().warnings;
    let shown: Vec<String> =
        warnings.iter().map(|w| format!("{}:{}: {}", w.line, w.column, w.message)).collect();
    assert_eq!(
        shown,
        [
            "3:6: this secret is short, expected at least 8 octets",
            "3:19: `hmac-md5` is weak, expected hmac-sha256 or better",
            "3:37: everybody may read this file, expected mode 0640 or `secret-file`",
            "5:16: `hmac-sha1` is weak, expected hmac-sha256 or better",
        ]
    );
}

#[test]
fn a_reload_sees_which_zones_were_added_removed_and_changed() {
    let zone = |name: &str, extra: &str| format!("  - {{ name: {name}, primaries: [p]{extra} }}\n");
    let text = |secret: &str, zones: &str| {
        format!(
            "listen: [127.0.0.1]\nkeys: {{ k: {{ algorithm: hmac-sha256, secret: \"{secret}\" }} }}\n\
             primaries: {{ p: {{ addresses: [192.0.2.1], key: k }} }}\nzones:\n{zones}"
        )
    };
    let old = load(&text(SECRET, &(zone("a.", "") + &zone("b.", "") + &zone("c.", ""))));
    let new = load(&text(SECRET, &(zone("C.", "") + &zone("b.", ", max-records: 5") + &zone("d.", ""))));
    let changes = old.zone_changes(&new);
    assert_eq!(changes.added.iter().map(|zone| zone.name.to_string()).collect::<Vec<_>>(), ["d."]);
    assert_eq!(changes.removed.iter().map(|zone| zone.name.to_string()).collect::<Vec<_>>(), ["a."]);
    assert_eq!(changes.changed.iter().map(|(_, zone)| zone.name.to_string()).collect::<Vec<_>>(), ["b."]);
    // Another secret under the same name changes every zone that seals with it.
    let rolled = load(&text("YW5vdGhlciBzZWNyZXQgb2YgMzIgYnl0ZXMsIHllcy4=", &zone("a.", "")));
    assert_eq!(old.zone_changes(&rolled).changed.len(), 1);
}

#[test]
fn a_hundred_thousand_zones_share_their_settings() {
    let mut text =
        String::from("listen: [127.0.0.1]\nprimaries: { p: { addresses: [192.0.2.1] } }\nzones:\n");
    for n in 0..100_000 {
        text += &format!("  - name: zone{n}.example\n    primaries: [p]\n");
    }
    let config = load(&text);
    assert_eq!(config.zones.len(), 100_000);
    let first = &config.zones[0].settings;
    assert!(config.zones.iter().all(|zone| std::sync::Arc::ptr_eq(first, &zone.settings)));
    let again = load(&text);
    let changes = config.zone_changes(&again);
    assert_eq!(changes.added.len() + changes.removed.len() + changes.changed.len(), 0);
}
