//! Zones at the limits of the protocol.

#![allow(clippy::unwrap_used)]

use secondo_wire::{KeyBuf, Name, NameBuf, RecordType, Soa};
use secondo_zone::{BorderSecret, Builder, Difference, Limits, Node, Patch, Seek, Zone};

const UNKNOWN: RecordType = RecordType(65_280);

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn secret() -> BorderSecret {
    BorderSecret::new([9; 16])
}

fn soa(serial: u32) -> Vec<u8> {
    let (mname, rname) = (name("ns.example."), name("host.example."));
    Soa { mname, rname, serial: serial.into(), refresh: 1, retry: 2, expire: 3, minimum: 4 }.to_rdata()
}

fn build(apex: &Name, records: &[(Name, RecordType, Vec<u8>)]) -> Zone {
    let mut builder = Builder::new(apex.clone(), &secret(), Limits::default());
    builder.push(apex.as_ref(), RecordType::SOA, 300, &soa(1)).unwrap();
    for (owner, rtype, rdata) in records {
        builder.push(owner.as_ref(), *rtype, 300, rdata).unwrap();
    }
    let zone = builder.finish().unwrap().zone;
    let pages = zone.pages().map(|(tree, page)| (tree, page.to_vec()));
    let back = Zone::from_pages(apex.clone(), &secret(), pages).unwrap();
    assert!(back == zone && back.digest() == zone.digest() && back.counts() == zone.counts());
    zone
}

fn key(owner: &Name, zone: &Zone) -> Vec<u8> {
    let mut key = KeyBuf::new();
    assert!(key.set(owner.as_ref(), zone.apex().as_ref()));
    key.as_slice().to_vec()
}

fn node<'z>(zone: &'z Zone, owner: &Name) -> Node<'z> {
    let Seek::Found(node) = zone.seek(&key(owner, zone)) else { panic!("{owner} is not found") };
    let mut spelled = NameBuf::new();
    node.name_into(&mut spelled);
    assert_eq!(spelled.as_ref().as_wire(), owner.as_wire());
    node
}

#[test]
fn the_longest_names_and_the_most_labels_are_kept() {
    let longest = name(&[vec!["x".repeat(63); 3].join("."), "y".repeat(59), "A.".into()].join("."));
    let deepest = name(&"a.".repeat(127));
    let binary = Name::from_wire(
        &[&[63][..], &[0; 63], &[63], &[1; 63], &[63], &[255; 63], &[61], &[b'.'; 61], &[0]].concat(),
    );
    let binary = binary.unwrap();
    assert_eq!((longest.as_wire().len(), deepest.as_wire().len(), binary.as_wire().len()), (255, 255, 255));
    let owners = [longest, deepest, binary, name("*."), name("a.b.c.")];
    let records: Vec<_> =
        owners.iter().map(|owner| (owner.clone(), RecordType::A, b"abcd".to_vec())).collect();
    // The root is the zone.
    let zone = build(&Name::root(), &records);
    for owner in &owners {
        assert!(node(&zone, owner).has(RecordType::A));
    }
    assert!(matches!(zone.seek(&key(&name("b.c."), &zone)), Seek::Missing(gap) if gap.encloser == 4));
    assert!(matches!(zone.seek(&key(&name("b.c.d."), &zone)), Seek::Missing(gap) if gap.encloser == 0));
    // A zone whose name leaves room for one label of one octet.
    let apex = name(&"a.".repeat(126));
    let below = name(&"a.".repeat(127));
    let zone = build(&apex, &[(below.clone(), RecordType::A, b"abcd".to_vec())]);
    assert!(node(&zone, &below).has(RecordType::A));
    assert_eq!(zone.nodes().count(), 2);
}

#[test]
fn data_of_no_octets_and_of_all_octets_is_kept() {
    let apex = name("example.");
    let (largest, odd) = (vec![7; 65_535], name("odd.example."));
    let texts: Vec<Vec<u8>> =
        (0..100u8).map(|n| [&[255][..], &[n; 255], &[255], &[n; 255], &[87], &[n; 87]].concat()).collect();
    let mut records = vec![(odd.clone(), UNKNOWN, vec![]), (odd.clone(), UNKNOWN, largest.clone())];
    records.extend(texts.iter().map(|text| (name("txt.example."), RecordType::TXT, text.clone())));
    // 65,535 records of one RRset.
    records.extend((0..65_535u32).map(|n| (name("many.example."), RecordType::A, n.to_be_bytes().to_vec())));
    records.extend((0..300).map(|n| (name(&format!("h{n:03}.example.")), RecordType::A, b"abcd".to_vec())));
    let zone = build(&apex, &records);
    let set = node(&zone, &odd).rrset(UNKNOWN).unwrap();
    assert!(set.rdatas().eq([&[][..], &largest[..]]));
    assert_eq!(set.rdatas().size_hint(), (2, Some(2)));
    let set = node(&zone, &name("txt.example.")).rrset(RecordType::TXT).unwrap();
    assert!(set.rdatas().eq(texts.iter().map(|text| &text[..])));
    let many = node(&zone, &name("many.example.")).rrset(RecordType::A).unwrap();
    assert!(
        many.rdatas().eq((0..65_535u32).map(u32::to_be_bytes).collect::<Vec<_>>().iter().map(|a| &a[..]))
    );
    // Giants have pages of their own: a change beside them does not copy them.
    let mut patch = Patch::new(&zone, Limits::default());
    patch.add(name("h150.example.").as_ref(), RecordType::A, 300, b"dcba").unwrap();
    let patched = patch.finish().unwrap().zone;
    let copied = |zone: &Zone, old: &Zone| {
        let places: Vec<_> = old.pages().map(|(_, page)| page.as_ptr()).collect();
        zone.pages()
            .filter(|(_, page)| !places.contains(&page.as_ptr()))
            .map(|(_, page)| page.len())
            .sum::<usize>()
    };
    assert!(copied(&patched, &zone) < 20_000, "{}", copied(&patched, &zone));
}

