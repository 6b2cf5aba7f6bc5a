//! The one enumeration of reasons: why something did not work. It labels log, status and metrics and decides the next
//! step (see ARCHITECTURE.md, "What follows a failure").

use std::fmt;

/// The row of the failure table that a reason belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// IXFR cannot be had from this primary, AXFR may.
    IxfrUnavailable,
    /// The primary answers but will not or cannot serve the zone.
    Refused,
    /// The seal failed: TSIG or TLS. Never retried with less.
    Seal,
    /// The way to the primary failed.
    Network,
    /// What arrived is no zone: malformed, incomplete or out of limits.
    Malformed,
    /// The primary's serial is behind ours or cannot be compared.
    Serial,
    /// A check or a guard rejected the version.
    Rejected,
    /// We ourselves could not: disk, memory, limits.
    Local,
}

impl Class {
    /// All of them, in the order of the table.
    pub const ALL: &'static [Class] = &[
        Class::IxfrUnavailable,
        Class::Refused,
        Class::Seal,
        Class::Network,
        Class::Malformed,
        Class::Serial,
        Class::Rejected,
        Class::Local,
    ];

    /// What its reasons have in common.
    pub fn meaning(self) -> &'static str {
        match self {
            Class::IxfrUnavailable => "IXFR cannot be had from this primary, AXFR may",
            Class::Refused => "the primary answers, but will not or cannot serve the zone",
            Class::Seal => "TSIG or TLS failed",
            Class::Network => "the way to the primary failed",
            Class::Malformed => "what arrived is no zone: malformed, incomplete or out of limits",
            Class::Serial => "the primary's serial is behind ours or cannot be compared with it",
            Class::Rejected => "a check rejected the version",
            Class::Local => "we ourselves could not: disk, memory, limits",
        }
    }

    /// What is answered from meanwhile.
    pub fn served(self) -> &'static str {
        match self {
            Class::IxfrUnavailable => "the version served stays until the whole zone has come",
            Class::Local => {
                "a version that the disk refuses is served from memory; else the one served stays until it expires"
            }
            _ => "the version served stays until it expires; without one, queries get SERVFAIL",
        }
    }

    /// What is tried next, and when.
    pub fn next(self) -> &'static str {
        match self {
            Class::IxfrUnavailable => {
                "AXFR at the same primary, at once; IXFR again at the next change, after NOTIMP or FORMERR in a day"
            }
            Class::Refused => {
                "the next address, the next primary; then all again after RETRY, doubled up to its upper bound; for a zone \
                 never loaded, up to five minutes"
            }
            Class::Seal => {
                "the next address, the next primary, never without the seal; then all again after RETRY, doubled up to its \
                 upper bound; for a zone never loaded, up to five minutes"
            }
            Class::Network => {
                "the next address, the next primary; then all again after a quarter of RETRY, doubled up to RETRY, or for a \
                 zone never loaded up to five minutes, one zone asking for all that have that primary; and as soon as it \
                 answers or sends NOTIFY"
            }
            Class::Malformed => "the next primary; then all again after RETRY, doubled up to its upper bound",
            Class::Serial => {
                "the next primary, behind a transfer the next address first; then all again after REFRESH, or when NOTIFY \
                 comes"
            }
            Class::Rejected => {
                "the next primary; then all again after REFRESH, or when NOTIFY tells another serial"
            }
            Class::Local => "the same again after a second, doubled up to a minute",
        }
    }
}

macro_rules! reasons {
    ($($variant:ident $code:literal $class:ident $help:literal),* $(,)?) => {
        /// Why a probe, a transfer or a version failed. Codes are stable for ever once released.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = $help] $variant),*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant),*];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Reason::$variant => $code),* }
            }

            /// The row of the failure table.
            pub fn class(self) -> Class {
                match self { $(Reason::$variant => Class::$class),* }
            }

            /// One line for the operator: what it means and what to do.
            pub fn help(self) -> &'static str {
                match self { $(Reason::$variant => $help),* }
            }
        }
    };
}

