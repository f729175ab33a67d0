//! Feishu's Markdown to safe HTML.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::{Names, Scope, at_tag, image_html, safe_link};

/// Brackets of a mention while Markdown is parsed around it: private-use
/// characters, taken out of the source first, so that no text can fake one.
const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

/// Renders with hard line breaks, as Feishu's clients do. Raw HTML is text,
/// but for `<at>`, `<br>` and `<font>`.
pub(super) fn to_html(source: &str, names: &dyn Names) -> String {
    let scope = Scope {
        mentions: &[],
        names,
    };
    let (source, spans) = lift_mentions(source, &scope);
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut alt: Option<(String, String)> = None;
    let events = Parser::new_ext(&source, options).filter_map(|event| safe(event, &mut alt));
    let mut out = String::with_capacity(source.len() * 2);
    html::push_html(&mut out, events);
    for (index, span) in spans.iter().enumerate() {
        out = out.replace(&format!("{OPEN}{index}{CLOSE}"), span);
    }
    out
}

/// Replaces `<at …>` tags by numbered brackets and gives the HTML of each.
fn lift_mentions(source: &str, scope: &Scope<'_>) -> (String, Vec<String>) {
    let source = source.replace([OPEN, CLOSE], "");
    let mut spans = Vec::new();
    let mut out = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(start) = rest.find("<at ") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        if let Some((id, said, len)) = at_tag(from) {
            out.push_str(&format!("{OPEN}{}{CLOSE}", spans.len()));
            let (open_id, name) = scope.who(id, said);
            spans.push(scope.at_html(&open_id, &name));
            rest = from.get(len..).unwrap_or_default();
        } else {
            out.push_str("<at ");
            rest = from.get("<at ".len()..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    (out, spans)
}

/// Takes the danger out of one event. Images collect their alternative text
/// in `alt` and come out whole at their end.
fn safe<'e>(event: Event<'e>, alt: &mut Option<(String, String)>) -> Option<Event<'e>> {
    if let Some((key, text)) = alt {
        if let Event::Text(more) | Event::Code(more) = &event {
            text.push_str(more);
        }
        if matches!(event, Event::End(TagEnd::Image)) {
            let image = image_html(key, text);
            *alt = None;
            return Some(Event::InlineHtml(image.into()));
        }
        return None;
    }
    match event {
        Event::Html(raw) | Event::InlineHtml(raw) => known_tag(raw),
        Event::SoftBreak => Some(Event::HardBreak),
        Event::Start(Tag::Image { dest_url, .. }) => {
            *alt = Some((dest_url.into_string(), String::new()));
            None
        }
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }) => {
            let dest_url = match safe_link(&dest_url) {
                Some(_) => dest_url,
                None => CowStr::Borrowed("#"),
            };
            Some(Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            }))
        }
        other @ (Event::Start(_)
        | Event::End(_)
        | Event::Text(_)
        | Event::Code(_)
        | Event::InlineMath(_)
        | Event::DisplayMath(_)
        | Event::FootnoteReference(_)
        | Event::HardBreak
        | Event::Rule
        | Event::TaskListMarker(_)) => Some(other),
    }
}

/// `<br>` breaks, `<font …>` is dropped, everything else is shown as text.
fn known_tag(raw: CowStr<'_>) -> Option<Event<'_>> {
    let lower = raw.trim().to_ascii_lowercase();
    if matches!(lower.as_str(), "<br>" | "<br/>" | "<br />") {
        return Some(Event::HardBreak);
    }
    let is_font = (lower.starts_with("<font ") || lower == "</font>") && lower.ends_with('>');
    if is_font && lower.matches('<').count() == 1 {
        return None;
    }
    Some(Event::Text(raw))
}

#[cfg(test)]
mod tests {
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
    fn markdown_renders_and_nothing_dangerous_comes_through() {
        for (source, wanted) in [
            ("# a", "<h1>a</h1>\n"),
            ("a\nb", "<p>a<br />\nb</p>\n"),
            (
                "<img src=x onerror=alert(1)>",
                "&lt;img src=x onerror=alert(1)&gt;",
            ),
            (
                "a <script>x</script>",
                "<p>a &lt;script&gt;x&lt;/script&gt;</p>\n",
            ),
            ("[x](javascript:alert(1))", "<p><a href=\"#\">x</a></p>\n"),
            (
                "![alt \"q\"](img_v3_1)",
                "<p><img src=\"/sim/resources/img_v3_1\" alt=\"alt &quot;q&quot;\"></p>\n",
            ),
            ("![x](https://evil.example/t.png)", "<p>x</p>\n"),
            (
                "hi <at id=ou_1></at>",
                "<p>hi <span class=\"at\" data-open-id=\"ou_1\">@</span></p>\n",
            ),
            ("<font color='red'>x</font>", "<p>x</p>\n"),
            ("`<b>`", "<p><code>&lt;b&gt;</code></p>\n"),
            ("\u{E000}0\u{E001}", "<p>0</p>\n"),
        ] {
            assert_eq!(to_html(source, &Nobody), wanted, "{source}");
        }
    }
}
