//! A button that somebody pressed on a card, and what Feishu is answered.

use bytes::Bytes;
use proto_core::{Event, EventKind, Json, JsonStr};
use serde_json::{Map, Value, json};

use super::ask::ANSWER_FIELD;

/// Who pressed what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardAction {
    /// Who: `ou_…`; empty if the event does not say.
    pub operator_open_id: String,
    /// The card's message.
    pub message_id: String,
    /// The chat that it is in.
    pub chat_id: String,
    /// Which question it answers.
    pub ask_id: Option<String>,
    /// What was chosen.
    pub choice: Option<String>,
    /// What was written, in a form or in a field outside of one.
    pub text: Option<String>,
}

impl CardAction {
    /// Reads the callback, in its present or its old form; `None` for other events.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Option<Self> {
        let EventKind::CardAction(body) = event.kind else {
            return None;
        };
        let first = |inside: &str, inner: &str, outer: &str| {
            let found = filled(body.get(inside).and_then(|object| object.get_str(inner)));
            found.or_else(|| filled(body.get_str(outer)))
        };
        let action = body.get("action");
        let part = |name: &str| action.and_then(|action| action.get(name));
        let value = part("value").or_else(|| part("behaviors")?.items().next()?.get("value"));
        let text = member(part("form_value"), ANSWER_FIELD)
            .or_else(|| part("input_value")?.as_str().map(JsonStr::to_owned_text));
        Some(Self {
            operator_open_id: first("operator", "open_id", "open_id").unwrap_or_default(),
            message_id: first("context", "open_message_id", "open_message_id").unwrap_or_default(),
            chat_id: first("context", "open_chat_id", "open_chat_id").unwrap_or_default(),
            ask_id: member(value, "ask"),
            choice: member(value, "choice"),
            text,
        })
    }
}

fn filled(text: Option<JsonStr<'_>>) -> Option<String> {
    let text = text.filter(|text| !text.is_empty());
    text.map(JsonStr::to_owned_text)
}

/// A text in an object, which may itself be written in a text.
fn member(object: Option<Json<'_>>, name: &str) -> Option<String> {
    let object = object?;
    match object.as_str() {
        Some(text) => {
            let text = text.to_text();
            let inner = Json::parse(text.as_bytes()).ok()?;
            inner.get_str(name).map(JsonStr::to_owned_text)
        }
        None => object.get_str(name).map(JsonStr::to_owned_text),
    }
}

/// A word that is shown to whoever pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toast {
    /// It may be done.
    Allowed,
    /// It may not.
    Denied,
    /// An answer was taken.
    Thanks,
    /// Somebody else was asked.
    NotYours,
    /// Only an admin can let everyone.
    AdminsOnly,
    /// It was decided before.
    DecidedAlready,
    /// Nobody waits for it any more.
    Expired,
    /// Nothing was chosen or written.
    Empty,
    /// It could not be taken now.
    Later,
}

impl Toast {
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Allowed => ("success", "已允许", "Allowed"),
            Self::Denied => ("info", "已拒绝", "Denied"),
            Self::Thanks => ("success", "已收到回答", "Thank you"),
            Self::NotYours => (
                "warning",
                "只有被询问的人或管理员可以操作",
                "Only the person who was asked, or an admin, can decide this",
            ),
            Self::AdminsOnly => (
                "warning",
                "只有管理员可以对所有人放行",
                "Only an admin can allow it for everyone",
            ),
            Self::DecidedAlready => ("info", "已经处理过了", "This was decided already"),
            Self::Expired => ("info", "这个请求已失效", "This is no longer needed"),
            Self::Empty => ("warning", "请先填写内容", "Please fill it in first"),
            Self::Later => ("error", "暂时无法处理，请再试一次", "Please try again"),
        }
    }
}

/// What Feishu is answered, and shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardAnswer(Map<String, Value>);

impl CardAnswer {
    /// Nothing: the card stays as it is.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A word.
    #[must_use]
    pub fn toast(toast: Toast) -> Self {
        let (kind, chinese, english) = toast.words();
        let mut answer = Map::new();
        answer.insert(
            "toast".into(),
            json!({
                "type": kind,
                "content": chinese,
                "i18n": { "zh_cn": chinese, "en_us": english }
            }),
        );
        Self(answer)
    }

