//! Notes: what all daemons agree on, changed by one at a time.

use xiaoo_store::limits::{NAME_BYTES_MAX, NOTE_BYTES_MAX, NOTES_PER_SCOPE_MAX};
use xiaoo_store::{Expect, Note, NotePut, PutNote, StoreError, StoreOptions};

use crate::rig::{Ground, Rig, patient};

pub(crate) async fn a_note_stays_as_it_was_written_until_it_is_deleted<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    assert_eq!(rig.store.note("a", "k", 0).await, Ok(None));
    let version = written(&rig, put("a", "k", "one")).await;
    // The same key elsewhere is another note.
    written(&rig, put("b", "k", "two")).await;
    let expected = Note {
        version,
        body: "one".into(),
        expires_ms: None,
    };
    rig.reopen();
    assert_eq!(
        rig.store.note("a", "k", i64::MAX).await,
        Ok(Some(expected.clone()))
    );
    rig.crash().await;
    assert_eq!(
        rig.store.note("a", "k", 0).await,
        Ok(Some(expected.clone()))
    );
    let taken = rig.store.delete_note("a", "k", 0).await;
    assert_eq!(taken, Ok(Some(expected)));
    assert_eq!(rig.store.delete_note("a", "k", 0).await, Ok(None));
    rig.crash().await;
    assert_eq!(rig.store.note("a", "k", 0).await, Ok(None));
    assert_eq!(texts(&rig, "b", 9, 0).await, ["k: two"]);
}

pub(crate) async fn who_expects_something_else_changes_nothing_and_sees_what_is_there<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let old = written(&rig, put("a", "there", "old")).await;
    let current = written(&rig, put("a", "there", "current")).await;
    let expired = PutNote {
        expires_ms: Some(10),
        ..put("a", "expired", "gone")
    };
    let gone = written(&rig, expired).await;
    for (key, expect, is_met) in [
        ("absent", Expect::Version(current), false),
        ("absent", Expect::Absent, true),
        ("expired", Expect::Version(gone), false),
        ("expired", Expect::Absent, true),
        ("there", Expect::Absent, false),
        ("there", Expect::Version(old), false),
        ("there", Expect::Version(current + 1_000), false),
        ("there", Expect::Version(current), true),
        ("there", Expect::Version(current), false),
        ("there", Expect::Anything, true),
    ] {
        let before = rig.store.note("a", key, 10).await.unwrap();
        let new = PutNote {
            expect,
            now_ms: 10,
            ..put("a", key, "new")
        };
        let answer = rig.store.put_note(new).await.unwrap();
        let after = rig.store.note("a", key, 10).await.unwrap();
        if is_met {
            let NotePut::Done { version } = answer else {
                panic!("{key} {expect:?}: {answer:?}");
            };
            assert_eq!(after.unwrap().version, version);
        } else {
            let current = before.clone();
            assert_eq!(answer, NotePut::Conflict { current }, "{key} {expect:?}");
            assert_eq!(after, before);
        }
    }
}

pub(crate) async fn of_many_who_answer_at_once_one_is_first<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let asked = written(&rig, put("approval", "1", "asked")).await;
    let answers: Vec<_> = (0..32)
        .map(|n| {
            let store = rig.store.clone();
            let answer = PutNote {
                expect: Expect::Version(asked),
                ..put("approval", "1", &format!("answer {n}"))
            };
            tokio::spawn(async move { (n, store.put_note(answer).await.unwrap()) })
        })
        .collect();
    let (mut first, mut seen) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer.await.unwrap() {
            (n, NotePut::Done { .. }) => first.push(format!("answer {n}")),
            (_, NotePut::Conflict { current }) => {
                seen.push(String::from_utf8(current.unwrap().body.to_vec()).unwrap());
            }
        }
    }
    assert_eq!(first.len(), 1);
    assert!(seen.iter().all(|text| *text == first[0]), "{seen:?}");
    let deleted: Vec<_> = (0..32)
        .map(|_| {
            let store = rig.store.clone();
            tokio::spawn(async move { store.delete_note("approval", "1", 0).await.unwrap() })
        })
        .collect();
    let mut got = 0;
    for deleted in deleted {
        got += u32::from(deleted.await.unwrap().is_some());
    }
    assert_eq!(got, 1);
}

