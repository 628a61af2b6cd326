//! Suite of [`TicketStore`].

use std::time::Duration;

use crate::{
    ports::{
        environment::Environment,
        store::{
            tickets::{TicketDigest, TicketStore},
            worker::WorkerStore,
        },
    },
    time::Timestamp,
};

/// A time before the tickets of other suites.
const LONG_AGO: Timestamp = Timestamp::from_millis(1_000_000);

fn ticket(environment: &dyn Environment) -> TicketDigest {
    let mut digest = [7; 32];
    digest[..16].copy_from_slice(&environment.ulid().to_be_bytes());
    TicketDigest(digest)
}

/// The first call spends a ticket. Every other call finds the ticket spent, until the worker
/// removes the record of the expired ticket.
pub async fn ticket_is_spent_once(
    store: &(impl TicketStore + WorkerStore),
    environment: &dyn Environment,
) {
    let (early, late) = (ticket(environment), ticket(environment));
    let after = |seconds| LONG_AGO.plus(Duration::from_secs(seconds));
    let spend = async |ticket, at| store.spend(ticket, at).await.expect("spend");
    assert!(spend(early, after(1)).await && spend(late, after(10)).await);
    for (ticket, at) in [(early, after(1)), (early, after(99)), (late, after(10))] {
        assert!(!spend(ticket, at).await);
    }
    while store.sweep_spent_tickets(after(5), 1).await.expect("sweep") > 0 {}
    assert!(!spend(late, after(10)).await, "the record of a later ticket stays");
    assert!(spend(early, after(1)).await, "the record of the expired ticket is removed");
}
