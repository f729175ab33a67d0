//! What people see, over each transport.

use feishu_sim::UserMessage;
use model_sim::Script;

use crate::harness::{PATIENCE, Rig, Setup, Via, answers};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_gets_a_reaction_a_card_and_an_answer_over_every_transport() {
    for via in [Via::LongConnection, Via::Webhook, Via::EncryptedWebhook] {
        let rig = Rig::via(via).await;
        rig.model
            .script(Script::Answer("**粗体** and `code`".into()));
        let asked = rig.says("你好，小欧");
        let seen = rig.sim.until(PATIENCE, |sim| {
            sim.reactions(&asked)
                .first()
                .map(|reaction| reaction.emoji_type.clone())
        });
        assert_eq!(seen.await.as_deref(), Some("Get"), "{via:?}");
        let answers = rig.answers_to(&asked).await;
        assert_eq!(answers.len(), 1, "{via:?}");
        assert!(
            answers[0].html.contains("<strong>粗体</strong>"),
            "{}",
            answers[0].html
        );

        let card = rig.card_of(&asked);
        let versions = rig.sim.card_versions(&card.message_id);
        let templates: Vec<_> = versions
            .iter()
            .filter_map(|version| version.card.as_ref())
            .map(|card| card.template.as_str())
            .collect();
        assert_eq!(templates.first(), Some(&"blue"), "{via:?}");
        assert_eq!(templates.last(), Some(&"green"), "{via:?}");
        assert_eq!(card.card.unwrap().title, "小欧处理完成");

        let calls = rig.sim.api_calls();
        let turn: u64 = calls
            .iter()
            .filter(|(call, _)| !call.contains("bot/v3/info"))
            .map(|(_, count)| count)
            .sum();
        assert!(turn <= 8, "{turn} calls: {calls:?}");
        let tokens = calls.get("POST /open-apis/auth/v3/tenant_access_token/internal");
        assert_eq!(tokens, Some(&1), "{calls:?}");
        assert!(
            rig.sim.violations().is_empty(),
            "{:?}",
            rig.sim.violations()
        );
        assert!(rig.sim.acks().iter().all(|ack| ack.code == 200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_cost_one_token_and_are_answered_in_order() {
    let rig = Rig::via(Via::LongConnection).await;
    for number in 0..6 {
        rig.model.script_for(
            format!("question {number}"),
            Script::Answer(format!("answer {number}")),
        );
    }
    // The platform promises no order, so each is sent when the one before has
    // arrived; the turns take longer than that and queue up.
    let mut asked = Vec::new();
    for number in 0..6 {
        asked.push(rig.says(&format!("question {number}")));
        let arrived = rig
            .sim
            .until(PATIENCE, |sim| (sim.acks().len() > number).then_some(()));
        arrived.await.unwrap();
    }
    for (number, message) in asked.iter().enumerate() {
        assert_eq!(rig.answer_to(message).await, format!("answer {number}"));
    }
    let order: Vec<_> = rig
        .sim
        .messages(&rig.chat())
        .into_iter()
        .filter(|message| message.text.starts_with("answer"))
        .map(|message| message.text)
        .collect();
    assert_eq!(
        order,
        (0..6)
            .map(|number| format!("answer {number}"))
            .collect::<Vec<_>>()
    );
    let calls = rig.sim.api_calls();
    assert_eq!(
        calls["POST /open-apis/auth/v3/tenant_access_token/internal"],
        1
    );
    assert_eq!(calls["GET /open-apis/bot/v3/info"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_groups_only_a_mention_of_this_bot_is_answered() {
    let rig = Rig::start(Setup {
        sim: feishu_sim::SimConfig {
            group_all: true,
            ..Setup::default().sim
        },
        ..Setup::default()
    })
    .await;
    let group = rig.sim.group_chat_id();
    let say = |message: UserMessage| {
        rig.sim
            .user_says(message.in_chat(group))
            .unwrap()
            .message_id
    };
    let silent = say(UserMessage {
        mention_bot: Some(false),
        ..UserMessage::text("nobody in particular")
    });
    let peer = rig
        .sim
        .people()
        .into_iter()
        .find(|person| person.kind == feishu_sim::view::PersonKind::Bot && !person.is_self);
    let from_bot = peer.map(|peer| {
        say(UserMessage {
            sender: Some(peer.open_id),
            mention_bot: Some(true),
            ..UserMessage::text("I am a bot")
        })
    });
    rig.model.script(Script::Answer("here I am".into()));
    let mentioned = say(UserMessage {
        mention_bot: Some(true),
        ..UserMessage::text("what do you think?")
    });
    assert_eq!(rig.answer_to(&mentioned).await, "here I am");
    // The bot's own mention is not part of the question.
    let request = rig.model.requests().pop().unwrap().body;
    let last = request["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
    assert!(
        last.contains("what do you think?") && !last.contains("小欧"),
        "{last}"
    );
    for ignored in core::iter::once(silent).chain(from_bot) {
        assert!(answers(&rig.sim, group, &ignored).is_empty());
        assert!(rig.sim.reactions(&ignored).is_empty());
    }
    assert_eq!(rig.model.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_after_a_restart_knows_what_was_said() {
    let mut rig = Rig::via(Via::LongConnection).await;
    rig.model.script(Script::Answer("Noted: 42.".into()));
    let first = rig.says("My number is 42.");
    rig.answer_to(&first).await;
    rig.daemon.signal("-TERM");
    assert_eq!(rig.daemon.ended().await, Some(0));
    rig.start_daemon().await;
    rig.model.script(Script::Answer("It is 42.".into()));
    let second = rig.says("What is my number?");
    assert_eq!(rig.answer_to(&second).await, "It is 42.");
    let messages = rig.model.requests().pop().unwrap().body["messages"].to_string();
    assert!(
        messages.contains("My number is 42.") && messages.contains("Noted: 42."),
        "{messages}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_ends_in_a_red_card_and_a_notice_in_the_persons_language() {
    let rig = Rig::via(Via::LongConnection).await;
    for (text, notice) in [("请帮我看看", "抱歉"), ("please have a look", "Sorry")] {
        rig.model.script(Script::error(401, "bad key"));
        let asked = rig.says(text);
        let answer = rig.answer_to(&asked).await;
        assert!(answer.starts_with(notice), "{answer}");
        assert!(!answer.contains("bad key"), "{answer}");
        let card = rig.card_of(&asked).card.unwrap();
        assert_eq!(
            (card.title.as_str(), card.template.as_str()),
            ("小欧执行失败", "red")
        );
    }
    assert!(!rig.log().contains("planted-model-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_stumbles_is_asked_again() {
    let rig = Rig::via(Via::LongConnection).await;
    rig.model.script(Script::error(503, "loading"));
    rig.model.script(Script::Answer("now it works".into()));
    let asked = rig.says("hello");
    assert_eq!(rig.answer_to(&asked).await, "now it works");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_come_in_pieces_that_stand_alone() {
    let rig = Rig::via(Via::LongConnection).await;
    let code = "let answer = 42; // 注释\n".repeat(2000);
    rig.model.script(Script::Answer(format!(
        "Here:\n\n```rust\n{code}```\n\nDone."
    )));
    let asked = rig.says("show me");
    rig.answers_to(&asked).await;
    let pieces = rig
        .sim
        .until(PATIENCE, |sim| {
            let pieces = answers(sim, &rig.chat(), &asked);
            pieces
                .last()
                .is_some_and(|last| last.text.contains("Done."))
                .then_some(pieces)
        })
        .await
        .unwrap();
    assert!(pieces.len() > 2, "{}", pieces.len());
    let lines: usize = pieces
        .iter()
        .map(|piece| piece.text.matches("let answer = 42;").count())
        .sum();
    assert_eq!(lines, 2000);
    assert!(pieces.iter().all(|piece| piece.content.len() <= 30_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_show_on_the_card_and_their_results_reach_the_model() {
    let rig = Rig::via(Via::LongConnection).await;
    rig.model.script(Script::tool_call("current_time", "{}"));
    rig.model.script(Script::Answer("It is late.".into()));
    let asked = rig.says("what time is it?");
    assert_eq!(rig.answer_to(&asked).await, "It is late.");
    let card = rig.card_of(&asked);
    assert!(card.text.contains("current_time"), "{}", card.text);
    let requests = rig.model.requests();
    let roles: Vec<_> = requests[1].body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(roles.last().map(String::as_str), Some("tool"), "{roles:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_of_several_seconds_updates_its_card_once_a_second_and_stays_cheap() {
    let rig = Rig::via(Via::LongConnection).await;
    rig.model.script(Script::Slow {
        text: "word ".repeat(40),
        chunk_delay: std::time::Duration::from_millis(150),
    });
    let asked = rig.says("take your time");
    rig.answer_to(&asked).await;
    let versions = rig.sim.card_versions(&rig.card_of(&asked).message_id);
    assert!(
        versions.len() >= 3,
        "the card changes while work goes on: {versions:?}"
    );
    let working: Vec<_> = versions
        .iter()
        .filter(|version| {
            version
                .card
                .as_ref()
                .is_some_and(|card| card.template == "blue")
        })
        .map(|version| version.at)
        .collect();
    for pair in working.windows(2) {
        assert!(pair[1] - pair[0] >= 900, "{working:?}");
    }
    let calls: u64 = rig.sim.api_calls().values().sum();
    // The bot's identity and the token are asked once in the daemon's life.
    assert!(calls <= 8 + 1, "{:?}", rig.sim.api_calls());
}
