//! buffa 0.9's borrowed views, generated from the schema.

use benches::task::{ACK_PAYLOAD, Picked};
use buffa::{MessageView as _, ViewEncode as _};
pub use generated::FrameView as Frame;
use generated::HeaderView;

#[allow(
    missing_docs,
    non_snake_case,
    unreachable_pub,
    unused_imports,
    reason = "generated"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/pbbp2.mod.rs"));
}

/// Decodes.
///
/// # Panics
/// When it is not a frame.
#[must_use]
pub fn decode(message: &[u8]) -> Frame<'_> {
    Frame::decode_view(message).expect("a frame")
}

/// Reads what a driver needs.
#[must_use]
pub fn pick<'a>(frame: &Frame<'a>) -> Picked<'a> {
    let mut picked = Picked {
        seq_id: frame.SeqID,
        log_id: frame.LogID,
        service: frame.service,
        method: frame.method,
        payload: frame.payload.unwrap_or_default(),
        ..Picked::default()
    };
    for header in &frame.headers {
        picked.header(header.key, header.value);
    }
    picked
}

/// Turns the frame into its acknowledgement.
#[must_use]
pub fn acknowledge(mut frame: Frame<'_>) -> Vec<u8> {
    frame.headers.push(HeaderView {
        key: "biz_rt",
        value: "0",
        ..HeaderView::default()
    });
    frame.payload = Some(ACK_PAYLOAD);
    frame.encode_to_vec()
}
