//! Logs: one fact a line, to stderr.
//!
//! `XIAOO_LOG` (or `RUST_LOG`) says what is logged, in the syntax of
//! `tracing-subscriber`'s filters; `info` when neither does. With
//! `XIAOO_LOG_FORMAT=json` each line is a JSON object. Colours only on a
//! terminal, and never with `NO_COLOR`.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::Env;

/// Starts logging. A second call in one process does nothing.
///
/// Returns what is wrong with the filter, if anything: the default is then
/// used, and the caller logs the complaint.
pub fn init(env: &dyn Env) -> Result<(), InvalidFilter> {
    let (filter, complaint) = match filter(env) {
        Ok(filter) => (filter, Ok(())),
        Err(why) => (EnvFilter::new(DEFAULT), Err(why)),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_span_events(FmtSpan::NONE)
        .with_ansi(has_colours(env, stderr().is_terminal()));
    let started = if is_json(env) {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .try_init()
    } else {
        lines.try_init()
    };
    // The only failure is that a logger is there already, as in tests.
    drop(started);
    complaint
}

/// A filter that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {why}; logging at `{DEFAULT}`")]
pub struct InvalidFilter {
    /// Where it was found.
    pub variable: &'static str,
    /// What is wrong with it.
    pub why: String,
}

/// Link up or down, the life of the daemon, and what an operator may care about.
const DEFAULT: &str = "info";
/// What logs people's words when it is asked for details: the database client each
/// value that it sends. Only whoever names it gets that.
const TALKATIVE: &str = "tokio_postgres";

fn filter(env: &dyn Env) -> Result<EnvFilter, InvalidFilter> {
    let set = ["XIAOO_LOG", "RUST_LOG"].into_iter().find_map(|variable| {
        let value = env.var(variable)?;
        (!value.trim().is_empty()).then_some((variable, value))
    });
    let Some((variable, value)) = set else {
        return Ok(EnvFilter::new(DEFAULT));
    };
    let filter = if value.contains(TALKATIVE) {
        value
    } else {
        format!("{TALKATIVE}={DEFAULT},{value}")
    };
    EnvFilter::try_new(&filter).map_err(|why| InvalidFilter {
        variable,
        why: why.to_string(),
    })
}

fn is_json(env: &dyn Env) -> bool {
    env.var("XIAOO_LOG_FORMAT")
        .is_some_and(|format| format.eq_ignore_ascii_case("json"))
}

/// <https://no-color.org>: any value but the empty one.
fn has_colours(env: &dyn Env, is_terminal: bool) -> bool {
    let refused = env.var("NO_COLOR").is_some_and(|value| !value.is_empty());
    is_terminal && !refused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &'static [(&'static str, &'static str)]) -> impl Env {
        move |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn the_filter_comes_from_our_variable_then_rusts_then_the_default() {
        for (pairs, expected) in [
            (&[][..], "info"),
            (&[("RUST_LOG", "warn")][..], "tokio_postgres=info,warn"),
            (
                &[("XIAOO_LOG", "debug"), ("RUST_LOG", "warn")][..],
                "tokio_postgres=info,debug",
            ),
            (
                &[("XIAOO_LOG", " "), ("RUST_LOG", "warn")][..],
                "tokio_postgres=info,warn",
            ),
            (
                &[("XIAOO_LOG", "info,tokio_postgres=debug")][..],
                "tokio_postgres=debug,info",
            ),
        ] {
            assert_eq!(filter(&env(pairs)).unwrap().to_string(), expected);
        }
        let broken = filter(&env(&[("XIAOO_LOG", "a=b=c")])).unwrap_err();
        assert_eq!(broken.variable, "XIAOO_LOG");
    }

    #[test]
    fn colours_need_a_terminal_and_consent() {
        assert!(has_colours(&env(&[]), true));
        assert!(has_colours(&env(&[("NO_COLOR", "")]), true));
        assert!(!has_colours(&env(&[("NO_COLOR", "1")]), true));
        assert!(!has_colours(&env(&[]), false));
    }

    #[test]
    fn json_is_asked_for_by_name() {
        assert!(is_json(&env(&[("XIAOO_LOG_FORMAT", "JSON")])));
        assert!(!is_json(&env(&[("XIAOO_LOG_FORMAT", "text")])));
        assert!(!is_json(&env(&[])));
    }
}
