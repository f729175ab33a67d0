//! The webhook sender: events and callbacks by HTTP, plain or encrypted and
//! signed.

mod crypto;

use std::time::Duration;

use bytes::Bytes;
use http::header;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

pub(crate) use crypto::{encrypt, sign, sign_old};

use crate::clock::unix_ms;
use crate::config::bound;
use crate::faults::{FaultKind, Point};
use crate::lock::lock;
use crate::shared::Shared;

/// What the app's URL answered in time.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) latency: Duration,
}

/// How long the URL check may take.
const CHALLENGE_WITHIN: Duration = Duration::from_secs(1);

/// How an outgoing body is signed.
#[derive(Clone, Copy)]
enum Signing {
    /// Not at all: no Encrypt Key.
    None,
    /// SHA-256 with the Encrypt Key.
    Event,
    /// As `Event`, but wrong.
    Forged,
    /// SHA-1 with the verification token: old card callbacks.
    OldCard,
}

/// Posts an event or a callback of the new kind. `None`: no answer in time.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a point is struck by its own faults only"
)]
pub(crate) async fn send(
    shared: &Shared,
    url: &str,
    event_type: &str,
    body: &Bytes,
) -> Option<Reply> {
    let mut body = body.clone();
    let mut signing = match shared.config.encrypt_key {
        Some(_) => Signing::Event,
        None => Signing::None,
    };
    for fault in shared.strike(Point::Webhook, event_type) {
        match fault {
            FaultKind::DelayPush { ms } => sleep(Duration::from_millis(ms)).await,
            FaultKind::BadToken => body = with_foreign_token(&body),
            FaultKind::BadSignature => signing = Signing::Forged,
            other => tracing::debug!(?other, "fault has no meaning here"),
        }
    }
    let sealed = seal(shared, &body);
    post(shared, url, sealed, signing, shared.config.ack_within).await
}

/// Posts an old card callback: flat, never encrypted, signed with SHA-1.
pub(crate) async fn send_old_card(shared: &Shared, url: &str, body: &Value) -> Option<Reply> {
    let body = Bytes::from(body.to_string());
    post(
        shared,
        url,
        body,
        Signing::OldCard,
        shared.config.ack_within,
    )
    .await
}

/// The platform's check when a URL is saved: the challenge must come back
/// within a second.
pub(crate) async fn verify_url(shared: &Shared, url: &str) -> Result<(), String> {
    let challenge = {
        let mut world = lock(&shared.world);
        crate::link::uuid(&mut world.rng)
    };
    let body = json!({
        "challenge": challenge,
        "token": shared.config.verification_token,
        "type": "url_verification",
    });
    let sealed = seal(shared, &Bytes::from(body.to_string()));
    let reply = post(shared, url, sealed, Signing::None, CHALLENGE_WITHIN)
        .await
        .ok_or_else(|| "no answer within a second".to_owned())?;
    if reply.status != 200 {
        return Err(format!("answered {}", reply.status));
    }
    let answer: Value =
        serde_json::from_slice(&reply.body).map_err(|_| "the answer is not JSON".to_owned())?;
    match answer.get("challenge").and_then(Value::as_str) {
        Some(same) if same == challenge => Ok(()),
        _ => Err("the answer has not the challenge".to_owned()),
    }
}

fn seal(shared: &Shared, body: &Bytes) -> Bytes {
    match &shared.config.encrypt_key {
        None => body.clone(),
        Some(key) => {
            let iv = lock(&shared.world).rng.u128(..).to_be_bytes();
            let sealed = encrypt(key, iv, body);
            Bytes::from(json!({"encrypt": sealed}).to_string())
        }
    }
}

fn with_foreign_token(body: &Bytes) -> Bytes {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else {
        return body.clone();
    };
    for place in ["/header/token", "/token"] {
        if let Some(token) = value.pointer_mut(place) {
            *token = json!("a-foreign-token");
        }
    }
    Bytes::from(value.to_string())
}

async fn post(
    shared: &Shared,
    url: &str,
    body: Bytes,
    signing: Signing,
    within: Duration,
) -> Option<Reply> {
    let timestamp = (unix_ms() / 1000).to_string();
    let nonce = format!("{:016x}", lock(&shared.world).rng.u64(..));
    let key = shared.config.encrypt_key.as_deref().unwrap_or_default();
    let signature = match signing {
        Signing::None => None,
        Signing::Event => Some(sign(&timestamp, &nonce, key, &body)),
        Signing::Forged => Some(sign(&timestamp, &nonce, "a-foreign-key", &body)),
        Signing::OldCard => {
            let token = &shared.config.verification_token;
            Some(sign_old(&timestamp, &nonce, token, &body))
        }
    };
    let mut request = shared
        .http
        .post(url)
        .header(header::CONTENT_TYPE, "application/json;charset=utf-8")
        .body(body);
    if let Some(signature) = signature {
        request = request
            .header("X-Lark-Request-Timestamp", timestamp)
            .header("X-Lark-Request-Nonce", nonce)
            .header("X-Lark-Signature", signature);
    }
    let sent = Instant::now();
    timeout(within, async {
        let mut response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            if body.len() + chunk.len() > bound::WEBHOOK_ANSWER_BYTES_MAX {
                return None;
            }
            body.extend_from_slice(&chunk);
        }
        Some(Reply {
            status,
            body: body.into(),
            latency: sent.elapsed(),
        })
    })
    .await
    .ok()
    .flatten()
}
