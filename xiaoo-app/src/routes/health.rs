//! `GET /api/v1/health`: the process answers. Nothing more.

use axum::http::header;
use axum::response::IntoResponse;

/// Exactly what deployments compare with.
const BODY: &str = concat!(
    r#"{"status":"ok","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}"#
);

/// Answers 200 as long as the process can.
pub async fn health() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], BODY)
}

#[cfg(test)]
mod tests {
    use super::BODY;

    #[test]
    fn the_body_is_what_the_deployment_guide_prints() {
        assert_eq!(BODY, r#"{"status":"ok","version":"0.1.0"}"#);
    }
}
