//! The acknowledgement: the received frame again, with one header and another
//! payload.
//!
//! The bytes of the received frame are echoed as they came, so nothing is
//! re-parsed and nothing is lost: not an unknown field, not the order of the
//! headers, of which `instance_id` names the machine the answer must reach.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::decode::Layout;
use super::encode::bytes_field_start;
use super::reader::Reader;
use super::{Frame, field};
use crate::{Buffer, BufferFull};

/// What of a received frame goes back with its acknowledgement, as lengths of
/// three runs that lie one behind the other in a caller's buffer: up to the
/// last header, from there to the payload, and what followed the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AckTemplate {
    head: u32,
    middle: u32,
    tail: u32,
}

impl AckTemplate {
    /// Appends the echoed bytes of `frame` to `out`.
    pub(crate) fn write(frame: &Frame<'_>, out: &mut impl Buffer) -> Result<Self, BufferFull> {
        let start = out.as_bytes().len();
        let written = if frame.layout.regular {
            Self::write_verbatim(frame, out)
        } else {
            Self::write_sorted(frame, out)
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// How many bytes of the frame are echoed.
    pub(crate) const fn len(self) -> usize {
        self.head as usize + self.middle as usize + self.tail as usize
    }

    fn write_verbatim(frame: &Frame<'_>, out: &mut impl Buffer) -> Result<Self, BufferFull> {
        let Layout {
            head, middle, tail, ..
        } = frame.layout;
        out.append(head)?;
        out.append(middle)?;
        out.append(tail)?;
        Ok(Self {
            head: length(head.len())?,
            middle: length(middle.len())?,
            tail: length(tail.len())?,
        })
    }

    /// For frames whose fields come in an order that no known encoder writes.
    #[cold]
    #[inline(never)]
    fn write_sorted(frame: &Frame<'_>, out: &mut impl Buffer) -> Result<Self, BufferFull> {
        let start = out.as_bytes().len();
        append_fields(&frame.layout, is_up_to_headers, out)?;
        let head_end = out.as_bytes().len();
        append_fields(&frame.layout, is_behind_headers, out)?;
        let tail_end = out.as_bytes().len();
        Ok(Self {
            head: length(head_end - start)?,
            middle: 0,
            tail: length(tail_end - head_end)?,
        })
    }

    /// Appends the acknowledgement frame: `echoed` is what [`Self::write`] put
    /// down.
    pub(crate) fn encode(
        self,
        echoed: &[u8],
        biz_rt_ms: u64,
        outcome: Outcome<'_>,
        out: &mut impl Buffer,
    ) -> Result<(), BufferFull> {
        let start = out.as_bytes().len();
        let written = self.encode_all(echoed, biz_rt_ms, outcome, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn encode_all(
        self,
        echoed: &[u8],
        biz_rt_ms: u64,
        outcome: Outcome<'_>,
        out: &mut impl Buffer,
    ) -> Result<(), BufferFull> {
        let (head, rest) = split(echoed, self.head);
        let (middle, tail) = split(rest, self.middle);
        write(head, middle, tail, biz_rt_ms, outcome, out)
    }
}

impl Frame<'_> {
    /// Appends the acknowledgement of this frame: for callers that keep the
    /// frame until they answer it. The machine's
    /// [`acknowledge`](crate::conn::Connection::acknowledge) does not need it
    /// any more.
    ///
    /// `biz_rt_ms` is how long it took to come to the outcome, in ms.
    ///
    /// # Errors
    /// [`BufferFull`]; the buffer is then unchanged.
    pub fn acknowledge(
        &self,
        biz_rt_ms: u64,
        outcome: Outcome<'_>,
        out: &mut impl Buffer,
    ) -> Result<(), BufferFull> {
        let start = out.as_bytes().len();
        let written = if self.layout.regular {
            let layout = &self.layout;
            write(
                layout.head,
                layout.middle,
                layout.tail,
                biz_rt_ms,
                outcome,
                out,
            )
        } else {
            self.acknowledge_sorted(biz_rt_ms, outcome, out)
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    #[cold]
    #[inline(never)]
    fn acknowledge_sorted(
        &self,
        biz_rt_ms: u64,
        outcome: Outcome<'_>,
        out: &mut impl Buffer,
    ) -> Result<(), BufferFull> {
        append_fields(&self.layout, is_up_to_headers, out)?;
        append_biz_rt(biz_rt_ms, out)?;
        append_payload(outcome, out)?;
        append_fields(&self.layout, is_behind_headers, out)
    }
}

/// Appends the chosen fields of a frame as they came, in the order they came.
fn append_fields(
    layout: &Layout<'_>,
    is_chosen: impl Fn(u32) -> bool,
    out: &mut impl Buffer,
) -> Result<(), BufferFull> {
    for run in [layout.head, layout.middle, layout.tail] {
        let mut reader = Reader::new(run, 0);
        while !reader.is_empty() {
            let start = reader.offset();
            let field = reader
                .tag()
                .and_then(|(number, wire)| reader.skip(number, wire).map(|()| number));
            // The frame was decoded, so this cannot fail.
            let Ok(number) = field else { break };
            if is_chosen(number) {
                let field = run.get(start..reader.offset());
                out.append(field.unwrap_or_default())?;
            }
        }
    }
    Ok(())
}

const fn is_up_to_headers(number: u32) -> bool {
    number <= field::HEADERS
}

/// Unknown fields among them. The payload is replaced.
const fn is_behind_headers(number: u32) -> bool {
    number > field::HEADERS && number != field::PAYLOAD
}

/// Echoes the three runs, with the new header behind the first and the new
/// payload behind the second.
fn write(
    head: &[u8],
    middle: &[u8],
    tail: &[u8],
    biz_rt_ms: u64,
    outcome: Outcome<'_>,
    out: &mut impl Buffer,
) -> Result<(), BufferFull> {
    out.append(head)?;
    match (outcome, middle) {
        // As Feishu writes frames, the payload is next to the headers.
        (Outcome::Done, []) => append_biz_rt_and(biz_rt_ms, Some(&DONE), out)?,
        _ => {
            append_biz_rt(biz_rt_ms, out)?;
            out.append(middle)?;
            append_payload(outcome, out)?;
        }
    }
    out.append(tail)
}

fn append_payload(outcome: Outcome<'_>, out: &mut impl Buffer) -> Result<(), BufferFull> {
    match outcome {
        Outcome::Done => out.append(&DONE),
        Outcome::Failed => out.append(&FAILED),
        Outcome::Answer(json) => append_answer(json, out),
    }
}

/// Payload fields that are always the same: tag, length, JSON.
const DONE: [u8; 14] = *b"\x42\x0c{\"code\":200}";
const FAILED: [u8; 14] = *b"\x42\x0c{\"code\":500}";

/// The answer in base64, wrapped in JSON.
fn append_answer(json: &[u8], out: &mut impl Buffer) -> Result<(), BufferFull> {
    const START: &[u8] = br#"{"code":200,"data":""#;
    const END: &[u8] = br#""}"#;
    let base64_len = json.len().div_ceil(3) * 4;
    bytes_field_start(out, field::PAYLOAD, START.len() + base64_len + END.len())?;
    out.append(START)?;
    // 48 bytes become 64 characters, so no piece but the last is padded.
    for piece in json.chunks(48) {
        let mut text = [0_u8; 64];
        let len = STANDARD
            .encode_slice(piece, &mut text)
            .map_err(|_| BufferFull)?;
        out.append(text.get(..len).unwrap_or_default())?;
    }
    out.append(END)
}

/// Appends the header `biz_rt`: how long the handler took.
fn append_biz_rt(millis: u64, out: &mut impl Buffer) -> Result<(), BufferFull> {
    append_biz_rt_and(millis, None, out)
}

/// Appends the header `biz_rt` and the payload's field in one piece.
fn append_biz_rt_and(
    millis: u64,
    payload: Option<&[u8; DONE.len()]>,
    out: &mut impl Buffer,
) -> Result<(), BufferFull> {
    const START: [u8; 12] = *b"\x2a\x00\x0a\x06biz_rt\x12\x00";
    /// Digits of the largest u64.
    const DIGITS_MAX: usize = 20;
    const HEADER_MAX: usize = START.len() + DIGITS_MAX;
    let mut fields = [0; HEADER_MAX + DONE.len()];
    let (header, end) = fields.split_at_mut(HEADER_MAX);
    let mut written = HEADER_MAX;
    if let (Some(payload), Some(end)) = (payload, end.first_chunk_mut()) {
        *end = *payload;
        written += payload.len();
    }
    // Written from the end, the digits first.
    let mut left = millis;
    let mut count = 0_u8;
    for digit in header.iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
        count += 1;
        if left == 0 {
            break;
        }
    }
    let start = DIGITS_MAX - usize::from(count);
    if let Some(head) = header.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
        *head = START;
        head[1] = 10 + count;
        head[11] = count;
    }
    out.append(fields.get(start..written).unwrap_or_default())
}

/// How a delivery ended: the JSON that its acknowledgement carries.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// It is safe: `{"code":200}`.
    Done,
    /// It is safe, and this JSON document goes back in base64, as card
    /// callbacks need.
    Answer(&'a [u8]),
    /// It could not be made safe: `{"code":500}`, so that Feishu pushes it
    /// again.
    Failed,
}

fn length(len: usize) -> Result<u32, BufferFull> {
    u32::try_from(len).map_err(|_| BufferFull)
}

fn split(bytes: &[u8], at: u32) -> (&[u8], &[u8]) {
    bytes.split_at_checked(at as usize).unwrap_or((bytes, &[]))
}
