//! Questions to people: may a tool be used, and what the model wants to know.

use std::time::Duration;

use feishu_sim::view::Message;
use feishu_sim::{CardAction, Fault, FaultKind, UserMessage};
use model_sim::Script;
use xiaoo_store::{Expect, PutNote, Record, Store, StoreOptions, StoreReader, StoreUrl};

use crate::harness::{PATIENCE, Rig, Setup, Via};
use crate::seen::{id_of, reply, restart, say};
use crate::talk::{asked, times_asked};

const SHELL: &str =
    "[tools]\nenable = [\"shell\", \"ask_user\"]\nask_first = [\"shell\", \"write_file\"]\n";

async fn rig(via: Via) -> Rig {
    Rig::start(Setup {
        via,
        more: SHELL,
        ..Setup::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_when_its_asker_agrees_and_not_before() {
    for via in [Via::LongConnection, Via::Webhook, Via::EncryptedWebhook] {
        let rig = rig(via).await;
        let group = rig
            .sim
            .add_group("ops", &[rig.sim.people()[0].open_id.clone()])
            .unwrap();
        let other = rig.sim.add_person("Eve").unwrap();
        rig.sim.add_member(&group, &other).unwrap();
        rig.model.script(Script::tool_call(
            "shell",
            r#"{"command":"echo from the sandbox > out.txt; cat out.txt"}"#,
        ));
        rig.model.script(Script::Answer("it is done".into()));
        let message = rig
            .sim
            .user_says(UserMessage::text("@小欧 run it").in_chat(&group))
            .unwrap()
            .message_id;
        let card = asked(&rig, &message).await;
        assert!(
            card.text.contains("cat out.txt")
                || card.card.as_ref().unwrap().html.contains("cat out.txt")
        );
        assert_eq!(rig.model.requests().len(), 1);
        // Somebody else presses.
        let pressed = rig
            .sim
            .press(CardAction::label(&card.message_id, "Allow once").by(&other))
            .await
            .unwrap();
        assert_eq!(pressed.toast_type(), Some("warning"), "{pressed:?}");
        assert_eq!(rig.model.requests().len(), 1);
        let pressed = rig
            .sim
            .press(CardAction::label(&card.message_id, "Allow once"))
            .await
            .unwrap();
        assert_eq!(pressed.toast_type(), Some("success"), "{pressed:?}");
        assert_eq!(pressed.card.unwrap().template, "green");
        assert_eq!(rig.answer_to(&message).await, "it is done");
        let result = rig.model.requests().pop().unwrap().body.to_string();
        assert!(result.contains("from the sandbox"), "{result}");
        assert!(
            rig.sim.violations().is_empty(),
            "{:?}",
            rig.sim.violations()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_outlives_a_restart_and_its_answer_is_heard() {
    let mut rig = rig(Via::LongConnection).await;
    rig.model.script(Script::tool_call(
        "ask_user",
        r#"{"question":"Which colour?"}"#,
    ));
    let message = rig.says("paint it");
    let card = asked(&rig, &message).await;
    rig.daemon.kill();
    rig.start_daemon().await;
    rig.model.script(Script::Answer("blue it is".into()));
    let pressed = rig
        .sim
        .press(CardAction::label(&card.message_id, "Submit").with("answer", "blue"))
        .await
        .unwrap();
    assert_eq!(pressed.toast_type(), Some("success"), "{pressed:?}");
    assert_eq!(rig.answer_to(&message).await, "blue it is");
    let result = rig.model.requests().pop().unwrap().body.to_string();
    assert!(result.contains("blue"), "{result}");
    // It was asked once.
    let orange =
        |message: &Message| message.parent_id.as_deref() == Some(&card.parent_id.clone().unwrap());
    let cards = rig.sim.messages(&rig.chat()).into_iter().filter(orange);
    assert_eq!(cards.filter(|message| message.card.is_some()).count(), 2);
}

/// Presses a button of a card as it was when it was sent, whatever became of it on the screen.
fn press(card: &Message, label: &str) -> CardAction {
    CardAction::label(&card.message_id, label)
}

/// The colour that a card has in the end.
async fn turns(rig: &Rig, card: &Message, colour: &str) -> String {
    let shown = rig.sim.until(PATIENCE, |sim| {
        let card = sim.message(&card.message_id)?.card?;
        (card.template == colour).then_some(card)
    });
    let shown = shown.await;
    let shown = shown.unwrap_or_else(|| panic!("never {colour}; log:\n{}", rig.log()));
    assert!(shown.buttons.is_empty(), "{shown:?}");
    shown.html
}

/// What the model was told of the call that it made last.
fn told(rig: &Rig) -> String {
    let request = rig.model.requests().pop().unwrap();
    let messages = request.body["messages"].as_array().unwrap().clone();
    let last = messages.last().unwrap();
    assert_eq!(last["role"], "tool", "{last}");
    last["content"].to_string()
}

fn runs(command: &str) -> Script {
    let arguments = serde_json::json!({"command": command});
    Script::tool_call("shell", arguments.to_string())
}

fn answer(text: &str) -> Script {
    Script::Answer(text.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_is_obeyed_and_the_model_told() {
    for via in [Via::LongConnection, Via::Webhook] {
        let rig = rig(via).await;
        rig.model.script(runs("echo done > denied.txt"));
        rig.model.script(answer("then not"));
        let message = rig.says("run it");
        let card = asked(&rig, &message).await;
        let pressed = rig.sim.press(press(&card, "Deny")).await.unwrap();
        assert_eq!(pressed.toast_type(), Some("info"), "{pressed:?}");
        assert_eq!(pressed.card.unwrap().template, "red");
        assert_eq!(rig.answer_to(&message).await, "then not");
        let told = told(&rig);
        assert!(told.contains("said no"), "{told}");
        assert!(turns(&rig, &card, "red").await.contains("Denied"));
        assert_eq!(files_called(&rig, "denied.txt"), 0);
    }
}

/// Files of this name in all conversations.
fn files_called(rig: &Rig, name: &str) -> usize {
    let chats = std::fs::read_dir(rig.folder.path().join("chats"));
    let folders = chats
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    folders.filter(|folder| folder.join(name).exists()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn always_holds_in_its_chat_for_its_tool_and_over_a_restart() {
    let mut rig = rig(Via::LongConnection).await;
    rig.model.script(runs("echo 1 > out.txt"));
    rig.model.script(answer("first"));
    let message = rig.says("run it");
    let card = asked(&rig, &message).await;
    let always = press(&card, "Always in this chat");
    let pressed = rig.sim.press(always).await.unwrap();
    assert_eq!(pressed.toast_type(), Some("success"), "{pressed:?}");
    assert_eq!(rig.answer_to(&message).await, "first");
    assert!(turns(&rig, &card, "green").await.contains("Always allowed"));
    for text in ["again", "and again"] {
        rig.model.script(runs("echo 2 >> out.txt"));
        rig.model.script(answer("not asked"));
        let message = rig.says(text);
        assert_eq!(rig.answer_to(&message).await, "not asked");
        assert!(!told(&rig).contains("not made"), "{}", told(&rig));
        assert!(orange(&rig, &rig.chat()).is_empty());
        restart(&mut rig).await;
    }
    // Another tool, and another chat, are other matters.
    let elsewhere = rig.sim.add_p2p_chat("Eve").unwrap();
    let write = r#"{"path":"a.txt","content":"a"}"#;
    for (chat, call) in [
        (rig.chat(), Script::tool_call("write_file", write)),
        (elsewhere, runs("true")),
    ] {
        rig.model.script(call);
        rig.model.script(answer("asked"));
        let message = UserMessage::text("now this").in_chat(&chat);
        let message = rig.sim.user_says(message).unwrap().message_id;
        let card = asked(&rig, &message).await;
        rig.sim.press(press(&card, "Allow once")).await.unwrap();
        assert_eq!(rig.answer_to(&message).await, "asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn always_in_a_group_is_for_its_asker_and_an_admins_word_for_everyone() {
    let mut rig = rig_with_admin().await;
    let [li, bob] = ["李雷", "Bob Miller"].map(|name| id_of(&rig.sim, name));
    let group = rig.sim.group_chat_id().to_owned();
    let [eve, carol] = ["Eve", "Carol"].map(|name| {
        let id = rig.sim.add_person(name).unwrap();
        rig.sim.add_member(&group, &id).unwrap();
        id
    });
    let said_by = |who: &str| UserMessage::text("run it").in_chat(&group).from(who);
    let card = asks_in(&rig, said_by(&li)).await;
    let shown = card.card.as_ref().unwrap().html.clone();
    assert!(shown.contains("for the person asked alone"), "{shown}");
    // Only an admin speaks for all.
    let everyone = "Always for everyone here";
    let pressed = rig.sim.press(press(&card, everyone)).await.unwrap();
    assert_eq!(pressed.toast(), Some("只有管理员可以对所有人放行"));
    assert_eq!(pressed.card.unwrap().template, "orange");
    let pressed = rig.sim.press(press(&card, "Always in this chat")).await;
    assert_eq!(pressed.unwrap().toast_type(), Some("success"));
    assert!(turns(&rig, &card, "green").await.contains("alone"));
    rig.answer_to(card.parent_id.as_deref().unwrap()).await;
    // The threads of the chat are part of it.
    let opened = is_not_asked(&rig, said_by(&li)).await;
    let threaded = |who: &str| UserMessage {
        reply_to: Some(opened.clone()),
        in_thread: true,
        ..said_by(who)
    };
    let done_in_thread = async |times: usize| {
        let is_done = |message: &&Message| message.thread_id.is_some() && message.text == "done";
        let done = rig.sim.until(PATIENCE, |sim| {
            let messages = sim.messages(&group);
            (messages.iter().filter(is_done).count() == times).then_some(())
        });
        assert!(done.await.is_some(), "{}", rig.log());
    };
    rig.model.script(runs("true"));
    rig.model.script(answer("done"));
    rig.sim.user_says(threaded(&li)).unwrap();
    done_in_thread(1).await;
    assert!(told(&rig).contains("exit status 0"), "{}", told(&rig));
    // Others are asked, and what an admin says in a thread holds in the chat.
    rig.model.script(runs("true"));
    rig.model.script(answer("done"));
    rig.sim.user_says(threaded(&eve)).unwrap();
    let card = rig.sim.until(PATIENCE, |_| orange(&rig, &group).pop());
    let card = card.await.unwrap();
    let pressed = rig.sim.press(press(&card, everyone).by(&bob)).await;
    assert_eq!(pressed.unwrap().toast_type(), Some("success"));
    assert!(turns(&rig, &card, "green").await.contains("for everyone"));
    done_in_thread(2).await;
    restart(&mut rig).await;
    for who in [&eve, &carol] {
        is_not_asked(&rig, said_by(who)).await;
    }
    // What was allowed is taken back: by each what is his, by an admin all.
    for (who, order, said) in [
        (
            &carol,
            "/revoke",
            "You allowed nothing for good in this chat.",
        ),
        (
            &li,
            "/revoke web_fetch",
            "You did not allow `web_fetch` for good in this chat.",
        ),
        (
            &li,
            "/撤销 shell",
            "已收回。为你使用 `shell` 之前会重新询问，除非管理员已对所有人放行。",
        ),
        (&li, "/revoke all", "Only admins can do this."),
        (
            &bob,
            "/revoke all web_fetch",
            "`web_fetch` is not allowed for good in this chat.",
        ),
    ] {
        assert_eq!(told_in_group(&rig, order, who).await, said);
    }
    // The admin's word for everyone still holds, also for the one who took his own back.
    is_not_asked(&rig, said_by(&li)).await;
    let all = "Taken back. Everybody is asked again before `shell`.";
    assert_eq!(told_in_group(&rig, "/revoke all", &bob).await, all);
    restart(&mut rig).await;
    for who in [&li, &eve] {
        let card = asks_in(&rig, said_by(who)).await;
        let pressed = rig.sim.press(press(&card, "Deny").by(who)).await;
        assert_eq!(pressed.unwrap().toast_type(), Some("info"));
        rig.answer_to(card.parent_id.as_deref().unwrap()).await;
    }
    assert!(
        rig.sim.violations().is_empty(),
        "{:?}",
        rig.sim.violations()
    );
}

/// Somebody wants a command to be run; gives the card by which they are asked.
async fn asks_in(rig: &Rig, message: UserMessage) -> Message {
    rig.model.script(runs("true"));
    rig.model.script(answer("done"));
    let message = rig.sim.user_says(message).unwrap().message_id;
    asked(rig, &message).await
}

/// What the bot itself answers to somebody's order in the group.
async fn told_in_group(rig: &Rig, order: &str, who: &str) -> String {
    let order = UserMessage::text(order).in_chat(rig.sim.group_chat_id());
    reply(rig, &say(rig, order.from(who))).await
}

/// The same where nobody is asked; gives the message.
async fn is_not_asked(rig: &Rig, message: UserMessage) -> String {
    rig.model.script(runs("true"));
    rig.model.script(answer("done"));
    let message = rig.sim.user_says(message).unwrap().message_id;
    assert_eq!(rig.answer_to(&message).await, "done");
    assert_eq!(times_asked(rig, &message), 0);
    assert!(told(rig).contains("exit status 0"), "{}", told(rig));
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_has_kept_for_anybody_is_asked_again() {
    let mut rig = rig(Via::LongConnection).await;
    rig.answer_to(&rig.says("hello")).await;
    restart(&mut rig).await;
    rig.daemon.signal("-TERM");
    rig.daemon.ended().await;
    let url = StoreUrl::sqlite(rig.folder.path().join("xiaoo.db"));
    let (store, guard) = Store::open(&url, StoreOptions::default()).unwrap();
    let old = PutNote {
        scope: format!("grant:feishu:{}", rig.chat()),
        key: "shell".into(),
        body: "true".into(),
        expires_ms: None,
        expect: Expect::Absent,
        now_ms: 0,
    };
    store.put_note(old).await.unwrap();
    guard.close();
    rig.start_daemon().await;
    let here = || UserMessage::text("run it");
    let card = asks_in(&rig, here()).await;
    // Alone with the bot there is nobody else to speak of.
    let shown = card.card.as_ref().unwrap().html.clone();
    assert!(!shown.contains("alone"), "{shown}");
    let pressed = rig.sim.press(press(&card, "Always in this chat")).await;
    assert_eq!(pressed.unwrap().toast_type(), Some("success"));
    rig.answer_to(card.parent_id.as_deref().unwrap()).await;
    is_not_asked(&rig, here()).await;
}

/// The questions that are open in a chat.
fn orange(rig: &Rig, chat: &str) -> Vec<Message> {
    let mut messages = rig.sim.messages(chat);
    messages.retain(|message| {
        let card = message.card.as_ref();
        card.is_some_and(|card| card.template == "orange")
    });
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_no_and_an_answer_that_comes_later_changes_nothing() {
    let ask = r#"{"question":"Which way?","options":["left","right"]}"#;
    let one = |via, call: Script, label: &'static str, words: &'static str| async move {
        let rig = Rig::start(Setup {
            via,
            more: "[tools]\nenable = [\"shell\", \"ask_user\"]\napproval_timeout_secs = 5\n",
            ..Setup::default()
        })
        .await;
        rig.model.script(call);
        rig.model.script(answer("nobody was there"));
        let message = rig.says("go on");
        let card = asked(&rig, &message).await;
        // The card stays on the screen as it is, so that its buttons can be pressed.
        rig.sim.faults().add(cards_stay());
        rig.model.wait_for_requests(2).await;
        let told = told(&rig);
        assert!(told.contains("in time"), "{told}");
        let pressed = rig.sim.press(press(&card, label)).await.unwrap();
        assert_eq!(pressed.toast_type(), Some("info"), "{pressed:?}");
        assert_eq!(pressed.toast(), Some("这个请求已失效"), "{pressed:?}");
        assert_eq!(pressed.card.unwrap().template, "grey");
        rig.sim.faults().clear();
        assert_eq!(rig.answer_to(&message).await, "nobody was there");
        let shown = turns(&rig, &card, "grey").await;
        assert!(shown.contains(words), "{shown}");
        assert_eq!(rig.model.requests().len(), 2);
    };
    let ask = Script::tool_call("ask_user", ask);
    tokio::join!(
        one(Via::LongConnection, runs("true"), "Allow once", "denied"),
        one(Via::Webhook, ask, "left", "No answer in time"),
    );
}

/// Cards can't be changed.
fn cards_stay() -> Fault {
    FaultKind::ApiStatus { status: 500 }.on("PATCH /open-apis/im/v1/messages/:message_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_may_agree_for_the_asker_and_what_is_decided_stays_so() {
    let rig = rig_with_admin().await;
    let [li, bob] = ["李雷", "Bob Miller"].map(|name| id_of(&rig.sim, name));
    let group = rig.sim.group_chat_id();
    rig.model.script(runs("echo 1 >> out.txt"));
    rig.model.script(answer("done"));
    let message = UserMessage::text("run it").in_chat(group).from(&li);
    let message = rig.sim.user_says(message).unwrap().message_id;
    let card = asked(&rig, &message).await;
    // Two at the same moment, of two minds.
    let (yes, no) = tokio::join!(
        rig.sim.press(press(&card, "Allow once").by(&bob)),
        rig.sim.press(press(&card, "Deny").by(&li)),
    );
    let pressed = [yes.unwrap(), no.unwrap()];
    let late = pressed
        .iter()
        .filter(|pressed| pressed.toast() == Some("已经处理过了"));
    assert_eq!(late.count(), 1, "{pressed:?}");
    assert_eq!(rig.answer_to(&message).await, "done");
    let is_allowed = pressed[0].toast_type() == Some("success");
    let colour = if is_allowed { "green" } else { "red" };
    turns(&rig, &card, colour).await;
    assert_eq!(told(&rig).contains("said no"), !is_allowed);
    assert_eq!(files_called(&rig, "out.txt"), usize::from(is_allowed));
    assert_eq!(rig.model.requests().len(), 2);
    assert!(
        rig.sim.violations().is_empty(),
        "{:?}",
        rig.sim.violations()
    );
}

async fn rig_with_admin() -> Rig {
    let mut rig = Rig::without_daemon(Setup {
        channel: "# admins\n",
        more: SHELL,
        ..Setup::default()
    })
    .await;
    let admin = format!("admins = [\"{}\"]\n", id_of(&rig.sim, "Bob Miller"));
    rig.reconfigure(|text| text.replace("# admins\n", &admin));
    rig.start_daemon().await;
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_answer_of_whoever_was_asked_counts() {
    let rig = rig_with_admin().await;
    let [li, bob] = ["李雷", "Bob Miller"].map(|name| id_of(&rig.sim, name));
    let group = rig.sim.group_chat_id();
    let ask = r#"{"question":"哪个方向？","options":["左","右"]}"#;
    rig.model.script(Script::tool_call("ask_user", ask));
    rig.model.script(answer("right it is"));
    let message = UserMessage::text("choose").in_chat(group).from(&li);
    let message = rig.sim.user_says(message).unwrap().message_id;
    let card = asked(&rig, &message).await;
    // An admin can say what may be done, and not what somebody else thinks.
    let pressed = rig.sim.press(press(&card, "左").by(&bob)).await.unwrap();
    assert_eq!(pressed.toast_type(), Some("warning"), "{pressed:?}");
    assert_eq!(pressed.card.unwrap().template, "orange");
    let (first, second) = tokio::join!(
        rig.sim.press(press(&card, "右")),
        rig.sim.press(press(&card, "右")),
    );
    // In the same millisecond they are one and the same answer.
    let toasts = [first, second].map(|pressed| pressed.unwrap().toast().unwrap().to_owned());
    let known = ["已收到回答", "已经处理过了"];
    assert!(toasts.contains(&known[0].to_owned()), "{toasts:?}");
    assert!(
        toasts.iter().all(|toast| known.contains(&toast.as_str())),
        "{toasts:?}"
    );
    assert_eq!(rig.answer_to(&message).await, "right it is");
    assert_eq!(told(&rig), "\"右\"");
    assert!(turns(&rig, &card, "green").await.contains('右'));
    assert_eq!(rig.model.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_a_stopped_turn_is_withdrawn() {
    for via in [Via::LongConnection, Via::EncryptedWebhook] {
        let rig = rig(via).await;
        rig.model.script(runs("echo 1 > out.txt"));
        let message = rig.says("run it");
        let card = asked(&rig, &message).await;
        rig.sim.faults().add(cards_stay());
        let stop = rig.says("/stop");
        assert_eq!(reply(&rig, &stop).await, "Stopped.");
        let pressed = rig.sim.press(press(&card, "Allow once")).await.unwrap();
        assert_eq!(pressed.toast_type(), Some("info"), "{pressed:?}");
        assert_eq!(pressed.toast(), Some("这个请求已失效"), "{pressed:?}");
        assert_eq!(pressed.card.unwrap().template, "grey");
        rig.sim.faults().clear();
        let shown = turns(&rig, &card, "grey").await;
        assert!(shown.contains("No longer needed"), "{shown}");
        // It was not done, and the conversation goes on.
        rig.model.script(answer("here I am"));
        assert_eq!(rig.answer_to(&rig.says("hello?")).await, "here I am");
        assert_eq!(files_called(&rig, "out.txt"), 0);
        assert_eq!(rig.model.requests().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_a_turn_that_an_outage_has_made_too_old_is_withdrawn() {
    let mut rig = Rig::start(Setup {
        more: "[tools]\nenable = [\"shell\"]\n[limits]\nmessage_age_max_secs = 4\n",
        ..Setup::default()
    })
    .await;
    rig.model.script(runs("echo 1 > out.txt"));
    let message = rig.says("run it");
    let card = asked(&rig, &message).await;
    noted(&rig, &card).await;
    rig.daemon.kill();
    // The outage.
    tokio::time::sleep(Duration::from_secs(4)).await;
    rig.start_daemon().await;
    assert!(rig.answer_to(&message).await.contains("too late"));
    let shown = turns(&rig, &card, "grey").await;
    assert!(shown.contains("No longer needed"), "{shown}");
    assert_eq!(files_called(&rig, "out.txt"), 0);
}

/// Waits until the store knows which card a question has.
async fn noted(rig: &Rig, card: &Message) {
    let url = StoreUrl::sqlite(rig.folder.path().join("xiaoo.db"));
    let is_noted = || {
        let records = StoreReader::open(&url).unwrap().export_notes();
        let says_so = |record| {
            let Record::Note(note) = record else {
                return false;
            };
            let body = note.body.unwrap_or_default();
            String::from_utf8_lossy(&body).contains(&card.message_id)
        };
        records.map(Result::unwrap).any(says_so)
    };
    let noted = async {
        while !is_noted() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, noted).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_outlives_a_restart_and_what_was_pressed_meanwhile_is_pressed_again() {
    for (via, stop) in [(Via::LongConnection, "-KILL"), (Via::Webhook, "-TERM")] {
        let mut rig = Rig::start(Setup {
            via,
            more: "[tools]\nenable = [\"shell\"]\n[limits]\nshutdown_grace_secs = 0\n",
            ..Setup::default()
        })
        .await;
        rig.model.script(runs("echo once >> out.txt; cat out.txt"));
        rig.model.script(answer("done"));
        let message = rig.says("run it");
        let card = asked(&rig, &message).await;
        rig.daemon.signal(stop);
        rig.daemon.ended().await;
        let pressed = rig.sim.press(press(&card, "Allow once")).await.unwrap();
        assert_ne!(pressed.status, "answered", "{via:?}: {pressed:?}");
        assert_eq!(pressed.card.unwrap().template, "orange");
        rig.start_daemon().await;
        assert_eq!(orange(&rig, &rig.chat()).len(), 1);
        let pressed = rig.sim.press(press(&card, "Allow once")).await.unwrap();
        assert_eq!(pressed.toast_type(), Some("success"), "{pressed:?}");
        assert_eq!(rig.answer_to(&message).await, "done");
        assert_eq!(told(&rig).matches("once").count(), 1, "{}", told(&rig));
        turns(&rig, &card, "green").await;
        // Asked once.
        let cards = rig.sim.messages(&rig.chat()).into_iter();
        assert_eq!(cards.filter(|message| message.card.is_some()).count(), 2);
        assert_eq!(rig.model.requests().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_person_takes_neither_a_place_nor_the_time_of_the_turn() {
    let rig = Rig::start(Setup {
        more: "[tools]\nenable = [\"shell\"]\n[limits]\nmax_concurrent_turns = 1\nturn_timeout_secs = 3\n",
        ..Setup::default()
    })
    .await;
    let [first, second, third] =
        ["first", "second", "third"].map(|name| rig.sim.add_p2p_chat(name).unwrap());
    let says = |text: &str, chat: &String| {
        let message = UserMessage::text(text).in_chat(chat);
        rig.sim.user_says(message).unwrap().message_id
    };
    rig.model.script_for("run it", runs("echo 1"));
    let waits = says("run it", &first);
    let card = asked(&rig, &waits).await;
    let begun = std::time::Instant::now();
    rig.model.script_for("run this", runs("echo 2"));
    let also_waits = says("run this", &second);
    let other_card = asked(&rig, &also_waits).await;
    rig.model.script_for("hello", answer("not waiting"));
    assert_eq!(rig.answer_to(&says("hello", &third)).await, "not waiting");
    // Longer than a turn may take.
    tokio::time::sleep(Duration::from_millis(3_200).saturating_sub(begun.elapsed())).await;
    for (message, card) in [(waits, card), (also_waits, other_card)] {
        rig.model.script(answer("done"));
        let pressed = rig.sim.press(press(&card, "Allow once")).await.unwrap();
        assert_eq!(pressed.toast_type(), Some("success"), "{pressed:?}");
        assert_eq!(rig.answer_to(&message).await, "done");
    }
}
