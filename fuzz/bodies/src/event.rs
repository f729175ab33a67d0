//! Any bytes as an event.

use proto_core::Json;
use serde::de::IgnoredAny;

/// Reads an event.
pub fn event(bytes: &[u8]) {
    is_json_alike(bytes);
}

/// What is JSON is decided as serde_json decides it, but for the depth.
fn is_json_alike(bytes: &[u8]) {
    let ours = Json::parse(bytes);
    let oracle = core::str::from_utf8(bytes)
        .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match ours {
        Ok(_) => assert!(oracle, "serde_json does not take it"),
        Err(error) => {
            let too_deep = error.kind == proto_core::JsonErrorKind::TooDeep;
            assert!(!oracle || too_deep, "serde_json takes it: {error}");
            assert!(error.offset <= bytes.len(), "{error}");
        }
    }
}
