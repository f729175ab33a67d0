//! Verify and decrypt with OpenSSL, the same checks as ours: signature over
//! the body, AES-256-CBC, token, and the event is JSON.

use benches::inputs::{ENCRYPT_KEY, TOKEN};
use benches::sealed::Sealed;
use openssl::base64::decode_block;
use openssl::hash::{Hasher, MessageDigest};
use openssl::symm::{Cipher, decrypt};
use serde::Deserialize;

#[derive(Deserialize)]
struct Outer<'a> {
    encrypt: &'a str,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    header: Header<'a>,
}

#[derive(Deserialize)]
struct Header<'a> {
    token: &'a str,
}

/// The event's JSON, checked.
///
/// # Panics
/// When any check fails.
#[must_use]
pub fn open(sealed: &Sealed, key: &[u8; 32]) -> Vec<u8> {
    let outer: Outer<'_> = serde_json::from_str(&sealed.body).expect("a body");
    let mut hasher = Hasher::new(MessageDigest::sha256()).expect("sha256");
    for part in [&sealed.timestamp, &sealed.nonce, ENCRYPT_KEY, &sealed.body] {
        hasher.update(part.as_bytes()).expect("sha256");
    }
    let digest = hasher.finish().expect("sha256");
    let mut hex = [0_u8; 64];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(&*digest) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    assert!(openssl::memcmp::eq(&hex, sealed.signature.as_bytes()));
    let bytes = decode_block(outer.encrypt).expect("base64");
    let (iv, text) = bytes.split_at(16);
    let plain = decrypt(Cipher::aes_256_cbc(), key, Some(iv), text).expect("a text");
    let event: Event<'_> = serde_json::from_slice(&plain).expect("an event");
    assert!(openssl::memcmp::eq(
        event.header.token.as_bytes(),
        TOKEN.as_bytes()
    ));
    plain
}

/// The AES key that an Encrypt Key gives; made once.
///
/// # Panics
/// Never.
#[must_use]
pub fn key() -> [u8; 32] {
    openssl::sha::sha256(ENCRYPT_KEY.as_bytes())
}

const fn digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    }
}
