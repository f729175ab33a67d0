//! `xiaoo-app doctor`: every layer between Feishu and an answer, looked at in the deployment
//! guide's order, each with what is wrong and what to do.
//!
//! It only looks: it opens no store for writing, sends nobody a message, and works beside a
//! running daemon. What it dials it closes at once.

mod checks;
pub mod document;
pub mod explain;
pub mod findings;
pub mod report;

use std::future::Future;
use std::io::Write;
use std::time::Duration;

use anyhow::bail;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use serde_json::json;

use crate::cli::{DoctorArgs, DoctorCommand};
use crate::commands::language;
use crate::config::{Env, FeishuConfig};
use crate::render::language::Language;

use checks::surroundings::Surroundings;
use checks::{Found, Judged, daemon, feishu, machine, model, nginx, public};
use findings::{Finding, Words};
use report::{Check, Reader};

/// The longest that all may take: whoever waits at a terminal gets an answer, whatever is
/// silent. The groups run at once, and most end sooner by limits of their own.
pub const ALL_WITHIN: Duration = Duration::from_secs(30);

/// Runs all checks, or explains a message.
///
/// # Errors
/// When a check failed.
pub async fn run(args: &DoctorArgs, env: &dyn Env, out: &mut impl Write) -> anyhow::Result<()> {
    let language = language::chosen(args.language, env);
    if let Some(DoctorCommand::Explain { text }) = &args.command {
        return explain::run(&text.join(" "), &reader(language, None), out);
    }
    let (surroundings, mut made) = Surroundings::look(args, env);
    let first = surroundings.bots().first();
    let reader = reader(language, first);
    let mut failed = made.iter().filter(|check| check.has_failed()).count();
    if !args.json {
        for check in &made {
            reader.write(check, out)?;
        }
    }
    let mut running = start(&surroundings, args);
    while let Some(checks) = running.next().await {
        for check in checks {
            failed += usize::from(check.has_failed());
            if args.json {
                made.push(check);
            } else {
                reader.write(&check, out)?;
                out.flush()?;
            }
        }
    }
    if args.json {
        let checks: Vec<_> = made.iter().map(|check| reader.json(check)).collect();
        writeln!(out, "{:#}", json!({"ok": failed == 0, "checks": checks}))?;
    }
    out.flush()?;
    match failed {
        0 => Ok(()),
        _ => match language {
            Language::English => bail!("{failed} checks failed"),
            Language::Chinese => bail!("{failed} 项检查失败"),
        },
    }
}

/// The groups of checks, which run at once and are heard in the guide's order.
fn start<'a>(
    surroundings: &'a Surroundings,
    args: &'a DoctorArgs,
) -> FuturesOrdered<BoxFuture<'a, Vec<Check>>> {
    let mut groups: FuturesOrdered<BoxFuture<'a, Vec<Check>>> = FuturesOrdered::new();
    let mut group = |checks: BoxFuture<'a, Vec<Check>>| groups.push_back(in_time(checks).boxed());
    group(machine::checks(surroundings, args).boxed());
    for bot in surroundings.bots() {
        let checks = feishu::checks(bot, surroundings, args);
        let name = name_among(surroundings.bots(), bot);
        group(named(checks, name).boxed());
    }
    if let Some(config) = &surroundings.config {
        group(model::checks(config).boxed());
        group(daemon::checks(config, args).boxed());
        group(nginx::checks(config).boxed());
        group(nginx::with_its_files(public::checks(config, args)).boxed());
    }
    groups
}

/// The checks of a group, or that they took too long.
async fn in_time(checks: impl Future<Output = Vec<Check>>) -> Vec<Check> {
    const TRIED: Words = Words {
        en: "all is looked at in time",
        zh: "在限定时间内完成全部检查",
    };
    const TOO_LONG: Words = Words {
        en: "not all within 30 s; something above is very slow",
        zh: "30 秒内未能全部完成；上面某一环节很慢",
    };
    let ended = tokio::time::timeout(ALL_WITHIN, checks).await;
    ended.unwrap_or_else(|_| vec![Check::unknown("time", TRIED, TOO_LONG)])
}

/// Of several bots, how this one is called.
fn name_among<'a>(bots: &[FeishuConfig], bot: &'a FeishuConfig) -> Option<&'a str> {
    (bots.len() > 1).then_some(bot.instance.as_str())
}

/// The checks, with the bot that they are about.
async fn named(checks: impl Future<Output = Vec<Check>>, bot: Option<&str>) -> Vec<Check> {
    let checks = checks.await.into_iter();
    checks.map(|check| check.about(bot)).collect()
}

/// What came of it, or what it means that nothing did in time.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Found>>,
    too_long: &'static Finding,
) -> Result<T, Found> {
    match tokio::time::timeout(limit, work).await {
        Ok(ended) => ended,
        Err(_) => Err((too_long, format!("nothing came for {} s", limit.as_secs()))),
    }
}

/// What is said of a check that needs one that failed.
const NEEDS_THE_STEP_BEFORE: Words = Words {
    en: "not tried: it needs what failed above",
    zh: "未检查：依赖上面失败的步骤",
};

fn judged(id: &'static str, tried: Words, judged: Judged) -> Check {
    match judged {
        Ok(seen) => Check::holds(id, tried, seen),
        Err((finding, detail)) => Check::fails(id, tried, finding, detail),
    }
}

fn reader(language: Language, bot: Option<&FeishuConfig>) -> Reader {
    Reader {
        language,
        base_url: bot.map(|bot| bot.base_url.clone()).unwrap_or_default(),
        app_id: bot.map_or_else(|| "APP_ID".to_owned(), |bot| bot.app_id.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_group_without_an_end_is_told_and_not_waited_for() {
        let began = tokio::time::Instant::now();
        let made = in_time(std::future::pending()).await;
        let ids: Vec<_> = made.iter().map(|check| check.id).collect();
        assert_eq!((ids, began.elapsed()), (vec!["time"], ALL_WITHIN));
    }
}
