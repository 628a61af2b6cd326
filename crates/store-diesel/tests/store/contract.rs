//! The suites that every store must pass, as the memory store does.

use domain::testing::{TestEnvironment, contract};

use crate::{claims::on_both, place::TestDatabase};

macro_rules! suites {
    ($($suite:ident),+ $(,)?) => {
        $(
            async fn $suite(test_db: TestDatabase) {
                contract::$suite(&test_db.open().await, &*TestEnvironment::new()).await;
            }
        )+
    };
}

suites!(
    a_session_round_trips_whole,
    a_guarded_write_happens_once,
    nothing_is_visible_out_of_scope,
    nothing_is_written_into_another_organization,
    a_filter_finds_what_meets_all_of_it,
    retiring_leaves_a_retirement_in_its_place,
    a_retirement_that_is_over_leaves_only_its_events,
    a_claim_takes_what_is_due_and_puts_it_off,
    a_claim_takes_by_turns_from_each_organization,
    retirements_are_claimed_by_turns,
    sessions_that_wait_for_a_node_are_woken_by_turns,
    keys_that_ended_long_ago_are_removed,
    codes_that_died_long_ago_are_blanked,
    the_backlog_finds_wakes_and_reschedules,
    a_wake_is_not_written_over,
    versions_tell_how_far_sessions_were_written,
    a_retirement_lives_until_it_is_finished,
    a_node_enlists_beats_and_is_lost,
    an_orphan_is_told_once_and_listed_while_it_is_held,
    a_key_belongs_to_its_organization,
    the_door_finds_good_keys_alone,
    events_are_read_in_order_and_in_scope,
    events_are_shown_newest_first_and_in_scope,
    operators_see_sessions_of_every_organization,
    a_receipt_is_kept_once_and_for_a_while,
    a_receipt_stands_and_falls_with_its_change,
    a_receipt_says_nothing_to_another_organization,
    attempts_at_linking_are_counted,
    sessions_are_told_apart_by_scope_all_at_once,
);

macro_rules! suites_with_quotas {
    ($($suite:ident),+ $(,)?) => {
        $(
            async fn $suite(test_db: TestDatabase) {
                let store = test_db.open().await.with_quotas(contract::small_quotas());
                contract::$suite(&store, &*TestEnvironment::new()).await;
            }
        )+
    };
}

suites_with_quotas!(
    sessions_fill_their_quota,
    metadata_fills_its_quota,
    api_keys_fill_their_quota,
    receipts_fill_their_quota,
);

async fn a_list_walks_every_session_once(test_db: TestDatabase) {
    contract::a_list_walks_every_session_once(&test_db.open().await).await;
}

async fn a_list_of_keys_walks_every_key_once(test_db: TestDatabase) {
    contract::a_list_of_keys_walks_every_key_once(&test_db.open().await).await;
}

on_both!(
    a_session_round_trips_whole,
    a_guarded_write_happens_once,
    nothing_is_visible_out_of_scope,
    nothing_is_written_into_another_organization,
    a_filter_finds_what_meets_all_of_it,
    retiring_leaves_a_retirement_in_its_place,
    a_retirement_that_is_over_leaves_only_its_events,
    a_claim_takes_what_is_due_and_puts_it_off,
    a_claim_takes_by_turns_from_each_organization,
    retirements_are_claimed_by_turns,
    sessions_that_wait_for_a_node_are_woken_by_turns,
    keys_that_ended_long_ago_are_removed,
    codes_that_died_long_ago_are_blanked,
    the_backlog_finds_wakes_and_reschedules,
    a_wake_is_not_written_over,
    versions_tell_how_far_sessions_were_written,
    a_retirement_lives_until_it_is_finished,
    a_node_enlists_beats_and_is_lost,
    an_orphan_is_told_once_and_listed_while_it_is_held,
    a_key_belongs_to_its_organization,
    the_door_finds_good_keys_alone,
    events_are_read_in_order_and_in_scope,
    events_are_shown_newest_first_and_in_scope,
    operators_see_sessions_of_every_organization,
    a_receipt_is_kept_once_and_for_a_while,
    a_receipt_stands_and_falls_with_its_change,
    a_receipt_says_nothing_to_another_organization,
    attempts_at_linking_are_counted,
    sessions_are_told_apart_by_scope_all_at_once,
    sessions_fill_their_quota,
    metadata_fills_its_quota,
    api_keys_fill_their_quota,
    receipts_fill_their_quota,
    a_list_walks_every_session_once,
    a_list_of_keys_walks_every_key_once,
);
