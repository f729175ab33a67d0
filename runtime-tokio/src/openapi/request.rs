//! One request, its tries, and the reading of its answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{self, HeaderValue};
use reqwest::{Method, Request, Response, Url};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tower::ServiceExt as _;
use tracing::debug;

use super::codes::Advice;
use super::form::Form;
use super::{ApiError, ApiStats, OpenApi};

/// Answers to JSON calls are at most this long; the largest, a page of a
/// chat's history, has some hundred KB.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Files move at least this fast, or their call is given up: a link that is
/// slower holds a turn for minutes.
const BULK_BYTES_PER_SECOND_MIN: u64 = 256 << 10;
/// The one call that is made with the app's id and secret.
pub(super) const TOKEN_CALL: &str = "POST /auth/v3/tenant_access_token/internal";
/// Feishu's words in an error, as far as they are kept.
const MSG_CHARS_MAX: usize = 300;

/// One call of the API.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// The path with its ids, for the request.
    pub(super) path: String,
    /// The path without ids, for counts and errors.
    pub(super) name: &'static str,
    /// What it writes to, if that may not be written to faster: a chat, or the
    /// message that is updated.
    pub(super) target: Option<&'a str>,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Payload<'a>,
}

/// What a call carries.
pub(super) enum Payload<'a> {
    Nothing,
    Json(serde_json::Value),
    Form(&'a Form<'a>),
}

impl Call<'_> {
    /// What the call's bytes need beyond the time of a usual one.
    fn extra_time(&self) -> Duration {
        let bytes = match &self.body {
            Payload::Nothing | Payload::Json(_) => 0,
            Payload::Form(form) => form.len(),
        };
        time_for(bytes)
    }
}

/// How long so many bytes may take.
pub(super) const fn time_for(bytes: u64) -> Duration {
    Duration::from_secs(bytes / BULK_BYTES_PER_SECOND_MIN)
}

/// Marks a call that carries the app's secret instead of a token.
pub(super) struct Unauthorized;

/// How every answer begins.
#[derive(Deserialize)]
struct Head {
    code: i64,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    error: Option<ErrorDetail>,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    log_id: Option<String>,
}

#[derive(Deserialize)]
struct WithData<T> {
    data: T,
}

