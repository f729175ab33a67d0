//! Answers questions about frames, events and webhook requests on stdin: one
//! JSON object a line, one JSON object back, in the same order.
//!
//! usage: differential-subject frames|events|decrypt|requests

mod events;
mod frames;
mod webhooks;

use std::error::Error;
use std::io::{BufRead as _, BufWriter, Write as _, stdin, stdout};

use serde_json::Value;

type Answer = Result<Value, Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    let answer: fn(&str) -> Answer = match std::env::args().nth(1).as_deref() {
        Some("frames") => frames::answer,
        Some("events") => events::answer,
        Some("decrypt") => webhooks::decrypted,
        Some("requests") => webhooks::judged,
        Some(_) | None => return Err("usage: frames|events|decrypt|requests".into()),
    };
    let mut out = BufWriter::new(stdout().lock());
    for line in stdin().lock().lines() {
        writeln!(out, "{}", answer(&line?)?)?;
    }
    out.flush()?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return Err("an odd number of hexadecimal digits".into());
    };
    pairs
        .iter()
        .map(|pair| Ok(u8::from_str_radix(core::str::from_utf8(pair)?, 16)?))
        .collect()
}

/// The name of an error's variant, without what it holds.
fn variant(error: &impl core::fmt::Debug) -> String {
    let shown = format!("{error:?}");
    let end = shown.find(|c: char| !c.is_alphanumeric());
    shown.split_at(end.unwrap_or(shown.len())).0.to_owned()
}
