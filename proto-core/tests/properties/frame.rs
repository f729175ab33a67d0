//! Frames and acknowledgements, with prost as the judge.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message as _;
use proto_core::conn::{HeapMemory, Outcome};
use proto_core::{Config, DecodeErrorKind, Frame, FrameFields, Limits};

use crate::cases;
use crate::rig::Rig;
use crate::support::{PlainFrame, PlainHeader, Said};
use crate::wire::{
    Field, NAMES, broken_fields, edits, fields, messages, number_of, plain_frames, remove,
};

/// The frame with its required fields optional: whether they are there.
#[derive(Clone, PartialEq, prost::Message)]
struct Presence {
    #[prost(uint64, optional, tag = "1")]
    seq_id: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    log_id: Option<u64>,
    #[prost(int32, optional, tag = "3")]
    service: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    method: Option<i32>,
    #[prost(message, repeated, tag = "5")]
    headers: Vec<HeaderPresence>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HeaderPresence {
    #[prost(string, optional, tag = "1")]
    key: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

impl Presence {
    fn is_complete(&self) -> bool {
        let whole = |header: &HeaderPresence| header.key.is_some() && header.value.is_some();
        self.seq_id.is_some()
            && self.log_id.is_some()
            && self.service.is_some()
            && self.method.is_some()
            && self.headers.iter().all(whole)
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_is_encoded_is_read_back_and_encoded_the_same(plain in plain_frames()) {
        let theirs = plain.encode_to_vec();
        let frame = Frame::decode(&theirs, &Limits::default()).unwrap();
        prop_assert_eq!(PlainFrame::from(&frame), plain);
        let ours = encode(&frame);
        prop_assert_eq!(&ours, &theirs);
        // The required fields come first, zero or not.
        let numbers: Vec<u64> = fields(&ours).iter().map(|field| number_of(field)).collect();
        prop_assert_eq!(&numbers[..4], &[1, 2, 3, 4]);
    }

    /// One verdict and one meaning, on what encoders write and on what they
    /// don't. prost doesn't ask for required fields and lets groups nest
    /// deeper: nothing else sets the two apart.
    #[test]
    fn prost_reads_the_same_frames_and_refuses_the_same_bytes(
        mut message in messages(),
        removed in vec((any::<Index>(), any::<Option<Index>>()), 0..3),
        broken in proptest::option::weighted(0.3, (any::<Index>(), broken_fields())),
        edits in edits(),
    ) {
        for (at, inner) in removed {
            remove(&mut message, &at, inner);
        }
        if let Some((at, field)) = broken {
            message.insert(at.index(message.len() + 1), field);
        }
        let mut bytes = message.concat();
        for edit in edits {
            edit.apply(&mut bytes);
        }
        let ours = Frame::decode(&bytes, &Limits::default());
        let theirs = PlainFrame::decode(bytes.as_slice());
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                prop_assert_eq!(&PlainFrame::from(&ours), &theirs);
                prop_assert_eq!(encode(&ours), theirs.encode_to_vec());
                for name in NAMES.into_iter().chain(["biz_rt", ""]) {
                    // Of doubles the first counts.
                    let first = theirs.headers.iter().find(|header| header.key == name);
                    prop_assert_eq!(ours.header(name), first.map(|header| header.value.as_str()));
                }
                prop_assert!(Presence::decode(bytes.as_slice()).unwrap().is_complete());
            }
            (Err(error), Ok(_)) => {
                let complete = Presence::decode(bytes.as_slice()).unwrap().is_complete();
                let lacks = matches!(error.kind, DecodeErrorKind::Missing(_)) && !complete;
                let too_deep = error.kind == DecodeErrorKind::TooDeep;
                prop_assert!(lacks || too_deep, "prost reads it, we say {}", error);
            }
            (Err(error), Err(_)) => prop_assert!(error.offset <= bytes.len()),
            (Ok(_), Err(error)) => prop_assert!(false, "we read it, prost says {}", error),
        }
    }

    /// Nothing the peer sends is sized by what it says: decoding and reading
    /// headers take no memory at all.
    #[test]
    fn decoding_takes_nothing_from_the_allocator(message in messages(), edits in edits()) {
        let mut bytes = message.concat();
        for edit in edits {
            edit.apply(&mut bytes);
        }
        let limits = Limits::default();
        let allocations = allocation_counter::measure(|| {
            let headers = Frame::decode(&bytes, &limits).map(|frame| frame.headers().count());
            std::hint::black_box(headers.is_ok());
        });
        prop_assert_eq!(allocations.count_total, 0);
    }

    /// The acknowledgement is the message with one header more and another
    /// payload: no header lost or moved, no unknown field dropped.
    #[test]
    fn an_acknowledgement_echoes_all_but_the_payload(
        mut message in messages(),
        took in 0..2500_u64,
    ) {
        for (name, value) in [("type", "event"), ("sum", "1"), ("seq", "0")] {
            message.insert(0, header_field(name, value));
        }
        // Of doubled scalars the last counts: data.
        message.push(vec![0x20, 1]);
        let bytes = message.concat();
        let asked = PlainFrame::decode(bytes.as_slice()).unwrap();

        let mut rig = Rig::open(Config::default(), HeapMemory::new(1, 1 << 16, 1));
        let token = rig.receive_bytes(&bytes).map(|(token, _)| token);
        let readable = matches!(asked.payload_encoding.as_deref(), None | Some("" | "gzip"));
        prop_assert_eq!(token.is_some(), readable);
        let (ack, expected) = if let Some(token) = token {
            rig.pass(core::time::Duration::from_millis(took));
            let ack = rig.acknowledge(token).unwrap();
            (ack, asked.acknowledged(took, br#"{"code":200}"#))
        } else {
            let said = rig.drain();
            let [Said::Send(refusal)] = &said[..] else { panic!("{said:?}") };
            (refusal.clone(), asked.acknowledged(0, br#"{"code":500}"#))
        };
        prop_assert_eq!(&PlainFrame::decode(ack.as_slice()).unwrap(), &expected);
        if readable {
            let mut at_once = Vec::new();
            let frame = Frame::decode(&bytes, &Limits::default()).unwrap();
            frame.acknowledge(took, Outcome::Done, &mut at_once).unwrap();
            prop_assert_eq!(&at_once, &ack, "with and without the machine");
        }

        let mut echoed = fields(&ack);
        let is_biz_rt = |field: &Field| *field == header_field("biz_rt", &expected.headers.last().unwrap().value);
        let added = echoed.iter().rposition(is_biz_rt).unwrap();
        prop_assert!(echoed[added + 1..].iter().all(|field| number_of(field) != 5), "not last");
        echoed.remove(added);
        for required in 1..=4 {
            prop_assert!(echoed.iter().any(|field| number_of(field) == required));
        }
        let (mut echoed, mut message) = (without_payload(echoed), without_payload(message.clone()));
        if !is_regular(&fields(&bytes)) {
            // Up to the headers, then the rest: each in the order they came.
            echoed.sort_by_key(|field| number_of(field) > 5);
            message.sort_by_key(|field| number_of(field) > 5);
        }
        prop_assert_eq!(echoed, message);
    }
}

fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    FrameFields::from(frame)
        .encode(frame.headers(), &mut bytes)
        .unwrap();
    bytes
}

fn header_field(key: &str, value: &str) -> Field {
    let headers = vec![PlainHeader::new(key, value)];
    let frame = PlainFrame {
        headers,
        ..PlainFrame::default()
    };
    // Behind the four required fields of two bytes each.
    frame.encode_to_vec().split_off(8)
}

/// Headers come before the one payload, as every known encoder writes it; what
/// comes otherwise is echoed in another order.
fn is_regular(message: &[Field]) -> bool {
    let mut behind_headers = message
        .iter()
        .map(|field| number_of(field))
        .skip_while(|number| *number != 8)
        .skip(1);
    behind_headers.all(|number| !matches!(number, 5 | 8))
}

fn without_payload(mut fields: Vec<Field>) -> Vec<Field> {
    fields.retain(|field| number_of(field) != 8);
    fields
}
