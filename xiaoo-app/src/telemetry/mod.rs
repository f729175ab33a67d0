//! Logs: one fact a line.
//!
//! | | |
//! | --- | --- |
//! | what is logged | `XIAOO_LOG`, else `RUST_LOG`, else `info`: see `filter` |
//! | how it looks | `--log-format`, else `XIAOO_LOG_FORMAT`, else [`LogFormat::Auto`] |
//! | where it goes | to stderr, or to the journal with every fact a field of its own |
//!
//! A line is one line whatever is in it. Colours only on a terminal, and never with `NO_COLOR`.

mod filter;
mod journal;
mod line;

use std::io::{IsTerminal as _, stderr};

use clap::ValueEnum;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Env;
use journal::Journal;
use line::Lines;

/// How lines of the log look, and where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// journald where stderr is the journal, as it is under systemd; else text
    Auto,
    /// For people, to stderr
    Text,
    /// One JSON object a line, to stderr
    Json,
    /// To systemd's journal, every fact a field of the entry
    Journald,
}

impl LogFormat {
    /// The variable that says it where no option does.
    pub const VARIABLE: &'static str = "XIAOO_LOG_FORMAT";

    /// The option's, else the variable's.
    fn choose(option: Option<Self>, env: &dyn Env) -> Result<Self, Complaint> {
        let written = env.var(Self::VARIABLE).unwrap_or_default();
        match (option, written.trim()) {
            (Some(format), _) => Ok(format),
            (None, "") => Ok(Self::Auto),
            (None, written) => Self::from_str(written, true).map_err(|_| Complaint::Format {
                written: written.to_owned(),
            }),
        }
    }
}

/// Starts logging. A second call in one process does nothing.
///
/// Returns what could not be done as it was asked for; the caller tells the operator, and what
/// is usual is done instead.
#[must_use]
pub fn init(option: Option<LogFormat>, env: &dyn Env) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let filter = filter::filter(env).unwrap_or_else(|why| {
        complaints.push(why);
        filter::usual()
    });
    let format = LogFormat::choose(option, env).unwrap_or_else(|why| {
        complaints.push(why);
        LogFormat::Auto
    });
    let is_journal = match format {
        LogFormat::Auto => journal::is_stderr(env),
        LogFormat::Journald => true,
        LogFormat::Text | LogFormat::Json => false,
    };
    let journal = is_journal.then(Journal::open).and_then(|opened| {
        opened
            .map_err(|why| complaints.push(Complaint::Journal(why.to_string())))
            .ok()
    });
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match (journal, format) {
        (Some(journal), _) => journal.boxed(),
        (None, LogFormat::Json) => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_writer(Lines)
            .boxed(),
        (None, LogFormat::Auto | LogFormat::Text | LogFormat::Journald) => fmt::layer()
            .with_ansi(has_colours(env, stderr().is_terminal()))
            .with_writer(Lines)
            .boxed(),
    };
    let started = tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .with(filter::keeps_secrets())
        .try_init();
    // The only failure is that a logger is there already, as in tests.
    drop(started);
    complaints
}

/// Something about the log that is not as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    /// A filter that can't be read.
    #[error("{variable}: {why}; logging at `{usual}`", usual = filter::USUAL)]
    Filter {
        /// Where it was found.
        variable: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A format that nobody knows.
    #[error(
        "{variable}: there is no format {written:?}, only text, json, journald and auto; \
         taken as auto",
        variable = LogFormat::VARIABLE
    )]
    Format {
        /// What is written there.
        written: String,
    },
    /// The journal does not take lines.
    #[error("the journal cannot be reached, logging to stderr instead: {0}")]
    Journal(String),
}

/// Whether colours can be shown where something is printed, and may be.
///
/// <https://no-color.org>: any value but the empty one.
pub fn has_colours(env: &dyn Env, is_terminal: bool) -> bool {
    let refused = env.var("NO_COLOR").is_some_and(|value| !value.is_empty());
    is_terminal && !refused
}

#[cfg(test)]
fn variables(pairs: &'static [(&'static str, &'static str)]) -> impl Env {
    move |name: &str| {
        let found = pairs.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_options_then_the_variables_then_auto() {
        for (option, written, expected) in [
            (None, None, Ok(LogFormat::Auto)),
            (None, Some(" "), Ok(LogFormat::Auto)),
            (None, Some("JSON"), Ok(LogFormat::Json)),
            (None, Some(" text "), Ok(LogFormat::Text)),
            (None, Some("journald"), Ok(LogFormat::Journald)),
            (Some(LogFormat::Text), Some("json"), Ok(LogFormat::Text)),
            (Some(LogFormat::Auto), Some("xml"), Ok(LogFormat::Auto)),
            (
                None,
                Some("xml"),
                Err(Complaint::Format {
                    written: "xml".into(),
                }),
            ),
        ] {
            let env = |name: &str| {
                let value = (name == LogFormat::VARIABLE).then_some(written)?;
                value.map(str::to_owned)
            };
            assert_eq!(LogFormat::choose(option, &env), expected, "{written:?}");
        }
    }

    #[test]
    fn colours_need_a_terminal_and_consent() {
        assert!(has_colours(&variables(&[]), true));
        assert!(has_colours(&variables(&[("NO_COLOR", "")]), true));
        assert!(!has_colours(&variables(&[("NO_COLOR", "1")]), true));
        assert!(!has_colours(&variables(&[]), false));
    }
}
