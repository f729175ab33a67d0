//! Real documents, read here and in a process of their own; and those that are made to do harm.

#![expect(
    clippy::unwrap_used,
    reason = "a test that is wrong about what it has should stop there"
)]

mod bombs;
mod rig;

use rig::{everywhere, fixture, here};
use xiaoo_agent::document::{DocumentError, Extracted};

#[tokio::test]
async fn documents_become_text() {
    let cases = [
        (
            "report.pdf",
            "PDF, 2 pages",
            "## page 1\n季度报告\nQuarterly report: café 42\n\n## page 2\nSecond page",
        ),
        (
            "minutes.docx",
            "Word document",
            "会议纪要\nFirst & <second>\tafter a tab\n姓名 \t分数 \t\nLi Lei \t95 \t\nThe end.",
        ),
        (
            "slides.pptx",
            "presentation, 2 slides",
            "## slide 1\nSlide title 2\n要点一\n要点二\nNotes:\nSay hello\n\n## slide 2\nSlide title 1\n要点一\n要点二",
        ),
        (
            "scores.xlsx",
            "Excel, 2 sheets",
            "## 成绩\n姓名\t分数\t日期\nLi Lei\t95.5\t2026-09-21\nHan Meimei\t88\t2026-09-22 08:30:00\n\t\t\t\tfar\n\n## Empty",
        ),
        ("old.xls", "Excel, 1 sheet", "## Old\n名称\t数量\npear\t3"),
        (
            "fruits.ods",
            "OpenDocument spreadsheet, 1 sheet",
            "## Fruits\napple\t1\n梨\t2",
        ),
        ("letter.odt", "OpenDocument text", "标题\nA paragraph."),
        (
            "scanned.pdf",
            "PDF, 1 page",
            "(PDF, 1 page, but no text in it: its pages are probably pictures.)",
        ),
        (
            "dot.png",
            "PNG picture, 3 x 2 pixels",
            "(PNG picture, 3 x 2 pixels, 68 bytes. It has no text to read.)",
        ),
    ];
    for (name, what, text) in cases {
        let read = everywhere(&fixture(name), name).await;
        let expected = Extracted {
            what: what.into(),
            text: text.into(),
            is_complete: true,
        };
        assert_eq!(read, Ok(expected), "{name}");
    }
}

#[tokio::test]
async fn a_cell_far_out_costs_nothing() {
    let read = everywhere(&fixture("last_cell.xlsx"), "last_cell.xlsx").await;
    let text = read.unwrap().text;
    assert!(text.starts_with("## Sheet\n\t\t") && text.ends_with("\tlast"));
    assert_eq!(text.matches('\t').count(), 16_383);
}

#[tokio::test]
async fn what_is_protected_says_so() {
    let read = everywhere(&fixture("protected.pdf"), "protected.pdf").await;
    assert_eq!(read, Err(DocumentError::Protected));
}

#[tokio::test]
async fn archives_are_listed() {
    let zip = rig::zip(&[("a.txt", b"one".to_vec()), ("目录/b.txt", Vec::new())]);
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in [("a.txt", "one"), ("d/b\nc.txt", "")] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let gz = rig::gzip(&tar);
    let text_gz = rig::gzip("你好\n".as_bytes());
    let cases = [
        (
            "a.zip",
            zip,
            "ZIP archive, 2 entries",
            "a.txt  3\n目录/b.txt  0",
        ),
        (
            "a.tar",
            tar,
            "tar archive, 2 entries",
            "a.txt  3\nd/b\\nc.txt  0",
        ),
        (
            "a.tar.gz",
            gz,
            "tar.gz archive, 2 entries",
            "a.txt  3\nd/b\\nc.txt  0",
        ),
        ("a.log.gz", text_gz, "gzip of text", "你好"),
    ];
    for (name, bytes, what, text) in cases {
        let read = everywhere(&bytes, name).await.unwrap();
        assert_eq!((read.what.as_str(), read.text.as_str()), (what, text));
    }
}

#[tokio::test]
async fn names_from_chinese_windows_are_readable() {
    let mut zip = rig::zip(&[("aabb.txt", Vec::new())]);
    // The same length in GBK, in both places where the name stands.
    let gbk = b"\xb1\xa8\xb8\xe6";
    for at in 0..zip.len() - 4 {
        if &zip[at..at + 4] == b"aabb" {
            zip[at..at + 4].copy_from_slice(gbk);
        }
    }
    let read = everywhere(&zip, "a.zip").await.unwrap();
    assert_eq!(read.text, "报告.txt  0");
}

#[tokio::test]
async fn what_is_no_document_says_what_it_is() {
    let cases: [(&[u8], &str, &str); 4] = [
        (b"", "an empty file", ""),
        (b"\xc4\xe3\xba\xc3,1\n", "text in gb18030", "你好,1"),
        (b"\xff\xfe\x60\x4f", "text in UTF-16LE", "你"),
        (
            b"\x7fELF\x02\x01\x01\0",
            "a binary file of unknown kind",
            "(f is a binary file of 8 bytes that can't be read as text. It begins with 7f 45 4c 46 02 01 01 00.)",
        ),
    ];
    for (bytes, what, text) in cases {
        let read = everywhere(bytes, "f").await.unwrap();
        assert_eq!((read.what.as_str(), read.text.as_str()), (what, text));
    }
}

#[test]
fn damaged_documents_are_refused_or_read_in_part() {
    let names = [
        "report.pdf",
        "minutes.docx",
        "slides.pptx",
        "scores.xlsx",
        "old.xls",
        "fruits.ods",
    ];
    for name in names {
        let whole = fixture(name);
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..60 {
            let mut bytes = whole.clone();
            if random.bool() {
                bytes.truncate(random.usize(..whole.len()));
            }
            for _ in 0..random.usize(..8) {
                if let Some(at) = random.choice(bytes.iter_mut()) {
                    *at = random.u8(..);
                }
            }
            // What comes of it does not matter; that something does, is the test.
            let _ = here(&bytes, name);
        }
    }
}
