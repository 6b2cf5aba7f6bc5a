//! How the story sounds: calm, aligned, plain where nobody watches.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::stage::Stage;

/// Writes to standard output. Where it goes nowhere any more, the story is told to nobody; that is no error.
#[derive(Debug)]
pub struct Voice {
    colour: bool,
    terminal: bool,
    /// Marks beyond ASCII.
    marks: bool,
    start: Instant,
}

/// Shades of the terminal's own palette.
const PLAIN: &str = "0";
const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";

impl Voice {
    /// Looks at the terminal and at NO_COLOR.
    pub fn new() -> Voice {
        let terminal = io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        let locale = locale.unwrap_or_default().to_ascii_lowercase().replace('-', "");
        Voice {
            colour: terminal && !dumb && !set("NO_COLOR"),
            terminal: terminal && !dumb,
            marks: locale.contains("utf8"),
            start: Instant::now(),
        }
    }

    /// Text as it is.
    pub fn raw(&mut self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// The title, and who plays.
    pub fn opening(&mut self, title: &str, players: &[(&str, String)]) {
        let title = self.paint(BOLD, title);
        let mut text = format!("\n  {title}\n\n");
        for (role, who) in players {
            text += &format!("  {}  {who}\n", self.paint(DIM, &format!("{role:<8}")));
        }
        self.raw(&text);
    }

    /// A new act.
    pub fn act(&mut self, title: &str) {
        let title = self.paint(BOLD, title);
        self.raw(&format!("\n  {title}\n"));
    }

    /// Something that was seen.
    pub fn seen(&mut self, what: &str) {
        self.hush();
        let mark = self.paint(GREEN, if self.marks { "✓" } else { "*" });
        let text = format!("{}  {mark} {what}\n", self.clock());
        self.raw(&text);
    }

    /// Lines that belong to what was seen; those of a difference in their colours.
    pub fn lines(&mut self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let shade = match line.as_bytes()[0] {
                b'-' => RED,
                b'+' => GREEN,
                _ => PLAIN,
            };
            let line = self.paint(shade, line);
            self.raw(&format!("{:15}{line}\n", ""));
        }
    }

    /// What is waited for, on a terminal: overwritten by what comes next.
    pub fn waiting(&mut self, what: &str) {
        if self.terminal {
            let text = format!("\r\x1b[K{}    {}", self.clock(), self.paint(DIM, what));
            self.raw(&text);
        }
    }

    /// Where to look oneself, and how the story ended.
    pub fn farewell(&mut self, stage: &Stage, staying: bool) {
        let took = self.start.elapsed().as_secs_f64();
        let end = self.paint(BOLD, &format!("All of it was seen, in {took:.1} s."));
        let mut text = format!("\n  {end}\n\n");
        if staying {
            text += "  Both keep running, and the zone keeps changing, until Ctrl-C. Ask for yourself:\n\n";
        } else {
            text += "  With --stay both keep running, and these ask for yourself:\n\n";
        }
        for command in stage.commands() {
            text += &format!("    {command}\n");
        }
        text.push('\n');
        self.raw(&text);
    }

    /// What was not seen.
    pub fn failed(&mut self, why: &str) {
        self.hush();
        let mark = self.paint(RED, if self.marks { "✗" } else { "x" });
        let text = format!("{}  {mark} {why}\n", self.clock());
        self.raw(&text);
    }

    /// Takes back what was only waited for.
    fn hush(&mut self) {
        if self.terminal {
            self.raw("\r\x1b[K");
        }
    }

    fn clock(&self) -> String {
        let elapsed: Duration = self.start.elapsed();
        self.paint(DIM, &format!("{:>8.2} s", elapsed.as_secs_f64()))
    }

    fn paint(&self, shade: &str, text: &str) -> String {
        match self.colour && shade != PLAIN {
            true => format!("\x1b[{shade}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

impl Default for Voice {
    fn default() -> Voice {
        Voice::new()
    }
}
