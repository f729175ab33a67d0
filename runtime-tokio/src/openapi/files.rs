//! Files: those that people send come down, those that the bot sends go up.

use proto_core::ResourceKind;
use reqwest::{Method, Response, header};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::calls::{get, segment};
use super::form::{Form, Upload};
use super::request::{Call, Payload, time_for, too_long, transport};
use super::{ApiError, OpenApi};

/// The largest image that Feishu takes.
pub const IMAGE_BYTES_MAX: u64 = 10 << 20;
/// The largest file that Feishu takes.
pub const FILE_BYTES_MAX: u64 = 30 << 20;
/// Characters of a file's name that are kept: longer ones are not shown in full
/// anywhere.
const NAME_CHARS_MAX: usize = 255;

/// A file or image of a message that the bot can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceAt<'a> {
    /// The message. What is in a forwarded bundle is had by the bundle's own id:
    /// by that of the message inside, Feishu says that the file is not in it.
    pub message_id: &'a str,
    /// `img_…` or `file_…`
    pub file_key: &'a str,
    /// What it is. Stickers are never given out.
    pub kind: ResourceKind,
}

/// A file that came down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Downloaded {
    /// As the platform names it: `image/png`.
    pub content_type: String,
    /// As the platform or its sender names it. It is no path, and may not be
    /// used as one before it was looked at.
    pub file_name: Option<String>,
    /// How long it is.
    pub bytes: u64,
}

/// What an uploaded file is: a message must be of the type that fits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// Opus audio, sent as `audio`.
    Opus,
    /// A video, sent as `media`.
    Mp4,
    /// A PDF document.
    Pdf,
    /// A Word document.
    Doc,
    /// An Excel workbook.
    Xls,
    /// A PowerPoint presentation.
    Ppt,
    /// Anything else.
    Stream,
}

impl FileType {
    /// By the end of the file's name.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension.to_ascii_lowercase().as_str() {
            "opus" => Self::Opus,
            "mp4" => Self::Mp4,
            "pdf" => Self::Pdf,
            "doc" | "docx" => Self::Doc,
            "xls" | "xlsx" => Self::Xls,
            "ppt" | "pptx" => Self::Ppt,
            _ => Self::Stream,
        }
    }

    /// The `file_type` of the upload.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Mp4 => "mp4",
            Self::Pdf => "pdf",
            Self::Doc => "doc",
            Self::Xls => "xls",
            Self::Ppt => "ppt",
            Self::Stream => "stream",
        }
    }

    /// The `msg_type` of a message that shows it.
    #[must_use]
    pub const fn msg_type(self) -> &'static str {
        match self {
            Self::Opus => "audio",
            Self::Mp4 => "media",
            Self::Pdf | Self::Doc | Self::Xls | Self::Ppt | Self::Stream => "file",
        }
    }
}

#[derive(Deserialize)]
struct ImageKey {
    image_key: String,
}

#[derive(Deserialize)]
struct FileKey {
    file_key: String,
}

impl OpenApi {
    /// Fetches a file of a message into `into`, in place of what is there. Its
    /// length is bounded: what is longer is not read to its end.
    ///
    /// # Errors
    /// [`ApiError`]; see [`ApiError::is_too_large`], [`ApiError::target_is_gone`]
    /// and [`ApiError::is_scope_missing`]. What is in `into` is then of no use.
    pub async fn download_resource(
        &self,
        at: ResourceAt<'_>,
        bytes_max: u64,
        into: &File,
    ) -> Result<Downloaded, ApiError> {
        const NAME: &str = "GET /im/v1/messages/:id/resources/:key";
        let path = format!(
            "/open-apis/im/v1/messages/{}/resources/{}",
            segment(NAME, at.message_id)?,
            segment(NAME, at.file_key)?
        );
        let query = [("type", at.kind.download_type())];
        let call = get(NAME, path, &query);
        let attempt = || async {
            let response = self.open(&call).await?;
            self.save(NAME, response, bytes_max, into).await
        };
        self.with_patience(NAME, time_for(bytes_max), attempt).await
    }

    async fn save(
        &self,
        name: &str,
        mut response: Response,
        bytes_max: u64,
        into: &File,
    ) -> Result<Downloaded, ApiError> {
        let too_large = || ApiError::FileTooLarge {
            call: name.to_owned(),
            max: bytes_max,
        };
        let local = |error: std::io::Error| ApiError::LocalFile {
            call: name.to_owned(),
            detail: error.to_string(),
        };
        if response.content_length().is_some_and(|len| len > bytes_max) {
            return Err(too_large());
        }
        let mut downloaded = Downloaded {
            content_type: header_text(&response, &header::CONTENT_TYPE).unwrap_or_default(),
            file_name: header_text(&response, &header::CONTENT_DISPOSITION)
                .and_then(|disposition| file_name(&disposition)),
            bytes: 0,
        };
        let mut file = into.try_clone().await.map_err(local)?;
        file.set_len(0).await.map_err(local)?;
        file.rewind().await.map_err(local)?;
        // The whole is bounded by the caller's patience; this finds a link that
        // has gone silent long before.
        let silence_max = self.0.config.patience.call_timeout;
        loop {
            let chunk = timeout(silence_max, response.chunk())
                .await
                .map_err(|_| too_long(name))?
                .map_err(|error| transport(name, &error))?;
            let Some(chunk) = chunk else { break };
            downloaded.bytes += chunk.len() as u64;
            if downloaded.bytes > bytes_max {
                return Err(too_large());
            }
            file.write_all(&chunk).await.map_err(local)?;
        }
        // Without it the last bytes may still be on their way to the file.
        file.flush().await.map_err(local)?;
        Ok(downloaded)
    }

