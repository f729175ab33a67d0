//! Our side of each job.

use std::hint::black_box;

use proto_core::conn::{Connection, Epoch, HeapMemory, Outcome, Output};
use proto_core::{
    Config, EndpointReply, Event, EventKind, Frame, Identity, Instant, JsonStr, Limits, UnixMillis,
    Verdict, Verifier,
};

use crate::inputs::{APP_ID, BOT_OPEN_ID, ENCRYPT_KEY, SIGNED_AT, Size, TOKEN};
use crate::sealed::Sealed;
use crate::task::{Normal, Picked};

/// One thing to be measured. What `run` returns keeps the work from being
/// optimised away.
pub struct Case {
    /// `job/size`
    pub name: String,
    /// Does the job once.
    pub run: Box<dyn FnMut() -> usize>,
}

impl Case {
    /// A case for `job` at `size`.
    pub fn new(job: &str, size: Size, run: impl FnMut() -> usize + 'static) -> Self {
        Self {
            name: format!("{job}/{}", size.name()),
            run: Box::new(run),
        }
    }
}

/// Every case of ours, at every size that the figures name.
#[must_use]
pub fn cases() -> Vec<Case> {
    Size::ALL.into_iter().flat_map(cases_at).collect()
}

/// The cases of ours at one size.
#[must_use]
pub fn cases_at(size: Size) -> [Case; 8] {
    let (frame, payload) = (size.frame(), size.payload());
    let sealed = Sealed::new(&payload);
    [
        Case::new("memcpy", size, {
            let (frame, mut copy) = (frame.clone(), size.frame());
            move || {
                copy.copy_from_slice(black_box(&frame));
                black_box(&copy).len()
            }
        }),
        Case::new("decode", size, {
            let frame = frame.clone();
            move || black_box(decode(black_box(&frame))).payload.len()
        }),
        Case::new("decode+ack", size, {
            let (frame, mut out) = (frame.clone(), Vec::with_capacity(1024));
            move || {
                decode_and_acknowledge(black_box(&frame), &mut out);
                black_box(&out).len()
            }
        }),
        Case::new("machine", size, {
            let (frame, mut link) = (frame.clone(), Link::open());
            move || {
                black_box(link.deliver_and_acknowledge(black_box(&frame), |payload| {
                    black_box(payload);
                }))
                .len()
            }
        }),
        Case::new("normalise", size, {
            let (payload, mut work) = (payload.clone(), Work::default());
            move || {
                normalise(black_box(payload.as_bytes()), &mut work, |normal| {
                    black_box(normal).text.len()
                })
            }
        }),
        Case::new("frame-to-ack", size, {
            let (mut link, mut work) = (Link::open(), Work::default());
            move || {
                let ack = link.deliver_and_acknowledge(black_box(&frame), |payload| {
                    normalise(payload, &mut work, |normal| {
                        black_box(normal);
                    });
                });
                black_box(ack).len()
            }
        }),
        Case::new("webhook-plain", size, {
            let (verifier, mut scratch) = (verifier(None), Vec::new());
            move || verify_plain(&verifier, black_box(payload.as_bytes()), &mut scratch)
        }),
        Case::new("webhook-encrypted", size, {
            let (verifier, mut scratch) = (verifier(Some(ENCRYPT_KEY)), Vec::new());
            move || verify(&verifier, black_box(&sealed), &mut scratch)
        }),
    ]
}

/// A frame, decoded and read.
///
/// # Panics
/// When it is not a frame.
#[must_use]
pub fn decode(message: &[u8]) -> Picked<'_> {
    let frame = Frame::decode(message, &Limits::default()).expect("a frame");
    pick(&frame)
}

/// A frame decoded, read and acknowledged, without the
/// machine.
///
/// # Panics
/// When it is not a frame.
pub fn decode_and_acknowledge(message: &[u8], out: &mut Vec<u8>) {
    let frame = Frame::decode(message, &Limits::default()).expect("a frame");
    black_box(pick(&frame));
    out.clear();
    frame
        .acknowledge(0, Outcome::Done, out)
        .expect("a Vec has no bound");
}

fn pick<'a>(frame: &Frame<'a>) -> Picked<'a> {
    Picked {
        seq_id: frame.seq_id,
        log_id: frame.log_id,
        service: frame.service,
        method: frame.method.to_i32(),
        kind: frame.header("type").unwrap_or_default(),
        push_id: frame.header("message_id").unwrap_or_default(),
        trace_id: frame.header("trace_id").unwrap_or_default(),
        sum: frame.sum().unwrap_or(1),
        seq: frame.seq().unwrap_or(0),
        payload: frame.payload.unwrap_or_default(),
    }
}

/// The machine with an open link, as a driver has it.
pub struct Link {
    machine: Connection<HeapMemory>,
    epoch: Epoch,
    now: Instant,
    out: Vec<u8>,
}

