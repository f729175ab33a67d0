//! Single frames, for those who look at them: the machine needs none of this.

use proto_core::{Frame, FrameFields, Limits};

use crate::call;

/// Whether the input is a frame; otherwise the output says why not.
///
/// The output is what the frame says, in little-endian order: `SeqID` and
/// `LogID` in 8 bytes each, `service` and `method` in 4 each, then texts:
/// `payload_encoding`, `payload_type`, `payload`, `LogIDNew`, and of each header
/// key and value. A text is its length in 4 bytes, -1 for one that is absent,
/// and its bytes.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn decode_frame(message: i32) -> bool {
    call(|mut inputs, _, output| {
        let message = inputs.bytes(message).unwrap_or_default();
        match Frame::decode(message, &Limits::default()) {
            Ok(frame) => describe(&frame, output),
            Err(error) => {
                output.extend_from_slice(error.to_string().as_bytes());
                return false;
            }
        }
        true
    })
}

/// Whether the input is a frame; the output is how the official encoders write
/// the same frame.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn reencode_frame(message: i32) -> bool {
    call(|mut inputs, _, output| {
        let message = inputs.bytes(message).unwrap_or_default();
        Frame::decode(message, &Limits::default()).is_ok_and(|frame| {
            FrameFields::from(&frame)
                .encode(frame.headers(), output)
                .is_ok()
        })
    })
}

fn describe(frame: &Frame<'_>, output: &mut Vec<u8>) {
    for id in [frame.seq_id, frame.log_id] {
        output.extend_from_slice(&id.to_le_bytes());
    }
    for number in [frame.service, frame.method.to_i32()] {
        output.extend_from_slice(&number.to_le_bytes());
    }
    for text in [
        frame.payload_encoding.map(str::as_bytes),
        frame.payload_type.map(str::as_bytes),
        frame.payload,
        frame.log_id_new().map(str::as_bytes),
    ] {
        put(text, output);
    }
    for header in frame.headers() {
        put(Some(header.key.as_bytes()), output);
        put(Some(header.value.as_bytes()), output);
    }
}

fn put(text: Option<&[u8]>, output: &mut Vec<u8>) {
    let len = text.map_or(-1, |text| text.len() as i32);
    output.extend_from_slice(&len.to_le_bytes());
    output.extend_from_slice(text.unwrap_or_default());
}
