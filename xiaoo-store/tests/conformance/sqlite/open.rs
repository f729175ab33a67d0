//! Opening: what is refused, and what it says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;
use xiaoo_store::{OpenError, StoreGuard, StoreOptions};

use crate::rig::{open, path_in};

#[test]
fn directories_and_files_are_made_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/deep/store.db");
    let (_store, _guard) = open(&path, &StoreOptions::default()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory.path().join("new")), 0o700);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for name in ["store.db", "store.db-wal", "store.db.lock"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
}

#[test]
fn a_store_has_one_owner() {
    let (directory, guard) = a_store();
    let error = refused(&path_in(&directory));
    let OpenError::LockedByAnother { pid, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*pid, Some(std::process::id()));
    let told = error.to_string();
    assert!(
        told.contains(&format!("process {}", std::process::id())),
        "{told}"
    );

    drop(guard);
    assert!(open(&path_in(&directory), &StoreOptions::default()).is_ok());
}

#[test]
fn a_file_that_is_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    for text in ["short", &"a longer text, not a database. ".repeat(300)] {
        fs::write(&path, text).unwrap();
        let error = refused(&path);
        assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), *text);
    }
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); PRAGMA user_version = 1")
        .unwrap();
    let before = fs::read(&path).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_schema_is_refused_by_number() {
    let (directory, _) = a_store();
    let path = path_in(&directory);
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 7_000)
        .unwrap();
    let error = refused(&path);
    assert!(
        matches!(error, OpenError::NewerSchema { found: 7_000, .. }),
        "{error:?}"
    );
}

#[test]
fn a_damaged_file_is_told_from_a_foreign_one() {
    let (directory, _) = a_store();
    let path = path_in(&directory);
    let mut bytes = fs::read(&path).unwrap();
    let first_page = 4_096;
    assert!(bytes.len() > first_page);
    bytes[first_page..].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_path_that_can_not_be_is_refused_with_the_system_s_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refused(&file.join("store.db"));
    assert!(matches!(error, OpenError::Files { .. }), "{error:?}");
}

#[test]
fn a_directory_that_can_not_be_written_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    // Modes don't bind the superuser; the sorting of the error has a test of its
    // own beside it.
    if fs::write(closed.join("probe"), "").is_ok() {
        return;
    }
    let error = refused(&closed.join("store.db"));
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error:?}");
}

#[test]
fn every_refusal_says_which_file_it_is_about() {
    let path = || "/data/store.db".into();
    for error in [
        OpenError::Corrupt {
            path: path(),
            detail: "x".to_owned(),
        },
        OpenError::Files {
            path: path(),
            source: std::io::ErrorKind::NotFound.into(),
        },
        OpenError::Foreign { path: path() },
        OpenError::LockedByAnother {
            path: path(),
            pid: None,
        },
        OpenError::NewerSchema {
            path: path(),
            found: 2,
            known: 1,
        },
        OpenError::NotADatabase { path: path() },
        OpenError::ReadOnly { path: path() },
        OpenError::Sqlite {
            path: path(),
            detail: "x".to_owned(),
        },
    ] {
        assert!(error.to_string().contains("/data/store.db"), "{error}");
    }
}

/// A store that was made, and is open until the guard is dropped.
fn a_store() -> (TempDir, StoreGuard) {
    let directory = tempfile::tempdir().unwrap();
    let (_, guard) = open(&path_in(&directory), &StoreOptions::default()).unwrap();
    (directory, guard)
}

fn refused(path: &Path) -> OpenError {
    match open(path, &StoreOptions::default()) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}
