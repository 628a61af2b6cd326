//! Properties of the pure rules: session lifecycle and placement.

use std::time::Duration;

use domain::{GatewayId, Node, Timestamp, gateway::placement::choose, testing::check_lifecycle};
use proptest::{collection::vec, prelude::*};

/// Runs the number of cases in `PROPTEST_CASES`, or 64.
fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let (failure_persistence, default) = (None, ProptestConfig::default());
    let cases = if asked { default.cases } else { 64 };
    ProptestConfig { cases, failure_persistence, ..default }
}

const LEASE: Duration = Duration::from_secs(30);
const NOW: Timestamp = Timestamp::from_millis(100_000);

fn node() -> impl Strategy<Value = Node> {
    // Ids repeat, sizes are small and times are close to the lease, so that equal values and limits
    // occur.
    ("[a-d]", 0..5_u32, 0..5_u32, 60_000..101_000_i64, any::<bool>()).prop_map(
        |(name, held, capacity, heartbeat_at, lost)| Node {
            id: GatewayId::parse(&name).unwrap(),
            address: "http://127.0.0.1:1".to_owned(),
            incarnation: "i".to_owned(),
            generation: 1,
            version: "v".to_owned(),
            features: Vec::new(),
            capacity,
            held,
            heartbeat_at: Timestamp::from_millis(heartbeat_at),
            lost_at: lost.then_some(NOW),
        },
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lifecycle_rules_hold_for_random_input(bytes in vec(any::<u8>(), 0..600)) {
        check_lifecycle(&bytes);
    }

    #[test]
    fn placement_chooses_least_filled_node(nodes in vec(node(), 0..6)) {
        let fits = |node: &&Node| node.is_live(NOW, LEASE) && node.held < node.capacity;
        let chosen = choose(&nodes, NOW, LEASE);
        prop_assert_eq!(chosen.is_some(), nodes.iter().any(|node| fits(&node)));
        let Some(chosen) = chosen else { return Ok(()) };
        prop_assert!(fits(&chosen));
        let fuller = |a: &Node, b: &Node| {
            u64::from(a.held) * u64::from(b.capacity) > u64::from(b.held) * u64::from(a.capacity)
        };
        for other in nodes.iter().filter(fits) {
            prop_assert!(!fuller(chosen, other), "{chosen:?} is fuller than {other:?}");
        }
        let mut turned = nodes.clone();
        turned.reverse();
        let again = choose(&turned, NOW, LEASE).map(|node| &node.id);
        prop_assert_eq!(again, Some(&chosen.id), "the order of the nodes does not matter");
    }
}
