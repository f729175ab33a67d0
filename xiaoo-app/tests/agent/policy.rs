//! Who is answered, who is told that they are not, and who hears nothing.

use feishu_sim::{Sim, SimConfig, UserMessage};
use serde_json::{Value, json};
use xiaoo_store::{Expect, PutNote, Store, StoreOptions, StoreUrl};

use crate::harness::{PATIENCE, Rig, Setup, answers};
use crate::seen::{Cost, events, id_of, is_left_alone, other_bot, reply, restart, say};

/// A rig whose channel has these lines, and whose platform tells of all that is said in groups.
/// Without signs of life: what a message costs is its answer.
async fn rig(channel: impl FnOnce(&Sim) -> String) -> Rig {
    let setup = Setup::default();
    let mut rig = Rig::without_daemon(Setup {
        channel: "progress = \"off\"\nreaction = \"off\"\n# more\n",
        sim: SimConfig {
            group_all: true,
            ..setup.sim
        },
        ..setup
    })
    .await;
    let lines = channel(&rig.sim);
    rig.reconfigure(|text| text.replace("# more\n", &lines));
    rig.start_daemon().await;
    rig
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug)]
enum Fate<'a> {
    Answered,
    /// Nothing.
    Alone,
    /// Its sender gets this notice.
    Told(&'a str),
}

async fn becomes(rig: &Rig, message: UserMessage, fate: Fate<'_>) {
    let before = Cost::so_far(rig);
    match fate {
        Fate::Alone => is_left_alone(rig, message).await,
        Fate::Answered => {
            let what = format!("{message:?}");
            let said = reply(rig, &say(rig, message)).await;
            assert!(!said.starts_with("Sorry"), "{what}: {said}");
            let questions = Cost::so_far(rig).questions;
            assert_eq!(questions, before.questions + 1, "{what}: {said}");
        }
        Fate::Told(words) => {
            let what = format!("{message:?}");
            let said = reply(rig, &say(rig, message)).await;
            assert!(said.contains(words), "{what}: {said}");
            before.and_replies(1).is_all(rig);
        }
    }
}

/// A message in the first group that does not mention the bot.
fn aside(rig: &Rig, text: &str) -> UserMessage {
    UserMessage {
        mention_bot: Some(false),
        ..to_group(rig, text)
    }
}

/// One that does.
fn to_group(rig: &Rig, text: &str) -> UserMessage {
    UserMessage::text(text).in_chat(rig.sim.group_chat_id())
}

