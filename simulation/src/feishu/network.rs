//! The way of a call to the platform and back.

use std::time::Duration;

use reqwest::{Request, Response};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::api::{self, Answer, Call};
use super::limits;
use crate::world::World;

/// How long a call may be on its way: a little longer than anybody waits for it.
const SLOW_THERE_MS: std::ops::Range<u64> = 500..18_000;
/// How long an answer may.
const SLOW_BACK_MS: std::ops::Range<u64> = 500..40_000;

/// Makes a call for a process. A call that was sent arrives, whether anybody
/// still waits for it or not.
pub async fn exchange(
    world: World,
    pid: u32,
    request: Request,
) -> Result<Response, reqwest::Error> {
    let (tell, told) = oneshot::channel();
    if world.lives(pid) {
        tokio::spawn(carry(world, pid, Call::of(&request), tell));
    }
    match told.await {
        Ok(Some((status, body))) => Ok(response(status, body.to_string())),
        Ok(None) => Err(broken()),
        // Nothing comes back, ever.
        Err(_) => std::future::pending().await,
    }
}

async fn carry(world: World, pid: u32, call: Call, tell: oneshot::Sender<Option<Answer>>) {
    let faults = &world.plan().faults;
    limits::judge(&mut world.lock(), pid, &call);
    let mut there = world.millis(3..60);
    let mut back = world.millis(3..60);
    if world.strikes(faults.api_slow, "slow call") {
        if world.lock().rng.bool() {
            there = world.millis(SLOW_THERE_MS);
        } else {
            back = world.millis(SLOW_BACK_MS);
        }
    }
    sleep(there).await;
    if !world.lives(pid) {
        // Its connections died with it.
        return;
    }
    let is_out = world.is_out();
    if is_out {
        world.saw("outage");
    }
    if is_out || world.strikes(faults.api_lost, "call lost") {
        return fail(&world, tell).await;
    }
    if world.strikes(faults.api_error, "call refused") {
        let answers = [
            (
                500,
                serde_json::json!({"code": 2200, "msg": "internal error"}),
            ),
            (502, serde_json::Value::from("bad gateway")),
            (
                429,
                serde_json::json!({"code": 99_991_400, "msg": "too fast"}),
            ),
        ];
        let answer = answers[world.lock().rng.usize(0..3)].clone();
        let _ = tell.send(Some(answer));
        return;
    }
    let answer = {
        let mut state = world.lock();
        api::answer(&mut state, pid, &call)
    };
    if world.strikes(faults.token_revoked, "token revoked") {
        world.lock().feishu.tokens.clear();
    }
    let is_answer = call.path.ends_with("/reply") && call.body["msg_type"] != "interactive";
    if is_answer && world.begin_outage() {
        return fail(&world, tell).await;
    }
    if call.method != "GET" && world.strikes(faults.kill_at_effect, "dies at an effect") {
        world.kill(pid, "killed at an effect");
    }
    if world.strikes(faults.api_answer_lost, "answer lost") {
        return fail(&world, tell).await;
    }
    sleep(back).await;
    if world.lives(pid) {
        // Whoever asked may have given up.
        let _ = tell.send(Some(answer));
    }
}

/// The connection breaks, or says nothing more.
async fn fail(world: &World, tell: oneshot::Sender<Option<Answer>>) {
    if world.lock().rng.bool() {
        sleep(Duration::from_millis(200)).await;
        let _ = tell.send(None);
    }
}

/// A whole response.
#[must_use]
pub fn response(status: u16, body: String) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    Response::from(response)
}

/// What a caller gets when a connection breaks. Which error it is nobody asks.
#[must_use]
pub fn broken() -> reqwest::Error {
    let failed = response(500, String::new()).error_for_status();
    failed.expect_err("a 500 is an error")
}

impl Call {
    fn of(request: &Request) -> Self {
        let token = request.headers().get("authorization");
        let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let body = request.body().and_then(reqwest::Body::as_bytes);
        let pairs = request.url().query_pairs();
        Self {
            method: request.method().to_string(),
            path: request.url().path().to_owned(),
            query: pairs
                .map(|(k, v)| (k.into_owned(), v.into_owned()))
                .collect(),
            token: token.map(str::to_owned),
            body: serde_json::from_slice(body.unwrap_or_default()).unwrap_or_default(),
        }
    }
}
