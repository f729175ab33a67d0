//! Turns the vectors into constants, as a chip reads neither files nor JSON
//! expectations.
//!
//! What a vector says and no check here knows of fails the build: nothing is
//! left out in silence.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

#[path = "build/events.rs"]
mod events;
#[path = "build/frames.rs"]
mod frames;
#[path = "build/webhooks.rs"]
mod webhooks;

fn main() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=memory.x");
    let frames = read(&vectors.join("ws_frames.json"));
    for (name, constants) in [
        ("frames.rs", frames::constants(&frames)),
        ("played.rs", frames::played(&frames)),
        (
            "webhooks.rs",
            webhooks::constants(&read(&vectors.join("webhook_crypto.json"))),
        ),
        (
            "events.rs",
            events::constants(&read_events(&vectors.join("events"))),
        ),
    ] {
        fs::write(out().join(name), constants).expect("OUT_DIR can be written");
    }
    fs::copy("memory.x", out().join("memory.x")).expect("OUT_DIR can be written");
    println!("cargo::rustc-link-search={}", out().display());
}

fn out() -> PathBuf {
    env::var_os("OUT_DIR").expect("cargo sets it").into()
}

fn read(path: &Path) -> Value {
    println!("cargo::rerun-if-changed={}", path.display());
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read_events(folder: &Path) -> Vec<Value> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the vectors have events")
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// The text of a member that must be there.
fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
    vector[key]
        .as_str()
        .unwrap_or_else(|| panic!("{}: {key} is no text", vector["name"]))
}

fn unhex(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("hex is ASCII");
            u8::from_str_radix(pair, 16).expect("hex")
        })
        .collect()
}

/// A byte string literal.
fn bytes(content: &[u8]) -> String {
    format!("b\"{}\"", content.escape_ascii())
}

/// An array literal behind a reference.
fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let mut list = String::from("&[");
    for item in items {
        write!(list, "{}, ", item.as_ref()).expect("a String has no bound");
    }
    list + "]"
}