reasons! {
    IxfrNotImplemented "ixfr-not-implemented" IxfrUnavailable "the primary does not implement IXFR; AXFR is used for a day: set `ixfr: false` there to save the question",
    IxfrFormatError "ixfr-format-error" IxfrUnavailable "the primary does not understand the IXFR request; AXFR is used for a day: set `ixfr: false` there to save the question",
    IxfrServerFailure "ixfr-server-failure" IxfrUnavailable "the primary failed while preparing the IXFR; AXFR is tried: if it goes on, look at the primary's journal",
    IxfrEmpty "ixfr-empty" IxfrUnavailable "the primary answered the IXFR request with nothing; AXFR is tried: if it goes on, look at the primary's journal",
    IxfrMalformed "ixfr-malformed" IxfrUnavailable "the differences are not in the form of RFC 1995 §4; AXFR is tried: if it goes on, tell those who run the primary",
    IxfrBrokenChain "ixfr-broken-chain" IxfrUnavailable "the differences do not lead from our serial to the primary's; AXFR is tried: if it goes on, purge the primary's journal",
    IxfrAbsentRecord "ixfr-absent-record" IxfrUnavailable "the differences delete a record that we do not have: the copies differ; AXFR is tried: if it goes on, purge the primary's journal",
    IxfrCut "ixfr-cut" IxfrUnavailable "the stream of differences ended before its closing SOA; AXFR is tried once: look for limits of time at the primary",
    IxfrTooLarge "ixfr-too-large" IxfrUnavailable "the differences are more than 10000 versions, or larger than the zone and 1 MiB; AXFR is tried: nothing must be done",

    Refused "refused" Refused "the primary refuses us: check its transfer access list and our source address",
    NotAuth "notauth" Refused "the primary says that it is not authoritative, or does not know our key: check the zone and its transfer access list there",
    NotAuthoritative "not-authoritative" Refused "the primary's answer is not authoritative (AA clear): the zone is not loaded there or expired; look there",
    NoSuchZone "no-such-zone" Refused "the primary does not have the zone (NXDOMAIN, no SOA or a referral): add it there, or correct its name here",
    ServerFailure "server-failure" Refused "the primary answers SERVFAIL: its own copy is not loaded or expired; look there, and at its own primary",
    FormatError "format-error" Refused "the primary answers FORMERR: it does not understand the request; check that it is a name server of this century",
    NotImplemented "not-implemented" Refused "the primary answers NOTIMP: it does not offer transfers; check the address, and its configuration",
    OtherRcode "other-rcode" Refused "the primary answers with another error code, which the detail names: look at the primary's log",
    PrimaryExpiring "primary-expiring" Refused "the primary's own copy is about to expire (RFC 7314), so it is no good source: look at its own primary",

    TsigBadSig "tsig-badsig" Seal "the signature does not verify: the secrets differ; copy the key's secret from one side to the other",
    TsigBadKey "tsig-badkey" Seal "the primary does not know the key: check its name and algorithm on both sides",
    TsigBadTime "tsig-badtime" Seal "the clocks differ by more than the permitted skew: check NTP on both sides",
    TsigBadTrunc "tsig-badtrunc" Seal "the signature is shorter than permitted: use the same algorithm, with the same truncation, on both sides",
    TsigMissing "tsig-missing" Seal "the answer is not signed though the request was: the key is unknown there or has another secret, or something between answers",
    TsigMalformed "tsig-malformed" Seal "the TSIG record is malformed or misplaced (RFC 8945 §5.2): tell those who run the primary",
    TsigUnexpected "tsig-unexpected" Seal "the answer is signed though the request was not: give the primary its key here",

    TlsNotSpoken "tls-not-spoken" Seal "what listens at the primary's address does not speak TLS: check the port, 853 by default",
    TlsHandshake "tls-handshake" Seal "the TLS handshake failed, the detail says at what: see with `openssl s_client -alpn dot` whether the primary speaks TLS 1.3",
    TlsVersion "tls-version" Seal "the primary does not speak TLS 1.3, which RFC 9103 §7.2 requires, or no algorithm that we do: bring it up to date",
    TlsAlpn "tls-alpn" Seal "the primary did not choose the ALPN token `dot` (RFC 9103 §7.1): it is too old, or another service listens there",
    TlsUntrusted "tls-untrusted" Seal "no authority of `ca-file` vouches for the primary's certificate: add the one that does, or pin the key",
    TlsWrongName "tls-wrong-name" Seal "the primary's certificate is for other names than the `name` that we expect: correct either",
    TlsExpired "tls-expired" Seal "the primary's certificate is out of its time: renew it, or check both clocks",
    TlsPinMismatch "tls-pin-mismatch" Seal "the primary's key is none of `pins`: it was changed, or somebody else answers there",
    TlsClientRefused "tls-client-refused" Seal "the primary wants a client certificate, or another than ours: check `cert-file` and its authorities there",

    Timeout "timeout" Network "no answer in time: the primary or the way to it is down, or a firewall drops packets",
    ConnectionRefused "connection-refused" Network "nothing listens at the primary's address: start it, or correct address and port",
    ConnectionReset "connection-reset" Network "the primary or something between closed the connection: look at the primary's log and its limits of TCP clients",
    Unreachable "unreachable" Network "there is no way to the primary's address: check routes, and `source` if it is set",
    NetworkError "network-error" Network "the connection failed, the detail says how: check the network of this host",
    TruncatedStream "truncated-stream" Network "the connection ended before the closing SOA (RFC 5936 §2.2): look at the primary's log for a crash or a limit of time",
    TooSlow "too-slow" Network "the transfer was slower than `minimum-rate` or longer than `transfer-timeout`: mend the way, or change these",
    PrimaryDown "primary-down" Network "the primary was found down a moment ago by another zone; it is not asked by each: see why it is down",

    MalformedMessage "malformed-message" Malformed "a message cannot be parsed (RFC 1035 §4.1): tell those who run the primary",
    BadAnswer "bad-answer" Malformed "the answer does not belong to the question: other question, opcode or flags (RFC 5936 §2.2.1); tell those who run the primary",
    BadRdata "bad-rdata" Malformed "a record's data does not fit its type: correct the record at the primary",
    SoaMissing "soa-missing" Malformed "the transfer does not begin with the zone's SOA (RFC 5936 §2.2): tell those who run the primary",
    SoaMismatch "soa-mismatch" Malformed "the closing SOA differs from the first: the zone changed under the primary (RFC 5936 §2.2); the next attempt should do",
    SoaForeign "soa-foreign" Malformed "a SOA stands at an owner other than the apex: remove it at the primary",
    SoaMisplaced "soa-misplaced" Malformed "a record stands behind the closing SOA (RFC 5936 §2.2): tell those who run the primary",
    WrongClass "wrong-class" Malformed "a record has another class than the zone: correct it at the primary",
    MetaType "meta-type" Malformed "a record has a type that cannot be zone data (RFC 6895 §3.1): remove it at the primary",
    LimitBytes "limit-bytes" Malformed "the zone is larger than `max-size` of the zone, its template or `zone-defaults`: raise that, or find out why the zone grew",
    LimitRecords "limit-records" Malformed "the zone has more records than `max-records` of the zone, its template or `zone-defaults`: raise that, or find out why the zone grew",
    LimitRrset "limit-rrset" Malformed "an RRset has more records than `limits: rrset-records`: raise that, or mend the zone",
    LimitTypes "limit-types" Malformed "a name has more types than `limits: name-types`: raise that, or mend the zone",
    LimitEmptyMessages "limit-empty-messages" Malformed "the stream holds too many messages without records: tell those who run the primary",

    SerialBehind "serial-behind" Serial "the primary's serial is older than ours, or its transfer older than its own SOA tells: raise it there, or take what it has with `secondo retransfer`",
    SerialIncomparable "serial-incomparable" Serial "the primary's serial is 2^31 away from ours, so neither is newer (RFC 1982 §3.2): take what it has with `secondo retransfer`",

    NoApexNs "no-apex-ns" Rejected "the version has no NS records at the apex (RFC 1034 §4.2.1): add them at the primary",
    GuardEmpty "guard-empty" Rejected "the version has lost all its records but SOA and NS: mend the zone at the primary",

    Disk "disk" Local "the state directory cannot be written: check free space, permissions, and the kernel's log",
    Busy "busy" Local "our own limits are reached; the attempt stays in the queue: nothing must be done",
    Cancelled "cancelled" Local "the attempt was cancelled: the zone was changed or the daemon stops; nothing must be done",
    Internal "internal" Local "an error of our own: please report it, with the detail and the log",
}

