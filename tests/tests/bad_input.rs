//! Bad input gets a clear error and loses nothing.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use interop::datagram::{self, rcode};
use interop::secondo::{self, Disk, Mark};
use interop::{Config, Pair, Port, Secondo, Software, Zone, dig, peers, process};

const PATIENCE: Duration = Duration::from_millis(700);

#[test]
fn a_broken_configuration_keeps_the_running_one() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("stays.test.");
    let mut pair = Pair::start(Software::Nsd, &zone, None, &[]);
    let good = std::fs::read_to_string(pair.secondo.configuration()).expect("we wrote it");
    let broken = [
        good.replace("zones:", "zoness:"),
        good.replace("[upstream]", "[downstream]"),
        good.replacen(']', "", 1),
        good.replace("127.0.0.1", "127.0.0.256"),
        format!("{good}  - name: stays.test\n    primaries: [upstream]\n"),
        String::new(),
        "\u{0}\u{1}\u{2}".to_owned(),
        "- a\n- list\n".to_owned(),
    ];
    for text in broken {
        pair.secondo.configure_text(&text);
        let (worked, output) = pair.secondo.control(&["reload"]);
        assert!(!worked, "this was taken: {text}\n{output}");
        let file = pair.secondo.configuration();
        let place = format!("{}:", file.display());
        assert!(output.contains(&place), "no place in: {output}\nfor: {text}");
        let (good, checked) =
            process::attempt(secondo::binary(), &["check", "--config", &file.to_string_lossy()]);
        assert!(!good && checked.contains(&place), "check: {checked}");
        pair.secondo.hang_up();
        assert_eq!(
            dig::serial(pair.secondo.address(), &zone.apex),
            Some(zone.serial),
            "{}",
            pair.secondo.tail()
        );
    }
    // And with a good one everything goes on.
    let mark = pair.secondo.mark();
    pair.secondo.configure_text(&good);
    let (worked, output) = pair.secondo.control(&["reload"]);
    assert!(worked, "{output}");
    pair.secondo.event(mark, "daemon.reloaded", |_| true);
    let next = zone.plus(&["new 60 IN A 192.0.2.110"]);
    pair.change(&next);
    pair.assert_same(&next);
}

#[test]
fn every_error_of_a_configuration_is_named_with_its_place() {
    let folder = interop::Folder::fresh();
    let file = folder.path().join("wrong.yaml");
    let text = "listen: [\"127.0.0.1:5300\"]\nstate-dir: ./state\nwhatever: 1\nprimaries:\n  p: { addresses: [\"127.0.0.1\"], key: nokey }\nzones:\n  - name: a.test\n    primaries: [q]\n";
    std::fs::write(&file, text).expect("our own folder is writable");
    let (good, output) = process::attempt(secondo::binary(), &["check", "--config", &file.to_string_lossy()]);
    assert!(!good);
    for (line, word) in [(3, "whatever"), (5, "undefined key"), (8, "undefined primary `q`")] {
        let place = format!("{}:{line}:", file.display());
        let found = output.lines().any(|l| l.starts_with(&place) && l.contains(word));
        assert!(found, "no error of line {line} about {word} in:\n{output}");
    }
}

#[test]
fn a_secret_never_shows_up_anywhere() {
    if !peers::ready(&[]) {
        return;
    }
    let key = interop::Key::make("hush.key", "hmac-sha256");
    let nobody = Port::free();
    let config =
        Config::new().primary("nobody", nobody.at_loopback(), Some(&key)).zone("a.test.", "nobody", &[]);
    let secondo = Secondo::start(Port::free(), &config);
    let status = secondo.status().to_string();
    // Even an error in its very line shows nothing of it.
    let good = std::fs::read_to_string(secondo.configuration()).expect("we wrote it");
    secondo.configure_text(&good.replace(&key.secret, &format!("{}!!", key.secret)));
    let (worked, output) = secondo.control(&["reload"]);
    assert!(!worked);
    secondo.configure_text(&good.replace("algorithm: hmac-sha256", "algorithm: hmac-sha257"));
    let (worked, second) = secondo.control(&["reload"]);
    assert!(!worked);
    let core = &key.secret[..10];
    let log: String = secondo.events().iter().map(|e| e.line()).collect();
    for text in [status, output, second, log] {
        assert!(!text.contains(core), "the secret is in: {text}");
    }
}

