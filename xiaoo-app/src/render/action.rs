//! What a press on a card sends, and what is answered to it.

use bytes::Bytes;
use proto_core::{Event, EventKind, Json};
use serde_json::{Map, Value, json};

use super::ask::{Choice, QuestionCard};
use super::language::Language;

/// Somebody used a card. What the event does not say is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardAction {
    /// The event's id; old callbacks have none.
    pub event_id: Option<String>,
    /// Who.
    pub operator_open_id: String,
    /// The message that shows the card.
    pub message_id: String,
    /// Its chat.
    pub chat_id: String,
    /// With it the card can be changed later, twice, within half an hour.
    pub token: String,
    /// What was used: `button`, `overflow`, `input`, …
    pub tag: String,
    /// Its name.
    pub name: String,
    /// The value that we put there: as it was sent, or what is in a string that
    /// holds JSON.
    pub value: Value,
    /// The fields of the form that was sent.
    pub form_value: Value,
    /// What was chosen of a list or menu.
    pub option: String,
    /// What was written into a field outside a form.
    pub input_value: String,
}

/// What a press on one of our questions says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To an approval.
    Choice(Choice),
    /// To a question, by the option's place.
    Option(usize),
    /// To a question, in the person's own words.
    Text(String),
}

/// Characters of an answer that are taken; the field's own bound is below.
const TEXT_CHARS_MAX: usize = 4_000;

impl CardAction {
    /// Reads a callback of either kind; `None` for other events.
    #[must_use]
    pub fn from_event(event: &Event<'_>) -> Option<Self> {
        let EventKind::CardAction(body) = event.kind else {
            return None;
        };
        // Old callbacks have all of it in one flat object.
        let context = body.get("context").filter(|value| value.is_object());
        let operator = body.get("operator").filter(|value| value.is_object());
        let action = body.get("action");
        let of = |object: Option<Json<'_>>, key: &str| text(object?.get(key)?);
        let either = |inner: Option<Json<'_>>, key: &str| {
            of(inner, key)
                .or_else(|| of(Some(body), key))
                .unwrap_or_default()
        };
        let value = action.and_then(|action| {
            action.get("value").or_else(|| {
                // Some clients send it with the behaviour that was triggered.
                action.get("behaviors")?.items().next()?.get("value")
            })
        });
        let form_value = action.and_then(|action| action.get("form_value"));
        Some(Self {
            event_id: event.event_id.map(|id| id.to_text().into_owned()),
            operator_open_id: either(operator, "open_id"),
            message_id: either(context, "open_message_id"),
            chat_id: either(context, "open_chat_id"),
            token: of(Some(body), "token").unwrap_or_default(),
            tag: of(action, "tag").unwrap_or_default(),
            name: of(action, "name").unwrap_or_default(),
            value: value.map(parsed).unwrap_or_default(),
            form_value: form_value.map(parsed).unwrap_or_default(),
            option: of(action, "option").unwrap_or_default(),
            input_value: of(action, "input_value").unwrap_or_default(),
        })
    }

    /// The question that it answers and how, if it is one of ours. Whether this
    /// person may answer it, and with that, is not decided here.
    #[must_use]
    pub fn reply(&self) -> Option<(&str, Reply)> {
        let ask = self.value.get("ask")?.as_str()?;
        if let Some(choice) = self.value.get("choice") {
            return Some((ask, Reply::Choice(Choice::of_name(choice.as_str()?)?)));
        }
        if let Some(option) = self.value.get("option") {
            let place = usize::try_from(option.as_u64()?).ok()?;
            return Some((ask, Reply::Option(place)));
        }
        let written = self.form_value.get(QuestionCard::FIELD)?.as_str()?;
        let text: String = written.trim().chars().take(TEXT_CHARS_MAX).collect();
        (!text.is_empty()).then_some((ask, Reply::Text(text)))
    }
}

fn text(value: Json<'_>) -> Option<String> {
    Some(value.as_str()?.to_text().into_owned())
}

