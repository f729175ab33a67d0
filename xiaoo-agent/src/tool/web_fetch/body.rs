//! What a body is, and its text.

use encoding_rs::{Encoding, GB18030, UTF_8, WINDOWS_1252};
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap};
use url::Url;

/// What is done with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Shown as Markdown.
    Html,
    /// Shown as it is.
    Text,
    /// Saved.
    File,
}

/// What the server says of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// In lower case, without parameters; empty when nothing was said.
    pub(super) media_type: String,
    pub(super) charset: Option<String>,
    /// By the server's word, or the last part of the address.
    pub(super) file_name: String,
}

impl Described {
    pub(super) fn new(headers: &HeaderMap, url: &Url) -> Self {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let content_type = header(CONTENT_TYPE).unwrap_or_default();
        let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let named = headers
            .get(CONTENT_DISPOSITION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .and_then(|value| disposition_name(&value));
        Self {
            media_type: media_type.trim().to_ascii_lowercase(),
            charset: parameter(parameters, "charset"),
            file_name: named.unwrap_or_else(|| url_name(url)),
        }
    }

    /// What to do with it, as far as it was said; `None` when only the bytes can tell.
    pub(super) fn kind(&self) -> Option<Kind> {
        let media_type = self.media_type.as_str();
        Some(match media_type {
            "" | "application/octet-stream" | "binary/octet-stream" | "application/unknown" => {
                return None;
            }
            "text/html" | "application/xhtml+xml" => Kind::Html,
            "application/json"
            | "application/xml"
            | "application/javascript"
            | "application/x-javascript"
            | "application/ecmascript"
            | "application/yaml"
            | "application/x-yaml"
            | "application/toml"
            | "application/sql"
            | "application/x-ndjson"
            | "application/x-sh"
            | "application/graphql" => Kind::Text,
            _ if media_type.starts_with("text/") => Kind::Text,
            "image/svg+xml" => Kind::File,
            _ if media_type.ends_with("+json") || media_type.ends_with("+xml") => Kind::Text,
            _ => Kind::File,
        })
    }

    /// The name for a file, with an ending that says what it is.
    pub(super) fn name_for_file(&self) -> String {
        let ending = match self.media_type.as_str() {
            "application/pdf" => ".pdf",
            "application/zip" => ".zip",
            "image/gif" => ".gif",
            "image/jpeg" => ".jpg",
            "image/png" => ".png",
            "image/svg+xml" => ".svg",
            "image/webp" => ".webp",
            _ => "",
        };
        let has_ending = self.file_name.trim_start_matches('.').contains('.');
        if has_ending {
            self.file_name.clone()
        } else {
            format!("{}{ending}", self.file_name)
        }
    }
}

/// What bytes are of which nothing was said.
pub(super) fn sniff(bytes: &[u8]) -> Kind {
    /// How far it is looked.
    const LOOK_BYTES: usize = 1024;
    let start = bytes.split_at(bytes.len().min(LOOK_BYTES)).0;
    let text = String::from_utf8_lossy(start)
        .trim_start()
        .to_ascii_lowercase();
    if text.starts_with("<!doctype html") || text.starts_with("<html") {
        Kind::Html
    } else if start.contains(&0) || core::str::from_utf8(bytes).is_err() {
        Kind::File
    } else {
        Kind::Text
    }
}

/// The text of a body: by its byte order mark, by what was said, by what it says itself, as
/// UTF-8, as Chinese text, and in the end as Latin letters.
pub(super) fn decode(bytes: &[u8], charset: Option<&str>, kind: Kind) -> String {
    let said = charset.and_then(|label| Encoding::for_label(label.as_bytes()));
    let said = said.or_else(|| match kind {
        Kind::Html => meta_charset(bytes),
        Kind::Text | Kind::File => None,
    });
    let marked = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
    if let Some(encoding) = marked.or(said) {
        return encoding.decode(bytes).0.into_owned();
    }
    let (text, _) = UTF_8.decode_without_bom_handling(bytes);
    if is_mostly_whole(&text, bytes) {
        return text.into_owned();
    }
    match GB18030.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => text.into_owned(),
        None => WINDOWS_1252.decode(bytes).0.into_owned(),
    }
}

/// Whether a text was rightly read as UTF-8: it may be cut or have a flaw.
fn is_mostly_whole(text: &str, bytes: &[u8]) -> bool {
    /// Of so many bytes beyond ASCII one may be broken.
    const FLAW_RATIO: usize = 50;
    let flaws = text.matches(char::REPLACEMENT_CHARACTER).count();
    let beyond_ascii = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    flaws <= 1 + beyond_ascii / FLAW_RATIO
}

/// The encoding that a page names in its head.
fn meta_charset(bytes: &[u8]) -> Option<&'static Encoding> {
    /// How far HTML says to look.
    const LOOK_BYTES: usize = 1024;
    let start = bytes.split_at(bytes.len().min(LOOK_BYTES)).0;
    let text = String::from_utf8_lossy(start).to_ascii_lowercase();
    let tags = text.split("<meta").skip(1);
    tags.filter_map(|after| {
        let tag = after.split_once('>')?.0;
        let (_, value) = tag.split_once("charset=")?;
        let is_end = |c: char| matches!(c, '"' | '\'' | ';' | '/') || c.is_whitespace();
        let label = value.trim_start_matches(['"', '\'']).split(is_end).next()?;
        let encoding = Encoding::for_label(label.as_bytes())?;
        // A page whose tags can be read byte by byte is not in UTF-16, whatever it says.
        Some(encoding.output_encoding())
    })
    .next()
}

