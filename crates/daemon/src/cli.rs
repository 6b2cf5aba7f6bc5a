//! The command line: definitions, and what each command does with the answer.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Args, Parser, Subcommand};
use secondo_wire::{Class, Reason};
use serde::Serialize;

use crate::config;
use crate::control::{
    ClientError, Command, Limited, Request, Response, ServerProblem, Summary, ZoneStatus, ask, read,
};
use crate::table;

/// A secondary DNS server: takes zones from a primary, keeps them true, answers from them until they expire.
#[derive(Debug, Parser)]
#[command(name = "secondo", version, max_term_width = 100, after_help = EXIT_CODES)]
#[command(propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Run the daemon in the foreground; it logs to standard error
    Run(ConfigFile),
    /// Check a configuration and start nothing; exit 1 with every error as FILE:LINE:COLUMN
    Check(ConfigFile),
    /// Show the state of zones
    Status {
        /// The zones; all when left out
        zones: Vec<String>,
        /// One JSON object
        #[arg(long)]
        json: bool,
        /// Only zones that need a person
        #[arg(long)]
        problems: bool,
        #[command(flatten)]
        socket: Socket,
    },
    /// Say in sentences how a zone is, what was tried, what comes next and what to do
    ///
    /// Exit code 1 when the zone needs a person, as with `status --problems`.
    Explain {
        /// The zone
        #[arg(required_unless_present = "reasons")]
        zone: Option<String>,
        /// One JSON object
        #[arg(long)]
        json: bool,
        /// List all reasons that a failure may have, with what to do; needs no daemon
        #[arg(long, conflicts_with_all = ["zone", "json"])]
        reasons: bool,
        #[command(flatten)]
        socket: Socket,
    },
    /// Ask the primaries now, as a NOTIFY would, and tell the outcome
    Refresh(OnZones),
    /// Fetch whole zones now, whatever their serial; the current version is served meanwhile
    Retransfer(OnZones),
    /// Write a zone as a master file to standard output
    ///
    /// It loads unchanged into BIND, NSD and Knot DNS: a comment with the serial and the number of records, the SOA, then
    /// all records in canonical order, one a line, with absolute names. Of a zone that has expired it is the last version,
    /// which is said on standard error. With an exit code other than 0, what was written is not the whole zone.
    Dump {
        /// The zone
        zone: String,
        /// The kept version with this serial, not the one served
        #[arg(long)]
        serial: Option<u32>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Show what changed between two kept versions of a zone
    ///
    /// The lines are those of a master file, behind `- ` what only FROM has, behind `+ ` what only TO has; the SOAs come
    /// first, then the rest in canonical order of owners. How many earlier versions are kept, `keep-versions` says.
    Diff {
        /// The zone
        zone: String,
        /// The serial to begin with; when left out, the last one kept before that served
        from: Option<u32>,
        /// The serial to end with; when left out, the one served
        to: Option<u32>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Read the configuration again: all or nothing
    Reload {
        /// Tell what would change, change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        socket: Socket,
    },
    /// End the daemon
    Stop {
        #[command(flatten)]
        socket: Socket,
    },
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["zones", "all"]))]
struct OnZones {
    /// The zones; these or `--all`
    #[arg(value_name = "ZONE")]
    zones: Vec<String>,
    /// All zones
    #[arg(long)]
    all: bool,
    /// Do not wait for the outcome
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    socket: Socket,
}

#[derive(Debug, Args)]
struct Socket {
    /// The daemon's control socket
    #[arg(
        long = "socket",
        env = "SECONDO_SOCKET",
        default_value = "/run/secondo/control.sock",
        value_name = "PATH"
    )]
    path: PathBuf,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the answer is no (a check failed, a zone could not be refreshed, a version is not kept, \
--problems found some); \
2 wrong use; 3 the daemon cannot be reached; 4 no such zone";

