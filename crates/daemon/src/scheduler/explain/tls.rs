//! What to do when TLS towards a primary fails: at what, and what shows more of it.

use std::net::SocketAddr;

use secondo_wire::Reason;

use super::lines::{absolute, bare, handshake};
use super::{Case, whom};
use crate::calendar::utc;
use crate::config::PrimaryConfig;

/// How a primary's pin is told there.
const PIN: &str = "  openssl x509 -in CERT.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64";

/// Advice on a reason of TLS.
pub(super) fn advice(
    case: &Case,
    primary: &PrimaryConfig,
    address: SocketAddr,
    reason: Reason,
) -> Vec<String> {
    let (who, name) = (whom(primary, address), &primary.name);
    let show = |more| handshake(primary, address, more);
    let mut said = match reason {
        Reason::TlsUntrusted => vec![
            format!(
                "Nobody in {} vouches for the certificate of {who}. Put the authority that signed it there, or trust that key \
                 alone: `primaries: {name}: tls: {{ mode: pin, pins: [\"…\"] }}` with the pin told above, once it was \
                 compared with that of the certificate on the primary:",
                authorities(primary)
            ),
            PIN.into(),
            "A certificate that is signed by itself and marked as an authority's is good with a pin only; one for `ca-file` \
             is made with `openssl req -x509 … -addext basicConstraints=critical,CA:FALSE`. What is shown to us:"
                .into(),
            show(" -showcerts"),
        ],
        Reason::TlsWrongName => vec![
            format!(
                "The certificate of {who} must be made out to the name that we expect, `primaries: {name}: tls: name: {}`. If \
                 one of the names told above is right, write that; else have a new certificate made. What is shown to us:",
                primary.tls.as_ref().and_then(|tls| tls.name()).unwrap_or_else(|| address.ip().to_string())
            ),
            show(""),
        ],
        Reason::TlsExpired => vec![
            format!(
                "Have the certificate of {who} renewed there, and the server told to read it again. If its dates are right, \
                 one of the clocks is not: ours shows {} (`timedatectl`). What is shown to us:",
                utc(case.wall)
            ),
            format!("{} | openssl x509 -noout -dates", show("")),
        ],
        Reason::TlsPinMismatch => vec![
            format!(
                "The key of {who} is another than those of `primaries: {name}: tls: pins`. If it was changed on purpose, add \
                 the pin told above (old and new may stand beside each other) and reload; compare it first with that of the \
                 certificate on the primary, for somebody else may answer in its place:"
            ),
            PIN.into(),
        ],
        Reason::TlsVersion | Reason::TlsHandshake => vec![
            format!(
                "See that {who} speaks TLS 1.3 at this port: RFC 9103 §7.2 takes no less. The first of these fails and the \
                 second works where it speaks TLS 1.2 alone:"
            ),
            show(" -tls1_3"),
            show(" -tls1_2"),
            "If so, turn TLS 1.3 on there (BIND: `tls NAME { protocols { TLSv1.3; }; … };`), or bring its OpenSSL or \
             GnuTLS up to date."
                .into(),
        ],
        Reason::TlsAlpn => vec![
            format!(
                "{who} speaks TLS but does not choose the ALPN token `dot`, without which RFC 9103 §7.1 knows no transfers. \
                 NSD does so from 4.11.1 on: bring it up to date; or another service (https?) listens at this port. After `ALPN protocol:` stands what it chooses:"
            ),
            show(""),
        ],
        Reason::TlsNotSpoken => vec![
            format!(
                "What listens at {who} speaks no TLS. DNS over TLS has port 853: correct `primaries: {name}: addresses`, or \
                 turn TLS on there (BIND: `listen-on port 853 tls NAME {{ any; }};`, NSD: `tls-port`, Knot DNS: \
                 `listen-tls`). To ask it without TLS is yours to decide: `transport: tcp`."
            ),
            show(""),
        ],
        _ => vec![
            format!(
                "{who} wants to know us: give our certificate, `primaries: {name}: tls: {{ cert-file: …, key-file: … }}`, \
                 signed by an authority that it trusts (BIND: `ca-file` of its `tls` block, NSD: `tls-cert-bundle`), and \
                 see that it has not ended. With our certificate it is let in like this:"
            ),
            show(" -cert CERT.pem -key KEY.pem"),
        ],
    };
    said.push(format!(
        "Without TLS it is never asked. Once mended, to ask at once: `secondo refresh {}`.",
        bare(&case.status.zone)
    ));
    said
}

fn authorities(primary: &PrimaryConfig) -> String {
    let file = primary.tls.as_ref().and_then(|tls| tls.authorities());
    file.map_or_else(|| "`ca-file`".into(), |file| format!("`ca-file: {}`", absolute(file).display()))
}
