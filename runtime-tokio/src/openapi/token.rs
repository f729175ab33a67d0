//! The tenant access token: fetched once, shared by all calls, renewed before
//! it ends.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::request::Unauthorized;
use super::{ApiError, OpenApi};

/// A token is renewed when this little of its life is left. Asked earlier than
/// 30 minutes before the end, Feishu returns the old one.
const RENEW_BEFORE: Duration = Duration::from_secs(10 * 60);

/// Feishu's tokens live two hours; a longer life is not believed.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);

#[derive(Default)]
pub(super) struct TokenCache {
    current: StdMutex<Option<Token>>,
    /// Held while one is fetched: everybody else waits for that one.
    fetching: Mutex<()>,
    /// The last fetch that failed. Those who waited for it share its error
    /// instead of asking again, one after the other.
    failed: StdMutex<Option<(Instant, ApiError)>>,
}

#[derive(Clone)]
pub(super) struct Token {
    pub(super) value: Arc<SecretString>,
    renew_at: Instant,
    ends_at: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    tenant_access_token: String,
    /// Seconds that are left, not the whole life.
    expire: u64,
}

impl OpenApi {
    /// A token that is good now. Near its end one caller renews it while the
    /// others go on with the old one.
    pub(super) async fn token(&self) -> Result<Token, ApiError> {
        let cache = &self.0.token;
        let now = Instant::now();
        let known = cache.known();
        if let Some(token) = &known
            && now < token.renew_at
        {
            return Ok(token.clone());
        }
        let quarter = self.0.config.patience.backoff / 4;
        let since = now.checked_sub(quarter).unwrap_or(now);
        let usable = known.filter(|token| now < token.ends_at);
        let guard = match &usable {
            // Somebody renews it already: the old one still serves.
            Some(token) => match cache.fetching.try_lock() {
                Ok(guard) => guard,
                Err(_) => return Ok(token.clone()),
            },
            None => cache.fetching.lock().await,
        };
        if let Some(token) = cache
            .known()
            .filter(|token| Instant::now() < token.renew_at)
        {
            return Ok(token);
        }
        if let Some(error) = cache.failed_since(since) {
            return match usable {
                Some(old) => Ok(old),
                None => Err(error),
            };
        }
        let fetched = self.fetch_token().await;
        if let Err(error) = &fetched {
            cache.note_failure(error);
        }
        drop(guard);
        match (fetched, usable) {
            (Ok(token), _) => Ok(token),
            (Err(_), Some(old)) if Instant::now() < old.ends_at => Ok(old),
            (Err(error), _) => Err(error),
        }
    }

    /// Forgets a token that Feishu did not take, unless it was replaced
    /// meanwhile.
    pub(super) fn forget_token(&self, refused: &Token) {
        if planted::is(planted::Defect::StaleToken) {
            return;
        }
        let mut current = self
            .0
            .token
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if current
            .as_ref()
            .is_some_and(|token| Arc::ptr_eq(&token.value, &refused.value))
        {
            *current = None;
        }
    }

    async fn fetch_token(&self) -> Result<Token, ApiError> {
        let config = &self.0.config;
        let body = serde_json::json!({
            "app_id": config.app_id,
            "app_secret": config.app_secret.expose_secret(),
        });
        let answer: TokenAnswer = self
            .call_without_token(
                "/open-apis/auth/v3/tenant_access_token/internal",
                &body,
                Unauthorized,
            )
            .await?;
        let now = Instant::now();
        let life = Duration::from_secs(answer.expire).min(LIFE_MAX);
        let token = Token {
            value: Arc::new(SecretString::from(answer.tenant_access_token)),
            // A token with less than that left is used up before it is renewed.
            renew_at: now + life.saturating_sub(RENEW_BEFORE).max(life / 2),
            ends_at: now + life,
        };
        *self
            .0
            .token
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(token)
    }
}

impl TokenCache {
    fn note_failure(&self, error: &ApiError) {
        let failure = Some((Instant::now(), error.clone()));
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn failed_since(&self, since: Instant) -> Option<ApiError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, error) = failed.as_ref()?;
        (*at >= since).then(|| error.clone())
    }

    fn known(&self) -> Option<Token> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
