//! What a message brings along: the message that it quotes, the bundle that it forwards, the files
//! of all of them and those that came shortly before, and who is in the group.
//!
//! All of it is best effort and in bounded time: what can't be had is said to the model in its
//! place.

use std::time::Duration;

use proto_core::{InboundMessage, ResourceKind};
use tokio::time::Instant;
use tracing::{debug, warn};
use xiaoo_agent::{Image, Message, Workspace};

use super::fetch::{self, NotFetched, Wanted};
use super::guests::{self, Brought};
use super::listed::read_back;
use super::people::Directory;
use super::{Pipeline, SharedPipeline};
use crate::render::context::{self, Attached, Author, Bundle, Quoted, ReadBack, Said};

/// How long all of it may take together.
const WITHIN: Duration = Duration::from_secs(90);
/// Files that one message brings along; the rest is named and not fetched.
const FILES_MAX: usize = 12;
/// What the bot's own messages are said to be by.
const OWN_NAME: &str = "you";

/// What there is of a message.
pub(super) struct Gathered {
    /// What the model reads as the person's words, with all that they bring along.
    pub(super) said: Message,
    /// What of that was sent before it: to be forgotten when the rest is remembered.
    pub(super) brought: Vec<Brought>,
}

/// Asks for all that a message brings along.
pub(super) async fn gather(
    pipeline: &SharedPipeline,
    (conversation, message): (&str, &InboundMessage),
    workspace: Option<&Workspace>,
    people: &Directory,
) -> Gathered {
    let intake = Intake {
        pipeline,
        conversation,
        message,
        workspace,
        deadline: Instant::now() + WITHIN,
    };
    intake.gather(people).await
}

/// What the model reads of a message that was given up before anything was asked for.
pub(super) fn words_alone(message: &InboundMessage) -> Message {
    let files: Vec<_> = message
        .resources
        .iter()
        .map(|file| Attached::Missing {
            name: file.file_name.clone().unwrap_or_default(),
            why: "it was not fetched".into(),
        })
        .collect();
    let said = Said {
        author: author(message, &Directory::default()),
        text: &message.text,
        bundle: None,
        quoted: None,
        files: &files,
    };
    Message::User {
        content: context::user_text(&said),
        images: Vec::new(),
        again: false,
    }
}

/// Who has written it, where there is more than one who could.
fn author(message: &InboundMessage, people: &Directory) -> Option<Author> {
    (!message.is_direct).then(|| Author {
        open_id: message.sender_open_id.clone(),
        name: people.name_of(&message.sender_open_id),
    })
}

struct Intake<'a> {
    pipeline: &'a Pipeline,
    conversation: &'a str,
    message: &'a InboundMessage,
    workspace: Option<&'a Workspace>,
    deadline: Instant,
}

impl Intake<'_> {
    async fn gather(&self, people: &Directory) -> Gathered {
        let mut wanted: Vec<Wanted> = Vec::new();
        let brought = self.brought_before().await;
        for brought in &brought {
            wanted.extend(brought.files.iter().map(|file| Wanted {
                message_id: brought.message_id.clone(),
                file_key: file.file_key.clone(),
                kind: if file.is_image {
                    ResourceKind::Image
                } else {
                    ResourceKind::File
                },
                name: file.name.clone(),
            }));
        }
        wanted.extend(Wanted::of_message(
            &self.message.message_id,
            &self.message.resources,
        ));
        let bundle = self.bundle(people, &mut wanted).await;
        let quoted = self.quoted(people, &mut wanted).await;
        let attached = self.fetch(wanted).await;
        let images = attached.iter().filter_map(|file| match file {
            Attached::Fetched {
                path, media_type, ..
            } if context::is_picture(media_type) => Some(Image {
                path: path.clone(),
                media_type: media_type.clone(),
            }),
            Attached::Fetched { .. } | Attached::Missing { .. } => None,
        });
        let said = Said {
            author: author(self.message, people),
            text: &self.message.text,
            bundle,
            quoted,
            files: &attached,
        };
        let said = Message::User {
            content: context::user_text(&said),
            images: images.collect(),
            again: false,
        };
        Gathered { said, brought }
    }

    async fn brought_before(&self) -> Vec<Brought> {
        if self.message.is_direct {
            return Vec::new();
        }
        guests::brought_before(self.pipeline, self.message)
            .await
            .unwrap_or_else(|error| {
                warn!("files that came before cannot be found: {error}");
                Vec::new()
            })
    }

    /// What is in a forwarded bundle or a card: it has to be asked for.
    async fn bundle(&self, people: &Directory, wanted: &mut Vec<Wanted>) -> Option<Bundle> {
        if !self.message.needs_fetch {
            return None;
        }
        let listed = self.listed(&self.message.message_id).await;
        let bundle = context::bundle(&listed, people);
        wanted.extend(Wanted::of_message(
            &self.message.message_id,
            &bundle.resources,
        ));
        Some(bundle)
    }

    /// The message that is quoted. In a thread every message names the first one; there it is
    /// only told when it is what is answered.
    async fn quoted(&self, people: &Directory, wanted: &mut Vec<Wanted>) -> Option<Quoted> {
        let parent = self
            .message
            .parent_id
            .as_deref()
            .filter(|id| !id.is_empty())?;
        let listed = self.listed(parent).await;
        let quoted = context::quoted(&listed, people, OWN_NAME)?;
        wanted.extend(Wanted::of_message(parent, &quoted.resources));
        Some(quoted)
    }

    async fn listed(&self, message_id: &str) -> Vec<ReadBack> {
        let settings = &self.pipeline.settings;
        let bot_open_id = self.pipeline.identity.borrow().clone();
        let asking = self.pipeline.api.get_message(message_id);
        match tokio::time::timeout_at(self.deadline, asking).await {
            Ok(Ok(listed)) => listed
                .iter()
                .map(|message| read_back(settings, bot_open_id.as_deref(), message))
                .collect(),
            Ok(Err(error)) => {
                debug!(message_id, "a message cannot be read: {error}");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    async fn fetch(&self, mut wanted: Vec<Wanted>) -> Vec<Attached> {
        wanted.retain(|file| file.kind != ResourceKind::Sticker);
        let mut known = std::collections::HashSet::new();
        wanted.retain(|file| known.insert(file.file_key.clone()));
        let mut attached = Vec::with_capacity(wanted.len());
        let mut fetched = Vec::new();
        for (at, file) in wanted.into_iter().enumerate() {
            let had = if at >= FILES_MAX {
                let why = format!("more than {FILES_MAX} files came at once");
                Err(NotFetched::for_good(why))
            } else {
                fetch::fetch(self.pipeline, self.workspace, &file, self.deadline).await
            };
            if let Ok(Attached::Fetched { path, .. }) = &had {
                fetched.push(file.fetched_to(path));
            }
            attached.push(had.unwrap_or_else(|NotFetched { why, .. }| {
                warn!(
                    message_id = file.message_id,
                    "a file was not fetched: {why}"
                );
                Attached::Missing {
                    name: file.name(),
                    why,
                }
            }));
        }
        fetch::remember(self.pipeline, self.conversation, self.workspace, &fetched).await;
        attached
    }
}
