//! Decides whether a message can be taken for sending.

use gateway_protocol::{OutgoingContent, OutgoingMessage, RefusedCode};
use whatsapp_rust::{Jid, Server};

use super::text::clean_id;

/// Maximum length of a text in bytes, and of an id of the router.
const MAX_TEXT: usize = 65_536;
const MAX_ID: usize = 128;

/// Returns why a message cannot be taken.
pub(super) fn refusal(
    message: &OutgoingMessage,
    is_working: bool,
    account: Option<&str>,
    linked: Option<&str>,
) -> Option<RefusedCode> {
    let OutgoingContent::Text { text } = &message.content else {
        return Some(RefusedCode::Unsupported);
    };
    let is_address = message.to.parse::<Jid>().is_ok_and(|jid| {
        let kind = matches!(jid.server, Server::Pn | Server::Lid | Server::Group);
        kind && jid.device == 0 && !jid.user.is_empty()
    });
    let fits = (1..=MAX_ID).contains(&message.outbox.len())
        && clean_id(&message.wa_id).is_some()
        && (1..=MAX_TEXT).contains(&text.len());
    if !fits || !is_address {
        Some(RefusedCode::Invalid)
    } else if !is_working {
        Some(RefusedCode::NotWorking)
    } else if account.is_some_and(|account| linked != Some(account)) {
        Some(RefusedCode::OtherAccount)
    } else {
        None
    }
}
