//! Routes a message of a linked device: each copy goes to its device, and is acknowledged after it
//! is stored.

use crate::address::{Address, Addressing};
use crate::clock;
use crate::encoding::Base64Text;
use crate::faults::{Fault, FaultSubject, FaultTarget};
use crate::journal::replay;
use crate::login::LoggedInDevice;
use crate::messaging::conversation::ChatMessage;
use crate::messaging::delivery;
use crate::messaging::inbox;
use crate::messaging::outbox;
use crate::messaging::parcel::{Parcel, ParcelBody};
use crate::messaging::placeholder;
use crate::messaging::queue::StanzaClass;
use crate::messaging::stanzas::{self, ChatPartner, MessageHead, StanzaSender};
use crate::messaging::tokens;
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::signal;
use crate::socket::Socket;
use crate::stanza::{self, attribute, content};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use wacore_binary::{Node, NodeContent, NodeRef};

/// Refused: the addresses of a message are in different namespaces, or in the wrong one.
const BAD_ADDRESSING: u16 = 400;
/// Refused: nobody has the address.
const NO_RECIPIENT: u16 = 404;

/// The time that a repeated message needs to the phone that asked for it. The engine 0.7.0 ignores a second
/// request for a message while it still ends the work for the first, a moment after it has sent the
/// repetition; on the real network, the way to the phone and back takes longer than that moment.
const REPETITION_LATENCY: Duration = Duration::from_millis(250);

/// A message of a device, for the members of one chat.
struct SentMessage<'a> {
    id: String,
    to: Address,
    /// The number of the account that the message is for.
    recipient: String,
    /// The number of the partner of the chat from the sender's point of view.
    partner: String,
    copies: Vec<(Address, &'a NodeRef<'a>)>,
    /// Whether the message repeats an earlier one for one device that could not decrypt its copy.
    retry: bool,
    /// Whether the message only serves the devices of the account and belongs to no chat.
    internal: bool,
    /// Whether the ciphertexts for the recipient are made unreadable.
    garbled: bool,
    node: &'a NodeRef<'a>,
}

/// Handles a message of a device.
pub(crate) fn on_message(
    network: &Arc<Network>,
    socket: &Socket,
    login: &LoggedInDevice,
    node: &NodeRef<'_>,
) {
    let mut state = network.state();
    let to = Address::parse(&attribute(node, "to"));
    let recipient = to.as_ref().and_then(|to| state.number_of(&to.user)).map(str::to_owned);
    let has_token = recipient
        .as_deref()
        .is_some_and(|to| tokens::has_valid_token(&state, &login.number, to, node));
    let subject = FaultSubject {
        from: &login.number,
        device: login.device,
        to: recipient.as_deref(),
        has_token,
    };
    let fault = network.faults.take_for_stanza(&FaultTarget::Message, &subject);
    match fault {
        Some(Fault::Swallow) => return,
        Some(Fault::Refuse(code)) => return socket.send(stanza::nack(node, code)),
        _ => {}
    }
    let mut phones = BTreeSet::new();
    let mut is_repetition = false;
    let routed = match (to, recipient) {
        (Some(to), Some(recipient)) => {
            SentMessage::read(&state, login, (to, recipient), node).map(|message| {
                let message = SentMessage { garbled: fault == Some(Fault::Garble), ..message };
                is_repetition = message.retry;
                message.route(network, &mut state, login, &mut phones);
            })
        }
        (Some(_), None) => Err(NO_RECIPIENT),
        // Groups and broadcast lists have no members here.
        (None, _) => Ok(()),
    };
    let answer = match routed {
        Ok(()) => stanza::acknowledgement(node),
        Err(code) => stanza::nack(node, code),
    };
    state.journal.flush();
    answer_with(socket, fault, answer);
    if !is_repetition {
        hand_to_phones(network, &mut state, &phones);
    }
    replay::compact(&mut state);
    drop(state);
    network.messages_changed();
    if is_repetition {
        let network = network.clone();
        tokio::spawn(async move {
            tokio::time::sleep(REPETITION_LATENCY).await;
            hand_to_phones(&network, &mut network.state(), &phones);
            network.messages_changed();
        });
    }
}

fn hand_to_phones(network: &Network, state: &mut NetworkState, phones: &BTreeSet<String>) {
    for phone in phones {
        let requests = inbox::receive(network, state, phone);
        placeholder::answer(network, state, phone, requests);
    }
}

/// Sends the acknowledgement, unless it is lost or late.
pub(crate) fn answer_with(socket: &Socket, fault: Option<Fault>, answer: Node) {
    match fault {
        Some(Fault::LoseAnswer) => {}
        Some(Fault::Delay(pause)) => {
            let socket = socket.clone();
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                socket.send(answer);
            });
        }
        _ => socket.send(answer),
    }
}

impl<'a> SentMessage<'a> {
    /// Parses a message; an error code if its addresses are not acceptable.
    fn read(
        state: &NetworkState,
        login: &LoggedInDevice,
        (to, recipient): (Address, String),
        node: &'a NodeRef<'a>,
    ) -> Result<Self, u16> {
        let internal = attribute(node, "category") == "peer";
        let (copies, retry) = if let Some(list) = node.get_optional_child("participants") {
            (copies(list), false)
        } else {
            let enc = node.get_optional_child("enc");
            let retry = enc.is_some_and(|enc| enc.get_attr("count").is_some());
            (enc.map(|enc| (to.clone(), enc)).into_iter().collect(), retry)
        };
        let mixed = copies.iter().any(|(address, _)| address.addressing != to.addressing);
        let migrated = state.accounts.get(&login.number).is_some_and(|a| a.settings.lid_migrated);
        let early = to.addressing == Addressing::Lid && !migrated && !retry && !internal;
        if mixed || early {
            return Err(BAD_ADDRESSING);
        }
        let named = attribute(node, "recipient");
        let partner = match Address::parse(&named).and_then(|a| state.number_of(&a.user)) {
            Some(partner) => partner.to_owned(),
            None => recipient.clone(),
        };
        let (id, garbled) = (attribute(node, "id"), false);
        Ok(Self { id, to, recipient, partner, copies, retry, internal, garbled, node })
    }

