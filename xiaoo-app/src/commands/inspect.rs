//! `inspect`: what Feishu sends, one item a line, to one JSON object a line.
//!
//! Made to stand in a pipe: every line has exactly one answer, in order;
//! answers leave in batches, but none is held back while the next line is
//! waited for; work is linear in the input; a reader that goes away ends it
//! without a complaint.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use anyhow::{Context as _, bail};
use proto_core::{Frame, FrameFields, Identity, Json, Limits};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::cli::InspectCommand;
use crate::config::Env;

/// Runs one of the `inspect` commands until its input ends.
///
/// # Errors
/// When the Encrypt Key is not in the environment, `input` can't be read or
/// `output` can't be written to. What is wrong with a line is in its answer.
pub fn run(
    command: &InspectCommand,
    env: &dyn Env,
    input: impl Read,
    output: impl Write,
) -> anyhow::Result<()> {
    match command {
        InspectCommand::Frame => frames(input, output)?,
        InspectCommand::Event(args) => {
            let identity = Identity {
                open_id: &args.bot_open_id,
                app_id: &args.app_id,
            };
            events(identity, input, output)?;
        }
        InspectCommand::Decrypt(args) => {
            let name = &args.encrypt_key_env;
            let value = env.var(name);
            let value = value.with_context(|| format!("the variable {name} is not set"))?;
            let key = value.trim();
            if key.is_empty() {
                bail!("the variable {name} is empty");
            }
            bodies(&SecretString::from(key), input, output)?;
        }
    }
    Ok(())
}

/// Answers each line of hex with the frame it holds.
///
/// # Errors
/// When `input` can't be read or `output` can't be written to.
pub fn frames(input: impl Read, output: impl Write) -> io::Result<()> {
    let mut inspector = FrameInspector::default();
    answer_lines(input, output, LINE_BYTES_MAX, |line, answer| {
        inspector.answer(line, answer);
    })
}

/// Answers each event body with what the daemon understands of it.
///
/// # Errors
/// When `input` can't be read or `output` can't be written to.
pub fn events(identity: Identity<'_>, input: impl Read, output: impl Write) -> io::Result<()> {
    answer_lines(input, output, LINE_BYTES_MAX, |line, answer| {
        let event = proto_core::inspect_event_json(line, identity);
        answer.extend_from_slice(event.as_bytes());
    })
}

/// Answers each encrypted webhook body with its plain text.
///
/// # Errors
/// When `input` can't be read or `output` can't be written to.
pub fn bodies(encrypt_key: &SecretString, input: impl Read, output: impl Write) -> io::Result<()> {
    let mut plain = Vec::new();
    answer_lines(input, output, LINE_BYTES_MAX, |line, answer| {
        plain.clear();
        match decrypt(encrypt_key, line, &mut plain) {
            Ok(document) => {
                answer.extend_from_slice(br#"{"ok":true,"plain":"#);
                // Between tokens alone can there be a line break in JSON.
                let one_line = document.raw().bytes().map(|byte| match byte {
                    b'\n' | b'\r' => b' ',
                    other => other,
                });
                answer.extend(one_line);
                answer.push(b'}');
            }
            Err(why) => refuse(&why, answer),
        }
    })
}

/// Bytes of one line. A frame of 64 MiB in hex: eight times what the daemon
/// accepts, so that what it refuses can still be looked into.
pub const LINE_BYTES_MAX: usize = 128 << 20;

/// Answers are written when there are this many bytes of them, or when the
/// input has no whole line ready.
const BATCH_BYTES: usize = 64 << 10;

/// What reads take at once: the size of a pipe on Linux.
const READ_BYTES: usize = 64 << 10;

/// Calls `answer` for each line, without its end. It appends one JSON object.
fn answer_lines(
    input: impl Read,
    mut output: impl Write,
    line_bytes_max: usize,
    mut answer: impl FnMut(&[u8], &mut Vec<u8>),
) -> io::Result<()> {
    let mut input = BufReader::with_capacity(READ_BYTES, input);
    let mut line = Vec::new();
    let mut answers = Vec::new();
    loop {
        let may_block = !input.buffer().contains(&b'\n');
        if (may_block || answers.len() >= BATCH_BYTES)
            && let Some(end) = written(write_batch(&mut output, &mut answers))
        {
            return end;
        }
        line.clear();
        let limit = line_bytes_max as u64 + 1;
        if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() > line_bytes_max && !line.ends_with(b"\n") {
            input.skip_until(b'\n')?;
            refuse(
                &format!("line longer than {line_bytes_max} bytes"),
                &mut answers,
            );
        } else {
            answer(line.trim_ascii(), &mut answers);
        }
        answers.push(b'\n');
    }
}

fn write_batch(output: &mut impl Write, answers: &mut Vec<u8>) -> io::Result<()> {
    if answers.is_empty() {
        return Ok(());
    }
    output.write_all(answers)?;
    answers.clear();
    // One unusual line must not keep its memory for the rest of the input.
    answers.shrink_to(BATCH_BYTES * 4);
    output.flush()
}

/// `Some` is how it ends. Whoever closed the pipe has seen enough.
fn written(result: io::Result<()>) -> Option<io::Result<()>> {
    match result {
        Ok(()) => None,
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Some(Ok(())),
        Err(why) => Some(Err(why)),
    }
}

fn decrypt<'a>(
    key: &SecretString,
    line: &[u8],
    plain: &'a mut Vec<u8>,
) -> Result<Json<'a>, String> {
    let body = Json::parse(line).map_err(|why| format!("not JSON: {why}"))?;
    let encrypted = body.get_str("encrypt");
    let encrypted = encrypted.ok_or("there is no text under `encrypt`")?;
    proto_core::decrypt(key.expose_secret(), encrypted, plain).map_err(|why| why.to_string())?;
    Json::parse(plain).map_err(|why| format!("decrypted, but not JSON: {why}"))
}

