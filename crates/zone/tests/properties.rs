//! The zone against a plain model: sorted maps of keys, types and canonical RDATA.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use secondo_wire::{KeyBuf, Name, NameBuf, RecordType, Soa, key_parent, rdata};
use secondo_zone::{BorderSecret, Builder, Difference, Limits, Node, Patch, PatchError, Seek, Tree, Zone};
use std::collections::{BTreeMap, BTreeSet};

/// Owner as received, type, TTL, RDATA.
type Rr = (Name, RecordType, u32, Vec<u8>);
/// By type and covered type.
type Sets = BTreeMap<(u16, u16), (u32, BTreeSet<Vec<u8>>)>;
type Model = BTreeMap<Vec<u8>, Sets>;
/// Key, type and covered type, canonical RDATA: what makes a record itself.
type Id = (Vec<u8>, (u16, u16), Vec<u8>);

const APEX: &str = "example.";

/// Few cases in each run of the tests; `PROPTEST_CASES` asks for more.
fn cases() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(48),
    }
}

fn apex() -> Name {
    Name::parse(APEX).unwrap()
}

fn secret() -> BorderSecret {
    BorderSecret::new(*b"sixteen octets.!")
}

fn key_of(name: &Name) -> Vec<u8> {
    let mut key = KeyBuf::new();
    assert!(key.set(name.as_ref(), apex().as_ref()));
    key.as_slice().to_vec()
}

fn canonical(rtype: RecordType, octets: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    rdata::canonical(rtype, octets, &mut out);
    out
}

fn place(rtype: RecordType, rdata: &[u8]) -> (u16, u16) {
    (rtype.0, if rtype == RecordType::RRSIG { u16::from_be_bytes([rdata[0], rdata[1]]) } else { 0 })
}

fn model_of(records: &[Rr]) -> Model {
    let mut model = Model::new();
    for (owner, rtype, ttl, rdata) in records {
        let set = model
            .entry(key_of(owner))
            .or_default()
            .entry(place(*rtype, rdata))
            .or_insert((*ttl, BTreeSet::new()));
        set.0 = set.0.min(*ttl);
        set.1.insert(canonical(*rtype, rdata));
    }
    model
}

fn model_of_zone(zone: &Zone) -> Model {
    let mut model = Model::new();
    let mut last: Option<Vec<u8>> = None;
    for node in zone.nodes() {
        let key = key_of_node(&node);
        assert!(last.as_ref().is_none_or(|last| *last < key), "nodes ascend");
        let sets: &mut Sets = model.entry(key.clone()).or_default();
        for set in node.rrsets() {
            let all: Vec<_> = set.rdatas().map(|r| canonical(set.rtype(), r)).collect();
            assert!(all.is_sorted_by(|a, b| a < b) && all.len() == set.len());
            let place = (set.rtype().0, set.covered().map_or(0, |covered| covered.0));
            assert!(sets.insert(place, (set.ttl(), all.into_iter().collect())).is_none());
        }
        last = Some(key);
    }
    model
}

fn key_of_node(node: &Node<'_>) -> Vec<u8> {
    let mut key = KeyBuf::new();
    node.key_into(&mut key);
    key.as_slice().to_vec()
}

fn is_hashed(key: &[u8], sets: &Sets) -> bool {
    secondo_wire::key_labels(key) == 1
        && sets.contains_key(&(50, 0))
        && sets.keys().all(|&place| place == (50, 0) || place == (46, 50))
}

fn soa(serial: u32) -> Rr {
    let soa = Soa {
        mname: Name::parse("ns.example.").unwrap(),
        rname: Name::parse("Host.example.").unwrap(),
        serial: serial.into(),
        refresh: 1,
        retry: 2,
        expire: 3,
        minimum: 4,
    };
    (apex(), RecordType::SOA, 3600, soa.to_rdata())
}

fn build(records: &[Rr]) -> Zone {
    let mut builder = Builder::new(apex(), &secret(), Limits::default());
    push(&mut builder, records);
    builder.finish().unwrap().zone
}

fn push(builder: &mut Builder, records: &[Rr]) {
    for (owner, rtype, ttl, rdata) in records {
        builder.push(owner.as_ref(), *rtype, *ttl, rdata).unwrap();
    }
}

fn pages(zone: &Zone) -> Vec<(Tree, Vec<u8>)> {
    zone.pages().map(|(tree, page)| (tree, page.to_vec())).collect()
}

fn load(pages: Vec<(Tree, Vec<u8>)>) -> Option<Zone> {
    Zone::from_pages(apex(), &secret(), pages).ok()
}

