//! The platform's console as an operator meets it: its pages, and what an app is granted there.

use super::words::Words;
use crate::config::{Cloud, FeishuConfig, ProgressStyle};

/// The page of an app in the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// No page of the console helps.
    Nowhere,
    /// Credentials and basic information.
    Credentials,
    /// Capabilities: the bot.
    Bot,
    /// Permissions.
    Permissions,
    /// Events and callbacks.
    Events,
    /// Versions and release.
    Versions,
}

impl Page {
    /// Its address; `app` is the app's id or what stands for it. The console is where the
    /// OpenAPI is.
    #[must_use]
    pub fn link(self, base_url: &str, app: &str) -> Option<String> {
        let place = match self {
            Self::Nowhere => return None,
            Self::Credentials => "baseinfo",
            Self::Bot => "bot",
            Self::Permissions => "auth",
            Self::Events => "event",
            Self::Versions => "version",
        };
        Some(format!("{}/{app}/{place}", apps(base_url)))
    }
}

/// The page with all apps.
#[must_use]
pub fn apps(base_url: &str) -> String {
    let console = match base_url.trim_end_matches('/') {
        "" => Cloud::Feishu.base_url(),
        console => console,
    };
    format!("{console}/app")
}

/// One that an app is granted.
#[derive(Debug)]
pub struct Permission {
    /// Its name, which is asked for.
    pub name: &'static str,
    /// What serves a bot that needs it as well.
    pub instead: &'static [&'static str],
    /// What it is for.
    pub purpose: Words,
    need: Need,
}

/// Who needs a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Every bot: without it the bot is deaf or mute.
    Always,
    /// Bots that show a reaction.
    Reactions,
    /// Bots whose answer grows as it is written.
    Streaming,
    /// Nobody, and still most are glad of it.
    Wish,
}

/// All of them.
pub static PERMISSIONS: &[Permission] = &[
    Permission {
        name: "im:message:send_as_bot",
        instead: &["im:message"],
        purpose: Words {
            en: "answering",
            zh: "回复消息",
        },
        need: Need::Always,
    },
    Permission {
        name: "im:message.p2p_msg:readonly",
        instead: &["im:message", "im:message:readonly"],
        purpose: Words {
            en: "receiving direct messages",
            zh: "接收单聊消息",
        },
        need: Need::Always,
    },
    Permission {
        name: "im:message.group_msg:readonly",
        instead: &[
            "im:message.group_at_msg:readonly",
            "im:message.group_msg",
            "im:message",
        ],
        purpose: Words {
            en: "receiving group messages",
            zh: "接收群消息",
        },
        need: Need::Always,
    },
    Permission {
        name: "im:message.reactions:write_only",
        instead: &["im:message"],
        purpose: Words {
            en: "the reaction while it works",
            zh: "处理时的表情回复",
        },
        need: Need::Reactions,
    },
    Permission {
        name: "cardkit:card:write",
        instead: &[],
        purpose: Words {
            en: "answers that grow, with `progress = \"stream\"` alone",
            zh: "流式卡片，仅 `progress = \"stream\"` 时需要",
        },
        need: Need::Streaming,
    },
    Permission {
        name: "contact:user.base:readonly",
        instead: &[],
        purpose: Words {
            en: "knowing who writes",
            zh: "识别发消息的人",
        },
        need: Need::Wish,
    },
    Permission {
        name: "im:resource",
        instead: &[],
        purpose: Words {
            en: "files, both ways",
            zh: "收发文件",
        },
        need: Need::Wish,
    },
    Permission {
        name: "im:chat:readonly",
        instead: &[],
        purpose: Words {
            en: "what a group is called",
            zh: "群名称",
        },
        need: Need::Wish,
    },
    Permission {
        name: "im:chat.members:read",
        instead: &[],
        purpose: Words {
            en: "who is in a group",
            zh: "群成员",
        },
        need: Need::Wish,
    },
];

/// Those that help a bot as it is configured.
pub fn helpful(bot: Option<&FeishuConfig>) -> impl Iterator<Item = &'static Permission> {
    let reacts = bot.is_none_or(|bot| bot.reaction.is_some());
    let streams = bot.is_some_and(|bot| bot.progress == ProgressStyle::Stream);
    PERMISSIONS.iter().filter(move |one| match one.need {
        Need::Always | Need::Wish => true,
        Need::Reactions => reacts,
        Need::Streaming => streams,
    })
}

/// Those that it can't do without as it is configured.
pub fn needed(bot: &FeishuConfig) -> impl Iterator<Item = &'static Permission> {
    helpful(Some(bot)).filter(|one| one.need != Need::Wish)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What is in `backticks` and named as permissions are.
    fn named_in(text: &str) -> BTreeSet<&str> {
        let quoted = text.split('`').skip(1).step_by(2);
        let groups = ["im:", "contact:", "cardkit:", "event:"];
        quoted
            .filter(|word| groups.iter().any(|group| word.starts_with(group)))
            .collect()
    }

    #[test]
    fn the_readmes_name_the_permissions_that_are_asked_for() {
        let expected: BTreeSet<_> = PERMISSIONS.iter().map(|one| one.name).collect();
        for (name, text) in [
            ("README.md", include_str!("../../../README.md")),
            ("README.zh-CN.md", include_str!("../../../README.zh-CN.md")),
            (
                "deploy/README.md",
                include_str!("../../../deploy/README.md"),
            ),
            (
                "deploy/README.zh-CN.md",
                include_str!("../../../deploy/README.zh-CN.md"),
            ),
        ] {
            assert_eq!(named_in(text), expected, "{name}");
        }
    }

    #[test]
    fn the_console_is_where_the_platform_is() {
        for (base_url, link) in [
            ("", "https://open.feishu.cn/app/cli_1/bot"),
            (
                Cloud::Feishu.base_url(),
                "https://open.feishu.cn/app/cli_1/bot",
            ),
            (
                Cloud::Lark.base_url(),
                "https://open.larksuite.com/app/cli_1/bot",
            ),
            (
                "https://open.private.example/",
                "https://open.private.example/app/cli_1/bot",
            ),
        ] {
            assert_eq!(Page::Bot.link(base_url, "cli_1").as_deref(), Some(link));
        }
    }
}
