//! The public URL, as far as it can be seen from here.

use std::time::Duration;

use reqwest::{Client, Url};

use super::super::findings as found;
use super::super::findings::Words;
use super::super::report::Check;
use super::super::{NEEDS_THE_STEP_BEFORE, judged};
use super::{Judged, chain, is_dns, is_tls, route};
use crate::cli::DoctorArgs;
use crate::clients::Clients;
use crate::config::{Config, Transport};

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
    let webhook = config
        .channels
        .iter()
        .find(|bot| bot.transport == Transport::Webhook);
    let Some(bot) = webhook else {
        return Vec::new();
    };
    let Some(url) = &args.public_url else {
        return vec![Check::unknown("public-health", HEALTH, NOT_NAMED)];
    };
    // The whole callback URL will do as well.
    let base = url.origin().ascii_serialization();
    let client = match Clients::new(bot.ca_file.clone()).of(&base) {
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
    let is_shut = matches!(&health, Err((finding, _)) if SHUT.contains(&finding.id));
    let mut checks = vec![judged("public-health", HEALTH, health)];
    if is_shut {
        checks.push(Check::unknown(
            "public-challenge",
            CHALLENGE,
            NEEDS_THE_STEP_BEFORE,
        ));
    } else {
        checks.extend(route::checks("public", &client, &base, bot).await);
    }
    checks
}

/// Nothing more can be asked after these.
const SHUT: [&str; 4] = [
    "public-dns",
    "public-tls",
    "public-unreachable",
    "nginx-no-daemon",
];

async fn health(client: &Client, base: &str, url: &Url) -> Judged {
    let asked = client.get(format!("{base}/api/v1/health"));
    let answer = asked.timeout(ANSWER_WITHIN).send().await.map_err(|error| {
        let words = chain(error);
        let finding = if is_dns(&words) {
            &found::PUBLIC_DNS
        } else if is_tls(&words) {
            &found::PUBLIC_TLS
        } else {
            &found::PUBLIC_UNREACHABLE
        };
        (finding, format!("{base}: {words}"))
    })?;
    let status = answer.status();
    let seen = format!("{base}: HTTP {status}");
    match status.as_u16() {
        300..=399 => Err((&found::PUBLIC_REDIRECTS, seen)),
        502..=504 => Err((&found::NGINX_NO_DAEMON, seen)),
        200 => match route::health_version(answer).await {
            Some(version) if url.path().contains("/channels/feishu/") => Err((
                &found::INTERNAL_PUBLISHED,
                format!("{seen}, version {version}"),
            )),
            Some(version) => Ok(format!("{seen}, version {version}")),
            None => Err((&found::PUBLIC_FOREIGN, seen)),
        },
        404 => Err((&found::ROUTE_MISSING, format!("{seen} for /api/v1/health"))),
        401 | 403 => Err((&found::ROUTE_GUARDED, seen)),
        _ => Err((&found::PUBLIC_FOREIGN, seen)),
    }
}
