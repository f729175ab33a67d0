//! What people see of the bot, and what that costs.

use std::collections::BTreeMap;
use std::time::Duration;

use feishu_sim::view::{DeliveryState, Message, PersonKind};
use feishu_sim::{Sim, UserMessage};
use serde_json::Value;

use crate::harness::{PATIENCE, Rig, answers};

/// The call by which the bot answers.
pub const REPLY: &str = "POST /open-apis/im/v1/messages/:message_id/reply";

/// Waits for the bot's reply to a message that shows no card.
pub async fn reply(rig: &Rig, message_id: &str) -> String {
    let said = reply_in(&rig.sim, message_id).await;
    said.unwrap_or_else(|| panic!("no reply; log:\n{}", rig.log()))
        .text
}

/// The same on any platform.
pub async fn reply_in(sim: &Sim, message_id: &str) -> Option<Message> {
    let chat = sim.message(message_id)?.chat_id;
    sim.until(PATIENCE, |sim| {
        answers(sim, &chat, message_id).into_iter().next()
    })
    .await
}

/// Says something; gives the message's id.
pub fn say(rig: &Rig, message: UserMessage) -> String {
    rig.sim.user_says(message).unwrap().message_id
}

/// The open_id of somebody that the platform knows from the start.
pub fn id_of(sim: &Sim, name: &str) -> String {
    let people = sim.people();
    let person = people
        .iter()
        .find(|person| person.name == name && !person.is_self);
    person.unwrap().open_id.clone()
}

/// The open_id of the other bot.
pub fn other_bot(sim: &Sim) -> String {
    let people = sim.people();
    let is_other = |kind, is_self: bool| kind == PersonKind::Bot && !is_self;
    let bot = people
        .iter()
        .find(|person| is_other(person.kind, person.is_self));
    bot.unwrap().open_id.clone()
}

/// Waits until the bot has taken a message in.
pub async fn taken_in(rig: &Rig, message_id: &str) {
    let acked = rig.sim.until(PATIENCE, |sim| {
        let delivery = sim.message(message_id)?.delivery?;
        (delivery.state == DeliveryState::Acked).then_some(())
    });
    acked
        .await
        .unwrap_or_else(|| panic!("not taken in; log:\n{}", rig.log()));
}

/// A count of what happened to events.
pub async fn events(rig: &Rig, name: &str) -> u64 {
    let (_, ready) = rig.ready().await;
    let channels = ready["channels"].as_object().unwrap();
    let counted = |channel: &Value| channel["events"][name].as_u64().unwrap();
    channels.values().map(counted).sum()
}

/// What has been used: calls to the platform, and questions to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    pub calls: BTreeMap<String, u64>,
    pub questions: usize,
}

impl Cost {
    pub fn so_far(rig: &Rig) -> Self {
        Self {
            calls: rig.sim.api_calls(),
            questions: rig.model.requests().len(),
        }
    }

    /// With so many more replies, and nothing else.
    pub fn and_replies(mut self, more: u64) -> Self {
        *self.calls.entry(REPLY.to_owned()).or_default() += more;
        self
    }

    /// It is what was used.
    pub fn is_all(&self, rig: &Rig) {
        assert_eq!(*self, Self::so_far(rig));
    }
}

/// Says something that the bot leaves alone: it is judged when it is taken in, and nothing comes
/// of it.
pub async fn is_left_alone(rig: &Rig, message: UserMessage) {
    let (cost, ignored) = (Cost::so_far(rig), events(rig, "ignored").await);
    let what = format!("{message:?}");
    let message = say(rig, message);
    taken_in(rig, &message).await;
    assert_eq!(events(rig, "ignored").await, ignored + 1, "{what}");
    assert_eq!(Cost::so_far(rig), cost, "{what}");
    assert!(rig.sim.reactions(&message).is_empty(), "{what}");
}

/// Kills the daemon and starts it again, when all that it has said is noted as said: else it says
/// it once more, under the same uuid.
pub async fn restart(rig: &mut Rig) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while rig.ready().await.1["store"]["outbox"] != 0 {
        assert!(tokio::time::Instant::now() < deadline, "{}", rig.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    rig.daemon.kill();
    rig.start_daemon().await;
}
