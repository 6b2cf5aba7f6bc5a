//! One server through all phases, once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use interop::{Folder, Port, process};

use crate::figures::{Figure, Sample, median};
use crate::group::Group;
use crate::options::{Options, Phase};
use crate::primary::Primary;
use crate::probe::Probe;
use crate::questions::Questions;
use crate::running::REST;
use crate::sampler::Sampler;
use crate::server::{Server, Setting};
use crate::{disk, interrupt, memory};

/// How long a server may take to end.
const END: Duration = Duration::from_secs(120);
/// A NOTIFY that nobody has acknowledged is sent again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two changes of the zone under queries.
const BEAT: Duration = Duration::from_millis(200);

/// What stays the same from round to round.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) primary: Primary,
    pub(crate) questions: Questions,
}

/// A server under measure.
struct Round<'a> {
    bench: &'a Bench,
    server: Server,
    /// Ended before its folder is removed and its port is free.
    group: Group,
    address: SocketAddr,
    _port: Port,
    folder: Folder,
    state: PathBuf,
    command: (PathBuf, Vec<String>),
    probe: Probe,
    sample: Sample,
}

impl Bench {
    /// What a server is to be told that takes the zone.
    pub(crate) fn setting<'s>(
        &self,
        folder: &'s Path,
        state: &'s Path,
        address: SocketAddr,
        threads: usize,
    ) -> Setting<'s> {
        let (primary, size) = (self.primary.address(), self.primary.stream().octets());
        Setting { folder, state, address, primary, size, threads, connections: self.options.connections() }
    }

    /// Does something while the zone changes again and again, of which one server is told.
    pub(crate) fn while_changing<T>(&self, server: SocketAddr, something: impl FnOnce() -> T) -> T {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    self.primary.change();
                    self.primary.notify(server);
                    std::thread::sleep(BEAT);
                }
            });
            let outcome = something();
            done.store(true, Ordering::Relaxed);
            outcome
        })
    }

    /// Takes all figures of one server.
    pub(crate) fn round(&self, server: Server) -> Sample {
        let (folder, port) = (Folder::fresh(), Port::free());
        interrupt::hold(folder.path());
        let (state, address) = (folder.inner("state"), port.at_loopback());
        let command = server.prepare(self.setting(folder.path(), &state, address, 1));
        self.primary.dead(false);
        self.primary.whole_only(false);
        let start = Instant::now();
        let group = Group::start(&command.0, &command.1, &state, &folder.path().join("log"));
        let mut round = Round {
            bench: self,
            server,
            address,
            _port: port,
            probe: Probe::new(address, self.options.rule()),
            folder,
            state,
            command,
            group,
            sample: Sample::default(),
        };
        round.run(start);
        let (sample, path) = (std::mem::take(&mut round.sample), round.folder.path().to_owned());
        drop(round);
        interrupt::release(&path);
        sample
    }
}

