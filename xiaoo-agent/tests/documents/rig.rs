use std::io::{Cursor, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use xiaoo_agent::document::{DocumentError, DocumentLimits, DocumentReader, Extracted, text_of};
use xiaoo_agent::sandbox::Sandbox;
use zip::write::SimpleFileOptions;

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents/files");
    std::fs::read(files.join(name)).unwrap()
}

pub(crate) fn here(bytes: &[u8], name: &str) -> Result<Extracted, DocumentError> {
    text_of(bytes, name, &DocumentLimits::default())
}

pub(crate) async fn apart(
    bytes: &[u8],
    name: &str,
    limits: DocumentLimits,
) -> Result<Extracted, DocumentError> {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_sandbox-helper"));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    DocumentReader::Apart(sandbox, limits)
        .read(file, name)
        .await
}

/// Read in all ways, which must come to the same.
pub(crate) async fn everywhere(bytes: &[u8], name: &str) -> Result<Extracted, DocumentError> {
    everywhere_within(bytes, name, DocumentLimits::default()).await
}

pub(crate) async fn everywhere_within(
    bytes: &[u8],
    name: &str,
    limits: DocumentLimits,
) -> Result<Extracted, DocumentError> {
    let read = text_of(bytes, name, &limits);
    assert_eq!(apart(bytes, name, limits).await, read, "{name}");
    read
}

pub(crate) fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, content) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}
