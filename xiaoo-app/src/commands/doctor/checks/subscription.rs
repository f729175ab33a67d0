//! What the platform would deliver, and how: the published version and the app's settings.
//! The platform tells it only to an app that may read about itself.

use runtime_tokio::openapi::{AppDelivery, AppVersion, OpenApi};

use super::super::findings as found;
use super::super::findings::Words;
use super::super::judged;
use super::super::report::Check;
use super::Judged;
use crate::config::{FeishuConfig, Transport};

/// Without this event no message arrives.
const MESSAGE: &str = "im.message.receive_v1";
/// Without this callback no button works.
const BUTTON: &str = "card.action.trigger";

const VERSION: Words = Words {
    en: "the published version subscribes to messages",
    zh: "已发布的版本订阅了消息事件",
};
const BUTTONS: Words = Words {
    en: "buttons of cards are subscribed",
    zh: "已订阅卡片按钮回调",
};
const MODE: Words = Words {
    en: "the console delivers in the configuration's way",
    zh: "后台的订阅方式与配置一致",
};
const NOT_TOLD: Words = Words {
    en: "the platform tells it only to an app with the permissions \
         application:application.app_version:readonly and admin:app.info:readonly; without them, \
         see Events & Callbacks in the console",
    zh: "平台只在授予 application:application.app_version:readonly 与 admin:app.info:readonly \
         后告知；否则请在后台“事件与回调”查看",
};

/// All three; asked at once.
pub(super) async fn checks(api: &OpenApi, bot: &FeishuConfig) -> Vec<Check> {
    let (versions, delivery) = tokio::join!(api.newest_versions(), api.delivery());
    vec![
        told("subscription", VERSION, versions, |versions| {
            judge_versions(&versions)
        }),
        told("buttons", BUTTONS, delivery.as_ref(), judge_buttons),
        told("mode", MODE, delivery.as_ref(), |delivery| {
            judge_mode(delivery, bot.transport)
        }),
    ]
}

/// What isn't told is no fault: most apps have no right to ask.
fn told<T, E>(
    id: &'static str,
    tried: Words,
    answer: Result<T, E>,
    judge: impl FnOnce(T) -> Option<Judged>,
) -> Check {
    match answer.ok().and_then(judge) {
        Some(ended) => judged(id, tried, ended),
        None => Check::unknown(id, tried, NOT_TOLD),
    }
}

fn judge_versions(versions: &[AppVersion]) -> Option<Judged> {
    let subscribes = |version: &&AppVersion| version.events.iter().any(|event| event == MESSAGE);
    let published = versions.iter().find(|version| version.is_published);
    let draft = versions.iter().find(|version| !version.is_published);
    let Some(published) = published else {
        return Some(Err((
            &found::NOT_PUBLISHED,
            "no version is published".into(),
        )));
    };
    if subscribes(&published) {
        return Some(Ok(format!("version {}", published.version)));
    }
    let waiting = draft.filter(subscribes);
    let detail = match waiting {
        Some(draft) => format!(
            "version {} lacks {MESSAGE}; version {} has it, and waits to be published",
            published.version, draft.version
        ),
        None => format!("version {} lacks {MESSAGE}", published.version),
    };
    Some(Err((&found::EVENT_UNSUBSCRIBED, detail)))
}

fn judge_buttons(delivery: &AppDelivery) -> Option<Judged> {
    let callbacks = delivery.callbacks.as_ref()?;
    let is_there = callbacks.subscribed.iter().any(|name| name == BUTTON);
    Some(match is_there {
        true => Ok(BUTTON.to_owned()),
        false => Err((&found::BUTTONS_UNSUBSCRIBED, format!("{BUTTON} is missing"))),
    })
}

fn judge_mode(delivery: &AppDelivery, transport: Transport) -> Option<Judged> {
    let wanted = match transport {
        Transport::Webhook => "webhook",
        Transport::Websocket => "websocket",
    };
    let events = delivery.events.as_ref();
    // Where none is subscribed, the way of the callbacks was never chosen.
    let callbacks = delivery.callbacks.as_ref();
    let callbacks = callbacks.filter(|callbacks| !callbacks.subscribed.is_empty());
    let modes = [
        ("events", events.and_then(|events| events.mode.as_deref())),
        (
            "callbacks",
            callbacks.and_then(|callbacks| callbacks.mode.as_deref()),
        ),
    ];
    let told: Vec<_> = modes
        .into_iter()
        .filter_map(|(what, mode)| Some((what, mode?)))
        .collect();
    if told.is_empty() {
        return None;
    }
    let others: Vec<_> = told
        .into_iter()
        .filter(|(_, mode)| *mode != wanted)
        .map(|(what, mode)| format!("{what}: {mode} in the console, {wanted} here"))
        .collect();
    Some(match others.is_empty() {
        true => Ok(wanted.to_owned()),
        false => Err((&found::SUBSCRIPTION_MODE, others.join("\n"))),
    })
}

#[cfg(test)]
mod tests {
    use runtime_tokio::openapi::{Callbacks, Events};

    use super::*;

    fn id(ended: Option<Judged>) -> Option<&'static str> {
        ended.map(|ended| ended.map_or_else(|(finding, _)| finding.id, |_| "holds"))
    }

    #[test]
    fn only_what_is_published_counts() {
        let version = |is_published, events: &[&str]| AppVersion {
            version: "1".into(),
            is_published,
            events: events.iter().map(|event| (*event).to_owned()).collect(),
        };
        let (with, without) = ([MESSAGE], ["im.chat.updated_v1"]);
        for (versions, wanted) in [
            (vec![version(true, &with)], "holds"),
            (
                vec![version(false, &without), version(true, &with)],
                "holds",
            ),
            (vec![version(true, &without)], "event-unsubscribed"),
            (
                vec![version(false, &with), version(true, &[])],
                "event-unsubscribed",
            ),
            (vec![version(false, &with)], "not-published"),
            (vec![], "not-published"),
        ] {
            assert_eq!(id(judge_versions(&versions)), Some(wanted), "{versions:?}");
        }
    }

    #[test]
    fn the_way_is_judged_as_far_as_it_is_told() {
        let told = |events: Option<&str>, callbacks: Option<&str>, subscribed: &[&str]| {
            let mode = |mode: Option<&str>| mode.map(str::to_owned);
            AppDelivery {
                events: Some(Events { mode: mode(events) }),
                callbacks: Some(Callbacks {
                    mode: mode(callbacks),
                    subscribed: subscribed.iter().map(|name| (*name).to_owned()).collect(),
                }),
            }
        };
        for (delivery, wanted) in [
            (
                told(Some("websocket"), Some("websocket"), &[BUTTON]),
                Some("holds"),
            ),
            (told(Some("webhook"), None, &[]), Some("subscription-mode")),
            (
                told(None, Some("webhook"), &[BUTTON]),
                Some("subscription-mode"),
            ),
            // Never chosen.
            (told(None, Some("webhook"), &[]), None),
            (told(Some("websocket"), Some("webhook"), &[]), Some("holds")),
            (told(None, None, &[BUTTON]), None),
            (AppDelivery::default(), None),
        ] {
            assert_eq!(
                id(judge_mode(&delivery, Transport::Websocket)),
                wanted,
                "{delivery:?}"
            );
        }
        assert_eq!(id(judge_buttons(&AppDelivery::default())), None);
    }
}
