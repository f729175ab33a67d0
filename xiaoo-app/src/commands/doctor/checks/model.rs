//! The model: one question that costs one token.

use std::time::Duration;

use xiaoo_agent::{ModelConfig, ModelError};

use super::super::findings as found;
use super::super::findings::{Finding, Words};
use super::super::judged;
use super::super::report::Check;
use super::{Judged, is_dns, is_tls, silence};
use crate::clients::Clients;
use crate::commands::model_probe;
use crate::config::Config;

/// One token of a model that is awake comes sooner.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

const MODEL: Words = Words {
    en: "the model answers",
    zh: "模型能应答",
};

pub(in super::super) async fn checks(config: &Config) -> Vec<Check> {
    let ca_file = config.channels.first().and_then(|bot| bot.ca_file.clone());
    let asked = asked_by_agents(config).into_iter().map(|(agent, model)| {
        let clients = Clients::new(ca_file.clone());
        async move { judged("model", MODEL, ask(model, clients).await).about(agent) }
    });
    futures_util::future::join_all(asked).await
}

/// The models that some agent asks, each once, in their order; with the agent's name where not
/// all of them ask it.
fn asked_by_agents(config: &Config) -> Vec<(Option<&str>, ModelConfig)> {
    let mut asked: Vec<(Option<&str>, ModelConfig)> = Vec::new();
    for agent in &config.agents {
        for model in config.llm.model_configs(agent.model.as_deref()) {
            let is_same = |known: &ModelConfig| {
                known.model == model.model && known.api_base == model.api_base
            };
            if !asked.iter().any(|(_, known)| is_same(known)) {
                let own = agent.model.is_some() && agent.model.as_deref() == Some(&model.model);
                asked.push((own.then_some(agent.id.as_str()), model));
            }
        }
    }
    asked
}

async fn ask(config: ModelConfig, mut clients: Clients) -> Judged {
    let base = config.api_base.clone();
    let seen = format!("{} at {base}", config.model);
    let client = clients
        .of(&base)
        .map_err(|error| (&found::CA_FILE_UNUSABLE, format!("{error:#}")))?;
    match model_probe::ask(client, config, ANSWER_WITHIN).await {
        Ok(()) => Ok(seen),
        Err(error) => {
            let finding = finding(&error);
            let finding = silence::told_apart(finding, &found::MODEL_SILENT, &base).await;
            Err((finding, format!("{seen}: {error}")))
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what a server refuses in other ways reads the same to an operator"
)]
fn finding(error: &ModelError) -> &'static Finding {
    match error {
        ModelError::Unauthorized { .. } | ModelError::Forbidden { .. } => &found::MODEL_KEY,
        ModelError::NotFound { .. } => &found::MODEL_UNKNOWN,
        ModelError::NoCredit { .. } => &found::MODEL_CREDIT,
        ModelError::RateLimited { .. }
        | ModelError::Overloaded { .. }
        | ModelError::Provider { .. } => &found::MODEL_BUSY,
        ModelError::Transport { what } if is_tls(what) => &found::TLS_UNTRUSTED,
        ModelError::Transport { what } if is_dns(what) => &found::DNS_FAILS,
        ModelError::Transport { .. } => &found::MODEL_UNREACHABLE,
        ModelError::Idle { .. } | ModelError::NoProgress { .. } => &found::MODEL_SILENT,
        _ => &found::MODEL_REFUSES,
    }
}
