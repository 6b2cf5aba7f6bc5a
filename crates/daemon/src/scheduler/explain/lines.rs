//! Lines to copy: what a primary's configuration must say, by the software that it may run, and commands that show from
//! here what it answers.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use secondo_tsig::Key;

use crate::config::PrimaryConfig;

/// Names as other programs' configurations write them.
pub(super) fn bare(name: &str) -> &str {
    if name == "." { name } else { name.trim_end_matches('.') }
}

/// A key's name as they write it.
pub(super) fn key_name(key: Option<&Key>) -> String {
    key.map_or_else(|| "-".into(), |key| bare(&key.name().to_string()).to_string())
}

/// What lets us, at `us`, transfer `zone`: sealed with `key`, or unsigned.
pub(super) fn permission(zone: &str, us: &str, key: Option<&Key>) -> Vec<String> {
    let name = key_name(key);
    let (bind, knot, nsd, powerdns) = match key {
        Some(_) => (
            format!("key \"{name}\";"),
            format!("key: {name}"),
            name.clone(),
            format!("activate-tsig-key {zone} {name} primary"),
        ),
        None => (
            format!("{us};"),
            format!("address: {us}"),
            "NOKEY".into(),
            format!("set-meta {zone} ALLOW-AXFR-FROM {us}"),
        ),
    };
    vec![
        format!("  BIND, within zone \"{zone}\" {{ }}:"),
        format!("    allow-transfer {{ {bind} }};"),
        "  Knot DNS, the last line to the zone if it is there already:".into(),
        "    acl:".into(),
        "      - id: secondo".into(),
        format!("        {knot}"),
        "        action: transfer".into(),
        "    zone:".into(),
        format!("      - domain: \"{zone}\""),
        "        acl: secondo".into(),
        format!("  NSD, below zone: with name: {zone}"),
        format!("    provide-xfr: {us} {nsd}"),
        "  PowerDNS:".into(),
        format!("    pdnsutil {powerdns}"),
    ]
}

/// What makes `key` known.
pub(super) fn definition(key: &Key) -> Vec<String> {
    let (name, algorithm) = (key_name(Some(key)), key.algorithm());
    vec![
        "  BIND:".into(),
        format!("    key \"{name}\" {{ algorithm {algorithm}; secret \"…\"; }};"),
        "  Knot DNS:".into(),
        "    key:".into(),
        format!("      - id: {name}"),
        format!("        algorithm: {algorithm}"),
        "        secret: …".into(),
        "  NSD:".into(),
        "    key:".into(),
        format!("      name: {name}"),
        format!("      algorithm: {algorithm}"),
        "      secret: \"…\"".into(),
        "  PowerDNS:".into(),
        format!("    pdnsutil import-tsig-key {name} {algorithm} '…'"),
    ]
}

/// Questions that show what we are answered: asked from where we ask, as we ask.
pub(super) fn questions(zone: &str, primary: &PrimaryConfig, address: SocketAddr) -> Vec<String> {
    let dig = format!("{} {zone} SOA +norecurse", dig(primary, address));
    match over_tls(primary) {
        None => vec![format!("{dig} +notcp"), format!("{dig} +tcp")],
        Some(tls) => vec![format!("{dig}{tls}")],
    }
}

/// The transfer as we ask for it; whoever copies it puts the secret in.
pub(super) fn whole_zone(
    zone: &str,
    primary: &PrimaryConfig,
    address: SocketAddr,
    key: Option<&Key>,
) -> String {
    let seal = key.map(|key| format!(" -y {}:{}:SECRET", key.algorithm(), key_name(Some(key))));
    let carrier = over_tls(primary).unwrap_or_else(|| " +tcp".into());
    format!("{}{} {zone} AXFR{carrier}", dig(primary, address), seal.unwrap_or_default())
}

/// `dig` towards a primary, from where we ask.
fn dig(primary: &PrimaryConfig, address: SocketAddr) -> String {
    let from = local_address(primary, address).map(|us| format!(" -b {us}")).unwrap_or_default();
    format!("  dig @{} -p {}{from}", address.ip(), address.port())
}

/// The options of `dig` for a primary that is asked over TLS.
fn over_tls(primary: &PrimaryConfig) -> Option<String> {
    let tls = primary.tls.as_ref()?;
    let file = tls.authorities().map(|file| format!(" +tls-ca={}", absolute(file).display()));
    let name = tls.name().filter(|_| file.is_some()).map(|name| format!(" +tls-hostname={name}"));
    Some(format!(" +tls{}{}", file.unwrap_or_default(), name.unwrap_or_default()))
}

/// A file or folder as it is found from anywhere: its folder without `..` and links, its own name as it was written, for
/// that may be a link which is set anew.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.into()),
    }
}

/// The handshake as OpenSSL shows it, with more words than a reason has; `more` are further options.
pub(super) fn handshake(primary: &PrimaryConfig, address: SocketAddr, more: &str) -> String {
    let tls = primary.tls.as_ref();
    let name = tls.and_then(|tls| tls.name()).map(|name| format!(" -servername {name}")).unwrap_or_default();
    let file = tls.and_then(|tls| tls.authorities());
    let file = file.map(|file| format!(" -CAfile {}", absolute(file).display())).unwrap_or_default();
    format!("  openssl s_client -connect {address} -alpn dot{name}{file}{more} </dev/null")
}

/// The local address that a primary sees, unless something between changes it.
pub(super) fn local_address(primary: &PrimaryConfig, address: SocketAddr) -> Option<IpAddr> {
    primary.source_towards(address.ip()).or_else(|| local_address_to(address))
}

/// The address that this host would send from. Nothing is sent.
fn local_address_to(address: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(address).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}
