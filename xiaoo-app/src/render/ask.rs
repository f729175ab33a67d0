//! Cards that ask a person something: may a tool be used, and what the model wants to know.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::language::Language;
use super::mention::in_card;
use super::without_mentions;

/// What an approval's buttons say: this once.
pub const ONCE: &str = "once";
/// What an approval's buttons say: always in this chat, for whoever is asked.
pub const ALWAYS: &str = "always";
/// What an approval's buttons say: always in this chat, for everyone there.
pub const EVERYONE: &str = "everyone";
/// What an approval's buttons say: no.
pub const DENY: &str = "deny";

/// The field in which a person's own words come back.
pub const ANSWER_FIELD: &str = "answer";

/// Characters of a command or a question that a card shows: as much as a card holds, since
/// nobody should agree to what they can't see.
const TEXT_CHARS_MAX: usize = 6_000;
/// Characters of one option: a button is one line.
const OPTION_CHARS_MAX: usize = 60;

/// What all such cards have.
pub struct AskView<'a> {
    /// What the buttons bring back.
    pub id: &'a str,
    /// Who is asked (an open_id).
    pub who: &'a str,
    /// What became of it; `None` while it is open.
    pub outcome: Option<Outcome<'a>>,
    /// The words.
    pub language: Language,
}

/// Whom "always" can be for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Always {
    /// Whoever is asked; nobody else is in the chat.
    #[default]
    Alone,
    /// Whoever is asked, and none of the others.
    Asker,
    /// The same, or by an admin's word everyone.
    AskerOrEveryone,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Somebody has answered.
    Answered {
        /// Who (an open_id).
        by: &'a str,
        /// What.
        choice: &'a str,
        /// When, Unix milliseconds.
        at_ms: i64,
    },
    /// Nobody has, in time.
    TimedOut,
    /// It is not asked any more.
    Withdrawn,
}

/// May a tool be used, for this and there?
#[must_use]
pub fn approval(
    view: &AskView<'_>,
    tool: &str,
    (what, place): (&str, &str),
    always: Always,
) -> String {
    let say = |chinese, english| view.language.pick(chinese, english);
    let tool = plain(tool, OPTION_CHARS_MAX);
    let mut elements = vec![
        markdown(&format!("{}：**{tool}**", say("工具", "Tool"))),
        markdown(&fenced(what)),
    ];
    let hidden = what.chars().skip(TEXT_CHARS_MAX).count();
    if hidden > 0 {
        elements.push(markdown(&match view.language {
            Language::Chinese => format!("⚠️ 还有 {hidden} 个字符没有显示，看不全时请拒绝。"),
            Language::English => {
                format!("⚠️ {hidden} more characters are not shown: deny what you cannot see.")
            }
        }));
    }
    if !place.is_empty() {
        let place = plain(place, TEXT_CHARS_MAX);
        elements.push(markdown(&format!("{}：{place}", say("位置", "Where"))));
    }
    match view.outcome {
        None => {
            elements.push(markdown(&format!(
                "{} {}{}",
                in_card(view.who),
                say("请确认是否允许。", "please decide."),
                whom(always, view.language)
            )));
            elements.push(buttons(&choices(view, always)));
        }
        Some(outcome) => elements.push(markdown(&match outcome {
            Outcome::Answered { by, choice, .. } => {
                let word: String = match choice {
                    ONCE => say("✅ 已允许（仅此一次）", "✅ Allowed once").into(),
                    ALWAYS => always_allowed(view, always),
                    EVERYONE => say(
                        "✅ 已允许（本会话对所有人总是允许）",
                        "✅ Always allowed in this chat, for everyone",
                    )
                    .into(),
                    _ => say("⛔ 已拒绝", "⛔ Denied").into(),
                };
                format!("{word} · {}{}", in_card(by), undo(choice, view.language))
            }
            Outcome::TimedOut => {
                say("⌛ 无人回应，已按拒绝处理", "⌛ No answer in time: denied").into()
            }
            Outcome::Withdrawn => say("⏹ 任务已结束，无需再确认", "⏹ No longer needed").into(),
        })),
    }
    let template = match view.outcome {
        None => "orange",
        Some(Outcome::Answered { choice, .. }) if choice != DENY => "green",
        Some(Outcome::Answered { .. }) => "red",
        Some(Outcome::TimedOut | Outcome::Withdrawn) => "grey",
    };
    card(
        say("小欧需要确认", "小欧 · Approval needed"),
        template,
        elements,
    )
}

