//! Frames as any encoder might write them: fields in any order, doubled,
//! unknown, padded; and a plain reader that cuts a message into its fields.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message as _;

use crate::support::{PlainFrame, PlainHeader};

/// A frame whose fields are what prost can write.
pub(crate) fn plain_frames() -> impl Strategy<Value = PlainFrame> {
    let text = || proptest::option::of("\\PC{0,8}");
    (
        (number(), number(), any::<i32>(), method()),
        vec(headers(), 0..6),
        (text(), text(), text()),
        proptest::option::of(vec(any::<u8>(), 0..300)),
    )
        .prop_map(|(ids, headers, texts, payload)| PlainFrame {
            seq_id: ids.0,
            log_id: ids.1,
            service: ids.2,
            method: ids.3,
            headers,
            payload_encoding: texts.0,
            payload_type: texts.1,
            payload,
            log_id_new: texts.2,
        })
}

/// Zeros and other ends of the range are what encoders get wrong.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..300_u64, Just(u64::MAX), any::<u64>()]
}

fn method() -> impl Strategy<Value = i32> {
    prop_oneof![3 => 0..2_i32, 1 => any::<i32>()]
}

/// Names that mean something, also twice; values whose length takes two bytes.
fn headers() -> impl Strategy<Value = PlainHeader> {
    let key = prop_oneof![3 => proptest::sample::select(NAMES.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,12}"];
    let value = prop_oneof![8 => "\\PC{0,12}", 1 => "\\PC{60,140}"];
    (key, value).prop_map(|(key, value)| PlainHeader::new(&key, &value))
}

/// The headers that the core reads.
pub(crate) const NAMES: [&str; 5] = ["type", "message_id", "trace_id", "sum", "seq"];

/// One field as it is on the wire, tag included.
pub(crate) type Field = Vec<u8>;

/// A field that no version of the frame has, of any wire type.
pub(crate) fn unknown_fields() -> impl Strategy<Value = Field> {
    let number = || prop_oneof![10..20_u32, Just(0x1fff_ffff), 16..3000_u32];
    let scalar = prop_oneof![
        (number(), any::<u64>())
            .prop_map(|(number, value)| [key(number, 0), varint(value)].concat()),
        (number(), any::<[u8; 8]>())
            .prop_map(|(number, value)| [&key(number, 1)[..], &value].concat()),
        (number(), vec(any::<u8>(), 0..20)).prop_map(|(number, value)| bytes_field(number, &value)),
        (number(), any::<[u8; 4]>())
            .prop_map(|(number, value)| [&key(number, 5)[..], &value].concat()),
    ];
    scalar.prop_recursive(3, 12, 4, move |inner| {
        (number(), vec(inner, 0..4))
            .prop_map(|(number, inner)| [key(number, 3), inner.concat(), key(number, 4)].concat())
    })
}

/// A message of many fields: those of a frame, some doubled, some padded, some
/// unknown, in order or not.
pub(crate) fn messages() -> impl Strategy<Value = Vec<Field>> {
    (
        // Two frames in one message are one frame of doubled fields.
        prop_oneof![3 => vec(plain_frames(), 1), 1 => vec(plain_frames(), 2)],
        vec((any::<Index>(), unknown_fields()), 0..4),
        proptest::option::weighted(0.5, vec((any::<Index>(), any::<Index>()), 1..8)),
        vec((any::<Index>(), 1..4_usize), 0..3),
        vec((any::<Index>(), unknown_fields()), 0..2),
    )
        .prop_map(|(frames, unknown, swaps, padded, in_headers)| {
            let mut all: Vec<Field> = frames
                .iter()
                .flat_map(|frame| fields(&frame.encode_to_vec()))
                .collect();
            for (at, field) in in_headers {
                let at = at.index(all.len());
                if number_of(&all[at]) == 5 {
                    all[at] = bytes_field(5, &[content(&all[at]), &field[..]].concat());
                }
            }
            for (at, pad) in padded {
                let at = at.index(all.len());
                pad_first_varint(&mut all[at], pad);
            }
            for (at, field) in unknown {
                all.insert(at.index(all.len() + 1), field);
            }
            for (one, other) in swaps.into_iter().flatten() {
                let (one, other) = (one.index(all.len()), other.index(all.len()));
                all.swap(one, other);
            }
            all
        })
}

/// What no encoder writes, and one thing that is only rare.
pub(crate) fn broken_fields() -> impl Strategy<Value = Field> {
    let nested = |deep: usize| [key(20, 3).repeat(deep), key(20, 4).repeat(deep)].concat();
    let header = |content: &[u8]| bytes_field(5, content);
    proptest::sample::select(vec![
        // Groups: unopened, unclosed, closed by another's end, very deep.
        key(20, 4),
        key(20, 3),
        [key(20, 3), key(21, 4)].concat(),
        [key(20, 3), key(21, 3), key(20, 4), key(21, 4)].concat(),
        nested(16),
        nested(17),
        // Wire types and numbers that don't exist.
        key(20, 6),
        key(20, 7),
        vec![0x00, 0x01],
        [varint(1 << 32), vec![0]].concat(),
        // Varints of too many bytes or bits, and the largest one.
        [key(20, 0), vec![0xff; 10], vec![0x01]].concat(),
        [key(20, 0), vec![0xff; 9], vec![0x02]].concat(),
        [key(20, 0), vec![0xff; 9], vec![0x01]].concat(),
        // Lengths past the end.
        [key(20, 2), varint(1 << 20)].concat(),
        [key(8, 2), varint(u64::MAX)].concat(),
        header(&[0x0a, 4, b'k', b'e', b'y', 0x12, 0]),
        // Not UTF-8, in a text that is known and in one that isn't.
        bytes_field(9, b"\xc3"),
        header(b"\x0a\x01\xc3\x12\x01v"),
        bytes_field(20, b"\xff"),
        // Known fields of another wire type.
        bytes_field(1, b"x"),
        [key(8, 0), varint(7)].concat(),
        [&key(5, 5)[..], &[0; 4]].concat(),
        header(&[0x08, 1, 0x12, 0]),
    ])
}

/// Takes a field out of a message, or out of a header of it.
pub(crate) fn remove(message: &mut Vec<Field>, at: &Index, inner: Option<Index>) {
    if message.is_empty() {
        return;
    }
    let at = at.index(message.len());
    match inner {
        Some(inner) if number_of(&message[at]) == 5 => {
            let mut parts = fields(content(&message[at]));
            parts.remove(inner.index(parts.len()));
            message[at] = bytes_field(5, &parts.concat());
        }
        _ => drop(message.remove(at)),
    }
}

/// Edits to the bytes of a message that an encoder would not make.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Repeat(Index, Index),
}