#[test]
fn malformed_messages_get_formerr_or_silence_and_harm_nobody() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("sturdy.test.");
    let mut pair = Pair::start(Software::Nsd, &zone, None, &[]);
    let server = pair.secondo.address();
    let question = datagram::question(7, "www.sturdy.test.", 1);

    // Shorter than a header, or a response: silence.
    for length in [0, 1, 11] {
        assert_eq!(datagram::over_udp(server, &question[..length], PATIENCE), None, "{length} octets");
    }
    let mut response = question.clone();
    response[2] |= 0x80;
    assert_eq!(datagram::over_udp(server, &response, PATIENCE), None, "a response is never answered");

    // A header that promises more than there is, and names that lead nowhere: FORMERR.
    let mut bad = vec![question[..12].to_vec(), question[..question.len() - 1].to_vec()];
    let mut two = question.clone();
    two[5] = 2;
    bad.push(two);
    let mut looped = question.clone();
    looped[12..14].copy_from_slice(&[0xc0, 12]);
    bad.push(looped);
    let mut reserved = question.clone();
    reserved[12] = 0x80;
    bad.push(reserved);
    let mut counted = question.clone();
    counted[11] = 9;
    bad.push(counted);
    for message in &bad {
        let answer = datagram::over_udp(server, message, Duration::from_secs(5));
        let answer = answer.unwrap_or_else(|| panic!("no response to {message:02x?}"));
        assert_eq!(answer[..2], message[..2]);
        assert_eq!(rcode(&answer), 1, "{message:02x?} -> {answer:02x?}");
        assert_eq!(answer[2] & 0x80, 0x80);
    }
    // RFC 6891 §6.1.3: another version of EDNS gets BADVERS; an opcode that we do not know NOTIMP (RFC 1035 §4.1.1).
    let response = dig::ask(server, &["www.sturdy.test.", "A", "+edns=1", "+noednsnegotiation"]);
    assert_eq!(response.status, "BADVERS", "{}", response.text);
    let mut update = question.clone();
    update[2] = 0x28;
    let answer = datagram::over_udp(server, &update, Duration::from_secs(5)).expect("a response");
    assert_eq!(rcode(&answer), 4, "{answer:02x?}");

    // The same over TCP, and streams that stop in the middle.
    for message in &bad {
        let answer = datagram::over_tcp(server, &datagram::framed(message), PATIENCE).expect("TCP works");
        assert!(answer.is_empty() || rcode(&answer[2..]) == 1, "{answer:02x?}");
    }
    for cut in [1, 2, 3, 20] {
        let framed = datagram::framed(&question);
        assert!(
            datagram::over_tcp(server, &framed[..cut.min(framed.len())], PATIENCE)
                .expect("TCP works")
                .is_empty()
        );
    }
    // Two in one stream are both answered.
    let both =
        [datagram::framed(&question), datagram::framed(&datagram::question(8, "www.sturdy.test.", 28))]
            .concat();
    let answers = datagram::over_tcp(server, &both, Duration::from_secs(2)).expect("TCP works");
    let first = 2 + usize::from(u16::from_be_bytes([answers[0], answers[1]]));
    assert!(answers.len() > first, "one answer only: {answers:02x?}");

    assert!(pair.secondo.process().runs());
    assert_eq!(dig::serial(server, &zone.apex), Some(zone.serial));
}

/// Every prefix and every single octet of a question and of a NOTIFY changed: nothing stops it.
#[test]
fn mutations_of_good_messages_harm_nobody() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("mutant.test.");
    let mut pair = Pair::start(Software::Nsd, &zone, None, &[]);
    let server = pair.secondo.address();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for message in [datagram::question(7, "www.mutant.test.", 255), datagram::notify(8, "mutant.test.")] {
        for at in 0..message.len() {
            let _ = socket.send_to(&message[..at], server);
            for value in [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff] {
                let mut changed = message.clone();
                changed[at] = value;
                let _ = socket.send_to(&changed, server);
            }
        }
    }
    assert_eq!(dig::serial(server, &zone.apex), Some(zone.serial), "{}", pair.secondo.tail());
    assert!(pair.secondo.process().runs());
    let panicked = pair.secondo.tail().contains("panicked");
    assert!(!panicked, "{}", pair.secondo.tail());
}

#[test]
fn garbage_on_the_control_socket_harms_nobody() {
    use std::io::{Read, Write};
    if !peers::ready(&[]) {
        return;
    }
    let nobody = Port::free();
    let config = Config::new().primary("nobody", nobody.at_loopback(), None).zone("a.test.", "nobody", &[]);
    let mut secondo = Secondo::start(Port::free(), &config);
    let path = secondo.folder().join("control.sock");
    let mode = std::fs::metadata(&path).expect("the socket is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660, "mode {mode:o}");
    for garbage in [&b"\n"[..], b"{}\n", b"null\n", b"{\"command\": 7}\n", b"\xff\xfe\n", &[b'['; 100_000]] {
        let mut stream = std::os::unix::net::UnixStream::connect(&path).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    }
    secondo.status();
    assert!(secondo.process().runs());
}

#[test]
fn a_second_daemon_on_the_same_state_is_turned_away() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("mine.test.");
    let mut pair = Pair::start(Software::Nsd, &zone, None, &[]);
    let other = Port::free();
    let text = std::fs::read_to_string(pair.secondo.configuration()).expect("we wrote it");
    let text = text.replacen(&pair.secondo.address().to_string(), &other.at_loopback().to_string(), 1);
    let text = text.replace("control.sock", "other.sock");
    let file = pair.secondo.folder().join("other.yaml");
    std::fs::write(&file, text).expect("our own folder is writable");
    let (worked, output) = process::attempt(secondo::binary(), &["run", "--config", &file.to_string_lossy()]);
    assert!(!worked);
    assert!(output.to_lowercase().contains("state"), "it says why: {output}");
    assert!(pair.secondo.process().runs());
    assert_eq!(dig::serial(pair.secondo.address(), &zone.apex), Some(zone.serial));
}