impl Link {
    /// Brings a link up.
    ///
    /// # Panics
    /// When the machine asks for no endpoint.
    #[must_use]
    pub fn open() -> Self {
        let now = Instant::from_millis(0);
        let mut machine = Connection::new(now, Config::default(), 1, HeapMemory::default());
        let mut scratch = Vec::new();
        machine.handle_timeout(now);
        let mut current = None;
        while let Some(output) = machine.poll_output(now, &mut scratch) {
            if let Output::FetchEndpoint(epoch) = output {
                current = Some(epoch);
            }
        }
        let epoch = current.expect("the first attempt");
        let body = br#"{"code":0,"data":{"URL":"wss://gw.feishu.cn/?service_id=1"}}"#;
        machine.handle_endpoint(now, epoch, EndpointReply::Http { status: 200, body });
        machine.handle_open(now, epoch);
        while machine.poll_output(now, &mut scratch).is_some() {}
        Self {
            machine,
            epoch,
            now,
            out: Vec::with_capacity(1024),
        }
    }

    /// A message in, its payload handed to `take`, its acknowledgement out.
    ///
    /// # Panics
    /// When the message delivers nothing.
    pub fn deliver_and_acknowledge(&mut self, message: &[u8], take: impl FnOnce(&[u8])) -> &[u8] {
        self.out.clear();
        let delivery = self.machine.handle_message(self.now, self.epoch, message);
        let delivery = delivery.expect("an event");
        black_box((delivery.kind, delivery.push_id, delivery.trace_id));
        take(delivery.payload);
        let token = delivery.token;
        self.machine
            .acknowledge(self.now, token, Outcome::Done, &mut self.out)
            .expect("an open link");
        &self.out
    }
}

/// Buffers that outlive one message.
#[derive(Debug, Default)]
pub struct Work {
    scratch: String,
    text: String,
}

/// An event's JSON as a message: the one place where the benches normalise.
///
/// # Panics
/// When it is no message event, or an id in it has escapes.
pub fn normalise<R>(payload: &[u8], work: &mut Work, take: impl FnOnce(&Normal<'_>) -> R) -> R {
    let event = Event::parse(payload).expect("an event");
    let EventKind::Message(message) = &event.kind else {
        panic!("not a message");
    };
    let identity = Identity {
        open_id: BOT_OPEN_ID,
        app_id: APP_ID,
    };
    let Work { scratch, text } = work;
    let normalized = message
        .normalize(identity, scratch, text, &mut |_| {})
        .expect("a String has no bound");
    fn plain(text: Option<JsonStr<'_>>) -> &str {
        text.map_or("", |text| text.as_plain().expect("an id"))
    }
    take(&Normal {
        event_id: plain(event.event_id),
        event_type: plain(event.event_type),
        token: plain(event.token),
        app_id: plain(event.app_id),
        tenant_key: plain(event.tenant_key),
        message_id: plain(message.message_id),
        create_time_ms: message.create_time_ms.unwrap_or_default(),
        chat_id: plain(message.chat_id),
        chat_type: plain(message.chat_type),
        message_type: plain(message.message_type),
        sender_open_id: plain(message.sender_open_id),
        sender_type: plain(message.sender_type),
        mentions_bot: normalized.mentions_bot,
        text,
    })
}

/// A verifier with the token of every event here, and perhaps a key.
///
/// # Panics
/// When a secret is too long.
#[must_use]
pub fn verifier(encrypt_key: Option<&str>) -> Verifier {
    Verifier::new(Some(TOKEN), encrypt_key).expect("short secrets")
}

/// A plain body, checked; returns the length of what may be acted on.
///
/// # Panics
/// When the verifier refuses it.
pub fn verify_plain(verifier: &Verifier, body: &[u8], scratch: &mut Vec<u8>) -> usize {
    let now = UnixMillis(SIGNED_AT * 1000);
    match verifier.verify(now, proto_core::SignatureHeaders::default(), body, scratch) {
        Ok(Verdict::Event(event)) => black_box(event.as_bytes()).len(),
        other => panic!("not an event: {other:?}"),
    }
}

/// An encrypted and signed body, checked and opened; returns the length of the
/// event.
///
/// # Panics
/// When the verifier refuses it.
pub fn verify(verifier: &Verifier, sealed: &Sealed, scratch: &mut Vec<u8>) -> usize {
    let now = UnixMillis(SIGNED_AT * 1000);
    match verifier.verify(now, sealed.headers(), sealed.body.as_bytes(), scratch) {
        Ok(Verdict::Event(event)) => black_box(event.as_bytes()).len(),
        other => panic!("not an event: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_does_its_job() {
        for mut case in cases() {
            for _ in 0..3 {
                assert!((case.run)() > 0, "{}", case.name);
            }
        }
    }

    #[test]
    fn the_machine_and_the_plain_encoder_write_the_same_acknowledgement() {
        for size in Size::ALL {
            let (frame, mut out) = (size.frame(), Vec::new());
            decode_and_acknowledge(&frame, &mut out);
            let mut link = Link::open();
            assert_eq!(link.deliver_and_acknowledge(&frame, |_| ()), out);
        }
    }

    #[test]
    fn what_is_said_comes_out() {
        normalise(
            Size::Small.payload().as_bytes(),
            &mut Work::default(),
            |normal| {
                assert!(
                    normal
                        .text
                        .starts_with("帮我总结一下昨天的会议:\n1. 谁说了\"可以\"\n")
                );
                assert!(normal.mentions_bot);
            },
        );
    }
}
