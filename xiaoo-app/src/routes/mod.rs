//! What the daemon answers over HTTP beside events.

pub mod access;
pub mod dashboard;
pub mod health;
pub mod metrics;
pub mod ready;

use core::fmt::Display;
use core::future::Future;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// In which time a store must have answered. Who asks gives up after 10 s, and what else there
/// is to tell is wanted most while a store hangs.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// The answer for a path that nobody serves.
pub async fn not_found() -> Response {
    let body = serde_json::json!({
        "code": 404,
        "message": "no such route; see GET /, GET /api/v1/health, GET /api/v1/ready and GET /metrics"
    });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// What a store says in time, or why it says nothing.
async fn in_time<T, E: Display>(asked: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(STORE_WITHIN, asked).await {
        Ok(Ok(said)) => Ok(said),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no word within {STORE_WITHIN:?}")),
    }
}

#[cfg(test)]
mod tests {
    use core::future::{pending, ready};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_takes_no_other_number_with_it() {
        let began = Instant::now();
        let hung = in_time(pending::<Result<(), &str>>()).await;
        assert_eq!(hung, Err("no word within 2s".into()));
        assert_eq!(began.elapsed(), STORE_WITHIN);
        let failed = in_time(ready(Err::<(), _>("locked"))).await;
        assert_eq!(failed, Err("locked".into()));
        assert_eq!(in_time(ready(Ok::<_, &str>(7))).await, Ok(7));
    }
}
