//! The promises of the store, seen from outside, through its public face alone:
//! the same for every engine, and then what each has of its own.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that is wrong about what it has should stop there"
)]

mod crash;
mod hints;
mod inbox;
mod memory;
mod model;
mod notes;
mod outbox;
mod outside;
mod rig;
mod turns;
mod upkeep;

mod postgres {
    pub(crate) mod cluster;
    mod leases;
    mod notes;
    mod outage;
    mod schemas;
    mod server;
    mod upgrade;
}

mod sqlite {
    mod cuts;
    mod files;
    mod kill;
    mod open;
    mod upgrade;
}

/// Every promise, once for each engine.
macro_rules! suite {
    ($($engine:ident: $ground:ty),*) => { $(
        mod $engine {
            promises! { $ground;
                crash::a_finished_turn_stays_finished_with_everything_it_left,
                crash::a_send_that_was_cut_off_comes_again_with_the_time_of_its_first_try,
                crash::a_turn_that_was_cut_off_is_claimed_again_with_all_it_had_noted,
                crash::what_was_admitted_survives_in_order,
                hints::a_note_that_was_written_or_deleted_is_told,
                hints::whatever_becomes_ready_is_told,
                inbox::a_closed_store_refuses_everything,
                inbox::a_full_queue_refuses_new_events_but_knows_old_ones,
                inbox::an_event_is_new_once_by_either_key_also_after_a_restart,
                inbox::apps_do_not_share_their_keys,
                inbox::events_without_work_or_message_are_remembered_all_the_same,
                inbox::names_that_no_platform_gives_are_refused_and_texts_are_cleaned,
                inbox::the_same_event_from_many_sides_at_once_is_new_once,
                inbox::what_is_too_large_is_refused_by_name,
                notes::a_full_scope_takes_no_more_until_a_note_goes,
                notes::a_note_is_absent_from_the_moment_it_expires,
                notes::a_note_stays_as_it_was_written_until_it_is_deleted,
                notes::a_note_that_is_too_large_or_has_no_name_is_refused,
                notes::a_scope_is_listed_in_the_order_of_its_keys,
                notes::a_store_full_of_notes_takes_no_more_until_one_goes,
                notes::a_version_is_never_given_twice,
                notes::expired_notes_are_pruned_by_small_batches,
                notes::of_many_who_answer_at_once_one_is_first,
                notes::who_expects_something_else_changes_nothing_and_sees_what_is_there,
                outbox::a_dead_row_makes_way,
                outbox::a_row_waits_until_the_one_before_it_is_settled,
                outbox::a_uuid_is_sent_once,
                outbox::at_most_so_many_rows_are_taken_the_longest_due_first,
                outbox::later_turns_send_behind_earlier_ones,
                turns::a_claim_brings_all_that_was_admitted,
                turns::a_conversation_keeps_its_newest_rows_only,
                turns::a_released_turn_comes_first_again_and_its_old_key_is_void,
                turns::a_result_that_is_too_large_leaves_nothing_behind,
                turns::a_turn_ends_once,
                turns::a_turn_s_id_can_be_written_down_and_says_which_came_first,
                turns::a_conversation_says_what_runs_and_how_much_waits,
                turns::conversations_run_side_by_side_and_each_in_order,
                turns::history_gives_the_newest_that_fit_without_a_gap,
                turns::steps_are_kept_in_order_until_the_turn_ends,
                turns::urgent_turns_can_be_claimed_by_themselves,
                turns::where_the_world_was_left_is_known_after_a_restart,
                turns::a_silence_is_found_whatever_came_after_it_until_it_is_mended,
                upkeep::each_thing_is_kept_for_its_time_and_no_longer,
                upkeep::open_work_is_never_pruned,
                upkeep::pruning_goes_by_small_batches,
                upkeep::the_numbers_are_right,
            }

            #[test]
            fn the_store_does_as_the_model() {
                crate::model::the_store_does_as_the_model::<$ground>();
            }
        }
    )* };
}

/// Promises to whoever reads a store from outside.
macro_rules! outside {
    ($($engine:ident: $ground:ty),*) => { $(
        mod $engine {
            promises! { $ground;
                outside::a_note_is_changed_beside_a_store_in_use_which_sees_it_at_its_next_look,
                outside::a_store_in_use_is_counted_and_consistent,
                outside::all_notes_are_read_out_and_nothing_else,
                outside::everything_that_matters_is_written_out,
                outside::more_than_one_batch_is_written_out,
                outside::what_must_not_be_is_found_and_named,
                outside::what_will_be_pruned_is_known_before,
            }
        }
    )* };
}

macro_rules! promises {
    ($ground:ty; $($module:ident::$promise:ident),* $(,)?) => { $(
        #[tokio::test]
        async fn $promise() {
            crate::$module::$promise::<$ground>().await;
        }
    )* };
}

suite! {
    on_sqlite: crate::rig::Sqlite,
    on_postgres: crate::postgres::cluster::Database,
    in_memory: crate::rig::Memory
}

outside! {
    outside_sqlite: crate::rig::Sqlite,
    outside_postgres: crate::postgres::cluster::Database
}
