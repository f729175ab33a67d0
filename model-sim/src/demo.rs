//! The stand-in that answers when no test has a script and no model is configured.
//!
//! Everything it says follows from the request alone, so that a demonstration can be repeated.

use serde_json::Value;

use crate::{Script, api, wire};

/// What the stand-in does with a request.
pub(crate) fn script(body: &Value) -> Script {
    let conversation = Conversation::read(body);
    let said = conversation.said.as_str();
    if let Some(status) = failure(said) {
        return Script::error(status, "a failure was asked for, so here is one");
    }
    if let Some(result) = conversation.tool_result {
        return Script::Answer(conversation.language.tell_time(&result));
    }
    if asks_for_time(said) && conversation.offers_time {
        return Script::ToolCalls {
            text: conversation.language.will_look().into(),
            calls: vec![("current_time".into(), "{}".into())],
        };
    }
    Script::Answer(match conversation.language {
        Language::Chinese => conversation.answer_in_chinese(),
        Language::English => conversation.answer_in_english(),
    })
}

struct Conversation {
    language: Language,
    /// The last thing that the person said.
    said: String,
    /// What the person said before that.
    said_before: Option<String>,
    /// User and assistant messages before the last user message.
    earlier: usize,
    /// Which of the person's messages this is, counted from 1.
    ordinal: usize,
    /// The result of the tool that was just called.
    tool_result: Option<String>,
    offers_time: bool,
}

impl Conversation {
    fn read(body: &Value) -> Self {
        let messages = api::messages(body);
        let role = |message: &Value| {
            let role = message.get("role").and_then(Value::as_str);
            role.unwrap_or_default().to_owned()
        };
        let last_user = messages.iter().rposition(|m| role(m) == "user");
        let before = messages.get(..last_user.unwrap_or(0)).unwrap_or_default();
        let users = before.iter().filter(|m| role(m) == "user");
        let last = messages.last();
        let said = last_user.and_then(|at| messages.get(at));
        let said = said.map(wire::text_of).unwrap_or_default();
        let said = without_context(&said).to_owned();
        let tools = body.get("tools").and_then(Value::as_array);
        Self {
            language: Language::of(&said),
            said_before: users
                .clone()
                .next_back()
                .map(|message| without_context(&wire::text_of(message)).to_owned()),
            ordinal: users.count() + 1,
            earlier: before
                .iter()
                .filter(|m| matches!(role(m).as_str(), "user" | "assistant"))
                .count(),
            tool_result: last.filter(|m| role(m) == "tool").map(wire::text_of),
            offers_time: tools.into_iter().flatten().any(|tool| {
                tool.pointer("/function/name").and_then(Value::as_str) == Some("current_time")
            }),
            said,
        }
    }

    fn answer_in_chinese(&self) -> String {
        let quote = quote(&self.said);
        let memory = match &self.said_before {
            Some(before) => format!(
                "这是你在本次会话里的第 {} 条消息，随它一起来的还有 {} 条更早的消息。你上一条说的是「{}」",
                self.ordinal,
                self.earlier,
                brief(before)
            ),
            None => "这是本次会话的第一条消息，我还没有可以回忆的内容".into(),
        };
        format!(
            "## 收到，我是演示替身\n\n\
             我按脚本回答，**背后没有真正的大模型**。在配置文件里填好 `[llm]`，这里就换成你自己的模型。\n\n\
             你刚才说：\n\n{quote}\n\n\
             ### 我记得什么\n\n\
             - {memory}。\n\
             - 同一个会话里的消息按顺序处理，不同会话互不等待。\n\n\
             ### 可以试试\n\n\
             | 发给我 | 你会看到 |\n| --- | --- |\n\
             | 现在几点？ | 我会调用 `current_time` 工具 |\n\
             | 连发几条消息 | 它们排队，逐条回答 |\n\
             | 演示失败 | 一张红色卡片 |\n\n\
             ### 接入你的模型\n\n\
             ```toml\n[llm]\nprovider = \"openrouter\"\nmodel = \"z-ai/glm-5\"\napi_key_env = \"OPENROUTER_API_KEY\"\n```\n"
        )
    }

