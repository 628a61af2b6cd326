//! The memory store and the remembering gateway are trusted because they pass what adapters must.

use async_trait::async_trait;
use domain::{
    Node,
    ports::{Environment, NodeStore, Notifier, SessionControl},
    testing::{Memory, World, contract},
};

macro_rules! memory_passes {
    ($($claim:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $claim() {
                let environment = domain::testing::TestEnvironment::new();
                contract::$claim(&Memory::new(), &*environment).await;
            }
        )+
    };
}

memory_passes!(
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

macro_rules! memory_with_quotas_passes {
    ($($claim:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $claim() {
                let environment = domain::testing::TestEnvironment::new();
                let memory = Memory::new();
                memory.set_quotas(contract::small_quotas());
                contract::$claim(&memory, &*environment).await;
            }
        )+
    };
}

memory_with_quotas_passes!(
    sessions_fill_their_quota,
    metadata_fills_its_quota,
    api_keys_fill_their_quota,
    receipts_fill_their_quota,
);

#[tokio::test]
async fn a_list_walks_every_session_once() {
    contract::a_list_walks_every_session_once(&Memory::new()).await;
}

#[tokio::test]
async fn a_list_of_keys_walks_every_key_once() {
    contract::a_list_of_keys_walks_every_key_once(&Memory::new()).await;
}

struct Fake {
    world: World,
    node: Node,
}

impl Fake {
    async fn new() -> Self {
        let world = World::new().await;
        let node = world.memory.list().await.unwrap().remove(0);
        Self { world, node }
    }
}

#[async_trait]
impl contract::Link for Fake {
    fn gateway(&self) -> &dyn SessionControl {
        &self.world.gateway
    }

    fn node(&self) -> &Node {
        &self.node
    }

    fn environment(&self) -> &dyn Environment {
        &*self.world.environment
    }

    fn pause(&self) -> &dyn Notifier {
        &*self.world.change_notifier
    }

    async fn scan(&self, qr: &str) {
        assert!(self.world.gateway.scan(qr));
    }

    async fn linked(&self) -> usize {
        let held = self.world.gateway.held();
        let linked = |id: &&domain::SessionId| {
            self.world.gateway.snapshot(id).is_some_and(|s| s.identity.is_some())
        };
        held.iter().filter(linked).count()
    }
}

#[tokio::test]
async fn the_fake_gateway_lives_a_session_s_life() {
    let fake = Fake::new().await;
    contract::a_declared_session_pairs_works_stops_and_is_unlinked(&fake).await;
}

#[tokio::test]
async fn the_fake_gateway_refuses_older_epochs() {
    contract::an_older_epoch_is_refused(&Fake::new().await).await;
}

#[tokio::test]
async fn the_fake_gateway_does_not_bring_back_what_it_forgot() {
    contract::a_forgotten_session_stays_forgotten(&Fake::new().await).await;
}
