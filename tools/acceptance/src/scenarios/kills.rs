//! `kill -9`, of either program or both, at chosen moments of every operation.

use faults::kill::{
    Answered, CodeShown, Create, Delete, Logout, Moment, Operation, Pair, Scanned, Scanning, Sent,
    WithoutGateway, Working, strike,
};
use testbed::{
    client::Api,
    stack::{
        Stack, Victim,
        Victim::{Berth, Both, Gateway},
    },
};

use crate::suite::Suite;

/// The chosen points: every operation, before and after its answer, each victim.
const POINTS: [(Operation, Moment, Victim); 28] = [
    (Create, Sent(0), Berth),
    (Create, Sent(2), Berth),
    (Create, Sent(8), Both),
    (Create, Answered(0), Berth),
    (Create, Answered(0), Both),
    (Pair, Sent(20), Gateway),
    (Pair, Sent(60), Both),
    (Pair, Answered(0), Berth),
    (Pair, Answered(0), Gateway),
    (Pair, Answered(0), Both),
    (Pair, CodeShown, Gateway),
    (Pair, Scanning(10), Gateway),
    (Pair, Scanning(40), Both),
    (Pair, Scanned(0), Gateway),
    (Pair, Scanned(0), Berth),
    (Pair, Scanned(60), Both),
    (Pair, Working, Gateway),
    (Pair, Working, Both),
    (Logout, Sent(1), Berth),
    (Logout, Sent(10), Gateway),
    (Logout, Sent(25), Both),
    (Logout, Answered(0), Both),
    (Delete, Sent(1), Berth),
    (Delete, Sent(6), Both),
    (Delete, Answered(0), Berth),
    (Delete, Answered(0), Both),
    (Delete, Answered(15), Gateway),
    (Delete, WithoutGateway, Berth),
];

pub(super) fn run(suite: &mut Suite<'_>, stack: &mut Stack, api: &Api) {
    for point in POINTS {
        let (operation, moment, victim) = point;
        let name = format!("kill -9 {victim}: {operation:?}, {moment}");
        suite.run_on(stack, &name, |stack| strike(stack, api, point));
    }
}
