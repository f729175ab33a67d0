//! The progress card.
//!
//! Titles and colours are those that users know: 小欧正在处理 on blue, 小欧处理完成
//! on green, 小欧执行失败 on red; and 小欧已停止 on grey.

use std::time::Duration;

use serde_json::json;
use unicode_segmentation::UnicodeSegmentation as _;

use super::language::Language;
use super::without_mentions;

/// Characters of the answer that a card previews: its end, as it is written.
const PREVIEW_CHARS_MAX: usize = 160;
/// Bytes in which these are looked for: a character that people see has 25 at most,
/// but for what nobody writes.
const PREVIEW_BYTES_MAX: usize = PREVIEW_CHARS_MAX * 25;
/// Characters of a tool's name that a card shows.
const TOOL_CHARS_MAX: usize = 60;

/// What a turn's card shows.
#[derive(Clone, Debug, PartialEq)]
pub struct CardView {
    /// Where the turn stands.
    pub phase: Phase,
    /// What it does, while it works.
    pub stage: Stage,
    /// Tools it has used, oldest first.
    pub tools: Vec<ToolLine>,
    /// How long it has run.
    pub elapsed: Duration,
    /// The model's name.
    pub model: String,
    /// The person's language; titles are Chinese in any.
    pub language: Language,
}

/// Where a turn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Blue.
    Working,
    /// Green.
    Done,
    /// Red.
    Failed,
    /// Grey: somebody stopped it.
    Stopped,
}

/// What a turn does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The model was asked.
    Thinking,
    /// The model writes.
    Writing {
        /// Characters so far.
        chars: usize,
        /// The text so far.
        preview: String,
    },
    /// The model failed and is asked again.
    Retrying {
        /// The number of the try that comes.
        attempt: u32,
    },
    /// A tool may only go on when somebody allows it.
    AwaitingApproval {
        /// The tool's name.
        tool: String,
    },
    /// The model asked the person something.
    AwaitingAnswer,
}

/// One tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolLine {
    /// The tool's name.
    pub name: String,
    /// Whether it worked; `None` while it runs.
    pub ok: Option<bool>,
}

impl CardView {
    /// A turn that begins.
    #[must_use]
    pub fn working(language: Language, model: &str) -> Self {
        Self {
            phase: Phase::Working,
            stage: Stage::Thinking,
            tools: Vec::new(),
            elapsed: Duration::ZERO,
            model: model.to_owned(),
            language,
        }
    }

    /// The card's JSON. It may be patched: `update_multi` is set.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (title, template) = match self.phase {
            Phase::Working => ("小欧正在处理", "blue"),
            Phase::Done => ("小欧处理完成", "green"),
            Phase::Failed => ("小欧执行失败", "red"),
            Phase::Stopped => ("小欧已停止", "grey"),
        };
        json!({
            "config": { "update_multi": true, "wide_screen_mode": true },
            "header": {
                "title": { "tag": "plain_text", "content": title },
                "template": template
            },
            "elements": [{ "tag": "markdown", "content": self.body() }]
        })
        .to_string()
    }

    fn body(&self) -> String {
        let say = |chinese, english| self.language.pick(chinese, english);
        let mut lines: Vec<String> = self.tools.iter().map(|tool| self.tool_line(tool)).collect();
        match (self.phase, &self.stage) {
            (Phase::Working, Stage::Thinking) => {
                lines.push(format!("💭 {}", say("正在思考…", "Thinking…")));
            }
            (Phase::Working, Stage::Writing { chars, preview }) => {
                lines.push(match self.language {
                    Language::Chinese => format!("✍️ 正在撰写回答…（{chars} 字）"),
                    Language::English => format!("✍️ Writing the answer… ({chars} characters)"),
                });
                lines.push(quote(preview));
            }
            (Phase::Working, Stage::Retrying { attempt }) => lines.push(match self.language {
                Language::Chinese => format!("🔁 模型没有响应，第 {attempt} 次尝试…"),
                Language::English => format!("🔁 The model did not answer; try {attempt}…"),
            }),
            (Phase::Working, Stage::AwaitingApproval { tool }) => {
                let tool = flat(tool, TOOL_CHARS_MAX);
                lines.push(match self.language {
                    Language::Chinese => format!("✋ 等待你同意使用 {tool}…"),
                    Language::English => format!("✋ Waiting for your approval of {tool}…"),
                });
            }
            (Phase::Working, Stage::AwaitingAnswer) => lines.push(format!(
                "❓ {}",
                say("等待你的回答…", "Waiting for your answer…")
            )),
            (Phase::Stopped, _) => {
                lines.push(format!("⏹️ {}", say("已按要求停止。", "Stopped as asked.")));
            }
            (Phase::Done, _) => {
                lines.push(format!(
                    "✅ {}",
                    say("已完成，回答见下方。", "Done. The answer is below.")
                ));
            }
            (Phase::Failed, _) => {
                lines.push(format!(
                    "❌ {}",
                    say(
                        "没有得到回答，原因见下方。",
                        "No answer. The reason is below."
                    )
                ));
            }
        }
        let seconds = self.elapsed.as_secs_f64();
        let model = flat(&self.model, TOOL_CHARS_MAX);
        lines.push(match self.language {
            Language::Chinese => format!("用时 {seconds:.1} 秒 · {model}"),
            Language::English => format!("{seconds:.1} s · {model}"),
        });
        lines.join("\n")
    }

    fn tool_line(&self, tool: &ToolLine) -> String {
        let name = flat(&tool.name, TOOL_CHARS_MAX);
        let (sign, state) = match tool.ok {
            None => ("🔧", self.language.pick("运行中", "running")),
            Some(true) => ("🔧", self.language.pick("完成", "done")),
            Some(false) => ("⚠️", self.language.pick("失败", "failed")),
        };
        format!("{sign} {name} · {state}")
    }
}