#[tokio::test(flavor = "multi_thread")]
async fn in_groups_only_mentions_are_answered_unless_the_operator_says_otherwise() {
    use Fate::{Alone, Answered};
    let here = |sim: &Sim| format!("[channels.feishu.chats.{}]\n", sim.group_chat_id());
    type Lines = Box<dyn FnOnce(&Sim) -> String>;
    let cases: [(Lines, [Fate<'_>; 3]); 6] = [
        (Box::new(|_| String::new()), [Answered, Alone, Alone]),
        (
            Box::new(|_| "require_mention = false\n".into()),
            [Answered; 3],
        ),
        (
            Box::new(|_| "respond_to_all = true\n".into()),
            [Answered, Alone, Answered],
        ),
        (
            Box::new(move |sim| here(sim) + "require_mention = false\n"),
            [Answered; 3],
        ),
        (
            Box::new(move |sim| {
                "require_mention = false\n".to_owned() + &here(sim) + "require_mention = true\n"
            }),
            [Answered, Alone, Alone],
        ),
        (
            Box::new(move |sim| {
                "respond_to_all = true\n".to_owned() + &here(sim) + "respond_to_all = false\n"
            }),
            [Answered, Alone, Alone],
        ),
    ];
    for (lines, [mention, nobody, everyone]) in cases {
        let rig = rig(lines).await;
        becomes(&rig, to_group(&rig, "are you there?"), mention).await;
        becomes(&rig, aside(&rig, "just talking"), nobody).await;
        becomes(&rig, aside(&rig, "@_all look at this"), everyone).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_let_in_by_policy_list_exception_and_admin() {
    use Fate::{Alone, Answered};
    let list = |sim: &Sim| format!("allow_chats = [\"{}\"]\n", sim.group_chat_id());
    let chat = |sim: &Sim| format!("[channels.feishu.chats.{}]\n", sim.group_chat_id());
    let admin = |sim: &Sim| format!("admins = [\"{}\"]\n", id_of(sim, "Bob Miller"));
    let people = |sim: &Sim| format!("allow_users = [\"{}\"]\n", id_of(sim, "李雷"));
    type Lines = Box<dyn FnOnce(&Sim) -> String>;
    // What becomes of mentions: by 李雷 and 韩梅梅 in the group, by 李雷 and Bob in another.
    let cases: [(Lines, [Fate<'_>; 4]); 6] = [
        (
            Box::new(move |sim| "group_policy = \"open\"\n".to_owned() + &list(sim)),
            [Answered; 4],
        ),
        (
            Box::new(move |sim| {
                "group_policy = \"allowlist\"\n".to_owned() + &list(sim) + &admin(sim)
            }),
            [Answered, Answered, Alone, Answered],
        ),
        (
            Box::new(move |sim| {
                "group_policy = \"allowlist\"\n".to_owned() + &list(sim) + &people(sim)
            }),
            [Answered, Alone, Alone, Alone],
        ),
        (
            Box::new(move |sim| "group_policy = \"disabled\"\n".to_owned() + &admin(sim)),
            [Alone, Alone, Alone, Answered],
        ),
        (
            Box::new(move |sim| {
                "group_policy = \"disabled\"\n".to_owned() + &chat(sim) + "enabled = true\n"
            }),
            [Answered, Answered, Alone, Alone],
        ),
        (
            Box::new(move |sim| chat(sim) + "enabled = false\n"),
            [Alone, Alone, Answered, Answered],
        ),
    ];
    for (lines, [first, second, elsewhere, by_bob]) in cases {
        let rig = rig(lines).await;
        let [li, han, bob] = ["李雷", "韩梅梅", "Bob Miller"].map(|name| id_of(&rig.sim, name));
        let other = rig.sim.add_group("other", &[li.clone(), bob.clone()]);
        let other = other.unwrap();
        let hello = || to_group(&rig, "hello");
        becomes(&rig, hello().from(&li), first).await;
        becomes(&rig, hello().from(&han), second).await;
        becomes(&rig, hello().in_chat(&other).from(&li), elsewhere).await;
        becomes(&rig, hello().in_chat(&other).from(&bob), by_bob).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_write_directly_is_told_so_once_and_costs_one_call() {
    use Fate::{Alone, Answered, Told};
    let listed = |sim: &Sim| {
        let [li, bob] = ["李雷", "Bob Miller"].map(|name| id_of(sim, name));
        format!("allow_users = [\"{li}\"]\nadmins = [\"{bob}\"]\n")
    };
    let not_listed = ("not on the list", "没有使用权限");
    let not_direct = ("not take direct messages", "不接受私聊");
    for (policy, li, told) in [
        ("open", Answered, None),
        ("allowlist", Answered, Some(not_listed)),
        ("disabled", Told(not_direct.0), Some(not_direct)),
    ] {
        let mut rig = rig(|sim| format!("dm_policy = \"{policy}\"\n{}", listed(sim))).await;
        let strangers = ["Eve", "夏娃"].map(|name| rig.sim.add_p2p_chat(name).unwrap());
        becomes(&rig, UserMessage::text("hello"), li).await;
        let direct = |text, chat: &String| UserMessage::text(text).in_chat(chat);
        let Some((english, chinese)) = told else {
            becomes(&rig, direct("hello", &strangers[0]), Answered).await;
            continue;
        };
        becomes(&rig, direct("hello", &strangers[0]), Told(english)).await;
        becomes(&rig, direct("你好", &strangers[1]), Told(chinese)).await;
        // A command is no way in.
        becomes(&rig, direct("/status", &strangers[0]), Alone).await;
        becomes(&rig, direct("你好？", &strangers[1]), Alone).await;
        restart(&mut rig).await;
        becomes(&rig, direct("and now?", &strangers[0]), Alone).await;
        // What holds for direct messages does not for groups, and not for admins.
        becomes(&rig, to_group(&rig, "hello"), Answered).await;
        let bob = rig.sim.p2p_chat_with(&id_of(&rig.sim, "Bob Miller"));
        becomes(&rig, direct("hello", &bob.unwrap()), Answered).await;
    }
}

/// The event that tells of a message which the platform did not tell of, changed a little.
fn event_of(rig: &Rig, message: &str, change: impl FnOnce(&mut Value)) -> Value {
    let message = rig.sim.message(message).unwrap();
    let mut event = json!({
        "schema": "2.0",
        "header": {
            "event_id": format!("event-of-{}", message.message_id),
            "event_type": "im.message.receive_v1",
            "create_time": message.create_time.to_string(),
            "token": rig.sim.config().verification_token,
            "app_id": rig.sim.config().app_id,
        },
        "event": {
            "sender": {
                "sender_id": {"open_id": message.sender.open_id},
                "sender_type": "user",
            },
            "message": {
                "message_id": message.message_id,
                "create_time": message.create_time.to_string(),
                "chat_id": message.chat_id,
                "chat_type": "group",
                "message_type": message.msg_type,
                "content": message.content,
            },
        },
    });
    change(&mut event["event"]);
    event
}

/// How an event mentions the bot.
fn mentions_bot(rig: &Rig, event: &mut Value) {
    let bot = &rig.sim.config().bot_open_id;
    event["message"]["content"] = json!(r#"{"text":"@_user_1 hello"}"#);
    event["message"]["mentions"] =
        json!([{"key": "@_user_1", "id": {"open_id": bot}, "name": "小欧"}]);
}

/// Pushes an event that the bot leaves alone.
async fn event_is_left_alone(rig: &Rig, event: &Value) {
    let (cost, ignored) = (Cost::so_far(rig), events(rig, "ignored").await);
    let event_id = rig.sim.push_event(event).unwrap();
    let acked = rig.sim.until(PATIENCE, |sim| {
        let mut acks = sim.acks().into_iter();
        acks.find(|ack| ack.event_id == event_id)
    });
    assert_eq!(acked.await.unwrap().code, 200);
    assert_eq!(events(rig, "ignored").await, ignored + 1, "{event}");
    assert_eq!(Cost::so_far(rig), cost, "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_of_an_unknown_type_is_a_group() {
    let setup = Setup::default();
    // People write directly to their heart's content, and nowhere else.
    let rig = Rig::start(Setup {
        channel: "dm_policy = \"disabled\"\nprogress = \"off\"\nreaction = \"off\"",
        ..setup
    })
    .await;
    // Not told of by the platform.
    let message = say(&rig, aside(&rig, "hello"));
    let event = |chat_type: &str, mentioned: bool| {
        event_of(&rig, &message, |event| {
            event["message"]["chat_type"] = json!(chat_type);
            if mentioned {
                mentions_bot(&rig, event);
            }
        })
    };
    for chat_type in ["topic_group", "topic", "private", "P2P", ""] {
        let mut unmentioned = event(chat_type, false);
        unmentioned["header"]["event_id"] = json!(format!("event-{chat_type}"));
        event_is_left_alone(&rig, &unmentioned).await;
    }
    rig.sim.push_event(&event("topic_group", true)).unwrap();
    let said = reply(&rig, &message).await;
    assert!(!said.starts_with("Sorry"), "{said}");
    assert_eq!(rig.model.requests().len(), 1);
}

/// The code in the notice that a stranger gets.
fn code_in(notice: &str) -> String {
    let code = notice.rsplit("/pair ").next().unwrap();
    assert!(
        code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()),
        "{notice}"
    );
    code.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_let_in_by_the_code_that_an_admin_sends() {
    use Fate::{Alone, Answered, Told};
    let mut rig = rig_with_pairing().await;
    let direct = |text: String, chat: &String| UserMessage::text(text).in_chat(chat);
    let bob = rig.sim.p2p_chat_with(&id_of(&rig.sim, "Bob Miller"));
    let bob = bob.unwrap();
    let [eve, mallory] = ["Eve", "Mallory"].map(|name| rig.sim.add_p2p_chat(name).unwrap());

    let cost = Cost::so_far(&rig);
    let code = code_in(&reply(&rig, &say(&rig, direct("hello".into(), &eve))).await);
    let other = code_in(&reply(&rig, &say(&rig, direct("hi".into(), &mallory))).await);
    cost.and_replies(2).is_all(&rig);
    assert_ne!(code, other);
    becomes(&rig, direct("please".into(), &eve), Alone).await;
    // It is no use to herself, nor to somebody who is on the list.
    let pair = format!("/pair {code}");
    becomes(&rig, direct(pair.clone(), &eve), Alone).await;
    becomes(&rig, UserMessage::text(&pair), Told("Only admins")).await;
    // Nor is another one to an admin.
    let wrong = (0..1_000_000).map(|number| format!("{number:06}"));
    let wrong = wrong
        .into_iter()
        .find(|wrong| *wrong != code && *wrong != other);
    let wrong = format!("/pair {}", wrong.unwrap());
    becomes(&rig, direct(wrong, &bob), Told("code")).await;
    becomes(&rig, direct("still?".into(), &eve), Alone).await;

    // The code outlives a restart, and so does what it did.
    restart(&mut rig).await;
    becomes(&rig, direct(pair.clone(), &bob), Told("Done")).await;
    becomes(&rig, direct("thank you".into(), &eve), Answered).await;
    restart(&mut rig).await;
    becomes(&rig, direct("and again".into(), &eve), Answered).await;
    becomes(&rig, direct("me too".into(), &mallory), Alone).await;
    // It is used up.
    becomes(&rig, direct(pair, &bob), Told("code")).await;
}

/// `xiaoo-app pairing …` of this rig's daemon: whether it worked, and what was said.
fn pairing(rig: &Rig, words: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_xiaoo-app"))
        .arg("pairing")
        .args(words)
        .arg("--config")
        .arg(rig.folder.path().join("config.toml"))
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// The same, and it worked.
fn pairing_says(rig: &Rig, words: &[&str]) -> String {
    let (worked, said) = pairing(rig, words);
    assert!(worked, "{words:?}: {said}");
    said
}

async fn rig_with_pairing() -> Rig {
    rig(|sim| {
        let [li, bob] = ["李雷", "Bob Miller"].map(|name| id_of(sim, name));
        format!("dm_policy = \"pairing\"\nallow_users = [\"{li}\"]\nadmins = [\"{bob}\"]\n")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_lets_in_and_shuts_out_while_the_daemon_runs() {
    use Fate::{Alone, Answered, Told};
    let mut rig = rig_with_pairing().await;
    let [eve, mallory] = ["Eve", "Mallory"].map(|name| rig.sim.add_p2p_chat(name).unwrap());
    let [eve_id, mallory_id] = ["Eve", "Mallory"].map(|name| id_of(&rig.sim, name));
    let direct = |text: &str, chat: &String| UserMessage::text(text).in_chat(chat);
    let nobody = "Nobody was let in by a code, and nobody waits for it.\n";
    assert_eq!(pairing_says(&rig, &["list"]), nobody);

    let code = code_in(&reply(&rig, &say(&rig, direct("hello", &eve))).await);
    let other = code_in(&reply(&rig, &say(&rig, direct("hi", &mallory))).await);
    let list = pairing_says(&rig, &["list"]);
    for line in [
        format!("{eve_id}  waits with the code {code}, which holds until 20"),
        format!("{mallory_id}  waits with the code {other}, which holds until 20"),
    ] {
        assert!(list.contains(&line), "{line:?} in {list}");
    }
    assert_eq!(
        pairing_says(&rig, &["approve", &code]),
        format!("{eve_id} is let in at feishu.\n")
    );
    becomes(&rig, direct("thank you", &eve), Answered).await;
    becomes(&rig, direct("me too", &mallory), Alone).await;
    let list: Value = serde_json::from_str(&pairing_says(&rig, &["list", "--json"])).unwrap();
    let (let_in, waiting) = (&list["let_in"][0], &list["waiting"][0]);
    assert_eq!(
        (&let_in["open_id"], &let_in["by"]),
        (&json!(eve_id), &json!(null))
    );
    assert!(let_in["at_ms"].is_i64(), "{list}");
    assert_eq!(
        (&waiting["open_id"], &waiting["code"], &waiting["instance"]),
        (&json!(mallory_id), &json!(other), &json!("feishu"))
    );

    // Shut out from the next message on, and told so, with a code that works.
    assert_eq!(
        pairing_says(&rig, &["revoke", &eve_id]),
        format!("{eve_id} is no longer let in at feishu.\n")
    );
    let again = code_in(&reply(&rig, &say(&rig, direct("and now?", &eve))).await);
    assert_ne!(again, code);
    for (words, expected) in [
        (["approve", code.as_str()], "nobody has the code"),
        (["revoke", eve_id.as_str()], "was not let in by a code"),
        (["list", "--instance=ops"], "there are: feishu"),
    ] {
        let (worked, said) = pairing(&rig, &words);
        assert!(!worked && said.contains(expected), "{words:?}: {said}");
    }
    // To revoke is also to take back the code that somebody waits with.
    let (_, said) = pairing(&rig, &["approve", &again]);
    assert!(said.contains("nobody has the code"), "{said}");
    becomes(&rig, direct("hello?", &eve), Told("/pair")).await;

    // Without a daemon it is the same.
    rig.daemon.kill();
    pairing_says(&rig, &["approve", &other]);
    rig.start_daemon().await;
    becomes(&rig, direct("at last", &mallory), Answered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_shuts_out_in_the_chat_also_whom_an_earlier_version_let_in() {
    use Fate::{Answered, Told};
    let mut rig = rig_with_pairing().await;
    let bob = id_of(&rig.sim, "Bob Miller");
    let with_bob = rig.sim.p2p_chat_with(&bob).unwrap();
    let eve = rig.sim.add_p2p_chat("Eve").unwrap();
    let eve_id = id_of(&rig.sim, "Eve");
    let direct = |text: &str, chat: &String| UserMessage::text(text).in_chat(chat);
    rig.daemon.signal("-TERM");
    rig.daemon.ended().await;
    let url = StoreUrl::sqlite(rig.folder.path().join("xiaoo.db"));
    let (store, guard) = Store::open(&url, StoreOptions::default()).unwrap();
    let note = |scope: String, body: &str| PutNote {
        scope,
        key: "it".into(),
        body: body.into(),
        expires_ms: None,
        expect: Expect::Absent,
        now_ms: 0,
    };
    // It left behind which code there was.
    let old = [
        note(format!("paired:{eve_id}"), "true"),
        note(format!("code_of:{eve_id}"), "\"123456\""),
    ];
    for note in old {
        store.put_note(note).await.unwrap();
    }
    guard.close();
    rig.start_daemon().await;
    becomes(&rig, direct("hello", &eve), Answered).await;
    assert_eq!(
        pairing_says(&rig, &["list"]),
        format!("{eve_id}  let in at feishu\n")
    );

    let unpair = format!("/unpair {eve_id}");
    becomes(&rig, UserMessage::text(&unpair), Told("Only admins")).await;
    becomes(&rig, direct("/unpair", &with_bob), Told("Say who")).await;
    becomes(&rig, direct("/取消配对 她", &with_bob), Told("请写明是谁")).await;
    becomes(&rig, direct(&unpair, &with_bob), Told("Done")).await;
    becomes(
        &rig,
        direct(&unpair, &with_bob),
        Told("not let in by a code"),
    )
    .await;
    let code = code_in(&reply(&rig, &say(&rig, direct("and now?", &eve))).await);
    let pair = format!("/pair {code}");
    becomes(&rig, direct(&pair, &with_bob), Told(&eve_id)).await;
    becomes(&rig, direct("hello again", &eve), Answered).await;
    let by = format!("{eve_id}  let in by {bob}, 20");
    let list = pairing_says(&rig, &["list"]);
    assert!(list.starts_with(&by), "{list}");
    // In a group a mention says who.
    let group = rig.sim.group_chat_id().to_owned();
    rig.sim.add_member(&group, &eve_id).unwrap();
    let message = UserMessage {
        mention_bot: Some(true),
        ..to_group(&rig, "/unpair @Eve").from(&bob)
    };
    becomes(&rig, message, Told("Done")).await;
    let told = reply(&rig, &say(&rig, direct("hello?", &eve))).await;
    code_in(&told);
}

/// Another bot says something to this one.
fn by_bot(rig: &Rig, text: &str) -> UserMessage {
    to_group(rig, text).from(other_bot(&rig.sim))
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_are_left_alone_unless_the_operator_lets_them_in() {
    for lines in ["", "require_mention = false\nrespond_to_all = true\n"] {
        let rig = rig(|_| lines.to_owned()).await;
        becomes(&rig, by_bot(&rig, "the report is done"), Fate::Alone).await;
        becomes(&rig, by_bot(&rig, "/status"), Fate::Alone).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_answered_when_it_mentions_this_one_and_not_for_ever() {
    use Fate::{Alone, Answered};
    let mut rig = rig(|_| {
        "allow_bots = true\nbot_turns_max = 2\nrequire_mention = false\nrespond_to_all = true\n"
            .to_owned()
    })
    .await;
    let report = other_bot(&rig.sim);
    // Not told of by the platform, which might.
    for text in ["the report is done", "@_all the report is done"] {
        let message = say(&rig, aside(&rig, text).from(&report));
        let event = event_of(&rig, &message, |event| {
            event["sender"]["sender_type"] = json!("bot");
        });
        event_is_left_alone(&rig, &event).await;
    }
    for _ in 0..2 {
        becomes(&rig, by_bot(&rig, "one more"), Answered).await;
        becomes(&rig, by_bot(&rig, "and another"), Answered).await;
        becomes(&rig, by_bot(&rig, "and another"), Alone).await;
        restart(&mut rig).await;
        becomes(&rig, by_bot(&rig, "and another"), Alone).await;
        // Elsewhere it is a matter of its own.
        let other = rig.sim.add_group("other", std::slice::from_ref(&report));
        let elsewhere = by_bot(&rig, "hello").in_chat(other.unwrap());
        becomes(&rig, elsewhere, Answered).await;
        becomes(&rig, to_group(&rig, "what do you two do?"), Answered).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_that_speak_all_at_once_have_no_more_answers() {
    let rig = rig(|_| "allow_bots = true\nbot_turns_max = 2\n".to_owned()).await;
    // Each comes twice, as it may.
    let twice = feishu_sim::FaultKind::DuplicatePush.on("im.message.receive_v1");
    rig.sim.faults().add(twice);
    let said = (0..6).map(|number| say(&rig, by_bot(&rig, &format!("number {number}"))));
    let said: Vec<String> = said.collect();
    let taken_in_twice = rig.sim.until(PATIENCE, |sim| {
        let acks = sim.acks().into_iter();
        let messages = acks.filter(|ack| ack.message_id.is_some() && ack.code == 200);
        (messages.count() == 2 * said.len()).then_some(())
    });
    taken_in_twice.await.unwrap();
    let answered = rig.sim.until(PATIENCE, |sim| {
        let count = said
            .iter()
            .filter(|message| !answers(sim, sim.group_chat_id(), message).is_empty());
        (count.count() == 2).then_some(())
    });
    assert!(answered.await.is_some(), "{}", rig.log());
    assert_eq!(events(&rig, "admitted").await, 2);
    assert_eq!(rig.model.requests().len(), 2);
}
