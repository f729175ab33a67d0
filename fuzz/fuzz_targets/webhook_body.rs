//! Any body at the webhook: nothing unsigned gets in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto_core::{SignatureHeaders, UnixMillis, Verdict, Verifier};

fuzz_target!(|bytes: &[u8]| {
    let verifier = Verifier::new(Some("token"), Some("key")).expect("short secrets");
    let mut scratch = Vec::new();
    let headers = SignatureHeaders::default();
    let verdict = verifier.verify(UnixMillis(0), headers, bytes, &mut scratch);
    assert!(!matches!(verdict, Ok(Verdict::Event(_))), "an unsigned event was believed");
});