/// A value, taken out of its string if it was put into one.
fn parsed(value: Json<'_>) -> Value {
    let value: Value = serde_json::from_str(value.raw()).unwrap_or_default();
    let inner = value
        .as_str()
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .filter(|inner| inner.is_object() || inner.is_array());
    inner.unwrap_or(value)
}

/// What the person sees at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardAnswer {
    /// A short note.
    pub toast: Option<Toast>,
    /// The card from now on, of the same schema as before; else it stays.
    pub card: Option<Value>,
}

/// A short note over the chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toast {
    /// Its look.
    pub kind: ToastKind,
    /// In Chinese.
    pub chinese: &'static str,
    /// In English.
    pub english: &'static str,
}

/// Looks of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToastKind {
    /// Neutral.
    Info,
    /// Done.
    Success,
    /// It did not work.
    Error,
    /// It is not allowed.
    Warning,
}

impl ToastKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Success => "success",
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl Toast {
    /// The answer was taken.
    pub const TAKEN: Self = Self::new(ToastKind::Success, "收到", "Got it");
    /// Somebody else is asked.
    pub const NOT_YOURS: Self = Self::new(
        ToastKind::Warning,
        "只有被询问的人可以回答",
        "Only the person asked can answer",
    );
    /// The question is settled.
    pub const OVER: Self = Self::new(
        ToastKind::Info,
        "这个问题已经结束了",
        "This question is already settled",
    );
    /// It could not be kept; the press can be repeated.
    pub const TRY_AGAIN: Self = Self::new(
        ToastKind::Error,
        "暂时处理不了，请再点一次",
        "That did not work; please press again",
    );

    /// A note in both languages: the client shows that of its user.
    #[must_use]
    pub const fn new(kind: ToastKind, chinese: &'static str, english: &'static str) -> Self {
        Self {
            kind,
            chinese,
            english,
        }
    }
}

impl CardAnswer {
    /// A note alone.
    #[must_use]
    pub const fn toast(toast: Toast) -> Self {
        Self {
            toast: Some(toast),
            card: None,
        }
    }