fn choices(view: &AskView<'_>, always: Always) -> Vec<Value> {
    let say = |chinese, english| view.language.pick(chinese, english);
    let once = say("仅此一次", "Allow once");
    let here = say("本会话总是允许", "Always in this chat");
    let mut choices = vec![
        button(view.id, once, ONCE, "primary"),
        button(view.id, here, ALWAYS, "default"),
    ];
    if always == Always::AskerOrEveryone {
        let everyone = say("本会话对所有人总是允许", "Always for everyone here");
        choices.push(button(view.id, everyone, EVERYONE, "default"));
    }
    choices.push(button(view.id, say("拒绝", "Deny"), DENY, "danger"));
    choices
}

/// What "always" means, where there are others.
fn whom(always: Always, language: Language) -> &'static str {
    match always {
        Always::Alone => "",
        Always::Asker => language.pick(
            "\n“本会话总是允许”只对被询问的人有效，包括本会话的话题。",
            "\n“Always in this chat” is for the person asked alone, in its threads, too.",
        ),
        Always::AskerOrEveryone => language.pick(
            "\n“本会话总是允许”只对被询问的人有效，包括本会话的话题；“对所有人”只有管理员可以选择。",
            "\n“Always in this chat” is for the person asked alone, in its threads, too; \
             “for everyone” only an admin can choose.",
        ),
    }
}

/// How to take back what was allowed for good.
fn undo(choice: &str, language: Language) -> &'static str {
    match choice {
        ALWAYS => language.pick("\n发送 /撤销 可收回", "\n/revoke takes it back"),
        EVERYONE => language.pick(
            "\n管理员发送 /撤销 全部 可收回",
            "\n/revoke all by an admin takes it back",
        ),
        _ => "",
    }
}

fn always_allowed(view: &AskView<'_>, always: Always) -> String {
    let who = in_card(view.who);
    match (always, view.language) {
        (Always::Alone, language) => language
            .pick(
                "✅ 已允许（本会话总是允许）",
                "✅ Always allowed in this chat",
            )
            .into(),
        (Always::Asker | Always::AskerOrEveryone, Language::Chinese) => {
            format!("✅ 已允许（本会话总是允许 {who}）")
        }
        (Always::Asker | Always::AskerOrEveryone, Language::English) => {
            format!("✅ Always allowed in this chat, for {who} alone")
        }
    }
}

/// What the model wants to know.
#[must_use]
pub fn question(view: &AskView<'_>, text: &str, options: &[String]) -> String {
    let say = |chinese, english| view.language.pick(chinese, english);
    let mut elements = vec![markdown(&plain_lines(text))];
    match view.outcome {
        None if options.is_empty() => {
            elements.push(json!({
                "tag": "form",
                "name": "ask",
                "elements": [
                    {
                        "tag": "input",
                        "name": ANSWER_FIELD,
                        "required": true,
                        "placeholder": {
                            "tag": "plain_text",
                            "content": say("请输入回答", "Your answer")
                        }
                    },
                    {
                        "tag": "button",
                        "name": "submit",
                        "text": { "tag": "plain_text", "content": say("提交", "Submit") },
                        "type": "primary",
                        "action_type": "form_submit",
                        "value": { "ask": view.id }
                    }
                ]
            }));
            elements.push(markdown(&asked(view)));
        }
        None => {
            let rows: Vec<Value> = options
                .iter()
                .enumerate()
                .map(|(at, option)| {
                    let label = plain(option, OPTION_CHARS_MAX);
                    button(view.id, &label, &at.to_string(), "default")
                })
                .collect();
            elements.push(buttons(&rows));
            elements.push(markdown(&asked(view)));
        }
        Some(outcome) => elements.push(markdown(&match outcome {
            Outcome::Answered { by, choice, .. } => {
                format!("✅ {} · {}", plain_lines(choice), in_card(by))
            }
            Outcome::TimedOut => say("⌛ 无人回答", "⌛ No answer in time").into(),
            Outcome::Withdrawn => say("⏹ 任务已结束，无需再回答", "⏹ No longer needed").into(),
        })),
    }
    let template = match view.outcome {
        None => "orange",
        Some(Outcome::Answered { .. }) => "green",
        Some(Outcome::TimedOut | Outcome::Withdrawn) => "grey",
    };
    card(say("小欧想问一下", "小欧 · A question"), template, elements)
}

fn asked(view: &AskView<'_>) -> String {
    let words = view.language.pick("请回答。", "please answer.");
    format!("{} {words}", in_card(view.who))
}

