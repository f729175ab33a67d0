//! Webhook requests: who may speak, in one function that shows the whole order
//! of checks.
//!
//! What passes is a [`Verified`] event, which cannot be made any other way.

mod crypto;

pub use crypto::{Undecryptable, decrypt};

use core::fmt;
use core::time::Duration;

use subtle::ConstantTimeEq as _;

use crate::event::{Envelope, Event, EventError, EventKind};
use crate::json::{Json, JsonStr, Scanner, write_escaped};
use crate::{Buffer, BufferFull, UnixMillis};
use crypto::DecryptionKey;

/// The longest verification token or Encrypt Key, in bytes. The console makes
/// tokens of 32; keys are chosen by people.
pub const SECRET_BYTES_MAX: usize = 256;
/// How old a signed request may be. The platform's last redelivery comes
/// 7 h 22 min after the first push, perhaps with its first timestamp.
pub const AGE_MAX: Duration = Duration::from_secs(12 * 3600);
/// How far ahead of us the platform's clock may be.
pub const AHEAD_MAX: Duration = Duration::from_secs(5 * 60);

/// The three headers of a signed request, as far as they are there.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignatureHeaders<'a> {
    /// `X-Lark-Request-Timestamp`: decimal seconds since 1970.
    pub timestamp: Option<&'a str>,
    /// `X-Lark-Request-Nonce`: opaque.
    pub nonce: Option<&'a str>,
    /// `X-Lark-Signature`: hexadecimal.
    pub signature: Option<&'a str>,
}

/// An authentic request.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "no allocator to box with, and events are the usual case"
)]
pub enum Verdict<'a> {
    /// The platform checks the URL: answer with the challenge within a second.
    Challenge(Challenge<'a>),
    /// An event or callback.
    Event(Verified<'a>),
}

/// The challenge of a URL check whose token was right.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a>(JsonStr<'a>);

impl Challenge<'_> {
    /// Appends the answer, `{"challenge":"…"}`.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn write_answer(&self, out: &mut impl Buffer) -> Result<(), BufferFull> {
        out.append(br#"{"challenge":"#)?;
        write_escaped(self.0.chars(), out)?;
        out.append(b"}")
    }
}

/// The JSON of an event that has passed every check.
#[derive(Clone, Copy)]
pub struct Verified<'a> {
    json: Json<'a>,
    event: Result<Event<'a>, EventError>,
}

impl<'a> Verified<'a> {
    /// The event's JSON.
    #[must_use]
    pub const fn json(&self) -> Json<'a> {
        self.json
    }

    /// The event's JSON as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.json.raw().as_bytes()
    }

    /// The event, read.
    ///
    /// # Errors
    /// [`EventError::Shape`]: it is authentic, and no event that anyone knows.
    pub fn event(&self) -> Result<&Event<'a>, EventError> {
        self.event.as_ref().map_err(|error| *error)
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verified({} bytes)", self.as_bytes().len())
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The signature is not the one that the Encrypt Key gives.
    #[error("bad signature")]
    BadSignature,
    /// The verification token is not the configured one.
    #[error("invalid verification token")]
    InvalidToken,
    /// The body is encrypted and no Encrypt Key is configured.
    #[error("the body is encrypted, but no encrypt_key_env is configured")]
    KeyMissing,
    /// An Encrypt Key is configured and the request is not signed.
    #[error("a signature header is missing")]
    MissingSignature,
    /// An Encrypt Key is configured and the body is not encrypted.
    #[error("the body is not encrypted, but an Encrypt Key is configured")]
    NotEncrypted,
    /// The body, or what was encrypted, is not JSON.
    #[error("not JSON")]
    NotJson,
    /// The caller's buffer cannot hold the decrypted body.
    #[error("the decrypted body is too large")]
    TooLarge,
    /// Signed too long ago, too far ahead, or at no time at all.
    #[error("stale timestamp")]
    Stale,
    /// One answer for whatever is wrong with the ciphertext.
    #[error("cannot be decrypted")]
    Undecryptable,
}

impl Rejection {
    /// The HTTP status to answer with. A forged request that is repeated does
    /// no harm, and none of these gets better by repetition.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::NotJson | Self::Undecryptable => 400,
            Self::TooLarge => 413,
            Self::BadSignature
            | Self::InvalidToken
            | Self::KeyMissing
            | Self::MissingSignature
            | Self::NotEncrypted
            | Self::Stale => 401,
        }
    }
}

/// A secret that is too long to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a verification token or Encrypt Key has at most {SECRET_BYTES_MAX} bytes")]
pub struct SecretTooLong;

/// What the console says about this app.
pub struct Verifier {
    token: Option<Secret>,
    key: Option<DecryptionKey>,
}

type Secret = heapless::String<SECRET_BYTES_MAX>;

impl Verifier {
    /// A verifier for the app's verification token and Encrypt Key. Without
    /// either, anybody is believed: refuse to run like that.
    ///
    /// # Errors
    /// [`SecretTooLong`].
    pub fn new(
        verification_token: Option<&str>,
        encrypt_key: Option<&str>,
    ) -> Result<Self, SecretTooLong> {
        let secret = |text: &str| Secret::try_from(text).map_err(|_| SecretTooLong);
        Ok(Self {
            token: verification_token.map(secret).transpose()?,
            key: encrypt_key
                .map(|key| secret(key).map(DecryptionKey::new))
                .transpose()?,
        })
    }

