//! A message event, read in the pass that checks it.

use crate::json::{Json, JsonError, JsonStr, Name, Scanner};

/// A message as it was pushed, borrowed from its event. An id that is empty
/// there is `None` here. What it says is told by [`Message::normalize`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    /// `om_…`
    pub message_id: Option<JsonStr<'a>>,
    /// The first message of the chain that it replies in.
    pub root_id: Option<JsonStr<'a>>,
    /// The message that it replies to.
    pub parent_id: Option<JsonStr<'a>>,
    /// `omt_…`, in a thread.
    pub thread_id: Option<JsonStr<'a>>,
    /// `oc_…`, also of a direct chat.
    pub chat_id: Option<JsonStr<'a>>,
    /// `p2p`, `group`, or something new. See [`Message::is_direct`].
    pub chat_type: Option<JsonStr<'a>>,
    /// `text`, `post`, `image`…
    pub message_type: Option<JsonStr<'a>>,
    /// When it was sent, in ms since 1970.
    pub create_time_ms: Option<i64>,
    /// `ou_…`
    pub sender_open_id: Option<JsonStr<'a>>,
    /// `cli_…`, of a bot that sent it.
    pub sender_app_id: Option<JsonStr<'a>>,
    /// `user`, `bot`, or `app`, an older word for a bot.
    pub sender_type: Option<JsonStr<'a>>,
    pub(crate) body: Body<'a>,
    mentions: Option<Json<'a>>,
}

/// Where a message keeps what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'a> {
    /// Schema 2.0: JSON in a string. Without one, the message was recalled
    /// before it was pushed.
    Content(Option<JsonStr<'a>>),
    /// Schema 1.0: the content's members stand beside the message's own.
    Flat {
        event: Json<'a>,
        mentions_bot: bool,
        text_without_at_bot: Option<JsonStr<'a>>,
    },
}

impl Default for Body<'_> {
    fn default() -> Self {
        Self::Content(None)
    }
}

/// One entry of a message's `mentions`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mention<'a> {
    /// The placeholder in the text: `@_user_1`, or `@_all` for everyone.
    pub key: Option<JsonStr<'a>>,
    /// Who.
    pub open_id: Option<JsonStr<'a>>,
    /// The name to show.
    pub name: Option<JsonStr<'a>>,
}

