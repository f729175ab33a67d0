//! Whether a tool may do what it is about to do.

use serde_json::{Value, json};

use super::super::language::Language;
use super::super::mention::in_card;
use super::{By, button, card, code_block, line, markdown, row};

/// A question for an approval.
#[derive(Clone, Copy, Debug)]
pub struct ApprovalCard<'a> {
    /// The question's id, which a press sends back.
    pub ask: &'a str,
    /// The tool.
    pub tool: &'a str,
    /// What exactly it would do.
    pub what: &'a str,
    /// Where it would do it; may be empty.
    pub place: &'a str,
    /// The open_id of the person who is asked.
    pub asked: &'a str,
    /// Whether the answer can be given for the future of the chat too.
    pub offers_always: bool,
    /// The person's language.
    pub language: Language,
}

/// What can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// This call alone.
    Once,
    /// Calls of this kind in this chat, from now on.
    Always,
    /// No.
    Deny,
}

/// How the question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalOutcome<'a> {
    /// Somebody who may answered.
    Decided(Choice, By<'a>),
    /// Nobody did in time, which is a no.
    TimedOut,
    /// The turn was stopped.
    Withdrawn,
}

impl Choice {
    /// As a press sends it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Always => "always",
            Self::Deny => "deny",
        }
    }

    /// The choice of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Once, Self::Always, Self::Deny]
            .into_iter()
            .find(|choice| choice.name() == name)
    }

    /// What is written on its button.
    #[must_use]
    pub const fn label(self, language: Language) -> &'static str {
        match self {
            Self::Once => language.pick("允许一次", "Allow once"),
            Self::Always => language.pick("在本会话中始终允许", "Always in this chat"),
            Self::Deny => language.pick("拒绝", "Deny"),
        }
    }

    const fn style(self) -> &'static str {
        match self {
            Self::Once => "primary",
            Self::Always => "default",
            Self::Deny => "danger",
        }
    }
}

impl ApprovalCard<'_> {
    /// The card that asks.
    #[must_use]
    pub fn asking(&self) -> Value {
        let choices: &[Choice] = if self.offers_always {
            &[Choice::Once, Choice::Always, Choice::Deny]
        } else {
            &[Choice::Once, Choice::Deny]
        };
        let buttons = choices.iter().map(|choice| {
            let value = json!({ "ask": self.ask, "choice": choice.name() });
            button(choice.label(self.language), choice.style(), &value)
        });
        let mut elements = self.what_and_where(&in_card(self.asked));
        elements.push(row(buttons.collect()));
        elements.push(markdown(
            self.language
                .pick(
                    "只有被询问的人和管理员可以回答；到时没有回答就算拒绝。",
                    "Only the person asked and admins can answer; no answer in time means no.",
                )
                .to_owned(),
        ));
        let title = self
            .language
            .pick("小欧需要你的同意", "xiaoO needs your approval");
        card(title, "orange", &elements)
    }

    /// The card when it is over: nothing can be pressed any more.
    #[must_use]
    pub fn settled(&self, outcome: &ApprovalOutcome<'_>) -> Value {
        let say = |chinese, english| self.language.pick(chinese, english);
        let (title, template, last) = match outcome {
            ApprovalOutcome::Decided(Choice::Once, by) => (
                say("已允许一次", "Allowed once"),
                "green",
                by.line(self.language, ("允许了这一次", "allowed this once")),
            ),
            ApprovalOutcome::Decided(Choice::Always, by) => (
                say("已允许", "Allowed"),
                "green",
                by.line(
                    self.language,
                    ("在本会话中始终允许", "allowed this always in this chat"),
                ),
            ),
            ApprovalOutcome::Decided(Choice::Deny, by) => (
                say("已拒绝", "Denied"),
                "red",
                by.line(self.language, ("拒绝了", "denied this")),
            ),
            ApprovalOutcome::TimedOut => (
                say("已超时", "Timed out"),
                "grey",
                markdown(
                    say(
                        "没有人及时回答，视为拒绝。",
                        "Nobody answered in time, which means no.",
                    )
                    .to_owned(),
                ),
            ),
            ApprovalOutcome::Withdrawn => (
                say("已撤回", "Withdrawn"),
                "grey",
                markdown(
                    say(
                        "任务已停止，不再需要回答。",
                        "The task was stopped; no answer is needed any more.",
                    )
                    .to_owned(),
                ),
            ),
        };
        let mut elements = self.what_and_where("");
        elements.push(last);
        card(title, template, &elements)
    }

    fn what_and_where(&self, asked: &str) -> Vec<Value> {
        let tool = line(self.tool);
        let wants = match self.language {
            Language::Chinese => format!("{asked} 小欧要使用 **{tool}**："),
            Language::English => format!("{asked} xiaoO wants to use **{tool}**:"),
        };
        let mut elements = vec![
            markdown(wants.trim_start().to_owned()),
            markdown(code_block(self.what, self.language)),
        ];
        let place = line(self.place);
        if !place.is_empty() {
            elements.push(markdown(match self.language {
                Language::Chinese => format!("位置：{place}"),
                Language::English => format!("Where: {place}"),
            }));
        }
        elements
    }
}
