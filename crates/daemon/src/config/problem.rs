//! What is wrong with a configuration, and where: every error and warning of all files, collected in one pass.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::certificates::OwnCertificate;

/// Errors kept, and warnings kept; more are only counted, so that a file of junk cannot fill the memory.
const MAX_PROBLEMS: usize = 1000;
/// Errors that come with a search for the name that was probably meant.
const MAX_ADVICE: usize = 100;

/// One error or warning. Shown as `FILE:LINE:COLUMN: what is wrong, what was expected`. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, spelled as it was given or found.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)
    }
}

impl std::error::Error for Problem {}

/// A place in one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    /// Index into the files of [`Findings`], in the order of reading.
    pub(super) file: u32,
    /// Line, from 1.
    pub(super) line: u32,
    /// Column in characters, from 1.
    pub(super) column: u32,
}

/// A file that was read, or that could not be.
#[derive(Debug)]
struct Source {
    path: Arc<Path>,
    /// Anybody on this machine may read it: a reason to warn about secrets in it.
    world_readable: bool,
}

/// Everything found so far, in all files.
#[derive(Debug, Default)]
pub(super) struct Findings {
    sources: Vec<Source>,
    errors: Vec<(Mark, String)>,
    warnings: Vec<(Mark, String)>,
    /// Errors of YAML itself; when there are any, they are reported alone.
    syntax: Vec<(Mark, String)>,
    /// Errors beyond [`MAX_PROBLEMS`].
    dropped: usize,
    /// Those that say who we are.
    pub(super) certificates: Vec<OwnCertificate>,
}

impl Findings {
    /// Takes up a file and returns the mark of its beginning.
    pub(super) fn open(&mut self, path: &Path) -> Mark {
        let file = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.push(Source { path: path.into(), world_readable: false });
        Mark { file, line: 1, column: 1 }
    }

    /// Notes that the file of `mark` may be read by anybody on this machine.
    pub(super) fn set_world_readable(&mut self, mark: Mark) {
        if let Some(source) = self.sources.get_mut(mark.file as usize) {
            source.world_readable = true;
        }
    }

    /// Whether the file of `mark` may be read by anybody on this machine.
    pub(super) fn is_world_readable(&self, mark: Mark) -> bool {
        self.sources.get(mark.file as usize).is_some_and(|source| source.world_readable)
    }

    /// Whether there are so many errors already that costly words for one more help nobody.
    pub(super) fn is_flood(&self) -> bool {
        self.errors.len() >= MAX_ADVICE
    }

    /// An error. The same words at the same place are reported once (a node may be reached by several aliases).
    pub(super) fn error(&mut self, mark: Mark, message: impl Into<String>) {
        if self.errors.len() >= MAX_PROBLEMS {
            self.dropped += 1;
            return;
        }
        self.errors.push((mark, message.into()));
    }

    /// An error of YAML itself.
    pub(super) fn syntax(&mut self, mark: Mark, message: impl Into<String>) {
        self.syntax.push((mark, message.into()));
    }

    /// Something that works but should not stay so.
    pub(super) fn warn(&mut self, mark: Mark, message: impl Into<String>) {
        if self.warnings.len() < MAX_PROBLEMS {
            self.warnings.push((mark, message.into()));
        }
    }

    /// `FILE:LINE:COLUMN` of a mark, for messages that point at a second place.
    pub(super) fn place(&self, mark: Mark) -> String {
        format!("{}:{}:{}", self.path(mark).display(), mark.line, mark.column)
    }

    /// The warnings, or, when there is any error, the errors alone: sorted by file and place.
    pub(super) fn verdict(mut self) -> Result<Vec<Problem>, Vec<Problem>> {
        if !self.syntax.is_empty() {
            let syntax = std::mem::take(&mut self.syntax);
            return Err(self.sorted(syntax));
        }
        if self.errors.is_empty() {
            let warnings = std::mem::take(&mut self.warnings);
            return Ok(self.sorted(warnings));
        }
        let errors = std::mem::take(&mut self.errors);
        let last = errors.last().map(|(mark, _)| *mark);
        let mut problems = self.sorted(errors);
        if let (Some(mark), 1..) = (last, self.dropped) {
            problems.push(self.problem(mark, format!("{} more errors are not shown", self.dropped)));
        }
        Err(problems)
    }

    fn sorted(&self, mut found: Vec<(Mark, String)>) -> Vec<Problem> {
        found.sort();
        found.dedup();
        found.into_iter().map(|(mark, message)| self.problem(mark, message)).collect()
    }

    fn problem(&self, mark: Mark, message: String) -> Problem {
        Problem { file: self.path(mark).to_owned(), line: mark.line, column: mark.column, message }
    }

    fn path(&self, mark: Mark) -> &Path {
        self.sources.get(mark.file as usize).map_or(Path::new("?"), |source| &source.path)
    }
}

/// A word of the file inside a message: in back quotes, shortened, control characters escaped.
/// Never used on anything that may be a secret.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut out = String::from("`");
    for (n, c) in text.chars().enumerate() {
        if n == LONGEST {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.push('`');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_and_said_once() {
        let mut findings = Findings::default();
        let start = findings.open(Path::new("a.yaml"));
        let later = Mark { line: 7, column: 3, ..start };
        findings.error(later, "second");
        findings.error(start, "first");
        findings.error(later, "second");
        let shown: Vec<String> = findings.verdict().unwrap_err().iter().map(Problem::to_string).collect();
        assert_eq!(shown, ["a.yaml:1:1: first", "a.yaml:7:3: second"]);
    }

    #[test]
    fn an_error_of_syntax_is_reported_alone() {
        let mut findings = Findings::default();
        let start = findings.open(Path::new("a.yaml"));
        findings.error(start, "other");
        findings.syntax(start, "broken");
        assert_eq!(findings.verdict().unwrap_err().len(), 1);
    }

    #[test]
    fn a_flood_of_errors_is_counted_not_kept() {
        let mut findings = Findings::default();
        let start = findings.open(Path::new("a.yaml"));
        for line in 1..=1500 {
            findings.error(Mark { line, ..start }, "bad");
        }
        let problems = findings.verdict().unwrap_err();
        assert_eq!(problems.len(), 1001);
        assert_eq!(problems[1000].message, "500 more errors are not shown");
    }

    #[test]
    fn words_in_messages_are_shortened_and_escaped() {
        assert_eq!(quoted("a\u{1b}[31mb"), "`a\\u{1b}[31mb`");
        assert_eq!(quoted(&"x".repeat(500)).chars().count(), 63);
    }
}
