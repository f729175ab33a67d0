//! Who the bot is: asked of Feishu once, in the background.
//!
//! Until it is known, turns wait. Nothing is lost meanwhile: what may be for
//! the bot is durable and judged later.

use std::time::Duration;

use runtime_tokio::openapi::OpenApi;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// The first wait after a failure; doubles each time.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait: an operator who mends the app should not have to restart.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Asks until there is an answer, the bot's open_id, or until `stop`.
pub async fn learn(api: OpenApi, known: watch::Sender<Option<String>>, stop: CancellationToken) {
    let mut wait = RETRY_FIRST;
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return,
            asked = api.bot_info() => asked,
        };
        match asked {
            Ok(bot) if !bot.open_id.is_empty() => {
                info!(
                    bot_open_id = bot.open_id,
                    bot_name = bot.app_name,
                    "the bot's identity is known"
                );
                known.send_replace(Some(bot.open_id));
                return;
            }
            Ok(_) => warn!(
                "Feishu names no open_id for this bot: is the bot ability switched on and published?"
            ),
            Err(failure) if failure.is_fatal_config() => {
                error!(
                    "the bot's identity cannot be had: {failure}; check app_id and the app secret"
                );
            }
            Err(failure) => warn!("the bot's identity cannot be had yet: {failure}"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(RETRY_MAX);
    }
}
