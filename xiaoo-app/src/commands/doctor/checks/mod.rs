//! The checks, by what they look at.

pub(super) mod daemon;
pub(super) mod feishu;
pub(super) mod machine;
pub(super) mod model;
pub(super) mod nginx;
pub(super) mod process;
pub(super) mod public;
pub(super) mod route;
pub(super) mod silence;
pub(super) mod subscription;
pub(super) mod surroundings;
pub(super) mod unit;

use std::error::Error;

use super::findings::Finding;

/// What is wrong, and where it shows.
pub(super) type Found = (&'static Finding, String);

/// How a check ends: what was seen, or what is wrong.
pub(super) type Judged = Result<String, Found>;

/// The error and what lies under it, without its address: that may hold a secret.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

/// Whether an error's words speak of a name, or of a certificate.
fn is_dns(words: &str) -> bool {
    words.contains("dns error") || words.contains("lookup")
}

fn is_tls(words: &str) -> bool {
    words.contains("certificate") || words.contains("UnknownIssuer")
}
