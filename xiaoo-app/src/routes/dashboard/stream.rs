//! The page's stream: what is known at first, then each section when it has changed.

use core::convert::Infallible;
use core::sync::atomic::Ordering;
use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Dashboard;
use super::sections;

/// How often is looked: what changes is on the page as soon as a person would notice.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often the store is asked: it counts rows for it.
const STORE_EVERY: Duration = Duration::from_secs(2);
/// How often something is said when nothing changes: less than proxies and browsers bear.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Everything at once, then what changes, until the daemon stops.
pub(super) async fn stream(State(dashboard): State<Dashboard>) -> Response {
    let Ok(place) = dashboard.viewers.clone().try_acquire_owned() else {
        let message = "as many pages as there may be follow this daemon already";
        return (StatusCode::SERVICE_UNAVAILABLE, message).into_response();
    };
    let viewer = Viewer::new(dashboard, place);
    let events = stream::unfold(viewer, async |mut viewer| {
        let event = viewer.next().await?;
        Some((Ok::<_, Infallible>(event), viewer))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

/// Somebody who looks.
struct Viewer {
    dashboard: Dashboard,
    /// What was told last, by section.
    told: HashMap<&'static str, String>,
    /// What is to be told, the next at the end.
    news: Vec<(&'static str, String)>,
    store_asked: Option<Instant>,
    has_looked: bool,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    fn new(dashboard: Dashboard, place: OwnedSemaphorePermit) -> Self {
        Self {
            dashboard,
            told: HashMap::new(),
            news: Vec::new(),
            store_asked: None,
            has_looked: false,
            is_over: false,
            _place: place,
        }
    }

    /// The next section that has changed; `None` when the daemon stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((section, data)) = self.news.pop() {
                return Some(Event::default().event(section).data(data));
            }
            if self.is_over {
                return None;
            }
            if self.has_looked {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            // Looked at before everything else: the last word is that it stops.
            self.is_over = self.dashboard.readiness.stopping.load(Ordering::Acquire);
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let mut seen: Vec<(&'static str, Value)> = Vec::new();
        if !self.has_looked {
            self.has_looked = true;
            seen.push(("hello", sections::hello(&self.dashboard)));
        }
        seen.extend(sections::quick(&self.dashboard));
        let is_due = |asked: Instant| asked.elapsed() >= STORE_EVERY;
        if self.store_asked.is_none_or(is_due) {
            self.store_asked = Some(Instant::now());
            seen.push(("store", sections::store(&self.dashboard).await));
        }
        for (section, value) in seen {
            let data = value.to_string();
            if self.told.get(section) != Some(&data) {
                self.told.insert(section, data.clone());
                self.news.push((section, data));
            }
        }
        self.news.reverse();
    }
}