pub(crate) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = any::<Index>;
    let byte = || prop_oneof![any::<u8>(), Just(0x80), Just(0xff), 0..0x60_u8];
    let edit = prop_oneof![
        6 => (at(), byte()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        2 => (at(), byte()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        2 => at().prop_map(Edit::Remove),
        1 => at().prop_map(Edit::Cut),
        1 => (at(), at()).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ];
    prop_oneof![Just(Vec::new()), vec(edit, 1..4)]
}

impl Edit {
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        match self {
            _ if len == 0 => {}
            Self::Set(at, byte) => bytes[at.index(len)] = *byte,
            Self::Insert(at, byte) => bytes.insert(at.index(len), *byte),
            Self::Remove(at) => drop(bytes.remove(at.index(len))),
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                bytes.extend_from_within(from.min(to)..from.max(to));
            }
        }
    }
}

/// Cuts a well-formed message into its fields.
pub(crate) fn fields(mut message: &[u8]) -> Vec<Field> {
    let mut all = Vec::new();
    while !message.is_empty() {
        let (field, rest) = message.split_at(field_len(message));
        all.push(field.to_vec());
        message = rest;
    }
    all
}

/// The number of a field.
pub(crate) fn number_of(field: &[u8]) -> u64 {
    read_varint(field).0 >> 3
}

fn field_len(bytes: &[u8]) -> usize {
    let (key, start) = read_varint(bytes);
    let rest = &bytes[start..];
    start
        + match key & 7 {
            0 => read_varint(rest).1,
            1 => 8,
            2 => {
                let (len, start) = read_varint(rest);
                start + usize::try_from(len).unwrap()
            }
            3 => {
                let mut end = 0;
                while read_varint(&rest[end..]).0 & 7 != 4 {
                    end += field_len(&rest[end..]);
                }
                end + read_varint(&rest[end..]).1
            }
            5 => 4,
            other => panic!("wire type {other}"),
        }
}

/// What a length-delimited field holds.
fn content(field: &[u8]) -> &[u8] {
    let rest = &field[read_varint(field).1..];
    &rest[read_varint(rest).1..]
}

/// A varint and the number of its bytes.
fn read_varint(bytes: &[u8]) -> (u64, usize) {
    let len = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let digits = bytes[..len].iter().rev();
    (
        digits.fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f)),
        len,
    )
}

fn key(number: u32, wire_type: u64) -> Vec<u8> {
    varint(u64::from(number) << 3 | wire_type)
}

fn bytes_field(number: u32, content: &[u8]) -> Field {
    [&key(number, 2)[..], &varint(content.len() as u64), content].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Makes the varint behind a field's tag longer than it need be.
fn pad_first_varint(field: &mut Vec<u8>, pad: usize) {
    let start = read_varint(field).1;
    let len = read_varint(&field[start..]).1;
    let pad = pad.min(10 - len);
    if pad == 0 {
        return;
    }
    let last = start + len - 1;
    field[last] |= 0x80;
    let zeros = [vec![0x80; pad - 1], vec![0]].concat();
    field.splice(last + 1..last + 1, zeros);
}
