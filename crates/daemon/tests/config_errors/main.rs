//! Every error of the configuration, word for word: `FILE:LINE:COLUMN: what is wrong, what was expected`.

// Clippy lets tests unwrap, but not the functions that they share.
#![allow(clippy::unwrap_used)]

mod keys;
mod tls;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use secondo_daemon::config;

/// The secret of the key `k`; looked for in everything that is shown.
const SECRET: &str = "c2VjcmV0IGtleSBtYXRlcmlhbCBvZiAzMiBieXRlcyE=";

/// What `check` would print for a folder of files, `c.yaml` the first; the folder's own path taken away.
#[track_caller]
fn errors(files: &[(&str, &str, u32)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, mode) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
    }
    let problems = config::load(&folder.path().join("c.yaml")).expect_err("no error was found");
    let own = format!("{}/", folder.path().display());
    let shown: Vec<String> = problems.iter().map(|problem| problem.to_string().replace(&own, "")).collect();
    for kind in [format!("{problems:?}"), shown.concat()] {
        assert!(!kind.contains(SECRET) && !kind.contains("secret key material"), "a secret is shown: {kind}");
    }
    shown
}

/// The errors of one whole file.
#[track_caller]
fn whole(text: &str, expected: &[&str]) {
    assert_eq!(errors(&[("c.yaml", text, 0o640)]), expected, "in:\n{text}");
}

/// The errors of a body that comes after a sound beginning, which ends with line 7.
#[track_caller]
fn body(body: &str, expected: &[&str]) {
    let head = format!(
        "listen: [127.0.0.1]\nkeys:\n  k:\n    algorithm: hmac-sha256\n    secret: \"{SECRET}\"\nprimaries:\n  \
         p: {{ addresses: [192.0.2.1], key: k }}\n"
    );
    assert_eq!(errors(&[("c.yaml", &(head + body), 0o640)]), expected, "in:\n{body}");
}

/// The errors of one zone with a line of its own, line 8; its columns begin at 5.
#[track_caller]
fn zone(line: &str, expected: &[&str]) {
    body(&format!("zones:\n  - name: a.example\n    primaries: [p]\n    {line}\n"), expected);
}

#[test]
fn broken_yaml_is_reported_alone() {
    whole(
        "listen: 5\nbogus: [1,\nzones: 2\n",
        &["c.yaml:3:1: not valid YAML: invalid indentation in flow construct"],
    );
    whole(
        "a: \"b\n",
        &["c.yaml:1:4: not valid YAML: while scanning a quoted scalar, found unexpected end of stream"],
    );
    whole("a: *b\n", &["c.yaml:1:4: not valid YAML: while parsing node, found unknown anchor"]);
    whole("a: !!int 1\n", &["c.yaml:1:4: YAML tags (`!…`) are not supported, expected a plain value"]);
    whole(
        "a: 1\n---\nb: 1\n",
        &["c.yaml:2:1: a second YAML document begins, expected one document in a file"],
    );
    whole("a: 1\nb: \0\n", &["c.yaml:2:4: a control character, expected printable text (UTF-8)"]);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    assert_eq!(errors(&[]), ["c.yaml:1:1: `c.yaml` cannot be read: No such file or directory (os error 2)"]);
}

#[test]
fn a_text_that_is_not_utf8_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    fs::write(&path, b"listen: x\nuser: \xc3\xbc\xff\n").unwrap();
    let problem = config::load(&path).unwrap_err().remove(0);
    assert_eq!(
        (problem.line, problem.column, &*problem.message),
        (2, 8, "not UTF-8, expected a text in UTF-8")
    );
}

#[test]
fn an_empty_file_and_one_without_listen_are_refused() {
    whole("", &["c.yaml:1:1: the configuration cannot be nothing, expected a map such as `listen: …`"]);
    whole("[]", &["c.yaml:1:1: the configuration cannot be a list, expected a map such as `listen: …`"]);
    whole(
        "user: x\n",
        &["c.yaml:1:1: `listen` is missing, expected addresses such as [\"0.0.0.0:53\", \"[::]:53\"]"],
    );
}