    /// The JSON that goes back over either transport.
    #[must_use]
    pub fn to_bytes(&self, language: Language) -> Bytes {
        let mut answer = Map::new();
        if let Some(Toast {
            kind,
            chinese,
            english,
        }) = self.toast
        {
            let toast = json!({
                "type": kind.name(),
                "content": language.pick(chinese, english),
                "i18n": { "zh_cn": chinese, "en_us": english }
            });
            answer.insert("toast".to_owned(), toast);
        }
        if let Some(card) = &self.card {
            answer.insert("card".to_owned(), json!({ "type": "raw", "data": card }));
        }
        Value::Object(answer).to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(body: &Value) -> Option<CardAction> {
        let body = body.to_string();
        let event = Event::parse(body.as_bytes()).unwrap();
        CardAction::from_event(&event)
    }

    fn vector(name: &str) -> Value {
        let path = format!(
            "{}/../vectors/events/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let vector: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        vector["body"].clone()
    }

    #[test]
    fn the_recorded_presses_are_read_whole() {
        let button = action(&vector("card_action_button")).unwrap();
        assert_eq!(
            button,
            CardAction {
                event_id: Some("0b7bebc600c567bc1516c7ab0e4d679b".into()),
                operator_open_id: "ou_08df66e37b8ffdd414d03eb30d196331".into(),
                message_id: "om_x100bf84840d3787a41816479cf4b42f".into(),
                chat_id: "oc_ec2825604d15b908e98d92defaefcd66".into(),
                token: "c-a4c2d78de7e3b20d5313ad250e6cdc79df918fce".into(),
                tag: "button".into(),
                name: "btn_ok".into(),
                value: json!({"decision": "approve", "run_id": "9b1f"}),
                ..CardAction::default()
            }
        );
        let form = action(&vector("card_action_form")).unwrap();
        assert_eq!(form.value, json!("plain-string"));
        assert_eq!(form.form_value["reason"], "太慢");
        assert_eq!(form.reply(), None);
        assert_eq!(action(&vector("text_p2p")), None);
    }

    #[test]
    fn old_callbacks_and_odd_clients_are_read_too() {
        let flat = json!({
            "open_id": "ou_1", "tenant_key": "t", "token": "c-1", "open_message_id": "om_1",
            "open_chat_id": "oc_1",
            "action": {"tag": "select_static", "value": "{\"ask\":\"7\",\"choice\":\"deny\"}", "option": "x"},
        });
        let read = action(&flat).unwrap();
        assert_eq!(read.event_id, None);
        assert_eq!(
            (
                read.operator_open_id.as_str(),
                read.message_id.as_str(),
                read.chat_id.as_str()
            ),
            ("ou_1", "om_1", "oc_1")
        );
        assert_eq!(
            (read.tag.as_str(), read.option.as_str()),
            ("select_static", "x")
        );
        assert_eq!(read.reply(), Some(("7", Reply::Choice(Choice::Deny))));
        let in_behaviour = json!({
            "schema": "2.0",
            "header": {"event_id": "e", "event_type": "card.action.trigger"},
            "event": {"operator": {"open_id": "ou_1"}, "action": {"behaviors": [{"type": "callback", "value": {"ask": "7", "option": 1}}]}},
        });
        let read = action(&in_behaviour).unwrap();
        assert_eq!(read.reply(), Some(("7", Reply::Option(1))));
    }

    #[test]
    fn only_whole_replies_are_replies() {
        let of = |value: Value, form_value: Value| {
            let action = CardAction {
                value,
                form_value,
                ..CardAction::default()
            };
            action.reply().map(|(ask, reply)| (ask.to_owned(), reply))
        };
        let some = |reply| Some(("7".to_owned(), reply));
        for (value, form_value, expected) in [
            (
                json!({"ask": "7", "choice": "once"}),
                json!(null),
                some(Reply::Choice(Choice::Once)),
            ),
            (
                json!({"ask": "7", "choice": "always"}),
                json!(null),
                some(Reply::Choice(Choice::Always)),
            ),
            (
                json!({"ask": "7", "choice": "sometimes"}),
                json!(null),
                None,
            ),
            (json!({"ask": "7", "choice": 1}), json!(null), None),
            (
                json!({"ask": "7", "option": 0}),
                json!(null),
                some(Reply::Option(0)),
            ),
            (json!({"ask": "7", "option": -1}), json!(null), None),
            (
                json!({"ask": "7"}),
                json!({"answer": " a\nb "}),
                some(Reply::Text("a\nb".into())),
            ),
            (json!({"ask": "7"}), json!({"answer": "  "}), None),
            (json!({"ask": "7"}), json!({"other": "x"}), None),
            (json!({"ask": 7, "choice": "once"}), json!(null), None),
            (json!("once"), json!(null), None),
        ] {
            assert_eq!(of(value.clone(), form_value), expected, "{value}");
        }
        let long = json!({"answer": "x".repeat(TEXT_CHARS_MAX + 1)});
        let expected = some(Reply::Text("x".repeat(TEXT_CHARS_MAX)));
        assert_eq!(of(json!({"ask": "7"}), long), expected);
    }

    #[test]
    fn an_answer_has_what_is_in_it_and_nothing_else() {
        let bytes = CardAnswer::default().to_bytes(Language::Chinese);
        assert_eq!(bytes, "{}");
        let answer = CardAnswer {
            toast: Some(Toast::TAKEN),
            card: Some(json!({"schema": "2.0"})),
        };
        let read: Value = serde_json::from_slice(&answer.to_bytes(Language::English)).unwrap();
        assert_eq!(
            read,
            json!({
                "toast": {"type": "success", "content": "Got it", "i18n": {"zh_cn": "收到", "en_us": "Got it"}},
                "card": {"type": "raw", "data": {"schema": "2.0"}},
            })
        );
    }
}
