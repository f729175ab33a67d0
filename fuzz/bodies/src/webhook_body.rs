//! Any body at the webhook, and bodies that are encrypted and signed as the
//! platform does it: what gets in is what was signed, and nothing else.

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use arbitrary::{Arbitrary, Unstructured};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto_core::{
    Event, Json, Rejection, SignatureHeaders, UnixMillis, Verdict, Verifier, decrypt,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const TOKEN: &str = "vtoken";
const KEY: &str = "kudryavka";
const NOW_S: i64 = 1_760_000_000;

/// How a request is made out of the fuzzer's bytes; one byte each, so that a
/// corpus file can be read.
#[derive(Arbitrary, Debug)]
struct Request<'a> {
    /// Bit 0: a verification token is configured. Bit 1: an Encrypt Key.
    setup: u8,
    /// Bit 0: encrypt. Bit 1: sign. Bits 2 to 4: spoil what [`Spoiled`] says.
    steps: u8,
    /// Where the ciphertext is spoiled, and how.
    at: u16,
    mask: u8,
    /// Hours by which the timestamp is off.
    age: i8,
    /// The body, or what is encrypted into it.
    text: &'a [u8],
}

/// What is wrong with a request that would be right otherwise.
#[derive(Clone, Copy)]
enum Spoiled {
    Nothing,
    Ciphertext,
    Base64,
    Length,
    BodyAfterSigning,
}

/// Builds the request that the bytes describe and compares the verdict with
/// what a plain reading of the platform's page gives.
pub fn webhook_body(bytes: &[u8]) {
    let Ok(request) = Request::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    let token = (request.setup & 1 != 0).then_some(TOKEN);
    let key = (request.setup & 2 != 0).then_some(KEY);
    let verifier = Verifier::new(token, key).expect("short secrets");

    let mut body = if request.steps & 1 == 0 {
        request.text.to_vec()
    } else {
        let encrypted = encrypted(&request);
        decrypts_alike(&encrypted, decrypted_plainly(&encrypted).as_deref());
        format!(r#"{{"encrypt":"{encrypted}"}}"#).into_bytes()
    };
    let decrypted = inner_of(&body);
    let timestamp = (NOW_S - i64::from(request.age) * 3600).to_string();
    let signature = signature(&timestamp, &body);
    let headers = if request.steps & 2 == 0 {
        SignatureHeaders::default()
    } else {
        SignatureHeaders {
            timestamp: Some(&timestamp),
            nonce: Some("nonce"),
            signature: Some(&signature),
        }
    };
    if let Spoiled::BodyAfterSigning = request.spoiled() {
        // Still the same JSON, and yet not what was signed.
        body.extend(b" ");
    }

    let now = UnixMillis(NOW_S * 1000);
    let mut scratch = Vec::new();
    let verdict = verifier.verify(now, headers, &body, &mut scratch);
    if let Ok(Verdict::Event(event)) = &verdict {
        let source = decrypted.as_deref().unwrap_or(&body);
        assert_eq!(event.as_bytes(), source.trim_ascii());
        let parsed = Event::parse(source);
        assert_eq!(
            format!("{:?}", event.event()),
            format!("{:?}", parsed.as_ref())
        );
    }
    match (key, &decrypted) {
        (Some(_), Some(text)) => encrypted_is_judged(&request, token, text, &verdict),
        // Old cards are signed with another secret, which no input here knows.
        (Some(_), None) => assert!(verdict.is_err(), "believed what was not encrypted"),
        (None, _) => plain_is_judged(token, &body, &verdict),
    }
    fits_or_says_so(&verifier, headers, &body);
}

impl Request<'_> {
    fn spoiled(&self) -> Spoiled {
        match self.steps >> 2 & 7 {
            1 => Spoiled::Ciphertext,
            2 => Spoiled::Base64,
            3 => Spoiled::Length,
            4 => Spoiled::BodyAfterSigning,
            _ => Spoiled::Nothing,
        }
    }

    const fn is_signed(&self) -> bool {
        self.steps & 2 != 0
    }

    const fn is_fresh(&self) -> bool {
        matches!(self.age, 0..=12)
    }
}

/// The ciphertext's base64, with an initialisation vector of zeros.
fn encrypted(request: &Request<'_>) -> String {
    let key = Sha256::digest(KEY);
    let mode = cbc::Encryptor::<Aes256>::new(&key, &[0; 16].into());
    let mut cipher = vec![0; 16];
    cipher.extend(mode.encrypt_padded_vec::<Pkcs7>(request.text));
    let at = usize::from(request.at);
    match request.spoiled() {
        Spoiled::Ciphertext => {
            let at = at % cipher.len();
            for byte in cipher.iter_mut().skip(at).take(1) {
                *byte ^= request.mask;
            }
        }
        Spoiled::Length => cipher.truncate(at % cipher.len()),
        Spoiled::Base64 | Spoiled::BodyAfterSigning | Spoiled::Nothing => {}
    }
    let mut text = STANDARD.encode(cipher);
    if let Spoiled::Base64 = request.spoiled() {
        // What JSON takes unescaped; all of it one byte long.
        let character = char::from(request.mask & 0x7f);
        let is_plain = !character.is_control() && !matches!(character, '"' | '\\');
        text.insert(
            at % (text.len() + 1),
            if is_plain { character } else { '=' },
        );
    }
    text
}