impl OpenApi {
    /// Makes the call and returns what is under `data`.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ApiError> {
        let answer = self.attempt_until_done(&call).await?;
        parse::<WithData<T>>(&answer, call.name).map(|answer| answer.data)
    }

    /// Makes the call; its answer has no data that anyone needs.
    pub(super) async fn call_for_effect(&self, call: Call<'_>) -> Result<(), ApiError> {
        self.attempt_until_done(&call).await.map(drop)
    }

    /// Makes the call and returns the whole answer, for calls that put their
    /// result beside `code`.
    pub(super) async fn call_flat<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
    ) -> Result<T, ApiError> {
        let answer = self.attempt_until_done(&call).await?;
        parse(&answer, call.name)
    }

    /// The one call that fetches tokens.
    pub(super) async fn call_without_token<T: DeserializeOwned>(
        &self,
        path: &'static str,
        body: &serde_json::Value,
        _: Unauthorized,
    ) -> Result<T, ApiError> {
        let mut request = self.request(Method::POST, path, &[], TOKEN_CALL)?;
        set_json(&mut request, body);
        // One try: whoever needs the token has patience, and tries again as a whole.
        let answer = self.exchange(request, TOKEN_CALL, Duration::ZERO).await?;
        parse(&answer, TOKEN_CALL)
    }

    async fn attempt_until_done(&self, call: &Call<'_>) -> Result<Answer, ApiError> {
        let extra = call.extra_time();
        let attempt = || self.authorized(call, |request| self.exchange(request, call.name, extra));
        self.with_patience(call.name, extra, attempt).await
    }

    /// Makes the call, once, and returns its answer as it begins; a refusal is
    /// read to its end.
    pub(super) async fn open(&self, call: &Call<'_>) -> Result<Response, ApiError> {
        self.authorized(call, |request| self.begin(request, call.name))
            .await
    }

    /// One try, and one more with a new token if the old one is not taken.
    async fn authorized<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        call: &Call<'_>,
        mut send: impl FnMut(Request) -> F,
    ) -> Result<T, ApiError> {
        for first in [true, false] {
            let token = self.token().await?;
            let mut request =
                self.request(call.method.clone(), &call.path, call.query, call.name)?;
            match &call.body {
                Payload::Nothing => {}
                Payload::Json(body) => set_json(&mut request, body),
                Payload::Form(form) => form.set(&mut request, call.name).await?,
            }
            let bearer = format!("Bearer {}", token.value.expose_secret());
            let mut bearer = HeaderValue::try_from(bearer)
                .map_err(|_| unsendable(call.name, "the token fits no header"))?;
            bearer.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
            if let Some(waited) = self.0.pace.wait(call.name, call.target).await {
                self.0.stats.waited(waited);
            }
            match send(request).await {
                Err(error) if first && error.advice() == Some(Advice::NewToken) => {
                    debug!("a token was not taken; fetching a new one");
                    self.forget_token(&token);
                }
                result => return result,
            }
        }
        Err(ApiError::Transport {
            call: call.name.to_owned(),
            detail: "two tokens in a row were not taken".into(),
        })
    }

    /// Tries until it succeeds, cannot succeed, or patience ends.
    pub(super) async fn with_patience<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        name: &str,
        extra: Duration,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, ApiError> {
        let patience = self.0.config.patience;
        let ends = Instant::now() + patience.total_max + extra;
        let mut tried = 0;
        loop {
            let error = match tokio::time::timeout_at(ends, attempt()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => error,
                Err(_) => return Err(too_long(name)),
            };
            tried += 1;
            if tried >= patience.tries_max
                || !error.is_retryable()
                || error.advice() == Some(Advice::NewToken)
            {
                return Err(error);
            }
            let doubled = patience.backoff.saturating_mul(1 << (tried - 1).min(10));
            let jittered = doubled.mul_f64(0.5 + fastrand::f64() / 2.0);
            let wait = match error.retry_after() {
                Some(told) => told.max(jittered.min(Duration::from_millis(50))),
                None if error.is_too_fast() => jittered.max(patience.too_fast),
                None => jittered,
            };
            if wait > patience.wait_max || Instant::now() + wait >= ends {
                return Err(error);
            }
            debug!(call = name, ?wait, tried, "trying again: {error}");
            tokio::time::sleep(wait).await;
        }
    }

    /// A request to this platform.
    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        name: &str,
    ) -> Result<Request, ApiError> {
        let mut url = Url::parse(&format!("{}{path}", self.0.config.base_url))
            .map_err(|error| unsendable(name, &format!("its URL cannot be one: {error}")))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(Request::new(method, url))
    }

    /// Sends a request and reads the answer to its end.
    pub(super) async fn send(
        &self,
        request: Request,
        name: &str,
        bytes_max: usize,
    ) -> Result<Answer, ApiError> {
        let sent = self.0.http.clone().oneshot(request).await;
        let response = sent.map_err(|error| transport(name, &error))?;
        Answer::read(response, name, bytes_max).await
    }

    /// One HTTP exchange: sent, read to its end, judged.
    async fn exchange(
        &self,
        request: Request,
        name: &str,
        extra: Duration,
    ) -> Result<Answer, ApiError> {
        let exchange = async {
            self.send(request, name, ANSWER_BYTES_MAX)
                .await?
                .judge(name)
        };
        self.counted(name, extra, exchange).await
    }

    /// One HTTP exchange up to the answer's head. An answer of JSON is one to be
    /// read and judged: a file is that only where it says so itself.
    async fn begin(&self, request: Request, name: &str) -> Result<Response, ApiError> {
        let beginning = async {
            let sent = self.0.http.clone().oneshot(request).await;
            let response = sent.map_err(|error| transport(name, &error))?;
            if response.status().is_success() && !is_refusal(&response) {
                return Ok(response);
            }
            let answer = Answer::read(response, name, ANSWER_BYTES_MAX).await?;
            // Neither a file nor a code.
            answer
                .judge(name)
                .and_then(|answer| Err(answer.unread(name)))
        };
        self.counted(name, Duration::ZERO, beginning).await
    }

    async fn counted<T>(
        &self,
        name: &str,
        extra: Duration,
        exchange: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let deadline = Instant::now() + self.0.config.patience.call_timeout + extra;
        let exchanged = tokio::time::timeout_at(deadline, exchange).await;
        let result = exchanged.unwrap_or_else(|_| Err(too_long(name)));
        let code = match &result {
            Ok(_) => 0,
            Err(error) => error.code().unwrap_or(ApiStats::NO_ANSWER),
        };
        self.0.stats.count(name, code);
        result
    }
}