/// All that is told of a zone beside its pages.
fn facts(zone: &Zone) -> ([u8; 32], u64, u64, u64, u64) {
    let counts = zone.counts();
    (zone.digest(), counts.names, counts.records, counts.wire_bytes, counts.pages)
}

fn assert_same(one: &Zone, two: &Zone) {
    assert_eq!(facts(one), facts(two));
    assert!(one == two, "pages differ");
    let told = |zone: &Zone| (zone.diverting_depths(), zone.has_wildcards());
    assert_eq!(told(one), told(two), "what is told of all owners differs");
    assert_eq!(one.soa_rdata(), two.soa_rdata());
}

// Names of up to three labels from few octets, so that owners meet, lie below each other and differ in case only.
fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::collection::vec(prop::sample::select(&b"abcAB019*"[..]), 1..3),
        1 => prop::collection::vec(prop::sample::select(&[0u8, 1, 2, 255, b'.', b'Z'][..]), 1..4),
        1 => prop::collection::vec(any::<u8>(), 60..64),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    prop::collection::vec(label(), 0..4).prop_map(|labels| {
        let mut name = NameBuf::new();
        name.set_labels(labels.iter().map(|label| &label[..]), apex().as_ref()).unwrap();
        name.as_ref().to_owned()
    })
}

fn signature(covered: u16, octet: u8) -> Vec<u8> {
    [&covered.to_be_bytes()[..], &[8, 2, 0, 0, 14, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 9, 1, b'S', 0], &[octet]]
        .concat()
}

fn data() -> impl Strategy<Value = (RecordType, Vec<u8>)> {
    let target = prop::collection::vec(prop::sample::select(&b"nNmM"[..]), 1..3);
    prop_oneof![
        4 => any::<[u8; 4]>().prop_map(|a| (RecordType::A, [a[0] % 4, 0, 0, 1].to_vec())),
        3 => target.prop_map(|t| (RecordType::NS, [&[t.len() as u8][..], &t, b"\0"].concat())),
        2 => (0u8..3).prop_map(|n| (RecordType(65_280), vec![n; usize::from(n)])),
        2 => prop::sample::select(vec![1u16, 2, 50]).prop_flat_map(|c| (0u8..3).prop_map(move |o| (RecordType::RRSIG, signature(c, o)))),
        3 => (0u8..3).prop_map(|n| (RecordType(50), vec![1, 0, 0, 0, 0, 1, n])),
        1 => (100usize..4000).prop_map(|n| (RecordType(65_281), vec![7; n])),
    ]
}

fn ttl() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![60, 300, 3600, 86_400, 17, u32::MAX])
}

fn records(many: usize) -> impl Strategy<Value = Vec<Rr>> {
    prop::collection::vec((name(), data(), ttl()), 0..many).prop_map(|all| {
        all.into_iter().map(|(owner, (rtype, rdata), ttl)| (owner, rtype, ttl, rdata)).collect()
    })
}

/// Zones of one spelling and one TTL a set, as well-behaved primaries send them.
fn tidy(records: Vec<Rr>) -> Vec<Rr> {
    let mut ttls: BTreeMap<_, u32> = BTreeMap::new();
    let mut names: BTreeMap<Vec<u8>, Name> = BTreeMap::new();
    let mut out: BTreeMap<Id, Rr> = BTreeMap::new();
    for (owner, rtype, ttl, rdata) in records {
        let (key, place) = (key_of(&owner), place(rtype, &rdata));
        let owner = names.entry(key.clone()).or_insert(owner).clone();
        let ttl = *ttls.entry((key.clone(), place)).or_insert(ttl);
        out.entry((key, place, canonical(rtype, &rdata))).or_insert((owner, rtype, ttl, rdata));
    }
    out.into_values().collect()
}

