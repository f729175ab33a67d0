//! The public URL, as far as it can be seen from here.

use std::time::Duration;

use reqwest::{Client, StatusCode, Url};

use super::super::findings as found;
use super::super::findings::{Finding, Words};
use super::super::report::Check;
use super::super::{NEEDS_THE_STEP_BEFORE, judged, name_among};
use super::{Judged, chain, is_dns, is_tls, route, silence};
use crate::bot::event_route;
use crate::cli::DoctorArgs;
use crate::clients::Clients;
use crate::config::{Config, FeishuConfig, Transport};

/// A server that drops packets answers nothing for longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

const HEALTH: Words = Words {
    en: "the public URL leads to the daemon",
    zh: "公网地址能访问到守护进程",
};
const CHALLENGE: Words = Words {
    en: "the challenge is answered through the public URL",
    zh: "通过公网地址能完成 challenge 校验",
};

pub(in super::super) async fn checks(config: &Config, args: &DoctorArgs) -> Vec<Check> {
    const NOT_NAMED: Words = Words {
        en: "not tried: name it with --public-url, best from another machine",
        zh: "未检查：用 --public-url 指定，最好在另一台机器上运行",
    };
    let routes = routes(&config.channels);
    let Some(first) = routes.first() else {
        return Vec::new();
    };
    let Some(url) = &args.public_url else {
        return vec![Check::unknown("public-health", HEALTH, NOT_NAMED)];
    };
    let base = url.origin().ascii_serialization();
    let client = match Clients::new(first.bot.ca_file.clone()).of(&base) {
        Ok(client) => client,
        Err(error) => {
            let detail = format!("{error:#}");
            return vec![Check::fails(
                "public-health",
                HEALTH,
                &found::CA_FILE_UNUSABLE,
                detail,
            )];
        }
    };
    let health = health(&client, &base, url).await;
    let is_shut = matches!(&health, Err((finding, _)) if is_shut(finding));
    const NO_HEALTH: Words = Words {
        en: "no health page there; the callback is asked by itself",
        zh: "那里没有健康检查页面；单独检查回调地址",
    };
    // Whoever publishes one callback and nothing else has not forgotten a route.
    let is_callback_alone = url.path() != "/"
        && matches!(&health, Err((finding, _)) if finding.id == found::ROUTE_MISSING.id);
    let mut checks = vec![match is_callback_alone {
        true => Check::unknown("public-health", HEALTH, NO_HEALTH),
        false => judged("public-health", HEALTH, health),
    }];
    if is_shut {
        checks.push(Check::unknown(
            "public-challenge",
            CHALLENGE,
            NEEDS_THE_STEP_BEFORE,
        ));
        return checks;
    }
    let bots = &config.channels;
    match asked(routes, url.path()) {
        Asked::Each(routes) => {
            for route in &routes {
                checks.extend(ask(&client, &base, route, bots).await);
            }
        }
        Asked::OneOf(routes) => {
            let mut first = None;
            for route in &routes {
                let made = ask(&client, &base, route, bots).await;
                if made.iter().any(Check::has_failed) {
                    first.get_or_insert(made);
                } else {
                    first = Some(made);
                    break;
                }
            }
            checks.extend(first.into_iter().flatten());
        }
    }
    checks
}

async fn ask(client: &Client, base: &str, route: &Route<'_>, bots: &[FeishuConfig]) -> Vec<Check> {
    let made = route::checks("public", client, base, &route.paths, route.bot).await;
    let name = name_among(bots, route.bot);
    made.into_iter().map(|check| check.about(name)).collect()
}

/// A bot that takes webhooks, and where it may be seen from outside.
struct Route<'a> {
    bot: &'a FeishuConfig,
    paths: Vec<String>,
}

