//! `kill -9` of the router, the node or both at chosen moments of every operation.
//!
//! Acknowledged changes persist, operations in progress end, and deleted sessions leave no trace.

use acceptance::deployment::Deployment;
use anyhow::Result;
use faults::kill::{
    Answered, CodeShown, Create, Delete, Logout, Moment, Operation, Pair, Scanned, Scanning, Sent,
    WithoutGateway, Working, strike,
};
use testbed::stack::{
    Victim,
    Victim::{Berth, Both, Gateway},
};

use crate::each_database;

/// Declares a test for each moment and victim.
macro_rules! kills {
    ($($name:ident: $point:expr),+ $(,)?) => {
        each_database!(exclusive: $($name),+);

        $(fn $name(deployment: &mut Deployment) -> Result<()> {
            strike_at(deployment, $point)
        })+
    };
}

// Every operation, before and after its answer, each victim.
kills! {
    create_0_ms_after_the_request_kill_router: (Create, Sent(0), Berth),
    create_2_ms_after_the_request_kill_router: (Create, Sent(2), Berth),
    create_8_ms_after_the_request_kill_both: (Create, Sent(8), Both),
    create_0_ms_after_the_answer_kill_router: (Create, Answered(0), Berth),
    create_0_ms_after_the_answer_kill_both: (Create, Answered(0), Both),
    pair_20_ms_after_the_request_kill_node: (Pair, Sent(20), Gateway),
    pair_60_ms_after_the_request_kill_both: (Pair, Sent(60), Both),
    pair_0_ms_after_the_answer_kill_router: (Pair, Answered(0), Berth),
    pair_0_ms_after_the_answer_kill_node: (Pair, Answered(0), Gateway),
    pair_0_ms_after_the_answer_kill_both: (Pair, Answered(0), Both),
    pair_with_a_pairing_code_kill_node: (Pair, CodeShown, Gateway),
    pair_10_ms_into_a_scan_kill_node: (Pair, Scanning(10), Gateway),
    pair_40_ms_into_a_scan_kill_both: (Pair, Scanning(40), Both),
    pair_0_ms_after_a_scan_kill_node: (Pair, Scanned(0), Gateway),
    pair_0_ms_after_a_scan_kill_router: (Pair, Scanned(0), Berth),
    pair_60_ms_after_a_scan_kill_both: (Pair, Scanned(60), Both),
    pair_when_linked_kill_node: (Pair, Working, Gateway),
    pair_when_linked_kill_both: (Pair, Working, Both),
    logout_1_ms_after_the_request_kill_router: (Logout, Sent(1), Berth),
    logout_10_ms_after_the_request_kill_node: (Logout, Sent(10), Gateway),
    logout_25_ms_after_the_request_kill_both: (Logout, Sent(25), Both),
    logout_0_ms_after_the_answer_kill_both: (Logout, Answered(0), Both),
    delete_1_ms_after_the_request_kill_router: (Delete, Sent(1), Berth),
    delete_6_ms_after_the_request_kill_both: (Delete, Sent(6), Both),
    delete_0_ms_after_the_answer_kill_router: (Delete, Answered(0), Berth),
    delete_0_ms_after_the_answer_kill_both: (Delete, Answered(0), Both),
    delete_15_ms_after_the_answer_kill_node: (Delete, Answered(15), Gateway),
    delete_without_a_node_kill_router: (Delete, WithoutGateway, Berth),
}

fn strike_at(deployment: &mut Deployment, point: (Operation, Moment, Victim)) -> Result<()> {
    let api = deployment.organization()?.api;
    strike(&mut deployment.stack, &api, point)
}
