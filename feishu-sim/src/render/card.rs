//! A card's JSON (1.0 or 2.0) to what a person sees of it.

use serde_json::Value;

use super::controls::interactive;
use super::{Names, escape, image_html, markdown, str_of};
use crate::view::{Button, Card, Control, ControlKind};

/// Depth of nested containers that is shown; deeper ones are not legal cards.
pub(super) const DEPTH_MAX: usize = 16;

/// Renders a card. Content that is not a card gives an empty one.
pub(crate) fn card(content: &Value, names: &dyn Names, card_id: Option<&str>) -> Card {
    let header = content.get("header");
    let title = |key| header.and_then(|header| header.get(key)).map(text_of);
    let mut body = Body {
        names,
        html: String::new(),
        plain: String::new(),
    };
    for element in elements(content) {
        body.element(element, 0);
    }
    let controls: Vec<Control> = interactive(content)
        .into_iter()
        .map(|element| element.control)
        .collect();
    Card {
        title: title("title").unwrap_or_default(),
        subtitle: title("subtitle").unwrap_or_default(),
        template: header
            .map(|header| str_of(header, "template"))
            .filter(|template| !template.is_empty())
            .unwrap_or("default")
            .to_owned(),
        html: body.html,
        buttons: controls
            .iter()
            .filter(|control| control.kind == ControlKind::Button)
            .enumerate()
            .map(|(index, button)| Button {
                index,
                text: button.label.clone(),
                kind: button.style.clone(),
            })
            .collect(),
        controls,
        streaming: content
            .pointer("/config/streaming_mode")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        card_id: card_id.map(str::to_owned),
    }
}

/// Title and texts of a card, a line each.
pub(crate) fn card_text(content: &Value, names: &dyn Names) -> String {
    let mut body = Body {
        names,
        html: String::new(),
        plain: content
            .pointer("/header/title")
            .map(text_of)
            .unwrap_or_default(),
    };
    for element in elements(content) {
        body.element(element, 0);
    }
    body.plain
}

