//! `dig` and `kdig` as clients: questions, whole zones, and the comparison of zones record by record.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{Key, peers, wait};

/// Which client fetches a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// BIND's.
    Dig,
    /// Knot DNS's.
    Kdig,
}

impl Client {
    /// The comment in which it says that a transfer failed, whatever it had printed until then.
    fn complaint(self, text: &str) -> Option<&str> {
        // Not the one that repeats what it was asked: a secret in base64 or a name may hold any of the words.
        let echo = match self {
            Self::Dig => "; <<>> DiG ",
            Self::Kdig => ";; AXFR for ",
        };
        text.lines().find(|line| {
            let low = line.to_lowercase();
            line.starts_with(';')
                && !line.starts_with(echo)
                && ["fail", "error", "couldn't", "timed out", "bad", "warning"]
                    .iter()
                    .any(|w| low.contains(w))
        })
    }

    /// How the comment begins that closes a transfer.
    fn closing(self) -> &'static str {
        match self {
            // Only below one that is whole.
            Self::Dig => "\n;; XFR size: ",
            Self::Kdig => "\n;; Received ",
        }
    }
}

/// What `dig` shows of one response.
#[derive(Debug)]
pub struct Response {
    /// `NOERROR`, `SERVFAIL`…; empty when there was no response.
    pub status: String,
    /// `qr aa rd`…
    pub flags: Vec<String>,
    /// The codes of its Extended DNS Errors (RFC 8914).
    pub errors: Vec<u16>,
    /// Records of the answer section, fields separated by one blank.
    pub answer: Vec<String>,
    /// Records of the authority section.
    pub authority: Vec<String>,
    /// Records of the additional section, without OPT and TSIG.
    pub additional: Vec<String>,
    /// All that `dig` printed.
    pub text: String,
}

impl Response {
    /// Whether the flag is set.
    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|f| f == flag)
    }

    /// Whether two servers say the same: rcode, AA, the answer, and, when there is none, the authority section. Some
    /// add the NS records of the apex to every answer, and all fill the additional section by their own taste.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let sorted = |records: &[String]| {
            // Names are the same in any case (RFC 4343 §3), and servers return the zone's spelling or the question's.
            let mut records: Vec<String> = records.iter().map(|record| record.to_lowercase()).collect();
            records.sort();
            records
        };
        self.status == other.status
            && self.has_flag("aa") == other.has_flag("aa")
            && sorted(&self.answer) == sorted(&other.answer)
            && (!self.answer.is_empty() || sorted(&self.authority) == sorted(&other.authority))
    }
}

/// Asks one question; `arguments` are `dig`'s: a name, a type, flags.
pub fn ask(server: SocketAddr, arguments: &[&str]) -> Response {
    let host = format!("@{}", server.ip());
    let port = server.port().to_string();
    let mut all = vec![host.as_str(), "-p", &port, "+norec", "+nosearch", "+nocookie", "+tries=1", "+time=3"];
    all.extend_from_slice(arguments);
    parse(&run("dig", &all))
}

/// The serial that a server answers with for a zone, if it answers with authority.
pub fn serial(server: SocketAddr, zone: &str) -> Option<u32> {
    let response = ask(server, &[zone, "SOA", "+tries=1", "+time=1"]);
    let soa = response.answer.first().filter(|_| response.status == "NOERROR" && response.has_flag("aa"))?;
    soa.split(' ').nth(6)?.parse().ok()
}

/// Waits until the server answers with this serial.
pub fn until_serial(
    server: SocketAddr,
    zone: &str,
    wanted: u32,
    limit: Duration,
    why_not: impl Fn() -> String,
) {
    let mut seen = None;
    let what = format!("serial {wanted} of {zone} at {server}");
    wait::until(&what, limit, why_not, || {
        seen = serial(server, zone);
        (seen == Some(wanted)).then_some(())
    });
}

/// The whole zone over TCP, one line a record: owner as spelled, TTL, class, type and RDATA as bytes in hexadecimal
/// (RFC 3597 §5), sorted; the closing SOA is left out.
///
/// # Errors
/// What the client said, when the transfer was refused or broke.
pub fn transfer(
    client: Client,
    server: SocketAddr,
    zone: &str,
    key: Option<&Key>,
) -> Result<Vec<String>, String> {
    transfer_with(client, server, zone, key, &[])
}

