//! Tenant access tokens.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::error::ApiError;
use super::routes::{Call, Reply};
use crate::lock::lock;

/// The tokens that are good now: one, or two around a renewal.
#[derive(Debug)]
pub(crate) struct Tokens {
    lifetime: Duration,
    valid: Vec<(String, Instant)>,
    rng: fastrand::Rng,
}

impl Tokens {
    pub(crate) fn new(lifetime: Duration, rng: fastrand::Rng) -> Self {
        Self {
            lifetime,
            valid: Vec::new(),
            rng,
        }
    }

    /// The same token while a quarter of its life is left (30 minutes of two
    /// hours), else a new one; the old one lives on to its end.
    fn issue(&mut self) -> (String, u64) {
        let now = Instant::now();
        self.valid.retain(|(_, ends)| *ends > now);
        let newest = self.valid.last();
        if let Some((token, ends)) = newest {
            let left = ends.duration_since(now);
            if left >= self.lifetime / 4 {
                return (token.clone(), left.as_secs());
            }
        }
        let token = format!("t-g1{:032x}{:08x}", self.rng.u128(..), self.rng.u32(..));
        self.valid.push((token.clone(), now + self.lifetime));
        (token, self.lifetime.as_secs())
    }

    /// All tokens are stale from now on.
    pub(crate) fn expire_all(&mut self) {
        self.valid.clear();
    }

    pub(super) fn check(&self, authorization: &str) -> Result<(), ApiError> {
        let Some(token) = authorization.strip_prefix("Bearer ") else {
            return Err(ApiError::new(
                99_991_661,
                "Missing access token for authorization. Please make a request with token attached.",
            ));
        };
        if !token.starts_with("t-") && !token.starts_with("u-") {
            return Err(ApiError::new(
                99_991_671,
                "Invalid access token for authorization. The token must start with t- or u-.",
            ));
        }
        let now = Instant::now();
        let is_valid = self
            .valid
            .iter()
            .any(|(known, ends)| known == token && *ends > now);
        if is_valid {
            Ok(())
        } else {
            Err(ApiError::stale_token())
        }
    }
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(default)]
    app_id: String,
    #[serde(default)]
    app_secret: String,
}

/// `POST /open-apis/auth/v3/tenant_access_token/internal`. Its refusals come
/// with HTTP 200.
pub(super) fn issue(call: &Call<'_>) -> Result<Reply, ApiError> {
    let credentials: Credentials = call.json()?;
    let config = &call.shared.config;
    let is_well_formed = credentials.app_id.starts_with("cli_") && credentials.app_id.len() > 8;
    let refusal = if !is_well_formed || credentials.app_secret.is_empty() {
        Some((10_003, "invalid param"))
    } else if credentials.app_id != config.app_id {
        Some((10_014, "app id not exists"))
    } else if credentials.app_secret != config.app_secret {
        Some((10_014, "app secret invalid"))
    } else {
        None
    };
    if let Some((code, msg)) = refusal {
        return Err(ApiError::new(code, msg).status(200));
    }
    let (token, expire) = lock(&call.shared.tokens).issue();
    Ok(Reply::Bare(json!({
        "tenant_access_token": token,
        "app_access_token": token,
        "expire": expire,
    })))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_stays_until_a_quarter_is_left_then_two_are_good() {
        let hour = Duration::from_secs(3600);
        let mut tokens = Tokens::new(2 * hour, fastrand::Rng::with_seed(1));
        let (first, left) = tokens.issue();
        assert_eq!(left, 7200);
        advance(hour).await;
        assert_eq!(tokens.issue(), (first.clone(), 3600));
        advance(hour / 2 + Duration::from_secs(1)).await;
        let (second, left) = tokens.issue();
        assert_ne!(second, first);
        assert_eq!(left, 7200);
        for token in [&first, &second] {
            assert_eq!(tokens.check(&format!("Bearer {token}")), Ok(()));
        }
        advance(hour / 2).await;
        let stale = tokens.check(&format!("Bearer {first}")).unwrap_err();
        assert_eq!(stale.code, 99_991_663);
        assert_eq!(tokens.check(&format!("Bearer {second}")), Ok(()));
    }

    #[test]
    fn each_wrong_header_has_its_code() {
        let tokens = Tokens::new(Duration::from_secs(60), fastrand::Rng::with_seed(1));
        for (header, code) in [
            ("", 99_991_661),
            ("Basic x", 99_991_661),
            ("Bearer x", 99_991_671),
            ("Bearer t-x", 99_991_663),
        ] {
            assert_eq!(tokens.check(header).unwrap_err().code, code, "{header}");
        }
    }
}
