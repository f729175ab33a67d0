//! Documents that are made to do harm. Each is refused, or read as far as the limits go.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use xiaoo_agent::document::{DocumentError, DocumentLimits};

use crate::rig::{apart, everywhere, everywhere_within, gzip, zip};

const MEBIBYTE: usize = 1 << 20;

/// Limits as they are, but for what things may unpack to: large ones take long to make.
fn limits() -> DocumentLimits {
    let mut limits = DocumentLimits::default();
    limits.unpacked_bytes_max = 4 << 20;
    limits.text_bytes_max = 1 << 20;
    limits
}

#[tokio::test]
async fn an_office_document_that_unpacks_to_too_much_is_refused() {
    for part in [
        "word/document.xml",
        "ppt/presentation.xml",
        "xl/workbook.xml",
    ] {
        for (bytes, is_refused) in [(4 * MEBIBYTE, false), (4 * MEBIBYTE + 1, true)] {
            let bomb = zip(&[(part, vec![b' '; bytes])]);
            assert!(bomb.len() < MEBIBYTE);
            let too_large = DocumentError::TooLarge {
                bytes_max: 4 << 20,
                unpacked: true,
            };
            let read = everywhere_within(&bomb, "f", limits()).await;
            assert_eq!(read == Err(too_large), is_refused, "{read:?}");
        }
    }
}

#[tokio::test]
async fn an_archive_that_lies_about_its_size_is_read_no_further() {
    let mut bomb = zip(&[("word/document.xml", vec![b' '; 9 * MEBIBYTE])]);
    // The uncompressed size in the directory and in the file's header.
    let size = (9 * MEBIBYTE as u32).to_le_bytes();
    for at in 0..bomb.len() - 4 {
        if bomb[at..at + 4] == size {
            bomb[at..at + 4].copy_from_slice(&9_u32.to_le_bytes());
        }
    }
    // Nothing is in it that is text; it is enough that it ends.
    let read = everywhere_within(&bomb, "f", limits()).await;
    assert!(read.is_err() || read.is_ok_and(|read| read.text.is_empty()));
}

#[tokio::test]
async fn elements_within_elements_are_no_matter() {
    let depth = 200_000;
    let open = "<a>".repeat(depth);
    let document = format!(
        "<w:document>{open}<w:t>deep</w:t>{}</w:document>",
        "</a>".repeat(depth)
    );
    let bomb = zip(&[("word/document.xml", document.into_bytes())]);
    assert_eq!(everywhere(&bomb, "f").await.unwrap().text, "deep");
    // Entities are not looked up.
    let laughs = b"<!DOCTYPE d [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;\">]><d><t>x&b;y</t></d>";
    let bomb = zip(&[("word/document.xml", laughs.to_vec())]);
    assert_eq!(everywhere(&bomb, "f").await.unwrap().text, "xy");
}

#[tokio::test]
async fn a_sheet_of_repeated_cells_ends_the_process_that_reads_it() {
    let content = "<office:document-content xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" \
        xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\" \
        xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"><office:body><office:spreadsheet>\
        <table:table table:name=\"S\"><table:table-row table:number-rows-repeated=\"1048576\">\
        <table:table-cell office:value-type=\"string\" table:number-columns-repeated=\"16384\">\
        <text:p>x</text:p></table:table-cell></table:table-row></table:table>\
        </office:spreadsheet></office:body></office:document-content>";
    let bomb = zip(&[
        (
            "mimetype",
            b"application/vnd.oasis.opendocument.spreadsheet".to_vec(),
        ),
        ("content.xml", content.as_bytes().to_vec()),
        ("META-INF/manifest.xml", b"<manifest:manifest/>".to_vec()),
    ]);
    let read = apart(&bomb, "f.ods", DocumentLimits::default()).await;
    assert!(
        matches!(
            read,
            Err(DocumentError::TooMuch { .. } | DocumentError::Broken { .. })
        ),
        "{read:?}"
    );
}

#[tokio::test]
async fn a_long_text_is_cut_where_a_character_ends() {
    let mut short = limits();
    short.text_bytes_max = 10;
    for bytes in [
        "字".repeat(100).into_bytes(),
        gzip("字".repeat(100).as_bytes()),
    ] {
        let read = apart(&bytes, "f", short).await.unwrap();
        assert_eq!((read.text.as_str(), read.is_complete), ("字字字", false));
    }
    let bomb = gzip(&vec![b'x'; 9 * MEBIBYTE]);
    let read = everywhere_within(&bomb, "f.gz", limits()).await.unwrap();
    assert_eq!((read.text.len(), read.is_complete), (MEBIBYTE, false));
}

#[tokio::test]
async fn a_file_that_is_too_long_is_not_looked_at() {
    let mut limits = DocumentLimits::default();
    limits.file_bytes_max = 8;
    for (bytes, is_read) in [(b"12345678".as_slice(), true), (b"123456789", false)] {
        let read = apart(bytes, "f", limits).await;
        assert_eq!(read.is_ok(), is_read, "{read:?}");
    }
}

#[tokio::test]
async fn a_long_list_is_cut() {
    let names: Vec<String> = (0..1001).map(|n| format!("{n}")).collect();
    let files: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), Vec::new()))
        .collect();
    for (count, is_complete) in [(1000, true), (1001, false)] {
        let read = everywhere(&zip(&files[..count]), "f").await.unwrap();
        assert_eq!(
            (read.text.lines().count(), read.is_complete),
            (1000, is_complete)
        );
    }
}

#[tokio::test]
async fn a_page_that_unpacks_to_too_much_is_left_out() {
    let mut content = ZlibEncoder::new(Vec::new(), Compression::best());
    for _ in 0..5 {
        content.write_all(&vec![b' '; MEBIBYTE]).unwrap();
    }
    let read = apart(&pdf(&content.finish().unwrap()), "f.pdf", limits())
        .await
        .unwrap();
    assert!(read.text.contains("can't be read"), "{}", read.text);
}

#[tokio::test]
async fn time_runs_out() {
    let mut limits = DocumentLimits::default();
    limits.time_max = Duration::ZERO;
    let read = apart(&crate::fixture("report.pdf"), "f", limits).await;
    assert_eq!(
        read,
        Err(DocumentError::TooMuch {
            what: "time".into()
        })
    );
}

/// A PDF of one page with this content, compressed.
fn pdf(content: &[u8]) -> Vec<u8> {
    let stream = format!("<</Length {}/Filter/FlateDecode>>", content.len());
    let mut pdf = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    let objects: [(&str, &[u8]); 4] = [
        ("<</Type/Catalog/Pages 2 0 R>>", b""),
        ("<</Type/Pages/Kids[3 0 R]/Count 1>>", b""),
        (
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<<>>>>",
            b"",
        ),
        (&stream, content),
    ];
    for (number, (head, content)) in objects.iter().enumerate() {
        places.push(pdf.len());
        write!(pdf, "{} 0 obj\n{head}\n", number + 1).unwrap();
        if !content.is_empty() {
            pdf.extend_from_slice(b"stream\n");
            pdf.extend_from_slice(content);
            pdf.extend_from_slice(b"\nendstream\n");
        }
        pdf.extend_from_slice(b"endobj\n");
    }
    let table = pdf.len();
    write!(pdf, "xref\n0 5\n0000000000 65535 f \n").unwrap();
    for place in places {
        writeln!(pdf, "{place:010} 00000 n ").unwrap();
    }
    write!(
        pdf,
        "trailer<</Size 5/Root 1 0 R>>\nstartxref\n{table}\n%%EOF\n"
    )
    .unwrap();
    pdf
}
