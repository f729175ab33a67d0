//! Every recorded webhook request: signature, decryption, verdict.

use proto_core::{Rejection, SignatureHeaders, UnixMillis, Verdict, Verifier};

include!(concat!(env!("OUT_DIR"), "/webhooks.rs"));

/// When the requests were signed.
const NOW: UnixMillis = UnixMillis(1_772_445_600_000);
/// The largest request decrypts to 21 KB.
const TEXT_BYTES_MAX: usize = 24 * 1024;

pub(crate) type Text = heapless::Vec<u8, TEXT_BYTES_MAX>;

/// One recorded request, and the secrets it meets.
pub(crate) struct Request {
    name: &'static str,
    token: Option<&'static str>,
    key: Option<&'static str>,
    timestamp: Option<&'static str>,
    nonce: Option<&'static str>,
    signature: Option<&'static str>,
    body: &'static [u8],
    expected: Expect,
}

#[derive(Debug)]
enum Expect {
    Event(&'static [u8]),
    Challenge,
    Rejected(Rejection),
}

/// Returns how many requests there are.
pub(crate) fn check(scratch: &mut Text) -> usize {
    for request in REQUESTS {
        request.check(scratch);
    }
    REQUESTS.len()
}

impl Request {
    fn check(&self, scratch: &mut Text) {
        let name = self.name;
        let Ok(verifier) = Verifier::new(self.token, self.key) else {
            panic!("{name}: a secret is too long");
        };
        let headers = SignatureHeaders {
            timestamp: self.timestamp,
            nonce: self.nonce,
            signature: self.signature,
        };
        let verdict = verifier.verify(NOW, headers, self.body, scratch);
        let same = match (&verdict, &self.expected) {
            (Ok(Verdict::Event(event)), Expect::Event(text)) => event.as_bytes() == *text,
            (Ok(Verdict::Challenge(_)), Expect::Challenge) => true,
            (Err(rejection), Expect::Rejected(expected)) => rejection == expected,
            _ => false,
        };
        assert!(same, "{name}: {verdict:?} instead of {:?}", self.expected);
    }
}