/// The design's second promise: published from memory, and said aloud.
#[test]
fn a_disk_that_refuses_writes_does_not_keep_a_change_from_being_served() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    if peers::find("prlimit").is_none() {
        peers::skip("this machine has no prlimit");
        return;
    }
    let zone = Zone::ordinary("full.test.").with_hosts(10);
    let mut pair = Pair::start(Software::Nsd, &zone, None, &[]);
    pair.secondo.stop();
    pair.secondo.disk(Disk::Limitable);
    pair.secondo.start_again();
    // A limit on the size of files refuses writes to root too, where permissions would not.
    let mark = pair.secondo.mark();
    pair.secondo.process().limit_files(0);
    let next = zone.plus(&["new 60 IN A 192.0.2.111"]);
    pair.primary.publish(&next);
    pair.secondo.zone_event(mark, "zone.volatile", &zone.apex);
    pair.secondo.until_serving(&next.apex, next.serial, interop::wait::SOON);
    pair.assert_same(&next);
    let server = || pair.secondo.status()["server"].clone();
    assert_eq!(server()[0]["code"], "disk", "{}", server());
    // The disk is back: what was kept in memory is written, and survives a crash.
    pair.secondo.process().limit_files(u64::MAX);
    pair.primary.stop();
    let durable = || pair.secondo.zone_status(&zone.apex)["durable"].as_bool().filter(|durable| *durable);
    interop::wait::until("the disk to be used again", interop::wait::SOON, || pair.secondo.tail(), durable);
    assert_eq!(pair.secondo.status()["server"], serde_json::json!([]));
    pair.secondo.zone_event(mark, "zone.durable", &zone.apex);
    pair.secondo.event(mark, "store.recovered", |_| true);
    pair.secondo.crash();
    pair.secondo.start_again();
    assert_eq!(dig::serial(pair.secondo.address(), &next.apex), Some(next.serial), "{}", pair.secondo.tail());
}

#[test]
fn a_disk_that_refuses_everything_from_the_start_does_not_keep_zones_from_being_served() {
    if !peers::ready(&[Software::Knot]) {
        return;
    }
    let zone = Zone::ordinary("memory.test.");
    let mut primary = interop::primary::start(Software::Knot, interop::Plan::of(&zone));
    let lines = ["allow-transfer: [{ address: 127.0.0.1 }]"];
    let config =
        Config::new().primary("upstream", primary.address(), None).zone(&zone.apex, "upstream", &lines);
    let mut secondo = Secondo::prepare(Port::free(), &config);
    secondo.disk(Disk::Full);
    secondo.start_again();
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    secondo.zone_event(Mark::START, "zone.volatile", &zone.apex);
    assert_eq!(secondo.zone_status(&zone.apex)["durable"], false);
    let next = zone.plus(&["new 60 IN A 192.0.2.112"]);
    primary.publish(&next);
    let order = secondo.order(&["refresh", &zone.apex]);
    assert_eq!(order.code, Some(0), "{order:?}\n{}", secondo.tail());
    secondo.until_serving(&zone.apex, next.serial, interop::wait::SOON);
    dig::assert_same_zone(&zone.apex, primary.address(), None, secondo.address(), None);
    secondo.stop();
    // With a disk again it begins anew.
    secondo.disk(Disk::Plain);
    let mark = secondo.mark();
    secondo.start_again();
    secondo.until_published(mark, &zone.apex, next.serial);
}

#[test]
fn damage_on_disk_is_reported_and_refetched() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let zone = Zone::ordinary("damaged.test.").with_hosts(300);
    let mut pair = Pair::start(Software::Nsd, &zone, None, &[]);
    pair.secondo.stop();
    let state = pair.secondo.folder().join("state");
    damage_every_file(&state);
    let mark = pair.secondo.mark();
    pair.secondo.start_again();
    pair.secondo.event(mark, "store.damaged", |_| true);
    pair.secondo.until_published(mark, &zone.apex, zone.serial);
    pair.assert_same(&zone);
}

/// Flips bits all over every regular file below a folder.
fn damage_every_file(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            damage_every_file(&path);
        } else if let Ok(mut bytes) = std::fs::read(&path) {
            for octet in bytes.iter_mut().step_by(97) {
                *octet ^= 0x10;
            }
            std::fs::write(&path, bytes).expect("our own folder is writable");
        }
    }
}
