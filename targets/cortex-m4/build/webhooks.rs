//! Webhook requests, and what becomes of them.

use serde_json::Value;

use super::{bytes, list, text};

/// In every plaintext but that of the platform's own page.
const TOKEN: &str = "vt_Xq7mN2pL9sK4wR8tY1zB";

pub(crate) fn constants(vectors: &Value) -> String {
    let all = |key: &str| vectors[key].as_array().expect("a list of requests").clone();
    let (events, cards) = (all("vectors"), all("card_vectors"));
    let requests = events.iter().map(event).chain(cards.iter().map(card));
    format!(
        "pub(crate) static REQUESTS: &[Request] = {};\n",
        list(requests)
    )
}

fn event(vector: &Value) -> String {
    let plaintext = vector["plaintext"].as_str();
    let token = plaintext
        .filter(|plain| plain.contains(TOKEN))
        .map(|_| TOKEN);
    let verdict = match vector["reject_reason"].as_str() {
        None if text(vector, "name") == "url_verification" => "Expect::Challenge".into(),
        None => {
            let plaintext = plaintext.expect("a valid request has a text").trim();
            format!("Expect::Event({})", bytes(plaintext.as_bytes()))
        }
        Some("signature") => "Expect::Rejected(Rejection::BadSignature)".into(),
        Some("decrypt") => "Expect::Rejected(Rejection::Undecryptable)".into(),
        Some("plaintext_not_json") => "Expect::Rejected(Rejection::NotJson)".into(),
        Some(reason) => panic!("{}: {reason} is a new reason", vector["name"]),
    };
    request(vector, token, vector["encrypt_key"].as_str(), &verdict)
}

fn card(vector: &Value) -> String {
    let verdict = if vector["valid"] == true {
        format!(
            "Expect::Event({})",
            bytes(text(vector, "body").trim().as_bytes())
        )
    } else {
        "Expect::Rejected(Rejection::BadSignature)".into()
    };
    request(
        vector,
        vector["verification_token"].as_str(),
        None,
        &verdict,
    )
}

fn request(vector: &Value, token: Option<&str>, key: Option<&str>, verdict: &str) -> String {
    format!(
        "Request {{ name: {:?}, token: {token:?}, key: {key:?}, timestamp: {:?}, nonce: {:?}, \
         signature: {:?}, body: {}, expected: {verdict} }}",
        text(vector, "name"),
        vector["timestamp"].as_str(),
        vector["nonce"].as_str(),
        vector["signature"].as_str(),
        bytes(text(vector, "body").as_bytes()),
    )
}