/// The same with further arguments of the client, such as `+tls`.
///
/// # Errors
/// What the client said, when the transfer was refused or broke.
pub fn transfer_with(
    client: Client,
    server: SocketAddr,
    zone: &str,
    key: Option<&Key>,
    arguments: &[&str],
) -> Result<Vec<String>, String> {
    let host = format!("@{}", server.ip());
    let port = server.port().to_string();
    let argument = key.map(Key::argument);
    let mut all = vec![host.as_str(), "-p", &port];
    all.extend(arguments);
    if let Some(argument) = &argument {
        all.extend(["-y", argument.as_str()]);
    }
    let program = match client {
        Client::Dig => {
            all.extend([zone, "AXFR", "+unknownformat", "+nosplit", "+onesoa", "+time=20", "+tries=1"]);
            "dig"
        }
        Client::Kdig => {
            all.extend([zone, "AXFR", "+generic", "+noidn", "+time=20", "+retry=0"]);
            "kdig"
        }
    };
    let text = run(program, &all);
    let mut records: Vec<String> =
        text.lines().filter(|l| !l.is_empty() && !l.starts_with(';')).map(generic).collect();
    let broken = client.complaint(&text);
    match broken {
        Some(line) => Err(format!("{line} (after {} records)", records.len())),
        _ if !text.contains(client.closing()) => Err(format!("without its end: {text}")),
        _ if records.is_empty() => Err(text),
        _ => {
            // Both show the TSIG of each message among the records.
            records.retain(|record| record.split(' ').nth(3) != Some("TYPE250"));
            // The SOA closes a transfer as it opens it (RFC 5936 §2.2), and kdig shows both.
            if client == Client::Kdig && records.len() > 1 && records.first() == records.last() {
                records.pop();
            }
            let plain = |record: &String| record.split(' ').nth(4) == Some("\\#");
            assert!(records.iter().all(plain), "{program} prints something else than records: {text}");
            records.sort();
            Ok(records)
        }
    }
}

/// The RCODE with which a transfer is refused; empty when it is not. `kind` is `AXFR` or `IXFR=` and a serial.
pub fn refusal(server: SocketAddr, zone: &str, kind: &str, key: Option<&Key>) -> String {
    let host = format!("@{}", server.ip());
    let port = server.port().to_string();
    let argument = key.map(Key::argument);
    let mut all = vec![host.as_str(), "-p", &port, zone, kind, "+time=5", "+retry=0"];
    if let Some(argument) = &argument {
        all.extend(["-y", argument.as_str()]);
    }
    // dig says that it failed, kdig says why: server replied with error 'REFUSED'
    let text = run("kdig", &all);
    text.split("replied with error '")
        .nth(1)
        .and_then(|rest| rest.split('\'').next())
        .unwrap_or_default()
        .to_owned()
}

/// The zone as `dig` fetches it.
///
/// # Panics
/// When it cannot be fetched.
pub fn zone(server: SocketAddr, zone: &str, key: Option<&Key>) -> Vec<String> {
    transfer(Client::Dig, server, zone, key)
        .unwrap_or_else(|error| panic!("{zone} cannot be fetched from {server}: {error}"))
}

/// Fetches the zone from both and compares them record by record, byte for byte, with both clients.
///
/// # Panics
/// With the first differences, when there are any.
pub fn assert_same_zone(
    apex: &str,
    primary: SocketAddr,
    primary_key: Option<&Key>,
    secondary: SocketAddr,
    secondary_key: Option<&Key>,
) -> Vec<String> {
    // PowerDNS now and then closes a transfer halfway while its zone changes; of ours none may fail.
    let again = || transfer(Client::Dig, primary, apex, primary_key).ok();
    let theirs = again().or_else(again).unwrap_or_else(|| zone(primary, apex, primary_key));
    let ours = zone(secondary, apex, secondary_key);
    assert_same_records(apex, &theirs, &ours);
    // Another reader of the same bytes: what one client tolerates, the other may not.
    let read_by_kdig = transfer(Client::Kdig, secondary, apex, secondary_key)
        .unwrap_or_else(|error| panic!("kdig cannot fetch {apex} from {secondary}: {error}"));
    let kdigs_view = transfer(Client::Kdig, primary, apex, primary_key);
    if let Ok(kdigs_view) = kdigs_view {
        assert_same_records(apex, &kdigs_view, &read_by_kdig);
    } else {
        assert_eq!(
            ours.len(),
            read_by_kdig.len(),
            "dig and kdig read different numbers of records of {apex}"
        );
    }
    theirs
}

/// Compares two lists of records as [`transfer`] gives them.
pub fn assert_same_records(apex: &str, theirs: &[String], ours: &[String]) {
    if theirs == ours {
        return;
    }
    let short = |record: &&String| format!("  {}", record.chars().take(200).collect::<String>());
    let lacking: Vec<String> =
        theirs.iter().filter(|r| !ours.contains(r)).take(10).map(|r| short(&r)).collect();
    let surplus: Vec<String> =
        ours.iter().filter(|r| !theirs.contains(r)).take(10).map(|r| short(&r)).collect();
    panic!(
        "{apex} differs: {} records at the primary, {} at the secondary\nonly at the primary:\n{}\nonly at the secondary:\n{}",
        theirs.len(),
        ours.len(),
        lacking.join("\n"),
        surplus.join("\n"),
    );
}

