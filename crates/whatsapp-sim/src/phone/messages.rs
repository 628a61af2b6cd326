//! The messages of a phone: written, received, read, and typed by its owner.

use crate::account::Observation;
use crate::clock;
use crate::error::PhoneError;
use crate::messaging::conversation::ChatMessage;
use crate::messaging::delivery;
use crate::messaging::outbox::{self, OutgoingMessage};
use crate::messaging::presence::{self, Typing};
use crate::messaging::queue::StanzaClass;
use crate::messaging::receipts::ReceiptKind;
use crate::messaging::stanzas;
use crate::messaging::tokens;
use crate::phone::Phone;
use std::time::Duration;
use wacore_binary::Node;

impl Phone {
    /// Writes a message to a contact: a number or an address. The message goes to the contact's
    /// phone and devices, and to the own devices.
    ///
    /// # Errors
    /// Fails when nobody has the address, and when this phone has no connection.
    pub fn send(&self, to: &str, message: &OutgoingMessage) -> Result<ChatMessage, PhoneError> {
        let mut state = self.network.state();
        let sent = outbox::send(&self.network, &mut state, &self.number, to, message);
        drop(state);
        self.network.messages_changed();
        sent
    }

    /// Sends a text to a device of this phone, as a note to oneself without a recipient. The text
    /// is queued while the device is not connected.
    ///
    /// # Errors
    /// Fails when the phone has no such device.
    pub fn send_text(&self, id: u32, text: &str) -> Result<(), PhoneError> {
        let mut state = self.network.state();
        outbox::send_note(&self.network, &mut state, &self.number, id, text)
    }

    /// Queues a stanza for a device of this phone as it is.
    ///
    /// # Errors
    /// Fails when the phone has no such device, and when the stanza is not a message, a receipt or
    /// a notification.
    pub fn send_stanza(&self, id: u32, stanza: Node) -> Result<(), PhoneError> {
        let class = StanzaClass::of(&stanza.tag).ok_or_else(|| {
            PhoneError::BadStanza("the tag must be message, receipt or notification".into())
        })?;
        let mut state = self.network.state();
        state.device(&self.number, id)?;
        let from = stanza.attrs.get("from").map(|from| from.as_str().into_owned());
        let user = from.as_deref().map(crate::address::user).unwrap_or_default();
        let peer = state.number_of(user).unwrap_or_default().to_owned();
        let queued = stanzas::queued(class, &peer, stanza);
        delivery::enqueue(&self.network, &mut state, (&self.number, id), queued);
        Ok(())
    }

    /// Returns the messages that the phone shows after a position, in the order of their arrival;
    /// all for `None`. Messages with the same id are all shown.
    pub fn messages(&self, after: Option<u64>) -> Vec<ChatMessage> {
        let mut state = self.network.state();
        let account = state.account(&self.number);
        account.map(|a| a.conversations.after(after).cloned().collect()).unwrap_or_default()
    }

    /// Returns the messages with this id.
    pub fn messages_with_id(&self, id: &str) -> Vec<ChatMessage> {
        let mut state = self.network.state();
        let account = state.account(&self.number);
        account.map(|a| a.conversations.with_id(id).cloned().collect()).unwrap_or_default()
    }

    /// Returns the texts that this phone did not write itself, oldest first.
    pub fn texts(&self) -> Vec<String> {
        let written = |message: &ChatMessage| message.from_me && message.from_device == 0;
        let others = self.messages(None).into_iter().filter(|message| !written(message));
        others.filter_map(|message| message.text).collect()
    }

    /// Marks a received message as read. Returns the number of messages with this id.
    ///
    /// # Errors
    /// Fails when the phone shows no such message, and when the phone has no connection.
    pub fn read(&self, id: &str) -> Result<usize, PhoneError> {
        self.mark(id, ReceiptKind::Read)
    }

    /// Marks a received voice message as played. Returns the number of messages with this id.
    ///
    /// # Errors
    /// Fails like [`read`](Self::read).
    pub fn play(&self, id: &str) -> Result<usize, PhoneError> {
        self.mark(id, ReceiptKind::Played)
    }

    fn mark(&self, id: &str, kind: ReceiptKind) -> Result<usize, PhoneError> {
        let mut state = self.network.state();
        let marked = outbox::mark(&self.network, &mut state, &self.number, id, kind);
        drop(state);
        self.network.messages_changed();
        marked
    }

    /// Shows the devices of a contact what the owner of this phone does in the chat.
    ///
    /// # Errors
    /// Fails when nobody has the address.
    pub fn type_to(&self, to: &str, typing: Typing) -> Result<(), PhoneError> {
        let mut state = self.network.state();
        let to = state.contact(to)?;
        let addressing = state.account(&self.number)?.addressing();
        presence::type_to(&self.network, &mut state, (&self.number, 0), (&to, addressing), typing);
        drop(state);
        self.network.messages_changed();
        Ok(())
    }

    /// Tells subscribers that the owner of this phone came or went.
    pub fn announce(&self, available: bool) {
        let mut state = self.network.state();
        presence::announce(&self.network, &mut state, (&self.number, 0), available);
        drop(state);
        self.network.messages_changed();
    }

    /// Returns what the phone shows of the presence and the typing of others, and of its own
    /// devices, oldest first.
    pub fn observations(&self) -> Vec<Observation> {
        let mut state = self.network.state();
        let observations = state.account(&self.number).map(|account| account.observations.clone());
        observations.map(Vec::from).unwrap_or_default()
    }

    /// Gives a privacy token to a contact, whose devices are notified.
    ///
    /// # Errors
    /// Fails when nobody has the address.
    pub fn trust(&self, to: &str) -> Result<(), PhoneError> {
        let mut state = self.network.state();
        let to = state.contact(to)?;
        tokens::issue(&self.network, &mut state, &self.number, &to, clock::seconds());
        drop(state);
        self.network.changed();
        Ok(())
    }

    /// Waits up to `limit` until the phone shows a message that fits, and returns the message.
    pub async fn wait_message(
        &self,
        limit: Duration,
        fits: impl Fn(&ChatMessage) -> bool,
    ) -> Option<ChatMessage> {
        let first = || self.messages(None).into_iter().find(|message| fits(message));
        self.network.wait_for(limit, || first().is_some()).await;
        first()
    }
}
