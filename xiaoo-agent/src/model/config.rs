//! Which model to ask, and how long to wait for it.

use core::fmt;
use core::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

/// How to reach one model.
///
/// Its `Debug` form shows no key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelConfig {
    /// Whose dialect is spoken; decides the small differences, not the address.
    pub provider: Provider,
    /// Up to and including the version part, for example `https://openrouter.ai/api/v1`.
    /// `/chat/completions` is appended, nothing else.
    pub api_base: String,
    /// The model's name, as the server knows it.
    pub model: String,
    /// Sent as `Authorization: Bearer`; without one the header is left out (Ollama, llama.cpp).
    pub api_key: Option<SecretString>,
    /// Upper limit for one answer, in tokens; the server's own default when `None`.
    pub max_tokens: Option<u32>,
    /// Further fields of the request body, passed as they are (`reasoning_effort`, `thinking`,
    /// `temperature`, `provider`, …). They win over ours, except for `messages`, `tools` and `stream`.
    pub extra: Map<String, Value>,
    /// Further request headers, for gateways that want their own. Values may be secrets: they
    /// are never logged.
    pub headers: Vec<(String, SecretString)>,
    /// Whether the model's thinking goes back to it inside one tool loop.
    pub send_reasoning: bool,
    /// The model's context window in tokens, question and answer together. Without it, what a
    /// server tells when it refuses a question is what is known.
    pub context_window: Option<u32>,
    /// Whether the model can see pictures.
    pub vision: bool,
    /// The clocks.
    pub timeouts: ModelTimeouts,
    /// When to try again.
    pub retry: RetryPolicy,
    /// What one answer may cost in memory.
    pub limits: AnswerLimits,
}

impl ModelConfig {
    /// A configuration with the provider's own habits and the default clocks.
    #[must_use]
    pub fn new(provider: Provider, api_base: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            send_reasoning: provider.wants_reasoning_back(),
            provider,
            api_base: api_base.into(),
            model: model.into(),
            api_key: None,
            max_tokens: None,
            extra: Map::new(),
            headers: Vec::new(),
            context_window: None,
            vision: false,
            timeouts: ModelTimeouts::default(),
            retry: RetryPolicy::default(),
            limits: AnswerLimits::default(),
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn with_api_key(mut self, api_key: Option<SecretString>) -> Self {
        self.api_key = api_key;
        self
    }
}

/// Whose dialect of the chat-completions API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// Anything OpenAI-compatible that needs no special treatment.
    Compatible,
    /// api.deepseek.com
    DeepSeek,
    /// A llama.cpp server.
    LlamaCpp,
    /// A LiteLLM proxy.
    LiteLlm,
    /// Moonshot (Kimi).
    Moonshot,
    /// A local Ollama.
    Ollama,
    /// api.openai.com
    OpenAi,
    /// openrouter.ai
    OpenRouter,
    /// A vLLM or SGLang server.
    Vllm,
    /// Zhipu (GLM): bigmodel.cn and z.ai.
    Zhipu,
}

impl Provider {
    /// All of them, for help texts and nearest-name hints.
    pub const ALL: [Self; 10] = [
        Self::Compatible,
        Self::DeepSeek,
        Self::LlamaCpp,
        Self::LiteLlm,
        Self::Moonshot,
        Self::Ollama,
        Self::OpenAi,
        Self::OpenRouter,
        Self::Vllm,
        Self::Zhipu,
    ];

