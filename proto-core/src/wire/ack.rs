//! The acknowledgement: the received frame again, with one header and another
//! payload.
//!
//! The bytes of the received frame are echoed as they came, so nothing is
//! re-parsed and nothing is lost: not an unknown field, not the order of the
//! headers, of which `instance_id` names the machine the answer must reach.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::encode::{bytes_field_start, header_field};
use super::{Frame, FrameFields, Header, field, header};
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
            Self::write_canonical(frame, out)
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
        let layout = &frame.layout;
        let (headers_end, (payload_start, payload_end)) = (layout.headers.1, layout.payload);
        let run = |from: usize, to: usize| layout.message.get(from..to).unwrap_or_default();
        let head = run(0, headers_end);
        let middle = run(headers_end, payload_start);
        let tail = run(payload_end, layout.message.len());
        out.append(head)?;
        out.append(middle)?;
        out.append(tail)?;
        Ok(Self {
            head: length(head.len())?,
            middle: length(middle.len())?,
            tail: length(tail.len())?,
        })
    }

    /// For frames whose fields come in an order that no known encoder writes:
    /// known fields in canonical order, unknown ones left out.
    fn write_canonical(frame: &Frame<'_>, out: &mut impl Buffer) -> Result<Self, BufferFull> {
        let fields = FrameFields::from(frame);
        let start = out.as_bytes().len();
        fields.encode_head(frame.headers(), out)?;
        let head_end = out.as_bytes().len();
        fields.encode_middle(out)?;
        let middle_end = out.as_bytes().len();
        fields.encode_tail(out)?;
        let tail_end = out.as_bytes().len();
        Ok(Self {
            head: length(head_end - start)?,
            middle: length(middle_end - head_end)?,
            tail: length(tail_end - middle_end)?,
        })
    }

    /// Appends the acknowledgement frame: `echoed` is what [`Self::write`] put
    /// down.
    pub(crate) fn encode(
        self,
        echoed: &[u8],
        biz_rt_ms: u64,
        payload: AckPayload<'_>,
        out: &mut impl Buffer,
    ) -> Result<(), BufferFull> {
        let start = out.as_bytes().len();
        let written = self.encode_all(echoed, biz_rt_ms, payload, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn encode_all(
        self,
        echoed: &[u8],
        biz_rt_ms: u64,
        payload: AckPayload<'_>,
        out: &mut impl Buffer,
    ) -> Result<(), BufferFull> {
        let (head, rest) = split(echoed, self.head);
        let (middle, tail) = split(rest, self.middle);
        out.append(head)?;
        let mut digits = heapless::String::<20>::new();
        // Twenty digits hold every u64, so this cannot fail.
        let _ = core::fmt::write(&mut digits, format_args!("{biz_rt_ms}"));
        let header = Header {
            key: header::BIZ_RT,
            value: &digits,
        };
        header_field(out, header)?;
        out.append(middle)?;
        bytes_field_start(out, field::PAYLOAD, payload.len())?;
        payload.append_to(out)?;
        out.append(tail)
    }
}

/// The JSON that an acknowledgement carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AckPayload<'a> {
    /// `{"code":200}`
    Success,
    /// `{"code":200,"data":"<base64 of this JSON document>"}`
    Answer(&'a [u8]),
    /// `{"code":500}`: Feishu pushes the event again.
    Failure,
}

impl AckPayload<'_> {
    const ANSWER_START: &'static [u8] = br#"{"code":200,"data":""#;
    const ANSWER_END: &'static [u8] = br#""}"#;

    const fn fixed(&self) -> &'static [u8] {
        match self {
            Self::Success => br#"{"code":200}"#,
            Self::Failure => br#"{"code":500}"#,
            Self::Answer(_) => Self::ANSWER_START,
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Success | Self::Failure => self.fixed().len(),
            Self::Answer(json) => {
                let base64 = json.len().div_ceil(3) * 4;
                Self::ANSWER_START.len() + base64 + Self::ANSWER_END.len()
            }
        }
    }

    fn append_to(&self, out: &mut impl Buffer) -> Result<(), BufferFull> {
        out.append(self.fixed())?;
        let Self::Answer(json) = self else {
            return Ok(());
        };
        // 48 bytes become 64 characters, so no piece but the last is padded.
        for piece in json.chunks(48) {
            let mut text = [0_u8; 64];
            let len = STANDARD
                .encode_slice(piece, &mut text)
                .map_err(|_| BufferFull)?;
            out.append(text.get(..len).unwrap_or_default())?;
        }
        out.append(Self::ANSWER_END)
    }
}

fn length(len: usize) -> Result<u32, BufferFull> {
    u32::try_from(len).map_err(|_| BufferFull)
}

fn split(bytes: &[u8], at: u32) -> (&[u8], &[u8]) {
    bytes.split_at_checked(at as usize).unwrap_or((bytes, &[]))
}
