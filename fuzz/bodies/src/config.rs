//! Any text as a configuration: problems are said and never quote a secret, and
//! what is accepted can be used.

use std::path::Path;
use std::sync::LazyLock;

use runtime_tokio::http::{HttpOptions, client};
use xiaoo_agent::Model;
use xiaoo_app::config::Config;

/// Stands in the environment for every secret, and must not be said.
const PLANTED: &str = "planted-5ec2e7";

/// Loads a configuration.
pub fn config(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    match load(text) {
        Ok((config, said)) => {
            assert!(!said.contains(PLANTED), "a warning quotes a secret: {said}");
            assert!(toml::from_str::<toml::Table>(bare(text)).is_ok());
            is_usable(&config);
            // A line more that says nothing changes nothing.
            let (again, said_again) = load(&format!("{text}\n# end\n")).expect("as good as before");
            assert_eq!(said_again, said);
            assert_eq!(format!("{again:?}"), format!("{config:?}"));
        }
        Err(said) => {
            assert!(!said.is_empty(), "refused without a word");
            assert!(!said.contains(PLANTED), "a problem quotes a secret: {said}");
        }
    }
}

/// What is loaded, or what is wrong with it; with the warnings.
fn load(text: &str) -> Result<(Config, String), String> {
    let env = |name: &str| {
        let value = match name {
            "HOME" => "/home/me",
            "UNSET" => return None,
            "EMPTY" => "",
            _ => PLANTED,
        };
        Some(value.to_owned())
    };
    match Config::parse(Path::new("/etc/xiaoo/config.toml"), text, &env) {
        Ok((config, warnings)) => {
            let said = warnings.iter().map(|warning| format!("{warning}\n"));
            Ok((config, said.collect()))
        }
        Err(errors) => Err(errors.to_string()),
    }
}

/// Nothing that the daemon makes of it at its start can fail any more.
fn is_usable(config: &Config) {
    assert!(
        !format!("{config:?}").contains(PLANTED),
        "Debug prints a secret"
    );
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        client(&HttpOptions::default()).expect("a client of the machine's defaults")
    });
    for agent in &config.agents {
        for model in config.llm.model_configs(agent.model.as_deref()) {
            let model = Model::new(CLIENT.clone(), model);
            assert!(model.is_ok(), "no request can be made: {model:?}");
        }
    }
    for bot in &config.channels {
        let _ = bot.host_policy();
    }
}

/// Without the mark that Windows editors put first.
fn bare(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
