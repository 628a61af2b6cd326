//! The stanzas that carry messages and receipts to devices.

use crate::account::Account;
use crate::address::{Address, Addressing};
use crate::messaging::queue::{QueuedStanza, StanzaClass};
use crate::signal::SealedText;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

/// The sender of a stanza: an account with a device, and the namespace of all addresses in the
/// stanza.
pub(crate) struct StanzaSender<'a> {
    pub(crate) account: &'a Account,
    pub(crate) device: u32,
    pub(crate) addressing: Addressing,
}

/// The other end of a chat, by both addresses.
#[derive(Debug, Clone)]
pub(crate) struct ChatPartner {
    pub(crate) number: String,
    pub(crate) lid: String,
    pub(crate) number_hidden: bool,
}

impl ChatPartner {
    pub(crate) fn of(account: &Account) -> Self {
        Self {
            number: account.number.clone(),
            lid: account.lid.clone(),
            number_hidden: account.settings.number_hidden,
        }
    }

    /// Returns the address of the partner.
    pub(crate) fn jid(&self, addressing: Addressing) -> String {
        let user = if addressing == Addressing::Lid { &self.lid } else { &self.number };
        Address::format(user, 0, addressing)
    }
}

/// The attributes of a message stanza.
pub(crate) struct MessageHead<'a> {
    pub(crate) id: &'a str,
    pub(crate) timestamp: u64,
    pub(crate) kind: &'a str,
    pub(crate) edit: Option<&'a str>,
}

impl StanzaSender<'_> {
    /// Returns the sender's address.
    pub(crate) fn jid(&self) -> String {
        self.account.address(self.device, self.addressing)
    }

    /// Starts a message stanza to a device of another account.
    pub(crate) fn message(&self, head: &MessageHead<'_>) -> NodeBuilder {
        let account = self.account;
        let stanza = self.base(head);
        match self.addressing {
            Addressing::Pn => {
                stanza.attr("sender_lid", Address::format(&account.lid, 0, Addressing::Lid))
            }
            Addressing::Lid if account.settings.number_hidden => stanza,
            Addressing::Lid => {
                stanza.attr("sender_pn", Address::format(&account.number, 0, Addressing::Pn))
            }
        }
    }

    /// Starts a message stanza to another device of the sender's own account.
    pub(crate) fn own_copy(&self, head: &MessageHead<'_>, partner: &ChatPartner) -> NodeBuilder {
        let stanza = self.base(head).attr("recipient", partner.jid(self.addressing));
        if self.addressing == Addressing::Lid && !partner.number_hidden {
            stanza.attr("peer_recipient_pn", partner.jid(Addressing::Pn))
        } else {
            stanza
        }
    }

    fn base(&self, head: &MessageHead<'_>) -> NodeBuilder {
        let stanza = NodeBuilder::new("message")
            .attr("from", self.jid())
            .attr("id", head.id)
            .attr("t", head.timestamp)
            .attr("type", head.kind)
            .attr("notify", self.account.name.as_str());
        match head.edit {
            Some(edit) => stanza.attr("edit", edit),
            None => stanza,
        }
    }
}

/// Builds the ciphertext of a message. `retry` is the number of the retry; 0 for a first message.
pub(crate) fn enc(sealed: SealedText, media: Option<&'static str>, retry: u32) -> Node {
    let mut enc = NodeBuilder::new("enc").attr("v", "2").attr("type", sealed.kind);
    if let Some(media) = media {
        enc = enc.attr("mediatype", media);
    }
    if retry > 0 {
        enc = enc.attr("count", retry);
    }
    enc.bytes(sealed.bytes).build()
}

/// Makes a stanza ready for a queue. `peer` is the number of the sender's account; empty for the
/// server.
pub(crate) fn queued(class: StanzaClass, peer: &str, node: Node) -> QueuedStanza {
    let text = |name| node.attrs.get(name).map(|value| value.as_str().into_owned());
    let id = text("id").unwrap_or_default();
    let kind = match class {
        StanzaClass::Receipt => text("type").unwrap_or_default(),
        _ => String::new(),
    };
    QueuedStanza { seq: 0, class, id, peer: peer.to_owned(), kind, node, deliveries: 0 }
}
