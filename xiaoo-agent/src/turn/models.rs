//! Whom a turn asks, and what that came to.

use tokio::time::Instant;

use crate::model::learned::rate;
use crate::model::{Model, ModelChain, ModelError, Question, Reply, Update, Usage};

/// What one model was asked in a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelUsage {
    /// Its name.
    pub model: String,
    /// The sum over its answers.
    pub usage: Usage,
    /// Its answers.
    pub requests: u32,
}

/// The models of one turn: which of them is asked now, and what its questions come to.
pub(super) struct Models<'a> {
    chain: &'a ModelChain,
    at: usize,
    model: &'a Model,
    /// Tokens a byte, by this turn's own questions to this model.
    rate: Option<f32>,
    /// Bytes above which this model refused a question without saying where its limit is.
    refused_bytes: Option<usize>,
    spent: Vec<ModelUsage>,
}

/// A question that got no answer.
pub(super) struct Unanswered {
    pub(super) error: ModelError,
    /// Whether part of an answer was shown: nobody is asked again then.
    pub(super) shown: bool,
}

impl<'a> Models<'a> {
    pub(super) fn new(chain: &'a ModelChain) -> Self {
        let (at, model) = chain
            .pick(0, Instant::now())
            .unwrap_or_else(|| (0, chain.first()));
        Self {
            chain,
            at,
            model,
            rate: None,
            refused_bytes: None,
            spent: Vec::new(),
        }
    }

    /// The one that is asked now.
    pub(super) fn model(&self) -> &'a Model {
        self.model
    }

    /// Whether it is asked in place of one that is down.
    pub(super) fn stands_in(&self) -> bool {
        self.at > 0
    }

    pub(super) fn name(&self) -> &'a str {
        &self.model.config().model
    }

    /// Asks it. `bytes` is what the question comes to.
    pub(super) async fn ask(
        &mut self,
        question: &Question<'_>,
        bytes: usize,
        watch: &mut (dyn FnMut(Update<'_>) + Send),
    ) -> Result<(Reply, Usage), Unanswered> {
        let mut shown = false;
        let answered = self
            .model
            .answer(question, &mut |update| {
                shown |= matches!(update, Update::Text(_));
                watch(update);
            })
            .await;
        match answered {
            Ok(reply) => {
                self.model.circuit().answered();
                let usage = match reply.usage {
                    Some(usage) => {
                        let rate = self.model.learned().counted(bytes, usage.prompt_tokens);
                        self.rate = rate.or(self.rate);
                        usage
                    }
                    None => self.guess(bytes, &reply),
                };
                self.spend(self.name(), usage);
                Ok((reply, usage))
            }
            Err(error) => {
                self.model.circuit().failed(&error, Instant::now());
                Err(Unanswered { error, shown })
            }
        }
    }

    /// Turns to the next model after such a failure; `None` when that can't help, or when there
    /// is none left. Nobody is turned back to within the turn.
    pub(super) fn fall_back(&mut self, failure: &Unanswered) -> Option<&'a Model> {
        if failure.shown || !failure.error.calls_for_another_model() {
            return None;
        }
        let (at, model) = self.chain.pick(self.at + 1, Instant::now())?;
        tracing::warn!(
            model = self.name(),
            instead = model.config().model,
            "a model is down, another is asked: {}",
            failure.error
        );
        (self.at, self.model) = (at, model);
        (self.rate, self.refused_bytes) = (None, None);
        Some(model)
    }

    /// The model found a question of so many bytes too long.
    pub(super) fn refused(&mut self, bytes: usize, limit: Option<u64>) {
        let told = limit.filter(|limit| self.model.learned().refused_at(*limit));
        match told.and_then(|limit| rate(bytes, limit)) {
            // More tokens than the limit were in these bytes, whatever was counted before.
            Some(at_least) => self.rate = Some(self.rate().max(at_least)),
            // Half is less than what was refused, wherever the limit is.
            None => self.refused_bytes = Some(bytes / 2),
        }
    }

    /// How many bytes a question may have. Above that the conversation is to be shortened.
    pub(super) fn room_bytes(&self) -> usize {
        let known = self.model.learned().window().map_or(usize::MAX, |window| {
            let for_answers = self.model.config().max_tokens.map_or(0, u64::from);
            let tokens = (window.saturating_mul(ROOM_PERCENT) / 100)
                .min(window.saturating_sub(for_answers))
                .max(window / 4);
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an estimate; `as` saturates"
            )]
            let bytes = (tokens as f32 / self.rate()) as usize;
            bytes
        });
        known.min(self.refused_bytes.unwrap_or(usize::MAX))
    }

    /// Counts in what an earlier run of the turn has spent.
    pub(super) fn spend(&mut self, model: &str, usage: Usage) {
        let known = self.spent.iter_mut().find(|spent| spent.model == model);
        if let Some(spent) = known {
            spent.usage = spent.usage.plus(usage);
            spent.requests = spent.requests.saturating_add(1);
        } else {
            self.spent.push(ModelUsage {
                model: model.to_owned(),
                usage,
                requests: 1,
            });
        }
    }

    pub(super) fn usage(&self) -> Usage {
        self.spent
            .iter()
            .fold(Usage::default(), |sum, spent| sum.plus(spent.usage))
    }

    pub(super) fn by_model(&self) -> Vec<ModelUsage> {
        self.spent.clone()
    }

    fn rate(&self) -> f32 {
        self.rate
            .unwrap_or_else(|| self.model.learned().tokens_per_byte())
    }

    /// What a server that does not count has most likely spent.
    fn guess(&self, bytes: usize, reply: &Reply) -> Usage {
        let calls = reply.tool_calls.iter();
        let calls: usize = calls
            .map(|call| call.name.len() + call.arguments.len())
            .sum();
        let tokens = |bytes: usize| u64::try_from(super::estimate_tokens(bytes)).unwrap_or(0);
        let (prompt, completion) = (
            tokens(bytes),
            tokens(reply.text.len() + reply.reasoning.len() + calls),
        );
        Usage {
            prompt_tokens: prompt,
            cached_tokens: 0,
            completion_tokens: completion,
            total_tokens: prompt + completion,
        }
    }
}

/// How much of its window a model is given to read. The rest is for its answer, and for what
/// the estimate is wrong by.
const ROOM_PERCENT: u64 = 80;
