//! Webhook requests and what they carry encrypted. Bytes are hexadecimal.

use proto_core::{Json, SignatureHeaders, UnixMillis, Verdict, Verifier, decrypt};
use serde::Deserialize;
use serde_json::json;

use crate::{Answer, hex, unhex, variant};

/// `body` is a JSON object with the member `encrypt`.
#[derive(Deserialize)]
struct Sealed {
    key: String,
    body: String,
}

pub(crate) fn decrypted(line: &str) -> Answer {
    let sealed: Sealed = serde_json::from_str(line)?;
    let document = Json::parse(sealed.body.as_bytes())?;
    let encrypted = document.get_str("encrypt").ok_or("nothing is encrypted")?;
    let mut plain = Vec::new();
    Ok(match decrypt(&sealed.key, encrypted, &mut plain) {
        Ok(()) => json!({"plain": hex(&plain)}),
        Err(error) => json!({"error": variant(&error)}),
    })
}

#[derive(Deserialize)]
struct Request {
    token: Option<String>,
    key: Option<String>,
    now_ms: i64,
    timestamp: Option<String>,
    nonce: Option<String>,
    signature: Option<String>,
    body: String,
}

pub(crate) fn judged(line: &str) -> Answer {
    let request: Request = serde_json::from_str(line)?;
    let verifier = Verifier::new(request.token.as_deref(), request.key.as_deref())?;
    let headers = SignatureHeaders {
        timestamp: request.timestamp.as_deref(),
        nonce: request.nonce.as_deref(),
        signature: request.signature.as_deref(),
    };
    let (body, mut scratch) = (unhex(&request.body)?, Vec::new());
    let verdict = verifier.verify(UnixMillis(request.now_ms), headers, &body, &mut scratch);
    Ok(match verdict {
        Ok(Verdict::Event(event)) => json!({"event": hex(event.as_bytes())}),
        Ok(Verdict::Challenge(challenge)) => {
            let mut answer = Vec::new();
            challenge.write_answer(&mut answer)?;
            json!({"challenge": hex(&answer)})
        }
        Err(rejection) => json!({"error": variant(&rejection)}),
    })
}