/// Its buffers are used again for each line.
#[derive(Default)]
struct FrameInspector {
    bytes: Vec<u8>,
    canonical: Vec<u8>,
    payload_hex: String,
    canonical_hex: String,
}

impl FrameInspector {
    fn answer(&mut self, line: &[u8], answer: &mut Vec<u8>) {
        match self.inspect(line) {
            Ok(frame) => append_json(answer, &frame),
            Err(why) => refuse(&why, answer),
        }
    }

    fn inspect(&mut self, line: &[u8]) -> Result<FrameAnswer<'_>, String> {
        self.bytes.clear();
        decode_hex(line, &mut self.bytes)?;
        let limits = Limits {
            frame_bytes_max: LINE_BYTES_MAX / 2,
            ..Limits::default()
        };
        let frame = Frame::decode(&self.bytes, &limits).map_err(|why| why.to_string())?;
        self.canonical.clear();
        FrameFields::from(&frame)
            .encode(frame.headers(), &mut self.canonical)
            .map_err(|why| why.to_string())?;
        encode_hex(&self.canonical, &mut self.canonical_hex);
        encode_hex(frame.payload.unwrap_or_default(), &mut self.payload_hex);
        Ok(FrameAnswer {
            ok: true,
            frame: FrameView {
                seq_id: frame.seq_id,
                log_id: frame.log_id,
                service: frame.service,
                method: frame.method.to_i32(),
                headers: frame
                    .headers()
                    .map(|header| HeaderView {
                        key: header.key,
                        value: header.value,
                    })
                    .collect(),
                payload_encoding: frame.payload_encoding,
                payload_type: frame.payload_type,
                payload_hex: frame.payload.map(|_| self.payload_hex.as_str()),
                log_id_new: frame.log_id_new(),
            },
            canonical_hex: &self.canonical_hex,
        })
    }
}

#[derive(Serialize)]
struct FrameAnswer<'a> {
    ok: bool,
    frame: FrameView<'a>,
    canonical_hex: &'a str,
}

/// A frame under the names of its protobuf schema.
#[derive(Serialize)]
struct FrameView<'a> {
    #[serde(rename = "SeqID")]
    seq_id: u64,
    #[serde(rename = "LogID")]
    log_id: u64,
    service: i32,
    method: i32,
    headers: Vec<HeaderView<'a>>,
    payload_encoding: Option<&'a str>,
    payload_type: Option<&'a str>,
    payload_hex: Option<&'a str>,
    #[serde(rename = "LogIDNew")]
    log_id_new: Option<&'a str>,
}

#[derive(Serialize)]
struct HeaderView<'a> {
    key: &'a str,
    value: &'a str,
}

fn refuse(why: &str, answer: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Refusal<'a> {
        ok: bool,
        error: &'a str,
    }
    append_json(
        answer,
        &Refusal {
            ok: false,
            error: why,
        },
    );
}

/// Nothing here can fail to be JSON: names are fixed and memory takes any length.
fn append_json(answer: &mut Vec<u8>, value: &impl Serialize) {
    let written = serde_json::to_writer(answer, value);
    debug_assert!(written.is_ok(), "{written:?}");
}

fn decode_hex(text: &[u8], bytes: &mut Vec<u8>) -> Result<(), String> {
    let (pairs, rest) = text.as_chunks::<2>();
    bytes.reserve_exact(pairs.len());
    for (index, [high, low]) in pairs.iter().enumerate() {
        let (Some(upper), Some(lower)) = (nibble(*high), nibble(*low)) else {
            let (column, byte) = match nibble(*high) {
                None => (2 * index + 1, *high),
                Some(_) => (2 * index + 2, *low),
            };
            return Err(format!(
                "not hex: '{}' in column {column}",
                byte.escape_ascii()
            ));
        };
        bytes.push(upper << 4 | lower);
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err("not hex: an odd number of digits".to_owned())
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn encode_hex(bytes: &[u8], text: &mut String) {
    text.clear();
    text.reserve(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
}

const fn digit(nibble: u8) -> char {
    (match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    }) as char
}

#[cfg(test)]
#[path = "inspect/tests.rs"]
mod tests;