impl Round<'_> {
    fn run(&mut self, start: Instant) {
        if !self.first_transfer(start) {
            return;
        }
        let bench = self.bench;
        let wanted = |phase| bench.options.phases.contains(&phase);
        if wanted(Phase::Ixfr) {
            self.changes();
        }
        if wanted(Phase::Full) {
            self.another_transfer();
        }
        if wanted(Phase::Queries) {
            self.queries(Figure::QueriesQuiet, Figure::QueryCpuQuiet, false);
        }
        if wanted(Phase::Churn) {
            self.queries(Figure::QueriesBusy, Figure::QueryCpuBusy, true);
        }
        if wanted(Phase::Restart) {
            self.restarts();
        }
    }

    fn first_transfer(&mut self, start: Instant) -> bool {
        let primary = &self.bench.primary;
        let served = self.probe.until_served(Some(primary.serial()), start, self.bench.options.limit, |_| ());
        self.sample.set(Figure::FirstServed, served.map(|time| time.as_secs_f64()));
        if served.is_none() {
            let log = process::tail(&self.folder.path().join("log"));
            self.sample.note(format!("{} did not take the zone. {log}", self.server));
            return false;
        }
        self.group.settle(REST);
        let cpu = self.group.cpu().as_secs_f64();
        self.sample.set(Figure::FirstCpu, cpu);
        self.sample.set(Figure::FirstCpuRecord, cpu * 1e9 / primary.stream().records() as f64);
        self.sample.set(Figure::MemorySettled, mebi(self.memory()));
        self.write();
        self.sample.set(Figure::DiskSettled, self.wire_sizes(disk::allocated(&self.state)));
        true
    }

    fn changes(&mut self) {
        let before = self.group.cpu();
        let mut times = Vec::new();
        for _ in 0..self.bench.options.ixfrs {
            times.push(self.change(|_| ()));
            std::thread::sleep(Duration::from_millis(300));
        }
        self.group.settle(REST);
        let cpu = self.group.cpu().saturating_sub(before).as_secs_f64() / times.len() as f64;
        self.sample.set(Figure::ChangeServed, median(times.into_iter().map(millis).collect()));
        self.sample.set(Figure::ChangeCpu, cpu * 1e3);
    }

    fn another_transfer(&mut self) {
        self.bench.primary.whole_only(true);
        let before = self.group.cpu();
        let mut sampler = Sampler::start(self.group.members(), &self.state);
        let served = {
            let Self { bench, probe, address, group, .. } = self;
            let mut looked = Duration::ZERO;
            change(bench, probe, *address, |elapsed| {
                // Who is there changes seldom, and looking for it costs.
                if elapsed > looked + Duration::from_millis(50) {
                    looked = elapsed;
                    sampler.look_at(group.members());
                }
            })
        };
        sampler.look_at(self.group.members());
        self.group.settle(REST);
        let peaks = sampler.stop();
        self.bench.primary.whole_only(false);
        let cpu = self.group.cpu().saturating_sub(before).as_secs_f64();
        self.sample.set(Figure::AgainServed, served.map(|time| time.as_secs_f64()));
        self.sample.set(Figure::AgainCpu, cpu);
        self.sample.set(Figure::MemoryPeak, mebi(peaks.memory));
        self.sample.set(Figure::MemoryAfter, mebi(self.memory()));
        self.sample.set(Figure::DiskPeak, self.wire_sizes(peaks.disk));
    }

    fn queries(&mut self, rate: Figure, each: Figure, changing: bool) {
        let Bench { options, questions, .. } = self.bench;
        let time = Duration::from_secs(options.seconds);
        questions.ask(self.address, time / 4);
        let before = self.group.cpu();
        let asked = if changing {
            self.bench.while_changing(self.address, || questions.ask(self.address, time))
        } else {
            questions.ask(self.address, time)
        };
        let cpu = self.group.cpu().saturating_sub(before).as_secs_f64();
        self.sample.set(rate, asked.answered as f64 / asked.elapsed.as_secs_f64() / 1e3);
        self.sample.set(each, cpu * 1e6 / asked.answered.max(1) as f64);
        // A few are lost when the machine is busy; many, or wrong answers, are another server than is measured here.
        if asked.wrong > 0 || asked.lost > asked.answered / 1000 {
            self.sample.note(format!(
                "{}: of {} answers {} were wrong, and {} did not come.",
                self.server, asked.answered, asked.wrong, asked.lost
            ));
        }
        if changing && self.change(|_| ()).is_none() {
            self.sample.note(format!("{} did not catch up after the changes under queries.", self.server));
        }
        self.group.settle(REST);
    }

    /// Brings to disk what waits for its hour, which is not measured.
    fn write(&mut self) {
        let configuration = self.command.1.last().expect("all are given their configuration");
        self.server.write(configuration);
        self.group.settle(REST);
    }

    fn restarts(&mut self) {
        self.write();
        self.bench.primary.dead(true);
        let start = Instant::now();
        self.group.terminate();
        let ended = self.until_over(start);
        self.sample.set(Figure::Stop, ended.map(|time| time.as_secs_f64()));
        let serial = self.bench.primary.serial();
        self.start(Figure::StartStopped, serial);

        // A change after it, so that what survives a crash is not what the clean stop wrote.
        self.bench.primary.dead(false);
        let served = self.change(|_| ());
        self.group.settle(REST);
        self.bench.primary.dead(true);
        if served.is_none() {
            self.sample.note(format!("{} took no change after its restart.", self.server));
        }
        self.group.kill();
        self.until_over(Instant::now());
        let serial = self.bench.primary.serial();
        self.start(Figure::StartCrashed, serial);
        self.bench.primary.dead(false);
    }

    /// Starts it again with what it has on disk, and waits until it answers.
    fn start(&mut self, figure: Figure, serial: u32) {
        let start = Instant::now();
        let log = self.folder.path().join("log");
        self.group = Group::start(&self.command.0, &self.command.1, &self.state, &log);
        let answering = self.probe.until_served(None, start, self.bench.options.limit, |_| ());
        self.sample.set(figure, answering.map(|time| time.as_secs_f64()));
        if answering.is_some() && !self.probe.serves(serial) {
            let when = if figure == Figure::StartCrashed { "SIGKILL" } else { "a clean stop" };
            self.sample.note(format!("{} came back with an older version after {when}.", self.server));
        }
    }

    /// Waits for the end of all its processes; what takes too long is killed.
    fn until_over(&mut self, start: Instant) -> Option<Duration> {
        while !self.group.is_over() {
            if start.elapsed() > END {
                self.group.kill();
                self.sample.note(format!("{} did not end by itself.", self.server));
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Some(start.elapsed())
    }

    /// Makes a version, sends a NOTIFY and waits until it is served.
    fn change(&mut self, meanwhile: impl FnMut(Duration)) -> Option<Duration> {
        change(self.bench, &mut self.probe, self.address, meanwhile)
    }

    fn memory(&self) -> u64 {
        memory::of(&self.group.members())
    }

    /// Octets as multiples of the zone's wire size.
    fn wire_sizes(&self, octets: u64) -> f64 {
        octets as f64 / self.bench.primary.stream().octets() as f64
    }
}

fn change(
    bench: &Bench,
    probe: &mut Probe,
    address: SocketAddr,
    mut meanwhile: impl FnMut(Duration),
) -> Option<Duration> {
    let serial = bench.primary.change();
    let start = Instant::now();
    bench.primary.notify(address);
    let mut notified = Duration::ZERO;
    probe.until_served(Some(serial), start, bench.options.limit, |elapsed| {
        // RFC 1996 §3.6: until it is acknowledged.
        if elapsed > notified + AGAIN && !bench.primary.acknowledged() {
            notified = elapsed;
            bench.primary.notify(address);
        }
        meanwhile(elapsed);
    })
}

fn mebi(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

fn millis(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64() * 1e3)
}
