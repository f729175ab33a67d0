//! Any bytes as a frame: what decodes encodes to the same meaning.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto_core::{Frame, FrameFields, Limits};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let Ok(frame) = Frame::decode(bytes, &limits) else {
        return;
    };
    let mut canonical = Vec::new();
    FrameFields::from(&frame)
        .encode(frame.headers(), &mut canonical)
        .expect("a Vec has no bound");
    let again = Frame::decode(&canonical, &limits).expect("what we write we read");
    assert_eq!(FrameFields::from(&again), FrameFields::from(&frame));
    assert!(again.headers().eq(frame.headers()));
});