    /// A word, and the card as it is from now on.
    #[must_use]
    pub fn with_card(toast: Toast, card: &str) -> Self {
        let Self(mut answer) = Self::toast(toast);
        if let Ok(card) = serde_json::from_str::<Value>(card) {
            answer.insert("card".into(), json!({ "type": "raw", "data": card }));
        }
        Self(answer)
    }

    /// As it is sent.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        Value::Object(self.0.clone()).to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(body: &Value) -> CardAction {
        let body = body.to_string();
        CardAction::of(&Event::parse(body.as_bytes()).unwrap()).unwrap()
    }

    fn pressed(action: &Value) -> CardAction {
        self::action(&json!({
            "schema": "2.0",
            "header": {"event_id": "e", "event_type": "card.action.trigger", "app_id": "cli_a"},
            "event": {
                "operator": {"open_id": "ou_1"},
                "token": "c-1",
                "action": action,
                "host": "im_message",
                "context": {"open_message_id": "om_1", "open_chat_id": "oc_1"},
            },
        }))
    }

    #[test]
    fn clicks_are_read_in_all_their_forms() {
        let value = json!({"ask": "1/c", "choice": "once"});
        for form in [
            json!({"tag": "button", "value": value}),
            json!({"tag": "button", "value": value.to_string()}),
            json!({"tag": "button", "behaviors": [{"type": "callback", "value": value}]}),
        ] {
            let action = pressed(&form);
            assert_eq!(action.ask_id.as_deref(), Some("1/c"), "{form}");
            assert_eq!(action.choice.as_deref(), Some("once"), "{form}");
            assert_eq!(action.operator_open_id, "ou_1");
            assert_eq!(
                (action.message_id.as_str(), action.chat_id.as_str()),
                ("om_1", "oc_1")
            );
        }
        let old = action(&json!({
            "open_id": "ou_2", "open_message_id": "om_2", "open_chat_id": "oc_2",
            "tenant_key": "t", "token": "c-2", "action": {"tag": "button", "value": value},
        }));
        assert_eq!(old.operator_open_id, "ou_2");
        assert_eq!(old.ask_id.as_deref(), Some("1/c"));
    }

    #[test]
    fn words_come_from_a_form_or_a_field() {
        let form =
            json!({"tag": "button", "value": {"ask": "1/c"}, "form_value": {"answer": "blue"}});
        assert_eq!(pressed(&form).text.as_deref(), Some("blue"));
        let field = json!({"tag": "input", "value": {"ask": "1/c"}, "input_value": "red"});
        assert_eq!(pressed(&field).text.as_deref(), Some("red"));
        let strange =
            json!({"tag": "button", "value": "plain-string", "form_value": {"answer": 7}});
        let strange = pressed(&strange);
        assert_eq!((strange.ask_id, strange.text), (None, None));
    }

    /// What a JSON library may refuse, in a part that is of no interest or in the
    /// text itself, does not make the click vanish.
    #[test]
    fn half_a_character_or_a_huge_number_loses_no_click() {
        let odd = r#"{"schema": "2.0",
            "header": {"event_id": "e", "event_type": "card.action.trigger", "app_id": "cli_a"},
            "event": {"operator": {"open_id": "ou_1"}, "huge": 1e999, "half": "\ud83d",
                "action": {"value": {"ask": "1/c"}, "form_value": {"answer": "so \ud83d"}}}}"#;
        let odd = CardAction::of(&Event::parse(odd.as_bytes()).unwrap()).unwrap();
        assert_eq!(odd.ask_id.as_deref(), Some("1/c"));
        assert_eq!(odd.text.as_deref(), Some("so \u{fffd}"));
    }

    #[test]
    fn an_answer_holds_a_word_and_a_card() {
        assert_eq!(CardAnswer::none().to_json(), "{}");
        let answer = CardAnswer::with_card(Toast::Denied, "{\"elements\":[]}").to_json();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["toast"]["type"], "info");
        assert_eq!(answer["toast"]["i18n"]["en_us"], "Denied");
        assert_eq!(
            answer["card"],
            json!({"type": "raw", "data": {"elements": []}})
        );
    }
}
