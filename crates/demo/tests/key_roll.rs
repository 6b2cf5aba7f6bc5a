//! Two keys towards one primary during a roll (RFC 8945 §5.2.1): either will do, none is left out, and the one that works
//! is used first the next time.

use std::path::Path;
use std::time::{Duration, Instant};

use secondo_demo::{Daemon, Folder};
use secondo_sim::{Algorithm, Key, Name, Primary, RecordType, Setup, read_zone};

/// For what should take milliseconds, on a machine under load.
const LIMIT: Duration = Duration::from_secs(30);

fn name(text: &str) -> Name {
    Name::parse(text).expect("a valid name")
}

fn key(which: &str) -> Key {
    let secret = format!("{which:-<32}");
    Key::new(name(which), Algorithm::HmacSha256, secret.as_bytes()).expect("a key")
}

#[test]
fn of_two_keys_the_one_that_works_is_tried_first_and_the_other_takes_over_when_it_ends() {
    let apex = name("roll.example.");
    let zone = read_zone("$TTL 300\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n", &apex);
    let folder = Folder::fresh().expect("a folder");
    let mut daemon =
        Daemon::new(Path::new(env!("CARGO_BIN_EXE_secondo-demo")), folder.path()).expect("a port");
    let setup = Setup {
        keys: vec![key("old.")],
        secondaries: vec![daemon.address()],
        notify_tries: 20,
        ..Setup::default()
    };
    let primary = Primary::start([zone.expect("a zone")], setup).expect("a primary");
    let address = primary.address();
    daemon
        .configure(&format!(
            "keys:\n  new.: {{ algorithm: hmac-sha256, secret: \"bmV3Li0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0=\" }}\n  \
             old.: {{ algorithm: hmac-sha256, secret: \"b2xkLi0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0=\" }}\n\
             primaries:\n  hidden:\n    addresses: [\"{address}\"]\n    keys: [new., old.]\n\
             zones:\n  - name: roll.example\n    primaries: [hidden]\n"
        ))
        .expect("the folder can be written");
    daemon.start().expect("the daemon can be started");
    let published = |mark: usize, serial: u32| {
        let start = Instant::now();
        while daemon
            .log()
            .find(mark, Duration::from_millis(50), |e| {
                e.name() == "zone.published" && e.serial() == Some(serial)
            })
            .is_none()
        {
            assert!(start.elapsed() < LIMIT, "no serial {serial} in:\n{}", daemon.log().tail(40));
        }
    };
    // The keys of the transfers that were asked since, by name; none for a seal that did not hold.
    let keys_of_transfers = || -> Vec<Option<String>> {
        let asked = primary.asked();
        let transfers = asked.iter().filter(|asked| asked.rtype != RecordType::SOA);
        let names = transfers.map(|asked| asked.key.as_ref().map(ToString::to_string)).collect();
        primary.world().clear_asked();
        names
    };
    let (old, new, none) = (|| Some("old.".into()), || Some("new.".into()), || None);
    published(0, 1);
    assert_eq!(keys_of_transfers(), [none(), old()], "the first, then the second");
    let change = |serial: u32| {
        let mark = daemon.log().mark();
        let host = format!("+ host{serial} 300 A 192.0.2.2");
        assert_eq!(primary.change(&apex, &host).expect("a change").0, serial);
        primary.notify(&apex).expect("the NOTIFY is answered");
        published(mark, serial);
    };
    change(2);
    assert_eq!(keys_of_transfers(), [old()], "the one that worked first");
    // The primary knows both, and the operator wants to see whether the first does.
    primary.require(&[key("old."), key("new.")]);
    let mark = daemon.log().mark();
    primary.change(&apex, "+ host3 300 A 192.0.2.2").expect("a change");
    daemon.refresh(vec![apex.to_string()]).expect("the daemon takes orders");
    published(mark, 3);
    assert_eq!(keys_of_transfers(), [new()], "not the one that was remembered");
    // It turned out to be a mistake, and then not.
    primary.require(&[key("old.")]);
    change(4);
    assert_eq!(keys_of_transfers().last(), Some(&old()));
    primary.require(&[key("new.")]);
    change(5);
    let asked = keys_of_transfers();
    assert_eq!(asked.last(), Some(&new()), "{asked:?}");
    assert!(asked.iter().filter(|key| key.is_none()).count() <= 1, "{asked:?}");
    change(6);
    assert_eq!(keys_of_transfers(), [new()]);
}