#[test]
fn unknown_and_double_keys_are_refused() {
    zone(
        "max_records: 5",
        &["c.yaml:11:5: unknown key `max_records` in a zone, did you mean `max-records`?"],
    );
    body(
        "limits: { speed: 5 }\n",
        &["c.yaml:8:11: unknown key `speed` in `limits`, expected `transfers`, `transfers-per-primary`, \
           `transfers-out`, `probes-per-primary`, `tcp-clients`, `tcp-idle`, `udp-payload`, `udp-threads`, \
           `rrset-records`, `name-types` or `nsec3-iterations`"],
    );
    zone("primaries: [p]", &["c.yaml:11:5: key `primaries` is written twice, expected it once in a zone"]);
    body(
        "listen: [::1]\n",
        &["c.yaml:8:1: key `listen` is written twice, expected it once in the configuration"],
    );
    body(
        "templates:\n  <<: 1\n",
        &["c.yaml:9:3: bad name `<<`, expected 1 to 64 letters, digits, `-`, `_` or `.`"],
    );
    zone("<<: 1", &["c.yaml:11:5: merge keys (`<<`) are not supported, expected templates instead"]);
    zone("[a]: 1", &["c.yaml:11:5: a key of a zone cannot be a list, expected a word"]);
    body(
        "templates:\n  t: {}\n  t: {}\n",
        &["c.yaml:10:3: `t` is defined twice, expected once (first at c.yaml:9:3)"],
    );
}

#[test]
fn double_zones_are_refused_whatever_their_spelling() {
    body(
        "zone-defaults: { primaries: [p] }\nzones: [{ name: a.example }, { name: A.Example. }]\n",
        &["c.yaml:9:38: zone `A.Example.` is defined twice, expected once (first at c.yaml:9:17)"],
    );
}

#[test]
fn undefined_names_are_refused() {
    zone(
        "template: custmer",
        &["c.yaml:11:15: undefined template `custmer`, expected a name defined under `templates`"],
    );
    body(
        "templates: { customer: }\nzones:\n  - { name: a, primaries: [p], template: custmer }\n",
        &["c.yaml:10:42: undefined template `custmer`, did you mean `customer`?"],
    );
    body(
        "zone-defaults: { primaries: [p, q, hidden] }\n",
        &[
            "c.yaml:8:33: undefined primary `q`, did you mean `p`?",
            "c.yaml:8:36: undefined primary `hidden`, expected a name defined under `primaries`, or { addresses: […] }",
        ],
    );
    let undefined = "undefined key, expected the name of a key defined under `keys`";
    zone("allow-query: [{ key: other }]", &[&format!("c.yaml:11:26: {undefined}")]);
    zone("allow-transfer: [{ address: ::1, key: other }]", &[&format!("c.yaml:11:43: {undefined}")]);
    zone("also-notify: [{ address: ::1, key: other }]", &[&format!("c.yaml:11:40: {undefined}")]);
    zone("also-notify: [{ address: ::1, key: kk }]", &["c.yaml:11:40: undefined key, did you mean `k`?"]);
    body(
        "zone-defaults: { primaries: [{ addresses: [::1], key: a-key }, { addresses: [::2], keys: [a-key] }] }\n",
        &[&format!("c.yaml:8:55: {undefined}"), &format!("c.yaml:8:91: {undefined}")],
    );
}

