//! Turns: one at a time in a conversation, in order; ended once, all or nothing.

use xiaoo_store::limits::{CONVERSATION_HISTORY_MAX, TURN_OUTBOX_MAX, TURN_STEPS_MAX};
use xiaoo_store::{
    Claim, Fenced, NewEvent, Sign, Signs, Silence, Step, StoreError, TurnId, TurnResult,
    Whereabouts,
};

use crate::rig::{Ground, Rig, ids, message, result, said, sending};

pub(crate) async fn conversations_run_side_by_side_and_each_in_order<G: Ground>() {
    let rig = Rig::<G>::new().await;
    for (conversation, n) in [("a", 1), ("a", 2), ("b", 3), ("a", 4), ("c", 5)] {
        rig.admit(conversation, n).await;
    }
    let first = rig.store.claim(2, Claim::Any).await.unwrap();
    assert_eq!(ids(&first), ["e1", "e3"]);
    assert_eq!(rig.claim_ids(9).await, ["e5"]);
    assert!(rig.claim_ids(9).await.is_empty());

    rig.finish(first[0].key, &[]).await;
    let second = rig.store.claim(9, Claim::Any).await.unwrap();
    assert_eq!(ids(&second), ["e2"]);
    rig.finish(second[0].key, &[]).await;
    assert_eq!(rig.claim_ids(9).await, ["e4"]);
}

pub(crate) async fn urgent_turns_can_be_claimed_by_themselves<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    for (conversation, n, urgent) in [
        ("a", 1, false),
        ("b", 2, false),
        // Behind ordinary work of its own lane it waits as any other.
        ("a", 3, true),
        ("a#now", 4, true),
        ("c", 5, false),
        ("b#now", 6, true),
    ] {
        let mut event = message(conversation, n);
        event.work.as_mut().unwrap().urgent = urgent;
        rig.store.admit(event).await.unwrap();
    }
    rig.reopen();
    let first = rig.store.claim(1, Claim::Urgent).await.unwrap();
    assert_eq!(ids(&first), ["e4"]);
    assert!(first[0].urgent);
    // The oldest first, urgent or not.
    let any = rig.store.claim(2, Claim::Any).await.unwrap();
    assert_eq!(ids(&any), ["e1", "e2"]);
    assert!(any.iter().all(|turn| !turn.urgent));
    let urgent = rig.store.claim(9, Claim::Urgent).await.unwrap();
    assert_eq!(ids(&urgent), ["e6"]);
    rig.finish(any[0].key, &[]).await;
    let urgent = rig.store.claim(9, Claim::Urgent).await.unwrap();
    assert_eq!(ids(&urgent), ["e3"]);
    assert_eq!(rig.claim_ids(9).await, ["e5"]);
    rig.store.release(urgent[0].key).await.unwrap();
    let again = rig.store.claim(9, Claim::Urgent).await.unwrap();
    assert_eq!(ids(&again), ["e3"]);
}

pub(crate) async fn a_conversation_says_what_runs_and_how_much_waits<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let stats = async |conversation| {
        let stats = rig.store.conversation_stats(conversation).await.unwrap();
        let running = stats.running.map(|turn| {
            assert_eq!(turn.kind, "message");
            (turn.id, turn.received_ms)
        });
        (stats.queued, running)
    };
    assert_eq!(stats("a").await, (0, None));
    let first = rig.admit("a", 1).await;
    let second = rig.admit("a", 2).await;
    rig.admit("b", 3).await;
    assert_eq!(stats("a").await, (2, None));
    let key = rig.store.claim(1, Claim::Any).await.unwrap()[0].key;
    assert_eq!(stats("a").await, (1, Some((first, 1))));
    assert_eq!(stats("b").await, (1, None));
    rig.finish(key, &[]).await;
    assert_eq!(stats("a").await, (1, None));
    rig.store.claim(9, Claim::Any).await.unwrap();
    assert_eq!(stats("a").await, (0, Some((second, 2))));
}

