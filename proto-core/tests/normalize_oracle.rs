//! Our normalisation beside Feishu's own two layers, as recorded: equal to one
//! of them, or listed here with the reason.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use proto_core::{Event, EventKind, Identity, InboundMessage, ResourceKind};
use serde_json::Value;

/// Where we differ from both on purpose. An entry that is no longer needed
/// fails the test.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "text_chat_type_private",
        "is_direct",
        "GET chat calls a group private that is not public; only p2p is direct in schema 2.0",
    ),
    (
        "file_name_needs_escaping",
        "text",
        "a line break in a name could forge a line; the quotes are the Node layer's",
    ),
    (
        "text_bot_then_multiline",
        "text",
        "both collapse blanks after taking the mention out; pasted code needs them",
    ),
    (
        "post_at_all_element",
        "mentions_all",
        "an `at` element for everyone mentions everyone; both miss it",
    ),
    (
        "post_link_without_text_and_unknown_tag",
        "text",
        "no words are lost: a bare link shows its address, an unknown tag its text",
    ),
    (
        "post_images_media_emotion_dup",
        "resources",
        "a video keeps its cover in a post as it does alone",
    ),
    (
        "interactive_degraded_v1",
        "text",
        "the visible words are there to be read; neither reads them",
    ),
    (
        "interactive_fetched",
        "text",
        "without the lookup the event's own title is more than a placeholder",
    ),
    (
        "location",
        "text",
        "coordinates as they were sent: a float drops digits",
    ),
    (
        "merge_forward_expanded_nested",
        "text",
        "the event holds only the mark; expanding it takes a lookup",
    ),
    ("merge_forward_expanded_nested", "resources", "the same"),
];

#[test]
fn each_message_agrees_with_an_official_layer_or_has_a_reason() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../vectors/normalize_oracle.jsonl"
    );
    let corpus = std::fs::read_to_string(path).unwrap();
    let (mut messages, mut unneeded) = (0, EXCEPTIONS.to_vec());
    let mut wrong = Vec::new();
    for line in corpus.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["name"].as_str().unwrap();
        let body = case["event"].to_string();
        let event = Event::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let oracle = &case["oracle"];
        if oracle["kind"] != "message" {
            other_kinds(name, oracle, &event.kind);
            continue;
        }
        messages += 1;
        let identity = Identity {
            open_id: case["bot_open_id"].as_str().unwrap(),
            app_id: "cli_oracle",
        };
        let ours = InboundMessage::from_event(&event, identity).unwrap();
        for (field, agrees) in agreements(&ours, oracle) {
            let known = unneeded
                .iter()
                .position(|(case, what, _)| *case == name && *what == field);
            match (agrees, known) {
                (true, _) => {}
                (false, Some(at)) => drop(unneeded.remove(at)),
                (false, None) => {
                    wrong.push(format!("{name}: {field}: {:?} against {oracle}", ours.text))
                }
            }
        }
    }
    assert_eq!(messages, 74);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        unneeded.is_empty(),
        "exceptions that are no longer needed: {unneeded:?}"
    );
}

fn agreements(ours: &InboundMessage, oracle: &Value) -> Vec<(&'static str, bool)> {
    let node = &oracle["node"];
    let texts = [&oracle["text"], &oracle["text_bot_stripped"], &node["text"]];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    vec![
        ("text", texts.into_iter().any(|theirs| *theirs == ours.text)),
        (
            "mentions_all",
            [oracle, node]
                .into_iter()
                .any(|layer| layer["mentioned_all"] == ours.mentions_all),
        ),
        ("mentions_bot", oracle["mentioned_bot"] == ours.mentions_bot),
        ("self_sent", oracle["self_sent"] == ours.self_sent),
        (
            "sender_is_bot",
            oracle["sender"]["is_bot"] == ours.sender_is_bot,
        ),
        (
            "sender",
            text(&oracle["sender"]["open_id"]).unwrap_or_default() == ours.sender_open_id,
        ),
        ("message_id", oracle["message_id"] == ours.message_id),
        ("chat_id", oracle["chat_id"] == ours.chat_id),
        ("thread_id", text(&oracle["thread_id"]) == ours.thread_id),
        ("root_id", text(&oracle["root_id"]) == ours.root_id),
        ("parent_id", text(&oracle["parent_id"]) == ours.parent_id),
        (
            "create_time",
            oracle["create_time"] == ours.create_time_ms
                || node["create_time"] == ours.create_time_ms,
        ),
        (
            "is_direct",
            (oracle["chat_type"] == "p2p") == ours.is_direct,
        ),
        ("resources", resources(oracle) == own_resources(ours)),
        (
            "mentions",
            oracle["mentions"]
                .as_array()
                .map(|list| {
                    list.iter()
                        .map(|mention| {
                            (
                                text(&mention["key"]).unwrap_or_default(),
                                text(&mention["name"]).unwrap_or_default(),
                            )
                        })
                        .collect::<Vec<_>>()
                })
                .unwrap_or_default()
                == ours
                    .mentions
                    .iter()
                    .map(|mention| (mention.key.clone(), mention.name.clone()))
                    .collect::<Vec<_>>(),
        ),
    ]
}

type Shown = (String, String, Option<String>, Option<i64>, Option<String>);

fn resources(oracle: &Value) -> Vec<Shown> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    oracle["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| {
            (
                text(&resource["type"]).unwrap(),
                text(&resource["file_key"]).unwrap(),
                text(&resource["file_name"]),
                resource["duration_ms"].as_i64(),
                text(&resource["cover_image_key"]),
            )
        })
        .collect()
}

fn own_resources(ours: &InboundMessage) -> Vec<Shown> {
    ours.resources
        .iter()
        .map(|resource| {
            (
                resource.kind.name().to_owned(),
                resource.file_key.clone(),
                resource.file_name.clone(),
                resource.duration_ms,
                resource
                    .cover_image_key
                    .clone()
                    .filter(|_| resource.kind == ResourceKind::Video),
            )
        })
        .collect()
}

fn other_kinds(name: &str, oracle: &Value, ours: &EventKind<'_>) {
    let agrees = match name {
        "card_button" | "card_select_value_string" => matches!(ours, EventKind::CardAction(_)),
        "reaction_created" => matches!(ours, EventKind::ReactionAdded(_)),
        "bot_added" => matches!(ours, EventKind::BotAdded(_)),
        // Comments on documents are not a chat; nobody here answers them.
        "comment_add" => matches!(ours, EventKind::Unknown(_)),
        "unsubscribed_event" => !matches!(ours, EventKind::Message(_) | EventKind::CardAction(_)),
        _ => false,
    };
    assert!(agrees, "{name}: {oracle}");
}
