//! Any bytes as an event: there is always an answer, and it is JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto_core::{Identity, Json, inspect_event_json};

fuzz_target!(|bytes: &[u8]| {
    let identity = Identity {
        open_id: "ou_bot".into(),
        app_id: "cli_app".into(),
    };
    let answer = inspect_event_json(bytes, &identity);
    Json::parse(answer.as_bytes()).expect("an answer is JSON");
});
