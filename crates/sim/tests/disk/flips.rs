//! Page files are damaged.

use secondo_sim::Trouble;
use secondo_store::Durability;

use crate::scene::*;
use crate::state::StateDir;

/// A zone with a journal behind its page file, and a small one beside it, after a clean end.
fn scene() -> (StateDir, Truth, secondo_sim::World, String) {
    let (state, mut truth, mut primary) = (StateDir::new(8), Truth::default(), primary());
    let running = state.open();
    assert_eq!(truth.commit_whole(&running, &mut primary), Durability::Durable);
    change(&mut primary, 0..3);
    assert_eq!(truth.commit_on(&running, &mut primary), Durability::Durable);
    let beside = transfer(&mut primary, &small(), None);
    running.commit(beside, truth.confirmations[0], 4);
    drop(running);
    let [name] = &state.disk.files()[..] else { panic!("{:?}", state.disk) };
    let name = name.clone();
    (state, truth, primary, name)
}

/// Opens it with its page file damaged: that is found, said and set aside, costs no other zone, and a version fetched
/// again stays.
fn found_out(
    (state, truth, primary, name): &(StateDir, Truth, secondo_sim::World, String),
    aside: bool,
    what: &str,
) {
    let running = state.open();
    assert_eq!(running.opened.refused, None, "{what}");
    assert!(find(&running.opened, &large()).is_none(), "{what}: it was not found");
    assert!(find(&running.opened, &small()).is_some(), "{what}");
    let [damage] = &running.opened.damages[..] else { panic!("{what}: {:?}", running.opened.damages) };
    assert_eq!(damage.zone, Some(large()), "{what}");
    assert!(damage.what.contains(name), "{what}: {damage:?}");
    assert_eq!(state.disk.aside().contains(name), aside, "{what}");
    // Fetched again.
    let (mut truth, mut primary) = (truth.clone(), primary.clone());
    assert_eq!(truth.commit_whole(&running, &mut primary), Durability::Durable, "{what}");
    let state = state.after_power_cut(1);
    drop(running);
    let running = state.open();
    assert!(running.opened.damages.is_empty(), "{what}: {:?}", running.opened.damages);
    assert!(truth.check(&running.opened, what).is_some());
    assert_eq!(state.disk.files().len(), 1, "{what}: a file stays that nobody needs");
}

#[test]
fn every_flipped_bit_is_found_said_and_set_aside() {
    let (state, truth, primary, name) = scene();
    let length = state.disk.content(&name).unwrap().len();
    let offsets = (0..60).chain((60..length - 30).step_by(991)).chain(length - 30..length);
    for (number, octet) in offsets.enumerate() {
        let state = state.after_kill();
        assert!(state.disk.flip(&name, octet, number as u8));
        let scene = (state, truth.clone(), primary.clone(), name.clone());
        found_out(&scene, true, &format!("octet {octet} of {length} flipped"));
    }
}

#[test]
fn a_bit_that_is_read_wrong_is_found_too() {
    let (state, truth, primary, name) = scene();
    let length = state.disk.content(&name).unwrap().len();
    for octet in (0..length).step_by(7919) {
        let state = state.after_kill();
        state.disk.misread(&name, Some((octet, 3)));
        let scene = (state, truth.clone(), primary.clone(), name.clone());
        found_out(&scene, true, &format!("octet {octet} of {length} misread"));
    }
}

#[test]
fn a_file_that_is_cut_grown_overwritten_or_another_one_is_found() {
    let (state, truth, primary, name) = scene();
    let whole = state.disk.content(&name).unwrap();
    let length = whole.len();
    let mut damaged: Vec<(String, Vec<u8>)> = Vec::new();
    for cut in [0, 1, 24, 4096, length / 2, length - 9, length - 1] {
        damaged.push((format!("cut at {cut}"), whole[..cut].to_vec()));
    }
    damaged.push(("longer".into(), [&whole[..], &[0; 512]].concat()));
    for block in (0..length / 4096).step_by(3) {
        let mut zeros = whole.clone();
        zeros[block * 4096..(block + 1) * 4096].fill(0);
        damaged.push((format!("zeros in block {block}"), zeros));
        let mut moved = whole.clone();
        let (to, from) = (block * 4096, (block + 1) % (length / 4096) * 4096);
        moved[to..to + 4096].copy_from_slice(&whole[from..from + 4096]);
        damaged.push((format!("block {block} is that behind it"), moved));
    }
    for (what, octets) in damaged {
        let state = state.after_kill();
        assert!(state.disk.damage(&name, |content| content.clone_from(&octets)));
        found_out(&(state, truth.clone(), primary.clone(), name.clone()), true, &what);
    }
}

#[test]
fn a_file_that_is_gone_is_said() {
    let (state, truth, primary, name) = scene();
    state.disk.lose(&name);
    found_out(&(state, truth, primary, name), false, "lost");
}

#[test]
fn damage_that_cannot_be_set_aside_is_not_referred_to_any_more() {
    let (state, truth, primary, name) = scene();
    assert!(state.disk.flip(&name, 100, 0));
    let state = state.after_kill();
    state.disk.refuse(Some(Trouble::ReadOnly));
    let running = state.open();
    assert!(find(&running.opened, &large()).is_none() && state.disk.aside().is_empty());
    assert_eq!(running.opened.damages.len(), 1);
    drop(running);
    state.disk.refuse(None);
    let running = state.open();
    assert!(find(&running.opened, &large()).is_none() && running.opened.damages.is_empty());
    let (mut truth, mut primary) = (truth, primary);
    assert_eq!(truth.commit_whole(&running, &mut primary), Durability::Durable);
}
