//! The daemon on this machine: whether it runs, is ready, and takes what Feishu will send.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use runtime_tokio::http;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::super::findings as found;
use super::super::findings::Words;
use super::super::report::Check;
use super::super::{NEEDS_THE_STEP_BEFORE, judged, name_among};
use super::process::Process;
use super::{Judged, chain, route};
use crate::bot::event_route;
use crate::cli::DoctorArgs;
use crate::config::{Config, Transport};

/// On this machine all is there at once, or not at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Feishu itself closes a link now and then; a way that cuts it does so more often.
const REOPENED_AN_HOUR_MAX: u64 = 3;

const HEALTH: Words = Words {
    en: "the daemon runs here",
    zh: "守护进程在本机运行",
};
const READY: Words = Words {
    en: "the daemon is ready",
    zh: "守护进程已就绪",
};
const STEADY: Words = Words {
    en: "the long connection stays open",
    zh: "长连接保持稳定",
};
const EVENTS: Words = Words {
    en: "events arrive (subscribed and published)",
    zh: "能收到事件（已订阅并发布）",
};

pub(in super::super) async fn checks(config: &Config, args: &DoctorArgs) -> Vec<Check> {
    let base = base(args);
    let health = health(&base).await;
    let is_up = health.is_ok();
    let mut checks = vec![judged("health", HEALTH, health)];
    if !is_up {
        checks.push(Check::unknown("ready", READY, NEEDS_THE_STEP_BEFORE));
        checks.push(Check::unknown("events", EVENTS, NEEDS_THE_STEP_BEFORE));
        return checks;
    }
    let answer = ready(&base, Some(config)).await;
    checks.push(judged("ready", READY, judge_ready(answer.as_ref())));
    let age = Process::at(args.port).and_then(|daemon| daemon.age);
    for bot in &config.channels {
        let name = name_among(&config.channels, bot);
        let steady = steadiness(answer.as_ref(), &bot.instance, age);
        checks.extend(steady.map(|check| check.about(name)));
        checks.push(events(answer.as_ref(), &bot.instance).about(name));
        if bot.transport == Transport::Webhook
            && let Ok(client) = http::loopback_client()
        {
            let paths = [event_route(&bot.instance)];
            let made = route::checks("local", &client, &base, &paths, bot).await;
            checks.extend(made.into_iter().map(|check| check.about(name)));
        }
    }
    checks
}

/// Whether the daemon here has a long connection open for this bot; `None` if one is there and
/// doesn't say.
pub(super) async fn has_link(
    config: Option<&Config>,
    args: &DoctorArgs,
    instance: &str,
) -> Option<bool> {
    let base = base(args);
    // The token is for our daemon, and for nobody else who has the port.
    match health(&base).await {
        Err((why, _)) if why.id == found::DAEMON_SILENT.id => return None,
        Err((why, _)) if why.id != found::BINARY_DIFFERS.id => return Some(false),
        Ok(_) | Err(_) => {}
    }
    let answer = ready(&base, config).await?;
    // To whoever has not its token it says nothing of channels.
    let channels = answer.get("channels")?;
    let state = channels.pointer(&format!("/{instance}/link/state"));
    Some(state.is_some_and(|state| state == "open"))
}

/// Where the daemon is, from here.
fn base(args: &DoctorArgs) -> String {
    let host = if args.host.is_unspecified() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        args.host
    };
    format!("http://{}", SocketAddr::new(host, args.port))
}

async fn health(base: &str) -> Judged {
    let down = |finding, why: String| (finding, format!("{base}: {why}"));
    let client =
        http::loopback_client().map_err(|error| down(&found::DAEMON_DOWN, error.to_string()))?;
    let asked = client.get(format!("{base}/api/v1/health"));
    let answer = asked.timeout(ANSWER_WITHIN).send().await;
    let answer = answer.map_err(|error| match error.is_timeout() {
        true => down(&found::DAEMON_SILENT, chain(error)),
        false => down(&found::DAEMON_DOWN, chain(error)),
    })?;
    match route::health_version(answer).await {
        Some(version) if version == env!("CARGO_PKG_VERSION") => {
            Ok(format!("{base}, version {version}"))
        }
        Some(version) => Err((&found::BINARY_DIFFERS, format!("it says version {version}"))),
        None => Err((&found::PORT_TAKEN, base.to_owned())),
    }
}

/// What the daemon says of its readiness, with all that it says to whoever has its token.
async fn ready(base: &str, config: Option<&Config>) -> Option<Value> {
    let mut asked = http::loopback_client()
        .ok()?
        .get(format!("{base}/api/v1/ready"));
    if let Some(token) = config.and_then(|config| config.http.bearer_token.as_ref()) {
        asked = asked.bearer_auth(token.expose_secret());
    }
    let answer = asked.timeout(ANSWER_WITHIN).send().await.ok()?;
    answer.json().await.ok()
}

fn judge_ready(answer: Option<&Value>) -> Judged {
    let Some(answer) = answer else {
        return Err((&found::NOT_READY, "it gives no readiness".into()));
    };
    if answer.get("ready") == Some(&Value::Bool(true)) {
        return Ok(String::new());
    }
    let reasons = answer.get("reasons").and_then(Value::as_array);
    let lines = reasons.into_iter().flatten().filter_map(Value::as_str);
    Err((&found::NOT_READY, lines.collect::<Vec<_>>().join("\n")))
}

/// How often the link had to be opened again, if there is one and it is known how long.
fn steadiness(answer: Option<&Value>, instance: &str, age: Option<Duration>) -> Option<Check> {
    let path = format!("/channels/{instance}/link/opened");
    let opened = answer?.pointer(&path)?.as_u64()?;
    let minutes = age?.as_secs() / 60;
    let again = opened.saturating_sub(1);
    let hours = minutes.div_ceil(60).max(1);
    let seen = format!("opened again {again} times in {minutes} minutes");
    let ended = match again / hours <= REOPENED_AN_HOUR_MAX {
        true => Ok(seen),
        false => Err((&found::LINK_FLAPS, seen)),
    };
    Some(judged("link", STEADY, ended))
}

fn events(answer: Option<&Value>, instance: &str) -> Check {
    const ID: &str = "events";
    const NONE_YET: Words = Words {
        en: "none since the daemon started; write to the bot and look again. If none comes: \
             xiaoo-app doctor explain no-events",
        zh: "启动以来没有收到；给机器人发条消息再看。仍没有时：xiaoo-app doctor explain no-events",
    };
    let path = format!("/channels/{instance}/events/received");
    let received = answer.and_then(|answer| answer.pointer(&path)?.as_u64());
    match received {
        Some(count @ 1..) => Check::holds(ID, EVENTS, format!("{count} since it started")),
        Some(0) | None => Check::unknown(ID, EVENTS, NONE_YET),
    }
}