fn with_soa(serial: u32, records: Vec<Rr>) -> Vec<Rr> {
    let all: Vec<Rr> = std::iter::once(soa(serial)).chain(records).collect();
    tidy(all)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_zone_holds_what_was_pushed_in_any_order(
        (records, shuffled) in records(200).prop_flat_map(|mut records| {
            records.push(soa(1));
            (Just(records.clone()), Just(records).prop_shuffle())
        }),
    ) {
        let zone = build(&records);
        prop_assert_eq!(model_of_zone(&zone), model_of(&records));
        assert_same(&zone, &build(&shuffled));
        let counts = zone.counts();
        prop_assert_eq!(counts.names, zone.nodes().count() as u64);
        prop_assert_eq!(counts.records, zone.nodes().flat_map(|n| n.rrsets().map(|s| s.len() as u64)).sum::<u64>());
    }

    #[test]
    fn spelling_is_kept_and_no_part_of_the_digest(records in records(120)) {
        let records = with_soa(1, records);
        let zone = build(&records);
        let mut left: BTreeMap<Id, &Rr> = records
            .iter()
            .map(|rr| ((key_of(&rr.0), place(rr.1, &rr.3), canonical(rr.1, &rr.3)), rr))
            .collect();
        let mut name = NameBuf::new();
        for node in zone.nodes() {
            node.name_into(&mut name);
            for set in node.rrsets() {
                for octets in set.rdatas() {
                    let id = (key_of_node(&node), place(set.rtype(), octets), canonical(set.rtype(), octets));
                    let (owner, _, ttl, rdata) = left.remove(&id).unwrap();
                    prop_assert_eq!(owner.as_wire(), name.as_ref().as_wire());
                    prop_assert_eq!((*ttl, &rdata[..]), (set.ttl(), octets));
                }
            }
        }
        prop_assert!(left.is_empty());
        let lower: Vec<Rr> = records
            .into_iter()
            .map(|(owner, rtype, ttl, rdata)| (owner.to_lower(), rtype, ttl, canonical(rtype, &rdata)))
            .collect();
        prop_assert_eq!(build(&lower).digest(), zone.digest());
    }

    #[test]
    fn pages_survive_the_disk(records in records(200)) {
        let zone = build(&with_soa(1, records));
        assert_same(&load(pages(&zone)).unwrap(), &zone);
    }

    #[test]
    fn damaged_pages_are_refused_or_still_a_zone(
        records in records(60),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<Option<prop::sample::Index>>(),
        lost in any::<Option<prop::sample::Index>>(),
    ) {
        let mut pages = pages(&build(&with_soa(1, records)));
        for (page, at, octet) in flips {
            let page = page.index(pages.len());
            let bytes = &mut pages[page].1;
            let at = at.index(bytes.len());
            bytes[at] = octet;
        }
        if let Some(cut) = cut {
            let page = cut.index(pages.len());
            let length = cut.index(pages[page].1.len());
            pages[page].1.truncate(length);
        }
        if let Some(lost) = lost {
            pages.remove(lost.index(pages.len()));
        }
        if let Some(zone) = load(pages) {
            // What is accepted has the pages of a fresh build.
            let mut builder = Builder::new(apex(), &secret(), Limits::default());
            let mut name = NameBuf::new();
            for node in zone.nodes() {
                node.name_into(&mut name);
                for set in node.rrsets() {
                    set.rdatas().for_each(|r| builder.push(name.as_ref(), set.rtype(), set.ttl(), r).unwrap());
                }
            }
            assert_same(&builder.finish().unwrap().zone, &zone);
        }
    }

    #[test]
    fn lookups_agree_with_a_walk(records in records(150), wanted in prop::collection::vec(name(), 40)) {
        let records = with_soa(1, records);
        let (zone, model) = (build(&records), model_of(&records));
        let plain: Model = model.iter().filter(|(k, s)| !is_hashed(k, s)).map(|(k, s)| (k.clone(), s.clone())).collect();
        let hashed: Vec<&Vec<u8>> = model.iter().filter(|(k, s)| is_hashed(k, s)).map(|(k, _)| k).collect();
        let existing = model.keys().cloned();
        for key in wanted.iter().map(key_of).chain(existing) {
            prop_assert_eq!(zone.find(&key).map(|n| key_of_node(&n)), plain.get_key_value(&key).map(|(k, _)| k.clone()));
            match zone.seek(&key) {
                Seek::Found(node) => {
                    prop_assert!(plain.contains_key(&key));
                    prop_assert_eq!(&key_of_node(&node), &key);
                    for place in plain[&key].keys() {
                        let set = match place {
                            (46, covered) => node.signatures(RecordType(*covered)),
                            (rtype, _) => node.rrset(RecordType(*rtype)),
                        };
                        prop_assert_eq!(set.unwrap().rtype().0, place.0);
                        prop_assert!(node.has(RecordType(place.0)));
                    }
                    prop_assert!(!node.has(RecordType::CAA) && node.signatures(RecordType::CAA).is_none());
                }
                Seek::Missing(gap) => {
                    prop_assert!(!plain.contains_key(&key));
                    let before = plain.range(..key.clone()).next_back().map(|(k, _)| k.clone());
                    prop_assert_eq!(Some(key_of_node(&gap.before)), before);
                    let after = plain.range(key.clone()..).next().map(|(k, _)| k.clone());
                    prop_assert_eq!(gap.after.map(|n| key_of_node(&n)), after);
                    let mut encloser = Some(&key[..]);
                    while let Some(at) = encloser.filter(|at| !plain.keys().any(|k| k.starts_with(at))) {
                        encloser = key_parent(at);
                    }
                    prop_assert_eq!(gap.encloser, encloser.unwrap().len());
                }
            }
            let cover = hashed.iter().rev().find(|k| ***k <= key).or(hashed.last()).map(|k| k.to_vec());
            prop_assert_eq!(zone.hashed_at_or_before(&key).map(|n| key_of_node(&n)), cover);
            let behind: Vec<_> = zone.nodes_from(&key).map(|n| key_of_node(&n)).collect();
            prop_assert!(behind.iter().eq(model.range(key..).map(|(k, _)| k)));
        }
    }

    #[test]
    fn any_history_of_differences_equals_a_full_build(
        versions in prop::collection::vec((records(40), any::<u64>()), 2..7),
    ) {
        // Each version keeps about half of the one before and adds records of its own.
        let mut all: Vec<Vec<Rr>> = vec![];
        for (serial, (new, chance)) in versions.into_iter().enumerate() {
            let kept = all.last().into_iter().flatten().enumerate();
            let kept = kept.filter(|(at, rr)| rr.1 != RecordType::SOA && chance >> (at % 64) & 1 == 1);
            let records = kept.map(|(_, rr)| rr.clone()).chain(new).collect();
            all.push(with_soa(serial as u32, records));
        }
        let mut zone = build(&all[0]);
        let base = zone.clone();
        let mut chain = Patch::new(&base, Limits::default());
        for pair in all.windows(2) {
            let (old, new) = (model_rrs(&pair[0]), model_rrs(&pair[1]));
            let mut patch = Patch::new(&zone, Limits::default());
            for ((owner, rtype, ttl, rdata), add) in steps(&old, &new) {
                for patch in [&mut patch, &mut chain] {
                    match (*rtype == RecordType::SOA, add) {
                        (true, true) => patch.replace_soa(*ttl, rdata).unwrap(),
                        (true, false) => {}
                        (false, true) => prop_assert!(patch.add(owner.as_ref(), *rtype, *ttl, rdata).unwrap()),
                        (false, false) => patch.delete(owner.as_ref(), *rtype, rdata).unwrap(),
                    }
                }
            }
            let patched = patch.finish().unwrap();
            let fresh = build(&pair[1]);
            assert_same(&patched.zone, &fresh);
            prop_assert_eq!(
                &patched.difference,
                &Difference::between(&zone, &fresh),
                "the patch knows its difference"
            );
            assert_same(&patched.difference.apply(&zone).unwrap(), &fresh);
            let mut reusing = Builder::reusing(&zone, Limits::default());
            push(&mut reusing, &pair[1]);
            assert_same(&reusing.finish().unwrap().zone, &fresh);
            zone = patched.zone;
        }
        let patched = chain.finish().unwrap();
        assert_same(&patched.zone, &zone);
        assert_same(&patched.difference.apply(&base).unwrap(), &zone);
    }

    #[test]
    fn differences_lead_from_any_version_to_any_other_and_survive_the_journal(a in records(80), b in records(80), common in records(80)) {
        let one = build(&with_soa(1, [common.clone(), a].concat()));
        let two = build(&with_soa(2, [common, b].concat()));
        let difference = Difference::between(&one, &two);
        assert_same(&difference.apply(&one).unwrap(), &two);
        let bytes = difference.to_bytes();
        let back = Difference::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&back, &difference);
        prop_assert_eq!((back.removed().count(), back.added().count()), (back.removed_count(), back.added_count()));
        let refused = matches!(difference.apply(&two), Err(PatchError::OtherBase { .. }));
        prop_assert!(refused);
        for part in [difference.removed(), difference.added()] {
            prop_assert!(part.map(|r| key_of(&r.owner.to_owned())).is_sorted(), "owners are in canonical order");
        }
        let (removed, added): (BTreeSet<_>, BTreeSet<_>) = changes(&difference);
        prop_assert!(removed.is_disjoint(&added), "nothing is removed and added as it was");
        prop_assert_eq!(Difference::between(&two, &two).removed_count(), 1);
    }

    #[test]
    fn a_chain_applied_at_once_equals_one_by_one_and_leads_back(
        versions in prop::collection::vec((records(30), any::<u64>()), 1..7),
        part in any::<prop::sample::Index>(),
    ) {
        let mut zones: Vec<Zone> = vec![];
        let mut kept: Vec<Rr> = vec![];
        for (serial, (new, chance)) in versions.into_iter().enumerate() {
            // The same owners in other spellings and other TTLs, too.
            kept = kept.into_iter().enumerate().filter(|(at, _)| chance >> (at % 64) & 1 == 1).map(|(_, rr)| rr).collect();
            kept.extend(new);
            zones.push(build(&[kept.clone(), vec![soa(serial as u32)]].concat()));
        }
        let there: Vec<Difference> = zones.windows(2).map(|pair| Difference::between(&pair[0], &pair[1])).collect();
        let back: Vec<Difference> = there.iter().rev().map(Difference::reversed).collect();
        let (first, last) = (&zones[0], &zones[zones.len() - 1]);
        for (step, pair) in there.iter().zip(zones.windows(2)) {
            assert_same(&step.apply(&pair[0]).unwrap(), &pair[1]);
            assert_same(&step.reversed().apply(&pair[1]).unwrap(), &pair[0]);
            prop_assert_eq!(&step.reversed().reversed(), step);
        }
        assert_same(&Difference::apply_all(first, &there).unwrap(), last);
        assert_same(&Difference::apply_all(last, back.clone()).unwrap(), first);
        assert_same(&Difference::apply_all(first, there.iter().chain(&back)).unwrap(), first);
        let at = part.index(zones.len());
        assert_same(&Difference::apply_all(&zones[at], &there[at..]).unwrap(), last);
        assert_same(&Difference::apply_all(&zones[at], &back[zones.len() - 1 - at..]).unwrap(), first);
        if there.len() > 1 {
            let gap = Difference::apply_all(first, [&there[0], &there[0]]);
            let refused = matches!(gap, Err(PatchError::OtherBase { from, base }) if from.0 == 0 && base.0 == 1);
            prop_assert!(refused);
        }
    }

    #[test]
    fn damaged_differences_never_panic(
        a in records(30),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let (one, two) = (build(&[soa(1)]), build(&with_soa(2, a)));
        let mut bytes = Difference::between(&one, &two).to_bytes();
        for (at, octet) in flips {
            let at = at.index(bytes.len());
            bytes[at] = octet;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(difference) = Difference::from_bytes(&bytes) {
            prop_assert_eq!(difference.to_bytes(), bytes, "there is one way to write it");
            if let Ok(zone) = difference.apply(&one) {
                assert_same(&load(pages(&zone)).unwrap(), &zone);
            }
        }
    }

    #[test]
    fn any_octets_are_a_difference_in_one_way_or_none(
        octets in prop::collection::vec(prop_oneof![3 => 0u8..8, 2 => prop::sample::select(&[0x10u8, 0x50, 0x1A, 0x5A, b'a', b'B'][..]), 1 => any::<u8>()], 0..60),
        behind_soas in any::<bool>(),
    ) {
        let mut bytes = if behind_soas { Difference::between(&build(&[soa(1)]), &build(&[soa(2)])).to_bytes() } else { vec![2] };
        bytes.extend(octets);
        if let Ok(difference) = Difference::from_bytes(&bytes) {
            prop_assert_eq!(difference.to_bytes(), bytes);
        }
    }
}

