//! Runs the contract suites that every store must pass.

use std::sync::Arc;

use domain::{
    ports::Environment,
    testing::{TestEnvironment, contract},
};

use crate::{both_databases::on_both, test_database::TestDatabase};

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
    session_round_trips_in_every_field,
    guarded_write_happens_once,
    out_of_scope_session_is_invisible,
    cross_organization_writes_are_rejected,
    existing_id_is_not_inserted_again,
    out_of_scope_write_finds_no_session,
    filter_conditions_are_combined_with_and,
    delete_replaces_session_with_cleanup,
    complete_cleanup_leaves_events_only,
    claim_takes_due_sessions_and_postpones_them,
    claims_rotate_among_organizations,
    cleanup_claims_rotate_among_organizations,
    waiting_sessions_are_woken_in_rotation,
    expired_and_revoked_keys_are_removed,
    expired_codes_are_blanked,
    worker_store_finds_wakes_and_reschedules,
    wake_is_not_overwritten,
    version_lookup_returns_stored_versions,
    cleanup_lives_until_finished,
    node_registers_renews_its_lease_and_is_lost,
    orphan_is_returned_once_and_listed_while_held,
    key_is_visible_to_its_organization_only,
    key_directory_finds_valid_keys_only,
    key_validity_needs_no_digest,
    ticket_is_spent_once,
    browser_session_is_found_until_it_ends,
    surplus_browser_sessions_are_removed,
    ended_browser_sessions_are_removed,
    event_pages_are_newest_first_and_in_scope,
    feed_contains_every_event_once_in_order,
    feed_is_read_within_scope,
    old_events_leave_the_feed_and_floors_move,
    newest_event_of_all_is_not_removed,
    old_audit_events_are_removed_below_the_floor,
    operators_see_sessions_of_every_organization,
    idempotency_record_is_stored_once_until_it_expires,
    idempotency_record_is_atomic_with_its_change,
    idempotency_record_is_invisible_to_other_organizations,
    link_attempts_are_counted,
    batch_session_lookup_respects_scope,
    first_data_key_of_an_organization_stays,
    data_keys_are_rewrapped_once,
    disablement_yields_to_its_owner,
    due_time_of_the_owner_survives_the_lease,
    events_of_a_session_are_found,
    flush_moves_the_replay_that_it_names,
    flush_writes_all_changes_under_the_lease,
    lease_has_one_holder,
    live_webhooks_are_listed_once,
    waiting_deliveries_are_found,
    webhook_is_visible_to_its_organization_only,
    webhook_pages_cover_every_webhook_once,
    erasure_removes_the_rows_of_one_organization,
    unfinished_deletions_are_counted,
    replay_and_restart_change_the_progress,
    device_ends_the_links_of_its_session,
    link_is_found_by_its_secrets_while_they_count,
    link_is_visible_within_scope_only,
    link_pages_cover_every_link_once,
    links_leave_with_their_session,
    old_links_are_removed,
    write_of_a_link_is_guarded_by_its_session,
    first_position_is_found_by_time,
);

macro_rules! suites_of_messages {
    ($($suite:ident),+ $(,)?) => {
        $(
            async fn $suite(test_db: TestDatabase) {
                let store = Arc::new(test_db.open().await);
                contract::$suite(store, TestEnvironment::new()).await;
            }
        )+
    };
}

suites_of_messages!(
    delivered_message_is_stored_once,
    deliveries_leave_the_session_unchanged,
    existing_id_of_another_sender_changes_no_message,
    chats_of_one_person_become_one,
    receipts_raise_levels_only,
    reading_elsewhere_lowers_the_unread_count,
    undecryptable_message_is_recovered_once,
    every_kind_of_message_is_stored,
    newest_timer_of_a_chat_stays,
    deliveries_of_other_sessions_are_stored_or_dropped,
    concurrent_deliveries_are_all_stored,
    message_pages_cover_every_message_once,
    chat_pages_follow_activity,
    messages_are_visible_within_scope_only,
    accepted_message_is_sent_under_one_id,
    digits_lead_to_the_chat_of_the_account,
    messages_end_in_time,
    messages_of_a_chat_leave_in_order,
    outbox_claims_rotate_among_organizations,
    outbox_is_used_within_scope_only,
    queue_and_pace_are_limited,
    received_messages_are_marked_as_read,
    refused_first_contact_pauses_first_contacts,
    repeated_key_finds_the_message,
    finished_entries_leave_the_outbox,
    messages_of_a_deleted_session_are_removed,
    messages_of_an_adopted_session_continue_the_sequence,
    old_parts_of_messages_are_removed,
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
    webhooks_fill_their_quota,
    links_fill_their_quota,
    idempotency_records_fill_their_quota,
);

async fn adopted_orphan_continues_the_events_of_its_id(test_db: TestDatabase) {
    let environment: Arc<dyn Environment> = TestEnvironment::new();
    let store = test_db.open().await;
    contract::adopted_orphan_continues_the_events_of_its_id(&store, &environment).await;
}

