//! What to do when a primary is not reached, or falls silent: what it can be, and what shows which of it.

use std::net::SocketAddr;

use secondo_lifecycle::Step;
use secondo_wire::Reason;

use super::super::trouble::Try;
use super::advice::sealed_with;
use super::lines::{self, bare};
use super::{Case, whom};
use crate::config::PrimaryConfig;

/// Advice on a primary that is not reached, or stops in the midst of an answer; `failed`: the attempt that showed it, where
/// it was one of this zone.
pub(super) fn advice(
    case: &Case,
    primary: &PrimaryConfig,
    address: SocketAddr,
    reason: Reason,
    failed: Option<&Try>,
) -> Vec<String> {
    let (zone, who) = (bare(&case.status.zone), whom(primary, address));
    let cut_short = failed.filter(|failed| failed.cut_short);
    let transfer = failed.is_some_and(|failed| failed.step != Step::Probe);
    let what = match (reason, &primary.tls) {
        (Reason::ConnectionRefused, _) => "the host is there, but nothing listens at that port over TCP",
        (Reason::Unreachable, _) => {
            "this host has no route to that address, or a router says that it is not there"
        }
        (Reason::Timeout, Some(_)) => {
            "it is down, the address is wrong, a firewall drops packets, or what listens there does not speak TLS"
        }
        (Reason::Timeout, _) if cut_short.is_some() => {
            "the connection is made, and then the answer stops. The primary is stuck, or packets of full size do not pass \
             (path MTU), or something between has forgotten the connection"
        }
        // The version that is to be fetched was told of by its SOA.
        (Reason::Timeout, None) if transfer && case.status.newer.is_some() => {
            "its SOA comes, over UDP, but a connection over TCP, which every transfer needs, does not: a firewall drops it, or \
             it takes no more"
        }
        (Reason::Timeout, None) => {
            "it is down, the address is wrong, or a firewall drops packets (UDP and TCP must pass both ways)"
        }
        (Reason::ConnectionReset, _) => {
            "it, or something between, closes the connection: a limit of TCP clients, a firewall, a crash"
        }
        (Reason::TruncatedStream, _) => {
            "it, or something between, ends the transfer early: a limit of time, a crash"
        }
        _ => "the connection fails",
    };
    let mut said = vec![format!("See that {who} runs and can be reached from here: {what}. From this host:")];
    said.extend(lines::questions(zone, primary, address));
    match (&primary.tls, cut_short) {
        (_, Some(failed)) => said.extend(stalled(zone, primary, failed)),
        (Some(_), None) => said.push(lines::handshake(primary, address, "")),
        (None, None) => said.push(
            "The first asks over UDP, the second over TCP, which every transfer needs: where only the first is answered, a \
             firewall lets no TCP pass."
                .into(),
        ),
    }
    said.push(format!(
        "Its zones are asked for as soon as it answers again, or sends NOTIFY; to ask at once: `secondo refresh {zone}`."
    ));
    said
}

/// What shows where a transfer stops.
fn stalled(zone: &str, primary: &PrimaryConfig, failed: &Try) -> [String; 4] {
    let address = failed.target.address;
    // What the headers of IP and ICMP leave of 1500 octets.
    let size = if address.is_ipv4() { 1472 } else { 1452 };
    [
        "The transfer itself, as we ask for it; where it stops for others, too, see how the primary does, its log and its \
         limits of transfers:"
            .into(),
        lines::whole_zone(zone, primary, address, sealed_with(primary, failed)),
        "Whether packets of 1500 octets pass:".into(),
        format!("  ping -c 3 -M do -s {size} {}", address.ip()),
    ]
}
