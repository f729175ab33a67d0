//! What `kill -9` and power cuts leave: all that was answered, nothing half.

use xiaoo_store::{Admission, Claim, Fenced, Sign, Signs, Step};

use crate::rig::{Ground, Rig, ids, message, result};

pub(crate) async fn what_was_admitted_survives_in_order<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    for n in 0..20 {
        rig.admit("a", n).await;
        rig.crash().await;
        assert_eq!(rig.store.stats().await.unwrap().queued, u64::from(n) + 1);
        assert!(matches!(
            rig.store.admit(message("a", n)).await,
            Ok(Admission::Duplicate { .. })
        ));
    }
    rig.crash().await;
    for n in 0..20 {
        let turns = rig.store.claim(1, Claim::Any).await.unwrap();
        assert_eq!(ids(&turns), [format!("e{n}")]);
        rig.finish(turns[0].key, &[]).await;
    }
}

pub(crate) async fn a_turn_that_was_cut_off_is_claimed_again_with_all_it_had_noted<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    rig.admit("a", 1).await;
    rig.admit("a", 2).await;
    let old = rig.store.claim(9, Claim::Any).await.unwrap()[0].key;
    let reaction = Sign::Reaction(Some("r1".to_owned()));
    let card = Sign::Card(Some("om_card".to_owned()));
    let step = Step {
        kind: "model".to_owned(),
        body: "{}".into(),
    };
    rig.store.note_sign(old, reaction).await.unwrap();
    rig.store.note_sign(old, card).await.unwrap();
    rig.store
        .note_sign(old, Sign::Reaction(None))
        .await
        .unwrap();
    rig.store.note_step(old, step.clone()).await.unwrap();

    rig.crash().await;
    let turns = rig.store.claim(9, Claim::Any).await.unwrap();
    assert_eq!(ids(&turns), ["e1"]);
    let turn = &turns[0];
    assert_eq!((turn.attempts, turn.key.epoch), (2, old.epoch + 1));
    assert_eq!(
        turn.signs,
        Signs {
            reaction: None,
            card: Some("om_card".to_owned())
        }
    );
    assert_eq!(rig.store.steps(turn.key.id).await, Ok(vec![step]));
    let late = rig.store.finish(old, result(1, &[])).await;
    assert_eq!(late, Ok(Fenced::Replaced));
    rig.finish(turn.key, &[]).await;
    assert_eq!(rig.claim_ids(9).await, ["e2"]);
}

pub(crate) async fn a_send_that_was_cut_off_comes_again_with_the_time_of_its_first_try<
    G: Ground,
>() {
    let mut rig = Rig::<G>::new().await;
    rig.admit("a", 1).await;
    let key = rig.store.claim(1, Claim::Any).await.unwrap()[0].key;
    rig.finish(key, &["u1", "u2"]).await;
    let before = rig.store.outbox_take(2_000, 9).await.unwrap();

    rig.crash().await;
    let rows = rig.store.outbox_take(90_000, 9).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].uuid, "u1");
    Rig::<G>::assert_tried(&rows[0], 2_000, 90_000);
    assert_eq!(rows[0].error, None);
    let late = rig.store.outbox_done(before[0].key, "om").await;
    assert_eq!(late, Ok(Fenced::Replaced));
    let sent = rig.store.outbox_done(rows[0].key, "om").await;
    assert_eq!(sent, Ok(Fenced::Done));
    assert_eq!(
        rig.store.outbox_take(90_000, 9).await.unwrap()[0].uuid,
        "u2"
    );
}

pub(crate) async fn a_finished_turn_stays_finished_with_everything_it_left<G: Ground>() {
    let mut rig = Rig::<G>::new().await;
    rig.admit("a", 1).await;
    let key = rig.store.claim(1, Claim::Any).await.unwrap()[0].key;
    rig.finish(key, &["u1"]).await;
    rig.crash().await;
    assert!(rig.claim_ids(9).await.is_empty());
    assert_eq!(rig.store.outbox_take(2_000, 9).await.unwrap().len(), 1);
}
