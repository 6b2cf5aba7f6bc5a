//! The command line: definitions, and what each command does with the answer.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config;
use crate::control::{ClientError, Command, Request, Response, ask};
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
    /// Ask the primaries now, as a NOTIFY would, and tell the outcome
    Refresh(OnZones),
    /// Fetch whole zones now, whatever their serial; the current version is served meanwhile
    Retransfer(OnZones),
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
struct OnZones {
    /// The zones
    #[arg(required_unless_present = "all")]
    zones: Vec<String>,
    /// All zones
    #[arg(long, conflicts_with = "zones")]
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
Exit codes: 0 done; 1 the answer is no (a check failed, a zone could not be refreshed, --problems found some); \
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
        Commands::Refresh(on) => on.order(Command::Refresh),
        Commands::Retransfer(on) => on.order(Command::Retransfer),
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
    let response = match ask(&socket.path, request) {
        Ok(response) => response,
        Err(error @ ClientError::Closed) if request.command == Command::Stop => {
            // It stopped before it could say so.
            let _ = error;
            return exit::DONE;
        }
        Err(error) => {
            eprintln!("secondo: {error}");
            return exit::UNREACHABLE;
        }
    };
    let Some(refusal) = &response.error else { return tell(response) };
    eprintln!("{}", refusal.message);
    match refusal.code.as_str() {
        "no-such-zone" => exit::NO_SUCH_ZONE,
        "bad-request" => exit::WRONG_USE,
        _ => exit::NO,
    }
}

/// With `problems`, having any is a "no".
fn status(response: Response, json: bool, problems: bool) -> u8 {
    let zones = response.zones.unwrap_or_default();
    if json {
        match serde_json::to_string_pretty(&serde_json::json!({ "zones": zones })) {
            Ok(text) => say(&text),
            Err(error) => eprintln!("secondo: {error}"),
        }
    } else if !zones.is_empty() {
        say(table::render(&table::HEAD, zones.iter().map(table::row)).trim_end());
    }
    if problems && !zones.is_empty() { exit::NO } else { exit::DONE }
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
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["secondo", "refresh"]).is_err());
        assert!(Cli::try_parse_from(["secondo", "refresh", "--all"]).is_ok());
        assert!(Cli::try_parse_from(["secondo", "run"]).is_err());
    }
}
