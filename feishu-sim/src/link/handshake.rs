//! The websocket upgrade, done by hand so that refusals carry the gateway's
//! headers.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Ticket, session};
use crate::config::bound;
use crate::faults::{FaultKind, Point};
use crate::lock::lock;
use crate::server::{empty_response, hang, query_pairs};
use crate::shared::Shared;

/// Why a dial is refused: HTTP status and the gateway's three headers.
struct Refusal {
    http_status: u16,
    status: Option<i64>,
    msg: &'static str,
    auth_code: Option<i64>,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a point is struck by its own faults only"
)]
pub(crate) async fn upgrade(shared: Arc<Shared>, mut request: Request) -> Response {
    if let Some(fault) = shared
        .strike(Point::Handshake, "handshake")
        .into_iter()
        .next()
    {
        match fault {
            FaultKind::HandshakeHang => return hang(&shared).await,
            FaultKind::Handshake {
                http_status,
                status,
                auth_code,
            } => {
                return refuse(
                    &shared,
                    &Refusal {
                        http_status,
                        status,
                        msg: "scripted refusal",
                        auth_code,
                    },
                );
            }
            other => tracing::debug!(?other, "fault has no meaning here"),
        }
    }
    let Some(accept) = accept_key(request.headers()) else {
        shared.violation("handshake", "not a websocket upgrade of version 13");
        return empty_response(StatusCode::BAD_REQUEST);
    };
    let Some(on_upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return empty_response(StatusCode::BAD_REQUEST);
    };
    let query = query_pairs(request.uri().query().unwrap_or_default());
    let ticket = match admit(&shared, &query) {
        Ok(ticket) => ticket,
        Err(refusal) => return refuse(&shared, &refusal),
    };
    let user_agent = request
        .headers()
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();

    let (out, orders) = mpsc::channel(bound::OUTGOING_MAX);
    let kill = shared.cancel.child_token();
    lock(&shared.links).opened(&ticket, &user_agent, out, kill.clone());
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        session::run(&shared, ticket, on_upgrade, orders, kill).await;
    });

    let mut response = empty_response(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn accept_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let has = |name, wanted: &str| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().contains(wanted))
    };
    let is_upgrade = has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    let accept = derive_accept_key(key.as_bytes());
    is_upgrade.then(|| HeaderValue::from_str(&accept).ok())?
}

/// Redeems the ticket, if there is room.
fn admit(shared: &Shared, query: &[(String, String)]) -> Result<Ticket, Refusal> {
    let get = |key: &str| {
        let pair = query.iter().find(|(known, _)| known == key);
        pair.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let mut links = lock(&shared.links);
    let ticket = links
        .redeem(get("ticket"), get("access_key"))
        .ok_or(Refusal {
            http_status: 403,
            status: Some(514),
            msg: "ticket is unknown, used or too old",
            auth_code: Some(1_000_040_344),
        })?;
    if links.open_count() >= bound::CONNECTIONS_MAX {
        return Err(Refusal {
            http_status: 403,
            status: Some(514),
            msg: "the number of connections exceeded the limit",
            auth_code: Some(1_000_040_350),
        });
    }
    Ok(ticket)
}

fn refuse(shared: &Shared, refusal: &Refusal) -> Response {
    lock(&shared.log).counts.refused_handshakes += 1;
    shared.changes.touch();
    let status = StatusCode::from_u16(refusal.http_status).unwrap_or(StatusCode::FORBIDDEN);
    let mut response = empty_response(status);
    let headers = response.headers_mut();
    if let Some(status) = refusal.status {
        headers.insert("handshake-status", HeaderValue::from(status));
        headers.insert("handshake-msg", HeaderValue::from_static(refusal.msg));
    }
    if let Some(code) = refusal.auth_code {
        headers.insert("handshake-autherrcode", HeaderValue::from(code));
    }
    response
}
