//! The platform: its name, the way there, the clock, the app, the long connection.

use std::time::{Duration, SystemTime};

use runtime_tokio::http::{self, HttpOptions};
use runtime_tokio::link::{Dialer, EndpointSource as _, ProbeError, probe};
use runtime_tokio::openapi::{ApiError, OpenApi, OpenApiConfig, Patience};
use serde_json::Value;
use xiaoo_store::StoreUrl;

use super::super::findings as found;
use super::super::findings::{Finding, Words};
use super::super::report::Check;
use super::super::{NEEDS_THE_STEP_BEFORE, judged, within};
use super::surroundings::Surroundings;
use super::{Found, Judged, chain, daemon, is_dns, is_tls, silence, subscription};
use crate::cli::DoctorArgs;
use crate::clients::Clients;
use crate::commands::console;
use crate::config::{FeishuConfig, Transport};

/// Each call; the platform answers in tenths of a second.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// All calls together. A platform that takes its time for each of them is as good as silent.
const ALL_WITHIN: Duration = Duration::from_secs(20);
/// A clock that is off by less hurts nothing.
const SKEW_MAX: Duration = Duration::from_secs(60);

/// A connection that was just closed, by an earlier doctor for example, counts for a moment.
const CONNECTION_ASKS_MAX: u32 = 3;
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(700);

const REACH: Words = Words {
    en: "Feishu can be reached",
    zh: "能连上飞书",
};
const CLOCK: Words = Words {
    en: "this machine's clock is Feishu's",
    zh: "本机时钟与飞书一致",
};
const TOKEN: Words = Words {
    en: "App ID and App Secret give a token",
    zh: "App ID 与 App Secret 能换取 token",
};
const BOT: Words = Words {
    en: "the app has a bot, enabled in the tenant",
    zh: "应用有机器人且已在企业启用",
};
const SCOPES: Words = Words {
    en: "the permissions that are needed are granted",
    zh: "所需权限均已授予",
};
const CONNECTIONS: Words = Words {
    en: "no forgotten daemon is connected",
    zh: "没有被遗忘的守护进程连着",
};
const ENDPOINT: Words = Words {
    en: "Feishu gives an address for the long connection",
    zh: "飞书给出长连接地址",
};
const DIAL: Words = Words {
    en: "the long connection opens",
    zh: "长连接能建立",
};

pub(in super::super) async fn checks(
    bot: &FeishuConfig,
    surroundings: &Surroundings,
    args: &DoctorArgs,
) -> Vec<Check> {
    let mut made = Vec::new();
    let look = look(bot, surroundings, args, &mut made);
    if tokio::time::timeout(ALL_WITHIN, look).await.is_err() {
        let (id, tried) = not_made(&made, bot).next().unwrap_or(("feishu", REACH));
        let limit = ALL_WITHIN.as_secs();
        let detail = format!("each answer is late: after {limit} s this one is not there yet");
        made.push(Check::fails(id, tried, &found::FEISHU_SILENT, detail));
    }
    let rest: Vec<_> = not_made(&made, bot)
        .map(|(id, tried)| Check::unknown(id, tried, NEEDS_THE_STEP_BEFORE))
        .collect();
    made.extend(rest);
    made
}

/// As far as it goes; what is not looked at needs what failed.
async fn look(
    bot: &FeishuConfig,
    surroundings: &Surroundings,
    args: &DoctorArgs,
    checks: &mut Vec<Check>,
) {
    let client = match Clients::new(bot.ca_file.clone()).of(&bot.base_url) {
        Ok(client) => client,
        Err(error) => {
            let detail = format!("{error:#}");
            let finding = &found::CA_FILE_UNUSABLE;
            checks.push(Check::fails("feishu", REACH, finding, detail));
            return;
        }
    };
    let reached = within(CALL_WITHIN, reach(bot, &client), &found::FEISHU_SILENT);
    let off = match reached.await {
        Ok(off) => off,
        Err((finding, detail)) => {
            let finding = silence::told_apart(finding, &found::FEISHU_SILENT, &bot.base_url).await;
            let detail = format!("{}: {detail}", bot.base_url);
            checks.push(Check::fails("feishu", REACH, finding, detail));
            return;
        }
    };
    checks.push(Check::holds("feishu", REACH, bot.base_url.clone()));
    checks.push(clock(off));

    let api = OpenApi::new(
        client,
        OpenApiConfig {
            base_url: bot.base_url.clone(),
            app_id: bot.app_id.clone(),
            app_secret: bot.app_secret.clone(),
            patience: Patience {
                tries_max: 1,
                call_timeout: CALL_WITHIN,
                total_max: CALL_WITHIN,
                ..Patience::default()
            },
        },
    );
    // The call with the token that needs no right says whether the token comes.
    let identity = api.bot_info().await;
    let token_error = identity
        .as_ref()
        .err()
        .filter(|error| error.is_about_token());
    if let Some(error) = token_error {
        checks.push(Check::fails(
            "token",
            TOKEN,
            finding(error),
            error.to_string(),
        ));
        return;
    }
    checks.push(Check::holds("token", TOKEN, bot.app_id.clone()));
    checks.push(match identity {
        Ok(info) if info.activate_status == 2 => {
            Check::holds("bot", BOT, format!("{} {}", info.app_name, info.open_id))
        }
        Ok(info) => {
            let status = info.activate_status;
            let finding = if status == 1 {
                &found::APP_DISABLED
            } else {
                &found::NOT_PUBLISHED
            };
            Check::fails("bot", BOT, finding, format!("activate_status is {status}"))
        }
        Err(error) => Check::fails("bot", BOT, finding(&error), error.to_string()),
    });
    let app = async {
        let (scopes, subscription) =
            tokio::join!(scopes(&api, bot), subscription::checks(&api, bot));
        checks.push(scopes);
        checks.extend(subscription);
    };
    let ((), connections) = tokio::join!(app, connections(&api, bot, surroundings, args));
    checks.push(connections);
    if bot.transport == Transport::Websocket {
        dial(&api, bot, checks).await;
    }
}

