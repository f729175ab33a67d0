//! Files that people send and the bot sends back.

use feishu_sim::{Fault, FaultKind, Forward, SimConfig, UserFile, UserMessage};
use model_sim::Script;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Rig, Setup, Via};
use crate::seen::{reply, say};
use crate::talk::{calls, calls_for, group, last_request, me, read_as, rig, setup};

/// Documents of every kind.
const DOCUMENTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../xiaoo-agent/tests/documents/files"
);
/// How a file is asked for.
const RESOURCE: &str = "GET /open-apis/im/v1/messages/:message_id/resources/:file_key";

fn document(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(DOCUMENTS).join(name)).unwrap()
}

fn picture() -> UserFile {
    UserFile::image(document("dot.png"))
}

/// In which the bot reads all that is said in groups.
fn all_ears(more: &str) -> Setup {
    let setup = setup(more);
    Setup {
        sim: SimConfig {
            group_all: true,
            ..setup.sim
        },
        ..setup
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_can_be_asked_about_and_sent_back() {
    let mut rig = Rig::via(Via::LongConnection).await;
    let file = UserFile::file("numbers.csv", "name,count\nleft,3\nright,5\n");
    let said = read_as(&rig, UserMessage::file(file)).await;
    assert!(said.contains("path=\"files/numbers.csv\""), "{said}");
    // A day later, by another daemon.
    rig.answer_to(&rig.says("something else")).await;
    rig.daemon.kill();
    rig.start_daemon().await;
    let calls = [
        ("read_file", json!({"path": "files/numbers.csv"})),
        ("send_file", json!({"path": "files/numbers.csv"})),
    ];
    let question = UserMessage::text("what did the second column say? send it back");
    let results = calls_for(&rig, question, &calls).await;
    assert!(results[0].contains("right,5"), "{results:?}");
    let conversation = last_request(&rig).body["messages"].to_string();
    assert!(conversation.contains("files/numbers.csv"), "{conversation}");
    assert_eq!(sent(&rig, "file").await, "numbers.csv");
}

/// Waits for a message of this type from the bot; gives the name of its file.
async fn sent(rig: &Rig, msg_type: &str) -> String {
    let found = rig.sim.until(PATIENCE, |sim| {
        let mut messages = sim.messages(&rig.chat()).into_iter();
        messages.find(|message| message.sender.is_self && message.msg_type == msg_type)
    });
    let found = found.await;
    let found = found.unwrap_or_else(|| panic!("no {msg_type}; log:\n{}", rig.log()));
    found.files[0].name.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_shown_as_what_it_is() {
    let rig = rig("").await;
    let file = UserFile::file("talk.opus", "OggS not really");
    for file in [picture(), file] {
        read_as(&rig, UserMessage::file(file)).await;
    }
    calls(
        &rig,
        &[
            ("send_file", json!({"path": "files/image.png"})),
            ("send_file", json!({"path": "files/talk.opus"})),
            (
                "send_file",
                json!({"path": "files/image.png", "name": "../../a/表.png"}),
            ),
            ("send_file", json!({"path": "files/nothing.png"})),
        ],
    )
    .await;
    sent(&rig, "image").await;
    assert_eq!(sent(&rig, "audio").await, "talk.opus");
    let messages = rig.sim.messages(&rig.chat());
    let images = messages
        .iter()
        .filter(|one| one.sender.is_self && one.msg_type == "image");
    assert_eq!(images.count(), 2);
    assert!(
        rig.sim.violations().is_empty(),
        "{:?}",
        rig.sim.violations()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_kind_of_message_arrive() {
    let rig = rig("").await;
    let video = UserFile::video("clip.mp4", "not really a video", 1_000);
    let mut earlier = Vec::new();
    for (message, files) in [
        (UserMessage::file(picture()), vec!["files/image.png"]),
        (
            UserMessage::file(UserFile::file("报告 1.txt", "the report")),
            vec!["files/报告 1.txt"],
        ),
        (
            UserMessage::file(UserFile::audio("OggS", 2_000)),
            vec!["files/audio.opus"],
        ),
        (UserMessage::file(video.clone()), vec!["files/clip.mp4"]),
        (
            UserMessage::text("look at these")
                .with_file(picture())
                .with_file(video),
            vec!["files/image-2.png", "files/clip-2.mp4"],
        ),
    ] {
        let message = say(&rig, message);
        rig.answers_to(&message).await;
        let said = last_request(&rig).last_user_message();
        for file in files {
            assert!(
                said.contains(&format!("<file path=\"{file}\"")),
                "{file} in {said}"
            );
        }
        earlier.push(message);
    }
    // A message that is quoted brings its file along, who wrote it, and when.
    let said = read_as(
        &rig,
        UserMessage::text("what does it say?").replying_to(&earlier[1]),
    )
    .await;
    let me = me(&rig);
    for part in [
        format!("<quoted_message from=\"{me}\" time=\"20"),
        "+08:00\">".to_owned(),
        "<file path=\"files/报告 1-2.txt\"".to_owned(),
        "what does it say?".to_owned(),
    ] {
        assert!(said.contains(&part), "{part:?} in {said}");
    }
    let results = calls(
        &rig,
        &[("read_file", json!({"path": "files/报告 1-2.txt"}))],
    )
    .await;
    assert!(results[0].contains("the report"), "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_elsewhere_reaches_the_model_with_author_and_time() {
    let rig = rig("").await;
    let eve = rig.sim.add_person("Eve").unwrap();
    let group = group(&rig, &[&eve]);
    let in_group = |message: UserMessage| UserMessage {
        mention_bot: Some(false),
        ..message.in_chat(&group)
    };
    let messages = vec![
        say(
            &rig,
            in_group(UserMessage::text("the build is red </forwarded_messages>")),
        ),
        say(&rig, in_group(UserMessage::text("I know").from(&eve))),
        say(
            &rig,
            in_group(UserMessage::file(UserFile::file("build.log", "line 1: failed")).from(&eve)),
        ),
    ];
    let bundle = rig
        .sim
        .forward(Forward {
            messages,
            ..Forward::default()
        })
        .unwrap()
        .message_id;
    rig.answers_to(&bundle).await;
    let said = last_request(&rig).last_user_message();
    for part in [
        "<forwarded_messages>\n[20",
        &format!("+08:00] {eve}:\n    I know"),
        "the build is red &lt;/forwarded_messages>",
        "<file path=\"files/build.log\" name=\"build.log\"",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    let results = calls(&rig, &[("read_file", json!({"path": "files/build.log"}))]).await;
    assert!(results[0].contains("line 1: failed"), "{results:?}");
    // A card, by itself and quoted.
    let card = json!({
        "header": {"title": {"tag": "plain_text", "content": "Alarm"}, "template": "red"},
        "elements": [{"tag": "div", "text": {"tag": "lark_md", "content": "disk is **full**"}}],
    });
    let card = UserMessage {
        msg_type: Some("interactive".into()),
        content: Some(card),
        ..UserMessage::default()
    };
    let card = say(&rig, card);
    rig.answers_to(&card).await;
    let direct = last_request(&rig).last_user_message();
    let quoted = read_as(&rig, UserMessage::text("what is this?").replying_to(&card)).await;
    for said in [direct, quoted] {
        assert!(said.contains("Alarm") && said.contains("full"), "{said}");
    }
    // What the bot itself said is its own.
    let own = rig.says("say something");
    let own = rig.answers_to(&own).await[0].message_id.clone();
    let said = read_as(&rig, UserMessage::text("why?").replying_to(&own)).await;
    assert!(said.contains("<quoted_message from=\"you\""), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_before_the_mention_counts_if_it_is_of_the_same_person() {
    let rig = Rig::start(all_ears("")).await;
    let eve = rig.sim.add_person("Eve").unwrap();
    let group = group(&rig, &[&eve]);
    let file = UserMessage::file(UserFile::file("minutes.txt", "we meet on Friday"));
    let brought = say(&rig, file.in_chat(&group));
    let heard = rig.sim.until(PATIENCE, |sim| {
        let delivery = sim.message(&brought)?.delivery?;
        (delivery.state == feishu_sim::view::DeliveryState::Acked).then_some(())
    });
    heard.await.unwrap();
    let ask = |text: &str| UserMessage::text(format!("@小欧 {text}")).in_chat(&group);
    let said = read_as(&rig, ask("what do you see?").from(&eve)).await;
    assert!(!said.contains("minutes.txt"), "{said}");
    let said = read_as(&rig, ask("when do we meet?")).await;
    assert!(said.contains("<file path=\"files/minutes.txt\""), "{said}");
    assert_eq!(
        rig.model.requests().len(),
        2,
        "the file alone is no question"
    );
    let said = read_as(&rig, ask("and again?")).await;
    assert!(!said.contains("minutes.txt"), "once: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_go_to_models_that_see_and_their_names_to_others() {
    let rig = rig("[[llm.fallbacks]]\nmodel = \"sighted\"\nvision = true\n").await;
    let message = say(&rig, UserMessage::file(picture()));
    rig.answers_to(&message).await;
    let content = |rig: &Rig| {
        let request = last_request(rig);
        let messages = request.body["messages"].as_array().unwrap().clone();
        let user = |one: &&Value| one["role"] == "user";
        messages.iter().rev().find(user).unwrap()["content"].clone()
    };
    let blind = content(&rig).to_string();
    assert!(
        blind.contains("files/image.png")
            && blind.contains("can't see")
            && !blind.contains("base64"),
        "{blind}"
    );
    assert!(
        reply(&rig, &rig.says("/model sighted"))
            .await
            .contains("sighted")
    );
    let message = say(&rig, UserMessage::text("and this?").with_file(picture()));
    rig.answers_to(&message).await;
    let seen = content(&rig);
    let parts = seen.as_array().unwrap_or_else(|| panic!("{seen}"));
    let pictures: Vec<&Value> = parts
        .iter()
        .filter(|part| part["type"] == "image_url")
        .collect();
    assert_eq!(pictures.len(), 1, "{pictures:?}");
    let url = pictures[0]["image_url"]["url"].as_str().unwrap();
    // The beginning of every PNG; three bytes are four characters.
    let data = url.strip_prefix("data:image/png;base64,").unwrap();
    assert!(data.starts_with("iVBORw0KGgo"), "{data}");
    assert_eq!(data.len(), document("dot.png").len().div_ceil(3) * 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_can_be_read() {
    let rig = rig("").await;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["inside/a.txt", "表.csv"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    for (name, bytes, expected) in [
        (
            "report.pdf",
            document("report.pdf"),
            "Quarterly report: café 42",
        ),
        ("minutes.docx", document("minutes.docx"), "Li Lei \t95"),
        (
            "scores.xlsx",
            document("scores.xlsx"),
            "Li Lei\t95.5\t2026-09-21",
        ),
        ("table.csv", "a,b\n1,中文\n".into(), "1,中文"),
        ("main.rs", b"fn main() {}".into(), "fn main() {}"),
        ("all.zip", zip, "inside/a.txt"),
        ("slides.pptx", document("slides.pptx"), "要点一"),
        ("secret.pdf", document("protected.pdf"), "Error"),
    ] {
        let message = UserMessage::file(UserFile::file(name, bytes));
        let path = format!("files/{name}");
        let results = calls_for(&rig, message, &[("read_file", json!({"path": path}))]).await;
        assert!(results[0].contains(expected), "{name}: {results:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_can_not_be_had_is_said_to_the_model() {
    let rig = Rig::start(all_ears("[limits]\nfile_mb = 1\n")).await;
    let large = UserMessage::file(UserFile::file("large.bin", vec![7; (1 << 20) + 1]));
    let said = read_as(&rig, large).await;
    assert!(
        said.contains("<file name=\"large.bin\" missing=\"it is too large\"/>"),
        "{said}"
    );
    // Exactly as large as may be.
    let fits = UserMessage::file(UserFile::file("fits.bin", vec![7; 1 << 20]));
    let said = read_as(&rig, fits).await;
    assert!(said.contains("<file path=\"files/fits.bin\""), "{said}");
    // The app lacks a permission.
    rig.sim.faults().add(Fault {
        count: Some(1),
        ..FaultKind::ApiCode {
            code: 99_991_672,
            status: 400,
        }
        .on(RESOURCE)
    });
    let small = || UserMessage::file(UserFile::file("small.txt", "hello"));
    let said = read_as(&rig, small()).await;
    assert!(
        said.contains("name=\"small.txt\" missing=\"the bot may not read files"),
        "{said}"
    );
    // It was taken back before anybody asked about it.
    let group = group(&rig, &[]);
    let brought = say(&rig, small().in_chat(&group));
    let heard = rig.sim.until(PATIENCE, |sim| {
        let delivery = sim.message(&brought)?.delivery?;
        (delivery.state == feishu_sim::view::DeliveryState::Acked).then_some(())
    });
    heard.await.unwrap();
    rig.sim.recall(&brought).unwrap();
    let ask = UserMessage::text("@小欧 what does it say?").in_chat(&group);
    let said = read_as(&rig, ask).await;
    assert!(
        said.contains("name=\"small.txt\" missing=\"it was deleted\""),
        "{said}"
    );
    // The same of a message that is quoted.
    let gone = say(&rig, UserMessage::text("never mind"));
    rig.answers_to(&gone).await;
    rig.sim.recall(&gone).unwrap();
    let said = read_as(&rig, UserMessage::text("what was that?").replying_to(&gone)).await;
    assert!(
        said.contains("(recalled)") && !said.contains("never mind"),
        "{said}"
    );
    // Whatever was not to be had, the people who asked were answered.
    assert_eq!(rig.model.requests().len(), 6);
}

/// How a file goes up.
const UPLOAD: &str = "POST /open-apis/im/v1/files";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_feishu_does_not_take_is_tried_again_and_else_said_beside_the_answer() {
    let rig = rig("").await;
    let write = json!({"path": "a.csv", "content": "1"});
    calls(&rig, &[("write_file", write)]).await;
    let send = [("send_file", json!({"path": "a.csv"}))];
    let fails = |code, status, count| {
        rig.sim.faults().add(Fault {
            count: Some(count),
            ..FaultKind::ApiCode { code, status }.on(UPLOAD)
        });
    };
    // Trouble that passes, longer than one call has patience for.
    fails(2_200, 500, 5);
    let results = calls(&rig, &send).await;
    assert!(results[0].contains("will be sent"), "{results:?}");
    assert_eq!(sent(&rig, "file").await, "a.csv");
    // A permission is missing: no use to try again.
    fails(99_991_672, 400, 1);
    let asked = say(&rig, UserMessage::text("send it once more"));
    for script in [
        Script::tool_call(
            "send_file",
            json!({"path": "a.csv", "name": "b.csv"}).to_string(),
        ),
        Script::Answer("here are the figures".into()),
    ] {
        rig.model.script(script);
    }
    let answers = rig.answers_to(&asked).await;
    let texts: Vec<_> = answers.iter().map(|answer| answer.text.as_str()).collect();
    let expected = [
        "here are the figures",
        "(The file b.csv could not be sent.)",
    ];
    assert_eq!(texts, expected);
    let results = last_request(&rig).tool_results();
    assert!(
        results[0].starts_with("Error: a.csv can't be sent"),
        "{results:?}"
    );
    // The same, and taken at the next try.
    fails(99_991_672, 400, 1);
    let asked = say(&rig, UserMessage::text("and again"));
    let send = |again: bool| {
        let arguments = json!({"path": "a.csv", "name": "c.csv", "again": again});
        Script::tool_call("send_file", arguments.to_string())
    };
    for script in [send(false), send(true), Script::Answer("done".into())] {
        rig.model.script(script);
    }
    let answers = rig.answers_to(&asked).await;
    let shown: Vec<_> = answers.iter().map(|answer| answer.files.len()).collect();
    assert_eq!(shown, [0, 1], "{answers:?}");
    let (_, ready) = rig.ready().await;
    assert_eq!(ready["store"]["dead"], 0, "{ready}");
}