#[test]
fn bad_names_are_refused() {
    body(
        "zones: [{ name: a..b, primaries: [p] }]\n",
        &["c.yaml:8:17: bad name `a..b`: bad label, expected a domain name"],
    );
    body(
        "zones: [{ name: , primaries: [p] }]\n",
        &["c.yaml:8:15: nothing stands here, expected a domain name"],
    );
    body(
        "zones: [{ name: \"\", primaries: [p] }]\n",
        &["c.yaml:8:17: bad name ``: bad label, expected a domain name"],
    );
    body(
        "zones: [{ primaries: [p] }]\n",
        &["c.yaml:8:9: `name` is missing, expected a zone such as `- name: example.com`"],
    );
    body(
        "templates: { a b: }\n",
        &["c.yaml:8:14: bad name `a b`, expected 1 to 64 letters, digits, `-`, `_` or `.`"],
    );
    whole(
        "listen: [::1]\nprimaries: { a b: }\n",
        &["c.yaml:2:14: bad name `a b`, expected 1 to 64 letters, digits, `-`, `_` or `.`"],
    );
}

#[test]
fn zones_without_primaries_are_refused() {
    let missing =
        "the zone has no primaries, expected `primaries` here, in its template or in `zone-defaults`";
    body("zones: [{ name: a }]\n", &[&format!("c.yaml:8:17: {missing}")]);
    body("zones: [{ name: a, primaries: [] }]\n", &["c.yaml:8:31: 0 primaries, expected 1 to 64"]);
    body(
        "zone-defaults: { primaries: [p, p] }\n",
        &["c.yaml:8:33: this primary is listed twice, expected it once"],
    );
    body(
        "zone-defaults: { primaries: p }\n",
        &[
            "c.yaml:8:29: a single value stands here, expected a list of names of primaries, or of primaries such as \
           [{ addresses: […] }]",
        ],
    );
}

#[test]
fn bad_durations_sizes_numbers_and_booleans_are_refused() {
    let duration = "expected a duration such as 90, 500ms, 90s, 15m, 2h or 7d";
    zone("purge-after: soon", &[&format!("c.yaml:11:18: bad value `soon`, {duration}")]);
    zone("purge-after: [7d]", &[&format!("c.yaml:11:18: a list stands here, {duration}")]);
    zone("purge-after: 0", &["c.yaml:11:18: the duration is too short, expected at least 1s"]);
    zone("refresh-bounds: [1m]", &["c.yaml:11:21: 1 values, expected [min, max]"]);
    zone(
        "refresh-bounds: 1m",
        &["c.yaml:11:21: a single value stands here, expected [min, max], two durations such as [1m, 1d]"],
    );
    zone("retry-bounds: [500ms, 1h]", &["c.yaml:11:20: the duration is too short, expected at least 1s"]);
    zone(
        "expire-bounds: [2h, 1h]",
        &["c.yaml:11:25: the upper bound is below the lower one, expected [min, max]"],
    );
    zone(
        "expire-bounds: [x, y]",
        &[
            &format!("c.yaml:11:21: bad value `x`, {duration}"),
            &format!("c.yaml:11:24: bad value `y`, {duration}"),
        ],
    );
    zone(
        "max-size: 4GB",
        &["c.yaml:11:15: bad value `4GB`, expected a size such as 65536, 64KiB, 10MiB, 4GiB or 1TiB"],
    );
    zone("max-size: 0", &["c.yaml:11:15: the size is too small, expected at least 1 bytes"]);
    zone(
        "max-records: many",
        &["c.yaml:11:18: bad value `many`, expected a whole number from 1 to 18446744073709551615"],
    );
    let versions = "expected a whole number from 0 to 100000";
    zone("keep-versions: all", &[&format!("c.yaml:11:20: bad value `all`, {versions}")]);
    zone("keep-versions: 100001", &[&format!("c.yaml:11:20: 100001 is out of range, {versions}")]);
    body(
        "zone-defaults: { keep-versions: -1 }\ntemplates: { t: { keep-versions: 99999999999999999999 } }\n",
        &[
            &format!("c.yaml:8:33: bad value `-1`, {versions}"),
            &format!("c.yaml:9:34: bad value `99999999999999999999`, {versions}"),
        ],
    );
    zone(
        "max-records: -1",
        &["c.yaml:11:18: bad value `-1`, expected a whole number from 1 to 18446744073709551615"],
    );
    body(
        "limits: { udp-payload: 100 }\n",
        &["c.yaml:8:24: 100 is out of range, expected a whole number from 512 to 65535"],
    );
    body("limits: { tcp-idle: 1ms }\n", &["c.yaml:8:21: the duration is too short, expected at least 100ms"]);
}

