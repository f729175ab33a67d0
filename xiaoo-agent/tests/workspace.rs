//! The workspace on a real disk, with everything on it that leads out.

#![expect(
    clippy::unwrap_used,
    reason = "a test that is wrong about what it has should stop there"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use xiaoo_agent::workspace::{Kind, Workspace, WorkspaceError};

#[test]
fn paths_lead_where_they_should_and_nowhere_else() {
    let place = Place::new();
    let root = place.root.display();
    let outside = place.outside.display();
    let skill = place.skill.display();
    let other_name = place.other_name.display();
    let cases: [(String, Result<&str, &str>); 27] = [
        ("in.txt".into(), Ok("in")),
        ("./in.txt".into(), Ok("in")),
        ("sub//deep.txt".into(), Ok("deep")),
        (format!("{root}/in.txt"), Ok("in")),
        (format!("{root}//sub/./deep.txt"), Ok("deep")),
        (format!("{other_name}/in.txt"), Ok("in")),
        (format!("{skill}/SKILL.md"), Ok("skill")),
        ("link-in".into(), Ok("in")),
        ("sub/link-up".into(), Ok("in")),
        ("../outside/secret".into(), Err("BadPath")),
        ("sub/../in.txt".into(), Err("BadPath")),
        (format!("{root}/../outside/secret"), Err("BadPath")),
        (format!("{root}-not/secret"), Err("Outside")),
        (format!("{outside}/secret"), Err("Outside")),
        ("/etc/passwd".into(), Err("Outside")),
        ("link-out".into(), Err("Outside")),
        ("link-absolute".into(), Err("Outside")),
        ("directory-out/secret".into(), Err("Outside")),
        ("loop".into(), Err("Outside")),
        // A link of the system that leads out by itself.
        (
            ["proc", "self", "root", "etc", "passwd"].join("/"),
            Err("Outside"),
        ),
        (format!("{skill}/out"), Err("Outside")),
        ("fifo".into(), Err("NotAFile")),
        ("socket".into(), Err("NotAFile")),
        ("sub".into(), Err("NotAFile")),
        ("".into(), Err("NotAFile")),
        ("in.txt/x".into(), Err("NotADirectory")),
        ("nothing".into(), Err("NotFound")),
    ];
    for (path, expected) in cases {
        let read = place.workspace.read(&path, 100);
        match (&read, expected) {
            (Ok(bytes), Ok(content)) => assert_eq!(bytes, content.as_bytes(), "{path}"),
            (Err(error), Err(kind)) => assert_eq!(variant(error), kind, "{path}: {error}"),
            _ => panic!("{path}: {read:?}"),
        }
    }
    for bad in [
        "a\0b",
        &"a".repeat(5000),
        &"a/".repeat(65),
        &"a".repeat(300),
    ] {
        let read = place.workspace.read(bad, 100);
        assert!(
            matches!(read, Err(WorkspaceError::BadPath { .. })),
            "{read:?}"
        );
    }
}

#[test]
fn devices_are_not_opened() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let place = Place::new();
    let device = place.root.join("zero");
    let zero = rustix::fs::makedev(1, 5);
    mknodat(CWD, &device, FileType::CharacterDevice, Mode::RUSR, zero).unwrap();
    let read = place.workspace.read("zero", 100);
    assert_eq!(variant(&read.unwrap_err()), "NotAFile");
}

#[test]
fn files_are_read_up_to_the_bound_and_not_beyond() {
    let place = Place::new();
    assert_eq!(place.workspace.read("in.txt", 2).unwrap(), b"in");
    let too_long = place.workspace.read("in.txt", 1);
    assert_eq!(variant(&too_long.unwrap_err()), "TooLarge");
}

#[test]
fn nothing_is_written_but_beneath_the_root() {
    let place = Place::new();
    let skill = place.skill.display();
    let cases = [
        (format!("{skill}/new"), "ReadOnly"),
        (format!("{skill}/SKILL.md"), "ReadOnly"),
        (format!("{}/secret", place.outside.display()), "Outside"),
        ("../outside/secret".into(), "BadPath"),
        ("directory-out/secret".into(), "Outside"),
        ("directory-out/new".into(), "Outside"),
        ("directory-out/new/deep".into(), "Outside"),
        ("in.txt/x".into(), "NotADirectory"),
        ("sub".into(), "NotAFile"),
        ("fifo".into(), "NotAFile"),
        ("socket".into(), "NotAFile"),
        (".".into(), "NotAFile"),
    ];
    for (path, kind) in cases {
        let written = place.workspace.write(&path, b"x").unwrap_err();
        assert_eq!(variant(&written), kind, "{path}: {written}");
        let appended = place.workspace.append(&path, b"x").unwrap_err();
        assert_eq!(variant(&appended), kind, "{path}: {appended}");
    }
    // Appending follows a link, so it may not lead out; replacing takes the link's place.
    let appended = place.workspace.append("link-out", b"x").unwrap_err();
    assert_eq!(variant(&appended), "Outside");
    place.workspace.write("link-out", b"x").unwrap();
    assert_eq!(place.workspace.read("link-out", 9).unwrap(), b"x");
    assert_eq!(
        fs::read_to_string(place.outside.join("secret")).unwrap(),
        "secret"
    );
    assert_eq!(fs::read_dir(&place.outside).unwrap().count(), 1);
    assert_eq!(
        fs::read_to_string(place.skill.join("SKILL.md")).unwrap(),
        "skill"
    );
}

