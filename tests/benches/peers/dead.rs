//! From NOTIFY to served, of one zone whose primary lives: alone, and beside thousands whose primaries are dead.

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use interop::crowd::{Crowd, FIRST_SERIAL, apex};
use interop::{Config, Port, datagram, secondo};

use crate::cost::SECONDO;
use crate::figures::median;
use crate::message::SOA;
use crate::round::Bench;
use crate::running::Running;
use crate::server::limits;

/// Zones of each kind of dead primaries.
const ZONES: usize = 1000;
/// Primaries that are silent together have so many addresses.
const ADDRESSES: u8 = 100;
/// Between two changes.
const BEAT: Duration = Duration::from_millis(50);

/// Takes connections and datagrams, and says nothing.
type Silent = (TcpListener, UdpSocket);

fn silent(address: SocketAddr) -> Silent {
    let taken = "an address of our own port is free";
    (TcpListener::bind(address).expect(taken), UdpSocket::bind(address).expect(taken))
}

/// Milliseconds from NOTIFY to served.
pub(crate) fn measure(bench: &Bench) -> Result<String, String> {
    let limit = bench.options.limit;
    let primary = Crowd::start(1).map_err(|error| format!("cannot start the primary: {error}"))?;
    let (port, refusing) = (Port::free(), Port::free());
    let one = port.at_loopback();
    let many: Vec<SocketAddr> = (1..=ADDRESSES).map(|n| port.at([127, 9, 0, n].into())).collect();
    let _silent: Vec<Silent> = many.iter().chain([&one]).map(|address| silent(*address)).collect();
    let alone = Config::new().more(&limits(1, 1000)).primary("live", primary.address(), None);
    let mut beside =
        alone.clone().primary("silent", one, None).primary("refusing", refusing.at_loopback(), None);
    for (n, address) in many.iter().enumerate() {
        beside = beside.primary(&format!("silent{n}"), *address, None);
    }
    for zone in 0..ZONES {
        let scattered = format!("silent{}", zone % many.len());
        for name in ["silent", "refusing", &scattered] {
            let lines = ["retry-bounds: [1s, 1s]"];
            beside = beside.zone(&format!("z{zone}.{name}.test."), name, &lines);
        }
    }
    let start = |name: &str, config: Config| {
        let config = config.zone(&apex(0), "live", &["allow-notify: [{ address: 127.0.0.1 }]"]);
        Running::start(name, |folder: &Path, _: &Path, address| {
            let file = folder.join("secondo.yaml");
            std::fs::write(&file, config.text(folder, address)).expect("our own folder is writable");
            (secondo::binary().to_owned(), vec!["run".into(), "--config".into(), file.display().to_string()])
        })
    };
    let dead = format!("{SECONDO}, beside {} dead zones", 3 * ZONES);
    let field = [start(&format!("{SECONDO}, alone"), alone), start(&dead, beside)];
    let mut times = [Vec::new(), Vec::new()];
    for running in &field {
        served(running, FIRST_SERIAL, limit)?;
    }
    for _ in 0..bench.options.rounds * bench.options.ixfrs {
        for (running, times) in field.iter().zip(&mut times) {
            let serial = primary.change();
            let begun = Instant::now();
            let notify = datagram::notify(1, &apex(0));
            datagram::over_udp(running.address, &notify, limit).ok_or("a NOTIFY is not answered")?;
            served(running, serial, limit)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            std::thread::sleep(BEAT);
        }
    }
    let mut table = "| ms from NOTIFY to served | median | longest |\n| --- | ---: | ---: |\n".to_owned();
    for (running, times) in field.iter().zip(times) {
        let longest = times.iter().copied().fold(0.0, f64::max);
        let middle = median(times.into_iter().map(Some).collect()).unwrap_or_default();
        let _ = writeln!(table, "| {} | {middle:.1} | {longest:.1} |", running.name);
    }
    Ok(format!(
        "Dead: {ZONES} zones each of a silent primary, of one that refuses, and of {ADDRESSES} that are silent, asked again \
         each second.\n\n{table}"
    ))
}

/// Waits until it serves the version.
fn served(running: &Running, serial: u32, limit: Duration) -> Result<(), String> {
    let (question, begun) = (datagram::question(7, &apex(0), SOA), Instant::now());
    while begun.elapsed() < limit {
        let response = datagram::over_udp(running.address, &question, limit).unwrap_or_default();
        // RFC 1035 §3.3.13: of the RDATA at the end the serial is the first of five numbers.
        if response.len() > 32 && datagram::rcode(&response) == 0 && response[7] == 1 {
            let numbers = &response[response.len() - 20..];
            if numbers.first_chunk().map(|octets| u32::from_be_bytes(*octets)) == Some(serial) {
                return Ok(());
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Err(format!("{} does not serve serial {serial}", running.name))
}
