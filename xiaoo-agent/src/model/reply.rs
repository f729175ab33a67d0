//! A model's answer, once it is whole.

use serde::{Deserialize, Serialize};

use crate::message::ToolCall;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The visible text.
    pub text: String,
    /// The thinking, as far as the server told.
    pub reasoning: String,
    /// The calls, in the order in which the model began them; every id is non-empty.
    pub tool_calls: Vec<ToolCall>,
    /// What it cost, where the server told.
    pub usage: Option<Usage>,
    /// How it ended.
    pub finish: Finish,
}

impl Reply {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && self.tool_calls.is_empty()
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The provider's filter stopped it; what was shown should be withdrawn.
    Filtered,
    /// The limit of tokens was met. Tool calls of such an answer must never be run.
    Length,
    /// Properly. Whether tools are to be run says [`Reply::tool_calls`], not this.
    Stop,
    /// With a word that we do not know, or with none.
    Unknown,
}

impl Finish {
    /// Whether the model itself came to an end.
    #[must_use]
    pub fn is_proper(self) -> bool {
        match self {
            Self::Stop | Self::Unknown => true,
            Self::Filtered | Self::Length => false,
        }
    }
}

/// Tokens, as the server counted them. The total need not be the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Read by the model.
    pub prompt_tokens: u64,
    /// Those of them that the server still knew from before, and takes less for; none where it
    /// does not tell.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// Written by the model, thinking included.
    pub completion_tokens: u64,
    /// What is billed, at most servers.
    pub total_tokens: u64,
}

impl Usage {
    /// The sum over several requests of one turn.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            cached_tokens: self.cached_tokens.saturating_add(other.cached_tokens),
            completion_tokens: self
                .completion_tokens
                .saturating_add(other.completion_tokens),
            total_tokens: self.total_tokens.saturating_add(other.total_tokens),
        }
    }
}

fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}
