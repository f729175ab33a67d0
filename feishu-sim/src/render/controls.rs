//! What of a card can be used: buttons, lists, fields, and the forms around them.

use serde_json::{Map, Value};

use super::card::{DEPTH_MAX, children, elements, text_of};
use super::str_of;
use crate::view::{Choice, Control, ControlKind};

/// A control, and what using it sends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Element {
    pub(crate) tag: String,
    pub(crate) control: Control,
    pub(crate) value: Value,
}

/// All controls of a card in reading order.
pub(crate) fn interactive(content: &Value) -> Vec<Element> {
    let mut found = Vec::new();
    for element in elements(content) {
        collect(element, None, 0, &mut found);
    }
    found
}

fn collect(element: &Value, form: Option<&str>, depth: usize, found: &mut Vec<Element>) {
    if depth > DEPTH_MAX {
        return;
    }
    let tag = str_of(element, "tag");
    let form = if tag == "form" {
        Some(str_of(element, "name"))
    } else {
        form
    };
    let kind = match tag {
        "button" => Some(ControlKind::Button),
        "input" => Some(ControlKind::Input),
        "select_static" => Some(ControlKind::Select),
        "overflow" => Some(ControlKind::Overflow),
        _ => None,
    };
    if let Some(kind) = kind {
        found.push(Element {
            tag: tag.to_owned(),
            control: control(element, kind, form),
            value: value(element),
        });
    }
    for child in children(element) {
        collect(child, form, depth + 1, found);
    }
}

fn control(element: &Value, kind: ControlKind, form: Option<&str>) -> Control {
    let is = |key: &str| element.get(key).and_then(Value::as_bool).unwrap_or(false);
    let label = |keys: &[&str]| {
        let texts = keys.iter().filter_map(|key| element.get(key)).map(text_of);
        texts.into_iter().find(|text| !text.is_empty())
    };
    // Cards of version 1 say it with `action_type`.
    let submits = str_of(element, "form_action_type") == "submit"
        || str_of(element, "action_type") == "form_submit";
    let options = element.get("options").and_then(Value::as_array);
    Control {
        kind,
        name: str_of(element, "name").to_owned(),
        label: label(&["text", "label", "placeholder"]).unwrap_or_default(),
        style: match (kind, str_of(element, "type")) {
            (ControlKind::Button, "") => "default".to_owned(),
            (_, style) => style.to_owned(),
        },
        options: options
            .into_iter()
            .flatten()
            .map(|option| Choice {
                text: option.get("text").map(text_of).unwrap_or_default(),
                value: str_of(option, "value").to_owned(),
            })
            .collect(),
        default: match str_of(element, "default_value") {
            "" => str_of(element, "initial_option"),
            default => default,
        }
        .to_owned(),
        form: form.map(str::to_owned),
        submits,
        required: is("required"),
        disabled: is("disabled"),
        multiline: str_of(element, "input_type") == "multiline_text",
    }
}

/// What a callback carries: of the behaviour if there is one, else the element's own.
fn value(element: &Value) -> Value {
    let behaviors = element.get("behaviors").and_then(Value::as_array);
    behaviors
        .into_iter()
        .flatten()
        .find(|behavior| str_of(behavior, "type") == "callback")
        .and_then(|behavior| behavior.get("value"))
        .or_else(|| element.get("value"))
        .cloned()
        .unwrap_or_else(|| Value::Object(Map::new()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_knows_its_fields_and_its_button() {
        let card = json!({"schema": "2.0", "body": {"elements": [
            {"tag": "form", "name": "f", "elements": [
                {"tag": "input", "name": "answer", "required": true, "input_type": "multiline_text",
                 "placeholder": {"tag": "plain_text", "content": "write"}},
                {"tag": "column_set", "columns": [{"tag": "column", "elements": [
                    {"tag": "button", "name": "go", "form_action_type": "submit", "type": "primary",
                     "text": {"tag": "plain_text", "content": "Go"},
                     "behaviors": [{"type": "callback", "value": {"ask": "1"}}]}]}]}]},
            {"tag": "overflow", "name": "more",
             "options": [{"text": {"tag": "plain_text", "content": "One"}, "value": "1"}]},
        ]}});
        let found = interactive(&card);
        let plain = Control::default();
        assert_eq!(
            found
                .iter()
                .map(|element| element.control.clone())
                .collect::<Vec<_>>(),
            [
                Control {
                    kind: ControlKind::Input,
                    name: "answer".into(),
                    label: "write".into(),
                    form: Some("f".into()),
                    required: true,
                    multiline: true,
                    ..plain.clone()
                },
                Control {
                    name: "go".into(),
                    label: "Go".into(),
                    style: "primary".into(),
                    form: Some("f".into()),
                    submits: true,
                    ..plain.clone()
                },
                Control {
                    kind: ControlKind::Overflow,
                    name: "more".into(),
                    options: vec![Choice {
                        text: "One".into(),
                        value: "1".into()
                    }],
                    ..plain
                },
            ]
        );
        assert_eq!(found[1].value, json!({"ask": "1"}));
    }
}
