//! What can be wrong with TLS.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use secondo_daemon::config;

use super::errors;

/// A certificate and its key, in PEM.
fn pair() -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["ns.example".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

/// The errors of a primary with these lines, the first of which is line 4; beside it lie a certificate, its key, the key of
/// another, a key that everybody may read, and a file of something else.
#[track_caller]
fn primary(lines: &str, expected: &[&str]) {
    let text = format!("listen: [::1]\nprimaries:\n  p:\n    addresses: [::1]\n{lines}");
    with_files(&text, expected);
}

#[track_caller]
fn with_files(text: &str, expected: &[&str]) {
    let ((certificate, key), (_, other)) = (pair(), pair());
    let files = [
        ("c.yaml", text, 0o640),
        ("cert.pem", &certificate, 0o644),
        ("key.pem", &key, 0o600),
        ("other.pem", &other, 0o600),
        ("open.pem", &key, 0o644),
        ("text.pem", "of no use\n", 0o600),
        ("broken.pem", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n", 0o600),
    ];
    let found = errors(&files);
    assert_eq!(found, expected, "in:\n{text}");
    for line in key.lines().filter(|line| !line.starts_with("---")) {
        assert!(!found.concat().contains(line), "a key is shown: {found:?}");
    }
}

#[test]
fn tls_and_its_terms_stand_together() {
    primary(
        "    transport: tls\n",
        &[
            "c.yaml:5:16: `transport: tls` is given without `tls`, expected for example { mode: strict, name: \
           primary.example, ca-file: ca.pem }",
        ],
    );
    for transport in ["", "    transport: tcp\n"] {
        let line = 5 + transport.lines().count();
        primary(
            &format!("{transport}    tls: {{ mode: opportunistic }}\n"),
            &[&format!("c.yaml:{line}:10: `tls` is given without `transport: tls`, expected both or none")],
        );
    }
    primary(
        "    transport: tls\n    tls: on\n",
        &["c.yaml:6:10: `tls` of a primary cannot be a single value, expected a map such as `mode: …`"],
    );
}

/// The errors of `tls` of a primary, which begins at column 10 of line 6.
#[track_caller]
fn terms(terms: &str, expected: &[&str]) {
    primary(&format!("    transport: tls\n    tls: {terms}\n"), expected);
}

#[test]
fn a_mode_takes_what_it_needs_and_nothing_else() {
    let name = "c.yaml:6:10: `name` is missing, which this mode needs";
    terms("{ ca-file: cert.pem }", &[name]);
    terms(
        "{ mode: strict }",
        &[
            "c.yaml:6:18: `ca-file` is missing, which this mode needs",
            "c.yaml:6:18: `name` is missing, which this mode needs",
        ],
    );
    terms("{ mode: pin }", &["c.yaml:6:18: `pins` is missing, which this mode needs"]);
    let pin = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let of_no_use = |column, word| {
        format!("c.yaml:6:{column}: `{word}` is of no use in this mode, expected another mode")
    };
    terms(&format!("{{ name: a, ca-file: cert.pem, pins: [{pin}] }}"), &[&of_no_use(46, "pins")]);
    terms(&format!("{{ mode: pin, pins: [{pin}], ca-file: cert.pem }}"), &[&of_no_use(86, "ca-file")]);
    terms("{ mode: opportunistic, ca-file: cert.pem }", &[&of_no_use(42, "ca-file")]);
    terms("{ mode: loose }", &["c.yaml:6:18: bad value `loose`, expected strict, opportunistic or pin"]);
    terms(
        "{ mode: opportunistic, sni: a }",
        &[
            "c.yaml:6:33: unknown key `sni` in `tls` of a primary, expected `mode`, `name`, `ca-file`, `pins`, \
           `cert-file` or `key-file`",
        ],
    );
}

#[test]
fn names_and_pins_are_what_they_should_be() {
    terms(
        "{ name: \"a b\", ca-file: cert.pem }",
        &["c.yaml:6:18: bad value `a b`, expected the name in the primary's certificate, such as \
           primary.example, or an address in it"],
    );
    let expected = "expected base64 of the SHA-256 of a public key (SubjectPublicKeyInfo), 44 characters";
    terms("{ mode: pin, pins: [] }", &["c.yaml:6:29: 0 pins, expected 1 to 16"]);
    terms("{ mode: pin, pins: [AAAA] }", &[&format!("c.yaml:6:30: bad value `AAAA`, {expected}")]);
    terms("{ mode: pin, pins: [\"*\"] }", &[&format!("c.yaml:6:30: bad value `*`, {expected}")]);
}

#[test]
fn files_are_there_and_hold_what_they_should() {
    terms(
        "{ name: a, ca-file: none.pem }",
        &["c.yaml:6:30: the file `none.pem` cannot be read: No such file or directory (os error 2)"],
    );
    terms(
        "{ name: a, ca-file: text.pem }",
        &["c.yaml:6:30: the file `text.pem` has no certificate, expected one or more in PEM"],
    );
    terms(
        "{ name: a, ca-file: broken.pem }",
        &["c.yaml:6:30: the file `broken.pem` cannot be read as PEM, expected certificates"],
    );
    let client =
        |files: &str, expected: &[&str]| terms(&format!("{{ mode: opportunistic, {files} }}"), expected);
    client(
        "cert-file: cert.pem",
        &["c.yaml:6:44: one of `cert-file` and `key-file` is missing, expected both or none"],
    );
    client(
        "cert-file: cert.pem, key-file: open.pem",
        &[
            "c.yaml:6:64: the key file `open.pem` may be read or written by everybody, expected mode 0600 or 0640",
        ],
    );
    client(
        "cert-file: cert.pem, key-file: text.pem",
        &["c.yaml:6:64: the key file `text.pem` has no private key, expected one in PEM"],
    );
    client(
        "cert-file: cert.pem, key-file: other.pem",
        &["c.yaml:6:44: the key is not that of the certificate"],
    );
}

#[test]
fn a_listener_with_tls_needs_a_certificate() {
    let needed = "c.yaml:1:9: a listener with `transport: tls` needs `tls` at the top, expected { cert-file: …, \
                  key-file: … }";
    with_files("listen: [{ address: ::1, transport: tls }]\n", &[needed]);
    with_files(
        "listen: [::1]\ntls: {}\n",
        &["c.yaml:2:6: `cert-file` and `key-file` are missing, expected { cert-file: …, key-file: … }"],
    );
    with_files(
        "listen: [::1]\ntls: { cert-file: cert.pem, key-file: open.pem }\n",
        &[
            "c.yaml:2:39: the key file `open.pem` may be read or written by everybody, expected mode 0600 or 0640",
        ],
    );
    with_files(
        "listen: [\"[::1]:53\", { address: \"[::1]:53\", transport: tls }]\n\
         tls: { cert-file: cert.pem, key-file: key.pem }\n",
        &["c.yaml:1:22: this address is listed twice, expected it once"],
    );
}

#[test]
fn an_access_list_asks_for_tls_or_for_nothing() {
    with_files(
        "listen: [::1]\nzones: [{ name: a, primaries: [{ addresses: [::1] }], allow-transfer: [{ transport: tls }, \
         { address: ::1, transport: tcp }] }]\n",
        &[
            "c.yaml:2:72: the entry admits nobody, expected `address`, `key` or both",
            "c.yaml:2:119: bad value `tcp`, expected tls, or nothing for all transports",
        ],
    );
}

#[test]
fn what_is_in_order_is_read_and_what_should_not_stay_so_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let load = |text: &str| {
        std::fs::write(folder.path().join("c.yaml"), text).unwrap();
        config::load(&folder.path().join("c.yaml")).unwrap()
    };
    let write = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let (certificate, key) = pair();
    write("cert.pem", &certificate);
    write("key.pem", &key);
    let text = "listen: [{ address: ::1, transport: tls }, \"[::1]:53\"]\n\
                tls: { cert-file: cert.pem, key-file: key.pem }\n\
                primaries:\n  p:\n    addresses: [192.0.2.1, \"192.0.2.2:8853\"]\n    transport: tls\n    \
                tls: { name: a.example., ca-file: cert.pem, cert-file: cert.pem, key-file: key.pem }\n\
                zones: [{ name: a, primaries: [p], allow-transfer: [{ address: ::1, transport: tls }] }]\n";
    let first = load(text);
    assert_eq!(first.warnings, []);
    let listen: Vec<_> = first.server.listen.iter().map(|l| (l.address.to_string(), l.tls)).collect();
    assert_eq!(listen, [("[::1]:853".to_owned(), true), ("[::1]:53".to_owned(), false)]);
    let settings = &first.zones[0].settings;
    let addresses: Vec<_> = settings.primaries[0].addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.1:853", "192.0.2.2:8853"]);
    assert_eq!(settings.primaries[0].transport(), "tls");
    assert!(settings.allow_transfer.rules()[0].tls);

    // Read again: equal, until a file has other octets.
    let again = load(text);
    assert_eq!(again.server, first.server);
    assert!(first.zone_changes(&again).changed.is_empty());
    let (certificate, key) = pair();
    write("cert.pem", &certificate);
    write("key.pem", &key);
    let renewed = load(text);
    assert_ne!(renewed.server.tls, first.server.tls);
    assert_eq!(first.zone_changes(&renewed).changed.len(), 1);

    let warned = load(
        "listen: [::1]\ntls: { cert-file: cert.pem, key-file: key.pem }\nprimaries:\n  p: { addresses: [::1], transport: \
         tls, tls: { mode: opportunistic } }\n",
    );
    let warnings: Vec<_> = warned.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        warnings,
        [
            "no listener has `transport: tls`: this is of no use",
            "mode opportunistic encrypts for whoever answers, expected strict or pin"
        ]
    );
}
