//! What a file is, by its first bytes. Names are often wrong.

use core::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// What a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pdf,
    /// Archives, and Office documents since 2007.
    Zip,
    /// Office documents before 2007.
    Compound,
    Gzip,
    Tar,
    Picture(&'static str),
    /// Text, or something unknown.
    Other,
}

impl Kind {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let has = |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|b| b.starts_with(magic));
        if let Some(format) = picture_format(bytes) {
            return Self::Picture(format);
        }
        let head = bytes.get(..PDF_HEADER_WITHIN).unwrap_or(bytes);
        if head.windows(5).any(|window| window == b"%PDF-") {
            Self::Pdf
        } else if has(0, b"PK\x03\x04") || has(0, b"PK\x05\x06") {
            Self::Zip
        } else if has(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
            Self::Compound
        } else if has(0, b"\x1f\x8b\x08") {
            Self::Gzip
        } else if has(257, b"ustar") {
            Self::Tar
        } else {
            Self::Other
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pdf => "a PDF",
            Self::Zip => "an Office document or a ZIP archive",
            Self::Compound => "an old Office document",
            Self::Gzip => "a gzip file",
            Self::Tar => "a tar archive",
            Self::Picture(_) => "a picture",
            Self::Other => "a text",
        })
    }
}

/// Whether the file is a picture that chats show.
pub(crate) fn is_picture(file: &File) -> bool {
    let mut head = [0; 16];
    let read = file.read_at(&mut head, 0).unwrap_or(0);
    picture_format(head.get(..read).unwrap_or_default()).is_some()
}

fn picture_format(bytes: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    Some(if starts(b"\x89PNG\r\n\x1a\n") {
        "PNG"
    } else if starts(b"\xff\xd8\xff") {
        "JPEG"
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        "GIF"
    } else if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        "WebP"
    // `BM` begins many a text; the four bytes behind the length are always zero.
    } else if starts(b"BM") && bytes.get(6..10) == Some(&[0; 4]) {
        "BMP"
    } else {
        return None;
    })
}

/// Where readers look for a PDF's header.
const PDF_HEADER_WITHIN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell() {
        let mut tar = vec![b'a'; 257];
        tar.extend(b"ustar\0");
        let cases: [(&[u8], Kind); 12] = [
            (b"%PDF-1.7\n", Kind::Pdf),
            (b"\n\njunk %PDF-1.4", Kind::Pdf),
            (b"PK\x03\x04rest", Kind::Zip),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind::Compound),
            (b"\x1f\x8b\x08\0", Kind::Gzip),
            (&tar, Kind::Tar),
            (b"\x89PNG\r\n\x1a\n", Kind::Picture("PNG")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Kind::Picture("WebP")),
            (b"BM\x01\0\0\0\0\0\0\0", Kind::Picture("BMP")),
            (b"BMW is a car", Kind::Other),
            (b"RIFF\0\0\0\0WAVE", Kind::Other),
            (b"", Kind::Other),
        ];
        for (bytes, kind) in cases {
            assert_eq!(Kind::of(bytes), kind, "{bytes:?}");
        }
    }
}