    /// Delivers the message. Adds the phones that must receive to `phones`.
    ///
    /// A repetition is delivered only to a phone that could not decrypt the message: Baileys answers
    /// the retry receipt of a phone with the whole message again.
    fn route(
        &self,
        network: &Network,
        state: &mut NetworkState,
        login: &LoggedInDevice,
        phones: &mut BTreeSet<String>,
    ) {
        let is_first = self.retry
            || self.internal
            || outbox::admit(state, &login.number, &self.recipient, &self.id);
        let Ok(partner) = state.account(&self.partner).map(|account| ChatPartner::of(account))
        else {
            return;
        };
        let timestamp = clock::seconds();
        for (address, enc) in &self.copies {
            let Some(owner) = state.number_of(&address.user).map(str::to_owned) else { continue };
            if owner != login.number && owner != self.recipient
                || (owner == login.number && address.device == login.device)
            {
                continue;
            }
            // A repeated message goes only to a phone that could not read it.
            let is_wanted = address.device == 0 && is_unreadable(state, &owner, login, &self.id);
            if !is_first && !is_wanted {
                continue;
            }
            if address.device == 0 {
                let parcel = self.parcel(login, &owner, &partner, timestamp, enc);
                inbox::enqueue(state, &owner, parcel);
                phones.insert(owner);
            } else if let Some(stanza) = self.stanza(state, login, &owner, &partner, timestamp, enc)
            {
                let queued = stanzas::queued(StanzaClass::Message, &login.number, stanza);
                delivery::enqueue(network, state, (&owner, address.device), queued);
            }
        }
    }

    fn parcel(
        &self,
        login: &LoggedInDevice,
        owner: &str,
        partner: &ChatPartner,
        timestamp: u64,
        enc: &NodeRef<'_>,
    ) -> Parcel {
        let own = owner == login.number;
        let edit = attribute(self.node, "edit");
        Parcel {
            seq: 0,
            id: self.id.clone(),
            from: login.number.clone(),
            device: login.device,
            addressing: self.to.addressing,
            chat: if own { partner.number.clone() } else { login.number.clone() },
            chat_jid: partner.jid(self.to.addressing),
            internal: self.internal,
            timestamp,
            edit: (!edit.is_empty()).then_some(edit),
            body: ParcelBody::Sealed(attribute(enc, "type"), Base64Text(self.ciphertext(enc, own))),
        }
    }

    fn ciphertext(&self, enc: &NodeRef<'_>, own: bool) -> Vec<u8> {
        let mut bytes = content(enc).unwrap_or_default();
        if self.garbled && !own {
            signal::garble(&attribute(enc, "type"), &mut bytes);
        }
        bytes
    }

    /// Builds the stanza with one copy, in the words of the sender.
    fn stanza(
        &self,
        state: &mut NetworkState,
        login: &LoggedInDevice,
        owner: &str,
        partner: &ChatPartner,
        timestamp: u64,
        enc: &NodeRef<'_>,
    ) -> Option<Node> {
        let account = state.account(&login.number).ok()?;
        let addressing = self.to.addressing;
        let sender = StanzaSender { account, device: login.device, addressing };
        let (kind, edit) = (attribute(self.node, "type"), attribute(self.node, "edit"));
        let head = MessageHead {
            id: &self.id,
            timestamp,
            kind: &kind,
            edit: (!edit.is_empty()).then_some(edit.as_str()),
        };
        let stanza = if owner != login.number {
            sender.message(&head)
        } else if self.internal {
            sender.own_copy(&head, partner).attr("category", "peer")
        } else {
            sender.own_copy(&head, partner)
        };
        let mut sealed = enc.to_owned();
        sealed.content = Some(NodeContent::Bytes(self.ciphertext(enc, owner == login.number)));
        let mut children = vec![sealed];
        for tag in ["device-identity", "meta", "reporting"] {
            children.extend(self.node.get_optional_child(tag).map(NodeRef::to_owned));
        }
        Some(stanza.children(children).build())
    }
}

/// Returns whether the phone of `owner` shows the message as unreadable.
fn is_unreadable(state: &NetworkState, owner: &str, login: &LoggedInDevice, id: &str) -> bool {
    let unreadable = |message: &ChatMessage| {
        !message.readable && message.from == login.number && message.from_device == login.device
    };
    let phone = state.accounts.get(owner);
    phone.is_some_and(|phone| phone.conversations.with_id(id).any(unreadable))
}

/// Returns the copies of a message with the addresses of their devices.
fn copies<'a>(list: &'a NodeRef<'a>) -> Vec<(Address, &'a NodeRef<'a>)> {
    let entry = |copy: &'a NodeRef<'a>| {
        let address = Address::parse(&attribute(copy, "jid"))?;
        Some((address, copy.get_optional_child("enc")?))
    };
    list.children().unwrap_or_default().iter().filter_map(entry).collect()
}