/// A parameter of a header's value, without quotes.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (key.trim().eq_ignore_ascii_case(name) && !value.is_empty()).then(|| value.to_owned())
    })
}

fn disposition_name(disposition: &str) -> Option<String> {
    if let Some(encoded) = parameter(disposition, "filename*") {
        let value = encoded
            .rsplit_once('\'')
            .map_or(encoded.as_str(), |(_, v)| v);
        return Some(percent_decoded(value));
    }
    parameter(disposition, "filename").map(|name| percent_decoded(&name))
}

fn url_name(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut parts| parts.next_back());
    match last {
        Some(last) if !last.is_empty() => percent_decoded(last),
        Some(_) | None => url.host_str().unwrap_or("page").replace('.', "-"),
    }
}

fn percent_decoded(text: &str) -> String {
    // The query of an address is decoded as names are, but for the plus sign.
    let plain = text
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    url::form_urlencoded::parse(plain.as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_decide_what_is_shown_and_what_is_saved() {
        let cases = [
            ("text/html; charset=utf-8", Some(Kind::Html)),
            ("TEXT/HTML", Some(Kind::Html)),
            ("application/xhtml+xml", Some(Kind::Html)),
            ("text/plain", Some(Kind::Text)),
            ("text/markdown", Some(Kind::Text)),
            ("application/json", Some(Kind::Text)),
            ("application/ld+json", Some(Kind::Text)),
            ("application/rss+xml", Some(Kind::Text)),
            ("image/svg+xml", Some(Kind::File)),
            ("image/png", Some(Kind::File)),
            ("application/pdf", Some(Kind::File)),
            ("", None),
            ("application/octet-stream", None),
        ];
        for (content_type, kind) in cases {
            assert_eq!(described(content_type, "").kind(), kind, "{content_type}");
        }
        assert_eq!(sniff(b" <!DOCTYPE html><p>"), Kind::Html);
        assert_eq!(sniff("纯文本".as_bytes()), Kind::Text);
        assert_eq!(sniff(b"%PDF-1.7\n\xe2\xe3"), Kind::File);
        assert_eq!(sniff(b"a\0b"), Kind::File);
    }

    #[test]
    fn files_are_named_by_the_server_or_the_address() {
        let cases = [
            ("", "http://a.org/x/%E6%8A%A5+%20b.pdf?q=1", "报+ b.pdf"),
            ("", "http://a.org/", "a-org"),
            ("", "http://a.org/x", "x"),
            ("attachment; filename=\"r.pdf\"", "http://a.org/x", "r.pdf"),
            (
                "attachment; filename=%E6%8A%A5.pdf",
                "http://a.org/x",
                "报.pdf",
            ),
            (
                "attachment; filename=x.pdf; filename*=UTF-8''%E6%8A%A5.pdf",
                "http://a.org/x",
                "报.pdf",
            ),
        ];
        for (disposition, url, name) in cases {
            let mut headers = HeaderMap::new();
            if !disposition.is_empty() {
                headers.insert(CONTENT_DISPOSITION, disposition.parse().unwrap());
            }
            let described = Described::new(&headers, &Url::parse(url).unwrap());
            assert_eq!(described.file_name, name, "{disposition} {url}");
        }
        assert_eq!(described("application/pdf", "").name_for_file(), "x.pdf");
        assert_eq!(described("text/csv", "").name_for_file(), "x");
    }

    #[test]
    fn text_is_read_in_the_encoding_it_is_in() {
        let gbk = encoding_rs::GBK.encode("你好，世界").0.into_owned();
        let big5 = encoding_rs::BIG5.encode("你好").0.into_owned();
        let mut page = b"<head><meta charset=\"gb2312\"></head>".to_vec();
        page.extend(&gbk);
        let mut old_page =
            b"<META http-equiv=Content-Type content='text/html; charset=big5'>".to_vec();
        old_page.extend(&big5);
        let cases: [(&[u8], Option<&str>, Kind, &str); 10] = [
            ("你好".as_bytes(), None, Kind::Text, "你好"),
            ("\u{feff}你好".as_bytes(), Some("gbk"), Kind::Text, "你好"),
            (&gbk, Some("GBK"), Kind::Text, "你好，世界"),
            (&gbk, Some("nonsense"), Kind::Text, "你好，世界"),
            (&gbk, None, Kind::Text, "你好，世界"),
            (&big5, Some("big5"), Kind::Text, "你好"),
            (
                &page,
                None,
                Kind::Html,
                "<head><meta charset=\"gb2312\"></head>你好，世界",
            ),
            (
                &old_page,
                None,
                Kind::Html,
                "<META http-equiv=Content-Type content='text/html; charset=big5'>你好",
            ),
            (b"\xff\xfe\x60\x4f", None, Kind::Text, "你"),
            (b"caf\xe9", Some("iso-8859-1"), Kind::Text, "café"),
        ];
        for (bytes, charset, kind, expected) in cases {
            assert_eq!(decode(bytes, charset, kind), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_text_that_was_cut_keeps_what_it_had() {
        let text = "这是一段".repeat(100);
        let cut = text.as_bytes().split_last().unwrap().1;
        let whole = text.strip_suffix('段').unwrap();
        assert_eq!(decode(cut, None, Kind::Text), format!("{whole}\u{fffd}"));
    }

    fn described(content_type: &str, disposition: &str) -> Described {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        if !disposition.is_empty() {
            headers.insert(CONTENT_DISPOSITION, disposition.parse().unwrap());
        }
        Described::new(&headers, &Url::parse("http://a.org/x").unwrap())
    }
}