/// Exit codes of the contract.
mod exit {
    pub(super) const DONE: u8 = 0;
    pub(super) const NO: u8 = 1;
    pub(super) const WRONG_USE: u8 = 2;
    pub(super) const UNREACHABLE: u8 = 3;
    pub(super) const NO_SUCH_ZONE: u8 = 4;
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    ExitCode::from(match Cli::parse().command {
        Commands::Run(file) => return crate::run(&file.config),
        Commands::Check(file) => check(&file.config),
        Commands::Status { zones, json, problems, socket } => {
            let request = Request { problems, ..Request::new(Command::Status, zones) };
            order(&socket, &request, |response| status(response, json, problems))
        }
        Commands::Explain { reasons: true, .. } => reasons(),
        Commands::Explain { zone, json, socket, .. } => {
            let request = Request::new(Command::Explain, zone.into_iter().collect());
            order(&socket, &request, |response| explained(response, json))
        }
        Commands::Refresh(on) => on.order(Command::Refresh),
        Commands::Retransfer(on) => on.order(Command::Retransfer),
        Commands::Dump { zone, serial, socket } => {
            listing(&socket, &Request { serial, ..Request::new(Command::Dump, vec![zone]) })
        }
        Commands::Diff { zone, from, to, socket } => {
            listing(&socket, &Request { from, to, ..Request::new(Command::Diff, vec![zone]) })
        }
        Commands::Reload { dry_run, socket } => {
            let request = Request { dry_run, ..Request::new(Command::Reload, Vec::new()) };
            order(&socket, &request, |response| reloaded(response, dry_run))
        }
        Commands::Stop { socket } => order(&socket, &Request::new(Command::Stop, Vec::new()), |_| exit::DONE),
    })
}

impl OnZones {
    fn order(self, command: Command) -> u8 {
        let request = Request { all: self.all, no_wait: self.no_wait, ..Request::new(command, self.zones) };
        order(&self.socket, &request, outcomes)
    }
}

fn check(path: &Path) -> u8 {
    match config::load(path) {
        Ok(config) => {
            for warning in &config.warnings {
                eprintln!("warning: {warning}");
            }
            let now = crate::clock::unix();
            for concern in config.certificates.iter().filter_map(|certificate| certificate.concern(now)) {
                eprintln!("warning: {concern}");
            }
            let count = config.zones.len();
            say(&format!(
                "{}: in order, {count} {}",
                path.display(),
                if count == 1 { "zone" } else { "zones" }
            ));
            exit::DONE
        }
        Err(problems) => {
            for problem in &problems {
                eprintln!("{problem}");
            }
            exit::NO
        }
    }
}

/// Sends `request`; `tell` prints a good answer and gives the exit code.
fn order(socket: &Socket, request: &Request, tell: impl FnOnce(Response) -> u8) -> u8 {
    match ask(&socket.path, request) {
        Ok(response) => answered(response, tell),
        // It stopped before it could say so.
        Err(ClientError::Closed) if request.command == Command::Stop => exit::DONE,
        Err(error) => {
            eprintln!("secondo: {error}");
            exit::UNREACHABLE
        }
    }
}

/// The same for an answer with a text ahead of it, which goes to standard output as it comes.
fn listing(socket: &Socket, request: &Request) -> u8 {
    let mut out = io::stdout().lock();
    let answer = read(&socket.path, request, |piece| out.write_all(piece.as_bytes()));
    match answer.and_then(|response| out.flush().map(|()| response).map_err(ClientError::Output)) {
        Ok(response) => answered(response, |response| {
            if let Some(note) = response.note {
                eprintln!("secondo: {note}");
            }
            exit::DONE
        }),
        // A reader that has seen enough is no error.
        Err(ClientError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => exit::DONE,
        Err(error @ ClientError::Output(_)) => {
            eprintln!("secondo: {error}");
            exit::NO
        }
        Err(error) => {
            eprintln!("secondo: {error}");
            exit::UNREACHABLE
        }
    }
}

/// What a whole answer comes to: what it refuses is printed, and `tell` prints a good one.
fn answered(response: Response, tell: impl FnOnce(Response) -> u8) -> u8 {
    let Some(refusal) = &response.error else { return tell(response) };
    eprintln!("{}", refusal.message);
    match refusal.code.as_str() {
        "no-such-zone" => exit::NO_SUCH_ZONE,
        "bad-request" => exit::WRONG_USE,
        _ => exit::NO,
    }
}

/// `status --json`.
#[derive(Serialize)]
struct States<'r> {
    zones: &'r [ZoneStatus],
    summary: Option<Summary>,
    server: &'r [ServerProblem],
    #[serde(skip_serializing_if = "Option::is_none")]
    limited: Option<Limited>,
}

