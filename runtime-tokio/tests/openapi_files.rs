//! Files, single messages and names, against the simulated platform.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test that can't go on fails the test"
)]

use std::io::Write as _;
use std::time::Duration;

use feishu_sim::{FaultKind, Forward, Sim, SimConfig, UserFile, UserMessage};
use proto_core::ResourceKind;
use runtime_tokio::openapi::{
    ApiError, Downloaded, FileType, IMAGE_BYTES_MAX, OpenApi, OpenApiConfig, Patience, ResourceAt,
    Upload,
};
use serde_json::{Value, json};

const PNG: &[u8] = b"\x89PNG image";
const LI_LEI: &str = "ou_11e10000000000000000000000000001";
const ALICE: &str = "ou_a11ce000000000000000000000000003";

async fn start() -> (Sim, OpenApi) {
    let config = SimConfig {
        limits_on: false,
        seed: Some(5),
        ..SimConfig::default()
    };
    let sim = Sim::start(config).await.unwrap();
    let api = OpenApi::new(
        runtime_tokio::http::loopback_client().unwrap(),
        OpenApiConfig {
            base_url: sim.base_url(),
            app_id: sim.config().app_id.clone(),
            app_secret: sim.config().app_secret.clone().into(),
            patience: Patience {
                backoff: Duration::from_millis(5),
                ..Patience::default()
            },
        },
    );
    (sim, api)
}

/// A file to be written to, which holds something already.
fn used_file() -> tokio::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"what was there before, and is longer than all of it")
        .unwrap();
    tokio::fs::File::from_std(file)
}

