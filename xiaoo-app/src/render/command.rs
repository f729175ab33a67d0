//! What commands are answered with: plain texts, in the language of the person.
//!
//! Names of models, skills and agents come from outside; each stands on one line
//! and mentions nobody.

use std::time::Duration;

use super::language::Language;
use super::mention::plain;

/// Characters of a name or description on a line.
const LINE_CHARS_MAX: usize = 160;
/// Entries of a list; the rest is counted.
const ENTRIES_MAX: usize = 50;

/// A command that people can use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// What there is.
    Help,
    /// A new conversation.
    New,
    /// End what is under way.
    Stop,
    /// How things stand.
    Status,
    /// Which model answers.
    Model,
    /// Which skills there are.
    Skills,
    /// The last message once more.
    Retry,
}

/// All commands, in the order in which help lists them.
pub const COMMANDS: [Command; 7] = [
    Command::Help,
    Command::New,
    Command::Stop,
    Command::Status,
    Command::Model,
    Command::Skills,
    Command::Retry,
];

impl Command {
    /// As it is written.
    #[must_use]
    pub const fn written(self) -> &'static str {
        match self {
            Self::Help => "/help",
            Self::New => "/new",
            Self::Stop => "/stop",
            Self::Status => "/status",
            Self::Model => "/model",
            Self::Skills => "/skills",
            Self::Retry => "/retry",
        }
    }

    const fn meaning(self, language: Language) -> &'static str {
        match self {
            Self::Help => language.pick("显示这份帮助", "show this help"),
            Self::New => language.pick(
                "开始新的对话，忘记之前的内容",
                "start a new conversation and forget this one",
            ),
            Self::Stop => language.pick(
                "停止正在进行的任务（也可以说“停止”）",
                "stop what is under way (or just say “stop”)",
            ),
            Self::Status => language.pick("查看当前状态", "show how things stand"),
            Self::Model => language.pick("查看或切换模型", "show or change the model"),
            Self::Skills => language.pick("列出可用的技能", "list the skills"),
            Self::Retry => language.pick("重新回答上一条消息", "answer the last message once more"),
        }
    }
}

/// A skill that people can call by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkillLine {
    /// Its name, without the slash.
    pub name: String,
    /// What it does.
    pub description: String,
}

/// How things stand in a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusView {
    /// The agent's name; empty where there is but one.
    pub agent: String,
    /// The model's name.
    pub model: String,
    /// How long the running turn has run.
    pub running: Option<Duration>,
    /// What it does: a tool's name, or empty.
    pub doing: String,
    /// Messages that wait behind it.
    pub waiting: usize,
    /// Tokens of the conversation, and of the model's window.
    pub tokens: Option<(u64, u64)>,
    /// Turns today, and how many a day are allowed.
    pub turns_today: Option<(u64, Option<u64>)>,
    /// The daemon's version.
    pub version: String,
}

/// What `/stop` led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// A turn was ended.
    Turn,
    /// A turn was ended, and so many messages behind it are dropped.
    TurnAndWaiting(usize),
    /// Nothing was under way.
    Nothing,
    /// Somebody else's turn is under way.
    NotYours,
}

/// What `/retry` led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is answered again.
    Started,
    /// There is no message to answer again.
    Nothing,
    /// A turn is under way.
    Busy,
}

/// `/help`
#[must_use]
pub fn help(language: Language, skills: &[SkillLine]) -> String {
    let mut lines = vec![
        language
            .pick(
                "直接告诉我要做什么就行；在群里请先 @ 我。也可以用这些命令：",
                "Just tell me what to do; in a group, mention me first. There are commands, too:",
            )
            .to_owned(),
    ];
    lines.extend(
        COMMANDS
            .iter()
            .map(|command| format!("{}  {}", command.written(), command.meaning(language))),
    );
    if !skills.is_empty() {
        lines.push(String::new());
        lines.push(
            language
                .pick("技能可以直接调用：", "Skills can be called by name:")
                .to_owned(),
        );
        lines.extend(listed(language, skills, skill_line));
    }
    lines.join("\n")
}

/// `/skills`
#[must_use]
pub fn skills(language: Language, skills: &[SkillLine]) -> String {
    if skills.is_empty() {
        return language
            .pick("这里还没有技能。", "There are no skills here yet.")
            .to_owned();
    }
    let head = match language {
        Language::Chinese => format!("有 {} 个技能：", skills.len()),
        Language::English if skills.len() == 1 => "There is one skill:".to_owned(),
        Language::English => format!("There are {} skills:", skills.len()),
    };
    let mut lines = vec![head];
    lines.extend(listed(language, skills, skill_line));
    lines.join("\n")
}

