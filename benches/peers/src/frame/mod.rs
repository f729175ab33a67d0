//! The frame by other codecs: decode, read, and write it back as its
//! acknowledgement. Each is used as its documentation shows.

pub mod buffa_view;
pub mod openlark;
pub mod prost_bytes;
pub mod prost_owned;
pub mod quick;
