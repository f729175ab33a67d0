//! What people and the model say in these tests, and what is found of it.

use std::path::{Path, PathBuf};

use feishu_sim::view::Message;
use feishu_sim::{CardAction, UserMessage};
use model_sim::{RecordedRequest, Script};
use serde_json::Value;

use crate::harness::{PATIENCE, Rig, Setup};
use crate::seen::say;

/// A rig with these further sections.
pub(crate) async fn rig(more: impl Into<String>) -> Rig {
    Rig::start(setup(more)).await
}

/// The same, to be started.
pub(crate) fn setup(more: impl Into<String>) -> Setup {
    Setup {
        // As long as the program: that is what a setup is made of.
        more: more.into().leak(),
        ..Setup::default()
    }
}

/// Has the model make these calls, one after the other, before it says that it is done.
pub(crate) fn script(rig: &Rig, calls: &[(&str, Value)]) {
    for (name, arguments) in calls {
        rig.model
            .script(Script::tool_call(*name, arguments.to_string()));
    }
    rig.model.script(Script::Answer("done".into()));
}

/// Somebody asks for something, and the model makes these calls; gives what they came to.
pub(crate) async fn calls(rig: &Rig, calls: &[(&str, Value)]) -> Vec<String> {
    calls_for(rig, UserMessage::text("please"), calls).await
}

/// The same for this message.
pub(crate) async fn calls_for(
    rig: &Rig,
    message: UserMessage,
    calls: &[(&str, Value)],
) -> Vec<String> {
    script(rig, calls);
    let message = say(rig, message);
    rig.answers_to(&message).await;
    let results = last_request(rig).tool_results();
    assert_eq!(results.len(), calls.len(), "{results:#?}\n{}", rig.log());
    results
}

/// What the model reads of this message.
pub(crate) async fn read_as(rig: &Rig, message: UserMessage) -> String {
    let message = say(rig, message);
    rig.answers_to(&message).await;
    last_request(rig).last_user_message()
}

/// What the model was asked last.
pub(crate) fn last_request(rig: &Rig) -> RecordedRequest {
    rig.model.requests().pop().unwrap()
}

/// The card that asks something about this message, of those that still wait.
pub(crate) async fn asked(rig: &Rig, message_id: &str) -> Message {
    let chat = rig.sim.message(message_id).unwrap().chat_id;
    let found = rig
        .sim
        .until(PATIENCE, |sim| {
            sim.messages(&chat).into_iter().find(|message| {
                message.parent_id.as_deref() == Some(message_id)
                    && message
                        .card
                        .as_ref()
                        .is_some_and(|card| card.template == "orange")
            })
        })
        .await;
    found.unwrap_or_else(|| panic!("nobody was asked; log:\n{}", rig.log()))
}

/// How many cards have asked something about this message, whatever came of it.
pub(crate) fn times_asked(rig: &Rig, message_id: &str) -> usize {
    let chat = rig.sim.message(message_id).unwrap().chat_id;
    let about = |message: &Message| {
        message.parent_id.as_deref() == Some(message_id) && message.card.is_some()
    };
    // One of them shows how the turn goes.
    let cards = rig.sim.messages(&chat).into_iter().filter(about);
    cards.count() - 1
}

/// Presses the button with this label, on the card that waits.
pub(crate) async fn press(rig: &Rig, card: &Message, label: &str) {
    let pressed = rig
        .sim
        .press(CardAction::label(&card.message_id, label))
        .await
        .unwrap();
    let kind = pressed.toast_type();
    assert!(matches!(kind, Some("success" | "info")), "{pressed:?}");
}

/// Who speaks where nothing else is said.
pub(crate) fn me(rig: &Rig) -> String {
    let mut people = rig.sim.people().into_iter();
    people.find(|one| one.name == "李雷").unwrap().open_id
}

/// A group of that person and these.
pub(crate) fn group(rig: &Rig, others: &[&str]) -> String {
    let others = others.iter().map(|id| (*id).to_owned());
    let members: Vec<String> = core::iter::once(me(rig)).chain(others).collect();
    rig.sim.add_group("ops", &members).unwrap()
}

/// The directory of the only conversation that there is.
pub(crate) fn only_directory(rig: &Rig) -> PathBuf {
    let mut all = directories(rig);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// The directories of all conversations.
pub(crate) fn directories(rig: &Rig) -> Vec<PathBuf> {
    let chats = std::fs::read_dir(rig.folder.path().join("chats")).unwrap();
    chats.map(|entry| entry.unwrap().path()).collect()
}

/// Writes a file and the directories above it.
pub(crate) fn put(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}
