//! What the bot itself says to `/help`, `/status` and the like.

use std::fmt::Write as _;

use super::language::Language;

/// Characters of a skill's description in a list.
const DESCRIPTION_CHARS_MAX: usize = 120;
/// Characters of a model's name.
const NAME_CHARS_MAX: usize = 128;
/// Skills in a list.
const SKILLS_MAX: usize = 50;

/// How things stand in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// Whether Feishu delivers: the long connection's state, or `None` in webhook mode.
    pub link_is_open: Option<bool>,
    /// Whether a turn runs here.
    pub is_running: bool,
    /// Messages that wait here.
    pub waiting: u64,
    /// Who answers.
    pub agent: &'a str,
    /// With which model.
    pub model: &'a str,
    /// Turns and tokens of whoever asks, today.
    pub used: (u64, u64),
    /// This program's version.
    pub version: &'a str,
}

/// A skill in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkillLine {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
}

/// What there is to be told.
#[must_use]
pub fn help(language: Language, is_admin: bool) -> String {
    let mut text = language
        .pick(
            "直接发消息就可以和我对话；在群里请 @ 我。也可以发图片和文件。\n\
             - `/stop` 停止当前任务（直接说“停止”也可以）\n\
             - `/new` 开始新对话，忘记之前的内容\n\
             - `/retry` 重新回答你的上一条消息\n\
             - `/status` 查看状态\n\
             - `/model` 查看或切换模型\n\
             - `/skills` 查看技能，`/技能名 内容` 使用技能\n\
             - `/revoke` 收回你在本会话点过的“总是允许”，`/revoke 工具名` 只收回一个\n\
             - `/help` 显示这段帮助",
            "Write to me, or mention me in a group. Pictures and files are welcome.\n\
             - `/stop` ends what I am doing (a plain \"stop\" does, too)\n\
             - `/new` begins a new conversation and forgets this one\n\
             - `/retry` answers your last message once more\n\
             - `/status` says how things stand\n\
             - `/model` shows or changes the model\n\
             - `/skills` lists skills; `/skill-name …` uses one\n\
             - `/revoke` takes back what you allowed me for good in this chat; `/revoke TOOL` that alone\n\
             - `/help` shows this",
        )
        .to_owned();
    if is_admin {
        text.push_str(language.pick(
            "\n- `/pair 代码` 允许申请人与我私聊，`/unpair ou_…` 收回（管理员）\
             \n- `/revoke all` 收回本会话的全部“总是允许”，不论是谁的（管理员）",
            "\n- `/pair CODE` lets somebody talk to me directly, `/unpair ou_…` takes that back (admins)\
             \n- `/revoke all` takes back what anybody allowed for good in this chat (admins)",
        ));
    }
    text
}

/// What was stopped.
#[must_use]
pub fn stopped(language: Language, was_running: bool, dropped: u64) -> String {
    match (was_running, dropped, language) {
        (false, 0, _) => language
            .pick("当前没有正在进行的任务。", "Nothing is running.")
            .to_owned(),
        (_, 0, _) => language.pick("已停止。", "Stopped.").to_owned(),
        (_, dropped, Language::Chinese) => {
            format!("已停止，另有 {dropped} 条排队的消息不再处理。")
        }
        (_, dropped, Language::English) => {
            format!("Stopped; {dropped} more that waited will not be answered.")
        }
    }
}

/// The conversation begins anew.
#[must_use]
pub fn begun_anew(language: Language) -> String {
    language
        .pick(
            "新对话开始了，之前的内容我不再记得。",
            "A new conversation. What was said before is forgotten.",
        )
        .to_owned()
}

/// How things stand.
#[must_use]
pub fn status(language: Language, status: &Status<'_>) -> String {
    let say = |chinese, english| language.pick(chinese, english);
    let link = match status.link_is_open {
        None => say("webhook", "webhook"),
        Some(true) => say("长连接正常", "long connection open"),
        Some(false) => say("长连接断开，正在重连", "long connection down, reconnecting"),
    };
    let work = if status.is_running {
        say("正在处理", "working")
    } else {
        say("空闲", "idle")
    };
    let (turns, tokens) = status.used;
    format!(
        "- {}：{link}\n- {}：{work}，{} {}\n- {}：{}（{}）\n- {}：{turns} {}，{tokens} tokens\n- xiaoO {}",
        say("连接", "Link"),
        say("任务", "Work"),
        say("排队", "waiting"),
        status.waiting,
        say("模型", "Model"),
        code(status.model),
        status.agent,
        say("今日用量", "You, today"),
        say("条消息", "messages"),
        status.version,
    )
}