impl Reason {
    /// Whether TLS failed, before any key was tried.
    pub fn is_tls(self) -> bool {
        self.code().starts_with("tls-")
    }

    /// Whether the primary gave no sign of life: as opposed to a refusal, or a stream that broke.
    pub fn is_silence(self) -> bool {
        use Reason::*;
        matches!(self, Timeout | ConnectionRefused | ConnectionReset | Unreachable | NetworkError)
    }

    /// Whether another key may do where this came of asking with one: some primaries answer REFUSED to a key that they do
    /// not know, or that may not. A connection that could not be sealed is the same with every key.
    pub fn may_be_the_key(self) -> bool {
        matches!(self, Reason::NotAuth | Reason::Refused) || self.class() == Class::Seal && !self.is_tls()
    }

    /// Whether it stays until a person does something, here or at the primary. What is left goes away by itself as often as
    /// not: networks, primaries that start, our own limits.
    pub fn needs_person(self) -> bool {
        match self {
            // The primary's own copy may be on its way.
            Reason::ServerFailure | Reason::NotAuthoritative | Reason::PrimaryExpiring => false,
            Reason::Disk | Reason::Internal => true,
            _ => match self.class() {
                Class::Refused | Class::Seal | Class::Malformed | Class::Serial | Class::Rejected => true,
                Class::IxfrUnavailable | Class::Network | Class::Local => false,
            },
        }
    }

    /// Whether it says that a primary does not offer IXFR, as opposed to one that does and fails.
    pub fn is_incapacity(self) -> bool {
        matches!(self, Reason::IxfrNotImplemented | Reason::IxfrFormatError)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_belongs_to_a_row_that_tells_what_is_served_and_what_is_tried() {
        for reason in Reason::ALL {
            assert!(Class::ALL.contains(&reason.class()), "{reason}");
        }
        for class in Class::ALL {
            assert!(Reason::ALL.iter().any(|reason| reason.class() == *class), "{class:?}");
            assert!(class.served().contains("served") && class.next().contains(' '), "{class:?}");
        }
    }

    #[test]
    fn codes_are_unique_kebab_case_and_helped() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert!(codes.iter().all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        // What it means, and behind a colon or a semicolon what to do.
        let helps = |r: &&Reason| r.help().len() > 40 && r.help().contains([':', ';']);
        let helpless: Vec<_> = Reason::ALL.iter().filter(|r| !helps(r)).collect();
        assert!(helpless.is_empty(), "{helpless:?}");
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
    }
}