pub(super) fn set_json(request: &mut Request, body: &serde_json::Value) {
    *request.body_mut() = Some(body.to_string().into());
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);
}

/// Whether a successful answer is the JSON of a refusal. A JSON file is sent as
/// something to be saved.
fn is_refusal(response: &Response) -> bool {
    let headers = response.headers();
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    is_json && !headers.contains_key(header::CONTENT_DISPOSITION)
}

/// An answer, read to its end.
pub(super) struct Answer {
    status: u16,
    log_id: String,
    retry_after: Option<Duration>,
    body: Bytes,
}

impl Answer {
    async fn read(mut response: Response, name: &str, bytes_max: usize) -> Result<Self, ApiError> {
        let text = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let log_id = text("x-tt-logid").unwrap_or_default();
        let retry_after = text("x-ogw-ratelimit-reset")
            .or_else(|| text(header::RETRY_AFTER.as_str()))
            .and_then(|seconds| seconds.trim().parse().ok())
            .map(Duration::from_secs);
        let status = response.status().as_u16();
        let mut body = BytesMut::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| transport(name, &error))?
        {
            if body.len() + chunk.len() > bytes_max {
                return Err(ApiError::TooLarge {
                    call: name.to_owned(),
                    max: bytes_max,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self {
            status,
            log_id,
            retry_after,
            body: body.freeze(),
        })
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn into_body(self) -> Bytes {
        self.body
    }

    /// What it is where a file was asked for.
    fn unread(self, name: &str) -> ApiError {
        ApiError::Malformed {
            call: name.to_owned(),
            detail: "it is no file".into(),
            retry_after: self.retry_after,
            http_status: self.status,
            log_id: self.log_id,
        }
    }

    fn judge(self, name: &str) -> Result<Self, ApiError> {
        let head = parse::<Head>(&self, name)?;
        if head.code == 0 {
            return Ok(self);
        }
        let log_id = head
            .error
            .and_then(|error| error.log_id)
            .unwrap_or_else(|| self.log_id.clone());
        Err(ApiError::Code {
            call: name.to_owned(),
            code: head.code,
            msg: head.msg.chars().take(MSG_CHARS_MAX).collect(),
            log_id,
            http_status: self.status,
            retry_after: self.retry_after,
        })
    }
}

fn parse<T: DeserializeOwned>(answer: &Answer, name: &str) -> Result<T, ApiError> {
    serde_json::from_slice(&answer.body).map_err(|error| ApiError::Malformed {
        call: name.to_owned(),
        // Not the error's own words: they quote the answer.
        detail: format!(
            "{:?} error at line {}, column {}",
            error.classify(),
            error.line(),
            error.column()
        ),
        retry_after: answer.retry_after,
        http_status: answer.status,
        log_id: answer.log_id.clone(),
    })
}

pub(super) fn unsendable(name: &str, why: &str) -> ApiError {
    ApiError::Transport {
        call: name.to_owned(),
        detail: why.to_owned(),
    }
}

pub(super) fn too_long(name: &str) -> ApiError {
    ApiError::Transport {
        call: name.to_owned(),
        detail: "it took too long".into(),
    }
}

/// reqwest's errors name the URL; ours name the call, which holds no ids.
pub(super) fn transport(name: &str, error: &reqwest::Error) -> ApiError {
    use std::error::Error as _;
    let mut detail = if error.is_timeout() {
        "it took too long".to_owned()
    } else if error.is_connect() {
        "cannot connect".to_owned()
    } else {
        "the connection broke".to_owned()
    };
    let mut source = error.source();
    while let Some(cause) = source {
        detail = format!("{detail}: {cause}");
        source = cause.source();
    }
    ApiError::Transport {
        call: name.to_owned(),
        detail,
    }
}
