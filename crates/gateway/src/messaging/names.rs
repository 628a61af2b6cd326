//! The names of people: WhatsApp addresses one person by a phone number or by a LID.

use std::sync::Arc;

use wacore::types::message::MessageInfo;
use whatsapp_rust::{Client, Jid, Server};

/// Returns the JID without a device, in the form in which people are named: hosted devices belong
/// to the account of their phone number or LID.
pub(super) fn person(jid: &Jid) -> String {
    let mut person = jid.to_non_ad();
    person.server = match person.server {
        Server::Hosted | Server::Legacy => Server::Pn,
        Server::HostedLid => Server::Lid,
        server => server,
    };
    person.to_string()
}

/// The names in a message, as the protocol gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) chat: String,
    pub(super) chat_alt: Option<String>,
    /// `None`: this account.
    pub(super) sender: Option<String>,
    pub(super) sender_alt: Option<String>,
}

impl Names {
    /// Returns the names in a message. `known` is the other name of the person of [`unnamed`].
    pub(super) fn of(info: &MessageInfo, known: Option<String>) -> Self {
        let source = &info.source;
        let other = |jid: &Jid| {
            let named = named(info).map(person).or(known);
            named.filter(|other| *other != person(jid))
        };
        if source.is_from_me {
            let chat_alt = if is_group(info) { None } else { other(&source.chat) };
            return Self { chat: person(&source.chat), chat_alt, sender: None, sender_alt: None };
        }
        let sender = person(&source.sender);
        let sender_alt = other(&source.sender);
        // A broadcast list is shown in the chat with its owner.
        if is_group(info) {
            let chat = person(&source.chat);
            return Self { chat, chat_alt: None, sender: Some(sender), sender_alt };
        }
        Self {
            chat: sender.clone(),
            chat_alt: sender_alt.clone(),
            sender: Some(sender),
            sender_alt,
        }
    }
}

/// Returns the person of whom a message gives one name only: the author, or the recipient of an own
/// message.
pub(super) fn unnamed(info: &MessageInfo) -> Option<&Jid> {
    let source = &info.source;
    let person = if source.is_from_me { &source.chat } else { &source.sender };
    let in_own_group = source.is_from_me && is_group(info);
    (named(info).is_none() && !in_own_group).then_some(person)
}

/// Returns the other name of that person as WhatsApp gave it.
fn named(info: &MessageInfo) -> Option<&Jid> {
    let source = &info.source;
    if source.is_from_me {
        info.peer_recipient_pn.as_ref().or(source.recipient_alt.as_ref())
    } else {
        source.sender_alt.as_ref()
    }
}

fn is_group(info: &MessageInfo) -> bool {
    let source = &info.source;
    source.chat.server == Server::Group
        || (source.is_group && source.broadcast_list_owner.is_none())
}

/// Returns the other name of a person, if the engine knows both. Reads the key file at most, so that
/// the call is permitted while the engine holds its lock for the sender.
pub(super) async fn other_name(client: &Arc<Client>, jid: &Jid) -> Option<String> {
    let jid = person(jid).parse::<Jid>().ok()?;
    let entry = client.get_lid_pn_entry(&jid).await.ok().flatten()?;
    let other = if jid.is_lid() {
        Jid::new(&*entry.phone_number, Server::Pn)
    } else {
        Jid::new(&*entry.lid, Server::Lid)
    };
    Some(other.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::types::message::MessageSource;

    fn jid(text: &str) -> Jid {
        text.parse().unwrap()
    }

    fn names(source: MessageSource, known: Option<&str>) -> Names {
        let info = MessageInfo { source, ..MessageInfo::default() };
        Names::of(&info, known.map(str::to_owned))
    }

    #[test]
    fn direct_message_names_its_author_and_chat_by_both_names() {
        let source = MessageSource {
            chat: jid("99@lid"),
            sender: jid("99:3@lid"),
            sender_alt: Some(jid("1555:3@s.whatsapp.net")),
            ..MessageSource::default()
        };
        let both = names(source.clone(), None);
        assert_eq!((both.chat.as_str(), both.sender.as_deref()), ("99@lid", Some("99@lid")));
        let phone = Some("1555@s.whatsapp.net".to_owned());
        assert_eq!((&both.chat_alt, &both.sender_alt), (&phone, &phone));
        let bare = MessageSource { sender_alt: None, ..source };
        assert_eq!(names(bare.clone(), Some("1555@s.whatsapp.net")), both);
        assert_eq!(names(bare, None).chat_alt, None);
    }

    #[test]
    fn own_message_is_in_the_chat_with_its_recipient() {
        let source = MessageSource {
            chat: jid("99@lid"),
            sender: jid("1@s.whatsapp.net"),
            sender_alt: Some(jid("5@lid")),
            recipient: Some(jid("99@lid")),
            is_from_me: true,
            ..MessageSource::default()
        };
        let own = names(source, Some("1555@s.whatsapp.net"));
        assert_eq!((own.chat.as_str(), own.sender), ("99@lid", None));
        assert_eq!(own.chat_alt.as_deref(), Some("1555@s.whatsapp.net"));
    }

    #[test]
    fn group_has_one_name_and_broadcast_list_is_a_direct_chat() {
        let source = MessageSource {
            chat: jid("7@g.us"),
            sender: jid("99:1@lid"),
            is_group: true,
            ..MessageSource::default()
        };
        let group = names(source.clone(), Some("1555@s.whatsapp.net"));
        assert_eq!((group.chat.as_str(), group.chat_alt), ("7@g.us", None));
        assert_eq!(group.sender.as_deref(), Some("99@lid"));
        assert_eq!(group.sender_alt.as_deref(), Some("1555@s.whatsapp.net"));
        let list = MessageSource {
            chat: jid("7@broadcast"),
            broadcast_list_owner: Some(jid("99@lid")),
            ..source
        };
        assert_eq!(names(list, None).chat, "99@lid");
    }

    #[test]
    fn hosted_device_belongs_to_its_account() {
        assert_eq!(person(&jid("1555:99@hosted")), "1555@s.whatsapp.net");
        assert_eq!(person(&jid("99:99@hosted.lid")), "99@lid");
    }
}
