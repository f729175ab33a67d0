//! A question to the person whom the turn is for.

use core::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};

use super::{Intent, Tool, ToolContext, ToolOutput};
use crate::chat::{ChatError, PersonQuestion};

/// Asks the person of the turn, with answers to choose from or for free text.
#[derive(Clone, Copy, Debug)]
pub struct AskUser {
    patience: Duration,
}

impl AskUser {
    /// Waits so long for an answer.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { patience }
    }
}

impl Tool for AskUser {
    fn name(&self) -> &'static str {
        "ask_user"
    }

    fn description(&self) -> &'static str {
        "Asks the person you work for one question and waits for the answer. Use it only when \
         you can't go on without it: a choice that is theirs, a fact that only they know. Give \
         options when there are few sensible answers; without options they answer in their own \
         words."
    }

    fn parameters(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "question": {
                    "type": "string",
                    "maxLength": QUESTION_CHARS_MAX,
                    "description": "The question, in the person's language.",
                },
                "options": {
                    "type": "array",
                    "items": {"type": "string", "maxLength": OPTION_CHARS_MAX},
                    "maxItems": OPTIONS_MAX,
                    "description": "Short answers to choose from.",
                },
            },
            "required": ["question"],
        })
    }

    fn intent(&self, arguments: &Value, _: &ToolContext) -> Intent {
        let question = arguments.get("question").and_then(Value::as_str);
        Intent {
            what: question.unwrap_or_default().to_owned(),
            place: String::new(),
        }
    }

    /// Asked again, the chat goes on waiting for the answer to the first question.
    fn is_repeatable(&self) -> bool {
        true
    }

    fn waits_for_people(&self) -> bool {
        true
    }

    fn call<'a>(&'a self, arguments: Value, context: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        async move {
            let (text, options) = match question(&arguments) {
                Ok(asked) => asked,
                Err(why) => return ToolOutput::error(format!("Error: {why}")),
            };
            let question = PersonQuestion {
                call_id: context.call_id.clone(),
                text,
                options,
                patience: self.patience,
            };
            // The chat is trusted to keep to the patience, and not to be beyond error.
            let longest = self.patience.saturating_add(GRACE);
            let asked = tokio::time::timeout(longest, context.chat.ask(&question)).await;
            match asked.unwrap_or(Err(ChatError::TimedOut)) {
                Ok(answer) => ToolOutput::ok(answer),
                Err(ChatError::TimedOut) => ToolOutput::error(
                    "Error: nobody answered in time. Go on without the answer if you can, and \
                     say what you assumed; else say what you need to know.",
                ),
                Err(error @ (ChatError::Unavailable | ChatError::Platform(_))) => {
                    ToolOutput::error(format!(
                        "Error: {error}. Put your question into your answer."
                    ))
                }
            }
        }
        .boxed()
    }
}

fn question(arguments: &Value) -> Result<(String, Vec<String>), String> {
    let text = arguments.get("question").and_then(Value::as_str);
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Err("`question` is missing".into());
    }
    if text.chars().count() > QUESTION_CHARS_MAX {
        return Err(format!(
            "`question` is longer than {QUESTION_CHARS_MAX} characters"
        ));
    }
    let mut options: Vec<String> = Vec::new();
    let offered = arguments.get("options").and_then(Value::as_array);
    for option in offered.into_iter().flatten() {
        let option = option.as_str().map(str::trim).unwrap_or_default();
        let chars = option.chars().count();
        if chars == 0 || chars > OPTION_CHARS_MAX {
            return Err(format!(
                "an option is a text of 1 to {OPTION_CHARS_MAX} characters"
            ));
        }
        if !options.iter().any(|known| known == option) {
            options.push(option.to_owned());
        }
    }
    if options.len() > OPTIONS_MAX {
        return Err(format!("there are more than {OPTIONS_MAX} options"));
    }
    Ok((text.to_owned(), options))
}

/// More is an answer, not a question.
const QUESTION_CHARS_MAX: usize = 2_000;

/// A card shows each as a button or a line of a menu.
const OPTION_CHARS_MAX: usize = 100;

/// More can't be taken in at a glance.
const OPTIONS_MAX: usize = 10;

/// What the chat may take beyond the patience, to settle what it shows.
const GRACE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_have_bounds() {
        let long = |chars: usize| "长".repeat(chars);
        let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        let cases = [
            (json!({"question": " Which? "}), Ok(0)),
            (
                json!({"question": "q", "options": ["a", " b ", "a"]}),
                Ok(2),
            ),
            (json!({"question": long(QUESTION_CHARS_MAX)}), Ok(0)),
            (json!({"question": long(QUESTION_CHARS_MAX + 1)}), Err(())),
            (json!({"question": " "}), Err(())),
            (json!({}), Err(())),
            (
                json!({"question": "q", "options": [long(OPTION_CHARS_MAX)]}),
                Ok(1),
            ),
            (
                json!({"question": "q", "options": [long(OPTION_CHARS_MAX + 1)]}),
                Err(()),
            ),
            (json!({"question": "q", "options": [""]}), Err(())),
            (
                json!({"question": "q", "options": many(OPTIONS_MAX)}),
                Ok(OPTIONS_MAX),
            ),
            (
                json!({"question": "q", "options": many(OPTIONS_MAX + 1)}),
                Err(()),
            ),
        ];
        for (arguments, options) in cases {
            let read = question(&arguments).map(|(_, options)| options.len());
            assert_eq!(read.map_err(drop), options, "{arguments}");
        }
    }
}