pub(crate) async fn a_turn_s_id_can_be_written_down_and_says_which_came_first<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    let first = rig.admit("a", 1).await;
    rig.reopen();
    let second = rig.admit("b", 2).await;
    assert!(first < second && first.get() < second.get());
    assert_eq!(TurnId::from(first.get()), first);
}

pub(crate) async fn a_claim_brings_all_that_was_admitted<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let id = rig.admit("oc_1", 7).await;
    let turns = rig.store.claim(1, Claim::Any).await.unwrap();
    let [turn] = turns.as_slice() else {
        panic!("{turns:?}");
    };
    assert_eq!(turn.key.id, id);
    assert_eq!(turn.attempts, 1);
    assert_eq!(turn.app, "cli_a");
    assert_eq!(turn.event_id, "e7");
    assert_eq!(turn.message_id.as_deref(), Some("om_7"));
    assert_eq!(turn.received_ms, 7);
    assert_eq!(turn.conversation, "oc_1");
    assert_eq!(turn.kind, "message");
    assert_eq!(&*turn.body, b"body 7");
    assert_eq!(turn.signs, Signs::default());
}

pub(crate) async fn a_released_turn_comes_first_again_and_its_old_key_is_void<G: Ground>() {
    let rig = Rig::<G>::new().await;
    rig.admit("a", 1).await;
    rig.admit("a", 2).await;
    let old = rig.store.claim(9, Claim::Any).await.unwrap()[0].key;
    assert_eq!(rig.store.release(old).await, Ok(Fenced::Done));

    let again = rig.store.claim(9, Claim::Any).await.unwrap();
    assert_eq!(ids(&again), ["e1"]);
    // Handing back in good order is not a failed try.
    assert_eq!(again[0].attempts, 1);

    let store = &rig.store;
    let sign = Sign::Card(Some("om_card".to_owned()));
    let step = Step {
        kind: "tool".to_owned(),
        body: "{}".into(),
    };
    assert_eq!(store.release(old).await, Ok(Fenced::Replaced));
    assert_eq!(store.note_sign(old, sign).await, Ok(Fenced::Replaced));
    assert_eq!(store.note_step(old, step).await, Ok(Fenced::Replaced));
    let late = store.finish(old, result(1, &["late"])).await;
    assert_eq!(late, Ok(Fenced::Replaced));
    assert!(store.steps(old.id).await.unwrap().is_empty());
    assert!(store.outbox_take(9, 9).await.unwrap().is_empty());
    rig.finish(again[0].key, &[]).await;
    assert_eq!(rig.claim_ids(9).await, ["e2"]);
}

pub(crate) async fn a_turn_ends_once<G: Ground>() {
    let rig = Rig::<G>::new().await;
    rig.admit("a", 1).await;
    let key = rig.store.claim(1, Claim::Any).await.unwrap()[0].key;
    rig.finish(key, &["u1"]).await;
    let second = rig.store.finish(key, result(2_000, &["u2"])).await;
    assert_eq!(second, Ok(Fenced::Replaced));
    assert_eq!(rig.store.release(key).await, Ok(Fenced::Replaced));
    let rows = rig.store.outbox_take(9_000, 9).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(rig.claim_ids(9).await.is_empty());
}

pub(crate) async fn a_result_that_is_too_large_leaves_nothing_behind<G: Ground>() {
    let rig = Rig::<G>::new().await;
    rig.admit("a", 1).await;
    let key = rig.store.claim(1, Claim::Any).await.unwrap()[0].key;
    let outbox = (0..=TURN_OUTBOX_MAX)
        .map(|n| sending(&format!("u{n}")))
        .collect();
    let too_many = TurnResult {
        history: vec![said("user", "hi")],
        outbox,
        ..result(1, &[])
    };
    let refused = rig.store.finish(key, too_many).await;
    assert!(matches!(
        refused,
        Err(StoreError::TooLarge { what: "outbox", .. })
    ));
    assert!(rig.store.history("a", 9, 99).await.unwrap().is_empty());
    assert!(rig.store.outbox_take(9, 9).await.unwrap().is_empty());
    rig.finish(key, &["u0"]).await;
}

