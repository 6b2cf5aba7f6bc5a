//! # The catalogue of misbehaving primaries
//!
//! What primaries do that they should not, or that looks as if they should not: each [`Entry`] says what is done, and what
//! must come of it. The tests of this crate play every entry in virtual time, those of the demo over loopback sockets
//! against the real daemon; `CATALOGUE.md` beside this crate's manifest is the same as a table.
//!
//! Every entry begins alike. The secondary serves the old version, serial 7 unless the entry says otherwise. Then the
//! primary has a new one (9, by way of 8) and tells its lies to all questions from there on, until it is honest again; and
//! an operator orders a refresh, which asks for the SOA first; in the entries that begin with NOTIFY it tells of the new
//! version instead, and is asked for differences at once. Written down is:
//!
//! - what is **served** when the round is over that the order began: the old version or the new one, never anything else;
//! - what is **asked** in that round: of which address, over what, with what key (see [`Expect::asks`]);
//! - the **reasons** under which the failures of the round are told in log and status;
//! - how long the way **back** is: from the end of the round, if the primary is honest from then on, until the new version
//!   is served.
//!
//! Two rules hold whatever a script tells. The zone served is one that the primaries had, whole. And questions are sealed
//! with a key of the secondary's, always, if it has one.
//!
//! ## What to expect of a primary
//!
//! - **It answers something else** ([`probe`], [`stream`]): another ID, name, type or class; a question instead of an answer.
//!   Over UDP anybody can send that, so it is waited past, and after the third the question goes over TCP, where it is the
//!   primary's own (RFC 5452 §9.1).
//! - **It says no** ([`probe`], [`stream`]): an error code, at the first message or in the middle of a zone. REFUSED and
//!   NOTAUTH end the matter there; all others to an IXFR may mean the differences alone, and the zone is asked for whole.
//! - **It does not know EDNS** ([`probe`]): FORMERR, NOTIMP or BADVERS; asked again without.
//! - **It says nothing, or ever so slowly, or without an end** ([`connection`], [`stream`]): limits of time, rate, size.
//! - **It breaks off** ([`connection`], [`octets`]): the end of a connection is never the end of a zone (RFC 5936 §2.2).
//! - **It sends no zone** ([`stream`], [`content`]): SOAs at the wrong place, messages that cannot be parsed, records that
//!   cannot be data. Whatever is not certain refuses the version as a whole; what merely does not belong (names outside of
//!   the zone, doubles) is dropped, and said once.
//! - **Its differences do not fit** ([`ixfr`]): they start elsewhere, stop short, loop, delete what is not there. They are
//!   thrown away and the zone is asked for whole, at once.
//! - **Its seals do not hold** ([`seal`]): nothing of it is believed, and it is never asked with less.
//! - **It tells of changes** ([`notify`]) that are none, or as somebody else: a NOTIFY is a hint; who is believed is the
//!   primary that is asked because of it.
//! - **It went back, or around** ([`serial`]): serials are compared on their circle (RFC 1982 §3.2).
//! - **There are two of them, and they differ** ([`several`]).
//!
//! ## The notation of records
//!
//! [`Fault::Says`] writes an answer down record by record:
//!
#![doc = include_str!("notation.md")]

pub mod connection;
pub mod content;
mod entry;
pub mod ixfr;
pub mod notify;
pub mod octets;
pub mod probe;
mod reading;
mod scene;
pub mod seal;
pub mod serial;
pub mod several;
pub mod stream;

use std::fmt::Write;

pub use entry::{Back, Entry, Expect, Served};
pub use reading::words;
pub use scene::{
    Begin, IDLE, MAX_RECORDS, MAX_SIZE, NAME_TYPES, RRSET_RECORDS, Scene, Seals, Second, TRANSFER, Timers,
};

use crate::fault::Fault;
use crate::script::Kind;

/// All chapters: title, and what they are about.
pub const CHAPTERS: &[(&str, &str)] = &[
    ("probe", "The answer to the SOA question (RFC 1034 §4.3.5)."),
    ("connection", "The network, and what a primary does with its connections (RFC 7766, RFC 5936 §4)."),
    ("stream", "The messages of a transfer and the SOAs that hold it together (RFC 5936 §2.2)."),
    ("content", "The records of a zone."),
    ("ixfr", "Differences (RFC 1995)."),
    ("serial", "Serials that go back, around or nowhere (RFC 1982)."),
    ("seal", "TSIG (RFC 8945)."),
    ("notify", "NOTIFYs that begin the round (RFC 1996)."),
    ("octets", "Connections that end behind each octet of a small answer."),
    ("several", "More than one address, more than one primary."),
];

/// Every entry, chapter by chapter.
pub fn entries() -> Vec<Entry> {
    let chapters = [
        probe::entries(),
        connection::entries(),
        stream::entries(),
        content::entries(),
        ixfr::entries(),
        serial::entries(),
        seal::entries(),
        notify::entries(),
        octets::entries(),
        several::entries(),
    ];
    chapters.into_iter().flatten().collect()
}

/// The catalogue as a table in Markdown.
pub fn table() -> String {
    let all = entries();
    let mut text = String::from(
        "# What primaries do, and what comes of it\n\n\
         Made from `src/catalogue` by `cargo run -p secondo-sim --example catalogue`; a test keeps it in step. How to read it\n\
         is said at the head of `src/catalogue/mod.rs`: the primary has a new version and misbehaves, a refresh is ordered; the\n\
         columns say what is served after the round that follows, what is asked in it, why its attempts fail, and how long\n\
         it takes until the new version is served once the primary is honest.\n",
    );
    for (title, about) in CHAPTERS {
        let rows: Vec<_> = all.iter().filter(|entry| entry.group == *title).collect();
        let _ = write!(text, "\n## {title}\n\n{about} {} entries.\n\n", rows.len());
        text += "| the primary | served | asked | reasons | back |\n| --- | --- | --- | --- | --- |\n";
        for run in rows.chunk_by(|one, next| of_one_row(one, next)) {
            let row = run[0].to_string();
            let _ = match run {
                [only] => writeln!(text, "{only}"),
                [.., last] => writeln!(
                    text,
                    "{}",
                    row.replacen(&run[0].name, &format!("{} to {}", run[0].name, number(last)), 1)
                ),
                [] => Ok(()),
            };
        }
    }
    text
}

/// The number at the end of the name of an entry of those that differ in it alone.
fn number(entry: &Entry) -> &str {
    entry.name.rsplit_once(" octet ").map_or("", |(_, number)| number)
}

/// Whether they differ in that number alone.
fn of_one_row(one: &Entry, next: &Entry) -> bool {
    let stem = |entry: &Entry| entry.name.strip_suffix(number(entry)).map(str::to_owned);
    !number(one).is_empty() && stem(one) == stem(next) && one.expect == next.expect
}

/// An entry whose script is one rule.
fn entry(
    group: &'static str,
    name: &str,
    scene: Scene,
    kind: Kind,
    faults: &[Fault],
    expect: Expect,
) -> Entry {
    Entry { group, name: name.into(), scene, script: vec![(kind, faults.to_vec())], expect }
}
