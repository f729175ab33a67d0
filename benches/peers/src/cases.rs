//! Every job by every peer, at one size; `job@peer/size`. Ours are beside them
//! under the plain name of the job.

use std::hint::black_box;

use benches::inputs::Size;
use benches::ours::{self, Case};
use benches::sealed::Sealed;
use bytes::Bytes;

use crate::frame::{buffa_view, openlark, prost_bytes, prost_owned, quick};
use crate::json::{serde_typed, serde_value, simd, sonic};
use crate::{plain, sealed};

/// Ours and theirs, at every size.
#[must_use]
pub fn all() -> Vec<Case> {
    Size::ALL
        .into_iter()
        .flat_map(|size| ours::cases_at(size).into_iter().chain(peers_at(size)))
        .collect()
}

/// The peers' cases at one size.
#[must_use]
pub fn peers_at(size: Size) -> Vec<Case> {
    let mut cases = frames(size);
    cases.extend(events(size));
    let payload = size.payload();
    cases.push(Case::new("webhook-plain@serde-typed", size, move || {
        black_box(plain::open(black_box(payload.as_bytes()))).len()
    }));
    let (sealed, key) = (Sealed::new(&size.payload()), sealed::key());
    cases.push(Case::new("webhook-encrypted@openssl", size, move || {
        black_box(sealed::open(black_box(&sealed), &key)).len()
    }));
    cases
}

/// Decoding and reading, the same with the acknowledgement, and all of it: the
/// payload read by serde_json into borrowed types, as those who take such a codec
/// do.
macro_rules! frame_cases {
    ($cases:ident, $size:ident, $name:literal, $peer:ident) => {
        let message = $size.frame();
        $cases.push(Case::new(concat!("decode@", $name), $size, {
            let message = message.clone();
            move || {
                let frame = $peer::decode(black_box(&message));
                black_box($peer::pick(&frame)).payload.len()
            }
        }));
        $cases.push(Case::new(concat!("decode+ack@", $name), $size, {
            let message = message.clone();
            move || {
                let frame = $peer::decode(black_box(&message));
                black_box($peer::pick(&frame));
                black_box($peer::acknowledge(frame)).len()
            }
        }));
        $cases.push(Case::new(concat!("frame-to-ack@", $name), $size, {
            let mut text = String::new();
            move || {
                let frame = $peer::decode(black_box(&message));
                serde_typed::normalise($peer::pick(&frame).payload, &mut text, |normal| {
                    black_box(normal);
                });
                black_box($peer::acknowledge(frame)).len()
            }
        }));
    };
}

fn frames(size: Size) -> Vec<Case> {
    let mut cases = Vec::new();
    frame_cases!(cases, size, "prost-owned", prost_owned);
    {
        // The websocket library hands out `Bytes`; a clone of it counts, too.
        let shared = Bytes::from(size.frame());
        let (again, whole, mut text) = (shared.clone(), shared.clone(), String::new());
        cases.push(Case::new("decode@prost-bytes", size, move || {
            let frame = prost_bytes::decode(black_box(&shared).clone());
            black_box(prost_bytes::pick(&frame)).payload.len()
        }));
        cases.push(Case::new("decode+ack@prost-bytes", size, move || {
            let frame = prost_bytes::decode(black_box(&again).clone());
            black_box(prost_bytes::pick(&frame));
            black_box(prost_bytes::acknowledge(frame)).len()
        }));
        cases.push(Case::new("frame-to-ack@prost-bytes", size, move || {
            let frame = prost_bytes::decode(black_box(&whole).clone());
            let payload = prost_bytes::pick(&frame).payload;
            serde_typed::normalise(payload, &mut text, |normal| {
                black_box(normal);
            });
            black_box(prost_bytes::acknowledge(frame)).len()
        }));
    }
    frame_cases!(cases, size, "openlark", openlark);
    frame_cases!(cases, size, "quick-protobuf", quick);
    frame_cases!(cases, size, "buffa-view", buffa_view);
    cases
}

fn events(size: Size) -> [Case; 4] {
    let mut work = simd::Work::default();
    [
        event("normalise@serde-typed", size, |payload, text| {
            serde_typed::normalise(payload, text, |normal| black_box(normal).text.len())
        }),
        event("normalise@serde-value", size, |payload, text| {
            serde_value::normalise(payload, text, |normal| black_box(normal).text.len())
        }),
        event("normalise@sonic-rs", size, |payload, text| {
            sonic::normalise(payload, text, |normal| black_box(normal).text.len())
        }),
        event("normalise@simd-json", size, move |payload, text| {
            simd::normalise(payload, &mut work, text, |normal| {
                black_box(normal).text.len()
            })
        }),
    ]
}

fn event(
    job: &str,
    size: Size,
    mut normalise: impl FnMut(&[u8], &mut String) -> usize + 'static,
) -> Case {
    let (payload, mut text) = (size.payload(), String::new());
    Case::new(job, size, move || {
        normalise(black_box(payload.as_bytes()), &mut text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use benches::task::Picked;

    #[test]
    fn everyone_reads_the_same_frame_and_writes_the_same_acknowledgement() {
        for size in Size::ALL {
            let message = size.frame();
            let expected = ours::decode(&message);
            assert_eq!(expected.payload, size.payload().as_bytes());
            let mut ack = Vec::new();
            ours::decode_and_acknowledge(&message, &mut ack);
            let same = |name: &str, picked: Picked<'_>| assert_eq!(picked, expected, "{name}");

            let frame = prost_owned::decode(&message);
            same("prost-owned", prost_owned::pick(&frame));
            assert_eq!(prost_owned::acknowledge(frame), ack);
            let frame = prost_bytes::decode(Bytes::from(message.clone()));
            same("prost-bytes", prost_bytes::pick(&frame));
            assert_eq!(prost_bytes::acknowledge(frame), ack);
            let frame = openlark::decode(&message);
            same("openlark", openlark::pick(&frame));
            assert_eq!(openlark::acknowledge(frame), ack);
            let frame = quick::decode(&message);
            same("quick-protobuf", quick::pick(&frame));
            assert_eq!(quick::acknowledge(frame), ack);
            let frame = buffa_view::decode(&message);
            same("buffa-view", buffa_view::pick(&frame));
            assert_eq!(buffa_view::acknowledge(frame), ack);
        }
    }

    #[test]
    fn everyone_reads_the_same_event() {
        for size in Size::ALL {
            let (payload, mut work) = (size.payload(), ours::Work::default());
            let (payload, mut text) = (payload.as_bytes(), String::new());
            ours::normalise(payload, &mut work, |expected| {
                assert!(!expected.text.is_empty() && expected.mentions_bot);
                serde_typed::normalise(payload, &mut text, |normal| assert_eq!(normal, expected));
                serde_value::normalise(payload, &mut text, |normal| assert_eq!(normal, expected));
                sonic::normalise(payload, &mut text, |normal| assert_eq!(normal, expected));
                let mut work = simd::Work::default();
                simd::normalise(payload, &mut work, &mut text, |normal| {
                    assert_eq!(normal, expected);
                });
            });
        }
    }

    #[test]
    fn everyone_opens_the_same_body() {
        for size in Size::ALL {
            let (payload, verifier) = (size.payload(), ours::verifier(None));
            let ours = ours::verify_plain(&verifier, payload.as_bytes(), &mut Vec::new());
            assert_eq!(plain::open(payload.as_bytes()).len(), ours);
            let sealed = Sealed::new(&size.payload());
            assert_eq!(
                crate::sealed::open(&sealed, &crate::sealed::key()),
                size.payload().as_bytes()
            );
        }
    }
}
