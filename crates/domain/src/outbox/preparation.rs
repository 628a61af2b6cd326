//! Steps of a dispatch before its decision: WhatsApp confirms digits, and received messages become
//! read.

use std::collections::BTreeMap;

use crate::{
    caller::Actor,
    chat::model::{Chat, ChatId},
    commit::Decision,
    error::{Error, Result},
    message::{
        message_id::MessageId,
        model::MessageSender,
        state::{AckLevel, FailureReason, MessageFailure},
    },
    messaging::{
        draft::Draft,
        journal::AddressPair,
        state::{ChatNameText, MessageHeader, MessagingLookup, MessagingState},
    },
    outbox::{dispatch::Situation, recipient::confirmed, service::Outbox},
    ports::messaging_control::{ContactCheck, ReadMessages},
};

/// Maximum number of addresses of one question to WhatsApp.
const MAX_ASKED: usize = 50;
/// Maximum number of received messages that one dispatch marks as read.
const MAX_READ: u32 = 256;

impl Outbox {
    /// Asks WhatsApp for the accounts of chats without an address. Without an answer, their messages
    /// wait for the next dispatch.
    pub(super) async fn confirm_digits(&self, situation: &Situation) -> Result<()> {
        let unaddressed = &situation.plan.unaddressed;
        if unaddressed.is_empty() {
            return Ok(());
        }
        let state = &situation.waiting.state;
        let digits_of = |chat: &ChatId| (*chat, digits_of(state, *chat));
        let asked: Vec<_> = unaddressed.iter().map(digits_of).take(MAX_ASKED).collect();
        let known: Vec<_> = asked.iter().filter_map(|(_, digits)| digits.clone()).collect();
        let checks = match (&situation.node, known.is_empty()) {
            (_, true) => Vec::new(),
            (None, _) => return Ok(()),
            (Some(node), false) => {
                let session = &situation.waiting.session;
                let (control, epoch) = (&self.ports.control, session.spec.epoch);
                match control.check_contacts(node, &session.id, epoch, &known).await {
                    Ok(checks) => checks,
                    Err(_) => return Ok(()),
                }
            }
        };
        let answer = |digits: &Option<String>| {
            checks.iter().find(|check| Some(&check.asked) == digits.as_ref())
        };
        for (chat, digits) in &asked {
            let head =
                state.messages.iter().find(|header| header.chat == *chat && header.entry.is_some());
            match (digits, answer(digits)) {
                (Some(digits), Some(check)) => self.confirm(state, digits, check, head).await?,
                (Some(_), None) => {}
                // WhatsApp had no account for the digits of the messages before.
                (None, _) => self.confirm_none(state, head).await?,
            }
        }
        Ok(())
    }

    /// Stores WhatsApp's answer for digits: the chat gets its addresses, or the message fails.
    async fn confirm(
        &self,
        state: &MessagingState,
        digits: &str,
        check: &ContactCheck,
        head: Option<&MessageHeader>,
    ) -> Result<()> {
        let addresses = confirmed(check);
        let names = addresses.iter().flat_map(AddressPair::iter).map(ChatNameText::from);
        let lookup = MessagingLookup {
            session: state.row.session.clone(),
            names: names.chain([ChatNameText::Digits(digits.to_owned())]).collect(),
            wa_ids: head.iter().map(|header| header.wa_id.clone()).collect(),
        };
        let now = self.ports.environment.now();
        self.settle(&lookup, |draft| {
            let Some(addresses) = &addresses else {
                draft.name_digits(digits, None, Some(now));
                return fail_unknown(draft, head);
            };
            let chat = match draft.chat_of_digits(digits) {
                Some(chat) => draft.give_addresses(chat, addresses),
                None => draft.resolve(addresses),
            };
            draft.name_digits(digits, Some(chat), Some(now));
        })
        .await
    }

    async fn confirm_none(
        &self,
        state: &MessagingState,
        head: Option<&MessageHeader>,
    ) -> Result<()> {
        let lookup = MessagingLookup {
            session: state.row.session.clone(),
            names: [].into(),
            wa_ids: head.iter().map(|header| header.wa_id.clone()).collect(),
        };
        self.settle(&lookup, |draft| fail_unknown(draft, head)).await
    }

    /// Marks received messages as read, at WhatsApp and in the store.
    pub(super) async fn read_received(&self, situation: &Situation) -> Result<()> {
        let Some(node) = &situation.node else { return Ok(()) };
        let session = &situation.waiting.session;
        let Some(unread) = self.ports.outbox.unread_messages(&session.id, MAX_READ).await? else {
            return Ok(());
        };
        let mut read: BTreeMap<(ChatId, Option<String>), Vec<&MessageHeader>> = BTreeMap::new();
        for header in &unread.messages {
            read.entry((header.chat, author(header))).or_default().push(header);
        }
        let mut ids: Vec<MessageId> = Vec::new();
        for ((chat, author), headers) in read {
            let chat = unread.chats.iter().find(|known| known.id == chat);
            let Some(address) = chat.and_then(Chat::address) else { continue };
            let wa_ids = headers.iter().map(|header| header.wa_id.to_string()).collect();
            let receipt = ReadMessages { chat: address.to_string(), author, ids: wa_ids };
            let (control, epoch) = (&self.ports.control, session.spec.epoch);
            // The messages stay unread, and a later message tries again.
            if control.mark_read(node, &session.id, epoch, &receipt).await.is_err() {
                break;
            }
            ids.extend(headers.iter().map(|header| header.id));
        }
        if ids.is_empty() {
            return Ok(());
        }
        let lookup = MessagingLookup {
            session: session.id.clone(),
            names: [].into(),
            wa_ids: unread.messages.iter().map(|header| header.wa_id.clone()).collect(),
        };
        self.settle(&lookup, |draft| draft.read_all(&ids, AckLevel::Read)).await
    }

    /// Commits a change of a session. A deleted session has no messages.
    async fn settle(
        &self,
        lookup: &MessagingLookup,
        change: impl Fn(&mut Draft<'_>),
    ) -> Result<()> {
        let written = self.change(lookup, |state| {
            let mut draft = Draft::new(&state, &Actor::System, &*self.ports.environment);
            change(&mut draft);
            Ok(Decision::Write(draft.into_commit(), ()))
        });
        match written.await {
            Err(Error::NotFound { .. }) => Ok(()),
            written => written,
        }
    }
}

/// Returns the digits that a caller gave for a chat.
fn digits_of(state: &MessagingState, chat: ChatId) -> Option<String> {
    state.names.iter().find_map(|name| match &name.name {
        ChatNameText::Digits(digits) if name.chat == Some(chat) => Some(digits.clone()),
        ChatNameText::Digits(_) | ChatNameText::Address(_) => None,
    })
}

/// Fails a message whose receiver has no account.
fn fail_unknown(draft: &mut Draft<'_>, head: Option<&MessageHeader>) {
    if let Some(header) = head {
        draft.fail(header.id, MessageFailure::of(FailureReason::NotOnWhatsapp));
    }
}

/// Returns the address of a member of a group.
fn author(header: &MessageHeader) -> Option<String> {
    match &header.sender {
        MessageSender::Member(member) => Some(member.to_string()),
        MessageSender::Account | MessageSender::Partner => None,
    }
}
