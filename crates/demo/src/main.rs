//! `secondo-demo [--stay]` tells the story; `secondo-demo run --config FILE` is the daemon that it is about.

use std::process::ExitCode;
use std::time::Instant;

use secondo_demo::{Interrupt, Stage, Voice, stay, tell};

const USAGE: &str = "\
Shows secondo at work on loopback: a scripted primary, the real daemon, and what happens between them.

Usage: secondo-demo [--stay]

  --stay  when the story is told, keep both running and the zone changing, until Ctrl-C
  --help  this text

Ends within 40 seconds without --stay; exit code 0 only if every act was seen. NO_COLOR is respected.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let staying = match arguments[..] {
        // The daemon is this same program, so that what is shown is what was built.
        ["run" | "check" | "status" | "refresh" | "retransfer" | "reload" | "stop", ..] => {
            return secondo_daemon::cli::main();
        }
        [] => false,
        ["--stay"] => true,
        ["--help" | "-h"] => {
            Voice::new().raw(USAGE);
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut voice = Voice::new();
    match show(&mut voice, staying) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            voice.failed(&why);
            ExitCode::FAILURE
        }
    }
}

fn show(voice: &mut Voice, staying: bool) -> Result<(), String> {
    let interrupt = Interrupt::listen()?;
    let start = Instant::now();
    let mut stage = Stage::set(&interrupt)?;
    let told = tell(&mut stage, voice, start);
    let told = match told {
        Ok(()) if staying => {
            voice.farewell(&stage, true);
            stay(&mut stage, voice)
        }
        Ok(()) => {
            voice.farewell(&stage, false);
            Ok(())
        }
        failed => failed,
    };
    let told = match told {
        Err(_) if interrupt.came() && staying => Ok(()),
        Err(_) if interrupt.came() => Err("interrupted before the end of the story".into()),
        Err(why) => Err(format!("{why}\n\n{}", stage.daemon.log().tail(12))),
        Ok(()) => Ok(()),
    };
    let left = stage.leave();
    // Interrupted while it starts, the daemon cannot be asked yet; it is gone all the same.
    told.and(if interrupt.came() { Ok(()) } else { left })
}
