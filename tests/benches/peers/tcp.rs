//! What a question over TCP costs: on connections that stay, and with one for each.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use interop::datagram::framed;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use crate::cost::{names, pairs};
use crate::grid::Grid;
use crate::questions::Questions;
use crate::round::Bench;

/// Connections at once.
const CLIENTS: usize = 8;
/// A response that has not come after this ends the connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// How somebody asks.
#[derive(Clone, Copy, Debug)]
struct Manner {
    name: &'static str,
    /// Questions that are written at once, before their answers are read.
    together: usize,
    /// Whether the connection is closed behind them.
    once: bool,
}

const MANNERS: [Manner; 3] = [
    Manner { name: "connections stay, 16 questions together", together: 16, once: false },
    Manner { name: "connections stay, one question after the other", together: 1, once: false },
    Manner { name: "a connection for each question", together: 1, once: true },
];

/// Queries a second of CPU.
pub(crate) fn measure(bench: &Bench) -> Result<String, String> {
    let mut field = bench.field(1)?;
    let time = Duration::from_secs(bench.options.seconds);
    let mut grid = Grid::default();
    bench.in_turn(&mut field, |running| {
        for manner in MANNERS {
            let (cpu, asked) = running.cpu_of(|address| manner.ask(&bench.questions, address, time));
            let mut add = |what: &str, value: f64| {
                grid.add(&format!("{}: {what}", manner.name), &running.name, value);
            };
            add("1,000 queries a second of CPU", asked.answered as f64 / cpu.as_secs_f64() / 1e3);
            add("1,000 queries a second", asked.answered as f64 / time.as_secs_f64() / 1e3);
            if asked.wrong + asked.broken > 0 {
                add("wrong answers and broken connections", (asked.wrong + asked.broken) as f64);
            }
        }
    });
    let order = names(&field);
    Ok(format!("{CLIENTS} connections at once.\n\n{}", grid.table(&order, &pairs(&order))))
}

#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    answered: u64,
    wrong: u64,
    broken: u64,
}

impl Manner {
    fn ask(self, questions: &Questions, server: SocketAddr, time: Duration) -> Asked {
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    scope.spawn(move || {
                        let (mut asked, start) = (Asked::default(), Instant::now());
                        let mut number = client * questions.len() / CLIENTS;
                        while start.elapsed() < time {
                            let end = if self.once { Duration::ZERO } else { time };
                            let talked = self.talk(questions, server, &mut number, &mut asked, start, end);
                            asked.broken += u64::from(talked.is_err());
                        }
                        asked
                    })
                })
                .collect();
            let all = clients.into_iter().map(|client| client.join().expect("a client does not panic"));
            all.fold(Asked::default(), |sum, one| Asked {
                answered: sum.answered + one.answered,
                wrong: sum.wrong + one.wrong,
                broken: sum.broken + one.broken,
            })
        })
    }

    /// Asks on one connection until `end`, at least once.
    fn talk(
        self,
        questions: &Questions,
        server: SocketAddr,
        number: &mut usize,
        asked: &mut Asked,
        start: Instant,
        end: Duration,
    ) -> io::Result<()> {
        let mut stream = connection(server)?;
        let (mut outgoing, mut incoming) = (Vec::new(), Vec::new());
        loop {
            outgoing.clear();
            for place in 0..self.together {
                let message = framed(questions.message((*number + place) % questions.len()));
                let from = outgoing.len() + 2;
                outgoing.extend(message);
                // The ID tells which of them is answered: answers may come in any order (RFC 7766 §6.2.1.1).
                outgoing[from + 1] = u8::try_from(place).unwrap_or(0);
            }
            stream.write_all(&outgoing)?;
            for _ in 0..self.together {
                read_message(&mut stream, &mut incoming)?;
                let place = usize::from(incoming.get(1).copied().unwrap_or(0));
                let question = (*number + place) % questions.len();
                asked.answered += 1;
                asked.wrong += u64::from(!questions.is_answered(question, &incoming));
            }
            *number += self.together;
            if start.elapsed() >= end {
                return Ok(());
            }
        }
    }
}

/// Reads one message, buffered by the kernel alone.
fn read_message(stream: &mut Buffered, into: &mut Vec<u8>) -> io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    into.resize(u16::from_be_bytes(length).into(), 0);
    stream.read_exact(into)
}

/// A connection whose answers are taken as many at a time as there are.
#[derive(Debug)]
pub(crate) struct Buffered(io::BufReader<TcpStream>);

impl Read for Buffered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Buffered {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Connects from one of many addresses of loopback: those of a single one have too few ports for connections that are
/// closed by the thousand and remembered by the kernel for a minute.
pub(crate) fn connection(server: SocketAddr) -> io::Result<Buffered> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let SocketAddr::V4(server) = server else { return Err(io::ErrorKind::AddrNotAvailable.into()) };
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let own = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 0)) + number % 60_000);
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(own, 0)))?;
    connect(fd.as_raw_fd(), &SockaddrIn::from(server))?;
    let stream = TcpStream::from(fd);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(Buffered(io::BufReader::with_capacity(8192, stream)))
}

/// Asks one question on a connection; whether there was an answer.
pub(crate) fn ask_once(stream: &mut Buffered, message: &[u8]) -> bool {
    let mut incoming = Vec::new();
    stream.write_all(&framed(message)).and_then(|()| read_message(stream, &mut incoming)).is_ok()
}
