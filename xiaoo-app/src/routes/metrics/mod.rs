//! `GET /metrics`: the numbers of every bot, in Prometheus' text format.
//!
//! Whoever works only counts, with an atomic addition; all else is done here, when somebody
//! asks. Labels have few values: bots by the name that the configuration gives them, calls of the
//! OpenAPI (of which 256 with their codes are told apart), models that the configuration prices,
//! and words of this program.

mod families;
mod text;

use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use runtime_tokio::HistogramSnapshot;
use runtime_tokio::link::{LinkSnapshot, LinkStatus};
use xiaoo_store::StoreStats;

use super::access::{Access, guard};
use super::in_time;
use super::ready::{Channel, Readiness};
use families::{BY_CALL, BY_LABEL, BY_MODEL, HISTOGRAMS, SINGLE};
use text::{Kind, Text};

/// What Prometheus calls its text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The label that says which bot.
const INSTANCE: &str = "instance";

/// One bot, as it was when somebody asked.
struct Look<'a> {
    channel: &'a Channel,
    link: Option<LinkSnapshot>,
    /// `None` when the store does not answer in time.
    store: Option<StoreStats>,
    at: SystemTime,
}

impl<'a> Look<'a> {
    async fn at(channel: &'a Channel) -> Self {
        Self {
            channel,
            link: channel.link.as_ref().map(LinkStatus::snapshot),
            store: in_time(channel.pipeline.store.stats()).await.ok(),
            at: SystemTime::now(),
        }
    }

    fn instance(&self) -> &str {
        &self.channel.pipeline.settings.instance
    }
}

/// The page; with a token in force, for whoever may see what operators see.
pub fn routes(readiness: Readiness, access: Access) -> Router {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .with_state(readiness);
    match access.has_token() {
        true => router.layer(from_fn_with_state(access, guard)),
        false => router,
    }
}

/// All numbers.
async fn metrics(State(readiness): State<Readiness>) -> impl IntoResponse {
    let looks = readiness.channels.iter().map(Look::at);
    let looks = futures_util::future::join_all(looks).await;
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], page(&looks))
}

fn page(looks: &[Look<'_>]) -> String {
    let mut text = Text::default();
    text.family(
        "xiaoo_build_info",
        "Always 1; says which version runs.",
        Kind::Gauge,
    );
    text.sample(
        "xiaoo_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1.0,
    );
    for family in SINGLE {
        text.family(family.name, family.help, family.kind);
        for look in looks {
            if let Some(value) = (family.read)(look) {
                text.sample(family.name, &[(INSTANCE, look.instance())], value);
            }
        }
    }
    for family in BY_LABEL {
        text.family(family.name, family.help, Kind::Counter);
        for look in looks {
            for (value, count) in (family.read)(look) {
                let labels = [(INSTANCE, look.instance()), (family.label, value)];
                text.sample(family.name, &labels, number(count));
            }
        }
    }
    text.family(BY_CALL.0, BY_CALL.1, Kind::Counter);
    for look in looks {
        for ((call, code), count) in look.channel.pipeline.api.stats().by_call() {
            let code = code.to_string();
            let labels = [
                (INSTANCE, look.instance()),
                ("call", call.as_str()),
                ("code", code.as_str()),
            ];
            text.sample(BY_CALL.0, &labels, number(count));
        }
    }
    text.family(BY_MODEL.0, BY_MODEL.1, Kind::Counter);
    for look in looks {
        let spending = &look.channel.pipeline.counters.spending;
        for (model, cost) in spending.costs() {
            let labels = [
                (INSTANCE, look.instance()),
                ("model", model),
                ("currency", spending.currency()),
            ];
            text.sample(BY_MODEL.0, &labels, cost.units());
        }
    }
    for family in HISTOGRAMS {
        text.family(family.name, family.help, Kind::Histogram);
        for look in looks {
            let snapshot: HistogramSnapshot = (family.read)(look).snapshot();
            text.histogram(family.name, &[(INSTANCE, look.instance())], &snapshot);
        }
    }
    text.into_string()
}

/// Prometheus' numbers are doubles: exact up to 2^53.
fn number(count: u64) -> f64 {
    count as f64
}