/// `/status`
#[must_use]
pub fn status(language: Language, view: &StatusView) -> String {
    let mut lines = Vec::new();
    let mut say = |chinese: String, english: String| {
        lines.push(match language {
            Language::Chinese => chinese,
            Language::English => english,
        });
    };
    let doing = if view.doing.is_empty() {
        String::new()
    } else {
        format!(" · {}", on_a_line(&view.doing))
    };
    match view.running {
        Some(running) => {
            let seconds = running.as_secs();
            say(
                format!("状态：正在处理，已用 {seconds} 秒{doing}"),
                format!("State: working for {seconds} s{doing}"),
            );
        }
        None => say("状态：空闲".to_owned(), "State: idle".to_owned()),
    }
    if view.waiting > 0 {
        say(
            format!("排队：{} 条消息", view.waiting),
            format!("Waiting messages: {}", view.waiting),
        );
    }
    if !view.agent.is_empty() {
        let agent = on_a_line(&view.agent);
        say(format!("智能体：{agent}"), format!("Agent: {agent}"));
    }
    let model = on_a_line(&view.model);
    say(format!("模型：{model}"), format!("Model: {model}"));
    if let Some((used, window)) = view.tokens {
        let percent = used.saturating_mul(100) / window.max(1);
        say(
            format!("对话长度：{used} / {window} tokens（{percent}%）"),
            format!("Conversation: {used} of {window} tokens ({percent} %)"),
        );
    }
    match view.turns_today {
        Some((made, Some(allowed))) => say(
            format!("今天：{made} / {allowed} 次"),
            format!("Today: {made} of {allowed} turns"),
        ),
        Some((made, None)) => say(format!("今天：{made} 次"), format!("Today: {made} turns")),
        None => {}
    }
    if !view.version.is_empty() {
        let version = on_a_line(&view.version);
        say(format!("版本：{version}"), format!("Version: {version}"));
    }
    lines.join("\n")
}

/// `/model` without a name: which one answers, and which there are.
#[must_use]
pub fn model(language: Language, current: &str, others: &[String]) -> String {
    let current = on_a_line(current);
    let mut lines = vec![match language {
        Language::Chinese => format!("当前模型：{current}"),
        Language::English => format!("The model is {current}"),
    }];
    if !others.is_empty() {
        lines.push(
            language
                .pick(
                    "可以用 /model 名称 切换到：",
                    "Change it with /model and one of these names:",
                )
                .to_owned(),
        );
        lines.extend(listed(language, others, |name| on_a_line(name)));
    }
    lines.join("\n")
}

/// `/model` with a name.
#[must_use]
pub fn model_changed(language: Language, name: &str) -> String {
    let name = on_a_line(name);
    match language {
        Language::Chinese => format!("好的，从下一条消息起用 {name}。"),
        Language::English => format!("{name} answers from the next message on."),
    }
}

/// `/model` with a name that there is not.
#[must_use]
pub fn model_unknown(language: Language, name: &str) -> String {
    let name = on_a_line(name);
    match language {
        Language::Chinese => format!("没有叫 {name} 的模型；发 /model 看看有哪些。"),
        Language::English => format!("There is no model {name}; /model lists them."),
    }
}

/// `/new`
#[must_use]
pub const fn new_conversation(language: Language) -> &'static str {
    language.pick(
        "好的，我们重新开始。之前的对话我不再记得，文件还在。",
        "A new conversation it is. I no longer remember what was said; the files are still there.",
    )
}

/// `/stop`
#[must_use]
pub fn stopped(language: Language, what: Stopped) -> String {
    match (what, language) {
        (Stopped::Turn, Language::Chinese) => "已停止。".to_owned(),
        (Stopped::Turn, Language::English) => "Stopped.".to_owned(),
        (Stopped::TurnAndWaiting(count), Language::Chinese) => {
            format!("已停止，排队的 {count} 条消息也不再处理。")
        }
        (Stopped::TurnAndWaiting(count), Language::English) => {
            format!("Stopped; {count} waiting messages are dropped as well.")
        }
        (Stopped::Nothing, Language::Chinese) => "现在没有正在进行的任务。".to_owned(),
        (Stopped::Nothing, Language::English) => "Nothing is under way.".to_owned(),
        (Stopped::NotYours, Language::Chinese) => {
            "正在进行的是别人的任务，只有那个人或管理员可以停止。".to_owned()
        }
        (Stopped::NotYours, Language::English) => {
            "This is somebody else's task: only they or an admin can stop it.".to_owned()
        }
    }
}

