//! Files that go out. Feishu has them before the turn's result says that they are sent, so that
//! whichever daemon sends the answer sends its files, too, whatever is on its own disk.
//!
//! Nobody sees an upload, so one that is made twice does no harm.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use runtime_tokio::openapi::{ApiError, OpenApi, Upload};
use tokio::time::Instant;
use tracing::{info, warn};
use xiaoo_agent::{ChatError, OutgoingFile};

use crate::fail_point::{self, FailPoint};
use crate::render::attachment;

/// How long after the first failure of a turn its uploads are tried again: its answer waits for
/// them. Later in the turn a file gets one call, with all the tries of one.
const TRIED_FOR: Duration = Duration::from_secs(60);
/// The wait between two calls, each of which has tried several times.
const AGAIN: Duration = Duration::from_secs(5);

/// The uploads of one turn.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    failed_first: Mutex<Option<Instant>>,
}

impl Uploads {
    /// Has Feishu keep a file; gives its key.
    pub(super) async fn take(
        &self,
        api: &OpenApi,
        outgoing: OutgoingFile,
    ) -> Result<String, ChatError> {
        let file = Upload::from_file(outgoing.file.into()).await;
        let file = file.map_err(|error| ChatError::Platform(error.to_string()))?;
        loop {
            let error = match upload(api, &file, &outgoing.name, outgoing.is_image).await {
                Ok(key) => {
                    fail_point::pass(FailPoint::FileUploaded);
                    info!(bytes = file.len(), "a file is uploaded");
                    return Ok(key);
                }
                Err(error) => error,
            };
            warn!("a file could not be uploaded: {error}");
            let may_help = error.is_retryable() || error.outcome_is_unknown();
            if !may_help || self.failing_for() >= TRIED_FOR {
                return Err(ChatError::Platform(error.to_string()));
            }
            let wait = error.retry_after().unwrap_or_default().max(AGAIN);
            tokio::time::sleep(wait.min(TRIED_FOR)).await;
        }
    }

    /// How long ago the first of these uploads failed; that may be now.
    fn failing_for(&self) -> Duration {
        let mut first = self
            .failed_first
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(Instant::now).elapsed()
    }
}

async fn upload(
    api: &OpenApi,
    file: &Upload,
    name: &str,
    is_image: bool,
) -> Result<String, ApiError> {
    if is_image {
        return api.upload_image(file).await;
    }
    let name = attachment::file_name(name);
    let kind = attachment::kind(&name);
    api.upload_file(file, kind, &name, None).await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use reqwest::{Request, Response};
    use runtime_tokio::openapi::{OpenApiConfig, Patience};
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    /// A Feishu that takes no files for so many calls.
    fn api(failing: usize, calls: &Arc<AtomicUsize>) -> OpenApi {
        let calls = Arc::clone(calls);
        let http = service_fn(move |request: Request| {
            let is_token = request.url().path().contains("tenant_access_token");
            let fails = !is_token && calls.fetch_add(1, Ordering::Relaxed) < failing;
            let (status, body) = match (is_token, fails) {
                (true, _) => (200, r#"{"code":0,"tenant_access_token":"t","expire":7200}"#),
                (false, true) => (500, r#"{"code":2200,"msg":"oops"}"#),
                (false, false) => (200, r#"{"code":0,"data":{"file_key":"file_1"}}"#),
            };
            let mut response = axum::http::Response::new(body);
            *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap();
            std::future::ready(Ok::<_, Infallible>(Response::from(response)))
        });
        let config = OpenApiConfig {
            base_url: "http://feishu.test".into(),
            app_id: "cli_a".into(),
            app_secret: "secret".to_owned().into(),
            patience: Patience::default(),
        };
        OpenApi::new(http.map_err(|never| match never {}), config)
    }

    fn outgoing() -> OutgoingFile {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"bytes").unwrap();
        OutgoingFile {
            file,
            name: "a.txt".into(),
            is_image: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_is_outlived_for_a_minute_of_a_turn_and_not_for_each_file() {
        let calls = Arc::default();
        let uploads = Uploads::default();
        let began = Instant::now();
        let recovers = api(9, &calls);
        let key = uploads.take(&recovers, outgoing()).await;
        assert_eq!(key, Ok("file_1".into()));
        assert!(began.elapsed() >= 2 * AGAIN);
        let calls = Arc::default();
        let down = api(usize::MAX, &calls);
        assert!(uploads.take(&down, outgoing()).await.is_err());
        let took = began.elapsed();
        assert!(
            (TRIED_FOR..TRIED_FOR + 3 * AGAIN).contains(&took),
            "{took:?}"
        );
        let before = calls.load(Ordering::Relaxed);
        assert!(uploads.take(&down, outgoing()).await.is_err());
        let more = calls.load(Ordering::Relaxed) - before;
        assert_eq!(
            more,
            usize::try_from(Patience::default().tries_max).unwrap()
        );
    }
}
