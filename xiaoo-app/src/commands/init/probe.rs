//! Trying an answer out, at once.

use std::time::Duration;

use runtime_tokio::openapi::{ApiError, BotInfo, OpenApi, OpenApiConfig, Patience};
use secrecy::SecretString;
use xiaoo_agent::{ModelConfig, Provider};

use crate::clients::Clients;
use crate::commands::model_probe;

/// Somebody waits for it. One more try is for what passes.
const PATIENCE: Patience = Patience {
    call_timeout: Duration::from_secs(10),
    tries_max: 2,
    backoff: Duration::from_millis(300),
    too_fast: Duration::from_secs(1),
    wait_max: Duration::from_secs(5),
    total_max: Duration::from_secs(20),
};
/// A local model that has to be loaded first may take that long for its first token.
const MODEL_WITHIN: Duration = Duration::from_secs(60);

/// What became of a try.
#[derive(Debug)]
pub(super) enum Tried<T> {
    /// It works.
    Good(T),
    /// The answer is wrong.
    Wrong(String),
    /// It could not be tried from here.
    Unknown(String),
}

/// Whose app it is: the cloud that knows it, and the bot there.
pub(super) async fn app(
    clients: &mut Clients,
    bases: &[String],
    app_id: &str,
    app_secret: SecretString,
) -> anyhow::Result<Tried<(String, BotInfo)>> {
    let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
    for base in bases {
        let config = OpenApiConfig {
            base_url: base.clone(),
            app_id: app_id.to_owned(),
            app_secret: app_secret.clone(),
            patience: PATIENCE,
        };
        match OpenApi::new(clients.of(base)?, config).bot_info().await {
            Ok(bot) => return Ok(Tried::Good((base.clone(), bot))),
            // The token was good, so the app is: it has no bot yet.
            Err(failure @ ApiError::Code { .. }) if !failure.is_about_token() => {
                let bot = BotInfo {
                    open_id: String::new(),
                    app_name: String::new(),
                    activate_status: 0,
                };
                return Ok(Tried::Good((base.clone(), bot)));
            }
            Err(failure @ ApiError::Code { .. }) => wrong.push(format!("{base}: {failure}")),
            Err(failure) => unknown.push(format!("{base}: {failure}")),
        }
    }
    // One cloud that could not be asked may be the one.
    Ok(if unknown.is_empty() {
        Tried::Wrong(wrong.join("\n"))
    } else {
        Tried::Unknown([wrong, unknown].concat().join("\n"))
    })
}

/// Whether the model says anything. One token is asked for.
pub(super) async fn model(
    clients: &mut Clients,
    provider: Provider,
    api_base: &str,
    name: &str,
    api_key: Option<SecretString>,
) -> anyhow::Result<Tried<()>> {
    let config = ModelConfig::new(provider, api_base, name).with_api_key(api_key);
    let client = clients.of(api_base)?;
    Ok(match model_probe::ask(client, config, MODEL_WITHIN).await {
        Ok(()) => Tried::Good(()),
        Err(why) if why.needs_operator() => Tried::Wrong(why.to_string()),
        Err(why) => Tried::Unknown(why.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use feishu_sim::{FaultKind, Sim, SimConfig};
    use model_sim::{ModelSim, ModelSimConfig};

    use super::*;

    async fn cloud(app_id: &str) -> Sim {
        let config = SimConfig {
            app_id: app_id.to_owned(),
            ..SimConfig::default()
        };
        Sim::start(config).await.unwrap()
    }

    #[tokio::test]
    async fn the_cloud_is_the_one_that_knows_the_app() {
        let (feishu, lark) = (
            cloud("cli_0000000000000001").await,
            cloud("cli_0000000000000002").await,
        );
        let urls = [feishu.base_url(), lark.base_url()];
        let mut clients = Clients::new(None);
        let secret = || SecretString::from(lark.config().app_secret.clone());
        for (app_id, base) in [("cli_0000000000000001", 0), ("cli_0000000000000002", 1)] {
            let tried = app(&mut clients, &urls, app_id, secret()).await.unwrap();
            let Tried::Good((found, bot)) = tried else {
                panic!("{app_id}: {tried:?}");
            };
            assert_eq!(found, urls[base]);
            assert!(!bot.open_id.is_empty());
        }
        for (app_id, secret) in [
            ("cli_0000000000000003", secret()),
            ("cli_0000000000000001", "another".into()),
        ] {
            let tried = app(&mut clients, &urls, app_id, secret).await.unwrap();
            assert!(matches!(&tried, Tried::Wrong(_)), "{app_id}: {tried:?}");
        }
        // A cloud that can't be asked may be the one.
        lark.faults().add(FaultKind::ApiStatus { status: 503 });
        let tried = app(&mut clients, &urls, "cli_0000000000000002", secret()).await;
        assert!(matches!(tried.unwrap(), Tried::Unknown(_)));
    }

    #[tokio::test]
    async fn a_model_that_says_one_token_works() {
        let mut config = ModelSimConfig::for_tests();
        config.api_key = Some("a key".into());
        let sim = ModelSim::start(config).await.unwrap();
        let mut clients = Clients::new(None);
        let base = sim.base_url();
        for (base, key, works) in [
            (base.as_str(), Some("a key"), true),
            (base.as_str(), Some("another"), false),
            (base.as_str(), None, false),
            ("nowhere", Some("a key"), false),
        ] {
            let key_given = key.map(SecretString::from);
            let provider = Provider::Compatible;
            let tried = model(&mut clients, provider, base, "scripted", key_given).await;
            let tried = tried.unwrap();
            let as_expected = match &tried {
                Tried::Good(()) => works,
                Tried::Wrong(_) => !works,
                Tried::Unknown(_) => false,
            };
            assert!(as_expected, "{base} {key:?}: {tried:?}");
        }
        let asked = sim.requests();
        assert!(asked.iter().all(|request| request.body["max_tokens"] == 1));
        sim.shutdown().await;
        let tried = model(&mut clients, Provider::Compatible, &base, "scripted", None).await;
        assert!(matches!(tried.unwrap(), Tried::Unknown(_)));
    }
}
