//! Doing what the bot itself is told. No model is asked, and nothing here waits for a turn that
//! runs: these have a lane and places of their own.

use std::time::Duration;

use proto_core::InboundMessage;
use proto_core::conn::LinkState;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use xiaoo_store::{RunningTurn, StoreError, Turn};

use super::admission::conversation_of;
use super::command::ChatCommand;
use super::grants::Revoke;
use super::outcome::{finish, replied};
use super::{Counters, SharedPipeline, guests};
use crate::render::answer;
use crate::render::language::Language;
use crate::render::mention::Mentionable;
use crate::render::reply::{self, SkillLine, Status};

/// How long a stop waits for the turn to have ended, so that its word is the last one.
const STOPPED_WITHIN: Duration = Duration::from_millis(1_500);
/// How often it looks.
const STOP_POLL: Duration = Duration::from_millis(20);

/// Does what a message tells the bot, and says so.
pub(super) async fn obey(
    pipeline: &SharedPipeline,
    turn: &Turn,
    message: &InboundMessage,
    command: &ChatCommand,
    language: Language,
    give_up: &CancellationToken,
) {
    info!(command = command.word(), "the bot itself is told something");
    let order = Order {
        pipeline,
        turn,
        message,
        conversation: conversation_of(&turn.conversation),
        language,
    };
    let text = order.obey(command).await.unwrap_or_else(|error| {
        warn!("a command could not be obeyed: {error}");
        reply::not_now(language)
    });
    let contents = answer::contents(&text, &Mentionable::default());
    Counters::count(&pipeline.counters.commands);
    let result = replied(turn, message, contents, pipeline.now_ms());
    finish(pipeline, turn, result, None, give_up).await;
}

struct Order<'a> {
    pipeline: &'a SharedPipeline,
    turn: &'a Turn,
    message: &'a InboundMessage,
    conversation: &'a str,
    language: Language,
}

impl Order<'_> {
    async fn obey(&self, command: &ChatCommand) -> Result<String, StoreError> {
        let language = self.language;
        Ok(match command {
            ChatCommand::Help => reply::help(language, self.is_admin()),
            ChatCommand::New => {
                let until = self.turn.key.id;
                self.pipeline
                    .set(self.conversation, |setting| setting.forget(until))
                    .await?;
                reply::begun_anew(language)
            }
            ChatCommand::Stop => self.stop().await?,
            ChatCommand::Status => self.status().await?,
            ChatCommand::Model(name) => self.model(name.as_deref()).await?,
            ChatCommand::Skills => reply::skills(language, &self.skills().await),
            ChatCommand::Revoke { of_all, tool } => {
                if *of_all && !self.is_admin() {
                    return Ok(reply::admins_only(language));
                }
                let which = if *of_all {
                    Revoke::All
                } else {
                    Revoke::Of(&self.message.sender_open_id)
                };
                let tool = tool.as_deref();
                let revoked = self.pipeline.revoke(self.conversation, which, tool);
                reply::revoked(language, *of_all, tool, &revoked.await?)
            }
            ChatCommand::Pair(code) => {
                if !self.is_admin() {
                    return Ok(reply::admins_only(language));
                }
                let by = &self.message.sender_open_id;
                let let_in = guests::let_in(self.pipeline, code, by).await?;
                reply::paired(language, let_in.as_deref())
            }
            ChatCommand::Unpair(named) => {
                if !self.is_admin() {
                    return Ok(reply::admins_only(language));
                }
                let Some(open_id) = self.person(named) else {
                    return Ok(reply::nobody_named(language));
                };
                let by = &self.message.sender_open_id;
                let was_let_in = guests::shut_out(self.pipeline, open_id, by).await?;
                reply::unpaired(language, open_id, was_let_in)
            }
            // A turn like any other; see `turn`.
            ChatCommand::Retry => String::new(),
        })
    }

    /// Ends what runs here and drops what waits, and says so when nothing of it can come any more.
    async fn stop(&self) -> Result<String, StoreError> {
        let until = self.turn.key.id;
        let store = &self.pipeline.store;
        let before = store.conversation_stats(self.conversation).await;
        let marked = self
            .pipeline
            .set(self.conversation, |setting| setting.stop(until))
            .await;
        // Whatever the store says: what runs here ends.
        let has_stopped = self.pipeline.running.stop(self.conversation, until);
        let before = before?;
        let waiting = match marked {
            Ok(()) => before.queued,
            Err(error) if has_stopped => {
                warn!("what waits here could not be stopped, too: {error}");
                0
            }
            Err(error) => return Err(error),
        };
        let is_meant = |running: &RunningTurn| running.id < until;
        let deadline = Instant::now() + STOPPED_WITHIN;
        while Instant::now() < deadline {
            let now = store.conversation_stats(self.conversation).await?;
            if !now.running.as_ref().is_some_and(is_meant) {
                break;
            }
            tokio::time::sleep(STOP_POLL).await;
        }
        let was_running = before.running.as_ref().is_some_and(is_meant);
        Ok(reply::stopped(self.language, was_running, waiting))
    }

    async fn status(&self) -> Result<String, StoreError> {
        let stats = self
            .pipeline
            .store
            .conversation_stats(self.conversation)
            .await?;
        let setting = self.pipeline.setting(self.conversation).await?;
        let agent = self.agent();
        let used = self.pipeline.used(&self.message.sender_open_id).await?;
        let link = self.pipeline.link.as_ref();
        Ok(reply::status(
            self.language,
            &Status {
                link_is_open: link.map(|link| link.snapshot().state == LinkState::Open),
                is_running: stats.running.is_some(),
                waiting: stats.queued,
                agent: &agent.id,
                model: agent.model_name(setting.model.as_deref()),
                used: (used.turns, used.tokens),
                version: env!("CARGO_PKG_VERSION"),
            },
        ))
    }

    async fn model(&self, name: Option<&str>) -> Result<String, StoreError> {
        let agent = self.agent();
        let known: Vec<&str> = agent.model_names().collect();
        let Some(name) = name else {
            let setting = self.pipeline.setting(self.conversation).await?;
            let current = agent.model_name(setting.model.as_deref());
            return Ok(reply::models(self.language, current, &known));
        };
        let is_known = known.contains(&name);
        if is_known {
            self.pipeline
                .set(self.conversation, |setting| {
                    setting.model = Some(name.to_owned());
                })
                .await?;
        }
        Ok(reply::model_changed(self.language, name, is_known, &known))
    }

    async fn skills(&self) -> Vec<SkillLine> {
        self.agent().skills_for_people().await
    }

    /// Whom an order is about: who is mentioned in it, or named by an open_id.
    fn person<'a>(&'a self, named: &'a str) -> Option<&'a str> {
        let mut mentions = self.message.mentions.iter();
        let mentioned = mentions.find(|mention| !mention.is_bot && !mention.open_id.is_empty());
        let named = named.split_whitespace().next();
        let named = named.filter(|named| named.starts_with("ou_"));
        mentioned.map(|mention| mention.open_id.as_str()).or(named)
    }

    fn agent(&self) -> &crate::agents::Agent {
        self.pipeline
            .agents
            .of(&self.message.chat_id, &self.message.sender_open_id)
    }

    fn is_admin(&self) -> bool {
        self.pipeline
            .settings
            .policy
            .is_admin(&self.message.sender_open_id)
    }
}