impl<'a> Message<'a> {
    /// Whether it is a direct chat. Everything that is not exactly one counts
    /// as a group: a type that nobody knows must not slip past the rules for
    /// groups.
    ///
    /// Schema 1.0 calls a direct chat `private`; in 2.0 only `p2p` is one,
    /// since a group that is not public is called private elsewhere.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.chat_type.is_some_and(|kind| {
            kind == "p2p" || kind == "private" && matches!(self.body, Body::Flat { .. })
        })
    }

    /// Whether a bot sent it.
    #[must_use]
    pub fn sender_is_bot(&self) -> bool {
        self.sender_type
            .is_some_and(|kind| kind == "bot" || kind == "app")
    }

    /// Whether it came without content: it was recalled before it was pushed.
    #[must_use]
    pub const fn is_recalled(&self) -> bool {
        matches!(self.body, Body::Content(None))
    }

    /// Who is mentioned, in order. See [`Mention::key`] for everyone.
    pub fn mentions(&self) -> impl Iterator<Item = Mention<'a>> + use<'a> {
        self.mentions
            .into_iter()
            .flat_map(Json::items)
            .filter(|entry| entry.is_object())
            // Checked before, so this cannot fail.
            .filter_map(|entry| Mention::read(&mut entry.scanner()).ok())
    }

    /// Reads `event`; `None` if there is no message in it. Either way the
    /// value is consumed.
    pub(super) fn read(event: &mut Scanner<'a>) -> Result<Option<Self>, JsonError> {
        let mark = event.mark()?;
        let mut sender = Sender::default();
        let mut message = None;
        let mut flat = false;
        let mut more = event.open(b'{')?;
        while more {
            match event.key()?.name(&mut Name::new()) {
                "sender" => sender = Sender::read(event)?,
                "message" => message = Self::read_schema_2(event)?,
                "open_message_id" => flat = event.value()?.is_some(),
                _ => event.skip()?,
            }
            more = event.more(b'}')?;
        }
        if let Some(message) = message {
            return Ok(Some(Self {
                sender_open_id: sender.open_id,
                sender_app_id: sender.app_id,
                sender_type: sender.sender_type,
                ..message
            }));
        }
        if flat {
            return Self::read_schema_1(event.since(mark)).map(Some);
        }
        Ok(None)
    }

    fn read_schema_2(value: &mut Scanner<'a>) -> Result<Option<Self>, JsonError> {
        if value.token()? == b'n' {
            value.skip()?;
            return Ok(None);
        }
        let mut message = Self::default();
        let mut more = value.open(b'{')?;
        while more {
            match value.key()?.name(&mut Name::new()) {
                "message_id" => message.message_id = value.text()?,
                "root_id" => message.root_id = value.text()?,
                "parent_id" => message.parent_id = value.text()?,
                "thread_id" => message.thread_id = value.text()?,
                "create_time" => message.create_time_ms = value.value()?.and_then(Json::as_i64),
                "chat_id" => message.chat_id = value.text()?,
                "chat_type" => message.chat_type = value.text()?,
                "message_type" => message.message_type = value.text()?,
                "content" => message.body = Body::Content(value.text()?),
                "mentions" => message.mentions = value.value()?,
                _ => value.skip()?,
            }
            more = value.more(b'}')?;
        }
        Ok(Some(message))
    }

    fn read_schema_1(event: Json<'a>) -> Result<Self, JsonError> {
        let mut message = Self::default();
        let (mut mentions_bot, mut text_without_at_bot) = (false, None);
        let mut value = event.scanner();
        let mut more = value.open(b'{')?;
        while more {
            match value.key()?.name(&mut Name::new()) {
                "open_message_id" => message.message_id = value.text()?,
                "root_id" => message.root_id = value.text()?,
                "parent_id" => message.parent_id = value.text()?,
                "open_chat_id" => message.chat_id = value.text()?,
                "chat_type" => message.chat_type = value.text()?,
                "msg_type" => message.message_type = value.text()?,
                "open_id" => message.sender_open_id = value.text()?,
                "is_mention" => {
                    mentions_bot = value.value()?.and_then(Json::as_bool) == Some(true);
                }
                "text_without_at_bot" => text_without_at_bot = value.text()?,
                _ => value.skip()?,
            }
            more = value.more(b'}')?;
        }
        message.body = Body::Flat {
            event,
            mentions_bot,
            text_without_at_bot,
        };
        Ok(message)
    }
}

#[derive(Default)]
struct Sender<'a> {
    open_id: Option<JsonStr<'a>>,
    app_id: Option<JsonStr<'a>>,
    sender_type: Option<JsonStr<'a>>,
}

impl<'a> Sender<'a> {
    fn read(value: &mut Scanner<'a>) -> Result<Self, JsonError> {
        let mut sender = Self::default();
        let mut more = value.open(b'{')?;
        while more {
            match value.key()?.name(&mut Name::new()) {
                "sender_id" => sender.read_ids(value)?,
                "sender_type" => sender.sender_type = value.text()?,
                _ => value.skip()?,
            }
            more = value.more(b'}')?;
        }
        Ok(sender)
    }

    fn read_ids(&mut self, value: &mut Scanner<'a>) -> Result<(), JsonError> {
        (self.open_id, self.app_id) = (None, None);
        let mut more = value.open(b'{')?;
        while more {
            match value.key()?.name(&mut Name::new()) {
                "open_id" => self.open_id = value.text()?,
                "app_id" => self.app_id = value.text()?,
                _ => value.skip()?,
            }
            more = value.more(b'}')?;
        }
        Ok(())
    }
}

impl<'a> Mention<'a> {
    fn read(value: &mut Scanner<'a>) -> Result<Self, JsonError> {
        let mut mention = Self::default();
        let mut more = value.open(b'{')?;
        while more {
            match value.key()?.name(&mut Name::new()) {
                "key" => mention.key = value.text()?,
                "name" => mention.name = value.text()?,
                // In a message that was fetched, `id` is the open_id itself.
                "id" if value.token()? == b'"' => mention.open_id = value.text()?,
                "id" => mention.open_id = read_open_id(value)?,
                _ => value.skip()?,
            }
            more = value.more(b'}')?;
        }
        Ok(mention)
    }
}

fn read_open_id<'a>(value: &mut Scanner<'a>) -> Result<Option<JsonStr<'a>>, JsonError> {
    let mut open_id = None;
    let mut more = value.open(b'{')?;
    while more {
        match value.key()?.name(&mut Name::new()) {
            "open_id" => open_id = value.text()?,
            _ => value.skip()?,
        }
        more = value.more(b'}')?;
    }
    Ok(open_id)
}
