//! `GET /sim/stream`: every change of the world, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::shared::Shared;

/// A comment line this often keeps proxies and readers from giving up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn stream(shared: &Arc<Shared>) -> Response {
    let mut changes = shared.changes.listen();
    let shared = Arc::clone(shared);
    let events = async_stream::stream! {
        let hello = json!({"link": shared.link()}).to_string();
        yield Ok::<_, Infallible>(Event::default().event("hello").data(hello));
        loop {
            let next = tokio::select! {
                () = shared.cancel.cancelled() => break,
                next = changes.recv() => next,
            };
            match next {
                Ok(change) => {
                    let event = Event::default()
                        .id(change.number.to_string())
                        .event(change.kind)
                        .data(change.data.to_string());
                    yield Ok(event);
                }
                Err(RecvError::Lagged(missed)) => {
                    let data = json!({"missed": missed}).to_string();
                    yield Ok(Event::default().event("lagged").data(data));
                }
                Err(RecvError::Closed) => break,
            }
        }
    };
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}
