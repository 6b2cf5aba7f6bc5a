//! Errors about keys, and the silence about secrets.

use super::{SECRET, body, errors, whole, zone};

#[test]
fn bad_keys_are_refused_without_a_word_of_them() {
    let keys = |keys: &str, expected: &[&str]| whole(&format!("listen: [::1]\nkeys:\n{keys}"), expected);
    let words = "`hmac-md5`, `hmac-sha1`, `hmac-sha224`, `hmac-sha256`, `hmac-sha384`, `hmac-sha512`, \
                 `hmac-sha256-128`, `hmac-sha384-192` or `hmac-sha512-256`";
    let secret = "expected base64 of the shared secret (RFC 4648, with padding)";
    keys(
        "  k: { algorithm: hmac-sha255, secret: YQ== }\n",
        &["c.yaml:3:19: unknown algorithm, did you mean `hmac-sha256`?"],
    );
    keys(
        &format!("  k: {{ algorithm: \"{SECRET}\", secret: YQ== }}\n"),
        &[&format!("c.yaml:3:19: unknown algorithm, expected {words}")],
    );
    keys(
        "  k: { secret: YQ== }\n",
        &["c.yaml:3:6: `algorithm` is missing, expected one such as hmac-sha256"],
    );
    keys(
        "  k: { algorithm: hmac-sha256 }\n",
        &["c.yaml:3:6: the secret is missing, expected `secret` or `secret-file`"],
    );
    keys(
        "  k: { algorithm: hmac-sha256, secret: YQ==, secret-file: x }\n",
        &["c.yaml:3:59: both `secret` and `secret-file` are given, expected one of them"],
    );
    keys(
        &format!("  k: {{ algorithm: hmac-sha256, secret: \"{SECRET}=\" }}\n"),
        &[&format!("c.yaml:3:40: bad secret, {secret}")],
    );
    keys(
        "  k: { algorithm: hmac-sha256, secret: \"\" }\n",
        &[&format!("c.yaml:3:40: the secret is empty, {secret}")],
    );
    keys(
        "  k: { algorithm: hmac-sha256, secret: [] }\n",
        &[&format!("c.yaml:3:40: a list stands here, {secret}")],
    );
    keys(
        &format!("  k: {{ algorithm: hmac-sha256, secret-file: \"{SECRET}\" }}\n"),
        &["c.yaml:3:45: the secret file cannot be read: No such file or directory (os error 2)"],
    );
    keys(
        &format!("  k: {{ algorithm: hmac-sha256, secret: YQ==, \"{SECRET}\" }}\n"),
        &["c.yaml:3:46: unknown key in a key, expected `algorithm`, `secret` or `secret-file`"],
    );
    keys(
        "  k: { algoritm: hmac-sha256, algorithm: hmac-sha256, secret: YQ== }\n",
        &["c.yaml:3:8: unknown key in a key, did you mean `algorithm`?"],
    );
    keys(
        &format!("  k: \"{SECRET}\"\n"),
        &["c.yaml:3:6: a key cannot be a single value, expected a map such as `algorithm: …`"],
    );
    keys(&format!("  {SECRET}..: {{}}\n"), &["c.yaml:3:3: bad key name: bad label, expected a domain name"]);
    keys(
        "  a.b: { algorithm: hmac-sha256, secret: YQ== }\n  A.b.: { algorithm: hmac-sha256, secret: YQ== }\n",
        &["c.yaml:4:3: this key is defined twice, expected names that differ in more than case"],
    );
    whole(
        &format!("listen: [::1]\nkeys: \"{SECRET}\"\n"),
        &["c.yaml:2:7: a single value stands here, expected a map of names to keys"],
    );
}

#[test]
fn a_secret_at_a_wrong_place_is_not_repeated() {
    zone(
        &format!("allow-query: [{{ key: \"{SECRET}\" }}]"),
        &["c.yaml:11:26: undefined key, expected the name of a key defined under `keys`"],
    );
    body(
        &format!("zone-defaults: {{ primaries: [{{ addresses: [::1], keys: [\"{SECRET}\"] }}] }}\n"),
        &["c.yaml:8:57: undefined key, expected the name of a key defined under `keys`"],
    );
    whole(
        &format!("listen: [::1]\nkeys:\n  k:\n    secret: \"{SECRET}\n"),
        &["c.yaml:4:13: not valid YAML: while scanning a quoted scalar, found unexpected end of stream"],
    );
    whole(
        &format!("listen: [::1]\nkeys:\n  k:\n    secret: @{SECRET}\n"),
        &["c.yaml:4:13: not valid YAML: unexpected character: `@'"],
    );
}

#[test]
fn a_secret_file_is_refused_when_it_is_open_to_others_or_holds_no_base64() {
    let text = "listen: [::1]\nkeys:\n  k: { algorithm: hmac-sha256, secret-file: k }\n";
    assert_eq!(
        errors(&[("c.yaml", text, 0o600), ("k", SECRET, 0o644)]),
        ["c.yaml:3:45: the secret file `k` may be read or written by everybody, expected mode 0600 or 0640"]
    );
    assert_eq!(
        errors(&[("c.yaml", text, 0o600), ("k", "secret key material\n", 0o600)]),
        [
            "c.yaml:3:45: in the secret file `k`: bad secret, expected base64 of the shared secret (RFC 4648, with padding)"
        ]
    );
    assert_eq!(
        errors(&[("c.yaml", text, 0o600), ("k/x", "", 0o600)]),
        ["c.yaml:3:45: the secret file `k` is not a plain file, expected one"]
    );
}

#[test]
fn a_secret_file_may_be_what_a_tool_for_keys_wrote() {
    let text = "listen: [::1]\nkeys:\n  k: { algorithm: hmac-sha256, secret-file: k }\nspeed: 1\n";
    let other = "c.yaml:4:1: unknown key `speed` in the configuration";
    let clause = format!("key \"k\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n");
    let found = errors(&[("c.yaml", text, 0o600), ("k", &clause, 0o600)]);
    assert!(found.len() == 1 && found[0].starts_with(other), "{found:?}");
    let found = errors(&[("c.yaml", text, 0o600), ("k", "key \"k\" { secret", 0o600)]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_broken_key_or_primary_is_one_error_not_one_for_each_use() {
    whole(
        "listen: [::1]\nkeys: { k: { algorithm: x, secret: YQ== } }\nprimaries: { p: { addresses: [no], key: k } }\n\
         zones:\n  - { name: a, primaries: [p] }\n  - { name: b, primaries: [p] }\n",
        &[
            "c.yaml:2:25: unknown algorithm, expected `hmac-md5`, `hmac-sha1`, `hmac-sha224`, `hmac-sha256`, \
             `hmac-sha384`, `hmac-sha512`, `hmac-sha256-128`, `hmac-sha384-192` or `hmac-sha512-256`",
            "c.yaml:3:31: bad value `no`, expected an address such as 192.0.2.1, \"192.0.2.1:53\" or \
             \"[2001:db8::1]:53\"",
        ],
    );
}
