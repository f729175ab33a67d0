//! `GET /`: how the daemon is, on a page that follows it.
//!
//! The page itself holds nothing of anybody and is for whoever asks; what it shows comes over
//! one stream of server-sent events, which [`Access`] guards. It asks no other host for anything.

mod sections;
mod stream;

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;

use super::access::{Access, guard};
use super::ready::Readiness;
use crate::config::InForce;

/// Streams at once. Each looks at everything twice a second.
pub const VIEWERS_MAX: usize = 16;

/// What the page is told from.
#[derive(Clone)]
pub struct Dashboard {
    readiness: Readiness,
    in_force: Arc<InForce>,
    started: SystemTime,
    viewers: Arc<Semaphore>,
}

impl Dashboard {
    /// Of these bots, with this configuration.
    #[must_use]
    pub fn new(readiness: Readiness, in_force: InForce) -> Self {
        Self {
            readiness,
            in_force: Arc::new(in_force),
            started: SystemTime::now(),
            viewers: Arc::new(Semaphore::new(VIEWERS_MAX)),
        }
    }
}

/// The page, its parts, and its stream.
pub fn routes(dashboard: Dashboard, access: Access) -> Router {
    let stream = Router::new()
        .route("/api/v1/dashboard", get(stream::stream))
        .with_state(dashboard)
        .layer(from_fn_with_state(access, guard));
    FILES.iter().fold(stream, |router, file| {
        router.route(file.path, get(async || file.response()))
    })
}

/// A part of the page.
struct File {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: &[File] = &[
    File {
        path: "/",
        kind: HTML,
        text: include_str!("../../../web/index.html"),
    },
    File {
        path: "/dashboard/style.css",
        kind: CSS,
        text: include_str!("../../../web/style.css"),
    },
    File {
        path: "/dashboard/app.js",
        kind: SCRIPT,
        text: include_str!("../../../web/app.js"),
    },
    File {
        path: "/dashboard/draw.js",
        kind: SCRIPT,
        text: include_str!("../../../web/draw.js"),
    },
    File {
        path: "/dashboard/stream.js",
        kind: SCRIPT,
        text: include_str!("../../../web/stream.js"),
    },
    File {
        path: "/dashboard/words.js",
        kind: SCRIPT,
        text: include_str!("../../../web/words.js"),
    },
    File {
        path: "/favicon.svg",
        kind: "image/svg+xml",
        text: include_str!("../../../../feishu-sim/web/favicon.svg"),
    },
];

/// Nothing but this daemon's own files, in no frame of another page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

impl File {
    fn response(&self) -> Response {
        let headers: [(HeaderName, HeaderValue); 5] = [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.kind)),
            // A new version's page shows with the next visit.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(POLICY),
            ),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
            (
                header::REFERRER_POLICY,
                HeaderValue::from_static("no-referrer"),
            ),
        ];
        (headers, self.text).into_response()
    }
}