pub(crate) async fn a_version_is_never_given_twice<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    let mut last = 0;
    for round in 0..4 {
        for key in ["k", "l"] {
            let new = PutNote {
                expires_ms: Some(10),
                ..put("a", key, "text")
            };
            let version = written(&rig, new).await;
            assert!(version > last, "{version} after {last}");
            last = version;
        }
        match round {
            0 => assert!(rig.store.delete_note("a", "l", 0).await.unwrap().is_some()),
            1 => assert_eq!(rig.store.prune(10, 9).await, Ok(2)),
            2 => rig.reopen(),
            _ => rig.crash().await,
        }
        // Whoever still has the version from before is not taken for its owner.
        let late = PutNote {
            expect: Expect::Version(last),
            ..put("a", "l", "late")
        };
        let is_there = rig.store.note("a", "l", 0).await.unwrap().is_some();
        assert_eq!(is_there, round > 1);
        if !is_there {
            written(&rig, put("a", "l", "another")).await;
            let answer = rig.store.put_note(late).await.unwrap();
            assert!(matches!(answer, NotePut::Conflict { .. }), "{answer:?}");
            last += 1;
        }
    }
}

pub(crate) async fn a_note_is_absent_from_the_moment_it_expires<G: Ground>() {
    let rig = Rig::<G>::new().await;
    for (key, expires_ms) in [("soon", Some(10)), ("later", Some(20)), ("never", None)] {
        let new = PutNote {
            expires_ms,
            ..put("a", key, "text")
        };
        written(&rig, new).await;
    }
    for (now_ms, there) in [
        (9, &["later: text", "never: text", "soon: text"][..]),
        (10, &["later: text", "never: text"]),
        (20, &["never: text"]),
        (i64::MAX, &["never: text"]),
    ] {
        assert_eq!(texts(&rig, "a", 9, now_ms).await, there, "at {now_ms}");
    }
    assert_eq!(rig.store.delete_note("a", "soon", 10).await, Ok(None));
    // A clock that is set back makes nothing of it again.
    assert_eq!(rig.store.note("a", "soon", 0).await, Ok(None));
    assert_eq!(rig.store.prune(19, 9).await, Ok(0));
    assert_eq!(rig.store.prune(20, 9).await, Ok(1));
    assert_eq!(texts(&rig, "a", 9, 0).await, ["never: text"]);
}

pub(crate) async fn a_scope_is_listed_in_the_order_of_its_keys<G: Ground>() {
    let rig = Rig::<G>::new().await;
    for (scope, key) in [
        ("b", "z"),
        ("a", "小欧"),
        ("a", "b"),
        ("a", ""),
        ("a", "B"),
        ("aa", "x"),
        ("a", "a"),
        ("", "y"),
    ] {
        written(&rig, put(scope, key, "t")).await;
    }
    let all = [": t", "B: t", "a: t", "b: t", "小欧: t"];
    for max in [0, 1, 4, 5, 6, usize::MAX] {
        let listed = texts(&rig, "a", max, 0).await;
        assert_eq!(listed, all[..max.min(5)], "at most {max}");
    }
    assert_eq!(texts(&rig, "", 9, 0).await, ["y: t"]);
    assert_eq!(texts(&rig, "none", 9, 0).await, [""; 0]);
}

pub(crate) async fn a_full_scope_takes_no_more_until_a_note_goes<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let writing: Vec<_> = (0..NOTES_PER_SCOPE_MAX)
        .map(|n| {
            let store = rig.store.clone();
            let new = PutNote {
                expires_ms: (n == 7).then_some(10),
                ..put("a", &format!("{n:04}"), "t")
            };
            tokio::spawn(async move { store.put_note(new).await.unwrap() })
        })
        .collect();
    for written in writing {
        assert!(matches!(written.await.unwrap(), NotePut::Done { .. }));
    }
    let listed = rig.store.notes("a", usize::MAX, 0).await.unwrap();
    assert_eq!(listed.len(), NOTES_PER_SCOPE_MAX);
    let full = Err(StoreError::ScopeFull {
        max: NOTES_PER_SCOPE_MAX,
    });
    assert_eq!(rig.store.put_note(put("a", "new", "t")).await, full);
    // What is there can be changed, and other scopes have room.
    written(&rig, put("a", "0000", "changed")).await;
    written(&rig, put("b", "new", "t")).await;
    // What has expired makes room, once.
    let later = |key: &str| PutNote {
        now_ms: 10,
        ..put("a", key, "t")
    };
    written(&rig, later("new")).await;
    assert_eq!(rig.store.put_note(later("newer")).await, full);
    assert!(
        rig.store
            .delete_note("a", "new", 10)
            .await
            .unwrap()
            .is_some()
    );
    written(&rig, later("newer")).await;
}

