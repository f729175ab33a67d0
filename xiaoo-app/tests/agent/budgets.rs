//! What one person and one chat may use in a day.

use std::time::Duration;

use feishu_sim::UserMessage;
use model_sim::Script;

use crate::harness::{Rig, Setup, answers};
use crate::seen::{Cost, id_of, reply, restart, say};

/// Without signs of life: what a message costs is its answer.
async fn rig(more: &'static str) -> Rig {
    Rig::start(Setup {
        channel: "progress = \"off\"\nreaction = \"off\"\n",
        more,
        ..Setup::default()
    })
    .await
}

/// A message that is answered with these words.
async fn is_answered(rig: &Rig, message: UserMessage) {
    rig.model.script(Script::Answer("gladly".into()));
    let message = say(rig, message);
    assert_eq!(reply(rig, &message).await, "gladly", "{}", rig.log());
}

/// One that is not, and its sender is told why; at the price of one reply.
async fn is_turned_away(rig: &Rig, message: UserMessage, words: &str) {
    let cost = Cost::so_far(rig);
    let said = reply(rig, &say(rig, message)).await;
    assert!(said.contains(words), "{said}");
    cost.and_replies(1).is_all(rig);
}

const YOURS: &str = "your share for today";
const THE_CHATS: &str = "This chat has used up";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_so_many_answers_a_day_wherever_they_ask() {
    let mut rig = rig("[limits]\nperson_turns_per_day = 2\n").await;
    let [li, han] = ["李雷", "韩梅梅"].map(|name| id_of(&rig.sim, name));
    let in_group = |text: &str| UserMessage::text(text).in_chat(rig.sim.group_chat_id());
    is_answered(&rig, UserMessage::text("one")).await;
    is_answered(&rig, in_group("two").from(&li)).await;
    is_turned_away(&rig, UserMessage::text("three"), YOURS).await;
    is_turned_away(&rig, in_group("four").from(&li), YOURS).await;
    let chinese = UserMessage::text("五");
    is_turned_away(&rig, chinese, "你今天的用量已经用完").await;
    is_answered(&rig, in_group("one").from(&han)).await;
    // What the bot itself is told costs nothing.
    let status = say(&rig, UserMessage::text("/status"));
    let said = reply(&rig, &status).await;
    assert!(said.contains("2 messages"), "{said}");
    is_turned_away(&rig, UserMessage::text("/retry"), YOURS).await;
    restart(&mut rig).await;
    is_turned_away(&rig, UserMessage::text("three"), YOURS).await;
    is_answered(
        &rig,
        UserMessage::text("two")
            .in_chat(rig.sim.group_chat_id())
            .from(&han),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_has_so_many_answers_a_day_whoever_asks() {
    let mut rig = rig("[limits]\nchat_turns_per_day = 2\n").await;
    let group = rig.sim.group_chat_id();
    let [li, han, bob] = ["李雷", "韩梅梅", "Bob Miller"].map(|name| id_of(&rig.sim, name));
    let by = |who: &str| UserMessage::text("a question").in_chat(group).from(who);
    is_answered(&rig, by(&li)).await;
    is_answered(&rig, by(&han)).await;
    is_turned_away(&rig, by(&bob), THE_CHATS).await;
    is_answered(&rig, UserMessage::text("elsewhere")).await;
    restart(&mut rig).await;
    is_turned_away(&rig, by(&li), THE_CHATS).await;
    is_answered(&rig, UserMessage::text("elsewhere")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_as_the_model_counts_them() {
    for (limits, words) in [
        ("[limits]\nperson_tokens_per_day = 100\n", YOURS),
        ("[limits]\nchat_tokens_per_day = 100\n", THE_CHATS),
    ] {
        let mut rig = rig(limits).await;
        // The first may use more than is left. Those that wait behind it are judged when their
        // time comes.
        let slow = Script::Slow {
            text: "one thing after another".into(),
            chunk_delay: Duration::from_millis(50),
        };
        rig.model.script(slow);
        let first = rig.says("one");
        rig.model.wait_for_requests(1).await;
        let behind = ["two", "three"].map(|text| rig.says(text));
        assert_eq!(reply(&rig, &first).await, "one thing after another");
        for message in &behind {
            let said = reply(&rig, message).await;
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(rig.model.requests().len(), 1);
        restart(&mut rig).await;
        is_turned_away(&rig, UserMessage::text("four"), words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_in_many_chats_at_once_is_counted_one_by_one() {
    const CHATS: usize = 6;
    let rig = rig("[limits]\nperson_turns_per_day = 2\n").await;
    let li = id_of(&rig.sim, "李雷");
    let groups = (0..CHATS).map(|number| {
        let name = format!("group {number}");
        rig.sim.add_group(&name, std::slice::from_ref(&li)).unwrap()
    });
    let asked: Vec<String> = groups
        .map(|group| say(&rig, UserMessage::text("a question").in_chat(group)))
        .collect();
    let mut turned_away = 0;
    for message in &asked {
        turned_away += usize::from(reply(&rig, message).await.contains(YOURS));
    }
    assert_eq!(turned_away, CHATS - 2);
    assert_eq!(rig.model.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_goes_on_after_a_restart_is_counted_once() {
    let mut rig = rig("[limits]\nperson_turns_per_day = 1\nshutdown_grace_secs = 0\n").await;
    for stop in ["-TERM", "-KILL"] {
        let chat = rig.sim.add_p2p_chat("somebody").unwrap();
        let slow = Script::Slow {
            text: "cut off in the middle of these words".into(),
            chunk_delay: Duration::from_millis(500),
        };
        rig.model.script_for("first", slow);
        let seen = rig.model.requests().len();
        let first = say(&rig, UserMessage::text("first").in_chat(&chat));
        rig.model.wait_for_requests(seen as u64 + 1).await;
        rig.daemon.signal(stop);
        rig.daemon.ended().await;
        rig.model
            .script_for("first", Script::Answer("gladly".into()));
        rig.start_daemon().await;
        assert_eq!(reply(&rig, &first).await, "gladly", "{stop}");
        let more = UserMessage::text("more").in_chat(&chat);
        is_turned_away(&rig, more, YOURS).await;
        let said = answers(&rig.sim, &chat, &first);
        assert_eq!(said.len(), 1, "{stop}: {said:?}");
    }
}