#[test]
fn bad_addresses_are_refused() {
    let address = "expected an address such as 192.0.2.1, \"192.0.2.1:53\" or \"[2001:db8::1]:53\"";
    whole(
        "listen: [localhost, ::1, \"[::1]:53\", 127.0.0.1:0]\n",
        &[
            &format!("c.yaml:1:10: bad value `localhost`, {address}"),
            "c.yaml:1:26: this address is listed twice, expected it once",
            &format!("c.yaml:1:38: bad value `127.0.0.1:0`, {address}"),
        ],
    );
    whole("listen: []\n", &["c.yaml:1:9: 0 addresses, expected 1 to 256"]);
    whole(
        "listen: ::1\n",
        &[
            "c.yaml:1:9: a single value stands here, expected a list of addresses such as [\"0.0.0.0:53\", \"[::]:53\"]",
        ],
    );
    whole(
        "listen: [{ transport: tcp }]\n",
        &["c.yaml:1:10: `address` is missing, expected one such as \"0.0.0.0:53\""],
    );
    let primary = |text: &str, expected: &[&str]| {
        whole(&format!("listen: [::1]\nprimaries:\n  p: {{ {text} }}\n"), expected);
    };
    primary(
        "key: k",
        &[
            "c.yaml:3:6: `addresses` is missing, expected a list such as [\"192.0.2.1\"]",
            "c.yaml:3:13: undefined key, expected the name of a key defined under `keys`",
        ],
    );
    primary("addresses: []", &["c.yaml:3:19: 0 addresses, expected 1 to 64"]);
    primary("addresses: [::1, ::1]", &["c.yaml:3:25: this address is listed twice, expected it once"]);
    primary(
        "addresses: [::1], source: [\"::1:53x\"]",
        &["c.yaml:3:35: bad value `::1:53x`, expected a local address without port, such as 192.0.2.53 or \
         \"2001:db8::53\""],
    );
    primary(
        "addresses: [::1], source: [::1, ::2]",
        &["c.yaml:3:40: a second source address of this family, expected one per family"],
    );
    primary(
        "addresses: [::1], key: a, keys: [a]",
        &["c.yaml:3:40: both `key` and `keys` are given, expected one of them"],
    );
    primary("addresses: [::1], keys: []", &["c.yaml:3:32: 0 keys, expected 1 to 8"]);
    primary("addresses: [::1], transport: quic", &["c.yaml:3:37: bad value `quic`, expected tcp or tls"]);
    let prefix = "expected an address or prefix such as 192.0.2.1, 192.0.2.0/24 or \"2001:db8::/32\"";
    zone("allow-query: [{ address: any }]", &[&format!("c.yaml:11:30: bad address `any`, {prefix}")]);
    zone(
        "allow-query: [{ address: 192.0.2.1/24 }]",
        &[&format!("c.yaml:11:30: `192.0.2.1/24` has bits set behind its length, {prefix}")],
    );
    zone(
        "allow-query: [{ address: 192.0.2.0/33 }]",
        &[&format!("c.yaml:11:30: bad prefix length in `192.0.2.0/33`, {prefix}")],
    );
    zone("allow-query: [{}]", &["c.yaml:11:19: the entry admits nobody, expected `address`, `key` or both"]);
    zone(
        "allow-query: [::1]",
        &["c.yaml:11:19: an access list entry cannot be a single value, expected a map such as `address: …`"],
    );
    zone(
        "allow-query:",
        &[
            "c.yaml:11:16: nothing stands here, expected a list such as [{ address: 192.0.2.0/24, key: name }], or [] \
         for nobody",
        ],
    );
    zone(
        "also-notify: [{ key: k }]",
        &["c.yaml:11:19: `address` is missing, expected one such as 192.0.2.1 or \"192.0.2.1:53\""],
    );
}

