//! `xiaoo-app store`: the store looked after from outside the daemon.

mod check;
mod export;
mod prune;

use std::io::Write;

use xiaoo_store::{StoreReader, StoreUrl};

use crate::cli::{StoreArgs, StoreCommand};
use crate::config::{Config, ConfigErrors, Env, locate, with_usual_password};
use crate::store::explain;

/// Which store is meant.
///
/// # Errors
/// What is wrong with the configuration that should say so.
pub fn url(args: &StoreArgs, env: &dyn Env) -> Result<StoreUrl, ConfigErrors> {
    match &args.store {
        Some(StoreUrl::Postgres(url)) => {
            Ok(StoreUrl::Postgres(with_usual_password(url.clone(), env)))
        }
        Some(url) => Ok(url.clone()),
        None => Config::store_url(&locate(args.config.as_deref(), env), env),
    }
}

/// Runs one of the `store` commands. Blocks, and must not be called in a runtime.
///
/// # Errors
/// What keeps it from being done, or what was found to be wrong.
pub fn run(
    command: &StoreCommand,
    url: &StoreUrl,
    out: &mut impl Write,
    progress: &mut impl Write,
) -> anyhow::Result<()> {
    match command {
        StoreCommand::Check(_) => check::run(url, out),
        StoreCommand::Export(args) => export::run(args, url, out, progress),
        StoreCommand::Prune(args) => prune::run(args, url, out),
    }
}

fn open(url: &StoreUrl) -> anyhow::Result<StoreReader> {
    StoreReader::open(url).map_err(|error| explain(url, error))
}

/// A number with commas, as people read it.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_commas() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (123_456, "123,456"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