async fn session_pages_cover_every_session_once(test_db: TestDatabase) {
    contract::session_pages_cover_every_session_once(&test_db.open().await).await;
}

async fn key_pages_cover_every_key_once(test_db: TestDatabase) {
    contract::key_pages_cover_every_key_once(&test_db.open().await).await;
}

on_both!(
    delivered_message_is_stored_once,
    deliveries_leave_the_session_unchanged,
    existing_id_of_another_sender_changes_no_message,
    chats_of_one_person_become_one,
    receipts_raise_levels_only,
    reading_elsewhere_lowers_the_unread_count,
    undecryptable_message_is_recovered_once,
    every_kind_of_message_is_stored,
    newest_timer_of_a_chat_stays,
    deliveries_of_other_sessions_are_stored_or_dropped,
    concurrent_deliveries_are_all_stored,
    message_pages_cover_every_message_once,
    chat_pages_follow_activity,
    messages_are_visible_within_scope_only,
    accepted_message_is_sent_under_one_id,
    digits_lead_to_the_chat_of_the_account,
    messages_end_in_time,
    messages_of_a_chat_leave_in_order,
    outbox_claims_rotate_among_organizations,
    outbox_is_used_within_scope_only,
    queue_and_pace_are_limited,
    received_messages_are_marked_as_read,
    refused_first_contact_pauses_first_contacts,
    repeated_key_finds_the_message,
    finished_entries_leave_the_outbox,
    messages_of_a_deleted_session_are_removed,
    messages_of_an_adopted_session_continue_the_sequence,
    old_parts_of_messages_are_removed,
    session_round_trips_in_every_field,
    guarded_write_happens_once,
    out_of_scope_session_is_invisible,
    cross_organization_writes_are_rejected,
    existing_id_is_not_inserted_again,
    out_of_scope_write_finds_no_session,
    filter_conditions_are_combined_with_and,
    delete_replaces_session_with_cleanup,
    complete_cleanup_leaves_events_only,
    claim_takes_due_sessions_and_postpones_them,
    claims_rotate_among_organizations,
    cleanup_claims_rotate_among_organizations,
    waiting_sessions_are_woken_in_rotation,
    expired_and_revoked_keys_are_removed,
    expired_codes_are_blanked,
    worker_store_finds_wakes_and_reschedules,
    wake_is_not_overwritten,
    version_lookup_returns_stored_versions,
    cleanup_lives_until_finished,
    node_registers_renews_its_lease_and_is_lost,
    adopted_orphan_continues_the_events_of_its_id,
    orphan_is_returned_once_and_listed_while_held,
    key_is_visible_to_its_organization_only,
    key_directory_finds_valid_keys_only,
    key_validity_needs_no_digest,
    ticket_is_spent_once,
    browser_session_is_found_until_it_ends,
    surplus_browser_sessions_are_removed,
    ended_browser_sessions_are_removed,
    event_pages_are_newest_first_and_in_scope,
    feed_contains_every_event_once_in_order,
    feed_is_read_within_scope,
    old_events_leave_the_feed_and_floors_move,
    newest_event_of_all_is_not_removed,
    old_audit_events_are_removed_below_the_floor,
    operators_see_sessions_of_every_organization,
    idempotency_record_is_stored_once_until_it_expires,
    idempotency_record_is_atomic_with_its_change,
    idempotency_record_is_invisible_to_other_organizations,
    link_attempts_are_counted,
    batch_session_lookup_respects_scope,
    first_data_key_of_an_organization_stays,
    data_keys_are_rewrapped_once,
    disablement_yields_to_its_owner,
    due_time_of_the_owner_survives_the_lease,
    events_of_a_session_are_found,
    flush_moves_the_replay_that_it_names,
    flush_writes_all_changes_under_the_lease,
    lease_has_one_holder,
    live_webhooks_are_listed_once,
    waiting_deliveries_are_found,
    webhook_is_visible_to_its_organization_only,
    webhook_pages_cover_every_webhook_once,
    erasure_removes_the_rows_of_one_organization,
    unfinished_deletions_are_counted,
    replay_and_restart_change_the_progress,
    device_ends_the_links_of_its_session,
    link_is_found_by_its_secrets_while_they_count,
    link_is_visible_within_scope_only,
    link_pages_cover_every_link_once,
    links_leave_with_their_session,
    old_links_are_removed,
    write_of_a_link_is_guarded_by_its_session,
    first_position_is_found_by_time,
    sessions_fill_their_quota,
    metadata_fills_its_quota,
    api_keys_fill_their_quota,
    webhooks_fill_their_quota,
    links_fill_their_quota,
    idempotency_records_fill_their_quota,
    session_pages_cover_every_session_once,
    key_pages_cover_every_key_once,
);