#[test]
fn bad_paths_users_and_logs_are_refused() {
    body("state-dir: \"\"\n", &["c.yaml:8:12: an empty path, expected one such as /var/lib/secondo"]);
    body(
        &format!("control: /{}\n", "x".repeat(200)),
        &["c.yaml:8:10: the path of the socket is 201 octets long, expected at most 107"],
    );
    body("user: -x\n", &["c.yaml:8:7: bad user `-x`, expected 1 to 64 letters, digits, `-`, `_` or `.`"]);
    body(
        "log: { format: xml, level: loud }\n",
        &[
            "c.yaml:8:16: bad value `xml`, expected text or json",
            "c.yaml:8:28: bad value `loud`, expected error, warn, info, debug or trace",
        ],
    );
}

#[test]
fn what_no_answer_can_tell_is_refused() {
    let long = "x".repeat(256);
    body(
        &format!("identity: {{ id: {long}, nsid: \"\", version: [], host: x }}\n"),
        &[
            "c.yaml:8:17: the text is 256 octets long, expected 1 to 255",
            "c.yaml:8:281: the text is 0 octets long, expected 1 to 255",
            "c.yaml:8:294: a list stands here, expected a text such as ns2.example.net",
            "c.yaml:8:298: unknown key `host` in `identity`, expected `id`, `nsid` or `version`",
        ],
    );
}

#[test]
fn limits_of_answers_out_of_range_are_refused() {
    body(
        "rate-limit: { responses-per-second: 100001, slip: 11, ipv4-prefix: 0, ipv6-prefix: 129, exempt: [{}, x, 192.0.2.1/24] }\n",
        &[
            "c.yaml:8:37: 100001 is out of range, expected a whole number from 0 to 100000",
            "c.yaml:8:51: 11 is out of range, expected a whole number from 0 to 10",
            "c.yaml:8:68: 0 is out of range, expected a whole number from 1 to 32",
            "c.yaml:8:84: 129 is out of range, expected a whole number from 1 to 128",
            "c.yaml:8:98: a map stands here, expected an address or prefix such as 192.0.2.1, 192.0.2.0/24 or \"2001:db8::/32\"",
            "c.yaml:8:102: bad address `x`, expected an address or prefix such as 192.0.2.1, 192.0.2.0/24 or \"2001:db8::/32\"",
            "c.yaml:8:105: `192.0.2.1/24` has bits set behind its length, expected an address or prefix such as 192.0.2.1, 192.0.2.0/24 or \"2001:db8::/32\"",
        ],
    );
    body(
        "rate-limit: 5\n",
        &[
            "c.yaml:8:13: `rate-limit` cannot be a single value, expected a map such as `responses-per-second: …`",
        ],
    );
}

#[test]
fn secrets_of_cookies_stay_secret_and_are_refused_where_others_read_them() {
    let (good, bad) = ("00112233445566778899aabbccddeeff\n", "00112233445566778899aabbccddee\n");
    let main = |file: &str| format!("listen: [::1]\ncookies: {{ secret-file: {file} }}\n");
    for (octets, mode, expected) in [
        (good, 0o644, "the secret file `s` may be read or written by everybody, expected mode 0600 or 0640"),
        (bad, 0o600, "in the secret file `s`: line 1 is no secret, expected 32 hexadecimal digits"),
        ("\n", 0o600, "in the secret file `s`: there is no secret, expected 32 hexadecimal digits on a line"),
    ] {
        let found = errors(&[("c.yaml", &main("s"), 0o640), ("s", octets, mode)]);
        assert_eq!(found, [format!("c.yaml:2:25: {expected}")]);
    }
    // A secret at the place of a path, or of a key, is not repeated.
    let found = errors(&[("c.yaml", &main(good.trim()), 0o640)]);
    let expected = "the secret file cannot be read: No such file or directory (os error 2)";
    assert_eq!(found, [format!("c.yaml:2:25: {expected}")]);
    let inline = format!("listen: [::1]\ncookies: {{ {}: }}\n", good.trim());
    assert_eq!(
        errors(&[("c.yaml", &inline, 0o640)]),
        ["c.yaml:2:12: unknown key in `cookies`, expected `secret-file`"]
    );
}