/// What is looked at, in this order, and was not.
fn not_made(made: &[Check], bot: &FeishuConfig) -> impl Iterator<Item = (&'static str, Words)> {
    let all = [
        ("feishu", REACH),
        ("clock", CLOCK),
        ("token", TOKEN),
        ("bot", BOT),
        ("scopes", SCOPES),
        ("connections", CONNECTIONS),
        ("endpoint", ENDPOINT),
        ("dial", DIAL),
    ];
    let dials = bot.transport == Transport::Websocket;
    all.into_iter()
        .filter(move |(id, _)| dials || !matches!(*id, "endpoint" | "dial"))
        .filter(|(id, _)| made.iter().all(|check| check.id != *id))
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether something like Feishu answers there, and how far off the clock is.
async fn reach(bot: &FeishuConfig, client: &reqwest::Client) -> Result<Option<Duration>, Found> {
    let url = format!("{}/open-apis/bot/v3/info", bot.base_url);
    let answer = client.get(url).send().await.map_err(|error| {
        let words = chain(error);
        let proxied = words.contains("tunnel") || words.contains("proxy");
        let finding = if proxied {
            &found::PROXY_UNREACHABLE
        } else if is_dns(&words) {
            &found::DNS_FAILS
        } else if is_tls(&words) {
            &found::TLS_UNTRUSTED
        } else if http::proxy_of(&bot.base_url).is_some() {
            // The connection that fails is the one to the proxy.
            &found::PROXY_UNREACHABLE
        } else {
            &found::FEISHU_UNREACHABLE
        };
        (finding, words)
    })?;
    let date = answer.headers().get(reqwest::header::DATE);
    let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let off = date.map(|date| {
        let now = SystemTime::now();
        now.duration_since(date)
            .unwrap_or_else(|future| future.duration())
    });
    let status = answer.status();
    if status.is_server_error() {
        return Err((&found::FEISHU_TROUBLE, format!("HTTP {status}")));
    }
    let body = answer.json::<Value>().await.unwrap_or_default();
    match body.get("code").and_then(Value::as_i64) {
        Some(_) => Ok(off),
        None => Err((&found::NOT_FEISHU, format!("HTTP {status}, and no code"))),
    }
}

fn clock(off: Option<Duration>) -> Check {
    const NO_DATE: Words = Words {
        en: "the answer has no date",
        zh: "应答没有日期",
    };
    let Some(off) = off else {
        return Check::unknown("clock", CLOCK, NO_DATE);
    };
    let seen = format!("{} s apart", off.as_secs());
    if off > SKEW_MAX {
        Check::fails("clock", CLOCK, &found::CLOCK_SKEW, seen)
    } else {
        Check::holds("clock", CLOCK, seen)
    }
}

async fn scopes(api: &OpenApi, bot: &FeishuConfig) -> Check {
    const NOT_TOLD: Words = Words {
        en: "the platform doesn't tell which are granted",
        zh: "平台没有给出已授予的权限",
    };
    let Ok(granted) = api.granted_scopes().await else {
        return Check::unknown("scopes", SCOPES, NOT_TOLD);
    };
    let has = |name: &str| granted.iter().any(|scope| scope == name);
    let missing: Vec<String> = console::needed(bot)
        .map(|needed| [&[needed.name], needed.instead].concat())
        .filter(|ways| !ways.iter().any(|name| has(name)))
        .map(|ways| ways.join(" | "))
        .collect();
    if missing.is_empty() {
        return Check::holds("scopes", SCOPES, format!("{} are granted", granted.len()));
    }
    Check::fails("scopes", SCOPES, &found::SCOPE_MISSING, missing.join("\n"))
}

/// Asked before the dial, which would count.
async fn connections(
    api: &OpenApi,
    bot: &FeishuConfig,
    surroundings: &Surroundings,
    args: &DoctorArgs,
) -> Check {
    const NOT_TOLD: Words = Words {
        en: "the platform doesn't tell how many connections are open",
        zh: "平台没有给出长连接数量",
    };
    let config = surroundings.config.as_ref();
    // Several daemons on one server are meant to be.
    let is_shared = config.is_some_and(|config| matches!(config.store.url, StoreUrl::Postgres(_)));
    let mut asks_left = CONNECTION_ASKS_MAX;
    loop {
        let Ok(open) = api.online_connections().await else {
            return Check::unknown("connections", CONNECTIONS, NOT_TOLD);
        };
        let own = match daemon::has_link(config, args, &bot.instance).await {
            Some(has_link) => u64::from(has_link),
            // It may be the daemon's that hangs.
            None => open.min(1),
        };
        let seen = format!("{open} open, {own} of the daemon here");
        if open <= own || is_shared {
            return Check::holds("connections", CONNECTIONS, seen);
        }
        asks_left -= 1;
        if asks_left == 0 {
            return Check::fails("connections", CONNECTIONS, &found::SECOND_DAEMON, seen);
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
    }
}

async fn dial(api: &OpenApi, bot: &FeishuConfig, checks: &mut Vec<Check>) {
    let url = match within(CALL_WITHIN, endpoint(api, bot), &found::FEISHU_SILENT).await {
        Ok(url) => url,
        Err((finding, detail)) => {
            checks.push(Check::fails("endpoint", ENDPOINT, finding, detail));
            checks.push(Check::unknown("dial", DIAL, NEEDS_THE_STEP_BEFORE));
            return;
        }
    };
    checks.push(Check::holds("endpoint", ENDPOINT, ""));
    let options = HttpOptions {
        ca_file: bot.ca_file.clone(),
        no_proxy: false,
    };
    let dialer = Dialer::like_http(options);
    let dialled = async {
        match probe(&url, &dialer).await {
            Ok(()) => Ok("closed again at once".to_owned()),
            Err(error) => Err((of_probe(&error), error.to_string())),
        }
    };
    let mut ended = within(CALL_WITHIN, dialled, &found::LINK_BLOCKED).await;
    if let Err((finding, _)) = &mut ended {
        *finding = silence::told_apart(finding, &found::LINK_BLOCKED, &url).await;
    }
    checks.push(judged("dial", DIAL, ended));
}

async fn endpoint(api: &OpenApi, bot: &FeishuConfig) -> Judged {
    let Some(answer) = api.fetch().await else {
        return Err((&found::FEISHU_SILENT, "no answer".into()));
    };
    if answer.status != 200 {
        return Err((&found::FEISHU_TROUBLE, format!("HTTP {}", answer.status)));
    }
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        return Err((&found::NO_ENDPOINT, "the answer is not JSON".into()));
    };
    let code = body.get("code").and_then(Value::as_i64).unwrap_or(-1);
    if code != 0 {
        return Err((of_code(code), format!("code {code}")));
    }
    let url = body.pointer("/data/URL").and_then(Value::as_str);
    match url {
        Some(url) if bot.host_policy().allows(url) => Ok(url.to_owned()),
        Some(_) => Err((&found::NO_ENDPOINT, "its host is not allowed".into())),
        None => Err((&found::NO_ENDPOINT, "it holds no URL".into())),
    }
}

fn of_probe(error: &ProbeError) -> &'static Finding {
    let refusal = match error {
        ProbeError::Refused(refusal) => refusal,
        ProbeError::Failed(words) if is_tls(words) => return &found::TLS_UNTRUSTED,
        ProbeError::Failed(words) if is_dns(words) => return &found::DNS_FAILS,
        ProbeError::Failed(_) => return &found::LINK_BLOCKED,
    };
    let codes = [refusal.auth_error, refusal.status];
    let too_many = |code: &i64| found::TOO_MANY_CONNECTIONS.codes.contains(code);
    if codes.iter().flatten().any(too_many) {
        &found::TOO_MANY_CONNECTIONS
    } else if refusal.status == Some(403) {
        &found::LINK_FORBIDDEN
    } else if refusal.status.is_none() {
        // The gateway names itself; a proxy in between doesn't.
        &found::LINK_BLOCKED
    } else {
        &found::LINK_REFUSED
    }
}

fn finding(error: &ApiError) -> &'static Finding {
    match error.code() {
        Some(code) => of_code(code),
        None if matches!(error, ApiError::Transport { .. }) => &found::FEISHU_SILENT,
        None => &found::FEISHU_TROUBLE,
    }
}

fn of_code(code: i64) -> &'static Finding {
    let known = found::ALL
        .iter()
        .find(|finding| finding.codes.contains(&code));
    known.copied().unwrap_or(&found::FEISHU_REFUSES)
}