/// `/retry`
#[must_use]
pub const fn retried(language: Language, what: Retried) -> &'static str {
    match what {
        Retried::Started => language.pick("好的，我再答一次。", "All right, once more."),
        Retried::Nothing => language.pick(
            "这里没有可以重新回答的消息。",
            "There is no message here to answer again.",
        ),
        Retried::Busy => language.pick(
            "我还在处理；要重来请先发 /stop。",
            "I am still working; send /stop first.",
        ),
    }
}

/// A slash and a word that is neither command nor skill.
#[must_use]
pub fn unknown(language: Language, written: &str) -> String {
    let written = on_a_line(written);
    match language {
        Language::Chinese => format!("没有 {written} 这个命令；发 /help 看看有哪些。"),
        Language::English => format!("There is no {written}; /help lists what there is."),
    }
}

fn skill_line(skill: &SkillLine) -> String {
    let name = on_a_line(&skill.name);
    let description = on_a_line(&skill.description);
    format!("/{name}  {description}").trim_end().to_owned()
}

/// A line each, and how many more there are.
fn listed<T>(language: Language, all: &[T], line: impl Fn(&T) -> String) -> Vec<String> {
    let mut lines: Vec<String> = all.iter().take(ENTRIES_MAX).map(line).collect();
    let more = all.len().saturating_sub(ENTRIES_MAX);
    if more > 0 {
        lines.push(match language {
            Language::Chinese => format!("……还有 {more} 个"),
            Language::English => format!("… and {more} more"),
        });
    }
    lines
}

/// Somebody's word on a line of ours.
fn on_a_line(text: &str) -> String {
    let mut characters = text.chars();
    let kept: String = characters
        .by_ref()
        .take(LINE_CHARS_MAX)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    let more = if characters.next().is_some() {
        "…"
    } else {
        ""
    };
    plain(kept.trim()) + more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skill(name: &str, description: &str) -> SkillLine {
        SkillLine {
            name: name.into(),
            description: description.into(),
        }
    }

    #[test]
    fn help_lists_every_command_and_the_skills() {
        let one = [skill("weather", "今天的天气")];
        for language in [Language::Chinese, Language::English] {
            let text = help(language, &one);
            for command in COMMANDS {
                assert!(text.contains(command.written()), "{command:?}");
            }
            assert!(text.ends_with("/weather  今天的天气"), "{text}");
        }
    }

    #[test]
    fn status_says_what_is_known() {
        let idle = StatusView {
            model: "m".into(),
            ..StatusView::default()
        };
        assert_eq!(status(Language::Chinese, &idle), "状态：空闲\n模型：m");
        let busy = StatusView {
            agent: "ops".into(),
            model: "m".into(),
            running: Some(Duration::from_secs(5)),
            doing: "shell".into(),
            waiting: 2,
            tokens: Some((8_000, 32_000)),
            turns_today: Some((3, Some(100))),
            version: "0.1".into(),
        };
        assert_eq!(
            status(Language::English, &busy),
            "State: working for 5 s · shell\nWaiting messages: 2\nAgent: ops\nModel: m\n\
             Conversation: 8000 of 32000 tokens (25 %)\nToday: 3 of 100 turns\nVersion: 0.1"
        );
    }

    #[test]
    fn lists_are_bounded() {
        for (count, more) in [(ENTRIES_MAX, None), (ENTRIES_MAX + 1, Some("… and 1 more"))] {
            let many = vec![skill("s", ""); count];
            let text = skills(Language::English, &many);
            assert_eq!(
                text.lines().last().filter(|line| line.starts_with('…')),
                more
            );
        }
        assert_eq!(skills(Language::Chinese, &[]), "这里还没有技能。");
    }

    #[test]
    fn names_from_outside_stay_on_their_line_and_mention_nobody() {
        let evil = "x\n<at user_id=\"all\"></at> @所有人";
        let texts = [
            skills(Language::English, &[skill(evil, evil)]),
            model(Language::English, evil, &[evil.to_owned()]),
            model_changed(Language::Chinese, evil),
            model_unknown(Language::Chinese, evil),
            unknown(Language::English, evil),
        ];
        for (text, lines) in texts.iter().zip([2, 3, 1, 1, 1]) {
            assert_eq!(text.lines().count(), lines, "{text}");
            assert!(!text.contains("<at") && !text.contains("@所有人"), "{text}");
        }
    }
}