/// Under the names of deploy/nginx, and the daemon's own.
fn routes(bots: &[FeishuConfig]) -> Vec<Route<'_>> {
    let of_webhook = |(_, bot): &(usize, &FeishuConfig)| bot.transport == Transport::Webhook;
    let bots = bots.iter().enumerate().filter(of_webhook);
    bots.map(|(at, bot)| Route {
        bot,
        paths: match at {
            0 => vec![route::PUBLIC.to_owned()],
            _ => [format!("xiaoo-{}", bot.instance), bot.instance.clone()]
                .map(|name| event_route(&name))
                .into(),
        },
    })
    .collect()
}

enum Asked<'a> {
    /// All of them must answer.
    Each(Vec<Route<'a>>),
    /// One of them must; the address doesn't say which.
    OneOf(Vec<Route<'a>>),
}

/// Whom the URL means: the whole machine, or the bot whose callback it is.
fn asked<'a>(mut routes: Vec<Route<'a>>, path: &str) -> Asked<'a> {
    if path == "/" {
        return Asked::Each(routes);
    }
    let at_it = |route: Route<'a>| Route {
        paths: vec![path.to_owned()],
        ..route
    };
    let is_its = |route: &Route<'_>| {
        let own = event_route(&route.bot.instance);
        own == path || route.paths.iter().any(|usual| usual == path)
    };
    match routes.iter().position(is_its) {
        Some(named) => Asked::Each(vec![at_it(routes.swap_remove(named))]),
        None => Asked::OneOf(routes.into_iter().map(at_it).collect()),
    }
}

/// Whether nothing more can be asked after this.
fn is_shut(finding: &Finding) -> bool {
    let shut = [
        &found::PUBLIC_DNS,
        &found::PUBLIC_TLS,
        &found::PUBLIC_UNREACHABLE,
        &found::NGINX_NO_DAEMON,
        &found::PROXY_UNREACHABLE,
    ];
    shut.iter().any(|shut| std::ptr::eq(*shut, finding))
}

/// Whether the internal route is published in place of the public one. A daemon that is reached
/// without a server in between answers both.
async fn takes_the_other_place(client: &Client, base: &str) -> bool {
    let is_there = async |path: &str| {
        let asked = client.post(format!("{base}{path}")).timeout(ANSWER_WITHIN);
        let answer = asked.send().await.ok()?;
        Some(answer.status() != StatusCode::NOT_FOUND)
    };
    is_there(route::PUBLIC).await == Some(false) && is_there(route::INTERNAL).await == Some(true)
}

async fn health(client: &Client, base: &str, url: &Url) -> Judged {
    let asked = client.get(format!("{base}/api/v1/health"));
    let answer = match asked.timeout(ANSWER_WITHIN).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let is_silent = error.is_timeout();
            let words = chain(error);
            let finding = if is_silent {
                silence::of(base, &found::PUBLIC_UNREACHABLE).await
            } else if is_tls(&words) {
                &found::PUBLIC_TLS
            } else if is_dns(&words) {
                &found::PUBLIC_DNS
            } else {
                &found::PUBLIC_UNREACHABLE
            };
            let is_dns = finding.id == found::DNS_FAILS.id;
            let finding = if is_dns { &found::PUBLIC_DNS } else { finding };
            return Err((finding, format!("{base}: {words}")));
        }
    };
    let status = answer.status();
    let seen = format!("{base}: HTTP {status}");
    match status.as_u16() {
        300..=399 => Err((&found::PUBLIC_REDIRECTS, seen)),
        502..=504 => Err((&found::NGINX_NO_DAEMON, seen)),
        200 => match route::health_version(answer).await {
            Some(version)
                if url.path() == route::INTERNAL && takes_the_other_place(client, base).await =>
            {
                let seen = format!("{seen}, version {version}");
                Err((&found::INTERNAL_PUBLISHED, seen))
            }
            Some(version) => Ok(format!("{seen}, version {version}")),
            None => Err((&found::PUBLIC_FOREIGN, seen)),
        },
        404 => Err((&found::ROUTE_MISSING, format!("{seen} for /api/v1/health"))),
        401 | 403 => Err((&found::ROUTE_GUARDED, seen)),
        _ => Err((&found::PUBLIC_FOREIGN, seen)),
    }
}