/// Which models there are, and which one answers.
#[must_use]
pub fn models(language: Language, current: &str, known: &[&str]) -> String {
    let mut text = String::new();
    for model in known {
        let mark = if *model == current {
            language.pick("（当前）", " (current)")
        } else {
            ""
        };
        let _ = writeln!(text, "- {}{mark}", code(model));
    }
    if known.len() > 1 {
        text.push_str(language.pick(
            "用 `/model 名称` 切换本会话的模型。",
            "`/model NAME` changes the model of this conversation.",
        ));
    }
    text.trim_end().to_owned()
}

/// The model was changed, or there is none of that name.
#[must_use]
pub fn model_changed(language: Language, name: &str, is_known: bool, known: &[&str]) -> String {
    if is_known {
        return match language {
            Language::Chinese => format!("本会话改用 {}。", code(name)),
            Language::English => format!("This conversation now uses {}.", code(name)),
        };
    }
    let list = models(language, "", known);
    match language {
        Language::Chinese => format!("没有名为 {} 的模型。可用的有：\n{list}", code(name)),
        Language::English => format!("There is no model {}. There are:\n{list}", code(name)),
    }
}

/// Which skills there are.
#[must_use]
pub fn skills(language: Language, known: &[SkillLine]) -> String {
    if known.is_empty() {
        return language
            .pick("还没有安装技能。", "No skills are installed.")
            .to_owned();
    }
    let mut text = String::new();
    for skill in known.iter().take(SKILLS_MAX) {
        let flat = skill
            .description
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let short: String = flat.chars().take(DESCRIPTION_CHARS_MAX).collect();
        let more = if short.len() < flat.len() { "…" } else { "" };
        let _ = writeln!(text, "- `/{}` {short}{more}", skill.name.replace('`', ""));
    }
    if known.len() > SKILLS_MAX {
        let _ = writeln!(text, "- … +{}", known.len() - SKILLS_MAX);
    }
    text.trim_end().to_owned()
}

/// These tools are asked about again: whoever wants them, or whoever says so. `meant` is the one
/// that was named.
#[must_use]
pub fn revoked(language: Language, all: bool, meant: Option<&str>, tools: &[String]) -> String {
    if tools.is_empty() {
        let meant = meant.map(code);
        return match (language, all, meant) {
            (Language::Chinese, true, None) => "本会话里没有“总是允许”的工具。".to_owned(),
            (Language::English, true, None) => {
                "Nothing is allowed for good in this chat.".to_owned()
            }
            (Language::Chinese, false, None) => "你在本会话里没有“总是允许”过任何工具。".to_owned(),
            (Language::English, false, None) => {
                "You allowed nothing for good in this chat.".to_owned()
            }
            (Language::Chinese, true, Some(tool)) => {
                format!("本会话里没有人“总是允许”过 {tool}。")
            }
            (Language::English, true, Some(tool)) => {
                format!("{tool} is not allowed for good in this chat.")
            }
            (Language::Chinese, false, Some(tool)) => {
                format!("你在本会话里没有“总是允许”过 {tool}。")
            }
            (Language::English, false, Some(tool)) => {
                format!("You did not allow {tool} for good in this chat.")
            }
        };
    }
    let names: Vec<String> = tools.iter().map(|tool| code(tool)).collect();
    match (language, all) {
        (Language::Chinese, true) => {
            format!(
                "已全部收回。使用 {} 之前会重新询问每个人。",
                names.join("、")
            )
        }
        (Language::Chinese, false) => {
            format!(
                "已收回。为你使用 {} 之前会重新询问，除非管理员已对所有人放行。",
                names.join("、")
            )
        }
        (Language::English, true) => {
            format!(
                "Taken back. Everybody is asked again before {}.",
                names.join(", ")
            )
        }
        (Language::English, false) => {
            format!(
                "Taken back. You are asked again before {}, unless an admin allowed it for everyone.",
                names.join(", ")
            )
        }
    }
}

