//! One question to one OpenAI-compatible server.

mod accumulator;
mod chain;
mod circuit;
mod complaint;
mod config;
mod error;
pub(crate) mod learned;
mod pictures;
mod read;
mod reply;
mod retry;
mod think;
#[cfg(test)]
mod vectors;
mod wire;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Response, Url};
use secrecy::ExposeSecret;
use tokio::time::{sleep, timeout};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

pub use accumulator::{Accumulator, Advance};
pub use chain::ModelChain;
pub use config::{
    AnswerLimits, InvalidModelConfig, ModelConfig, ModelTimeouts, Provider, RetryPolicy,
};
pub use error::ModelError;
pub use pictures::Pictures;
pub use reply::{Finish, Reply, Usage};
pub use wire::Question;

use circuit::Circuit;
use complaint::Complaint;
use learned::Learned;
use retry::Backoff;

/// A model that can be asked. Cheap to clone.
#[derive(Clone)]
pub struct Model {
    inner: Arc<Inner>,
}

struct Inner {
    http: BoxCloneSyncService<Request, Response, reqwest::Error>,
    config: ModelConfig,
    endpoint: Url,
    headers: HeaderMap,
    /// Cleared for good by the first server that refuses the field.
    ask_for_usage: AtomicBool,
    circuit: Circuit,
    learned: Learned,
}

/// What happens while an answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update<'a> {
    /// The visible text has grown to this.
    Text(&'a str),
    /// A try failed before anything was shown.
    Retrying {
        /// The number of the try that comes next; the first one was 1.
        attempt: u32,
        /// What went wrong.
        why: &'a ModelError,
        /// How long until then.
        wait: Duration,
    },
}

impl Model {
    /// A model behind `http`: a [`reqwest::Client`], which should have a connect time-out of
    /// [`ModelTimeouts::CONNECT`] and no time-out on the whole request, or what stands for the
    /// network in a simulation.
    ///
    /// # Errors
    /// When no request could be made with this configuration.
    pub fn new<S>(http: S, config: ModelConfig) -> Result<Self, InvalidModelConfig>
    where
        S: Service<Request, Response = Response, Error = reqwest::Error>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        if config.model.trim().is_empty() {
            return Err(InvalidModelConfig::Model);
        }
        let inner = Inner {
            http: BoxCloneSyncService::new(http),
            endpoint: endpoint(&config.api_base)?,
            headers: headers(&config)?,
            ask_for_usage: AtomicBool::new(true),
            circuit: Circuit::default(),
            learned: Learned::new(config.context_window),
            config,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.inner.config
    }

    /// Whether it answers, as far as the turns so far have seen.
    pub(crate) fn circuit(&self) -> &Circuit {
        &self.inner.circuit
    }

    /// What the answers so far have told about its window.
    pub(crate) fn learned(&self) -> &Learned {
        &self.inner.learned
    }