async fn written(file: tokio::fs::File) -> Vec<u8> {
    use std::io::{Read as _, Seek as _};
    let mut file = file.into_std().await;
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

/// A person sends a file; its message and key.
fn sent(sim: &Sim, file: UserFile) -> (String, String) {
    let message_id = sim.user_says(UserMessage::file(file)).unwrap().message_id;
    let key = sim.message(&message_id).unwrap().files[0].key.clone();
    (message_id, key)
}

#[tokio::test]
async fn what_people_send_comes_down_whole_with_its_type_and_name() {
    let (sim, api) = start().await;
    for (file, kind, content_type, name) in [
        (UserFile::image(PNG), ResourceKind::Image, "image/png", None),
        (
            UserFile::file("季度 报告.csv", vec![b'x'; 300_000]),
            ResourceKind::File,
            "text/csv",
            Some("季度 报告.csv"),
        ),
        (
            UserFile::file("data.json", "{\"code\":234001}"),
            ResourceKind::File,
            "application/json",
            Some("data.json"),
        ),
        (
            UserFile::audio("opus", 900),
            ResourceKind::Audio,
            "application/octet-stream",
            None,
        ),
        (
            UserFile::video("v.mp4", "video", 900),
            ResourceKind::Video,
            "video/mp4",
            Some("v.mp4"),
        ),
    ] {
        let bytes = file.bytes.clone();
        let (message_id, file_key) = sent(&sim, file);
        let at = ResourceAt {
            message_id: &message_id,
            file_key: &file_key,
            kind,
        };
        let into = used_file();
        // The answer of the first try is lost.
        sim.faults().add(FaultKind::ApiLostAnswer.times(1));
        let max = bytes.len() as u64;
        let downloaded = api.download_resource(at, max, &into).await.unwrap();
        assert_eq!(
            downloaded,
            Downloaded {
                content_type: content_type.into(),
                file_name: name.map(str::to_owned),
                bytes: max,
            }
        );
        assert_eq!(written(into).await, bytes);
        let error = api.download_resource(at, max - 1, &used_file()).await;
        assert!(error.unwrap_err().is_too_large(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_had_says_why() {
    let (sim, api) = start().await;
    let (message_id, file_key) = sent(&sim, UserFile::image(PNG));
    let at = |file_key| ResourceAt {
        message_id: &message_id,
        file_key,
        kind: ResourceKind::Image,
    };
    let fetch = async |at| {
        let result = api.download_resource(at, 1000, &used_file()).await;
        result.unwrap_err()
    };
    let error = fetch(at("img_v3_other")).await;
    assert_eq!(
        (error.code(), error.target_is_gone()),
        (Some(234_003), true)
    );
    for (code, is_scope, is_too_large) in [
        (99_991_672, true, false),
        (234_037, false, true),
        (234_038, false, false),
    ] {
        let fault = FaultKind::ApiCode { code, status: 400 };
        sim.faults().add(fault.times(1));
        let error = fetch(at(&file_key)).await;
        assert_eq!(error.code(), Some(code));
        assert_eq!(error.is_scope_missing(), is_scope, "{error}");
        assert_eq!(error.is_too_large(), is_too_large, "{error}");
        assert!(!error.is_retryable(), "{error}");
    }
    sim.recall(&message_id).unwrap();
    assert!(fetch(at(&file_key)).await.target_is_gone());
    assert!(matches!(fetch(at("../..")).await, ApiError::BadId { .. }));
    let calls = sim.api_calls();
    let name = "GET /open-apis/im/v1/messages/:message_id/resources/:file_key";
    assert_eq!(calls[name], 5, "none is tried twice");
}

#[tokio::test]
async fn files_go_up_from_memory_and_disk_and_are_seen_in_the_chat() {
    let (sim, api) = start().await;
    let image = api.upload_image(&Upload::from_bytes(PNG)).await.unwrap();
    let mut on_disk = tempfile::NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = (0..200_000_u32)
        .map(|number| number.to_le_bytes()[0])
        .collect();
    on_disk.write_all(&bytes).unwrap();
    let upload = Upload::open(on_disk.path()).await.unwrap();
    assert_eq!(upload.len(), 200_000);
    // A new token, and a lost answer: the file is sent three times.
    sim.faults().add(FaultKind::ApiExpiredToken.times(1));
    sim.faults().add(FaultKind::ApiLostAnswer.times(1));
    let kind = FileType::of_name("表.xlsx");
    let file = api
        .upload_file(&upload, kind, "表\r\n.xlsx", None)
        .await
        .unwrap();
    let video = api
        .upload_file(&Upload::from_bytes("v"), FileType::Mp4, "v.mp4", Some(900))
        .await
        .unwrap();
    for (msg_type, key, content, mime) in [
        ("image", &image, json!({"image_key": image}), "image/png"),
        (
            kind.msg_type(),
            &file,
            json!({"file_key": file}),
            "application/octet-stream",
        ),
        (
            FileType::Mp4.msg_type(),
            &video,
            json!({"file_key": video}),
            "application/octet-stream",
        ),
    ] {
        let uuid = format!("uuid-{msg_type}");
        let sent = api
            .create_message(
                "chat_id",
                sim.p2p_chat_id(),
                msg_type,
                &content.to_string(),
                &uuid,
            )
            .await
            .unwrap();
        let shown = sim.message(&sent.message_id).unwrap();
        assert_eq!(
            (&shown.files[0].key, shown.files[0].mime.as_str()),
            (key, mime)
        );
    }
    assert_eq!(sim.file(&file).unwrap(), bytes);
    let shown = sim.messages(sim.p2p_chat_id());
    assert_eq!(shown[1].text, "[文件] 表.xlsx");
}

#[tokio::test]
async fn what_feishu_would_not_take_is_not_sent() {
    let (sim, api) = start().await;
    let large = vec![0_u8; usize::try_from(IMAGE_BYTES_MAX).unwrap() + 1];
    let error = api.upload_image(&Upload::from_bytes(large)).await;
    assert!(error.unwrap_err().is_too_large());
    assert_eq!(sim.api_calls().len(), 0);
    let empty = Upload::from_bytes("");
    assert!(empty.is_empty());
    let error = api.upload_file(&empty, FileType::Stream, "x", None).await;
    assert_eq!(error.unwrap_err().code(), Some(234_010));
    let error = api.upload_image(&Upload::from_bytes("no image")).await;
    assert!(error.unwrap_err().is_content_refused());
    assert!(Upload::open(std::env::temp_dir().as_path()).await.is_err());
}

#[tokio::test]
async fn a_bundle_comes_with_all_that_is_in_it() {
    let (sim, api) = start().await;
    let say = |message: UserMessage| sim.user_says(message).unwrap().message_id;
    let text = say(UserMessage::text("@Alice Zhang 好").in_chat(sim.group_chat_id()));
    let gone = say(UserMessage::text("gone"));
    sim.recall(&gone).unwrap();
    let bundle = sim
        .forward(Forward {
            messages: vec![text, gone.clone()],
            ..Forward::default()
        })
        .unwrap();
    let items = api.get_message(&bundle.message_id).await.unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(items[0].msg_type, "merge_forward");
    assert_eq!(
        items[1].upper_message_id.as_ref(),
        Some(&items[0].message_id)
    );
    assert_eq!(items[1].content(), r#"{"text":"@_user_1 好"}"#);
    assert_eq!(items[1].sender.id, LI_LEI);
    assert_eq!(items[1].mentions[0]["id"], ALICE);
    assert!(items[1].create_time_ms().is_some());
    assert!(items[2].deleted && items[2].content().is_empty());

    let card =
        json!({"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "**x**"}]}});
    let card = card.to_string();
    let sent = api
        .create_message("chat_id", sim.p2p_chat_id(), "interactive", &card, "u")
        .await
        .unwrap();
    let items = api.get_message(&sent.message_id).await.unwrap();
    let content: Value = serde_json::from_str(items[0].content()).unwrap();
    assert_eq!(content["body"]["elements"][0]["content"], "**x**");
    let error = api.get_message("om_nobody").await.unwrap_err();
    assert_eq!(error.code(), Some(230_001));
}

#[tokio::test]
async fn people_have_names() {
    let (sim, api) = start().await;
    assert_eq!(api.user_name(LI_LEI).await.unwrap(), "李雷");
    let error = api.user_name("ou_nobody").await.unwrap_err();
    assert!(error.is_scope_missing(), "{error}");
    let mut ids = vec![LI_LEI.to_owned(), "ou_nobody".to_owned(), ALICE.to_owned()];
    for number in 0..9 {
        ids.push(sim.add_person(&format!("n{number}")).unwrap());
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let names = api.user_names(&ids).await.unwrap();
    assert_eq!(names.len(), 11, "all but the one that nobody knows");
    assert_eq!(
        (names[0].name.as_str(), names[1].user_id.as_str()),
        ("李雷", ALICE)
    );
    assert_eq!(
        sim.api_calls()["POST /open-apis/contact/v3/users/basic_batch"],
        2
    );
    assert!(api.user_names(&[]).await.unwrap().is_empty());
}