#[test]
fn owners_that_differ_in_case_are_one_and_a_change_may_respell_them() {
    let apex = name("eXample.");
    let records = [
        (name("www.example."), RecordType::A, b"aaaa".to_vec()),
        (name("WWW.example."), RecordType::A, b"bbbb".to_vec()),
        (name("Ftp.EXAMPLE."), RecordType::A, b"aaaa".to_vec()),
    ];
    let zone = build(&apex, &records);
    assert_eq!(zone.counts().names, 3);
    // Of several spellings the one that sorts last is kept: the order of records is of no importance.
    assert_eq!(node(&zone, &name("www.example.")).rrset(RecordType::A).unwrap().len(), 2);
    node(&zone, &name("Ftp.EXAMPLE."));
    node(&zone, &apex);
    let mut patch = Patch::new(&zone, Limits::default());
    patch.replace_soa(300, &soa(2)).unwrap();
    patch.delete(name("wwW.example.").as_ref(), RecordType::A, b"bbbb").unwrap();
    patch.add(name("wWw.example.").as_ref(), RecordType::A, 300, b"cccc").unwrap();
    let patched = patch.finish().unwrap();
    assert_eq!(node(&patched.zone, &name("wWw.example.")).rrset(RecordType::A).unwrap().len(), 2);
    assert!(patched.difference.apply(&zone).unwrap() == patched.zone);
    assert!(Difference::between(&zone, &patched.zone).apply(&zone).unwrap() == patched.zone);
    // A version that differs in the spelling of one owner alone.
    let mut respelled = records.clone();
    respelled[2].0 = name("fTp.EXAMPLE.");
    let respelled = build(&apex, &respelled);
    let difference = Difference::between(&zone, &respelled);
    assert_eq!((difference.removed_count(), difference.added_count()), (2, 2));
    assert!(difference.apply(&zone).unwrap() == respelled);
    assert_eq!(respelled.digest(), zone.digest());
}

#[test]
fn a_large_zone_after_many_changes_has_the_pages_of_a_fresh_build() {
    let apex = name("example.");
    let mut content: std::collections::BTreeMap<u32, Vec<u8>> =
        (0..6000).map(|n| (n * 7, vec![1, 2, 3, 4])).collect();
    let owner = |n: u32| name(&format!("h{n:06}.example."));
    let full = |content: &std::collections::BTreeMap<u32, Vec<u8>>, serial| {
        let mut builder = Builder::new(apex.clone(), &secret(), Limits::default());
        // Backwards, so that all is sorted.
        for (n, rdata) in content.iter().rev() {
            builder.push(owner(*n).as_ref(), RecordType::A, 300, rdata).unwrap();
        }
        builder.push(apex.as_ref(), RecordType::SOA, 300, &soa(serial)).unwrap();
        builder.finish().unwrap().zone
    };
    let mut zone = full(&content, 1);
    let first = zone.clone();
    let mut seed = 7u64;
    let mut chance = |bound: u32| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32 % bound
    };
    for serial in 2..60 {
        let mut patch = Patch::new(&zone, Limits::default());
        patch.replace_soa(300, &soa(serial)).unwrap();
        for _ in 0..chance(60) {
            let n = chance(42_000);
            match content.remove(&n) {
                Some(old) => patch.delete(owner(n).as_ref(), RecordType::A, &old).unwrap(),
                None => {
                    let new = chance(u32::MAX).to_be_bytes().to_vec();
                    assert!(patch.add(owner(n).as_ref(), RecordType::A, 300, &new).unwrap());
                    content.insert(n, new);
                }
            }
        }
        zone = patch.finish().unwrap().zone;
    }
    let fresh = full(&content, 59);
    assert!(zone == fresh && zone.digest() == fresh.digest());
    assert_eq!(zone.counts().records, fresh.counts().records);
    assert!(zone.counts().pages > 40, "{}", zone.counts().pages);
    let difference = Difference::between(&first, &zone);
    assert!(difference.apply(&first).unwrap() == zone);
    for n in 0..42_000 {
        assert_eq!(zone.find(&key(&owner(n), &zone)).is_some(), content.contains_key(&n));
    }
}
