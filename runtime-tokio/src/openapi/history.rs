//! Reading back what is in a chat: the only way to know what became of a send
//! once the platform has forgotten its `uuid`.

use serde::Deserialize;

use super::calls::{get, segment};
use super::{ApiError, OpenApi};

/// Entries of one page; the platform's maximum.
const PAGE_SIZE: &str = "50";

/// Whose messages are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container<'a> {
    /// A chat. What is only in one of its threads is not among it.
    Chat(&'a str),
    /// A thread. The platform takes no times for it.
    Thread(&'a str),
}

/// One page of a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub struct Listing<T> {
    /// Its entries.
    #[serde(default = "Vec::new")]
    pub items: Vec<T>,
    /// Whether there is a next page.
    #[serde(default)]
    pub has_more: bool,
    /// Where the next page begins.
    #[serde(default)]
    pub page_token: Option<String>,
}

/// A message, as far as it is needed to know it again.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ListedMessage {
    /// Its id.
    pub message_id: String,
    /// `text`, `post`, `interactive` and so on.
    #[serde(default)]
    pub msg_type: String,
    /// Unix milliseconds, in decimal.
    #[serde(default)]
    pub create_time: String,
    /// The message that it answers.
    #[serde(default)]
    pub parent_id: Option<String>,
    /// The first message of its quotes or thread.
    #[serde(default)]
    pub root_id: Option<String>,
    /// Its thread.
    #[serde(default)]
    pub thread_id: Option<String>,
    /// Its chat.
    #[serde(default)]
    pub chat_id: String,
    /// The forwarded bundle that it is in: another of the same list.
    #[serde(default)]
    pub upper_message_id: Option<String>,
    /// Whether it was recalled.
    #[serde(default)]
    pub deleted: bool,
    /// Who wrote it.
    #[serde(default)]
    pub sender: Sender,
    /// Who is mentioned: `key`, `name`, and in `id` the open_id itself.
    #[serde(default)]
    pub mentions: Vec<serde_json::Value>,
    /// What is in it; nothing if it was recalled.
    #[serde(default)]
    pub body: Option<ListedBody>,
}

/// Who wrote a message.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Sender {
    /// An open_id, or an app's id.
    #[serde(default)]
    pub id: String,
    /// `user` or `app`.
    #[serde(default)]
    pub sender_type: String,
}

/// A message's content.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ListedBody {
    /// JSON. Markdown comes back as other elements, a card simplified.
    #[serde(default)]
    pub content: String,
}

impl ListedMessage {
    /// When it was made, in Unix milliseconds.
    #[must_use]
    pub fn create_time_ms(&self) -> Option<i64> {
        self.create_time.parse().ok()
    }

    /// Its content's JSON; empty if it was recalled.
    #[must_use]
    pub fn content(&self) -> &str {
        self.body.as_ref().map_or("", |body| &body.content)
    }
}

/// A reaction to a message.
#[derive(Clone, Debug, Deserialize)]
pub struct ListedReaction {
    /// Its id.
    pub reaction_id: String,
    /// Whose it is.
    #[serde(default)]
    pub operator: Operator,
}

/// Who reacted.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Operator {
    /// An open_id, or an app's id.
    #[serde(default)]
    pub operator_id: String,
}

impl OpenApi {
    /// One message. Behind a forwarded bundle come the messages in it, at every
    /// depth, each with its bundle's id; a card comes as it was sent. One that
    /// was recalled is marked so, and empty.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn get_message(&self, message_id: &str) -> Result<Vec<ListedMessage>, ApiError> {
        const NAME: &str = "GET /im/v1/messages/:id";
        let path = format!("/open-apis/im/v1/messages/{}", segment(NAME, message_id)?);
        let query = [
            ("user_id_type", "open_id"),
            ("card_msg_content_type", "user_card_content"),
        ];
        self.call::<Listing<ListedMessage>>(get(NAME, path, &query))
            .await
            .map(|listing| listing.items)
    }

    /// One page of a container's messages, the newest first; those of a chat
    /// only from `since_secs` (Unix seconds) on.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn list_messages(
        &self,
        container: Container<'_>,
        since_secs: i64,
        page_token: Option<&str>,
    ) -> Result<Listing<ListedMessage>, ApiError> {
        let since = since_secs.to_string();
        let (kind, id, start) = match container {
            Container::Chat(id) => ("chat", id, Some(since.as_str())),
            Container::Thread(id) => ("thread", id, None),
        };
        let query = [
            ("container_id_type", Some(kind)),
            ("container_id", Some(id)),
            ("sort_type", Some("ByCreateTimeDesc")),
            ("page_size", Some(PAGE_SIZE)),
            ("start_time", start),
            ("page_token", page_token),
        ];
        let query = given(query);
        self.call(get(
            "GET /im/v1/messages",
            "/open-apis/im/v1/messages".into(),
            &query,
        ))
        .await
    }

    /// One page of the reactions of one kind to a message.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn list_reactions(
        &self,
        message_id: &str,
        emoji_type: &str,
        page_token: Option<&str>,
    ) -> Result<Listing<ListedReaction>, ApiError> {
        const NAME: &str = "GET /im/v1/messages/:id/reactions";
        let path = format!(
            "/open-apis/im/v1/messages/{}/reactions",
            segment(NAME, message_id)?
        );
        let query = given([
            ("reaction_type", Some(emoji_type)),
            ("page_size", Some(PAGE_SIZE)),
            ("page_token", page_token),
        ]);
        self.call(get(NAME, path, &query)).await
    }
}

fn given<'a, const N: usize>(
    parameters: [(&'static str, Option<&'a str>); N],
) -> Vec<(&'a str, &'a str)> {
    parameters
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