/// With `problems`, having any is a "no".
fn status(response: Response, json: bool, problems: bool) -> u8 {
    let zones = response.zones.unwrap_or_default();
    if json {
        let Response { summary, limited, ref server, .. } = response;
        let all = States { zones: &zones, summary, server, limited };
        let mut out = io::BufWriter::new(io::stdout().lock());
        // A reader that went away is no error.
        let _ = serde_json::to_writer_pretty(&mut out, &all)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out));
    } else {
        if !zones.is_empty() {
            say(table::render(&table::HEAD, zones.iter().map(table::row)).trim_end());
        }
        if let Some(summary) = &response.summary {
            say(&table::sum(summary));
        }
        if let Some(limited) = &response.limited {
            say(&table::limited(limited));
        }
        for problem in &response.server {
            say(&format!("{}: {}", problem.code, problem.detail));
        }
        if problems && !zones.is_empty() {
            say(&format!("\n{}", table::legend(&zones).trim_end()));
        }
    }
    if problems && (!zones.is_empty() || !response.server.is_empty()) { exit::NO } else { exit::DONE }
}

/// A zone that needs a person is a "no".
fn explained(response: Response, json: bool) -> u8 {
    let Some(explanation) = response.explanation else { return exit::NO };
    if json {
        match serde_json::to_string_pretty(&explanation) {
            Ok(text) => say(&text),
            Err(error) => eprintln!("secondo: {error}"),
        }
    } else {
        say(&explanation.text());
    }
    if explanation.status.is_problem() { exit::NO } else { exit::DONE }
}

/// All reasons, by what follows from them.
fn reasons() -> u8 {
    for class in Class::ALL {
        let capital = class.meaning().split_at_checked(1).map(|(first, rest)| first.to_uppercase() + rest);
        say(&capital.unwrap_or_default());
        say(&format!("  Served meanwhile: {}.", class.served()));
        say(&format!("  Tried next: {}.", class.next()));
        let of_class = Reason::ALL.iter().filter(|reason| reason.class() == *class);
        let rows = of_class.map(|reason| [format!("  {reason}"), reason.help().into()]);
        let head = ["  REASON", "WHAT IT MEANS AND WHAT TO DO"];
        say(&table::render(&head, rows));
    }
    exit::DONE
}

fn outcomes(response: Response) -> u8 {
    let mut code = exit::DONE;
    for zone in response.outcomes.unwrap_or_default() {
        let serial = zone.serial.map(|serial| format!(" serial {serial}")).unwrap_or_default();
        let reason = zone.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        say(&format!("{} {}{serial}{reason}", zone.zone, zone.outcome));
        if zone.outcome == "failed" {
            code = exit::NO;
        }
    }
    code
}

fn reloaded(response: Response, dry_run: bool) -> u8 {
    let lists = [("added", response.added), ("removed", response.removed), ("changed", response.changed)];
    let mut nothing = true;
    for (what, names) in lists {
        for name in names.unwrap_or_default() {
            say(&format!("{what} {name}"));
            nothing = false;
        }
    }
    for what in &response.settings {
        say(&format!("`{what}` changed"));
        nothing = false;
    }
    for renewed in &response.certificates {
        say(&format!("another certificate is shown from now on: {renewed}"));
        nothing = false;
    }
    for what in &response.after_restart {
        say(&format!("`{what}` changed and holds after a restart"));
    }
    if nothing && response.after_restart.is_empty() {
        say("nothing to change");
    } else if dry_run {
        say("dry run: nothing was changed");
    }
    exit::DONE
}

/// One line on standard output; a reader that went away is no error.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let neither = Cli::try_parse_from(["secondo", "refresh"]).unwrap_err().to_string();
        assert!(neither.contains("refresh <ZONE|--all>"), "{neither}");
        assert!(Cli::try_parse_from(["secondo", "refresh", "a.test", "--all"]).is_err());
        assert!(Cli::try_parse_from(["secondo", "refresh", "a.test", "b.test"]).is_ok());
        assert!(Cli::try_parse_from(["secondo", "refresh", "--all"]).is_ok());
        assert!(Cli::try_parse_from(["secondo", "run"]).is_err());
        assert!(Cli::try_parse_from(["secondo", "diff", "a.test", "1", "2"]).is_ok());
        assert!(Cli::try_parse_from(["secondo", "diff", "a.test", "1", "2", "3"]).is_err());
        assert!(Cli::try_parse_from(["secondo", "dump", "a.test", "--serial", "4294967296"]).is_err());
        assert!(Cli::try_parse_from(["secondo", "dump"]).is_err());
    }
}
