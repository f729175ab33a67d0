//! `inspect frame` against frames recorded from the official clients.

use serde_json::Value;
use xiaoo_app::commands::inspect;

#[test]
fn every_recorded_frame_is_shown_as_the_official_clients_read_it() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/ws_frames.json");
    let vectors: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(vectors.len(), 61);
    let input: String = vectors
        .iter()
        .map(|vector| format!("{}\n", vector["hex"].as_str().unwrap()))
        .collect();

    let mut output = Vec::new();
    inspect::frames(input.as_bytes(), &mut output).unwrap();

    let output = String::from_utf8(output).unwrap();
    let answers: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), vectors.len());
    for (vector, answer) in vectors.iter().zip(&answers) {
        let name = &vector["name"];
        assert_eq!(answer["ok"], vector["valid"], "{name}: {answer}");
        if vector["valid"] == true {
            assert_eq!(answer["frame"], vector["frame"], "{name}");
            assert_eq!(answer["canonical_hex"], vector["reencoded_hex"], "{name}");
        } else {
            assert!(answer["error"].is_string(), "{name}: {answer}");
        }
    }
}