    /// Asks, and asks again where that may help; never after text was handed to `watch`.
    ///
    /// An answer that was cut by the limit of tokens or by a filter is `Ok`: see
    /// [`Reply::finish`]. Dropping the future closes the connection.
    ///
    /// # Errors
    /// What the last try failed with.
    pub async fn answer(
        &self,
        question: &Question<'_>,
        watch: &mut (dyn FnMut(Update<'_>) + Send),
    ) -> Result<Reply, ModelError> {
        let mut backoff = Backoff::new(self.inner.config.retry);
        loop {
            let mut shown = false;
            let tried = self
                .ask(question, &mut |text| {
                    shown = true;
                    watch(Update::Text(text));
                })
                .await;
            let failure = match tried {
                Ok(reply) if reply.is_empty() && reply.finish.is_proper() => ModelError::Empty,
                Ok(reply) => return Ok(reply),
                Err(failure) => self.without_key(failure),
            };
            let next = backoff.next(&failure, fastrand::f64());
            let Some((attempt, wait)) = next.filter(|_| !shown) else {
                return Err(failure);
            };
            tracing::debug!(
                attempt,
                class = failure.class(),
                ?wait,
                "asking the model again"
            );
            watch(Update::Retrying {
                attempt,
                why: &failure,
                wait,
            });
            sleep(wait).await;
        }
    }

    /// One try.
    async fn ask(
        &self,
        question: &Question<'_>,
        grown: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Reply, ModelError> {
        let config = &self.inner.config;
        let response = self.open(question).await?;
        let seed = fastrand::u64(..);
        let reply = reply_of(response, config.timeouts, config.limits, seed, grown).await?;
        if reply.finish == Finish::Unknown {
            tracing::debug!("the model's answer ended without a known finish_reason");
        }
        Ok(reply)
    }

    /// Sends the request and gets the beginning of a good response.
    async fn open(&self, question: &Question<'_>) -> Result<Response, ModelError> {
        let ask_for_usage = self.inner.ask_for_usage.load(Ordering::Relaxed);
        match self.send(question, ask_for_usage).await {
            Err(Refused {
                names_stream_options: true,
                ..
            }) if ask_for_usage => {
                self.inner.ask_for_usage.store(false, Ordering::Relaxed);
                tracing::info!(
                    "the model server does not take stream_options; left out from now on"
                );
                self.send(question, false).await
            }
            sent => sent,
        }
        .map_err(|refused| refused.error)
    }

    async fn send(
        &self,
        question: &Question<'_>,
        ask_for_usage: bool,
    ) -> Result<Response, Refused> {
        let config = &self.inner.config;
        let body = serde_json::to_vec(&wire::request(config, question, ask_for_usage));
        let body = body.map_err(|error| ModelError::Malformed {
            what: format!("our own question: {error}"),
        })?;
        let mut request = Request::new(Method::POST, self.inner.endpoint.clone());
        request.headers_mut().clone_from(&self.inner.headers);
        *request.body_mut() = Some(body.into());
        let sent = self.inner.http.clone().oneshot(request);
        let response = timeout(config.timeouts.headers, sent)
            .await
            .map_err(|_| ModelError::Idle {
                waited: config.timeouts.headers,
            })?
            .map_err(read::transport)?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response).await)
    }

    async fn refused(&self, response: Response) -> Refused {
        let config = &self.inner.config;
        let status = response.status().as_u16();
        let wait = retry::retry_after(response.headers(), SystemTime::now());
        let reads = read::reads(response, config.timeouts.idle, config.limits);
        // The status has said it; what the body adds is a courtesy.
        let body = read::whole(reads, ERROR_BODY_BYTES_MAX, ERROR_BODY_WITHIN)
            .await
            .unwrap_or_default();
        let names_stream_options = matches!(status, 400 | 422)
            && String::from_utf8_lossy(&body).contains("stream_options");
        Refused {
            error: Complaint::from_body(&body)
                .with_retry_after(wait)
                .with_status(status),
            names_stream_options,
        }
    }

    /// The failure with our own key taken out, should the server have repeated it.
    fn without_key(&self, mut failure: ModelError) -> ModelError {
        let key = self.inner.config.api_key.as_ref();
        let key = key.map(ExposeSecret::expose_secret).unwrap_or_default();
        if let (Some(message), false) = (failure.message_mut(), key.is_empty()) {
            *message = message.replace(key, "***");
        }
        failure
    }
}

/// Reads the answer out of a response whose status is good, for those who send requests of their
/// own: as a stream of events, or in one piece where the server does not stream.
///
/// `grown` gets the visible text whenever it has grown; `id_seed` is that of
/// [`Accumulator::new`]. How the network cuts the body does not matter.
///
/// # Errors
/// Why there is no answer in it.
pub async fn reply_of(
    response: Response,
    timeouts: ModelTimeouts,
    limits: AnswerLimits,
    id_seed: u64,
    grown: &mut (dyn FnMut(&str) + Send),
) -> Result<Reply, ModelError> {
    let is_one_piece = is_one_piece(&response);
    let reads = read::reads(response, timeouts.idle, limits);
    let mut answer = Accumulator::new(limits, id_seed);
    if is_one_piece {
        // Escapes can double what they stand for.
        let bytes_max = limits.content_bytes_max.saturating_mul(2);
        answer.whole(&read::whole(reads, bytes_max, timeouts.no_progress).await?)?;
    } else {
        read::events(reads, &mut answer, timeouts.no_progress, grown).await?;
    }
    answer.finish()
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("provider", &self.inner.config.provider)
            .field("model", &self.inner.config.model)
            .finish_non_exhaustive()
    }
}

/// A response that is no answer.
struct Refused {
    error: ModelError,
    names_stream_options: bool,
}

impl From<ModelError> for Refused {
    fn from(error: ModelError) -> Self {
        Self {
            error,
            names_stream_options: false,
        }
    }
}

/// `api_base` already ends in the version part, which is not `/v1` everywhere.
fn endpoint(api_base: &str) -> Result<Url, InvalidModelConfig> {
    let base = api_base.trim().trim_end_matches('/');
    Url::parse(&format!("{base}/chat/completions"))
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| InvalidModelConfig::ApiBase(api_base.to_owned()))
}

fn headers(config: &ModelConfig) -> Result<HeaderMap, InvalidModelConfig> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if config.provider == Provider::OpenRouter {
        headers.insert("x-openrouter-title", HeaderValue::from_static("xiaoO"));
    }
    if let Some(key) = &config.api_key {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))
            .map_err(|_| InvalidModelConfig::ApiKey)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    for (name, value) in &config.headers {
        let invalid = || InvalidModelConfig::Header(name.clone());
        let header = name.parse::<HeaderName>().map_err(|_| invalid())?;
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| invalid())?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

/// Whether the answer comes as one JSON text (or a proxy's page) although a stream was asked for.
fn is_one_piece(response: &Response) -> bool {
    response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_ascii_lowercase)
        .is_some_and(|kind| kind.contains("json") || kind.contains("html"))
}

/// Enough for any server's explanation.
const ERROR_BODY_BYTES_MAX: usize = 64 << 10;

/// An explanation that takes longer is not waited for.
const ERROR_BODY_WITHIN: Duration = Duration::from_secs(10);
