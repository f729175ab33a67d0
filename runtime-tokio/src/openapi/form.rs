//! Uploads, as `multipart/form-data` whose length is known before it is sent:
//! not every proxy takes a body that does not say how long it is.

use core::fmt::Write as _;
use std::io;
use std::path::Path;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use reqwest::header::{self, HeaderValue};
use reqwest::{Body, Request};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::ApiError;
use super::request::unsendable;

/// What is uploaded: sent anew at each try, and never whole in memory if it is
/// a file.
#[derive(Debug)]
pub struct Upload {
    source: Source,
    len: u64,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    File(File),
}

impl Upload {
    /// Bytes at hand.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            len: bytes.len() as u64,
            source: Source::Memory(bytes),
        }
    }

    /// An open file, as long as it is now. Whoever may not be led out of a
    /// folder by a link opens it so.
    ///
    /// # Errors
    /// When it cannot be looked at, or is no regular file.
    pub async fn from_file(file: File) -> io::Result<Self> {
        let found = file.metadata().await?;
        if !found.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is no regular file",
            ));
        }
        Ok(Self {
            len: found.len(),
            source: Source::File(file),
        })
    }

    /// The file at a path.
    ///
    /// # Errors
    /// When it cannot be opened, or is no regular file.
    pub async fn open(path: &Path) -> io::Result<Self> {
        Self::from_file(File::open(path).await?).await
    }

    /// Its bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none: Feishu takes no empty files.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its bytes from the first one on.
    async fn body(&self, head: Bytes, tail: Bytes) -> io::Result<Body> {
        let head = stream::iter([Ok(head)]);
        let tail = stream::iter([Ok(tail)]);
        Ok(match &self.source {
            Source::Memory(bytes) => {
                let bytes = stream::iter([io::Result::Ok(bytes.clone())]);
                Body::wrap_stream(head.chain(bytes).chain(tail))
            }
            Source::File(file) => {
                let mut file = file.try_clone().await?;
                file.rewind().await?;
                // What was written to it since does not belong to it.
                let bytes = ReaderStream::with_capacity(file.take(self.len), CHUNK_BYTES);
                Body::wrap_stream(head.chain(bytes).chain(tail))
            }
        })
    }
}

/// Bytes of a file that are read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A form with some fields of text, and one of a file behind them.
pub(super) struct Form<'a> {
    head: String,
    file: &'a Upload,
    boundary: String,
}

impl<'a> Form<'a> {
    /// The field `name` holds the file. No value may hold a line break.
    pub(super) fn new(fields: &[(&str, &str)], name: &str, file: &'a Upload) -> Self {
        let boundary = format!("xiaoo-{:032x}", fastrand::u128(..));
        let mut head = String::new();
        for (key, value) in fields {
            // Writing to a string cannot fail.
            let _ = write!(
                head,
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{key}\"\r\n\r\n{value}\r\n"
            );
        }
        // Its real name, which may have any characters, is a field of its own.
        let _ = write!(
            head,
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"file\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        Self {
            head,
            file,
            boundary,
        }
    }

    /// All its bytes.
    pub(super) fn len(&self) -> u64 {
        (self.head.len() + self.tail().len()) as u64 + self.file.len
    }

    /// Makes it what the request carries.
    pub(super) async fn set(&self, request: &mut Request, name: &str) -> Result<(), ApiError> {
        let body = self.file.body(self.head.clone().into(), self.tail().into());
        let body = body.await.map_err(|error| ApiError::LocalFile {
            call: name.to_owned(),
            detail: error.to_string(),
        })?;
        *request.body_mut() = Some(body);
        let kind = format!("multipart/form-data; boundary={}", self.boundary);
        let kind = HeaderValue::try_from(kind)
            .map_err(|_| unsendable(name, "its boundary fits no header"))?;
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        let len = HeaderValue::from(self.len());
        request.headers_mut().insert(header::CONTENT_LENGTH, len);
        Ok(())
    }

    fn tail(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }
}