pub(crate) async fn steps_are_kept_in_order_until_the_turn_ends<G: Ground>() {
    let rig = Rig::<G>::new().await;
    rig.admit("a", 1).await;
    let key = rig.store.claim(1, Claim::Any).await.unwrap()[0].key;
    let step = |n: usize| Step {
        kind: format!("k{n}"),
        body: format!("step {n}").into(),
    };
    for n in 0..TURN_STEPS_MAX {
        assert_eq!(rig.store.note_step(key, step(n)).await, Ok(Fenced::Done));
    }
    let over = rig.store.note_step(key, step(TURN_STEPS_MAX)).await;
    assert!(matches!(over, Err(StoreError::TooLarge { .. })));
    let steps = rig.store.steps(key.id).await.unwrap();
    assert_eq!(steps, (0..TURN_STEPS_MAX).map(step).collect::<Vec<_>>());

    rig.finish(key, &[]).await;
    assert!(rig.store.steps(key.id).await.unwrap().is_empty());
}

pub(crate) async fn history_gives_the_newest_that_fit_without_a_gap<G: Ground>() {
    let rig = Rig::<G>::new().await;
    rig.admit("a", 1).await;
    rig.admit("b", 2).await;
    let turns = rig.store.claim(2, Claim::Any).await.unwrap();
    let with = |texts: &[&str]| TurnResult {
        history: texts.iter().map(|text| said("user", text)).collect(),
        ..result(5, &[])
    };
    let texts = ["tiny", "rather long", "mid", "ok"];
    rig.store.finish(turns[0].key, with(&texts)).await.unwrap();
    rig.store
        .finish(turns[1].key, with(&["elsewhere"]))
        .await
        .unwrap();

    for (rows_max, bytes_max, expected) in [
        (9, 99, &texts[..]),
        (2, 99, &["mid", "ok"]),
        (9, 5, &["mid", "ok"]),
        // "tiny" would fit, but not without what follows it.
        (9, 10, &["mid", "ok"]),
        (9, 4, &["ok"]),
        (9, 1, &[]),
        (0, 99, &[]),
    ] {
        let rows = rig.store.history("a", rows_max, bytes_max).await.unwrap();
        let found: Vec<_> = rows
            .iter()
            .map(|row| str::from_utf8(&row.body).unwrap())
            .collect();
        assert_eq!(found, expected, "{rows_max} rows, {bytes_max} bytes");
    }
    let row = &rig.store.history("b", 9, 99).await.unwrap()[0];
    assert_eq!((row.turn, row.created_ms), (turns[1].key.id, 5));
    assert_eq!(row.role, "user");

    assert_eq!(rig.store.clear_conversation("a").await, Ok(4));
    assert!(rig.store.history("a", 9, 99).await.unwrap().is_empty());
    assert_eq!(rig.store.history("b", 9, 99).await.unwrap().len(), 1);
}

pub(crate) async fn a_conversation_keeps_its_newest_rows_only<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let per_turn = CONVERSATION_HISTORY_MAX / 2;
    for n in 0..3 {
        rig.admit("a", n).await;
        let key = rig.store.claim(1, Claim::Any).await.unwrap()[0].key;
        let history = (0..per_turn)
            .map(|row| said("user", &format!("{n}-{row}")))
            .collect();
        let result = TurnResult {
            history,
            ..result(1, &[])
        };
        rig.store.finish(key, result).await.unwrap();
    }
    let rows = rig
        .store
        .history("a", usize::MAX, usize::MAX)
        .await
        .unwrap();
    assert_eq!(rows.len(), CONVERSATION_HISTORY_MAX);
    assert_eq!(&*rows[0].body, b"1-0");
    assert_eq!(
        rig.store.clear_conversation("a").await,
        Ok(CONVERSATION_HISTORY_MAX)
    );
}