#[test]
fn options_of_later_features_are_refused_as_such() {
    let mut text = String::from("listen: [::1]\n");
    let top = ["sandbox", "metrics", "hooks"];
    let mut expected = Vec::new();
    for (n, word) in top.iter().enumerate() {
        text += &format!("{word}: on\n");
        expected.push(format!("c.yaml:{}:1: `{word}` is not supported yet", n + 2));
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    whole(&text, &expected);
    for word in ["serve-ixfr", "guard", "zonemd", "dnssec", "check", "drift-check"] {
        zone(&format!("{word}: off"), &[&format!("c.yaml:11:5: `{word}` is not supported yet")]);
    }
    body(
        "zones: [{ catalog: c, primaries: [p], max-removal: 10% }]\n",
        &["c.yaml:8:11: `catalog` is not supported yet", "c.yaml:8:39: `max-removal` is not supported yet"],
    );
    zone(
        "also-notify: [{ address: ::1, transport: tls }]",
        &["c.yaml:11:35: `transport` is not supported yet"],
    );
    body(
        "log: { format: journald }\n",
        &["c.yaml:8:16: `format: journald` is not supported yet, expected text or json"],
    );
}

#[test]
fn errors_of_all_files_come_in_one_pass_in_order() {
    let main = "listen: [::1]\nspeed: 1\nzone-defaults: { primaries: [{ addresses: [::1] }] }\n\
                zones:\n  - include: d/*\n  - name: b..c\n";
    assert_eq!(
        errors(&[
            ("c.yaml", main, 0o640),
            ("d/1.yaml", "- name: a\n  max-size: x\n", 0o640),
            ("d/2.yaml", "- name: A\n- include: 1.yaml\n", 0o640),
            ("d/3.yaml", "name: a\n", 0o640),
        ]),
        [
            "c.yaml:2:1: unknown key `speed` in the configuration, expected `listen`, `tls`, `state-dir`, `control`, `user`, \
             `log`, `identity`, `cookies`, `rate-limit`, `limits`, `keys`, `primaries`, `zone-defaults`, `templates` or `zones`",
            "c.yaml:6:11: bad name `b..c`: bad label, expected a domain name",
            "d/1.yaml:2:13: bad value `x`, expected a size such as 65536, 64KiB, 10MiB, 4GiB or 1TiB",
            "d/2.yaml:1:9: zone `A.` is defined twice, expected once (first at d/1.yaml:1:9)",
            "d/2.yaml:2:12: an included file includes another, expected zones only",
            "d/3.yaml:1:1: a map stands here, expected a list of zones such as `- name: example.com`",
        ]
    );
    // Broken YAML in any of the files is reported alone.
    assert_eq!(
        errors(&[("c.yaml", main, 0o640), ("d/1.yaml", "- name: [\n", 0o640)]),
        ["d/1.yaml:2:1: not valid YAML: while parsing a node, did not find expected node content"]
    );
}

#[test]
fn bad_includes_are_refused() {
    let include = |entry: &str, expected: &[&str]| body(&format!("zones:\n  - {entry}\n"), expected);
    include(
        "include: none.yaml",
        &["c.yaml:9:14: `none.yaml` cannot be read: No such file or directory (os error 2)"],
    );
    include(
        "include: none.d/*.yaml",
        &["c.yaml:9:14: the folder cannot be read: No such file or directory (os error 2)"],
    );
    include(
        "include: \"*/a.yaml\"",
        &["c.yaml:9:14: a wildcard in a folder, expected it in the last part of the path"],
    );
    include("include: zones.d/", &["c.yaml:9:14: no file name, expected a path such as zones.d/*.yaml"]);
    include(
        "{ include: /*.none, name: a }",
        &["c.yaml:9:25: `name` beside `include`, expected `include` alone"],
    );
}
