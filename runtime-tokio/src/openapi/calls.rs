//! The calls, by what they are for.

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::json;
use tracing::{debug, info};

use secrecy::ExposeSecret as _;

use super::request::{Call, Payload, set_json};
use super::{ApiError, OpenApi};
use crate::link::{EndpointAnswer, EndpointSource};

/// The endpoint's answer is a few hundred bytes.
const ENDPOINT_BYTES_MAX: usize = 64 << 10;
/// The whole endpoint call, connecting included.
const ENDPOINT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

/// `GET /bot/v3/info`.
#[derive(Clone, Debug, Deserialize)]
pub struct BotInfo {
    /// The bot's open_id, by which mentions of it are known.
    #[serde(default)]
    pub open_id: String,
    /// Its name.
    #[serde(default)]
    pub app_name: String,
    /// 2 is enabled.
    #[serde(default)]
    pub activate_status: i64,
}

/// A message that was sent.
#[derive(Clone, Debug, Deserialize)]
pub struct MessageSent {
    /// Its id.
    pub message_id: String,
    /// Its chat.
    #[serde(default)]
    pub chat_id: String,
}

/// Where an answer goes.
#[derive(Clone, Debug)]
pub struct ReplyTarget {
    /// The message that is answered.
    pub message_id: String,
    /// Its chat, for when the message is gone.
    pub chat_id: String,
    /// Whether it is in a thread: the answer belongs there too.
    pub in_thread: bool,
}

/// `GET /im/v1/chats/:chat_id`.
#[derive(Clone, Debug, Deserialize)]
pub struct ChatInfo {
    /// The chat's name.
    #[serde(default)]
    pub name: String,
    /// `group`, `topic` or `p2p`.
    #[serde(default)]
    pub chat_mode: String,
}

/// One page of a chat's members; bots are left out.
#[derive(Clone, Debug, Deserialize)]
pub struct Members {
    /// The members.
    #[serde(default)]
    pub items: Vec<Member>,
    /// Where the next page begins.
    #[serde(default)]
    pub page_token: Option<String>,
    /// Whether there is a next page.
    #[serde(default)]
    pub has_more: bool,
}

/// A person in a chat.
#[derive(Clone, Debug, Deserialize)]
pub struct Member {
    /// The person's open_id.
    pub member_id: String,
    /// The person's name.
    #[serde(default)]
    pub name: String,
}

#[derive(Deserialize)]
struct WithBot {
    bot: BotInfo,
}

#[derive(Deserialize)]
struct Reaction {
    reaction_id: String,
}

