//! A message event, read in the pass that checks it.

use crate::json::{Items, Json, JsonStr, Scanner, members};

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
    mentions: MentionList<'a>,
}

/// How many mentions are kept as they are read. Most messages have fewer; for
/// those beyond, the list is walked again.
const MENTIONS_AT_HAND: usize = 2;

#[derive(Clone, Copy, Debug, Default)]
struct MentionList<'a> {
    first: [Mention<'a>; MENTIONS_AT_HAND],
    /// Of the whole list.
    len: usize,
    list: Option<Json<'a>>,
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
    pub fn mentions(&self) -> impl Iterator<Item = Mention<'a>> + use<'_, 'a> {
        Mentions {
            of: &self.mentions,
            place: 0,
            walk: None,
        }
    }

    /// The mentions that are looked at without a walk over the list.
    pub(crate) fn mentions_at_hand(&self) -> &[Mention<'a>] {
        let MentionList { first, len, .. } = &self.mentions;
        first.get(..*len).unwrap_or(first)
    }

    /// A message that was asked for: what it says and whom it names, as a
    /// message object has them (`msg_type`, `body.content`, `mentions`). All else
    /// is left empty.
    #[must_use]
    pub fn of_listed(message_type: &'a str, content: &'a str, mentions: Json<'a>) -> Self {
        let mut message = Self {
            message_type: Some(JsonStr::verbatim(message_type)),
            body: Body::Content(Some(JsonStr::verbatim(content)).filter(|text| !text.is_empty())),
            ..Self::default()
        };
        if mentions.is_array() {
            // A document that was checked cannot fail.
            message.mentions.read(&mut mentions.scanner());
        }
        message
    }

    /// Reads `event` into an empty message; false if there is no message in it.
    /// Either way the value is consumed.
    pub(super) fn read(&mut self, event: &mut Scanner<'a>) -> bool {
        let mark = event.mark();
        let (mut is_schema_2, mut is_schema_1) = (false, false);
        members!(event {
            "sender" => self.read_sender(event),
            "message" => is_schema_2 = self.read_schema_2(event),
            "open_message_id" => is_schema_1 = event.value().is_some(),
        });
        if is_schema_1 && !is_schema_2 {
            self.read_schema_1(event.since(mark));
        }
        is_schema_1 || is_schema_2
    }

    fn read_sender(&mut self, sender: &mut Scanner<'a>) {
        (self.sender_open_id, self.sender_app_id, self.sender_type) = (None, None, None);
        members!(sender {
            "sender_id" => members!(sender {
                "union_id" => sender.skip(),
                "user_id" => sender.skip(),
                "open_id" => self.sender_open_id = sender.text(),
                "app_id" => self.sender_app_id = sender.text(),
            }),
            "sender_type" => self.sender_type = sender.text(),
            "tenant_key" => sender.skip(),
        });
    }

    fn read_schema_2(&mut self, message: &mut Scanner<'a>) -> bool {
        if message.token() == b'n' {
            message.skip();
            return false;
        }
        members!(message {
            "message_id" => self.message_id = message.text(),
            "root_id" => self.root_id = message.text(),
            "parent_id" => self.parent_id = message.text(),
            "create_time" => self.create_time_ms = message.integer(),
            "update_time" => message.skip(),
            "chat_id" => self.chat_id = message.text(),
            "thread_id" => self.thread_id = message.text(),
            "chat_type" => self.chat_type = message.text(),
            "message_type" => self.message_type = message.text(),
            "content" => self.body = Body::Content(message.text()),
            "mentions" => self.mentions.read(message),
            "user_agent" => message.skip(),
        });
        true
    }

    fn read_schema_1(&mut self, event: Json<'a>) {
        let (mut mentions_bot, mut text_without_at_bot) = (false, None);
        let message = &mut event.scanner();
        members!(message {
            "root_id" => self.root_id = message.text(),
            "parent_id" => self.parent_id = message.text(),
            "open_chat_id" => self.chat_id = message.text(),
            "chat_type" => self.chat_type = message.text(),
            "msg_type" => self.message_type = message.text(),
            "open_id" => self.sender_open_id = message.text(),
            "open_message_id" => self.message_id = message.text(),
            "is_mention" => mentions_bot = message.value().and_then(Json::as_bool) == Some(true),
            "text_without_at_bot" => text_without_at_bot = message.text(),
        });
        self.body = Body::Flat {
            event,
            mentions_bot,
            text_without_at_bot,
        };
    }
}

impl<'a> MentionList<'a> {
    fn read(&mut self, list: &mut Scanner<'a>) {
        self.len = 0;
        let mark = list.mark();
        let mut more = list.open(b'[');
        while more {
            if list.token() == b'{' {
                let mention = Mention::read(list);
                if let Some(place) = self.first.get_mut(self.len) {
                    *place = mention;
                }
                self.len += 1;
            } else {
                list.skip();
            }
            more = list.more(b']');
        }
        self.list = Some(list.since(mark));
    }
}

/// Iterator over a message's mentions.
struct Mentions<'m, 'a> {
    of: &'m MentionList<'a>,
    place: usize,
    /// The list again, for those that are not at hand, and how many mentions
    /// were passed there.
    walk: Option<(Items<'a>, usize)>,
}

impl<'a> Iterator for Mentions<'_, 'a> {
    type Item = Mention<'a>;

    fn next(&mut self) -> Option<Mention<'a>> {
        let place = self.place;
        if place >= self.of.len {
            return None;
        }
        self.place += 1;
        if let Some(mention) = self.of.first.get(place) {
            return Some(*mention);
        }
        let list = self.of.list?;
        let (items, passed) = self.walk.get_or_insert_with(|| (list.items(), 0));
        loop {
            let entry = items.next()?;
            if entry.is_object() {
                *passed += 1;
            }
            if *passed > place {
                return Some(Mention::read(&mut entry.scanner()));
            }
        }
    }
}

impl<'a> Mention<'a> {
    fn read(mention: &mut Scanner<'a>) -> Self {
        let mut read = Self::default();
        members!(mention {
            "key" => read.key = mention.text(),
            "id" => read.open_id = read_open_id(mention),
            "name" => read.name = mention.text(),
            "tenant_key" => mention.skip(),
            "mentioned_type" => mention.skip(),
        });
        read
    }
}

/// In a message that was fetched, `id` is the open_id itself.
fn read_open_id<'a>(id: &mut Scanner<'a>) -> Option<JsonStr<'a>> {
    if id.token() == b'"' {
        return id.text();
    }
    let mut open_id = None;
    members!(id {
        "union_id" => id.skip(),
        "user_id" => id.skip(),
        "open_id" => open_id = id.text(),
    });
    open_id
}
