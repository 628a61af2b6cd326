//! Messages between devices: routing, queues, receipts, retries, and the phones at both ends.

pub(crate) mod content;
pub(crate) mod conversation;
pub(crate) mod delivery;
pub(crate) mod device_list;
pub(crate) mod device_receipts;
pub(crate) mod inbox;
pub(crate) mod outbox;
pub(crate) mod parcel;
pub(crate) mod placeholder;
pub(crate) mod presence;
pub(crate) mod queue;
pub(crate) mod receipts;
pub(crate) mod routing;
pub(crate) mod stanzas;
pub(crate) mod tokens;