impl OpenApi {
    /// Who this bot is.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn bot_info(&self) -> Result<BotInfo, ApiError> {
        let call = get("GET /bot/v3/info", "/open-apis/bot/v3/info".into(), &[]);
        self.call_flat::<WithBot>(call)
            .await
            .map(|answer| answer.bot)
    }

    /// Sends a message to a chat or person. The same `uuid` within one hour
    /// sends nothing more.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn create_message(
        &self,
        receive_id_type: &str,
        receive_id: &str,
        msg_type: &str,
        content: &str,
        uuid: &str,
    ) -> Result<MessageSent, ApiError> {
        self.call(Call {
            method: Method::POST,
            path: "/open-apis/im/v1/messages".into(),
            name: "POST /im/v1/messages",
            target: Some(receive_id),
            query: &[("receive_id_type", receive_id_type)],
            body: Payload::Json(json!({
                "receive_id": receive_id, "msg_type": msg_type, "content": content, "uuid": uuid
            })),
        })
        .await
    }

    /// Replies to a message; `chat_id` is its chat, of whose pace the reply is.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn reply_message(
        &self,
        (message_id, chat_id): (&str, &str),
        msg_type: &str,
        content: &str,
        uuid: &str,
        reply_in_thread: bool,
    ) -> Result<MessageSent, ApiError> {
        const NAME: &str = "POST /im/v1/messages/:id/reply";
        self.call(Call {
            method: Method::POST,
            path: format!(
                "/open-apis/im/v1/messages/{}/reply",
                segment(NAME, message_id)?
            ),
            name: NAME,
            target: Some(chat_id),
            query: &[],
            body: Payload::Json(json!({
                "msg_type": msg_type, "content": content, "uuid": uuid,
                "reply_in_thread": reply_in_thread
            })),
        })
        .await
    }

    /// Replies to a message; outside its thread if that can't be written to, and
    /// to its chat if that is of no use either or the message is gone.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn reply_or_create(
        &self,
        target: &ReplyTarget,
        msg_type: &str,
        content: &str,
        uuid: &str,
    ) -> Result<MessageSent, ApiError> {
        let message = (target.message_id.as_str(), target.chat_id.as_str());
        let reply = |in_thread| self.reply_message(message, msg_type, content, uuid, in_thread);
        let mut replied = reply(target.in_thread).await;
        if let Err(error) = &replied
            && error.has_no_thread()
            && target.in_thread
        {
            info!(
                message_id = target.message_id,
                "no thread to answer in, answering outside: {error}"
            );
            replied = reply(false).await;
        }
        match replied {
            Err(error)
                if (error.target_is_gone() || error.has_no_thread())
                    && !target.chat_id.is_empty() =>
            {
                info!(
                    message_id = target.message_id,
                    "the message cannot be replied to, writing to its chat: {error}"
                );
                self.create_message("chat_id", &target.chat_id, msg_type, content, uuid)
                    .await
            }
            replied => replied,
        }
    }

    /// Replaces a card's content. The card must have `update_multi` set.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn patch_card(&self, message_id: &str, content: &str) -> Result<(), ApiError> {
        const NAME: &str = "PATCH /im/v1/messages/:id";
        self.call_for_effect(Call {
            method: Method::PATCH,
            path: format!("/open-apis/im/v1/messages/{}", segment(NAME, message_id)?),
            name: NAME,
            target: Some(message_id),
            query: &[],
            body: Payload::Json(json!({ "content": content })),
        })
        .await
    }

    /// Adds a reaction and returns its id.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn add_reaction(
        &self,
        message_id: &str,
        emoji_type: &str,
    ) -> Result<String, ApiError> {
        const NAME: &str = "POST /im/v1/messages/:id/reactions";
        self.call::<Reaction>(Call {
            method: Method::POST,
            path: format!(
                "/open-apis/im/v1/messages/{}/reactions",
                segment(NAME, message_id)?
            ),
            name: NAME,
            target: None,
            query: &[],
            body: Payload::Json(json!({ "reaction_type": { "emoji_type": emoji_type } })),
        })
        .await
        .map(|reaction| reaction.reaction_id)
    }

    /// Takes a reaction of this bot away.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn delete_reaction(
        &self,
        message_id: &str,
        reaction_id: &str,
    ) -> Result<(), ApiError> {
        const NAME: &str = "DELETE /im/v1/messages/:id/reactions/:reaction_id";
        self.call_for_effect(Call {
            method: Method::DELETE,
            path: format!(
                "/open-apis/im/v1/messages/{}/reactions/{}",
                segment(NAME, message_id)?,
                segment(NAME, reaction_id)?
            ),
            name: NAME,
            target: None,
            query: &[],
            body: Payload::Nothing,
        })
        .await
    }

    /// A chat's name and kind.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn chat_info(&self, chat_id: &str) -> Result<ChatInfo, ApiError> {
        const NAME: &str = "GET /im/v1/chats/:chat_id";
        let path = format!("/open-apis/im/v1/chats/{}", segment(NAME, chat_id)?);
        self.call(get(NAME, path, &[])).await
    }

    /// One page of a chat's members.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn chat_members(
        &self,
        chat_id: &str,
        page_token: Option<&str>,
    ) -> Result<Members, ApiError> {
        const NAME: &str = "GET /im/v1/chats/:chat_id/members";
        let path = format!("/open-apis/im/v1/chats/{}/members", segment(NAME, chat_id)?);
        let query = [
            ("member_id_type", "open_id"),
            ("page_size", "100"),
            ("page_token", page_token.unwrap_or_default()),
        ];
        let used = if page_token.is_some() {
            &query[..]
        } else {
            query.split_last().map_or(&[][..], |(_, rest)| rest)
        };
        self.call(get(NAME, path, used)).await
    }
}

impl EndpointSource for OpenApi {
    async fn fetch(&self) -> Option<EndpointAnswer> {
        let name = "POST /callback/ws/endpoint";
        let config = &self.0.config;
        let body = json!({
            "AppID": config.app_id,
            "AppSecret": config.app_secret.expose_secret(),
        });
        let exchange = async {
            let path = "/callback/ws/endpoint";
            let mut request = self.request(Method::POST, path, &[], name)?;
            set_json(&mut request, &body);
            let locale = HeaderValue::from_static("zh");
            request.headers_mut().insert("locale", locale);
            self.send(request, name, ENDPOINT_BYTES_MAX).await
        };
        match tokio::time::timeout(ENDPOINT_TIMEOUT, exchange).await {
            Ok(Ok(answer)) => Some(EndpointAnswer {
                status: answer.status(),
                body: answer.into_body(),
            }),
            Ok(Err(error)) => {
                info!("feishu websocket: {error}");
                None
            }
            Err(_) => {
                debug!("feishu websocket: the endpoint took too long");
                None
            }
        }
    }
}

pub(super) fn get<'a>(
    name: &'static str,
    path: String,
    query: &'a [(&'a str, &'a str)],
) -> Call<'a> {
    Call {
        method: Method::GET,
        path,
        name,
        target: None,
        query,
        body: Payload::Nothing,
    }
}

/// An id as one segment of a path: ids come from events, and an event must
/// not choose the call.
///
/// # Errors
/// [`ApiError::BadId`] when nothing of it is left.
pub(super) fn segment(name: &'static str, id: &str) -> Result<String, ApiError> {
    let safe: String = id
        .chars()
        .filter(|character| {
            character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '=')
        })
        .collect();
    if safe.is_empty() {
        return Err(ApiError::BadId {
            call: name.to_owned(),
        });
    }
    Ok(safe)
}
