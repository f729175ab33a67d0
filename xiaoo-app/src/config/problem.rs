//! How problems read: one line each, fit for a terminal without colours and
//! for a log.

use std::fmt;
use std::io;
use std::path::Path;

use super::section::Spot;

/// One thing that is wrong: `config.toml:12: key.path: what, and the fix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was given.
    pub file: String,
    /// Counted from 1; `None` for what is nowhere in the file.
    pub line: Option<usize>,
    /// Counted from 1, in characters; only syntax errors have one.
    pub column: Option<usize>,
    /// The key's path, for example `channels.feishu.app_id`; empty for the file itself.
    pub key: String,
    /// What is wrong, and what to do.
    pub message: String,
    /// The lines of the file that show it, with a mark under the place.
    pub excerpt: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.excerpt {
            Some(excerpt) => write!(f, "\n{excerpt}"),
            None => Ok(()),
        }
    }
}

/// Something that works, but perhaps not as its author thinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub Problem);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a configuration can't be used: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// In the order of the file.
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn unreadable(path: &Path, why: &io::Error) -> Self {
        let hint = if why.kind() == io::ErrorKind::NotFound {
            "; name the file with --config or XIAOO_CONFIG, or make one: xiaoo-app init"
        } else {
            ""
        };
        Self {
            problems: vec![Problem {
                file: path.display().to_string(),
                line: None,
                column: None,
                key: String::new(),
                message: format!("can't be read: {why}{hint}"),
                excerpt: None,
            }],
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects problems and warnings while a file is checked.
#[derive(Debug)]
pub(super) struct Report {
    file: String,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// Problems shown at once. Whoever mistakes one file for another gets the
/// idea from these.
const PROBLEMS_MAX: usize = 50;

impl Report {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            file: path.display().to_string(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn error<T>(&mut self, spot: &Spot<T>, message: impl Into<String>) {
        let problem = self.problem(spot, message.into());
        self.push(problem);
    }

    pub(super) fn warn<T>(&mut self, spot: &Spot<T>, message: impl Into<String>) {
        if self.warnings.len() < PROBLEMS_MAX {
            let warning = self.problem(spot, message.into());
            self.warnings.push(warning);
        }
    }

    pub(super) fn push(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    fn problem<T>(&self, spot: &Spot<T>, message: String) -> Problem {
        Problem {
            file: self.file.clone(),
            line: spot.line,
            column: None,
            key: spot.key.clone(),
            message,
            excerpt: None,
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.problems.is_empty()
    }

    pub(super) fn into_errors(mut self) -> ConfigErrors {
        in_file_order(&mut self.problems);
        ConfigErrors {
            problems: self.problems,
        }
    }

    pub(super) fn into_warnings(mut self) -> Vec<Warning> {
        in_file_order(&mut self.warnings);
        self.warnings.into_iter().map(Warning).collect()
    }
}

/// What has no line comes last.
fn in_file_order(problems: &mut [Problem]) {
    problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
}