/// Somebody was let in (an open_id), or nobody was given that code.
#[must_use]
pub fn paired(language: Language, let_in: Option<&str>) -> String {
    let Some(open_id) = let_in.map(code) else {
        return language
            .pick(
                "没有这个代码，可能已过期。请对方再给我发一条消息获取新的代码。",
                "Nobody has that code; it may be too old. When they write to me again they get a new one.",
            )
            .to_owned();
    };
    match language {
        Language::Chinese => {
            format!("已允许，{open_id} 现在可以和我私聊了。收回用 `/unpair`。")
        }
        Language::English => {
            format!("Done: {open_id} can talk to me directly now. `/unpair` takes that back.")
        }
    }
}

/// Somebody was shut out again, or was never let in.
#[must_use]
pub fn unpaired(language: Language, open_id: &str, was_let_in: bool) -> String {
    let open_id = code(open_id);
    match (language, was_let_in) {
        (Language::Chinese, true) => format!("已收回，{open_id} 不能再和我私聊了。"),
        (Language::English, true) => {
            format!("Done: {open_id} can't talk to me directly any more.")
        }
        (Language::Chinese, false) => {
            format!("{open_id} 并不是通过配对获得许可的；白名单和管理员由配置决定。")
        }
        (Language::English, false) => format!(
            "{open_id} was not let in by a code. Who is on a list, or an admin, is in the configuration."
        ),
    }
}

/// It was not said who is meant.
#[must_use]
pub fn nobody_named(language: Language) -> String {
    language
        .pick(
            "请写明是谁：`/unpair ou_…`，或在群里 @ 对方。",
            "Say who: `/unpair ou_…`, or mention them in a group.",
        )
        .to_owned()
}

/// Only admins may.
#[must_use]
pub fn admins_only(language: Language) -> String {
    language
        .pick("只有管理员可以这样做。", "Only admins can do this.")
        .to_owned()
}

/// It could not be done now.
#[must_use]
pub fn not_now(language: Language) -> String {
    language
        .pick(
            "抱歉，暂时做不到，请稍后再试。",
            "Sorry, this is not possible right now. Please try again in a while.",
        )
        .to_owned()
}

/// A name as code, on one line and cut: somebody may have typed it. Nothing in it is acted on.
fn code(name: &str) -> String {
    let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
    format!("`{}`", shown.replace(['`', '\n', '\r'], "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_command_in_both_languages() {
        for language in [Language::Chinese, Language::English] {
            let text = help(language, true);
            for word in [
                "/stop",
                "/new",
                "/retry",
                "/status",
                "/model",
                "/skills",
                "/help",
                "/pair",
                "/unpair",
                "/revoke",
                "/revoke all",
            ] {
                assert!(text.contains(word), "{word}: {text}");
            }
            let for_all = help(language, false);
            assert!(!for_all.contains("/pair") && !for_all.contains("/revoke all"));
        }
    }

    #[test]
    fn a_stop_says_what_it_stopped() {
        let english = |running, dropped| stopped(Language::English, running, dropped);
        assert_eq!(english(false, 0), "Nothing is running.");
        assert_eq!(english(true, 0), "Stopped.");
        assert_eq!(
            english(true, 2),
            "Stopped; 2 more that waited will not be answered."
        );
    }

    #[test]
    fn models_and_skills_are_listed() {
        let text = models(Language::English, "a", &["a", "b"]);
        assert!(text.starts_with("- `a` (current)\n- `b`\n"), "{text}");
        let text = model_changed(Language::English, "c`<at>", false, &["a"]);
        assert!(text.starts_with("There is no model `c'<at>`."), "{text}");
        let skill = SkillLine {
            name: "weekly".into(),
            description: "a\nb ".repeat(200),
        };
        let text = skills(Language::Chinese, &[skill]);
        assert!(text.starts_with("- `/weekly` a b a b"), "{text}");
        assert!(text.chars().count() < 150, "{text}");
    }
}