#[test]
fn files_are_made_replaced_and_added_to() {
    let place = Place::new();
    let workspace = &place.workspace;
    workspace.write("new/deep/file.txt", b"one").unwrap();
    workspace.append("new/deep/file.txt", b"two").unwrap();
    assert_eq!(workspace.read("new/deep/file.txt", 99).unwrap(), b"onetwo");
    workspace.write("new/deep/file.txt", b"three").unwrap();
    assert_eq!(workspace.read("new/deep/file.txt", 99).unwrap(), b"three");
    workspace.append("new/list", b"first").unwrap();
    assert_eq!(workspace.read("new/list", 99).unwrap(), b"first");
    let mode = |path: &str| {
        let metadata = fs::metadata(place.root.join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    workspace.write("script", b"#!/bin/sh\n").unwrap();
    assert_eq!(
        (mode("new"), mode("new/list"), mode("script")),
        (0o700, 0o600, 0o700)
    );
    workspace.write("script", b"# no longer\n").unwrap();
    assert_eq!(mode("script"), 0o700);
    // No half files are left.
    let names: Vec<_> = workspace.list("new/deep", 9).unwrap().entries;
    assert_eq!(names.len(), 1);
}

#[test]
fn directories_are_listed_by_name() {
    let place = Place::new();
    let listing = place.workspace.list(".", 100).unwrap();
    assert!(listing.is_complete);
    let found = |name: &str| {
        let entry = listing.entries.iter().find(|entry| entry.name == name);
        entry.unwrap().metadata
    };
    assert_eq!(
        (found("in.txt").kind, found("in.txt").bytes),
        (Kind::File, 2)
    );
    assert_eq!(found("sub").kind, Kind::Directory);
    assert_eq!(found("link-out").kind, Kind::Link);
    assert_eq!(found("fifo").kind, Kind::Other);
    assert!(listing.entries.is_sorted_by_key(|entry| entry.name.clone()));
    let few = place.workspace.list("", 2).unwrap();
    assert_eq!((few.entries.len(), few.is_complete), (2, false));
    for (path, kind) in [("directory-out", "Outside"), ("in.txt", "NotADirectory")] {
        assert_eq!(variant(&place.workspace.list(path, 9).unwrap_err()), kind);
    }
    assert_eq!(
        place.workspace.metadata("link-in").unwrap().kind,
        Kind::File
    );
    assert!(place.workspace.metadata("link-out").is_err());
}

#[tokio::test]
async fn downloads_get_names_of_their_own() {
    let place = Place::new();
    let names = ["a.txt", "a-2.txt", "a-3.txt"];
    for name in names {
        let saved = place
            .workspace
            .write_new("files", "../x/a.txt", name.as_bytes(), 99);
        let saved = saved.await.unwrap();
        assert_eq!(
            (saved.path, saved.name.as_str(), saved.bytes),
            (format!("files/{name}"), name, name.len() as u64)
        );
    }
    for name in names {
        let read = place.workspace.read(&format!("files/{name}"), 99).unwrap();
        assert_eq!(read, name.as_bytes());
    }
}

#[tokio::test]
async fn a_download_that_fails_leaves_nothing() {
    let place = Place::new();
    let save = |bytes: &'static [u8]| place.workspace.write_new("files", "a", bytes, 4);
    assert_eq!(save(b"1234").await.unwrap().bytes, 4);
    assert_eq!(variant(&save(b"12345").await.unwrap_err()), "TooLarge");
    let broken = tokio_util::io::StreamReader::new(futures_util::stream::iter([
        Ok(bytes::Bytes::from_static(b"12")),
        Err(std::io::Error::other("gone")),
    ]));
    let failed = place.workspace.write_new("files", "a", broken, 4).await;
    assert_eq!(variant(&failed.unwrap_err()), "Io");
    let (_writer, reader) = tokio::io::duplex(8);
    let endless = place.workspace.write_new("files", "b", reader, 4);
    tokio::select! {
        biased;
        () = async { tokio::task::yield_now().await; } => {}
        saved = endless => panic!("{saved:?}"),
    }
    // What waits for the disk was begun and goes on to its end, at which it finds nobody.
    let quiet = async {
        while fs::read_dir(place.root.join("files")).unwrap().count() != 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), quiet)
        .await
        .unwrap();
    for (directory, kind) in [("directory-out", "Outside"), ("in.txt", "NotADirectory")] {
        let saved = place
            .workspace
            .write_new(directory, "a", b"x".as_slice(), 4);
        assert_eq!(variant(&saved.await.unwrap_err()), kind);
    }
}

#[tokio::test]
async fn a_workspace_holds_no_more_than_it_may() {
    let all = TempDir::new().unwrap();
    let workspace = Workspace::open(all.path().join("w"))
        .unwrap()
        .holding(1 << 20);
    workspace.write("a", &vec![0; 900 << 10]).unwrap();
    assert_eq!(workspace.usage().entries, 1);
    for bytes in [200 << 10, 1 << 20] {
        let written = workspace.write("b", &vec![0; bytes]);
        assert_eq!(variant(&written.unwrap_err()), "Full");
        let written = workspace.append("a", &vec![0; bytes]);
        assert_eq!(variant(&written.unwrap_err()), "Full");
        let saved = workspace
            .write_new("", "b", &*vec![0; bytes], 10 << 20)
            .await;
        assert_eq!(variant(&saved.unwrap_err()), "Full");
    }
    workspace.write("b", &vec![0; 100 << 10]).unwrap();
    assert_eq!(workspace.usage().entries, 2);
}

#[tokio::test]
async fn reading_gives_way_to_nobody_who_moves_things() {
    let place = Place::new();
    let (root, outside) = (place.root.clone(), place.outside.clone());
    fs::create_dir(root.join("real")).unwrap();
    fs::write(root.join("real/secret"), "fine").unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mover = {
        let stop = stop.clone();
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                fs::rename(root.join("real"), root.join("away")).unwrap();
                symlink(&outside, root.join("real")).unwrap();
                fs::remove_file(root.join("real")).unwrap();
                fs::rename(root.join("away"), root.join("real")).unwrap();
            }
        })
    };
    let mut seen = [0, 0];
    while seen[0] < 200 || seen[1] < 200 {
        match place.workspace.read("real/secret", 99) {
            Ok(bytes) => {
                assert_eq!(bytes, b"fine");
                seen[0] += 1;
            }
            Err(_) => seen[1] += 1,
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    mover.join().unwrap();
}

/// A workspace among what it must not reach.
struct Place {
    workspace: Workspace,
    root: PathBuf,
    outside: PathBuf,
    skill: PathBuf,
    /// A symbolic link to the root.
    other_name: PathBuf,
    _socket: UnixListener,
    _all: TempDir,
}

impl Place {
    fn new() -> Self {
        let all = TempDir::new().unwrap();
        let base = all.path().canonicalize().unwrap();
        let (root, outside, skill) = (base.join("root"), base.join("outside"), base.join("skill"));
        let (neighbour, other_name) = (base.join("root-not"), base.join("other"));
        for directory in [&root, &outside, &skill, &neighbour, &root.join("sub")] {
            fs::create_dir(directory).unwrap();
        }
        let files = [
            (root.join("in.txt"), "in"),
            (root.join("sub/deep.txt"), "deep"),
            (outside.join("secret"), "secret"),
            (neighbour.join("secret"), "secret"),
            (skill.join("SKILL.md"), "skill"),
        ];
        for (path, content) in files {
            fs::write(path, content).unwrap();
        }
        let links = [
            ("in.txt", root.join("link-in")),
            ("../in.txt", root.join("sub/link-up")),
            ("../outside/secret", root.join("link-out")),
            (
                outside.join("secret").to_str().unwrap(),
                root.join("link-absolute"),
            ),
            ("../outside", root.join("directory-out")),
            ("loop", root.join("loop")),
            ("/proc", root.join("proc")),
            ("../outside/secret", skill.join("out")),
            (root.to_str().unwrap(), other_name.clone()),
        ]
        .map(|(to, at)| symlink(to, at));
        assert!(links.iter().all(Result::is_ok));
        mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        Self {
            workspace: Workspace::open(&root).unwrap().reading(&skill),
            _socket: UnixListener::bind(root.join("socket")).unwrap(),
            root,
            outside,
            skill,
            other_name,
            _all: all,
        }
    }
}

fn variant(error: &WorkspaceError) -> &'static str {
    match error {
        WorkspaceError::Outside { .. } => "Outside",
        WorkspaceError::NotFound { .. } => "NotFound",
        WorkspaceError::ReadOnly { .. } => "ReadOnly",
        WorkspaceError::NotAFile { .. } => "NotAFile",
        WorkspaceError::NotADirectory { .. } => "NotADirectory",
        WorkspaceError::BadPath { .. } => "BadPath",
        WorkspaceError::TooLarge { .. } => "TooLarge",
        WorkspaceError::Full { .. } => "Full",
        WorkspaceError::Io { .. } => "Io",
        _ => "new",
    }
}