/// Top-level elements of either generation.
pub(crate) fn elements(content: &Value) -> impl Iterator<Item = &Value> {
    content
        .pointer("/body/elements")
        .or_else(|| content.get("elements"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// What stands inside a container.
pub(crate) fn children(element: &Value) -> impl Iterator<Item = &Value> {
    ["elements", "columns", "actions"]
        .into_iter()
        .filter_map(|key| element.get(key).and_then(Value::as_array))
        .flatten()
}

/// A `plain_text` or `lark_md` object, or a bare string.
pub(super) fn text_of(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| str_of(value, "content"))
        .to_owned()
}

struct Body<'a> {
    names: &'a dyn Names,
    html: String,
    plain: String,
}

impl Body<'_> {
    fn element(&mut self, element: &Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        match str_of(element, "tag") {
            "markdown" | "lark_md" => self.markdown(str_of(element, "content")),
            "plain_text" => self.text(str_of(element, "content")),
            "div" => self.div(element),
            "hr" => self.html.push_str("<hr>"),
            "img" => {
                let alt = element.get("alt").map(text_of).unwrap_or_default();
                let image = image_html(str_of(element, "img_key"), &alt);
                self.html.push_str(&format!("<p>{image}</p>"));
            }
            "note" => self.wrapped("<div class=\"note\">", element, depth),
            "column_set" => self.wrapped("<div class=\"columns\">", element, depth),
            "column" => self.wrapped("<div class=\"column\">", element, depth),
            "collapsible_panel" => self.panel(element, depth),
            "table" => self.table(element),
            // Shown apart, as controls.
            "button" | "input" | "select_static" | "overflow" => {}
            _ => {
                for child in children(element) {
                    self.element(child, depth + 1);
                }
            }
        }
    }

    fn line(&mut self, text: &str) {
        if !self.plain.is_empty() && !text.is_empty() {
            self.plain.push('\n');
        }
        self.plain.push_str(text);
    }

    fn markdown(&mut self, source: &str) {
        self.line(source);
        self.html.push_str(&markdown::to_html(source, self.names));
    }

    fn text(&mut self, text: &str) {
        self.line(text);
        let text = escape(text).replace('\n', "<br>");
        self.html.push_str(&format!("<p>{text}</p>"));
    }

    fn div(&mut self, element: &Value) {
        let fields = element.get("fields").and_then(Value::as_array);
        let fields = fields
            .into_iter()
            .flatten()
            .filter_map(|field| field.get("text"));
        for text in element.get("text").into_iter().chain(fields) {
            if str_of(text, "tag") == "plain_text" {
                self.text(&text_of(text));
            } else {
                self.markdown(&text_of(text));
            }
        }
    }

    fn wrapped(&mut self, open: &str, element: &Value, depth: usize) {
        self.html.push_str(open);
        for child in children(element) {
            self.element(child, depth + 1);
        }
        self.html.push_str("</div>");
    }

    fn panel(&mut self, element: &Value, depth: usize) {
        let title = element
            .pointer("/header/title")
            .map(text_of)
            .unwrap_or_default();
        self.line(&title);
        let open = element
            .get("expanded")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let attribute = if open { " open" } else { "" };
        self.html.push_str(&format!(
            "<details{attribute}><summary>{}</summary>",
            escape(&title)
        ));
        for child in children(element) {
            self.element(child, depth + 1);
        }
        self.html.push_str("</details>");
    }

    fn table(&mut self, element: &Value) {
        let list = |key| {
            element
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        self.html.push_str("<table><thead><tr>");
        for column in list("columns") {
            let name = str_of(column, "display_name");
            self.html.push_str(&format!("<th>{}</th>", escape(name)));
        }
        self.html.push_str("</tr></thead><tbody>");
        for row in list("rows") {
            self.html.push_str("<tr>");
            for column in list("columns") {
                let cell = match row.get(str_of(column, "name")) {
                    None => String::new(),
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                };
                self.line(&cell);
                self.html.push_str(&format!("<td>{}</td>", escape(&cell)));
            }
            self.html.push_str("</tr>");
        }
        self.html.push_str("</tbody></table>");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Nobody;

    impl Names for Nobody {
        fn name(&self, _: &str) -> Option<String> {
            None
        }
        fn is_self(&self, _: &str) -> bool {
            false
        }
    }

    #[test]
    fn both_generations_show_header_body_and_buttons() {
        let button = json!({"tag":"button","text":{"tag":"plain_text","content":"停止"},"type":"danger",
            "behaviors":[{"type":"callback","value":{"k":1}}]});
        let old_button = json!({"tag":"button","text":{"tag":"plain_text","content":"停止"},"type":"danger","value":{"k":1}});
        let header = json!({"title":{"tag":"plain_text","content":"T<"},"template":"red"});
        for content in [
            json!({"schema":"2.0","header":header,"body":{"elements":[{"tag":"markdown","content":"**x**"},button]}}),
            json!({"header":header,"elements":[{"tag":"div","text":{"tag":"lark_md","content":"**x**"}},
                {"tag":"action","actions":[old_button]}]}),
        ] {
            let card = card(&content, &Nobody, Some("7"));
            assert_eq!(
                card,
                Card {
                    title: "T<".into(),
                    subtitle: String::new(),
                    template: "red".into(),
                    html: "<p><strong>x</strong></p>\n".into(),
                    buttons: vec![Button {
                        index: 0,
                        text: "停止".into(),
                        kind: "danger".into()
                    }],
                    controls: vec![Control {
                        kind: ControlKind::Button,
                        label: "停止".into(),
                        style: "danger".into(),
                        ..Control::default()
                    }],
                    streaming: false,
                    card_id: Some("7".into()),
                }
            );
            assert_eq!(interactive(&content)[0].value, json!({"k":1}));
            assert_eq!(card_text(&content, &Nobody), "T<\n**x**");
        }
    }
}