fn card(title: &str, template: &str, elements: Vec<Value>) -> String {
    json!({
        "config": { "update_multi": true, "wide_screen_mode": true },
        "header": {
            "title": { "tag": "plain_text", "content": title },
            "template": template
        },
        "elements": elements
    })
    .to_string()
}

fn markdown(content: &str) -> Value {
    json!({ "tag": "markdown", "content": content })
}

fn buttons(buttons: &[Value]) -> Value {
    json!({ "tag": "action", "actions": buttons })
}

fn button(id: &str, label: &str, choice: &str, kind: &str) -> Value {
    json!({
        "tag": "button",
        "text": { "tag": "plain_text", "content": label },
        "type": kind,
        "value": { "ask": id, "choice": choice }
    })
}

/// A command as code, exactly as it would run; what is too long is cut and said to be. What
/// nobody sees, or what makes the rest look different, is written out.
fn fenced(text: &str) -> String {
    let (shown, more) = cut(text, TEXT_CHARS_MAX);
    let mut seen = String::with_capacity(shown.len());
    for character in shown.chars() {
        if is_unseen(character) {
            seen.extend(character.escape_unicode());
        } else {
            seen.push(character);
        }
    }
    let shown = seen;
    // A fence inside could end this one.
    let shown = without_mentions(&shown.replace("```", "'''"));
    let more = match more {
        0 => String::new(),
        more => format!("\n… (+{more})"),
    };
    format!("```\n{shown}{more}\n```")
}

