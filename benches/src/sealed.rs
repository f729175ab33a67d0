//! An event as an encrypted and signed webhook request.

use aes::Aes256;
use aes::cipher::{Block, BlockModeEncrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto_core::SignatureHeaders;
use sha2::{Digest as _, Sha256};

use crate::inputs::{ENCRYPT_KEY, SIGNED_AT};

/// A request body with its signature headers.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// `{"encrypt":"…"}`
    pub body: String,
    /// `X-Lark-Request-Timestamp`
    pub timestamp: String,
    /// `X-Lark-Request-Nonce`
    pub nonce: String,
    /// `X-Lark-Signature`
    pub signature: String,
}

impl Sealed {
    /// Encrypts `payload` with [`ENCRYPT_KEY`] and signs it at [`SIGNED_AT`].
    #[must_use]
    pub fn new(payload: &str) -> Self {
        Self::signed_at(payload, SIGNED_AT)
    }

    /// The same, signed at `seconds` since 1970.
    #[must_use]
    pub fn signed_at(payload: &str, seconds: i64) -> Self {
        let iv = *b"sixteen iv bytes";
        let key = Sha256::digest(ENCRYPT_KEY);
        let mut aes = cbc::Encryptor::<Aes256>::new(&key, &iv.into());
        let mut sealed = padded(payload);
        for block in sealed.as_chunks_mut::<BLOCK>().0 {
            let mut work = Block::<Aes256>::from(*block);
            aes.encrypt_block(&mut work);
            *block = work.into();
        }
        let body = format!(
            "{{\"encrypt\":\"{}\"}}",
            STANDARD.encode([&iv[..], &sealed].concat())
        );
        let (timestamp, nonce) = (seconds.to_string(), "1d7b0a9c".to_owned());
        let signed = [&timestamp, &nonce, ENCRYPT_KEY, &body].concat();
        let signature = Sha256::digest(signed)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            body,
            timestamp,
            nonce,
            signature,
        }
    }

    /// The headers, as the verifier takes them.
    #[must_use]
    pub fn headers(&self) -> SignatureHeaders<'_> {
        SignatureHeaders {
            timestamp: Some(&self.timestamp),
            nonce: Some(&self.nonce),
            signature: Some(&self.signature),
        }
    }
}

const BLOCK: usize = 16;

/// PKCS#7: as many bytes as are missing, each saying how many.
fn padded(text: &str) -> Vec<u8> {
    let missing = BLOCK - text.len() % BLOCK;
    let padding = u8::try_from(missing).unwrap_or(0);
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(text.len() + missing, padding);
    bytes
}
