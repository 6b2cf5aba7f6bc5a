//! A server that runs beside others, and takes its turn in being measured.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use interop::{Folder, Port, process};

use crate::group::Group;
use crate::questions::Questions;
use crate::{echo, interrupt};

/// How long a server may take to come to rest.
pub(crate) const REST: Duration = Duration::from_secs(120);

/// A running server. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub(crate) struct Running {
    /// The head of its column.
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) group: Group,
    /// Whether it is a DNS server, whose answers can be checked.
    pub(crate) answers: bool,
    _port: Port,
    folder: Folder,
}

impl Running {
    /// Starts a server; `prepare` writes its configuration into a folder, for an address, and tells the program and its
    /// arguments. What it keeps is to be in the folder `state` of it.
    pub(crate) fn start(
        name: &str,
        prepare: impl FnOnce(&Path, &Path, SocketAddr) -> (std::path::PathBuf, Vec<String>),
    ) -> Self {
        let (folder, port) = (Folder::fresh(), Port::free());
        interrupt::hold(folder.path());
        let (state, address) = (folder.inner("state"), port.at_loopback());
        let (program, arguments) = prepare(folder.path(), &state, address);
        let group = Group::start(&program, &arguments, &state, &folder.path().join("log"));
        Self { name: name.to_owned(), address, group, answers: true, _port: port, folder }
    }

    /// Starts the echo, which pads to `size` octets.
    pub(crate) fn echo(name: &str, size: usize, threads: usize) -> Self {
        let program = std::env::current_exe().expect("a program knows where it is");
        let mut echo = Self::start(name, |_, _, address| (program, echo::words(address, size, threads)));
        echo.answers = false;
        echo
    }

    /// Waits until it answers the first question as it must.
    ///
    /// # Errors
    /// What its log says, when it does not in time.
    pub(crate) fn until_answering(&mut self, questions: &Questions, limit: Duration) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < limit {
            let response =
                interop::datagram::over_udp(self.address, questions.message(0), Duration::from_millis(200));
            if response.is_some_and(|response| !self.answers || questions.is_answered(0, &response)) {
                self.group.settle(REST);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{} does not answer.\n{}", self.name, self.log()))
    }

    /// Waits until it answers all questions as it must.
    ///
    /// # Errors
    /// What its log says, when it does not in time.
    pub(crate) fn until_all_right(&mut self, questions: &Questions, limit: Duration) -> Result<(), String> {
        self.until_answering(questions, limit)?;
        let start = Instant::now();
        while start.elapsed() < limit {
            let asked = questions.ask_each(self.address);
            if asked.wrong == 0 && asked.lost == 0 {
                self.group.settle(REST);
                eprintln!("{} serves all", self.name);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Err(format!("{} does not serve all.\n{}", self.name, self.log()))
    }

    fn log(&self) -> String {
        process::tail(&self.folder.path().join("log"))
    }

    /// What it took of the processor while something was done.
    pub(crate) fn cpu_of<T>(&mut self, done: impl FnOnce(SocketAddr) -> T) -> (Duration, T) {
        let before = self.group.cpu();
        let outcome = done(self.address);
        (self.group.cpu().saturating_sub(before), outcome)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.group.kill();
        while !self.group.is_over() {
            std::thread::sleep(Duration::from_millis(2));
        }
        interrupt::release(self.folder.path());
    }
}