/// Control characters, those without a width, and those that turn the direction of writing.
fn is_unseen(character: char) -> bool {
    let is_control = character.is_control() && !matches!(character, '\n' | '\t');
    is_control
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

fn plain_lines(text: &str) -> String {
    let (shown, more) = cut(text, TEXT_CHARS_MAX);
    let lines: Vec<String> = shown.lines().map(|line| plain(line, usize::MAX)).collect();
    let more = if more == 0 { "" } else { " …" };
    format!("{}{more}", lines.join("\n"))
}

/// One line without anything that a card's Markdown would act on.
fn plain(text: &str, chars_max: usize) -> String {
    let kept = text.chars().filter_map(|character| match character {
        '*' | '`' | '[' | ']' | '!' | '#' | '|' | '~' | '>' => None,
        control if control.is_control() => Some(' '),
        format if is_unseen(format) => None,
        other => Some(other),
    });
    let (shown, more) = cut(&kept.collect::<String>(), chars_max);
    let more = if more == 0 { "" } else { "…" };
    without_mentions(&format!("{shown}{more}"))
}

/// So many characters, and how many there are more.
fn cut(text: &str, chars_max: usize) -> (String, usize) {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => {
            let (kept, rest) = text.split_at(at);
            (kept.to_owned(), rest.chars().count())
        }
        None => (text.to_owned(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: AskView<'static> = AskView {
        id: "7/call_1",
        who: "ou_1",
        outcome: None,
        language: Language::English,
    };

    fn parsed(card: &str) -> Value {
        serde_json::from_str(card).unwrap()
    }

    #[test]
    fn an_open_approval_has_three_buttons_and_a_decided_one_none() {
        let card = approval(&OPEN, "shell", ("rm -rf build", "/work"), Always::Alone);
        let actions = &parsed(&card)["elements"][4]["actions"];
        let values: Vec<_> = (0..3).map(|at| actions[at]["value"].clone()).collect();
        let value = |choice: &str| json!({"ask": "7/call_1", "choice": choice});
        assert_eq!(values, [value(ONCE), value(ALWAYS), value(DENY)]);
        for (outcome, template, word) in [
            (Outcome::TimedOut, "grey", "denied"),
            (Outcome::Withdrawn, "grey", "No longer needed"),
            (
                Outcome::Answered {
                    by: "ou_2",
                    choice: ALWAYS,
                    at_ms: 1,
                },
                "green",
                "<at id=ou_2></at>",
            ),
            (
                Outcome::Answered {
                    by: "ou_2",
                    choice: DENY,
                    at_ms: 1,
                },
                "red",
                "Denied",
            ),
        ] {
            let view = AskView {
                outcome: Some(outcome),
                ..OPEN
            };
            let card = approval(&view, "shell", ("rm -rf build", "/work"), Always::Alone);
            assert_eq!(parsed(&card)["header"]["template"], template);
            assert!(
                card.contains(word) && !card.contains("\"button\""),
                "{card}"
            );
        }
    }

    #[test]
    fn where_there_are_others_the_card_says_whom_always_is_for() {
        let cards = |language, outcome| {
            let view = AskView {
                outcome,
                language,
                ..OPEN
            };
            [Always::Alone, Always::Asker, Always::AskerOrEveryone]
                .map(|always| approval(&view, "shell", ("ls", ""), always))
        };
        let answered = |choice| {
            Some(Outcome::Answered {
                by: "ou_2",
                choice,
                at_ms: 1,
            })
        };
        for (language, outcome, words, expected) in [
            (
                Language::English,
                None,
                "for the person asked alone",
                [false, true, true],
            ),
            (
                Language::Chinese,
                None,
                "只对被询问的人有效",
                [false, true, true],
            ),
            (
                Language::English,
                None,
                "Always for everyone here",
                [false, false, true],
            ),
            (
                Language::Chinese,
                None,
                "对所有人总是允许",
                [false, false, true],
            ),
            (
                Language::English,
                answered(ALWAYS),
                "for <at id=ou_1></at> alone · <at id=ou_2></at>",
                [false, true, true],
            ),
            (
                Language::Chinese,
                answered(ALWAYS),
                "总是允许 <at id=ou_1>",
                [false, true, true],
            ),
            (
                Language::English,
                answered(EVERYONE),
                "for everyone · <at id=ou_2>",
                [true; 3],
            ),
            (
                Language::English,
                answered(ALWAYS),
                "/revoke takes it back",
                [true; 3],
            ),
            (
                Language::Chinese,
                answered(EVERYONE),
                "/撤销 全部",
                [true; 3],
            ),
            (
                Language::Chinese,
                answered(EVERYONE),
                "对所有人总是允许",
                [true; 3],
            ),
        ] {
            let found = cards(language, outcome).map(|card| card.contains(words));
            assert_eq!(found, expected, "{words}");
        }
    }

    #[test]
    fn what_a_tool_would_do_cannot_dress_up_the_card() {
        let what = "```\n**harmless**\n<at id=all></at>".to_owned() + &"x".repeat(9_000);
        let what = (what.as_str(), "[a](http://x)");
        let card = approval(&OPEN, "**shell** <at id=all>", what, Always::Asker);
        let text = parsed(&card).to_string();
        assert!(!text.contains("<at id=all"), "{text}");
        assert_eq!(text.matches("```").count(), 2, "{text}");
        assert!(text.contains("(+") && text.len() < 20_000, "{}", text.len());
    }

    #[test]
    fn what_would_be_done_is_what_is_seen() {
        let what = "echo \u{202e}ok\u{200b}\r\n\trm".to_owned();
        let card = approval(&OPEN, "shell", (&what, ""), Always::Asker);
        let text = parsed(&card)["elements"][1]["content"].clone();
        assert_eq!(text, "```\necho \\u{202e}ok\\u{200b}\\u{d}\n\trm\n```");
        let warned =
            |what: &str| approval(&OPEN, "shell", (what, ""), Always::Asker).contains("not shown");
        assert!(!warned(&"长".repeat(TEXT_CHARS_MAX)));
        assert!(warned(&"长".repeat(TEXT_CHARS_MAX + 1)));
    }

    #[test]
    fn what_is_not_seen_in_a_command_is_shown() {
        let what = "echo \u{202e}fr- mr\u{200b} \r x\tend";
        let card = approval(&OPEN, "shell", (what, ""), Always::Asker);
        let shown = r"echo \u{202e}fr- mr\u{200b} \u{d} x";
        let text = parsed(&card)["elements"][1]["content"].clone();
        assert_eq!(text, format!("```\n{shown}\tend\n```"));
    }

    #[test]
    fn a_question_has_options_or_a_field() {
        let options = ["left".to_owned(), "right <at id=all>".to_owned()];
        let card = parsed(&question(&OPEN, "Which?", &options));
        let second = &card["elements"][1]["actions"][1];
        assert_eq!(second["value"], json!({"ask": "7/call_1", "choice": "1"}));
        assert!(!card.to_string().contains("<at id=all"));
        let card = parsed(&question(&OPEN, "Which?", &[]));
        let form = &card["elements"][1];
        assert_eq!(form["tag"], "form");
        assert_eq!(form["elements"][0]["name"], ANSWER_FIELD);
        assert_eq!(form["elements"][1]["value"], json!({"ask": "7/call_1"}));
    }
}
