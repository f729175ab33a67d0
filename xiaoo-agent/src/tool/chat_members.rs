//! Who is in the chat.

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};

use super::{Tool, ToolContext, ToolOutput};

/// Lists the people of the chat that the turn belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChatMembers;

impl Tool for ChatMembers {
    fn name(&self) -> &'static str {
        "chat_members"
    }

    fn description(&self) -> &'static str {
        "Lists the people in this chat, with the id and the name of each. With `name`, only \
         those whose name contains it."
    }

    fn parameters(&self) -> Value {
        json!({
            "type": "object",
            "properties": {"name": {"type": "string", "description": "Part of a name."}},
        })
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn call<'a>(&'a self, arguments: Value, context: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        async move {
            let members = match context.chat.members().await {
                Ok(members) => members,
                Err(error) => return ToolOutput::error(format!("Error: {error}")),
            };
            let part = arguments.get("name").and_then(Value::as_str);
            let part = part.unwrap_or_default().trim().to_lowercase();
            let mut lines = String::new();
            let mut found = 0_usize;
            for member in members {
                if !member.name.to_lowercase().contains(&part) {
                    continue;
                }
                found += 1;
                if found <= MEMBERS_MAX {
                    let line = json!({"id": member.id, "name": member.name}).to_string();
                    // People choose their names: none may look like a tag of ours.
                    lines.push_str(&line.replace('<', "\\u003c"));
                    lines.push('\n');
                }
            }
            match found {
                0 => ToolOutput::ok("Nobody of that name is known in this chat."),
                _ if found > MEMBERS_MAX => ToolOutput::ok(format!(
                    "{lines}[the first {MEMBERS_MAX} of {found}; ask with `name` for others]"
                )),
                _ => ToolOutput::ok(lines.trim_end()),
            }
        }
        .boxed()
    }
}

/// What a model can use; whoever looks for somebody in a larger chat gives a name.
const MEMBERS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{
        Approval, ApprovalRequest, Chat, ChatError, Member, OutgoingFile, PersonQuestion,
    };
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    struct People(usize);

    impl Chat for People {
        fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, ChatError>> {
            let member = |n: usize| Member {
                id: format!("ou_{n}"),
                name: format!("张<b>{n}</b>"),
            };
            async move { Ok((0..self.0).map(member).collect()) }.boxed()
        }

        fn approve<'a>(&'a self, _: &'a ApprovalRequest) -> BoxFuture<'a, Approval> {
            async { Approval::Unavailable }.boxed()
        }

        fn ask<'a>(&'a self, _: &'a PersonQuestion) -> BoxFuture<'a, Result<String, ChatError>> {
            async { Err(ChatError::Unavailable) }.boxed()
        }

        fn take_file(&self, _: OutgoingFile) -> BoxFuture<'_, Result<String, ChatError>> {
            async { Err(ChatError::Unavailable) }.boxed()
        }
    }

    async fn list(people: usize, arguments: Value) -> String {
        let context =
            ToolContext::new("c", CancellationToken::new()).with_chat(Arc::new(People(people)));
        ChatMembers.call(arguments, &context).await.content
    }

    #[tokio::test]
    async fn names_are_listed_and_can_not_pass_for_tags() {
        assert_eq!(
            list(1, json!({})).await,
            r#"{"id":"ou_0","name":"张\u003cb>0\u003c/b>"}"#
        );
        assert_eq!(list(30, json!({"name": "29"})).await.lines().count(), 1);
        assert!(list(1, json!({"name": "李"})).await.contains("Nobody"));
    }

    #[tokio::test]
    async fn a_large_chat_is_listed_in_part() {
        assert_eq!(
            list(MEMBERS_MAX, json!({})).await.lines().count(),
            MEMBERS_MAX
        );
        let more = list(MEMBERS_MAX + 1, json!({})).await;
        assert!(more.ends_with("[the first 200 of 201; ask with `name` for others]"));
    }
}