/// One line of a transfer with single blanks and the RDATA's digits in one piece and one case.
fn generic(line: &str) -> String {
    let mut fields = line.split_ascii_whitespace();
    let mut kept: Vec<String> = fields.by_ref().take(6).map(str::to_owned).collect();
    let digits: String = fields.collect::<String>().to_lowercase();
    kept.push(digits);
    kept.join(" ").trim_end().to_owned()
}

/// All that a client prints.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(peers::program(program))
        .args(arguments)
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

fn parse(text: &str) -> Response {
    let mut response = Response {
        status: String::new(),
        flags: Vec::new(),
        errors: Vec::new(),
        answer: Vec::new(),
        authority: Vec::new(),
        additional: Vec::new(),
        text: text.to_owned(),
    };
    // A transfer's records come without a heading.
    let mut section = "ANSWER";
    for line in text.lines() {
        if let Some(header) = line.strip_prefix(";; ->>HEADER<<-") {
            let status = header.split("status: ").nth(1).unwrap_or_default();
            response.status = status.split(',').next().unwrap_or_default().to_owned();
        } else if let Some(flags) = line.strip_prefix(";; flags:") {
            let flags = flags.split(';').next().unwrap_or_default();
            response.flags = flags.split_ascii_whitespace().map(str::to_owned).collect();
        } else if let Some(error) = line.strip_prefix("; EDE: ") {
            let digits = error.split([' ', ':']).next().unwrap_or_default();
            response.errors.extend(digits.parse::<u16>().ok());
        } else if let Some(rest) = line.strip_prefix(";; ") {
            let heading = rest.strip_suffix(" SECTION:").unwrap_or(section);
            section = heading;
        } else if !line.is_empty() && !line.starts_with(';') {
            let record = line.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            match section {
                "ANSWER" => response.answer.push(record),
                "AUTHORITY" => response.authority.push(record),
                "ADDITIONAL" => response.additional.push(record),
                _ => {}
            }
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = ";; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: SERVFAIL, id: 4711
;; flags: qr aa; QUERY: 1, ANSWER: 1, AUTHORITY: 1, ADDITIONAL: 1

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags:; udp: 1232
; EDE: 24 (Invalid Data): (confirmed 8 s ago)
;; QUESTION SECTION:
;example.\t\t\tIN\tSOA

;; ANSWER SECTION:
example.\t\t3600\tIN\tSOA\tns.example. root.example. 7 1 1 1 1

;; AUTHORITY SECTION:
example.\t\t3600\tIN\tNS\tns.example.

;; Query time: 0 msec
";

    #[test]
    fn a_response_is_read_section_by_section() {
        let response = parse(TEXT);
        assert_eq!(response.status, "SERVFAIL");
        assert!(response.has_flag("aa") && !response.has_flag("tc"));
        assert_eq!(response.errors, [24]);
        assert_eq!(response.answer, ["example. 3600 IN SOA ns.example. root.example. 7 1 1 1 1"]);
        assert_eq!(response.authority, ["example. 3600 IN NS ns.example."]);
        assert!(response.additional.is_empty());
    }

    #[test]
    fn a_secret_that_holds_a_bad_word_is_no_complaint() {
        let transfer = "\n; <<>> DiG 9.18 <<>> @127.0.0.1 -y hmac-sha512:key:BaDfAIL0 bad.test. AXFR
; (1 server found)\n;; global options: +cmd\nbad.test. 60 CLASS1 TYPE16 \\# 1 00\n";
        assert_eq!(Client::Dig.complaint(transfer), None);
        let broken = format!("{transfer}; Transfer failed.\n");
        assert_eq!(Client::Dig.complaint(&broken), Some("; Transfer failed."));
        assert_eq!(Client::Kdig.complaint(";; AXFR for bad.test.\n"), None);
        let refused = ";; ERROR: server replied with error 'BADSIG'";
        assert_eq!(Client::Kdig.complaint(refused), Some(refused));
    }

    #[test]
    fn rdata_in_several_pieces_is_joined() {
        let line = "A.example.\t\t60\tCLASS1\tTYPE16 \\# 4 03AA BBCC";
        assert_eq!(generic(line), "A.example. 60 CLASS1 TYPE16 \\# 4 03aabbcc");
        assert_eq!(generic("a. 60 CLASS1 TYPE10 \\# 0"), "a. 60 CLASS1 TYPE10 \\# 0");
    }

    #[test]
    #[should_panic(expected = "only at the secondary:\n  b")]
    fn a_record_too_many_is_shown() {
        assert_same_records("example.", &["a".to_owned()], &["a".to_owned(), "b".to_owned()]);
    }
}
