//! Files that people send and the bot sends back.

use feishu_sim::{UserFile, UserMessage};
use model_sim::Script;

use crate::harness::{PATIENCE, Rig, Via};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_can_be_asked_about_and_sent_back() {
    let rig = Rig::via(Via::LongConnection).await;
    let file = UserFile::file("numbers.csv", "name,count\nleft,3\nright,5\n");
    let message = rig
        .sim
        .user_says(UserMessage::file(file))
        .unwrap()
        .message_id;
    rig.answer_to(&message).await;
    let said = rig.model.requests()[0].last_user_message();
    assert!(said.contains("path=\"files/numbers.csv\""), "{said}");
    rig.model.script(Script::tool_call(
        "read_file",
        r#"{"path":"files/numbers.csv"}"#,
    ));
    rig.model.script(Script::tool_call(
        "send_file",
        r#"{"path":"files/numbers.csv"}"#,
    ));
    rig.model.script(Script::Answer("3 and 5".into()));
    let question = rig.says("what did the second column say? send it back");
    assert_eq!(rig.answers_to(&question).await[0].text, "3 and 5");
    let read = rig.model.requests().pop().unwrap().body.to_string();
    assert!(read.contains("right,5"), "{read}");
    let sent = rig
        .sim
        .until(PATIENCE, |sim| {
            let mut files = sim.messages(&rig.chat()).into_iter();
            files.find(|message| message.sender.is_self && message.msg_type == "file")
        })
        .await
        .unwrap_or_else(|| panic!("{}", rig.log()));
    assert_eq!(sent.files[0].name, "numbers.csv");
}