    fn answer_in_english(&self) -> String {
        let quote = quote(&self.said);
        let memory = match &self.said_before {
            Some(before) => format!(
                "This is your message number {} in this conversation; {} earlier messages came with it. Before this one you said “{}”",
                self.ordinal,
                self.earlier,
                brief(before)
            ),
            None => {
                "This is the first message of this conversation, so there is nothing to remember yet"
                    .into()
            }
        };
        format!(
            "## Got it. I am the stand-in\n\n\
             I answer from a script; **there is no real model behind me**. Fill in `[llm]` in the configuration, and your own model takes my place.\n\n\
             You said:\n\n{quote}\n\n\
             ### What I remember\n\n\
             - {memory}.\n\
             - Messages of one conversation are answered in order; conversations do not wait for each other.\n\n\
             ### Things to try\n\n\
             | Send me | What you will see |\n| --- | --- |\n\
             | What time is it? | I call the `current_time` tool |\n\
             | Several messages at once | They queue, and are answered one by one |\n\
             | demo failure | A red card |\n\n\
             ### Bring your own model\n\n\
             ```toml\n[llm]\nprovider = \"openrouter\"\nmodel = \"z-ai/glm-5\"\napi_key_env = \"OPENROUTER_API_KEY\"\n```\n"
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Chinese,
    English,
}

impl Language {
    fn of(text: &str) -> Self {
        if text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)) {
            Self::Chinese
        } else {
            Self::English
        }
    }

    fn will_look(self) -> &'static str {
        match self {
            Self::Chinese => "我看一下时钟。",
            Self::English => "Let me look at the clock.",
        }
    }

    fn tell_time(self, result: &str) -> String {
        let json: Value = serde_json::from_str(result).unwrap_or_default();
        let field = |name: &str| json.get(name).and_then(Value::as_str);
        match (self, field("local"), field("weekday")) {
            (Self::Chinese, Some(local), Some(weekday)) => format!(
                "## 现在的时间\n\n- **{local}**\n- {weekday}\n\n这是 `current_time` 工具给出的结果；我是演示替身，按脚本回答。"
            ),
            (Self::English, Some(local), Some(weekday)) => format!(
                "## The time\n\n- **{local}**\n- {weekday}\n\nThe `current_time` tool says so; I am the stand-in and answer from a script."
            ),
            (Self::Chinese, ..) => format!("工具的回答是：\n\n{}", quote(result)),
            (Self::English, ..) => format!("The tool said:\n\n{}", quote(result)),
        }
    }
}

/// The status that is asked for with "demo failure" and a number, 400 without one.
fn failure(said: &str) -> Option<u16> {
    let said = said.to_lowercase();
    let after = ["演示失败", "demo failure"]
        .iter()
        .find_map(|phrase| said.split_once(phrase))
        .map(|(_, after)| after.trim())?;
    let digits = after.find(|c: char| !c.is_ascii_digit());
    let number = after.get(..digits.unwrap_or(after.len()));
    let status = number.and_then(|number| number.parse().ok());
    Some(
        status
            .filter(|status| (400..600).contains(status))
            .unwrap_or(400),
    )
}

fn asks_for_time(said: &str) -> bool {
    let lower = said.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    has_any(said, &["时间", "几点", "几号", "日期", "星期几"])
        || words.any(|word| matches!(word, "time" | "date" | "clock"))
}

fn has_any(text: &str, phrases: &[&str]) -> bool {
    let lower = text.to_lowercase();
    phrases.iter().any(|phrase| lower.contains(phrase))
}

/// What the person typed, without the `<tag>…</tag>` blocks that an application put before it.
fn without_context(text: &str) -> &str {
    let mut rest = text.trim();
    loop {
        let name = rest.strip_prefix('<').and_then(|inner| {
            let end =
                inner.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))?;
            inner.get(..end).filter(|name| !name.is_empty())
        });
        let after = name.and_then(|name| rest.split_once(&format!("</{name}>")));
        match after {
            Some((_, after)) => rest = after.trim_start(),
            None => return rest,
        }
    }
}

