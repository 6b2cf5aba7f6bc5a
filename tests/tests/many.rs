//! Many zones at once: some primaries do not answer, and those that do serve all zones over few connections.

use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use interop::crowd::{self, Crowd};
use interop::message::Question;
use interop::name::Name;

use interop::secondo::Mark;
use interop::{Config, Plan, Port, Secondo, Software, Zone, each_primary, peers, primary};

/// Far less than a silent primary is waited for.
const NOT_HELD_UP: Duration = Duration::from_secs(20);
/// What thousands of zones may take on a loaded machine.
const MANY: Duration = Duration::from_secs(120);

#[test]
fn a_thousand_zones_of_a_silent_primary_hold_up_nobody_else() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    // It takes connections, and datagrams, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let _silent_too = UdpSocket::bind(address).unwrap();
    let zone = Zone::ordinary("alive.test.");
    let mut primary = primary::start(Software::Nsd, Plan::of(&zone));
    let mut config = Config::new().primary("silent", address, None).primary("alive", primary.address(), None);
    for number in 0..1000 {
        config = config.zone(&format!("dead{number}.test."), "silent", &[]);
    }
    let lines = ["allow-notify: [{ address: 127.0.0.1 }]"];
    let secondo = Secondo::start(Port::free(), &config.zone(&zone.apex, "alive", &lines));
    let begun = Instant::now();
    secondo.until_published(Mark::START, &zone.apex, zone.serial);
    let next = zone.plus(&["new 60 IN A 192.0.2.93"]);
    primary.publish(&next);
    let (well, said) = secondo.control(&["refresh", &next.apex]);
    assert!(well, "{said}");
    secondo.until_serving(&next.apex, next.serial, NOT_HELD_UP);
    assert!(begun.elapsed() < NOT_HELD_UP, "it took {:?}", begun.elapsed());
}

/// Each of them may be waited for by as many as it may; together they want far more places than there are.
#[test]
fn however_many_primaries_are_silent_a_living_one_finds_a_place() {
    if !peers::ready(&[Software::Nsd]) {
        return;
    }
    let port = Port::free();
    let silent = |n: u8| {
        let address = port.at([127, 9, 0, n].into());
        (address, TcpListener::bind(address).unwrap(), UdpSocket::bind(address).unwrap())
    };
    let silent: Vec<_> = (1..=100).map(silent).collect();
    let zone = Zone::ordinary("alive.test.");
    let mut primary = primary::start(Software::Nsd, Plan::of(&zone));
    let mut config = Config::new().primary("alive", primary.address(), None).more("limits: { transfers: 2 }");
    for (n, (address, ..)) in silent.iter().enumerate() {
        config = config.primary(&format!("silent{n}"), *address, None);
        for number in 0..10 {
            config = config.zone(&format!("dead{number}.of{n}.test."), &format!("silent{n}"), &[]);
        }
    }
    let lines = ["allow-notify: [{ address: 127.0.0.1 }]"];
    let secondo = Secondo::start(Port::free(), &config.zone(&zone.apex, "alive", &lines));
    // What was heard from has a place from then on; what was not, has to wait for its turn.
    let notify = interop::datagram::notify(1, &zone.apex);
    let told = || interop::datagram::over_udp(secondo.address(), &notify, NOT_HELD_UP).expect("a response");
    told();
    secondo.until_serving(&zone.apex, zone.serial, NOT_HELD_UP);
    let mut next = zone;
    for host in 0..3 {
        next = next.plus(&[&format!("new{host} 60 IN A 192.0.2.93")]);
        primary.publish(&next);
        told();
        secondo.until_serving(&next.apex, next.serial, NOT_HELD_UP);
    }
}

/// The serial in a response that ends with a SOA record.
fn soa_serial(response: &[u8]) -> Option<u32> {
    let answered = interop::datagram::rcode(response) == 0 && response[7] == 1;
    let from = response.len().checked_sub(20).filter(|_| answered)?;
    Some(u32::from_be_bytes(*response[from..].first_chunk()?))
}

/// As fast as a socket takes them, amid ten times as many from strangers: none that reached the socket is forgotten, and
/// what found no room there is repeated by whoever sent it, as any primary does (RFC 1996 §3.6).
#[test]
fn of_a_flood_of_notifies_none_is_forgotten() {
    const ZONES: u32 = 5000;
    let primary = Crowd::start(ZONES).unwrap();
    let lines = ["allow-notify: [{ address: 127.0.0.1 }]"];
    let config = Config::new().primary("crowd", primary.address(), None);
    let config = (0..ZONES).fold(config, |config, zone| config.zone(&crowd::apex(zone), "crowd", &lines));
    let secondo = Secondo::start(Port::free(), &config);
    let server = secondo.address();
    let questions: Vec<Question> =
        (0..ZONES).map(|zone| Question::plain(&Name::of(&crowd::apex(zone)), 6)).collect();
    let until_all_have = |serial: u32| {
        interop::wait::until(
            "all zones at the new serial",
            MANY,
            || secondo.tail(),
            || {
                let answers = interop::volley::ask(server, &questions, NOT_HELD_UP).ok()?;
                let new = answers.iter().filter(|answer| soa_serial(answer) == Some(serial)).count();
                (new == ZONES as usize).then_some(())
            },
        );
    };
    until_all_have(crowd::FIRST_SERIAL);
    let serial = primary.change();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Nobody's NOTIFYs, for our zones and for others.
            let stranger = UdpSocket::bind("127.0.0.9:0").unwrap();
            for n in 0..10 * ZONES {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let zone = if n % 2 == 0 { crowd::apex(n % ZONES) } else { format!("n{n}.other.test.") };
                let _ = stranger.send_to(&interop::datagram::notify(n as u16, &zone), server);
            }
        });
        // Each with an ID of its own, so that it is known which were answered.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut unanswered: BTreeSet<u16> = (0..ZONES as u16).collect();
        interop::wait::until(
            "an answer to each NOTIFY",
            MANY,
            || secondo.tail(),
            || {
                let mut buffer = [0; 512];
                for &zone in &unanswered {
                    let _ = socket.send(&interop::datagram::notify(zone, &crowd::apex(zone.into())));
                }
                while let Ok(length) = socket.recv(&mut buffer) {
                    assert_eq!(interop::datagram::rcode(&buffer[..length]), 0);
                    unanswered.remove(&u16::from_be_bytes([buffer[0], buffer[1]]));
                }
                unanswered.is_empty().then_some(())
            },
        );
        over.store(true, Ordering::Relaxed);
    });
    // What was answered counts: nothing is sent again.
    until_all_have(serial);
}

fn fifty_zones_arrive_at_once(software: Software) {
    let zones: Vec<Zone> = (0..50).map(|n| Zone::ordinary(&format!("zone{n}.test."))).collect();
    let mut plan = Plan::of(&zones[0]);
    plan.zones.clone_from(&zones);
    let primary = primary::start(software, plan);
    let config = Config::new().primary("upstream", primary.address(), None);
    let config = zones.iter().fold(config, |config, zone| config.zone(&zone.apex, "upstream", &[]));
    let secondo = Secondo::start(Port::free(), &config);
    for zone in &zones {
        secondo.until_serving(&zone.apex, zone.serial, interop::wait::SOON);
    }
}
each_primary!(fifty_zones_arrive_at_once);
