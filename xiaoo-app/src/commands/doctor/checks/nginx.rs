//! nginx on this machine: whether it takes its configuration, and whether it runs with it.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::super::findings as found;
use super::super::findings::Words;
use super::super::judged;
use super::super::report::{Check, Outcome};
use super::Judged;
use crate::config::{Config, Transport};

/// Where Debian and most others put it.
const NGINX: &str = "/usr/sbin/nginx";
/// It reads some files, and may look a name up in each of them.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Of what it complains about.
const LINES_SHOWN: usize = 3;
/// What our routes begin with.
const ROUTES: &str = "/api/v1/";

const SYNTAX: Words = Words {
    en: "nginx takes its configuration",
    zh: "nginx 配置正确",
};

/// For webhooks alone; a long connection needs no nginx.
pub(in super::super) async fn checks(config: &Config) -> Vec<Check> {
    const ID: &str = "nginx";
    const NOT_HERE: Words = Words {
        en: "there is none on this machine",
        zh: "本机没有 nginx",
    };
    const NOT_OURS: Words = Words {
        en: "only root may read all of it: sudo nginx -t",
        zh: "只有 root 能读取全部配置：sudo nginx -t",
    };
    let mut bots = config.channels.iter();
    if !bots.any(|bot| bot.transport == Transport::Webhook) {
        return Vec::new();
    }
    if !Path::new(NGINX).exists() {
        return vec![Check::unknown(ID, SYNTAX, NOT_HERE)];
    }
    let Some(answer) = ask("-t").await else {
        return vec![Check::unknown(ID, SYNTAX, NOT_OURS)];
    };
    vec![judged(ID, SYNTAX, judge(&answer))]
}

/// Checks of the public URL; a route that is missing there and stands in nginx's files here was
/// not loaded.
pub(in super::super) async fn with_its_files(
    checks: impl Future<Output = Vec<Check>>,
) -> Vec<Check> {
    let checks = checks.await;
    let is_missing = |check: &Check| missing_route(check).is_some();
    if !checks.iter().any(is_missing) {
        return checks;
    }
    let answer = ask("-T").await;
    let files = answer.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned());
    let files = files.unwrap_or_default();
    let judged = checks.into_iter().map(|mut check| {
        if let Some(route) = missing_route(&check)
            && has_location(&files, &route)
        {
            let detail = format!("nginx's files on this machine have {route}");
            check.outcome = Outcome::Fails(&found::NGINX_NOT_RELOADED, detail);
        }
        check
    });
    judged.collect()
}

/// The route that a check misses, as its words name it.
fn missing_route(check: &Check) -> Option<String> {
    let Outcome::Fails(finding, detail) = &check.outcome else {
        return None;
    };
    if finding.id != found::ROUTE_MISSING.id {
        return None;
    }
    let mut words = detail.split([' ', ':', '\n']);
    words
        .find(|word| word.starts_with(ROUTES))
        .map(str::to_owned)
}

fn has_location(files: &str, route: &str) -> bool {
    let mut lines = files.lines().map(str::trim_start);
    lines.any(|line| {
        let mut words = line.split([' ', '\t', '{']);
        words.next() == Some("location") && words.any(|word| word.trim_start_matches('=') == route)
    })
}

/// What nginx says when it is asked; `None` if it can't be asked.
async fn ask(what: &str) -> Option<Output> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let mut command = Command::new(NGINX);
    let asked = command.arg(what).kill_on_drop(true).output();
    timeout(ANSWER_WITHIN, asked).await.ok()?.ok()
}

fn judge(answer: &Output) -> Judged {
    if answer.status.success() {
        return Ok(String::new());
    }
    let words = String::from_utf8_lossy(&answer.stderr);
    let lines: Vec<_> = words.lines().take(LINES_SHOWN).collect();
    Err((&found::NGINX_CONFIG, lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::has_location;

    #[test]
    fn a_route_stands_in_a_location_and_nowhere_else() {
        const ROUTE: &str = "/api/v1/channels/xiaoo/events";
        for (line, has) in [
            ("  location = /api/v1/channels/xiaoo/events {", true),
            ("location =/api/v1/channels/xiaoo/events{", true),
            ("\tlocation /api/v1/channels/xiaoo/events{", true),
            ("# location = /api/v1/channels/xiaoo/events {", false),
            ("proxy_pass http://h/api/v1/channels/xiaoo/events;", false),
            ("location = /api/v1/channels/xiaoo/events/more {", false),
        ] {
            assert_eq!(has_location(line, ROUTE), has, "{line}");
        }
    }
}
