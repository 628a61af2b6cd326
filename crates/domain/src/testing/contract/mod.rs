//! Contract suites, one file per topic. Every adapter of the ports must pass them.
//!
//! Each function is one claim about an adapter. A suite uses new organizations and ids, so that
//! suites can share a database with existing rows.

mod browser_sessions;
mod data_keys;
mod deliveries;
mod delivery_rows;
mod erasure;
mod event_retention;
mod fairness;
mod feed;
mod fixtures;
mod idempotency;
mod inbound_changes;
mod inbound_messages;
mod isolation;
mod keys;
mod link_attempt;
mod message_lists;
mod message_removal;
mod nodes;
mod orphans;
mod outbox;
mod quotas;
mod retention;
mod session_control;
mod sessions;
mod share_link_ends;
mod share_links;
mod tickets;
mod waiting_deliveries;
mod webhooks;
mod worker_store;

pub use browser_sessions::{
    browser_session_is_found_until_it_ends, ended_browser_sessions_are_removed,
    surplus_browser_sessions_are_removed,
};
pub use data_keys::{data_keys_are_rewrapped_once, first_data_key_of_an_organization_stays};
pub use deliveries::{
    disablement_yields_to_its_owner, due_time_of_the_owner_survives_the_lease,
    flush_moves_the_replay_that_it_names, flush_writes_all_changes_under_the_lease,
    lease_has_one_holder,
};
pub use erasure::{erasure_removes_the_rows_of_one_organization, unfinished_deletions_are_counted};
pub use event_retention::{
    newest_event_of_all_is_not_removed, old_audit_events_are_removed_below_the_floor,
    old_events_leave_the_feed_and_floors_move,
};
pub use fairness::{
    claims_rotate_among_organizations, cleanup_claims_rotate_among_organizations,
    waiting_sessions_are_woken_in_rotation,
};
pub use feed::{feed_contains_every_event_once_in_order, feed_is_read_within_scope};
pub use fixtures::{filled, stored_events};
pub use idempotency::{
    idempotency_record_is_atomic_with_its_change,
    idempotency_record_is_invisible_to_other_organizations,
    idempotency_record_is_stored_once_until_it_expires,
};
pub use inbound_changes::{
    chats_of_one_person_become_one, newest_timer_of_a_chat_stays,
    reading_elsewhere_lowers_the_unread_count, receipts_raise_levels_only,
};
pub use inbound_messages::{
    concurrent_deliveries_are_all_stored, delivered_message_is_stored_once,
    deliveries_leave_the_session_unchanged, deliveries_of_other_sessions_are_stored_or_dropped,
    every_kind_of_message_is_stored, existing_id_of_another_sender_changes_no_message,
    undecryptable_message_is_recovered_once,
};
pub use isolation::{
    cross_organization_writes_are_rejected, existing_id_is_not_inserted_again,
    out_of_scope_write_finds_no_session,
};
pub use keys::{
    batch_session_lookup_respects_scope, event_pages_are_newest_first_and_in_scope,
    key_directory_finds_valid_keys_only, key_is_visible_to_its_organization_only,
    key_pages_cover_every_key_once, key_validity_needs_no_digest,
};
pub use link_attempt::{attempt, link_attempts_are_counted};
pub use message_lists::{
    chat_pages_follow_activity, message_pages_cover_every_message_once,
    messages_are_visible_within_scope_only,
};
pub use message_removal::{
    finished_entries_leave_the_outbox, messages_of_a_deleted_session_are_removed,
    messages_of_an_adopted_session_continue_the_sequence, old_parts_of_messages_are_removed,
};
pub use nodes::node_registers_renews_its_lease_and_is_lost;
pub use orphans::{
    adopted_orphan_continues_the_events_of_its_id, orphan_is_returned_once_and_listed_while_held,
};
pub use outbox::{
    accepted_message_is_sent_under_one_id, digits_lead_to_the_chat_of_the_account,
    messages_end_in_time, messages_of_a_chat_leave_in_order,
    outbox_claims_rotate_among_organizations, outbox_is_used_within_scope_only,
    queue_and_pace_are_limited, received_messages_are_marked_as_read,
    refused_first_contact_pauses_first_contacts, repeated_key_finds_the_message,
};
pub use quotas::{
    api_keys_fill_their_quota, idempotency_records_fill_their_quota, metadata_fills_its_quota,
    sessions_fill_their_quota, small_quotas,
};
pub use retention::{expired_and_revoked_keys_are_removed, expired_codes_are_blanked};
pub use session_control::{
    GatewayUnderTest, declared_session_pairs_connects_stops_and_unlinks,
    forgotten_session_stays_forgotten, older_epoch_is_rejected,
};
pub use sessions::{
    complete_cleanup_leaves_events_only, delete_replaces_session_with_cleanup,
    filter_conditions_are_combined_with_and, guarded_write_happens_once,
    operators_see_sessions_of_every_organization, out_of_scope_session_is_invisible,
    session_pages_cover_every_session_once, session_round_trips_in_every_field,
};
pub use share_link_ends::{
    device_ends_the_links_of_its_session, links_fill_their_quota, links_leave_with_their_session,
    old_links_are_removed,
};
pub use share_links::{
    link_is_found_by_its_secrets_while_they_count, link_is_visible_within_scope_only,
    link_pages_cover_every_link_once, write_of_a_link_is_guarded_by_its_session,
};
pub use tickets::ticket_is_spent_once;
pub use waiting_deliveries::{
    events_of_a_session_are_found, live_webhooks_are_listed_once, waiting_deliveries_are_found,
};
pub use webhooks::{
    first_position_is_found_by_time, replay_and_restart_change_the_progress,
    webhook_is_visible_to_its_organization_only, webhook_pages_cover_every_webhook_once,
    webhooks_fill_their_quota,
};
pub use worker_store::{
    claim_takes_due_sessions_and_postpones_them, cleanup_lives_until_finished,
    version_lookup_returns_stored_versions, wake_is_not_overwritten,
    worker_store_finds_wakes_and_reschedules,
};