/// The end of a text on one line, without anything that a card's Markdown
/// would act on: an unknown mention or image fails the whole card.
fn quote(text: &str) -> String {
    // An answer is long by and by, and is looked at each second.
    let earliest = text.len().saturating_sub(PREVIEW_BYTES_MAX);
    let mut edges = earliest..text.len();
    let cut = edges.find(|at| text.is_char_boundary(*at));
    let cut = cut.unwrap_or(earliest);
    let flat = flat(text.get(cut..).unwrap_or_default(), usize::MAX);
    let graphemes: Vec<&str> = flat.graphemes(true).collect();
    let from = graphemes.len().saturating_sub(PREVIEW_CHARS_MAX);
    let tail: String = graphemes.get(from..).unwrap_or_default().concat();
    let more = if cut + from > 0 { "…" } else { "" };
    format!("{more}{tail}")
}

fn flat(text: &str, chars_max: usize) -> String {
    let mut plain = String::new();
    let mut blank = true;
    for character in text.chars().take(chars_max) {
        match character {
            '\n' | '\r' | '\t' | ' ' if blank => {}
            '\n' | '\r' | '\t' | ' ' => {
                plain.push(' ');
                blank = true;
            }
            '*' | '`' | '[' | ']' | '!' | '#' | '|' | '~' | '>' => blank = false,
            other => {
                plain.push(other);
                blank = false;
            }
        }
    }
    without_mentions(plain.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_and_colours_are_those_that_users_know() {
        for (phase, title, template) in [
            (Phase::Working, "小欧正在处理", "blue"),
            (Phase::Done, "小欧处理完成", "green"),
            (Phase::Failed, "小欧执行失败", "red"),
            (Phase::Stopped, "小欧已停止", "grey"),
        ] {
            let view = CardView {
                phase,
                ..CardView::working(Language::English, "m")
            };
            let card: serde_json::Value = serde_json::from_str(&view.to_json()).unwrap();
            assert_eq!(card["header"]["title"]["content"], title);
            assert_eq!(card["header"]["template"], template);
            assert_eq!(card["config"]["update_multi"], true);
        }
    }

    #[test]
    fn a_card_says_what_it_waits_for() {
        let mut view = CardView::working(Language::English, "m");
        let body = |view: &CardView| {
            let card: serde_json::Value = serde_json::from_str(&view.to_json()).unwrap();
            card["elements"][0]["content"].as_str().unwrap().to_owned()
        };
        view.stage = Stage::AwaitingApproval {
            tool: "shell".into(),
        };
        assert_eq!(
            body(&view),
            "✋ Waiting for your approval of shell…\n0.0 s · m"
        );
        view.stage = Stage::AwaitingAnswer;
        assert_eq!(body(&view), "❓ Waiting for your answer…\n0.0 s · m");
        view.phase = Phase::Stopped;
        assert_eq!(body(&view), "⏹️ Stopped as asked.\n0.0 s · m");
    }

    #[test]
    fn a_preview_is_the_end_of_what_was_written() {
        let family = "👨‍👩‍👧‍👦".repeat(PREVIEW_CHARS_MAX);
        let words = "words ".repeat(2_000);
        let tail: String = words.trim_end().chars().skip(11_999 - 160).collect();
        for (written, shown) in [
            (String::new(), String::new()),
            ("one\n\ntwo".to_owned(), "one two".to_owned()),
            (family.clone(), family.clone()),
            (format!("x{family}"), format!("…{family}")),
            (words, format!("…{tail}")),
        ] {
            assert_eq!(quote(&written), shown);
        }
    }

    #[test]
    fn what_the_model_writes_cannot_break_the_card_or_fill_it() {
        let mut view = CardView::working(Language::Chinese, "m");
        view.stage = Stage::Writing {
            chars: 9,
            preview: "# T\n![x](http://a) <at id=all></at> ".repeat(5000),
        };
        view.tools = vec![
            ToolLine {
                name: "<at id=all>".repeat(900),
                ok: Some(false)
            };
            12
        ];
        let json = view.to_json();
        assert!(json.len() < 28_000, "{}", json.len());
        assert!(!json.contains("<at"), "{json}");
        assert!(!json.contains("!["), "{json}");
    }
}
