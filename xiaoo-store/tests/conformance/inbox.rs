//! Admission: once, durable, bounded.

use xiaoo_store::limits::{BODY_BYTES_MAX, NAME_BYTES_MAX};
use xiaoo_store::{Admission, Claim, DuplicateKey, Health, NewEvent, StoreError, StoreOptions};

use crate::rig::{Ground, Rig, message, patient};

pub(crate) async fn an_event_is_new_once_by_either_key_also_after_a_restart<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    let first = rig.admit("oc_1", 1).await;

    for _ in 0..2 {
        let by_event_id = rig.store.admit(message("oc_1", 1)).await;
        assert_eq!(
            by_event_id,
            Ok(Admission::Duplicate {
                by: DuplicateKey::EventId,
                turn: Some(first)
            })
        );
        let again = NewEvent {
            event_id: "another".to_owned(),
            ..message("oc_1", 1)
        };
        assert_eq!(
            rig.store.admit(again).await,
            Ok(Admission::Duplicate {
                by: DuplicateKey::MessageId,
                turn: Some(first)
            })
        );
        rig.reopen();
    }
    assert_eq!(rig.store.stats().await.unwrap().queued, 1);
}

pub(crate) async fn apps_do_not_share_their_keys<G: Ground>() {
    let rig = Rig::<G>::new().await;
    rig.admit("oc_1", 1).await;
    let elsewhere = NewEvent {
        app: "cli_b".to_owned(),
        ..message("oc_1", 1)
    };
    assert!(matches!(
        rig.store.admit(elsewhere).await,
        Ok(Admission::New(_))
    ));
}

pub(crate) async fn events_without_work_or_message_are_remembered_all_the_same<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    let bare = |event_id: &str| NewEvent {
        event_id: event_id.to_owned(),
        message_id: None,
        work: None,
        ..message("oc_1", 1)
    };
    assert_eq!(rig.store.admit(bare("a")).await, Ok(Admission::Recorded));
    // No message id is no key: these two have nothing in common.
    assert_eq!(rig.store.admit(bare("b")).await, Ok(Admission::Recorded));
    rig.reopen();
    assert_eq!(
        rig.store.admit(bare("a")).await,
        Ok(Admission::Duplicate {
            by: DuplicateKey::EventId,
            turn: None
        })
    );
    assert!(rig.claim_ids(8).await.is_empty());
}

pub(crate) async fn the_same_event_from_many_sides_at_once_is_new_once<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let admits: Vec<_> = (0..32)
        .map(|_| {
            let store = rig.store.clone();
            tokio::spawn(async move { store.admit(message("oc_1", 1)).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for admit in admits {
        new += u32::from(matches!(admit.await.unwrap(), Admission::New(_)));
    }
    assert_eq!(new, 1);
}

pub(crate) async fn a_full_queue_refuses_new_events_but_knows_old_ones<G: Ground>() {
    let mut rig = Rig::<G>::with(StoreOptions {
        queued_max: 3,
        queued_per_conversation_max: 1,
        ..patient()
    })
    .await;
    rig.admit("oc_1", 1).await; // at the head, and not counted as waiting behind one
    rig.admit("oc_1", 2).await;
    let refused = rig.store.admit(message("oc_1", 3)).await;
    assert_eq!(refused, Err(StoreError::ConversationFull { max: 1 }));
    rig.admit("oc_2", 4).await;
    let refused = rig.store.admit(message("oc_3", 5)).await;
    assert_eq!(refused, Err(StoreError::QueueFull { max: 3 }));
    assert!(matches!(
        rig.store.admit(message("oc_1", 1)).await,
        Ok(Admission::Duplicate { .. })
    ));

    // The bound counts what was left by the last process, and what was refused
    // was not recorded: its redelivery is new.
    rig.reopen();
    let refused = rig.store.admit(message("oc_3", 5)).await;
    assert_eq!(refused, Err(StoreError::QueueFull { max: 3 }));
    assert_eq!(rig.claim_ids(1).await, ["e1"]);
    rig.admit("oc_3", 5).await;
}

pub(crate) async fn what_is_too_large_is_refused_by_name<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let body = |bytes: usize| {
        let mut event = message("oc_1", 1);
        event.work.as_mut().unwrap().body = vec![0; bytes].into();
        event
    };
    let cases = [
        (
            "event_id",
            NewEvent {
                event_id: long.clone(),
                ..message("oc_1", 1)
            },
        ),
        (
            "message_id",
            NewEvent {
                message_id: Some(long.clone()),
                ..message("oc_1", 1)
            },
        ),
        ("conversation", message(&long, 1)),
        ("body", body(BODY_BYTES_MAX + 1)),
    ];
    for (name, event) in cases {
        match rig.store.admit(event).await {
            Err(StoreError::TooLarge { what, size, max }) => {
                assert_eq!((what, size), (name, max + 1));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(matches!(
        rig.store.admit(body(BODY_BYTES_MAX)).await,
        Ok(Admission::New(_))
    ));
}

pub(crate) async fn names_that_no_platform_gives_are_refused_and_texts_are_cleaned<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let odd = NewEvent {
        event_id: "e\u{0}1".to_owned(),
        ..message("oc_1", 1)
    };
    let refused = rig.store.admit(odd).await;
    assert_eq!(refused, Err(StoreError::NotAName { what: "event_id" }));
    // Everything else that a text can hold is kept as it is.
    let names = "e' \" % \\ 小欧 😀 \u{202e} \n\r\t";
    let event = NewEvent {
        event_id: names.to_owned(),
        ..message(names, 1)
    };
    rig.store.admit(event).await.unwrap();
    let turns = rig.store.claim(1, Claim::Any).await.unwrap();
    assert_eq!(turns[0].event_id, names);
    assert_eq!(turns[0].conversation, names);
    rig.finish(turns[0].key, &["u1"]).await;
    let row = rig.store.outbox_take(1, 1).await.unwrap()[0].key;
    let error = "what the\u{0} other side said";
    rig.store.outbox_retry(row, 1, error).await.unwrap();
    let row = &rig.store.outbox_take(1, 1).await.unwrap()[0];
    assert_eq!(row.error.as_deref(), Some("what the other side said"));
}

pub(crate) async fn a_closed_store_refuses_everything<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    rig.admit("oc_1", 1).await;
    rig.shut();
    let closed = StoreError::Closed;
    assert_eq!(
        rig.store.admit(message("oc_1", 2)).await,
        Err(closed.clone())
    );
    assert_eq!(rig.store.claim(1, Claim::Any).await, Err(closed.clone()));
    assert_eq!(rig.store.stats().await, Err(closed));
    assert_eq!(rig.store.health(), Health::Good);
}
