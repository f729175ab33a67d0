//! Webhook verification against requests that the official clients judged.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use proto_core::{AGE_MAX, AHEAD_MAX, Rejection, SignatureHeaders, UnixMillis, Verdict, Verifier};
use serde_json::{Value, json};

const NOW: UnixMillis = UnixMillis(1_772_445_600_000);
const TOKEN: &str = "vt_Xq7mN2pL9sK4wR8tY1zB";

fn vectors() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../vectors/webhook_crypto.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_recorded_request_gets_its_verdict() {
    for vector in vectors()["vectors"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let text = |key: &str| vector[key].as_str();
        // The page's example has no token in it.
        let token = text("plaintext")
            .filter(|plain| plain.contains(TOKEN))
            .map(|_| TOKEN);
        let verifier = Verifier::new(token, text("encrypt_key")).unwrap();
        let headers = SignatureHeaders {
            timestamp: text("timestamp"),
            nonce: text("nonce"),
            signature: text("signature"),
        };
        let body = text("body").unwrap();
        let mut scratch = Vec::new();
        let verdict = verifier.verify(NOW, headers, body.as_bytes(), &mut scratch);
        match (verdict, text("reject_reason")) {
            (Ok(Verdict::Event(event)), None) => {
                assert_eq!(
                    event.as_bytes(),
                    text("plaintext").unwrap().trim().as_bytes(),
                    "{name}"
                );
            }
            (Ok(Verdict::Challenge(_)), None) => assert_eq!(name, "url_verification"),
            (Err(Rejection::BadSignature), Some("signature")) => {}
            (Err(Rejection::Undecryptable), Some("decrypt")) => {}
            (Err(Rejection::NotJson), Some("plaintext_not_json")) => {}
            (verdict, expected) => panic!("{name}: {verdict:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn old_card_callbacks_are_signed_with_the_token() {
    for vector in vectors()["card_vectors"].as_array().unwrap() {
        let text = |key: &str| vector[key].as_str();
        for key in [None, Some("some key")] {
            let verifier = Verifier::new(text("verification_token"), key).unwrap();
            let headers = SignatureHeaders {
                timestamp: text("timestamp"),
                nonce: text("nonce"),
                signature: text("signature"),
            };
            let mut scratch = Vec::new();
            let verdict =
                verifier.verify(NOW, headers, text("body").unwrap().as_bytes(), &mut scratch);
            assert_eq!(
                verdict.is_ok(),
                vector["valid"] == json!(true),
                "{}",
                vector["name"]
            );
        }
    }
}

/// A request, and what configuration it meets.
#[derive(Clone)]
struct Case {
    key: Option<&'static str>,
    token: Option<&'static str>,
    body: String,
    sign_with: Option<&'static str>,
    signed_at: i64,
}

impl Case {
    fn plain(body: Value) -> Self {
        Self {
            key: None,
            token: Some("t"),
            body: body.to_string(),
            sign_with: None,
            signed_at: NOW.0 / 1000,
        }
    }

    fn encrypted(body: &Value) -> Self {
        Self {
            key: Some("key"),
            token: Some("t"),
            body: json!({ "encrypt": encrypt("key", body.to_string().as_bytes()) }).to_string(),
            sign_with: Some("key"),
            signed_at: NOW.0 / 1000,
        }
    }

    fn judge(&self) -> Result<&'static str, Rejection> {
        use sha2::{Digest as _, Sha256};
        let timestamp = self.signed_at.to_string();
        let signature = self.sign_with.map(|key| {
            let digest = Sha256::new()
                .chain_update(&timestamp)
                .chain_update("n")
                .chain_update(key)
                .chain_update(&self.body);
            digest
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        });
        let headers = match &signature {
            Some(signature) => SignatureHeaders {
                timestamp: Some(&timestamp),
                nonce: Some("n"),
                signature: Some(signature),
            },
            None => SignatureHeaders::default(),
        };
        let verifier = Verifier::new(self.token, self.key).unwrap();
        let mut scratch = Vec::new();
        match verifier.verify(NOW, headers, self.body.as_bytes(), &mut scratch)? {
            Verdict::Challenge(challenge) => {
                let mut answer = Vec::new();
                challenge.write_answer(&mut answer).unwrap();
                let answer: Value = serde_json::from_slice(&answer).unwrap();
                assert_eq!(answer, json!({"challenge": CHALLENGE}));
                Ok("challenge")
            }
            Verdict::Event(_) => Ok("event"),
        }
    }
}

const CHALLENGE: &str = "quote\" back\\slash 换行\n\u{1}";

#[test]
fn the_order_of_checks_and_what_a_challenge_may_skip() {
    let event = json!({"schema": "2.0", "header": {"token": "t", "event_type": "x"}, "event": {}});
    let v1 = json!({"uuid": "u", "token": "t", "type": "event_callback", "event": {"type": "x"}});
    let check = json!({"type": "url_verification", "token": "t", "challenge": CHALLENGE});
    let with_token = |body: &Value, token: Value| {
        let mut body = body.clone();
        if body.get("header").is_some() {
            body["header"]["token"] = token
        } else {
            body["token"] = token
        }
        body
    };
    let plain = Case::plain;
    let unsigned = |body: &Value| Case {
        sign_with: None,
        ..Case::encrypted(body)
    };
    let forged = |body: &Value| Case {
        sign_with: Some("other"),
        ..Case::encrypted(body)
    };
    let at = |seconds: i64, body: &Value| Case {
        signed_at: NOW.0 / 1000 + seconds,
        ..Case::encrypted(body)
    };
    let (old, ahead) = (AGE_MAX.as_secs() as i64, AHEAD_MAX.as_secs() as i64);
    for (name, case, expected) in [
        ("plain 2.0", plain(event.clone()), Ok("event")),
        ("plain 1.0", plain(v1.clone()), Ok("event")),
        ("plain check", plain(check.clone()), Ok("challenge")),
        (
            "wrong token 2.0",
            plain(with_token(&event, json!("u"))),
            Err(Rejection::InvalidToken),
        ),
        (
            "wrong token 1.0",
            plain(with_token(&v1, json!("u"))),
            Err(Rejection::InvalidToken),
        ),
        (
            "wrong token in check",
            plain(with_token(&check, json!("u"))),
            Err(Rejection::InvalidToken),
        ),
        (
            "token of another type",
            plain(with_token(&event, json!(1))),
            Err(Rejection::InvalidToken),
        ),
        (
            "escaped token",
            Case {
                body: r#"{"header":{"token":"\u0074"}}"#.into(),
                ..plain(json!({}))
            },
            Ok("event"),
        ),
        (
            "no token",
            plain(json!({"header": {}})),
            Err(Rejection::InvalidToken),
        ),
        (
            "not JSON",
            Case {
                body: "hello".into(),
                ..plain(json!({}))
            },
            Err(Rejection::NotJson),
        ),
        (
            "no event, no token",
            plain(json!([1])),
            Err(Rejection::InvalidToken),
        ),
        (
            "encrypted, no key",
            Case {
                key: None,
                ..Case::encrypted(&event)
            },
            Err(Rejection::KeyMissing),
        ),
        (
            "plain, key",
            Case {
                key: Some("key"),
                ..plain(event.clone())
            },
            Err(Rejection::NotEncrypted),
        ),
        (
            "plain check, key",
            Case {
                key: Some("key"),
                ..plain(check.clone())
            },
            Err(Rejection::NotEncrypted),
        ),
        ("signed", Case::encrypted(&event), Ok("event")),
        (
            "unsigned",
            unsigned(&event),
            Err(Rejection::MissingSignature),
        ),
        ("forged", forged(&event), Err(Rejection::BadSignature)),
        ("unsigned check", unsigned(&check), Ok("challenge")),
        ("forged check", forged(&check), Ok("challenge")),
        (
            "unsigned check, wrong token",
            unsigned(&with_token(&check, json!("u"))),
            Err(Rejection::InvalidToken),
        ),
        (
            "signed, wrong token",
            Case::encrypted(&with_token(&event, json!("u"))),
            Err(Rejection::InvalidToken),
        ),
        ("stale check", at(-old - 1, &check), Ok("challenge")),
        ("oldest", at(-old, &event), Ok("event")),
        ("older", at(-old - 1, &event), Err(Rejection::Stale)),
        ("furthest ahead", at(ahead, &event), Ok("event")),
        (
            "further ahead",
            at(ahead + 1, &event),
            Err(Rejection::Stale),
        ),
        (
            "key only",
            Case {
                token: None,
                ..Case::encrypted(&event)
            },
            Ok("event"),
        ),
    ] {
        assert_eq!(case.judge(), expected, "{name}");
    }
}

/// The flat callback of old cards, as the vectors have it.
fn old_card() -> (Vec<u8>, SignatureHeaders<'static>) {
    static VECTORS: std::sync::LazyLock<Value> = std::sync::LazyLock::new(vectors);
    let vector = &VECTORS["card_vectors"][0];
    assert_eq!(vector["name"], "old_card_callback");
    let headers = SignatureHeaders {
        timestamp: vector["timestamp"].as_str(),
        nonce: vector["nonce"].as_str(),
        signature: vector["signature"].as_str(),
    };
    (vector["body"].as_str().unwrap().into(), headers)
}

/// Old cards come unencrypted even where a key is set, so their own signature
/// is all that stands between a stranger and a button.
#[test]
fn an_old_card_never_opens_a_way_around_the_key() {
    let (body, signed) = old_card();
    let unsigned = SignatureHeaders::default();
    for (name, token, key, headers, expected) in [
        ("signed, token", Some(TOKEN), None, signed, Ok(())),
        ("signed, both", Some(TOKEN), Some("k"), signed, Ok(())),
        (
            "unsigned, token",
            Some(TOKEN),
            None,
            unsigned,
            Err(Rejection::MissingSignature),
        ),
        (
            "unsigned, both",
            Some(TOKEN),
            Some("k"),
            unsigned,
            Err(Rejection::MissingSignature),
        ),
        (
            "signed with another token",
            Some("other"),
            Some("k"),
            signed,
            Err(Rejection::BadSignature),
        ),
        (
            "unsigned, key only",
            None,
            Some("k"),
            unsigned,
            Err(Rejection::NotEncrypted),
        ),
        (
            "signed, key only",
            None,
            Some("k"),
            signed,
            Err(Rejection::NotEncrypted),
        ),
    ] {
        let verifier = Verifier::new(token, key).unwrap();
        let mut scratch = Vec::new();
        let verdict = verifier.verify(NOW, headers, &body, &mut scratch);
        assert_eq!(verdict.map(|_| ()), expected, "{name}");
    }
}

#[test]
fn an_old_card_is_fresh_as_long_as_an_event() {
    let (body, headers) = old_card();
    let verifier = Verifier::new(Some(TOKEN), None).unwrap();
    let (old, ahead) = (AGE_MAX.as_millis() as i64, AHEAD_MAX.as_millis() as i64);
    for (now, expected) in [
        (NOW.0 + old, Ok(())),
        (NOW.0 + old + 1, Err(Rejection::Stale)),
        (NOW.0 - ahead, Ok(())),
        (NOW.0 - ahead - 1, Err(Rejection::Stale)),
        // A host whose clock is nonsense refuses; it does not fall over.
        (i64::MIN, Err(Rejection::Stale)),
        (i64::MAX, Err(Rejection::Stale)),
    ] {
        let mut scratch = Vec::new();
        let verdict = verifier.verify(UnixMillis(now), headers, &body, &mut scratch);
        assert_eq!(verdict.map(|_| ()), expected, "{now}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let verifier = Verifier::new(Some("planted-token"), Some("planted-key")).unwrap();
    assert!(!format!("{verifier:?}").contains("planted"));
}

mod properties {
    use proptest::prelude::*;
    use proto_core::{Json, decrypt};

    use super::*;

    proptest! {
        #[test]
        fn what_is_encrypted_comes_back(key in ".{0,20}", text in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let plain = encrypt(&key, &text);
            // Some encoders write a slash so, and any character may be.
            let escaped = plain.replace('/', "\\/").replace('B', "\\u0042");
            prop_assert_ne!(&escaped, &plain);
            for base64 in [plain, escaped] {
                let document = format!("\"{base64}\"");
                let encrypted = Json::parse(document.as_bytes()).unwrap().as_str().unwrap();
                let mut out = b"before".to_vec();
                decrypt(&key, encrypted, &mut out).unwrap();
                prop_assert_eq!(&out[6..], &text[..]);
            }
        }

        #[test]
        fn arbitrary_requests_never_panic(body in "\\{\"encrypt\":\"[A-Za-z0-9+/=]{0,80}\"\\}", at in ".{0,8}") {
            let verifier = Verifier::new(Some("t"), Some("k")).unwrap();
            let headers = SignatureHeaders { timestamp: Some(&at), nonce: Some(&at), signature: Some(&at) };
            let mut scratch = Vec::new();
            prop_assert!(verifier.verify(NOW, headers, body.as_bytes(), &mut scratch).is_err());
        }
    }
}

/// What the platform does, written here once more.
fn encrypt(key: &str, text: &[u8]) -> String {
    use aes::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};

    let key: [u8; 32] = Sha256::digest(key).into();
    let iv = [7_u8; 16];
    let pad = 16 - text.len() % 16;
    let mut bytes = text.to_vec();
    bytes.extend(std::iter::repeat_n(pad as u8, pad));
    let mut mode = cbc::Encryptor::<aes::Aes256>::new((&key).into(), (&iv).into());
    for block in bytes.chunks_exact_mut(16) {
        mode.encrypt_block(block.try_into().unwrap());
    }
    let whole = [&iv[..], &bytes].concat();
    let mut out = vec![0; whole.len() * 2];
    let len = base64::engine::general_purpose::STANDARD
        .encode_slice(&whole, &mut out)
        .unwrap();
    out.truncate(len);
    String::from_utf8(out).unwrap()
}
