//! Webhook requests.

use proto_core::{SignatureHeaders, UnixMillis, Verdict, Verifier};

use crate::call;

/// The request is an event.
const EVENT: u32 = 0;
/// The request is a check of the URL.
const CHALLENGE: u32 = 1;
/// The secrets can't be any.
const BAD_SECRETS: u32 = 500;

/// Judges a webhook request: 0 for an event, which is the output; 1 for a check
/// of the URL, the output being what to answer with; otherwise the HTTP status
/// of a refusal, the output saying why.
///
/// Input: the verification token, the Encrypt Key, the headers
/// `X-Lark-Request-Timestamp`, `X-Lark-Request-Nonce`, `X-Lark-Signature`, and
/// the body as it was received. `now_ms` is wall-clock time since 1970.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn verify_webhook(
    now_ms: f64,
    token: i32,
    key: i32,
    timestamp: i32,
    nonce: i32,
    signature: i32,
    body: i32,
) -> u32 {
    call(|mut inputs, _, output| {
        let (token, key) = (inputs.text(token), inputs.text(key));
        let headers = SignatureHeaders {
            timestamp: inputs.text(timestamp),
            nonce: inputs.text(nonce),
            signature: inputs.text(signature),
        };
        let body = inputs.bytes(body).unwrap_or_default();
        // Without a secret anybody would be believed.
        let verifier = Verifier::new(token, key)
            .ok()
            .filter(|_| token.is_some() || key.is_some());
        let Some(verifier) = verifier else {
            output.extend_from_slice(b"no verification token and no Encrypt Key, or too long");
            return BAD_SECRETS;
        };
        let mut text = Vec::new();
        match verifier.verify(UnixMillis(now_ms as i64), headers, body, &mut text) {
            Ok(Verdict::Event(event)) => {
                output.extend_from_slice(event.as_bytes());
                EVENT
            }
            Ok(Verdict::Challenge(challenge)) => {
                // A Vec has no bound.
                let _ = challenge.write_answer(output);
                CHALLENGE
            }
            Err(rejection) => {
                output.extend_from_slice(rejection.to_string().as_bytes());
                rejection.http_status().into()
            }
        }
    })
}
