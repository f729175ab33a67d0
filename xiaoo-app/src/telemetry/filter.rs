//! What is logged.
//!
//! A level without a name is this program's own. The libraries under it stay at `info` then:
//! what they say of themselves at `debug` holds people's words (a database client its values, an
//! MCP client its messages), and only whoever names them gets that.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterFn, filter_fn};

use super::Complaint;
use crate::config::Env;

/// Link up or down, the life of the daemon, and what an operator may care about.
pub(super) const USUAL: &str = "info";

/// The crates of this program.
const OURS: &[&str] = &[
    "feishu_sim",
    "model_sim",
    "proto_core",
    "runtime_tokio",
    "xiaoo_agent",
    "xiaoo_app",
    "xiaoo_store",
];

/// What of the libraries is too much at `info` already: an MCP client says there whatever a
/// server tells it.
const TALKATIVE: &str = "rmcp=warn";

/// Who logs at `trace` what goes over a long connection: the request that opens it, with the
/// ticket and the access key, and each frame, with the verification token of its event.
const SEES_SECRETS: &str = "tungstenite";

/// What the environment asks for.
pub(super) fn filter(env: &dyn Env) -> Result<EnvFilter, Complaint> {
    let set = ["XIAOO_LOG", "RUST_LOG"].into_iter().find_map(|variable| {
        let value = env.var(variable)?;
        (!value.trim().is_empty()).then_some((variable, value))
    });
    let Some((variable, value)) = set else {
        return Ok(usual());
    };
    EnvFilter::try_new(spelled_out(&value)).map_err(|why| Complaint::Filter {
        variable,
        why: why.to_string(),
    })
}

/// What is logged where nobody says.
pub(super) fn usual() -> EnvFilter {
    EnvFilter::new(spelled_out(USUAL))
}

/// Holds back what has a secret in it, whatever was asked for.
pub(super) fn keeps_secrets() -> FilterFn {
    filter_fn(|line| *line.level() != Level::TRACE || !line.target().starts_with(SEES_SECRETS))
}

/// With each level that has no name as what it means; what has a name comes after, and counts.
fn spelled_out(written: &str) -> String {
    let (mut meant, mut named) = (Vec::new(), Vec::new());
    for directive in written.split(',').map(str::trim) {
        match directive.parse::<LevelFilter>() {
            Ok(level) if level >= LevelFilter::INFO => {
                meant.extend([USUAL.to_owned(), TALKATIVE.to_owned()]);
                if level > LevelFilter::INFO {
                    meant.extend(OURS.iter().map(|name| format!("{name}={level}")));
                }
            }
            Ok(_) | Err(_) => named.push(directive.to_owned()),
        }
    }
    meant.extend(named);
    meant.join(",")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::variables;
    use super::*;

    #[test]
    fn the_filter_comes_from_our_variable_then_rusts_then_the_usual() {
        for (pairs, expected) in [
            (&[][..], "info,rmcp=warn"),
            (&[("RUST_LOG", "warn")][..], "warn"),
            (&[("XIAOO_LOG", "error"), ("RUST_LOG", "info")][..], "error"),
            (&[("XIAOO_LOG", " "), ("RUST_LOG", "warn")][..], "warn"),
        ] {
            assert_eq!(said(pairs), words(expected), "{pairs:?}");
        }
        let broken = filter(&variables(&[("XIAOO_LOG", "a=b=c")])).unwrap_err();
        assert!(
            matches!(&broken, Complaint::Filter { variable, .. } if *variable == "XIAOO_LOG"),
            "{broken}"
        );
    }

    #[test]
    fn a_level_without_a_name_is_this_programs_own_and_names_are_taken_as_they_are() {
        let ours = |level: &str| {
            let each: Vec<_> = OURS.iter().map(|name| format!("{name}={level}")).collect();
            each.join(",")
        };
        for (written, expected) in [
            ("debug", format!("info,rmcp=warn,{}", ours("debug"))),
            ("5", format!("info,rmcp=warn,{}", ours("trace"))),
            (
                "debug,hyper=debug",
                format!("info,rmcp=warn,{},hyper=debug", ours("debug")),
            ),
            (
                "rmcp=trace, debug",
                format!("info,rmcp=trace,{}", ours("debug")),
            ),
            ("xiaoo_app=debug", "xiaoo_app=debug".into()),
            (
                "info,tokio_postgres=debug",
                "info,rmcp=warn,tokio_postgres=debug".into(),
            ),
            ("off", "off".into()),
        ] {
            let filter = EnvFilter::try_new(spelled_out(written)).unwrap();
            assert_eq!(words(&filter.to_string()), words(&expected), "{written}");
        }
    }

    fn said(pairs: &'static [(&'static str, &'static str)]) -> BTreeSet<String> {
        words(&filter(&variables(pairs)).unwrap().to_string())
    }

    /// The filter's own order is that of how particular they are.
    fn words(filter: &str) -> BTreeSet<String> {
        filter.split(',').map(str::to_owned).collect()
    }
}
