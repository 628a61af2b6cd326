//! The contract suite of the port, run against this client and a real node.

use domain::testing::contract;

use crate::real_node::RealNode;

macro_rules! passes {
    ($($claim:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                contract::$claim(&RealNode::start().await).await;
            }
        )*
    };
}

passes! {
    declared_session_pairs_connects_stops_and_unlinks
    older_epoch_is_rejected
    forgotten_session_stays_forgotten
}
