//! The operations of the holders of share links. Their page calls these operations.
//!
//! Decision: ADR 0056.

use super::{
    input::RequestBodySpec,
    operation::{Operation, get, post},
    requires::Requires,
};
use crate::handlers::link_page;

/// The operations of the page of a share link.
pub(super) static LINK: &[Operation] = &[
    post("/link/session", "link_open", Requires::LinkSecret, &link_page::open)
        .accepts(RequestBodySpec::Json)
        .unrecorded()
        .documented_by(&link_page::LINK_OPEN),
    get("/link/state", "link_state", Requires::Link, &link_page::state)
        .query(&["wait", "version"])
        .waits()
        .documented_by(&link_page::LINK_STATE),
    get("/link/qr", "link_qr", Requires::Link, &link_page::qr)
        .query(&["wait"])
        .waits()
        .documented_by(&link_page::LINK_QR),
    post("/link/pairing-code", "link_pairing_code", Requires::Link, &link_page::pairing_code)
        .accepts(RequestBodySpec::Json)
        .unrecorded()
        .waits()
        .documented_by(&link_page::LINK_PAIRING_CODE),
];
