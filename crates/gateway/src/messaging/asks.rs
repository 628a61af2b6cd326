//! Live requests of a session to WhatsApp.

use std::sync::Arc;

use futures_util::StreamExt as _;
use gateway_protocol::{Answer, CheckedContact};
use whatsapp_rust::{Client, Jid, Server};

use super::{names::person, text::clean_id, wire::AskError};

/// Maximum number of addresses in one request, and of those checked at the same time.
const MAX_ADDRESSES: usize = 50;
const MAX_CHECKS: usize = 8;
/// Maximum number of messages in one request: what one receipt of WhatsApp carries.
const MAX_READ: usize = 256;

/// Returns which of these addresses are on WhatsApp, in their order.
pub(super) async fn check_contacts(
    client: &Arc<Client>,
    addresses: Vec<String>,
) -> Result<Answer, AskError> {
    if addresses.len() > MAX_ADDRESSES {
        return Err(AskError::Invalid(format!("at most {MAX_ADDRESSES} addresses")));
    }
    let asked = addresses.into_iter().map(|asked| Ok((contact(&asked)?, asked)));
    let asked = asked.collect::<Result<Vec<_>, AskError>>()?;
    // One query for each address: the answer names the canonical number only.
    let checks = futures_util::stream::iter(asked)
        .map(|(jid, asked)| check_contact(client, jid, asked))
        .buffered(MAX_CHECKS);
    let contacts = checks.collect::<Vec<_>>().await.into_iter().collect::<Result<_, _>>()?;
    Ok(Answer::Contacts { contacts })
}

async fn check_contact(
    client: &Arc<Client>,
    jid: Jid,
    asked: String,
) -> Result<CheckedContact, AskError> {
    let unavailable = |why: String| AskError::Unavailable(format!("WhatsApp did not check: {why}"));
    let results = client.contacts().is_on_whatsapp(&[jid]).await;
    let results = results.map_err(|error| unavailable(error.to_string()))?;
    let blank = CheckedContact { asked, registered: false, jid: None, lid: None, business: false };
    let Some(result) = results.into_iter().next() else { return Ok(blank) };
    if let Some(error) = result.contact_error {
        return Err(unavailable(format!("{error:?}")));
    }
    if !result.is_registered {
        return Ok(blank);
    }
    let (phone, lid) = if result.jid.is_lid() {
        (result.pn_jid, Some(result.jid))
    } else {
        (Some(result.jid), result.lid)
    };
    let jid = phone.as_ref().or(lid.as_ref()).map(person);
    let lid = lid.as_ref().map(person);
    Ok(CheckedContact { registered: true, jid, lid, business: result.is_business, ..blank })
}

/// Tells WhatsApp that messages were read.
pub(super) async fn mark_read(
    client: &Arc<Client>,
    chat: &str,
    sender: Option<&str>,
    ids: &[String],
) -> Result<Answer, AskError> {
    let chat = address(chat)?;
    let sender = sender.map(address).transpose()?;
    if ids.len() > MAX_READ || ids.iter().any(|id| clean_id(id).is_none()) {
        return Err(AskError::Invalid(format!("at most {MAX_READ} ids of messages")));
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let sent = client.mark_as_read(&chat, sender.as_ref(), &ids).await;
    sent.map_err(|error| AskError::Unavailable(error.to_string()))?;
    Ok(Answer::Done)
}

/// Parses the address of a chat or a person.
pub(super) fn address(text: &str) -> Result<Jid, AskError> {
    let jid = text.parse::<Jid>().ok().filter(|jid| {
        matches!(jid.server, Server::Pn | Server::Lid | Server::Group) && !jid.user.is_empty()
    });
    jid.ok_or_else(|| AskError::Invalid("the address is not one of a person or a group".to_owned()))
}

/// Parses a phone number or the address of a person.
fn contact(text: &str) -> Result<Jid, AskError> {
    let is_number = (5..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if is_number {
        return Ok(Jid::new(text, Server::Pn));
    }
    address(text).and_then(|jid| match jid.server {
        Server::Group => Err(AskError::Invalid("a group cannot be checked".to_owned())),
        _ => Ok(jid.to_non_ad()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contact_is_a_number_or_the_address_of_a_person() {
        assert_eq!(contact("15550001").unwrap().to_string(), "15550001@s.whatsapp.net");
        assert_eq!(contact("99:3@lid").unwrap().to_string(), "99@lid");
        for text in ["", "+15550001", "1555 0001", "7@g.us", "1@newsletter", "status@broadcast"] {
            assert!(contact(text).is_err(), "{text:?}");
        }
        assert!(address("7@g.us").is_ok());
    }
}