    /// Uploads an image to be shown in messages and cards; returns its key.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn upload_image(&self, image: &Upload) -> Result<String, ApiError> {
        const NAME: &str = "POST /im/v1/images";
        let form = Form::new(&[("image_type", "message")], "image", image);
        let path = "/open-apis/im/v1/images";
        self.upload::<ImageKey>(NAME, path, (image, IMAGE_BYTES_MAX), &form)
            .await
            .map(|uploaded| uploaded.image_key)
    }

    /// Uploads a file to be sent; returns its key. `duration_ms` is how long
    /// audio or a video plays.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn upload_file(
        &self,
        file: &Upload,
        kind: FileType,
        name: &str,
        duration_ms: Option<u64>,
    ) -> Result<String, ApiError> {
        const NAME: &str = "POST /im/v1/files";
        let name: String = name
            .chars()
            .filter(|character| !character.is_control())
            .take(NAME_CHARS_MAX)
            .collect();
        let duration = duration_ms.map(|ms| ms.to_string());
        let mut fields = vec![("file_type", kind.name()), ("file_name", name.as_str())];
        fields.extend(duration.as_deref().map(|ms| ("duration", ms)));
        let form = Form::new(&fields, "file", file);
        let path = "/open-apis/im/v1/files";
        self.upload::<FileKey>(NAME, path, (file, FILE_BYTES_MAX), &form)
            .await
            .map(|uploaded| uploaded.file_key)
    }

    async fn upload<T: serde::de::DeserializeOwned>(
        &self,
        name: &'static str,
        path: &str,
        (file, bytes_max): (&Upload, u64),
        form: &Form<'_>,
    ) -> Result<T, ApiError> {
        if file.len() > bytes_max {
            return Err(ApiError::FileTooLarge {
                call: name.to_owned(),
                max: bytes_max,
            });
        }
        self.call(Call {
            method: Method::POST,
            path: path.to_owned(),
            name,
            target: None,
            query: &[],
            body: Payload::Form(form),
        })
        .await
    }
}

/// A header's text, also where it is UTF-8 that no header should hold.
fn header_text(response: &Response, name: &header::HeaderName) -> Option<String> {
    let value = response.headers().get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The name in a `Content-Disposition`: `filename*` if it is there, else
/// `filename`, which some servers percent-encode as well.
fn file_name(disposition: &str) -> Option<String> {
    let mut plain = None;
    for parameter in parameters(disposition) {
        let Some((key, value)) = parameter.split_once('=') else {
            continue;
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "filename*" => {
                let encoded = value.trim().splitn(3, '\'').last().unwrap_or_default();
                if let Some(name) = percent_decoded(encoded) {
                    return Some(name);
                }
            }
            "filename" => plain = Some(unquoted(value.trim())),
            _ => {}
        }
    }
    let plain = plain?;
    let name = percent_decoded(&plain).unwrap_or(plain);
    Some(name).filter(|name| !name.is_empty())
}

/// The parts between semicolons that stand outside quotes.
fn parameters(disposition: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    disposition.split(move |character| {
        let is_end = character == ';' && !quoted;
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        is_end
    })
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value
        .strip_prefix('"')
        .map(|inner| inner.strip_suffix('"').unwrap_or(inner))
    else {
        return value.to_owned();
    };
    let mut name = String::with_capacity(inner.len());
    let mut escaped = false;
    for character in inner.chars() {
        if character == '\\' && !escaped {
            escaped = true;
        } else {
            name.push(character);
            escaped = false;
        }
    }
    name
}

/// The text behind `%E4%BD%A0`; `None` where it is none, or not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        if *first == b'%' {
            let digits = core::str::from_utf8(behind.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = behind.get(2..)?;
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_from_whatever_form_it_comes_in() {
        for (disposition, name) in [
            ("attachment; filename=\"a b.txt\"", Some("a b.txt")),
            ("attachment; filename=plain.txt", Some("plain.txt")),
            ("attachment; filename=\"报告.pdf\"", Some("报告.pdf")),
            ("attachment; filename=\"%E6%8A%A5.pdf\"", Some("报.pdf")),
            ("attachment; filename=\"100%.txt\"", Some("100%.txt")),
            (
                "attachment; filename=\"a\\\"b;c.txt\"; x=y",
                Some("a\"b;c.txt"),
            ),
            (
                "attachment; filename=\"x.txt\"; filename*=UTF-8''%E6%8A%A5%20.txt",
                Some("报 .txt"),
            ),
            ("attachment; filename*=UTF-8''%FF; filename=x", Some("x")),
            ("attachment; filename=\"\"", None),
            ("inline", None),
            ("", None),
        ] {
            assert_eq!(file_name(disposition).as_deref(), name, "{disposition}");
        }
    }

    #[test]
    fn a_file_is_what_its_name_ends_in() {
        for (name, kind, msg_type) in [
            ("voice.OPUS", FileType::Opus, "audio"),
            ("a.mp4", FileType::Mp4, "media"),
            ("报告.docx", FileType::Doc, "file"),
            ("t.xlsx", FileType::Xls, "file"),
            ("archive.tar.gz", FileType::Stream, "file"),
            ("pdf", FileType::Stream, "file"),
            ("", FileType::Stream, "file"),
        ] {
            assert_eq!(FileType::of_name(name), kind, "{name}");
            assert_eq!(kind.msg_type(), msg_type, "{name}");
        }
    }
}