pub(crate) async fn a_store_full_of_notes_takes_no_more_until_one_goes<G: Ground>() {
    let mut rig = Rig::<G>::with(StoreOptions {
        notes_max: 3,
        ..patient()
    })
    .await;
    let expiring = PutNote {
        expires_ms: Some(10),
        ..put("b", "k", "t")
    };
    written(&rig, put("a", "k", "t")).await;
    written(&rig, expiring).await;
    written(&rig, put("c", "k", "t")).await;
    let full = Err(StoreError::NotesFull { max: 3 });
    for _ in 0..2 {
        assert_eq!(rig.store.put_note(put("d", "k", "t")).await, full);
        written(&rig, put("a", "k", "changed")).await;
        // What the last process wrote counts.
        rig.reopen();
    }
    let later = PutNote {
        now_ms: 10,
        ..put("d", "k", "t")
    };
    written(&rig, later).await;
    assert_eq!(rig.store.put_note(put("e", "k", "t")).await, full);
    rig.store.delete_note("a", "k", 0).await.unwrap();
    written(&rig, put("e", "k", "t")).await;
    assert_eq!(rig.store.put_note(put("f", "k", "t")).await, full);
}

pub(crate) async fn a_note_that_is_too_large_or_has_no_name_is_refused<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let body = |bytes: usize| PutNote {
        body: vec![7; bytes].into(),
        ..put("a", "k", "")
    };
    for (what, refused) in [
        ("scope", put(&long, "k", "t")),
        ("key", put("a", &long, "t")),
        ("note body", body(NOTE_BYTES_MAX + 1)),
    ] {
        match rig.store.put_note(refused).await {
            Err(StoreError::TooLarge {
                what: told,
                size,
                max,
            }) => {
                assert_eq!((told, size), (what, max + 1));
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    written(&rig, body(NOTE_BYTES_MAX)).await;
    let name = &long[1..];
    written(&rig, put(name, name, "")).await;
    assert!(rig.store.note(name, name, 0).await.unwrap().is_some());
    let no_name = StoreError::NotAName { what: "key" };
    let store = &rig.store;
    assert_eq!(
        store.put_note(put("a", "\0", "t")).await,
        Err(no_name.clone())
    );
    assert_eq!(store.note("a", "\0", 0).await, Err(no_name.clone()));
    assert_eq!(store.delete_note("a", "\0", 0).await, Err(no_name));
    let no_name = StoreError::NotAName { what: "scope" };
    assert_eq!(store.notes("\0", 9, 0).await, Err(no_name));
}

pub(crate) async fn expired_notes_are_pruned_by_small_batches<G: Ground>() {
    let rig = Rig::<G>::new().await;
    for n in 0..25 {
        let new = PutNote {
            expires_ms: Some(n),
            ..put(&format!("s{n}"), "k", "t")
        };
        written(&rig, new).await;
    }
    for removed in [10, 10, 4, 0] {
        assert_eq!(rig.store.prune(23, 10).await, Ok(removed));
    }
    assert_eq!(texts(&rig, "s24", 9, 0).await, ["k: t"]);
}

/// A note that replaces whatever there is, and stays.
pub(crate) fn put(scope: &str, key: &str, text: &str) -> PutNote {
    PutNote {
        scope: scope.to_owned(),
        key: key.to_owned(),
        body: text.into(),
        expires_ms: None,
        expect: Expect::Anything,
        now_ms: 0,
    }
}

async fn written<G: Ground>(rig: &Rig<G>, note: PutNote) -> i64 {
    match rig.store.put_note(note).await.unwrap() {
        NotePut::Done { version } => version,
        conflict @ NotePut::Conflict { .. } => panic!("{conflict:?}"),
    }
}

/// The notes of a scope, as `key: body`.
async fn texts<G: Ground>(rig: &Rig<G>, scope: &str, max: usize, now_ms: i64) -> Vec<String> {
    let notes = rig.store.notes(scope, max, now_ms).await.unwrap();
    let mut texts = Vec::new();
    for (key, note) in notes {
        assert_eq!(
            rig.store.note(scope, &key, now_ms).await,
            Ok(Some(note.clone()))
        );
        texts.push(format!("{key}: {}", str::from_utf8(&note.body).unwrap()));
    }
    texts
}