/// What a body holds encrypted, as a plain reader finds it.
fn inner_of(body: &[u8]) -> Option<Vec<u8>> {
    let document: Value = serde_json::from_slice(body).ok()?;
    decrypted_plainly(document.get("encrypt")?.as_str()?)
}

/// Base64, AES and padding, each as a library does it on the whole text.
fn decrypted_plainly(text: &str) -> Option<Vec<u8>> {
    let cipher = STANDARD.decode(text).ok()?;
    let (iv, cipher) = cipher.split_first_chunk::<16>()?;
    let key = Sha256::digest(KEY);
    let mode = cbc::Decryptor::<Aes256>::new(&key, iv.into());
    mode.decrypt_padded_vec::<Pkcs7>(cipher).ok()
}

/// The core decrypts as the libraries do, also where JSON escapes the text.
fn decrypts_alike(text: &str, expected: Option<&[u8]>) {
    let escaped = format!("\"{}\"", text.replace('/', "\\/").replace('+', "\\u002b"));
    for json in [format!("\"{text}\""), escaped] {
        let json = Json::parse(json.as_bytes()).expect("no quotes in base64");
        let mut out = b"kept".to_vec();
        let decrypted = decrypt(KEY, json.as_str().expect("a string"), &mut out);
        assert_eq!(decrypted.is_ok(), expected.is_some(), "{text}");
        assert_eq!(out, [b"kept", expected.unwrap_or_default()].concat());
    }
}

fn signature(timestamp: &str, body: &[u8]) -> String {
    let digest = Sha256::new()
        .chain_update(timestamp)
        .chain_update("nonce")
        .chain_update(KEY)
        .chain_update(body)
        .finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key is configured, and the body decrypts to `text`.
fn encrypted_is_judged(
    request: &Request<'_>,
    token: Option<&str>,
    text: &[u8],
    verdict: &Result<Verdict<'_>, Rejection>,
) {
    let broken_seal = matches!(request.spoiled(), Spoiled::BodyAfterSigning);
    let trusted = request.is_signed() && request.is_fresh() && !broken_seal;
    match verdict {
        Ok(Verdict::Event(_)) => {
            assert!(trusted, "believed without a signature");
            assert!(has_token(text, token), "believed without a token");
        }
        Ok(Verdict::Challenge(_)) => assert!(has_token(text, token), "challenge without a token"),
        Err(_) if !trusted => {}
        Err(Rejection::InvalidToken) => assert!(token.is_some(), "no token is asked for"),
        Err(Rejection::NotJson) => assert!(Json::parse(text).is_err()),
        Err(other) => panic!("signed, fresh and decrypted, but {other}"),
    }
}

fn plain_is_judged(token: Option<&str>, body: &[u8], verdict: &Result<Verdict<'_>, Rejection>) {
    if verdict.is_ok() {
        assert!(has_token(body, token), "believed without a token");
    }
}

/// A bounded buffer gives the same verdict, or says that it is too small.
fn fits_or_says_so(verifier: &Verifier, headers: SignatureHeaders<'_>, body: &[u8]) {
    let now = UnixMillis(NOW_S * 1000);
    let (mut large, mut small) = (Vec::new(), heapless::Vec::<u8, 256>::new());
    let large = verifier.verify(now, headers, body, &mut large);
    let small = verifier.verify(now, headers, body, &mut small);
    match (large, small) {
        (Ok(Verdict::Event(large)), Ok(Verdict::Event(small))) => {
            assert_eq!(large.as_bytes(), small.as_bytes());
        }
        (Ok(Verdict::Challenge(_)), Ok(Verdict::Challenge(_))) => {}
        (Err(large), Err(small)) if large == small => {}
        (_, Err(Rejection::TooLarge)) => {}
        // A URL check is the only thing that needs no signature: one that
        // doesn't fit is refused for lack of it.
        (Ok(Verdict::Challenge(_)) | Err(Rejection::InvalidToken), Err(small)) => {
            assert!(body.len() > 256, "{small} for {} bytes", body.len());
        }
        (large, small) => panic!("{large:?} with room, {small:?} without"),
    }
}

/// Whether a plain reader finds the token where the platform puts it. What
/// serde_json does not read (numbers out of range, lone surrogates) is left to
/// the target `event`.
fn has_token(text: &[u8], token: Option<&str>) -> bool {
    let Some(token) = token else { return true };
    let Ok(document) = serde_json::from_slice::<Value>(text) else {
        return true;
    };
    let places = [document.get("token"), document.pointer("/header/token")];
    places.into_iter().flatten().any(|given| given == token)
}