pub(crate) async fn where_the_world_was_left_is_known_after_a_restart<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    let app = message("x", 1).app;
    let silence = |since_ms, until_ms| Silence {
        since_ms,
        until_ms,
        longer_than_ms: 10,
    };
    assert_eq!(
        rig.store.whereabouts(&app, silence(0, 1_000), 9).await,
        Ok(Whereabouts::default()),
        "a store that remembers nothing has missed nothing"
    );
    for (n, (conversation, received_ms, finished_ms)) in
        [("b", 100, 101), ("a", 105, 130), ("c", 110, 120)]
            .into_iter()
            .enumerate()
    {
        let event = NewEvent {
            received_ms,
            ..message(conversation, n.try_into().unwrap())
        };
        rig.store.admit(event).await.unwrap();
        let key = rig.store.claim(1, Claim::Any).await.unwrap()[0].key;
        let result = TurnResult {
            history: vec![said("user", "hello")],
            ..result(finished_ms, &[])
        };
        rig.store.finish(key, result).await.unwrap();
    }
    rig.reopen();
    let left = rig.store.whereabouts(&app, silence(0, 121), 2).await;
    let left = left.unwrap();
    assert_eq!(left.silent_since_ms, Some(110));
    assert_eq!(left.conversations, ["a", "c"], "who spoke last comes first");
    // Nobody's events: silent for as long as the store remembers anything.
    let elsewhere = rig.store.whereabouts("cli_elsewhere", silence(0, 121), 9);
    assert_eq!(elsewhere.await.unwrap().silent_since_ms, Some(101));
}

pub(crate) async fn a_silence_is_found_whatever_came_after_it_until_it_is_mended<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    let app = message("x", 1).app;
    let mut number = 0;
    let mut came = async |rig: &Rig<G>, received_ms| {
        number += 1;
        let event = NewEvent {
            received_ms,
            ..message("x", number)
        };
        rig.store.admit(event).await.unwrap();
    };
    for at in [100, 200, 1_000, 1_050] {
        came(&rig, at).await;
    }
    rig.reopen();
    // Each: since, until, longer than; and when the first one began.
    let table = [
        (0, 1_100, 100, Some(200)),
        (0, 1_100, 50, Some(100)),
        (0, 1_100, 799, Some(200)),
        (0, 1_100, 800, None),
        (0, 2_000, 800, Some(1_050)),
        (500, 1_100, 499, Some(500)),
        (500, 1_100, 500, None),
        (1_060, 1_100, 39, Some(1_060)),
        (1_060, 1_100, 40, None),
        // A clock that was put back.
        (0, 150, 900, None),
    ];
    for (since_ms, until_ms, longer_than_ms, found) in table {
        let silence = Silence {
            since_ms,
            until_ms,
            longer_than_ms,
        };
        let left = rig.store.whereabouts(&app, silence, 1).await.unwrap();
        assert_eq!(left.silent_since_ms, found, "{silence:?}");
    }
    // What came after the mending began is another silence's.
    came(&rig, 1_300).await;
    rig.store.mended(&app, 1_200).await.unwrap();
    rig.store.mended(&app, 1_200).await.unwrap();
    rig.reopen();
    let sought = |until_ms, longer_than_ms| Silence {
        since_ms: 0,
        until_ms,
        longer_than_ms,
    };
    for (silence, found) in [
        (sought(1_350, 100), None),
        (sought(1_350, 99), Some(1_200)),
        (sought(1_500, 100), Some(1_300)),
    ] {
        let left = rig.store.whereabouts(&app, silence, 1).await.unwrap();
        assert_eq!(left.silent_since_ms, found, "{silence:?}");
    }
}
