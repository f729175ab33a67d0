//! What the daemon answers over HTTP beside events.

pub mod access;
pub mod dashboard;
pub mod health;
pub mod metrics;
pub mod ready;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// The answer for a path that nobody serves.
pub async fn not_found() -> Response {
    let body = serde_json::json!({
        "code": 404,
        "message": "no such route; see GET /, GET /api/v1/health, GET /api/v1/ready and GET /metrics"
    });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
