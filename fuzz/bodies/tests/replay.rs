//! Every file of every corpus through its target, without a fuzzer.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use fuzz_bodies::TARGETS;

/// Corpora are for people to review: no more than this of each.
const FILES_MAX: usize = 40;
const BYTES_MAX: usize = 100_000;

#[test]
fn every_corpus_file_passes_its_target() {
    for (name, body) in TARGETS {
        for path in files_in(&fuzz().join("corpus").join(name)) {
            let bytes = fs::read(&path).unwrap();
            let passed = catch_unwind(|| body(&bytes)).is_ok();
            assert!(passed, "target {name} fails with {}", path.display());
        }
    }
}

#[test]
fn every_target_has_a_program_and_a_small_corpus() {
    let mut names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let programs = files_in(&fuzz().join("fuzz_targets"));
    let stems = programs.iter().map(|path| path.file_stem().unwrap());
    assert_eq!(stems.collect::<Vec<_>>(), names);
    for name in names {
        let files = files_in(&fuzz().join("corpus").join(name));
        let bytes: usize = files.iter().map(|path| fs::read(path).unwrap().len()).sum();
        assert!(!files.is_empty(), "no corpus for {name}");
        assert!(files.len() <= FILES_MAX, "{name}: {} files", files.len());
        assert!(bytes <= BYTES_MAX, "{name}: {bytes} bytes");
    }
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// In the order of their names; none if there is no such folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}
