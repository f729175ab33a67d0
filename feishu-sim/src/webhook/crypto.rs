//! How the platform encrypts and signs webhook bodies.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// base64 of IV and AES-256-CBC (PKCS#7); the key is SHA-256 of the Encrypt Key.
pub(crate) fn encrypt(encrypt_key: &str, iv: [u8; 16], plain: &[u8]) -> String {
    let key = Sha256::digest(encrypt_key.as_bytes());
    let cipher = cbc::Encryptor::<Aes256>::new(&key, &iv.into());
    let mut sealed = iv.to_vec();
    sealed.extend(cipher.encrypt_padded_vec::<Pkcs7>(plain));
    STANDARD.encode(sealed)
}

/// `X-Lark-Signature` of events and new callbacks.
pub(crate) fn sign(timestamp: &str, nonce: &str, encrypt_key: &str, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    for part in [
        timestamp.as_bytes(),
        nonce.as_bytes(),
        encrypt_key.as_bytes(),
        body,
    ] {
        digest.update(part);
    }
    hex(&digest.finalize())
}

/// `X-Lark-Signature` of old card callbacks: SHA-1, verification token.
pub(crate) fn sign_old(timestamp: &str, nonce: &str, token: &str, body: &[u8]) -> String {
    let mut digest = Sha1::new();
    for part in [
        timestamp.as_bytes(),
        nonce.as_bytes(),
        token.as_bytes(),
        body,
    ] {
        digest.update(part);
    }
    hex(&digest.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Made and judged by the official Python and Node clients.
    const VECTORS: &str = include_str!("../../../vectors/webhook_crypto.json");

    fn vectors() -> Vec<Value> {
        let file: Value = serde_json::from_str(VECTORS).unwrap();
        file["vectors"].as_array().unwrap().clone()
    }

    #[test]
    fn encryption_equals_the_official_clients() {
        let mut checked = 0;
        for vector in vectors() {
            let (Some(key), Some(plain), Some(sealed)) = (
                vector["encrypt_key"].as_str(),
                vector["plaintext"].as_str(),
                vector["encrypt"].as_str(),
            ) else {
                continue;
            };
            if vector["reject_reason"].is_string() {
                continue;
            }
            let bytes = STANDARD.decode(sealed).unwrap();
            let iv: [u8; 16] = bytes[..16].try_into().unwrap();
            assert_eq!(
                encrypt(key, iv, plain.as_bytes()),
                sealed,
                "{}",
                vector["name"]
            );
            checked += 1;
        }
        assert!(checked >= 3, "only {checked} vectors were usable");
    }

    #[test]
    fn signatures_equal_the_official_clients() {
        let mut checked = 0;
        for vector in vectors() {
            if vector["valid"] != true {
                continue;
            }
            let text = |key: &str| vector[key].as_str().unwrap();
            let ours = sign(
                text("timestamp"),
                text("nonce"),
                text("encrypt_key"),
                text("body").as_bytes(),
            );
            assert_eq!(ours, text("signature"), "{}", vector["name"]);
            checked += 1;
        }
        assert!(checked >= 3, "only {checked} vectors were usable");
    }

    #[test]
    fn old_card_signatures_equal_the_official_clients() {
        let file: Value = serde_json::from_str(VECTORS).unwrap();
        for vector in file["card_vectors"].as_array().unwrap() {
            let text = |key: &str| vector[key].as_str().unwrap();
            let ours = sign_old(
                text("timestamp"),
                text("nonce"),
                text("verification_token"),
                text("body").as_bytes(),
            );
            let is_equal = ours == text("signature");
            assert_eq!(is_equal, vector["valid"] == true, "{}", vector["name"]);
        }
    }

    #[test]
    fn the_documented_known_answer() {
        let sealed = "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=";
        let iv: [u8; 16] = STANDARD.decode(sealed).unwrap()[..16].try_into().unwrap();
        assert_eq!(encrypt("test key", iv, b"hello world"), sealed);
    }
}
