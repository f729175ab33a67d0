//! The challenge that Feishu sends to an event route, sent by us: right, and with a wrong token.

use std::time::{Duration, Instant};

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::findings as found;
use super::super::findings::{Finding, Words};
use super::super::judged;
use super::super::report::Check;
use super::{Found, Judged, chain};
use crate::config::FeishuConfig;

/// The route that the platform is given for the first bot.
pub(super) const PUBLIC: &str = "/api/v1/channels/xiaoo/events";
/// Its route behind nginx.
pub(super) const INTERNAL: &str = "/api/v1/channels/feishu/events";
/// Feishu itself gives up after three.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Feishu waits so long for a challenge.
const CHALLENGE_WITHIN: Duration = Duration::from_secs(1);
/// Of an answer that is not ours.
const ANSWER_CHARS_SHOWN: usize = 120;

const RIGHT: Words = Words {
    en: "the challenge is answered on the event route",
    zh: "事件路由能通过 challenge 校验",
};
const WRONG: Words = Words {
    en: "a challenge with a wrong token is refused",
    zh: "错误 Token 的 challenge 会被拒绝",
};

/// Both; `place` is `local` or `public`, and the bot may have any of the paths.
pub(super) async fn checks(
    place: &str,
    client: &Client,
    base: &str,
    paths: &[String],
    bot: &FeishuConfig,
) -> Vec<Check> {
    let (right_id, wrong_id) = match place {
        "local" => ("local-challenge", "local-wrong-token"),
        _ => ("public-challenge", "public-wrong-token"),
    };
    let token = bot
        .verification_token
        .as_ref()
        .map(SecretString::expose_secret);
    let right = right(client, base, paths, token, bot).await;
    let url = right.as_ref().ok().map(|(url, _)| url.clone());
    let mut checks = vec![judged(right_id, RIGHT, right.map(|(_, seen)| seen))];
    if let (Some(url), Some(_)) = (url, token) {
        let wrong = wrong(client, &url, bot).await;
        checks.push(judged(wrong_id, WRONG, wrong));
    }
    checks
}

/// The version that a daemon's health tells; `None` if it is no daemon's.
pub(super) async fn health_version(answer: Response) -> Option<String> {
    let body: Value = answer.json().await.ok()?;
    (body.get("status")? == "ok").then(|| body.get("version")?.as_str().map(str::to_owned))?
}

/// The address that answers, and how soon; of several that don't, what the first says that is
/// there at all.
async fn right(
    client: &Client,
    base: &str,
    paths: &[String],
    token: Option<&str>,
    bot: &FeishuConfig,
) -> Result<(String, String), Found> {
    let mut refusal: Option<(&String, Answer)> = None;
    for path in paths {
        let url = format!("{base}{path}");
        let began = Instant::now();
        let answer = send(client, &url, token, bot).await?;
        let took = began.elapsed();
        if answer.is_echo {
            let seen = format!("{path}: {} ms", took.as_millis());
            return if took > CHALLENGE_WITHIN {
                Err((&found::CHALLENGE_SLOW, seen))
            } else {
                Ok((url, seen))
            };
        }
        if refusal.as_ref().is_none_or(|(_, said)| said.status == 404) {
            refusal = Some((path, answer));
        }
    }
    let Some((path, answer)) = refusal else {
        return Err((&found::ROUTE_MISSING, base.to_owned()));
    };
    let mut finding = answer.finding();
    if answer.status == 404 && path == PUBLIC {
        let inner = send(client, &format!("{base}{INTERNAL}"), token, bot).await;
        if inner.is_ok_and(|inner| inner.is_echo) {
            finding = &found::INTERNAL_PUBLISHED;
        }
    }
    let said = format!("{path}: HTTP {}: {}", answer.status, answer.shown());
    Err((finding, said))
}

async fn wrong(client: &Client, url: &str, bot: &FeishuConfig) -> Judged {
    let wrong = Some("not-the-verification-token");
    let answer = send(client, url, wrong, bot).await?;
    let seen = format!("HTTP {}", answer.status);
    if answer.is_echo {
        Err((&found::ANYONE_ACCEPTED, seen))
    } else {
        Ok(seen)
    }
}

struct Answer {
    status: u16,
    body: String,
    is_echo: bool,
}

impl Answer {
    fn finding(&self) -> &'static Finding {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let ours = body.get("message").and_then(Value::as_str);
        match (self.status, ours) {
            (_, Some(why)) if why.contains("verification token") => &found::TOKEN_MISMATCH,
            // What can't be decrypted is no challenge, and anything else must be signed.
            (_, Some(why)) if why.contains("crypt") || why.contains("signature") => {
                &found::KEY_MISMATCH
            }
            (404, Some(_)) => &found::ROUTE_MISMAPPED,
            (503, Some(_)) => &found::WEBHOOK_OFF,
            (404, None) => &found::ROUTE_MISSING,
            (300..=399, _) => &found::PUBLIC_REDIRECTS,
            (401 | 403 | 405, _) => &found::ROUTE_GUARDED,
            (502..=504, None) => &found::NGINX_NO_DAEMON,
            _ => &found::PUBLIC_FOREIGN,
        }
    }

    fn shown(&self) -> String {
        let plain = self.body.split_whitespace().collect::<Vec<_>>().join(" ");
        plain.chars().take(ANSWER_CHARS_SHOWN).collect()
    }
}

async fn send(
    client: &Client,
    url: &str,
    token: Option<&str>,
    bot: &FeishuConfig,
) -> Result<Answer, Found> {
    let challenge = format!("doctor-{:016x}", fastrand::u64(..));
    let mut body = json!({"type": "url_verification", "challenge": challenge});
    if let (Value::Object(members), Some(token)) = (&mut body, token) {
        members.insert("token".into(), token.into());
    }
    if let Some(key) = &bot.encrypt_key {
        body = json!({"encrypt": seal(key.expose_secret(), body.to_string().as_bytes())});
    }
    let failed = |error| (&found::PUBLIC_UNREACHABLE, chain(error));
    let asked = client.post(url).json(&body).timeout(ANSWER_WITHIN);
    let answer = asked.send().await.map_err(failed)?;
    let status = answer.status().as_u16();
    let body = answer.text().await.map_err(failed)?;
    let echoed = serde_json::from_str::<Value>(&body).unwrap_or_default();
    let is_echo = status == 200
        && echoed
            .get("challenge")
            .is_some_and(|echo| *echo == challenge);
    // Whatever answers may say what it was asked.
    let body = match token {
        Some(token) => body.replace(token, "…"),
        None => body,
    };
    Ok(Answer {
        status,
        body,
        is_echo,
    })
}

/// As the platform encrypts: base64 of IV and AES-256-CBC; the key is the SHA-256 of the
/// Encrypt Key.
fn seal(encrypt_key: &str, plain: &[u8]) -> String {
    let iv = fastrand::u128(..).to_be_bytes();
    let key = Sha256::digest(encrypt_key.as_bytes());
    let cipher = cbc::Encryptor::<Aes256>::new(&key, &iv.into());
    let mut sealed = iv.to_vec();
    sealed.extend(cipher.encrypt_padded_vec::<Pkcs7>(plain));
    STANDARD.encode(sealed)
}