    /// Checks a request: the one place that says what is checked, and when.
    ///
    /// | check | of a URL check too? |
    /// | --- | --- |
    /// | the body is JSON | yes |
    /// | encrypted if and only if a key is configured | yes |
    /// | signature over the bytes as received | no: the platform does not sign it |
    /// | not older than 12 h, not more than 5 min ahead | no, likewise |
    /// | decryption | yes |
    /// | verification token | yes |
    ///
    /// An old card callback is not encrypted and is signed with the
    /// verification token instead; where a key but no token is configured, it
    /// is refused. `scratch` takes the decrypted body.
    ///
    /// # Errors
    /// [`Rejection`], of which nothing may be acted on.
    pub fn verify<'a, B: Buffer>(
        &self,
        now: UnixMillis,
        headers: SignatureHeaders<'_>,
        body: &'a [u8],
        scratch: &'a mut B,
    ) -> Result<Verdict<'a>, Rejection> {
        let outer = open(body)?;
        let (key, encrypted) = match (&self.key, outer.encrypt) {
            (None, None) => return self.verify_plain(now, headers, body, &outer),
            (None, Some(_)) => return Err(Rejection::KeyMissing),
            // Only the token can vouch for what is not encrypted.
            (Some(_), None) if self.token.is_some() && outer.is_old_card() => {
                return self.verify_plain(now, headers, body, &outer);
            }
            (Some(_), None) => return Err(Rejection::NotEncrypted),
            (Some(key), Some(encrypted)) => (key, encrypted),
        };
        let signed = key
            .check_signature(headers, body)
            .and_then(|()| fresh(now, headers.timestamp));
        scratch.truncate(0);
        let inner = key
            .decrypt(encrypted, scratch)
            .map_err(|error| match error {
                Undecryptable::TooLarge => Rejection::TooLarge,
                Undecryptable::Malformed => Rejection::Undecryptable,
            })
            .and_then(|()| open(scratch.as_bytes()));
        match (signed, inner) {
            (Ok(()), inner) => self.judge(&inner?),
            // Unsigned: nothing but a URL check. A wrong token in it is named,
            // because whoever enters the URL in the console waits for a reason.
            (Err(unsigned), inner) => {
                let check = inner.ok().filter(is_url_check);
                self.judge(&check.ok_or(unsigned)?)
            }
        }
    }

    fn verify_plain<'a>(
        &self,
        now: UnixMillis,
        headers: SignatureHeaders<'_>,
        body: &[u8],
        document: &Envelope<'a>,
    ) -> Result<Verdict<'a>, Rejection> {
        if document.is_old_card() {
            if let Some(token) = &self.token {
                crypto::check_card_signature(token, headers, body)?;
                fresh(now, headers.timestamp)?;
            }
            return Ok(Verdict::Event(Verified {
                json: document.document(),
                event: document.as_event(),
            }));
        }
        self.judge(document)
    }

    /// The token, then what the document is. What is no event that anyone
    /// knows is authentic all the same: it is acknowledged and counted further up.
    fn judge<'a>(&self, document: &Envelope<'a>) -> Result<Verdict<'a>, Rejection> {
        let event = document.as_event();
        let token = match &event {
            Ok(event) => event.token,
            Err(_) => document.token,
        };
        self.check_token(token)?;
        Ok(match event {
            Ok(Event {
                kind: EventKind::UrlVerification(challenge),
                ..
            }) => Verdict::Challenge(Challenge(challenge)),
            event => Verdict::Event(Verified {
                json: document.document(),
                event,
            }),
        })
    }

    fn check_token(&self, token: Option<JsonStr<'_>>) -> Result<(), Rejection> {
        let Some(expected) = &self.token else {
            return Ok(());
        };
        let mut given = Secret::new();
        for character in token.ok_or(Rejection::InvalidToken)?.chars() {
            given.push(character).map_err(|_| Rejection::InvalidToken)?;
        }
        if bool::from(given.as_bytes().ct_eq(expected.as_bytes())) {
            Ok(())
        } else {
            Err(Rejection::InvalidToken)
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("has_token", &self.token.is_some())
            .field("has_key", &self.key.is_some())
            .finish()
    }
}

/// Reads a body, whatever it is.
fn open(body: &[u8]) -> Result<Envelope<'_>, Rejection> {
    let mut envelope = Envelope::default();
    envelope
        .read(Scanner::new(body))
        .map_err(|_| Rejection::NotJson)?;
    Ok(envelope)
}

fn is_url_check(document: &Envelope<'_>) -> bool {
    let event = document.as_event();
    event.is_ok_and(|event| matches!(event.kind, EventKind::UrlVerification(_)))
}

fn fresh(now: UnixMillis, timestamp: Option<&str>) -> Result<(), Rejection> {
    let signed = timestamp
        .and_then(|text| text.parse::<i64>().ok())
        .and_then(|seconds| seconds.checked_mul(1000))
        .ok_or(Rejection::Stale)?;
    let limit = |limit: Duration| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
    let age = now.0.saturating_sub(signed);
    if (-limit(AHEAD_MAX)..=limit(AGE_MAX)).contains(&age) {
        Ok(())
    } else {
        Err(Rejection::Stale)
    }
}
