//! Messages in, acknowledgements out.

use prost::Message as _;
use proto_core::conn::{AckError, Discard, Encoding, Epoch, Event};
use proto_core::{Frame, Instant};

use super::judge;
use super::parts::Joining;
use super::{ACKS, LIMITS, Model, State};
use crate::operation::{Message, Reply};
use crate::support::{PlainFrame, Said};

/// A complete event that came in.
pub(crate) struct Push {
    pub(super) frame: PlainFrame,
    pub(super) at: Instant,
    pub(super) waits: bool,
}

/// What the application gets to see of a push.
#[derive(Debug, PartialEq)]
pub(crate) struct Delivered {
    pub(crate) kind: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) encoding: Encoding,
    pub(crate) push_id: String,
    pub(crate) trace_id: String,
    pub(crate) parts: u32,
}

impl Model {
    pub(crate) fn message(
        &mut self,
        now: Instant,
        epoch: Epoch,
        message: &Message,
    ) -> (Option<Delivered>, Vec<Said>) {
        if !self.hears(epoch) {
            return (None, Vec::new());
        }
        self.stats.messages += 1;
        let frame = match message {
            Message::Frame(frame) => frame,
            Message::Garbage(bytes) => {
                self.stats.bad_frames += 1;
                let error = Frame::decode(bytes, &LIMITS).unwrap_err();
                return (None, vec![Said::Event(Event::BadFrame(error))]);
            }
        };
        match (frame.method, header(frame, "type")) {
            (0, "pong") => {
                self.stats.pongs += 1;
                let stated = judge::stated(frame.payload.as_deref().unwrap_or_default());
                (None, self.told(now, &stated))
            }
            (1, "event" | "card") => self.push(now, frame),
            _ => {
                self.stats.ignored += 1;
                (None, Vec::new())
            }
        }
    }

    fn push(&mut self, now: Instant, frame: &PlainFrame) -> (Option<Delivered>, Vec<Said>) {
        let (id, payload) = (header(frame, "message_id"), frame.payload.as_deref());
        let number = |key, absent| match header(frame, key) {
            "" => Some(absent),
            text => text.parse::<u32>().ok(),
        };
        let joining = match (number("sum", 1), number("seq", 0)) {
            (Some(0 | 1), Some(_)) => Joining::Complete(payload.unwrap_or_default().to_vec()),
            (Some(sum), Some(seq)) => {
                self.parts
                    .take(now, id, sum, seq, payload.unwrap_or_default())
            }
            _ => Joining::Dropped(Discard::Impossible),
        };
        let payload = match joining {
            Joining::Complete(payload) => payload,
            Joining::Waits => return (None, Vec::new()),
            Joining::Double => {
                self.stats.doubles += 1;
                return (None, Vec::new());
            }
            Joining::Dropped(why) => {
                self.stats.discarded += 1;
                return (None, vec![Said::Event(Event::Discarded(why))]);
            }
        };
        if self.in_flight() == ACKS {
            self.stats.shed += 1;
            return (None, Vec::new());
        }
        let push = |waits| Push {
            frame: frame.clone(),
            at: now,
            waits,
        };
        let encoding = match frame.payload_encoding.as_deref() {
            None | Some("") => Encoding::Identity,
            Some("gzip") => Encoding::Gzip,
            Some(_) => {
                // Nobody can read it: refused at once.
                self.stats.ignored += 1;
                self.pushes.push(push(false));
                let refusal = frame.clone().acknowledged(0, br#"{"code":500}"#);
                return (None, vec![Said::Send(refusal.encode_to_vec())]);
            }
        };
        let parts = number("sum", 1).unwrap_or_default().max(1);
        if parts > 1 {
            self.parts.remember(now, id, self.pushes.len());
        }
        self.pushes.push(push(true));
        self.stats.delivered += 1;
        let delivered = Delivered {
            kind: header(frame, "type").to_owned(),
            payload,
            encoding,
            push_id: id.to_owned(),
            trace_id: header(frame, "trace_id").to_owned(),
            parts,
        };
        (Some(delivered), Vec::new())
    }

    /// Redeems the token of a push; what is written has `room` bytes.
    pub(crate) fn acknowledge(
        &mut self,
        now: Instant,
        index: usize,
        reply: &Reply,
        room: usize,
    ) -> Result<Vec<u8>, AckError> {
        let Some(push) = self.pushes.get_mut(index).filter(|push| push.waits) else {
            return Err(AckError::TooLate);
        };
        push.waits = false;
        if !matches!(self.state, State::Open(_)) {
            self.parts.forget(index);
            self.stats.link_lost += 1;
            return Err(AckError::LinkDown);
        }
        let payload = match reply {
            Reply::Done => r#"{"code":200}"#.to_owned(),
            Reply::Answer(json) => format!(r#"{{"code":200,"data":"{}"}}"#, base64(json)),
            Reply::Failed => r#"{"code":500}"#.to_owned(),
        };
        let ack = push.acknowledgement(now, payload.as_bytes());
        if ack.len() > room {
            self.parts.forget(index);
            self.stats.overdue += 1;
            return Err(AckError::BufferFull);
        }
        if matches!(reply, Reply::Failed) {
            self.parts.forget(index);
        }
        self.stats.acknowledged += 1;
        Ok(ack)
    }

    /// Between the oldest push that waits and the newest.
    pub(crate) fn in_flight(&self) -> usize {
        let settled = self.pushes.iter().take_while(|push| !push.waits);
        self.pushes.len() - settled.count()
    }
}

impl Push {
    pub(super) fn acknowledgement(&self, now: Instant, payload: &[u8]) -> Vec<u8> {
        let took = u64::try_from((now - self.at).as_millis()).unwrap();
        self.frame
            .clone()
            .acknowledged(took, payload)
            .encode_to_vec()
    }
}

/// The first header of this name, or none.
fn header<'a>(frame: &'a PlainFrame, key: &str) -> &'a str {
    let found = frame.headers.iter().find(|header| header.key == key);
    found.map_or("", |header| &header.value)
}

/// Six bits a letter, and padded to four letters.
fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = text.bytes().map(|byte| format!("{byte:08b}")).collect();
    let letter = |six: &[u8]| {
        let six = std::str::from_utf8(six).unwrap();
        char::from(LETTERS[usize::from_str_radix(&format!("{six:0<6}"), 2).unwrap()])
    };
    let letters: String = bits.as_bytes().chunks(6).map(letter).collect();
    let whole = letters.len().next_multiple_of(4);
    format!("{letters:=<whole$}")
}