/// The text as a quotation, cut to what a chat window shows.
fn quote(text: &str) -> String {
    const LINES_MAX: usize = 6;
    const CHARS_A_LINE_MAX: usize = 200;
    let lines = text.lines().take(LINES_MAX);
    let lines = lines.map(|line| {
        format!(
            "> {}",
            line.chars().take(CHARS_A_LINE_MAX).collect::<String>()
        )
    });
    let quoted = lines.collect::<Vec<_>>().join("\n");
    if quoted.is_empty() {
        "> …".into()
    } else {
        quoted
    }
}

/// The text in one short line.
fn brief(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARS_MAX) {
        Some((cut, _)) => line.get(..cut).unwrap_or_default().to_owned() + "…",
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(body: &Value) -> String {
        let Script::Answer(text) = script(body) else {
            panic!("no answer to {body}");
        };
        text
    }

    fn user(text: &str) -> Value {
        json!({"role": "user", "content": text})
    }

    #[test]
    fn it_answers_in_the_language_it_was_asked_in_and_says_what_it_is() {
        let chinese = answer(&json!({"messages": [user("部署好了吗")]}));
        assert!(chinese.contains("> 部署好了吗") && chinese.contains("没有真正的大模型"));
        let english = answer(&json!({"messages": [user("is it up?")]}));
        assert!(english.contains("> is it up?") && english.contains("no real model"));
        for text in [chinese, english] {
            for mark in ["## ", "\n- ", "\n| --- |", "```toml"] {
                assert!(text.contains(mark), "{mark:?} is missing in {text}");
            }
        }
    }

    #[test]
    fn it_remembers_what_it_was_given() {
        let text = answer(&json!({"messages": [
            {"role": "system", "content": "s"},
            user("first thing"),
            {"role": "assistant", "content": "a"},
            user("second thing"),
        ]}));
        assert!(text.contains("message number 2"), "{text}");
        assert!(text.contains("2 earlier messages"), "{text}");
        assert!(text.contains("“first thing”"), "{text}");
    }

    #[test]
    fn it_looks_at_the_clock_when_it_may() {
        let tools = json!([{"type": "function", "function": {"name": "current_time"}}]);
        for question in ["现在几点了", "What time is it?"] {
            let asked = script(&json!({"messages": [user(question)], "tools": tools}));
            assert!(
                matches!(&asked, Script::ToolCalls { calls, .. } if calls == &[("current_time".into(), "{}".into())]),
                "{asked:?}"
            );
            answer(&json!({"messages": [user(question)]}));
        }
        answer(&json!({"messages": [user("sometimes")], "tools": tools}));
        let told = answer(&json!({"tools": tools, "messages": [
            user("几点"),
            {"role": "assistant", "content": null, "tool_calls": []},
            {"role": "tool", "content": r#"{"local":"2026-09-21T22:13:20+08:00","weekday":"Monday"}"#},
        ]}));
        assert!(told.contains("2026-09-21T22:13:20+08:00"), "{told}");
    }

    #[test]
    fn it_fails_when_it_is_asked_to() {
        let cases = [
            ("demo failure", Some(400)),
            ("Demo Failure 429 please", Some(429)),
            ("演示失败 503", Some(503)),
            ("demo failure 200", Some(400)),
            ("no failure", None),
        ];
        for (said, status) in cases {
            assert_eq!(failure(said), status, "{said}");
        }
    }

    #[test]
    fn what_an_application_put_before_the_message_is_not_echoed() {
        let cases = [
            ("<people>\n<p>x</p>\n</people>\nhello", "hello"),
            ("<a></a> <b id=\"1\">y</b>hello", "hello"),
            ("<unclosed>hello", "<unclosed>hello"),
            ("< 3 is not a tag", "< 3 is not a tag"),
            ("hello <a>x</a>", "hello <a>x</a>"),
        ];
        for (text, rest) in cases {
            assert_eq!(without_context(text), rest);
        }
    }

    #[test]
    fn a_long_message_is_quoted_in_part() {
        let text = answer(&json!({"messages": [user(&"长\n".repeat(10_000)), ]}));
        assert!(text.len() < 4096);
        answer(&json!({"messages": [user("")]}));
    }
}
