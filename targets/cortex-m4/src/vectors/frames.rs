//! Every recorded frame: verdict, fields, canonical bytes, acknowledgement.

use proto_core::conn::Outcome;
use proto_core::{Frame, FrameFields, Header, Limits, Method};

use crate::expected::Expected;
use crate::session;

include!(concat!(env!("OUT_DIR"), "/frames.rs"));

/// One recorded message.
pub(crate) struct FrameVector {
    pub(crate) name: &'static str,
    pub(crate) message: &'static [u8],
    /// `None`: it must be refused.
    meaning: Option<Meaning>,
}

/// What a message means.
struct Meaning {
    seq_id: u64,
    log_id: u64,
    service: i32,
    method: i32,
    headers: &'static [(&'static str, &'static str)],
    payload_encoding: Option<&'static str>,
    payload_type: Option<&'static str>,
    payload: Option<&'static [u8]>,
    log_id_new: Option<&'static str>,
    /// What an encoder of these fields writes.
    canonical: &'static [u8],
    answer: Option<Answer>,
}

/// What an acknowledgement says.
struct Answer {
    outcome: Outcome<'static>,
    /// The recorded JSON without blanks and members that are null.
    payload: &'static [u8],
}

impl FrameVector {
    /// The payload of a frame that has one.
    pub(crate) fn payload(&self) -> &'static [u8] {
        self.meaning
            .as_ref()
            .and_then(|meaning| meaning.payload)
            .unwrap_or_default()
    }
}

/// A recorded message by its name.
pub(crate) fn named(name: &str) -> &'static FrameVector {
    let found = FRAMES.iter().find(|vector| vector.name == name);
    found.unwrap_or_else(|| panic!("no vector is called {name}"))
}

/// Returns how many frames and how many acknowledgements there are.
pub(crate) fn check() -> (usize, usize) {
    let mut acks = 0;
    for vector in FRAMES {
        let name = vector.name;
        let decoded = Frame::decode(vector.message, &Limits::default());
        let Some(meaning) = &vector.meaning else {
            assert!(decoded.is_err(), "{name} must be refused");
            continue;
        };
        let frame = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
        meaning.check(name, &frame);
        if let Some(answer) = &meaning.answer {
            check_answer(name, &frame, answer);
            acks += 1;
        }
    }
    (FRAMES.len(), acks)
}

impl Meaning {
    fn check(&self, name: &str, frame: &Frame<'_>) {
        assert_eq!(frame.seq_id, self.seq_id, "{name}");
        assert_eq!(frame.log_id, self.log_id, "{name}");
        assert_eq!(frame.service, self.service, "{name}");
        assert_eq!(frame.method, Method::from(self.method), "{name}");
        assert_eq!(frame.payload_encoding, self.payload_encoding, "{name}");
        assert_eq!(frame.payload_type, self.payload_type, "{name}");
        assert!(frame.payload == self.payload, "{name}: another payload");
        assert_eq!(frame.log_id_new(), self.log_id_new, "{name}");
        let pairs = frame.headers().map(|header| (header.key, header.value));
        assert!(
            pairs.eq(self.headers.iter().copied()),
            "{name}: {:?}",
            frame.headers()
        );

        let mut written = Expected::new(self.canonical);
        let encoded = FrameFields::from(frame).encode(frame.headers(), &mut written);
        assert!(encoded.is_ok() && written.is_whole(), "{name}: other bytes");
    }
}

/// The machine gets what the recorded client got, and must answer as it did.
fn check_answer(name: &str, recorded: &Frame<'_>, answer: &Answer) {
    let added = |header: &Header<'_>| header.key == "biz_rt";
    let echoed = || recorded.headers().filter(|header| !added(header));
    let mut asked = heapless::Vec::<u8, 512>::new();
    let fields = FrameFields {
        payload: Some(b"{}"),
        ..FrameFields::from(recorded)
    };
    assert!(fields.encode(echoed(), &mut asked).is_ok(), "{name}");

    // Node counts backwards, and Python says nothing when it fails.
    let value = recorded
        .header("biz_rt")
        .filter(|value| !value.starts_with('-'));
    let taken = Header {
        key: "biz_rt",
        value: value.unwrap_or("0"),
    };
    let took_ms = taken
        .value
        .parse()
        .unwrap_or_else(|_| panic!("{name}: {taken:?}"));
    let ack = session::acknowledge(&asked, took_ms, answer.outcome);

    let mut written = Expected::new(&ack);
    let fields = FrameFields {
        payload: Some(answer.payload),
        ..fields
    };
    let encoded = fields.encode(echoed().chain([taken]), &mut written);
    assert!(
        encoded.is_ok() && written.is_whole(),
        "{name}: another acknowledgement"
    );
}
