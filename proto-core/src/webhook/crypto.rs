//! Signatures and decryption, as the platform's page describes them.

use aes::Aes256;
use aes::cipher::{Block, BlockModeDecrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Rejection, Secret, SignatureHeaders};
use crate::Buffer;
use crate::json::JsonStr;

const BLOCK: usize = 16;
/// Characters decoded at once: 768 bytes, 48 blocks.
const PIECE_CHARS: usize = 1024;
const PIECE_BYTES: usize = PIECE_CHARS / 4 * 3;

/// Why a ciphertext gives no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecryptable {
    /// Not base64, of an impossible length, or wrongly padded. Which of these
    /// is not said: it would help whoever guesses.
    #[error("cannot be decrypted: the text or the Encrypt Key is wrong")]
    Malformed,
    /// The text does not fit the buffer.
    #[error("the decrypted text is too large")]
    TooLarge,
}

/// Decrypts the `encrypt` member of a webhook body and appends the text to `out`.
///
/// # Errors
/// [`Undecryptable`]; what was appended is taken back.
pub fn decrypt(
    encrypt_key: &str,
    encrypted: JsonStr<'_>,
    out: &mut impl Buffer,
) -> Result<(), Undecryptable> {
    decrypt_with(&Sha256::digest(encrypt_key).into(), encrypted, out)
}

/// An Encrypt Key, and what AES makes of it.
pub(super) struct DecryptionKey {
    text: Secret,
    aes: [u8; 32],
}

impl DecryptionKey {
    pub(super) fn new(text: Secret) -> Self {
        let aes = Sha256::digest(&text).into();
        Self { text, aes }
    }

    /// SHA-256 over timestamp, nonce, key and the body as it was received.
    pub(super) fn check_signature(
        &self,
        headers: SignatureHeaders<'_>,
        body: &[u8],
    ) -> Result<(), Rejection> {
        check::<Sha256>(&self.text, headers, body)
    }

    pub(super) fn decrypt(
        &self,
        encrypted: JsonStr<'_>,
        out: &mut impl Buffer,
    ) -> Result<(), Undecryptable> {
        decrypt_with(&self.aes, encrypted, out)
    }
}

/// Old card callbacks: SHA-1, with the verification token as the secret.
pub(super) fn check_card_signature(
    verification_token: &str,
    headers: SignatureHeaders<'_>,
    body: &[u8],
) -> Result<(), Rejection> {
    check::<Sha1>(verification_token, headers, body)
}

fn check<D: Digest>(
    secret: &str,
    headers: SignatureHeaders<'_>,
    body: &[u8],
) -> Result<(), Rejection> {
    let (Some(timestamp), Some(nonce), Some(signature)) =
        (headers.timestamp, headers.nonce, headers.signature)
    else {
        return Err(Rejection::MissingSignature);
    };
    let expected = D::new()
        .chain_update(timestamp)
        .chain_update(nonce)
        .chain_update(secret)
        .chain_update(body)
        .finalize();
    let mut given = [0_u8; 32];
    let given = unhex(signature, &mut given).ok_or(Rejection::BadSignature)?;
    if bool::from(given.ct_eq(expected.as_slice())) {
        Ok(())
    } else {
        Err(Rejection::BadSignature)
    }
}

fn unhex<'a>(text: &str, out: &'a mut [u8]) -> Option<&'a [u8]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let out = out.get_mut(..pairs.len())?;
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let digit = |character: u8| char::from(character).to_digit(16);
        *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    }
    Some(out)
}

fn decrypt_with(
    key: &[u8; 32],
    encrypted: JsonStr<'_>,
    out: &mut impl Buffer,
) -> Result<(), Undecryptable> {
    let start = out.as_bytes().len();
    let decrypted = decrypt_pieces(key, encrypted, out).and_then(|()| unpad(start, out));
    if decrypted.is_err() {
        out.truncate(start);
    }
    decrypted
}

/// Base64 and AES-256-CBC, a piece at a time; the first block is the IV.
fn decrypt_pieces(
    key: &[u8; 32],
    encrypted: JsonStr<'_>,
    out: &mut impl Buffer,
) -> Result<(), Undecryptable> {
    // Base64 needs no escapes, but JSON may have them anywhere (`\/`).
    let mut plain = encrypted.as_plain().map(str::as_bytes);
    let mut characters = encrypted.chars();
    let mut mode: Option<cbc::Decryptor<Aes256>> = None;
    let mut ended = false;
    loop {
        let mut text = [0_u8; PIECE_CHARS];
        let text = if let Some(rest) = &mut plain {
            let (piece, after) = rest.split_at(rest.len().min(PIECE_CHARS));
            *rest = after;
            piece
        } else {
            let mut len = 0;
            for (slot, character) in text.iter_mut().zip(characters.by_ref()) {
                *slot = u8::try_from(character).map_err(|_| Undecryptable::Malformed)?;
                len += 1;
            }
            text.get(..len).unwrap_or_default()
        };
        let len = text.len();
        if len == 0 {
            break;
        }
        // A piece with padding, or one that is short, is the last.
        if core::mem::replace(&mut ended, len < PIECE_CHARS) {
            return Err(Undecryptable::Malformed);
        }
        let mut bytes = [0_u8; PIECE_BYTES];
        let decoded = STANDARD
            .decode_slice(text, &mut bytes)
            .map_err(|_| Undecryptable::Malformed)?;
        ended |= decoded < len / 4 * 3;
        let mut cipher = bytes.get_mut(..decoded).unwrap_or_default();
        if mode.is_none() {
            let (iv, rest) = cipher
                .split_first_chunk_mut::<BLOCK>()
                .ok_or(Undecryptable::Malformed)?;
            mode = Some(cbc::Decryptor::new(key.into(), (&*iv).into()));
            cipher = rest;
        }
        let (blocks, rest) = cipher.as_chunks_mut::<BLOCK>();
        if !rest.is_empty() {
            return Err(Undecryptable::Malformed);
        }
        if let Some(mode) = &mut mode {
            let blocks = Block::<Aes256>::cast_slice_from_core_mut(blocks);
            if cfg!(target_family = "wasm") {
                // No AES unit, and code is downloaded: one way through is enough.
                for block in blocks {
                    mode.decrypt_block(block);
                }
            } else {
                // All at once: AES units work on several blocks side by side.
                mode.decrypt_blocks(blocks);
            }
        }
        out.append(cipher).map_err(|_| Undecryptable::TooLarge)?;
    }
    Ok(())
}

/// PKCS#7, strictly: the last byte says how many bytes of that value end the text.
fn unpad(start: usize, out: &mut impl Buffer) -> Result<(), Undecryptable> {
    let text = out.as_bytes().get(start..).unwrap_or_default();
    let pad = usize::from(*text.last().ok_or(Undecryptable::Malformed)?);
    let kept = text
        .len()
        .checked_sub(pad)
        .ok_or(Undecryptable::Malformed)?;
    let (_, padding) = text
        .split_at_checked(kept)
        .ok_or(Undecryptable::Malformed)?;
    if !(1..=BLOCK).contains(&pad) || padding.iter().any(|byte| usize::from(*byte) != pad) {
        return Err(Undecryptable::Malformed);
    }
    out.truncate(start + kept);
    Ok(())
}
