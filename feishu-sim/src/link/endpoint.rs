//! `POST /callback/ws/endpoint`: credentials in, a one-use URL out.

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use proto_core::{EndpointAnswer, EndpointData};
use serde::Deserialize;
use serde_json::json;

use crate::faults::{FaultKind, Point};
use crate::lock::lock;
use crate::server::{cut, hang, json_response, text_response};
use crate::shared::Shared;

/// Keys are exact in case; other keys are the keyless variant's.
#[derive(Deserialize)]
struct Credentials {
    #[serde(rename = "AppID")]
    app_id: String,
    #[serde(rename = "AppSecret")]
    app_secret: String,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a point is struck by its own faults only"
)]
pub(crate) async fn endpoint(shared: &Shared, body: &Bytes) -> Response {
    lock(&shared.log).counts.endpoint_calls += 1;
    shared.changes.touch();
    let mut client_config = Some(shared.config.client_config.stated());
    for fault in shared.strike(Point::Endpoint, "endpoint") {
        match fault {
            FaultKind::EndpointCode { code } => return refusal(code, "scripted refusal"),
            FaultKind::EndpointStatus { status } => {
                return text_response(status, "scripted failure");
            }
            FaultKind::EndpointHang => return hang(shared).await,
            FaultKind::EndpointCut => return cut(),
            FaultKind::EndpointGarbage => return text_response(200, "<html>not the answer</html>"),
            FaultKind::EndpointNoConfig => client_config = None,
            other => tracing::debug!(?other, "fault has no meaning here"),
        }
    }
    let Ok(credentials) = serde_json::from_slice::<Credentials>(body) else {
        shared.violation(
            "endpoint_body",
            "body must be JSON with AppID and AppSecret",
        );
        return json_response(
            StatusCode::BAD_REQUEST,
            &json!({"code": 9499, "msg": "Bad Request", "data": {}}),
        );
    };
    if credentials.app_id != shared.config.app_id
        || credentials.app_secret != shared.config.app_secret
    {
        return refusal(514, "app id or secret is wrong");
    }
    let (ticket, is_full) = {
        let mut links = lock(&shared.links);
        let is_full = links.open_count() >= crate::config::bound::CONNECTIONS_MAX;
        (links.issue(), is_full)
    };
    if is_full {
        // The gateway refuses the dial itself; one report sees the code here too.
        tracing::debug!("all connections are taken; the dial will be refused");
    }
    let own = || format!("ws://{}", shared.address);
    let base = shared.config.link_base.clone().unwrap_or_else(own);
    let url = format!(
        "{base}/ws/v2?fpid=493&aid=552564&device_id={}&access_key={}&service_id={}&ticket={}",
        ticket.device_id, ticket.access_key, ticket.service_id, ticket.ticket
    );
    answer(&EndpointAnswer {
        code: 0,
        msg: Some(""),
        data: Some(EndpointData {
            url: Some(&url),
            client_config,
        }),
    })
}

/// Always with a `data` object: the official Node client takes it apart unasked.
fn refusal(code: i64, msg: &str) -> Response {
    answer(&EndpointAnswer {
        code,
        msg: Some(msg),
        data: Some(EndpointData {
            url: None,
            client_config: None,
        }),
    })
}

fn answer(answer: &EndpointAnswer<&str>) -> Response {
    json_response(StatusCode::OK, &json!(answer))
}
