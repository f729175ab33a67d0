//! Several agents, and several bots, in one daemon.

use std::time::Duration;

use feishu_sim::{FaultKind, LinkAction, Sim, SimConfig, UserMessage};
use model_sim::{RecordedRequest, Script};
use serde_json::json;

use crate::harness::{PATIENCE, Rig, Setup, Via};
use crate::seen::{id_of, reply, reply_in, say};

/// The names of the tools that were offered.
fn tools(request: &RecordedRequest) -> Vec<String> {
    let tools = request.body["tools"].as_array().cloned();
    let name = |tool: &serde_json::Value| tool["function"]["name"].as_str().unwrap().to_owned();
    tools.unwrap_or_default().iter().map(name).collect()
}

fn write_skill(rig: &Rig, name: &str) {
    let folder = rig.folder.path().join("skills").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("---\nname: {name}\ndescription: How {name} is done.\n---\nDo {name}.\n");
    std::fs::write(folder.join("SKILL.md"), text).unwrap();
}

/// `main` answers unless something else is said; `desk` people of its own and a group, `mute`
/// another group.
async fn agents() -> (Rig, [String; 2]) {
    let mut rig = Rig::without_daemon(Setup {
        channel: "reaction = \"off\"\nprogress = \"off\"\n",
        ..Setup::default()
    })
    .await;
    let [li, han] = ["李雷", "韩梅梅"].map(|name| id_of(&rig.sim, name));
    let people = [li, han.clone()];
    let groups = ["desk", "mute"].map(|name| rig.sim.add_group(name, &people).unwrap());
    for skill in ["travel", "billing"] {
        write_skill(&rig, skill);
    }
    let [desk, mute] = &groups;
    rig.reconfigure(|text| {
        text + &format!(
            "[skills]\ndirs = [\"skills\"]\n[tools]\nenable = [\"shell\"]\n\
             [[agents.list]]\nid = \"desk\"\nmodel = \"desk-model\"\nsystem_prompt = \"You are the desk.\"\n\
             tools = [\"read_file\", \"load_skill\", \"ask_user\"]\nskills = [\"travel\"]\n\
             chats = [\"{desk}\"]\npeople = [\"{han}\"]\nworkspace = \"desk\"\n\
             [[agents.list]]\nid = \"mute\"\nsystem_prompt = \"You have no hands.\"\ntools = []\nskills = []\n\
             chats = [\"{mute}\"]\n"
        )
    });
    rig.start_daemon().await;
    (rig, groups)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_agent_has_a_prompt_a_model_tools_skills_and_chats_of_its_own() {
    let (rig, [desk, mute]) = agents().await;
    let [li, han] = ["李雷", "韩梅梅"].map(|name| id_of(&rig.sim, name));
    let usual = rig.sim.group_chat_id();
    let own = rig.sim.p2p_chat_with(&han).unwrap();
    for (chat, who, agent) in [
        (rig.sim.p2p_chat_id(), &li, "main"),
        (usual, &li, "main"),
        (&own, &han, "desk"),
        (usual, &han, "desk"),
        (&desk, &li, "desk"),
        // The chat says more than the person.
        (&mute, &han, "mute"),
        (&mute, &li, "mute"),
    ] {
        let message = UserMessage::text("hello there").in_chat(chat).from(who);
        reply(&rig, &say(&rig, message)).await;
        let request = rig.model.requests().pop().unwrap();
        let (system, tools) = (request.system(), tools(&request));
        let has = |tool: &str| tools.iter().any(|known| known == tool);
        let what = format!("{agent} in {chat}: {tools:?} {system}");
        let (model, prompt) = match agent {
            "main" => ("scripted", "You are 小欧"),
            "desk" => ("desk-model", "You are the desk."),
            _ => ("scripted", "You have no hands."),
        };
        assert_eq!(request.body["model"], model, "{what}");
        assert!(system.starts_with(prompt), "{what}");
        match agent {
            "main" => assert!(
                has("shell") && has("write_file") && !has("ask_user"),
                "{what}"
            ),
            "desk" => assert_eq!(
                sorted(&tools),
                ["ask_user", "load_skill", "read_file"],
                "{what}"
            ),
            _ => assert!(tools.is_empty(), "{what}"),
        }
        let skills = ["travel", "billing"].map(|skill| system.contains(&format!("How {skill}")));
        let expected = match agent {
            "main" => [true, true],
            "desk" => [true, false],
            _ => [false, false],
        };
        assert_eq!(skills, expected, "{what}");
        let status = UserMessage::text("/status").in_chat(chat).from(who);
        let status = reply(&rig, &say(&rig, status)).await;
        assert!(status.contains(agent) && status.contains(model), "{status}");
    }
    // What is not offered is not there either, whatever the model asks for.
    for (chat, call) in [
        (&desk, ("shell", r#"{"command":"true"}"#)),
        (&desk, ("load_skill", r#"{"skill":"billing"}"#)),
        (&mute, ("read_file", r#"{"path":"a"}"#)),
    ] {
        rig.model.script(Script::tool_call(call.0, call.1));
        rig.model.script(Script::Answer("well".into()));
        let message = UserMessage::text("do it").in_chat(chat).from(&li);
        assert_eq!(reply(&rig, &say(&rig, message)).await, "well");
        let request = rig.model.requests().pop().unwrap();
        let told = request.body["messages"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone();
        let told = told["content"].as_str().unwrap_or_default().to_owned();
        assert!(told.contains("there is no"), "{call:?}: {told}");
    }
    assert!(rig.folder.path().join("desk/chats").is_dir());
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_says_which_agent_is_the_default() {
    for (from, to, answers) in [
        // By name, by mark, by order.
        (
            "default_agent_id = \"main\"",
            "default_agent_id = \"other\"",
            "other",
        ),
        ("default_agent_id = \"main\"", "", "main"),
        (
            "default_agent_id = \"main\"\n[[agents.list]]\nid = \"main\"\ndefault = true",
            "[[agents.list]]\nid = \"main\"",
            "main",
        ),
    ] {
        let mut rig = Rig::without_daemon(Setup {
            more: "system_prompt = \"I am main.\"\n[[agents.list]]\nid = \"other\"\nsystem_prompt = \"I am other.\"\n",
            ..Setup::default()
        })
        .await;
        rig.reconfigure(|text| {
            assert!(text.contains(from), "{text}");
            text.replace(from, to)
        });
        rig.start_daemon().await;
        rig.answer_to(&rig.says("hello")).await;
        let system = rig.model.requests().pop().unwrap().system();
        assert!(system.starts_with(&format!("I am {answers}.")), "{system}");
    }
}

/// A daemon with three bots: the rig's over the long connection, and two that get their events by
/// webhook. The second has an agent of its own.
struct Bots {
    rig: Rig,
    second: Sim,
    third: Sim,
}

impl Bots {
    async fn start() -> Self {
        let agents = "system_prompt = \"You are the first.\"\n\
            [[agents.list]]\nid = \"helper\"\nsystem_prompt = \"You are the helper.\"\n";
        let mut rig = Rig::without_daemon(Setup {
            via: Via::LongConnection,
            channel: "channel_instance_id = \"first\"\n",
            more: agents,
            ..Setup::default()
        })
        .await;
        let second = platform(&rig, "second", "cli_0000000000000002").await;
        let third = platform(&rig, "third", "cli_0000000000000003").await;
        let account = |name: &str, sim: &Sim, more: &str| {
            let SimConfig {
                app_id,
                verification_token,
                ..
            } = sim.config();
            let base = sim.base_url();
            format!(
                "[[channels.feishu.accounts]]\nchannel_instance_id = \"{name}\"\napp_id = \"{app_id}\"\n\
                 app_secret_env = \"E2E_SECRET\"\ntransport = \"webhook\"\nbase_url = \"{base}\"\n\
                 verification_token = \"{verification_token}\"\n{more}"
            )
        };
        let accounts = account(
            "second",
            &second,
            "agent = \"helper\"\nmax_concurrent_turns = 1\n",
        ) + &account("third", &third, "dm_policy = \"disabled\"\n");
        rig.reconfigure(|text| text + &accounts);
        rig.start_daemon().await;
        Self { rig, second, third }
    }

    fn all(&self) -> [&Sim; 3] {
        [&self.rig.sim, &self.second, &self.third]
    }
}

async fn platform(rig: &Rig, name: &str, app_id: &str) -> Sim {
    let port = rig.daemon.port;
    let config = SimConfig {
        app_id: app_id.into(),
        verification_token: format!("token-of-{name}"),
        bot_open_id: format!("ou_bot-{name}"),
        webhook_url: Some(format!(
            "http://127.0.0.1:{port}/api/v1/channels/{name}/events"
        )),
        ..Setup::default().sim
    };
    Sim::start(config).await.unwrap()
}

/// Says something to the bot of a platform, where it is answered, and gives the answer.
async fn talk(sim: &Sim, text: &str) -> String {
    let message = UserMessage::text(text).in_chat(sim.group_chat_id());
    let message = sim.user_says(message).unwrap().message_id;
    let said = reply_in(sim, &message).await;
    said.unwrap_or_else(|| panic!("no answer to {text}")).text
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_share_nothing_but_the_daemon() {
    let bots = Bots::start().await;
    let rig = &bots.rig;
    // The chats and people of all of them have the same ids.
    for (sim, number) in bots.all().into_iter().zip(["417", "588", "903"]) {
        rig.model.script(Script::Answer(format!("noted: {number}")));
        let said = talk(sim, &format!("my number is {number}")).await;
        assert_eq!(said, format!("noted: {number}"));
    }
    for (sim, number, prompt) in [
        (&rig.sim, "417", "You are the first."),
        (&bots.second, "588", "You are the helper."),
        (&bots.third, "903", "You are the first."),
    ] {
        rig.model.script(Script::Answer("as you said".into()));
        assert_eq!(talk(sim, "what is my number?").await, "as you said");
        let request = rig.model.requests().pop().unwrap();
        let history = request.body["messages"].to_string();
        for other in ["417", "588", "903"] {
            assert_eq!(history.contains(other), other == number, "{history}");
        }
        assert!(request.system().starts_with(prompt), "{history}");
    }
    // What one forgets, the others still know.
    assert!(talk(&bots.second, "/new").await.contains("forgotten"));
    talk(&rig.sim, "and now?").await;
    let history = rig.model.requests().pop().unwrap().body["messages"].to_string();
    assert!(history.contains("417"), "{history}");
    // The rules of one are not the others'.
    let direct = |sim: &Sim| {
        sim.user_says(UserMessage::text("hello"))
            .unwrap()
            .message_id
    };
    for (sim, refused) in bots.all().into_iter().zip([false, false, true]) {
        let said = reply_in(sim, &direct(sim)).await.unwrap().text;
        assert_eq!(said.contains("not take direct messages"), refused, "{said}");
    }
    for name in ["xiaoo.db", "xiaoo-second.db", "xiaoo-third.db"] {
        assert!(rig.folder.path().join(name).is_file(), "{name}");
    }
    for sim in bots.all() {
        assert!(sim.violations().is_empty(), "{:?}", sim.violations());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outage_of_one_platform_is_nothing_to_the_others() {
    let bots = Bots::start().await;
    let rig = &bots.rig;
    let (_, ready) = rig.ready().await;
    let named: Vec<&String> = ready["channels"].as_object().unwrap().keys().collect();
    assert_eq!(named, ["first", "second", "third"]);
    // The first one's API is broken, and its link.
    rig.sim.faults().add(FaultKind::ApiStatus { status: 500 });
    rig.sim
        .faults()
        .add(FaultKind::EndpointStatus { status: 500 });
    let cut_off = UserMessage::text("can you hear me?").in_chat(rig.sim.group_chat_id());
    rig.model
        .script_for("can you hear me?", Script::Answer("now I can".into()));
    let cut_off = say(rig, cut_off);
    rig.model.wait_for_requests(1).await;
    rig.sim.act_on_links(LinkAction::Drop);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (status, ready) = rig.ready().await;
        let reasons = ready["reasons"].to_string();
        if status == 503 && reasons.contains("first: feishu websocket") {
            assert!(
                !reasons.contains("second:") && !reasons.contains("third:"),
                "{reasons}"
            );
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{ready}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for (sim, text) in [(&bots.second, "one"), (&bots.third, "two")] {
        rig.model
            .script_for(text, Script::Answer(format!("still here: {text}")));
        assert_eq!(talk(sim, text).await, format!("still here: {text}"));
    }
    rig.sim.faults().clear();
    let said = reply_in(&rig.sim, &cut_off).await;
    assert_eq!(said.unwrap().text, "now I can", "{}", rig.log());
    rig.until_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proves_an_origin_at_one_route_proves_nothing_at_another() {
    let bots = Bots::start().await;
    let rig = &bots.rig;
    let message = UserMessage {
        mention_bot: Some(false),
        ..UserMessage::text("hello").in_chat(bots.second.group_chat_id())
    };
    let message = bots.second.user_says(message).unwrap().message_id;
    let event = |token: &str, app_id: &str, number: u32| {
        json!({
            "schema": "2.0",
            "header": {
                "event_id": format!("posted-{number}"),
                "event_type": "im.message.receive_v1",
                "create_time": "1795000000000",
                "token": token,
                "app_id": app_id,
            },
            "event": {
                "sender": {"sender_id": {"open_id": "ou_1"}, "sender_type": "user"},
                "message": {
                    "message_id": message, "create_time": "1795000000000",
                    "chat_id": bots.second.group_chat_id(), "chat_type": "p2p",
                    "message_type": "text", "content": r#"{"text":"let me in"}"#,
                },
            },
        })
    };
    let http = runtime_tokio::http::loopback_client().unwrap();
    let port = rig.daemon.port;
    let [second, third] = [&bots.second, &bots.third].map(|sim| {
        let SimConfig {
            app_id,
            verification_token,
            ..
        } = sim.config();
        (verification_token.as_str(), app_id.as_str())
    });
    for (number, (route, (token, app_id), status)) in (0..).zip([
        ("third", second, 401),
        ("second", third, 401),
        ("second", (third.0, second.1), 401),
        // The first takes none at all: its events come over the long connection.
        ("first", second, 503),
        ("feishu", second, 503),
        ("fourth", second, 404),
        ("second", second, 200),
    ]) {
        let posted = http
            .post(format!(
                "http://127.0.0.1:{port}/api/v1/channels/{route}/events"
            ))
            .json(&event(token, app_id, number))
            .send()
            .await
            .unwrap();
        assert_eq!(posted.status().as_u16(), status, "{route} {token}");
    }
    assert!(reply_in(&bots.second, &message).await.is_some());
    assert_eq!(rig.model.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bot_has_places_of_its_own() {
    let bots = Bots::start().await;
    let rig = &bots.rig;
    let in_second = |text: &str, chat: &str| {
        let message = UserMessage::text(text).in_chat(chat);
        bots.second.user_says(message).unwrap().message_id
    };
    let group = bots.second.group_chat_id();
    let other = bots.second.add_p2p_chat("Eve").unwrap();
    rig.model.script_for("for ever", Script::HangBeforeHeaders);
    in_second("think for ever", group);
    rig.model.wait_for_requests(1).await;
    // The one place of the second is taken.
    rig.model
        .script_for("behind it", Script::Answer("at last".into()));
    let behind = in_second("I am behind it", &other);
    for sim in [&rig.sim, &bots.third] {
        assert!(!talk(sim, "not behind").await.starts_with("Sorry"));
    }
    assert_eq!(rig.model.requests().len(), 3);
    let stop = in_second("/stop", group);
    assert_eq!(
        reply_in(&bots.second, &stop).await.unwrap().text,
        "Stopped."
    );
    let said = reply_in(&bots.second, &behind).await.unwrap();
    assert_eq!(said.text, "at last");
}
