//! Acknowledgements from a memory that is always nearly full: each is its own.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message as _;
use proto_core::Config;
use proto_core::conn::{AckToken, FixedMemory};

use crate::cases;
use crate::rig::Rig;
use crate::support::PlainFrame;

const ACKS: usize = 6;
/// Room for two or three of the messages here.
const ACK_BYTES: usize = 400;

#[derive(Clone, Debug)]
enum Step {
    /// An event with a header of so many bytes.
    Deliver(usize),
    Acknowledge(Index),
}

proptest! {
    #![proptest_config(cases())]

    /// In whatever order deliveries are answered, what is echoed is theirs. A
    /// message is refused only for what is in its way: with nothing in flight
    /// there is room for any that fits.
    #[test]
    fn what_is_echoed_is_never_anothers(steps in vec(steps(), 1..60)) {
        let mut rig = Rig::open(Config::default(), FixedMemory::<ACKS, ACK_BYTES, 0, 0>::default());
        let mut waiting: Vec<(AckToken, PlainFrame)> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Deliver(len) => {
                    let filler = char::from(b'a' + (number % 26) as u8).to_string().repeat(len);
                    let id = number.to_string();
                    let headers = [("type", "event"), ("message_id", &*id), ("x", &*filler)];
                    let message = PlainFrame::new(1, &headers, b"{}");
                    let shed = rig.machine.stats().shed;
                    match rig.receive(&message) {
                        Some((token, _)) => waiting.push((token, message)),
                        None => {
                            prop_assert_eq!(rig.machine.stats().shed, shed + 1);
                            let fits = message.encode_to_vec().len() <= ACK_BYTES;
                            prop_assert!(rig.machine.in_flight() > 0 || !fits, "refused for nothing");
                        }
                    }
                }
                Step::Acknowledge(_) if waiting.is_empty() => {}
                Step::Acknowledge(which) => {
                    let (token, message) = waiting.remove(which.index(waiting.len()));
                    let ack = rig.acknowledge(token).unwrap();
                    let expected = message.acknowledged(0, br#"{"code":200}"#);
                    prop_assert_eq!(PlainFrame::decode(ack.as_slice()).unwrap(), expected);
                }
            }
            rig.drain();
            prop_assert!(waiting.len() as u64 <= rig.machine.in_flight());
        }
    }
}

fn steps() -> impl Strategy<Value = Step> {
    let len = prop_oneof![6 => 0..100_usize, 1 => 200..400_usize];
    prop_oneof![
        3 => len.prop_map(Step::Deliver),
        2 => any::<Index>().prop_map(Step::Acknowledge),
    ]
}