/// A version record by record, with its identity: key, place, canonical RDATA; spelling and TTL beside it.
fn model_rrs(records: &[Rr]) -> BTreeMap<Id, Rr> {
    records
        .iter()
        .map(|rr| ((key_of(&rr.0), place(rr.1, &rr.3), canonical(rr.1, &rr.3)), rr.clone()))
        .collect()
}

/// Deletions first, as RFC 1995 §4 has it; a record that changed in any way comes as both.
fn steps<'r, K: Ord>(old: &'r BTreeMap<K, Rr>, new: &'r BTreeMap<K, Rr>) -> Vec<(&'r Rr, bool)> {
    let raw = |rr: &Rr| (rr.0.as_wire().to_vec(), rr.2, rr.3.clone());
    let differs = |a: &Rr, b: Option<&Rr>| b.is_none_or(|b| raw(a) != raw(b));
    let removed = old.iter().filter(|(id, rr)| differs(rr, new.get(id))).map(|(_, rr)| (rr, false));
    let added = new.iter().filter(|(id, rr)| differs(rr, old.get(id))).map(|(_, rr)| (rr, true));
    removed.chain(added).collect()
}

type Lines = BTreeSet<(Vec<u8>, u16, u32, Vec<u8>)>;

fn changes(difference: &Difference) -> (Lines, Lines) {
    let line = |r: secondo_zone::Record<'_>| (r.owner.as_wire().to_vec(), r.rtype.0, r.ttl, r.rdata.to_vec());
    (difference.removed().map(line).collect(), difference.added().map(line).collect())
}