    /// The provider of that name, in any case and in the spellings people use; `None` when the
    /// name is unknown (then [`Provider::Compatible`] with an explicit `api_base` is what is left).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name: String = name
            .chars()
            .filter(|c| !matches!(c, '-' | '_' | '.' | ' '))
            .flat_map(char::to_lowercase)
            .collect();
        Some(match name.as_str() {
            "compatible" | "openaicompatible" | "openaicompat" | "custom" => Self::Compatible,
            "deepseek" => Self::DeepSeek,
            "llamacpp" | "llama" | "llamaserver" => Self::LlamaCpp,
            "litellm" => Self::LiteLlm,
            "moonshot" | "moonshotai" | "kimi" => Self::Moonshot,
            "ollama" => Self::Ollama,
            "openai" => Self::OpenAi,
            "openrouter" => Self::OpenRouter,
            "vllm" | "sglang" => Self::Vllm,
            "zhipu" | "zhipuai" | "glm" | "bigmodel" | "zai" => Self::Zhipu,
            _ => return None,
        })
    }

    /// The name that configurations use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Compatible => "compatible",
            Self::DeepSeek => "deepseek",
            Self::LlamaCpp => "llamacpp",
            Self::LiteLlm => "litellm",
            Self::Moonshot => "moonshot",
            Self::Ollama => "ollama",
            Self::OpenAi => "openai",
            Self::OpenRouter => "openrouter",
            Self::Vllm => "vllm",
            Self::Zhipu => "zhipu",
        }
    }

    /// Where the provider answers when the configuration does not say; `None` where only the
    /// operator can know.
    #[must_use]
    pub fn default_api_base(self) -> Option<&'static str> {
        match self {
            Self::Compatible | Self::LiteLlm | Self::Vllm => None,
            Self::DeepSeek => Some("https://api.deepseek.com"),
            Self::LlamaCpp => Some("http://127.0.0.1:8080/v1"),
            Self::Moonshot => Some("https://api.moonshot.cn/v1"),
            Self::Ollama => Some("http://127.0.0.1:11434/v1"),
            Self::OpenAi => Some("https://api.openai.com/v1"),
            Self::OpenRouter => Some("https://openrouter.ai/api/v1"),
            Self::Zhipu => Some("https://open.bigmodel.cn/api/paas/v4"),
        }
    }

    /// Whether the hosted service refuses calls without a key.
    #[must_use]
    pub fn needs_api_key(self) -> bool {
        match self {
            Self::Compatible | Self::LlamaCpp | Self::LiteLlm | Self::Ollama | Self::Vllm => false,
            Self::DeepSeek | Self::Moonshot | Self::OpenAi | Self::OpenRouter | Self::Zhipu => true,
        }
    }

    /// OpenAI's newer models refuse `max_tokens`; GLM knows nothing else.
    pub(crate) fn max_tokens_field(self) -> &'static str {
        match self {
            Self::OpenAi => "max_completion_tokens",
            Self::Compatible
            | Self::DeepSeek
            | Self::LlamaCpp
            | Self::LiteLlm
            | Self::Moonshot
            | Self::Ollama
            | Self::OpenRouter
            | Self::Vllm
            | Self::Zhipu => "max_tokens",
        }
    }

    /// Thinking models of these three may refuse a tool result when the thinking that led to the
    /// call is not sent along.
    fn wants_reasoning_back(self) -> bool {
        match self {
            Self::DeepSeek | Self::Moonshot | Self::Zhipu => true,
            Self::Compatible
            | Self::LlamaCpp
            | Self::LiteLlm
            | Self::Ollama
            | Self::OpenAi
            | Self::OpenRouter
            | Self::Vllm => false,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The clocks of one request. There is no limit on the whole: a long answer that keeps coming is
/// a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelTimeouts {
    /// From the call to the response's headers, connecting included. Default 120 s: reasoning
    /// models are slow to begin.
    pub headers: Duration,
    /// Between two reads of the body. Default 120 s; keep-alive comments reset it.
    pub idle: Duration,
    /// Without anything new in the answer. Default 300 s: comments alone can keep a dead request
    /// alive for ever.
    pub no_progress: Duration,
}

impl ModelTimeouts {
    /// What the connect time-out of the HTTP client passed to [`Model::new`](crate::Model::new)
    /// should be.
    pub const CONNECT: Duration = Duration::from_secs(10);
}

impl Default for ModelTimeouts {
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(120),
            idle: Duration::from_secs(120),
            no_progress: Duration::from_secs(300),
        }
    }
}

/// When a request that failed is made again. Only one that showed nothing yet ever is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Requests in all, the first included. Default 3.
    pub tries_max: u32,
    /// Upper end of the first wait; doubles each time. Default 1 s. Each wait is drawn evenly
    /// between zero and its upper end, so that many daemons do not come back as one.
    pub base: Duration,
    /// No drawn wait is longer than this. Default 30 s.
    pub cap: Duration,
    /// A server that asks for a longer wait than this is not waited for. Default 60 s.
    pub retry_after_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries_max: 3,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(60),
        }
    }
}

/// What one answer may cost in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerLimits {
    /// Bytes read from the network for one answer. Default 64 MiB: streams carry about 300 bytes
    /// of JSON around each token.
    pub stream_bytes_max: usize,
    /// Bytes of one server-sent event. Default 2 MiB: some servers send a whole tool call in one.
    pub event_bytes_max: usize,
    /// Bytes of text, thinking and tool arguments together. Default 4 MiB.
    pub content_bytes_max: usize,
    /// Tool calls in one answer. Default 32.
    pub tool_calls_max: usize,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self {
            stream_bytes_max: 64 << 20,
            event_bytes_max: 2 << 20,
            content_bytes_max: 4 << 20,
            tool_calls_max: 32,
        }
    }
}

/// A configuration that no request could be made with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidModelConfig {
    /// Not an absolute `http` or `https` URL.
    #[error("api_base {0:?} is not an http:// or https:// URL")]
    ApiBase(String),
    /// The key can't be sent in a header.
    #[error(
        "the API key holds characters that no HTTP header may carry (a line break at its end?)"
    )]
    ApiKey,
    /// The header's name or value can't be sent.
    #[error(
        "the extra header {0:?} can't be sent: its name or value holds characters that no HTTP header may carry"
    )]
    Header(String),
    /// No model is named.
    #[error("no model is named")]
    Model,
}
