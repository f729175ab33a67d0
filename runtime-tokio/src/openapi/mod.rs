//! Feishu's OpenAPI: one token, bounded calls, retries that know the
//! platform's codes.
//!
//! Every call has a time-out, a bound on the answer's size, and a bound on how
//! often and how long it is tried. Calls that create something carry a `uuid`,
//! so that a try whose answer was lost can be repeated.

mod app;
mod calls;
pub mod codes;
mod error;
mod files;
mod form;
mod history;
mod pace;
mod people;
mod request;
mod stats;
mod token;

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Request, Response};
use secrecy::SecretString;
use tower::Service;
use tower::util::BoxCloneSyncService;

pub use app::{AppDelivery, AppVersion, Callbacks, Events};
pub use calls::{BotInfo, ChatInfo, Member, Members, MessageSent, ReplyTarget};
pub use error::ApiError;
pub use files::{Downloaded, FILE_BYTES_MAX, FileType, IMAGE_BYTES_MAX, ResourceAt};
pub use form::Upload;
pub use history::{
    Container, ListedBody, ListedMessage, ListedReaction, Listing, Operator, Sender,
};
pub use people::PersonName;
pub use stats::ApiStats;

/// What the client needs to know.
#[derive(Clone)]
pub struct OpenApiConfig {
    /// `https://open.feishu.cn`, `https://open.larksuite.com` or another
    /// address that speaks the same calls; a trailing slash does not matter.
    pub base_url: String,
    /// The app's id.
    pub app_id: String,
    /// The app's secret.
    pub app_secret: SecretString,
    /// When and how often calls are tried.
    pub patience: Patience,
}

/// The bounds on one call.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the request to the whole answer, for each try. Default 15 s.
    pub call_timeout: Duration,
    /// Tries in all. Default 4.
    pub tries_max: u32,
    /// The first wait between two tries; doubles, with jitter. Default 500 ms.
    pub backoff: Duration,
    /// The wait after "too fast" when the platform does not say how long.
    /// Default 1 s: the limits are per second.
    pub too_fast: Duration,
    /// The longest wait that is obeyed; beyond it the call fails at once.
    /// Default 30 s.
    pub wait_max: Duration,
    /// One call with all its tries and waits. Default 60 s: whoever waits for
    /// it holds a place that others need, and can come again later.
    pub total_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(15),
            tries_max: 4,
            backoff: Duration::from_millis(500),
            too_fast: Duration::from_secs(1),
            wait_max: Duration::from_secs(30),
            total_max: Duration::from_secs(60),
        }
    }
}

/// The client. Cheap to clone; all clones share the token.
#[derive(Clone)]
pub struct OpenApi(Arc<Inner>);

struct Inner {
    http: BoxCloneSyncService<Request, Response, reqwest::Error>,
    config: OpenApiConfig,
    token: token::TokenCache,
    pace: pace::Pace,
    stats: ApiStats,
}

impl OpenApi {
    /// A client that has called nothing yet. Its requests go through `http`: a
    /// [`reqwest::Client`], or what stands for the network in a simulation.
    #[must_use]
    pub fn new<S>(http: S, mut config: OpenApiConfig) -> Self
    where
        S: Service<Request, Response = Response, Error = reqwest::Error>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        while config.base_url.ends_with('/') {
            config.base_url.pop();
        }
        Self(Arc::new(Inner {
            http: BoxCloneSyncService::new(http),
            config,
            token: token::TokenCache::default(),
            pace: pace::Pace::default(),
            stats: ApiStats::default(),
        }))
    }

    /// Calls made so far.
    #[must_use]
    pub fn stats(&self) -> &ApiStats {
        &self.0.stats
    }

    /// The app's id.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.0.config.app_id
    }
}

impl fmt::Debug for OpenApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenApi")
            .field("base_url", &self.0.config.base_url)
            .field("app_id", &self.0.config.app_id)
            .finish_non_exhaustive()
    }
}

/// A uuid for the `ordinal`th thing that the event `event_key` makes `app_id`
/// send: the same at every try, on every machine. 43 characters; Feishu takes
/// at most 50.
#[must_use]
pub fn derive_uuid(app_id: &str, event_key: &str, ordinal: u32) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use sha2::{Digest as _, Sha256};

    let mut hash = Sha256::new();
    for part in [
        app_id.as_bytes(),
        event_key.as_bytes(),
        &ordinal.to_be_bytes(),
    ] {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut text = [0_u8; 44];
    // 32 bytes are 43 characters, so this cannot fail.
    let len = URL_SAFE_NO_PAD
        .encode_slice(hash.finalize(), &mut text)
        .unwrap_or_default();
    String::from_utf8_lossy(text.get(..len).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::derive_uuid;

    #[test]
    fn uuids_are_stable_short_and_distinct() {
        let uuid = derive_uuid("cli_a", "om_1", 0);
        assert_eq!(uuid, derive_uuid("cli_a", "om_1", 0));
        assert_eq!(uuid.len(), 43);
        for (app, key, ordinal) in [
            ("cli_b", "om_1", 0),
            ("cli_a", "om_2", 0),
            ("cli_a", "om_1", 1),
            ("cli_ao", "m_1", 0),
        ] {
            assert_ne!(uuid, derive_uuid(app, key, ordinal));
        }
    }
}
