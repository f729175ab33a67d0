//! A question of the model, with options or a field for the answer.

use serde_json::{Value, json};

use super::super::language::Language;
use super::super::mention::in_card;
use super::{By, button, card, cut, markdown, plain_text, words};

/// Characters of a question and of an answer that a card shows.
const QUESTION_CHARS_MAX: usize = 2_000;
const ANSWER_CHARS_MAX: usize = 1_000;
/// Options that a card offers; a person would not read more.
pub(crate) const OPTIONS_MAX: usize = 12;
/// Characters on a button.
const LABEL_CHARS_MAX: usize = 60;
/// Characters that the field takes; the platform's own bound.
const INPUT_CHARS_MAX: usize = 1_000;

/// A question to a person.
#[derive(Clone, Copy, Debug)]
pub struct QuestionCard<'a> {
    /// The question's id, which a press sends back.
    pub ask: &'a str,
    /// The question.
    pub text: &'a str,
    /// Answers to choose from; a field for free text when there are none.
    pub options: &'a [String],
    /// The open_id of the person who is asked.
    pub asked: &'a str,
    /// The person's language.
    pub language: Language,
}

/// How the question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionOutcome<'a> {
    /// The person answered.
    Answered(&'a str, By<'a>),
    /// Not in time.
    TimedOut,
    /// The turn was stopped.
    Withdrawn,
}

impl QuestionCard<'_> {
    /// The name of the field whose text is the answer.
    pub const FIELD: &'static str = "answer";

    /// The card that asks.
    #[must_use]
    pub fn asking(&self) -> Value {
        let say = |chinese, english| self.language.pick(chinese, english);
        let mut elements = vec![
            markdown(in_card(self.asked)),
            words(&cut(self.text, QUESTION_CHARS_MAX)),
        ];
        if self.options.is_empty() {
            elements.push(self.form());
        }
        for (place, option) in self.options.iter().take(OPTIONS_MAX).enumerate() {
            let value = json!({ "ask": self.ask, "option": place });
            elements.push(button(&cut(option, LABEL_CHARS_MAX), "default", &value));
        }
        elements.push(markdown(
            say(
                "只有被询问的人可以回答。",
                "Only the person asked can answer.",
            )
            .to_owned(),
        ));
        card(
            say("小欧有个问题", "xiaoO has a question"),
            "blue",
            &elements,
        )
    }

    /// The card when it is over: nothing can be pressed any more.
    #[must_use]
    pub fn settled(&self, outcome: &QuestionOutcome<'_>) -> Value {
        let say = |chinese, english| self.language.pick(chinese, english);
        let mut elements = vec![words(&cut(self.text, QUESTION_CHARS_MAX))];
        let (title, template) = match outcome {
            QuestionOutcome::Answered(answer, by) => {
                elements.push(by.line(self.language, ("回答：", "answered:")));
                elements.push(words(&cut(answer, ANSWER_CHARS_MAX)));
                (say("已回答", "Answered"), "green")
            }
            QuestionOutcome::TimedOut => {
                let text = say("没有人及时回答。", "Nobody answered in time.");
                elements.push(markdown(text.to_owned()));
                (say("已超时", "Timed out"), "grey")
            }
            QuestionOutcome::Withdrawn => {
                let text = say(
                    "任务已停止，不再需要回答。",
                    "The task was stopped; no answer is needed any more.",
                );
                elements.push(markdown(text.to_owned()));
                (say("已撤回", "Withdrawn"), "grey")
            }
        };
        card(title, template, &elements)
    }

    /// What the person sees on the button that sends the field.
    #[must_use]
    pub const fn submit_label(language: Language) -> &'static str {
        language.pick("提交", "Submit")
    }

    fn form(&self) -> Value {
        let mut submit = button(
            Self::submit_label(self.language),
            "primary",
            &json!({ "ask": self.ask }),
        );
        if let Some(fields) = submit.as_object_mut() {
            fields.insert("name".to_owned(), json!("submit"));
            fields.insert("form_action_type".to_owned(), json!("submit"));
        }
        let placeholder = self.language.pick("写下你的回答", "Write your answer");
        json!({
            "tag": "form",
            "name": "question",
            "elements": [
                {
                    "tag": "input",
                    "name": Self::FIELD,
                    "required": true,
                    "input_type": "multiline_text",
                    "max_length": INPUT_CHARS_MAX,
                    "placeholder": plain_text(placeholder)
                },
                submit
            ]
        })
    }
}
