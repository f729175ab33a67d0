//! Asking a model for one token, to see whether it answers at all.

use std::time::Duration;

use reqwest::Client;
use xiaoo_agent::model::{Pictures, Question};
use xiaoo_agent::{Message, Model, ModelConfig, ModelError, ToolSet};

/// Whether the model says anything. Asked once, whatever the configuration says of retries.
///
/// # Errors
/// Why it says nothing; silence is [`ModelError::Idle`], and a configuration that no request can
/// be made with [`ModelError::BadRequest`].
pub(super) async fn ask(
    client: Client,
    mut config: ModelConfig,
    within: Duration,
) -> Result<(), ModelError> {
    config.max_tokens = Some(1);
    config.retry.tries_max = 1;
    let model = Model::new(client, config).map_err(|why| ModelError::BadRequest {
        message: why.to_string(),
    })?;
    let messages = [Message::user("ping")];
    let question = Question {
        system: "",
        messages: &messages,
        tools: &ToolSet::default(),
        pictures: &Pictures::default(),
    };
    let mut unwatched = |_: xiaoo_agent::model::Update<'_>| {};
    let asked = model.answer(&question, &mut unwatched);
    let answered = tokio::time::timeout(within, asked).await;
    match answered.unwrap_or(Err(ModelError::Idle { waited: within })) {
        Ok(_) => Ok(()),
        Err(error) if has_spoken(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// One token is no answer, and isn't meant to be.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else a server says, it didn't speak"
)]
fn has_spoken(error: &ModelError) -> bool {
    match error {
        ModelError::Empty | ModelError::Filtered | ModelError::Truncated => true,
        // Models that think first refuse to begin with so little.
        ModelError::BadRequest { message } => message.contains("tokens"),
        _ => false,
    }
}
