//! Serials that go back, around or nowhere (RFC 1982): newer is what is less than half the circle ahead, and at exactly
//! half the circle neither is newer.

use secondo_wire::Reason;

use super::{Back, Begin, Entry, Expect, Scene, Second, Served, entry};
use crate::fault::Fault;
use crate::script::Kind;
use crate::tidings::Tidings;

/// Ways around the circle that honest primaries take.
const AROUND: &[(&str, u32, &[u32])] = &[
    ("goes from 4294967295 to 0", 4_294_967_295, &[0]),
    ("goes from 4294967294 over 4294967295 and 0 to 5", 4_294_967_294, &[4_294_967_295, 0, 5]),
    ("goes from 0 to 2147483647, as far as it may", 0, &[2_147_483_647]),
    ("goes from 1 to 2147483648, as far as it may", 1, &[2_147_483_648]),
    ("goes from 2147483648 to 4294967295, as far as it may", 2_147_483_648, &[4_294_967_295]),
    ("goes from 0 to 1", 0, &[1]),
];

/// Serials that its SOA shows, ours being 7: no transfer, no renewal.
const BEHIND: &[(&str, u32, Reason)] = &[
    ("is one behind", 6, Reason::SerialBehind),
    ("is at 0", 0, Reason::SerialBehind),
    ("is behind around the circle", 7 + 0x8000_0001, Reason::SerialBehind),
    ("is exactly half the circle away", 7 + 0x8000_0000, Reason::SerialIncomparable),
];

/// The entries of this chapter.
pub fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    for (name, from, to) in AROUND {
        for (form, ixfr, asks) in [("IXFR", true, "soa ixfr"), ("AXFR", false, "soa axfr")] {
            let scene = Scene { from: *from, to, ixfr, ..Scene::default() };
            let expect = Expect::succeeds(asks, &[]);
            all.push(Entry {
                group: "serial",
                name: format!("{form}: {name}"),
                scene,
                script: vec![],
                expect,
            });
        }
    }
    let new = |name: &str, kind, faults: &[Fault], expect| {
        entry("serial", name, Scene::default(), kind, faults, expect)
    };
    for (name, serial, reason) in BEHIND {
        let fault = [Fault::Serial(*serial)];
        all.push(new(&format!("SOA: {name}"), Kind::Soa, &fault, Expect::fails("soa", *reason)));
        let mut axfr = new(&format!("AXFR: {name}"), Kind::Axfr, &fault, Expect::fails("soa axfr", *reason));
        axfr.scene.ixfr = false;
        all.push(axfr);
        all.push(new(&format!("IXFR: {name}"), Kind::Ixfr, &fault, Expect::fails("soa ixfr", *reason)));
    }
    let stays = Expect {
        served: Served::Old,
        asks: "soa".into(),
        reasons: vec![],
        back: Back::Refresh,
        rcode: None,
        kept: None,
    };
    all.push(new("SOA: stands still", Kind::Soa, &[Fault::Serial(7)], stays.clone()));
    let hint = Expect { asks: "ixfr".into(), back: Back::Retry, ..stays };
    // The SOA told of more than that: no renewal, and whoever has it is asked.
    let behind = |asks| Expect::fails(asks, Reason::SerialBehind);
    for (name, says) in [("says that we are up to date", "7"), ("says so, and more", "7 h1 8 g1 9")] {
        all.push(new(&format!("IXFR: {name}"), Kind::Ixfr, &[Fault::Says(says)], behind("soa ixfr")));
        let expect = Expect::succeeds("soa ixfr 2:soa 2:ixfr", &[Reason::SerialBehind]);
        for (second, what) in [(Second::Address, "another address"), (Second::Honest, "another primary")] {
            let name = format!("IXFR: {name}; {what} has the news");
            let mut other = new(&name, Kind::Ixfr, &[Fault::Says(says)], expect.clone());
            other.scene.second = second;
            all.push(other);
        }
    }
    // Asked at once for what it told of, it has nothing new: its word stands for that of a probe only with AA. What was
    // told is looked for once more after a while.
    let nothing_new = [Fault::Says("7")];
    let unsure = [Fault::Says("7"), Fault::NotAuthoritative];
    for (name, ixfr, soa, expect) in [
        ("has nothing new", &nothing_new[..], &[][..], hint.clone()),
        (
            "has nothing new, AA is clear; its SOA confirms",
            &unsure,
            &[Fault::Serial(7)],
            Expect { asks: "ixfr soa".into(), ..hint },
        ),
        (
            "has nothing new, AA is clear; its SOA is not authoritative either",
            &unsure,
            &[Fault::NotAuthoritative],
            Expect::fails("ixfr soa", Reason::NotAuthoritative),
        ),
    ] {
        let mut notify = new(&format!("NOTIFY: {name}"), Kind::Ixfr, ixfr, expect);
        notify.scene.begins = Begin::Told { tidings: Tidings::Newest, times: 1 };
        notify.expect.rcode = Some(0);
        notify.script.push((Kind::Soa, soa.to_vec()));
        all.push(notify);
    }
    let mut axfr = new("AXFR: brings what we have", Kind::Axfr, &[Fault::Serial(7)], behind("soa axfr"));
    axfr.scene.ixfr = false;
    all.push(axfr);
    let further = Expect::succeeds("soa ixfr", &[]);
    all.push(new("SOA: promises more than the transfer brings", Kind::Soa, &[Fault::Serial(100)], further));
    all
}
