//! Receivers of messages: the chat that a caller names, or the account that WhatsApp has for digits.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    access::Scope,
    chat::{
        model::{Chat, ChatId},
        service::known_chat,
    },
    error::{Error, Result},
    message::{
        address::ChatAddress,
        reference::ChatReference,
        state::{FailureReason, MessageFailure},
    },
    messaging::{
        draft::Draft,
        journal::AddressPair,
        state::{ChatName, ChatNameText, SessionMessaging},
    },
    outbox::{live::LiveSession, message_field::MessageField, sent::SendMode, service::Outbox},
    ports::messaging_control::ContactCheck,
    time::Timestamp,
    violation::{FieldPath, Violation},
};

/// Time for which WhatsApp's answer that digits have an account counts.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The same for the answer that digits have no account.
const UNKNOWN_FOR: Duration = Duration::from_secs(60 * 60);

/// The receiver of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    /// The known addresses. `None` for digits that WhatsApp has not confirmed yet.
    addresses: Option<AddressPair>,
    /// Digits as the caller wrote them, and the time at which WhatsApp confirmed them now.
    digits: Option<(String, Option<Timestamp>)>,
}

/// WhatsApp's answer to digits, as it is stored.
enum KnownDigits {
    /// The digits have an account.
    Account,
    /// The digits have no account.
    NoAccount,
    /// The digits were not asked for, or too long ago.
    Unknown,
}

impl Recipient {
    fn of_addresses(used: ChatAddress, other: Option<ChatAddress>) -> Self {
        Self { addresses: Some(AddressPair { used, other }), digits: None }
    }

    fn unconfirmed(digits: &str) -> Self {
        Self { addresses: None, digits: Some((digits.to_owned(), None)) }
    }

    /// Returns the names whose chats a decision needs.
    pub(crate) fn names(&self) -> BTreeSet<ChatNameText> {
        let addresses = self.addresses.iter().flat_map(AddressPair::iter).map(ChatNameText::from);
        let digits = self.digits.iter().map(|(digits, _)| ChatNameText::Digits(digits.clone()));
        addresses.chain(digits).collect()
    }

    /// Returns the chat of the receiver in a draft, which is created if necessary.
    pub(crate) fn chat(&self, draft: &mut Draft<'_>) -> ChatId {
        let chat = match &self.addresses {
            Some(addresses) => draft.resolve(addresses),
            None => self.unaddressed_chat(draft),
        };
        if let Some((digits, checked_at)) = &self.digits {
            draft.name_digits(digits, Some(chat), *checked_at);
        }
        chat
    }

    fn unaddressed_chat(&self, draft: &mut Draft<'_>) -> ChatId {
        let digits = self.digits.as_ref().map_or("", |(digits, _)| digits);
        draft.chat_of_digits(digits).unwrap_or_else(|| draft.add_chat())
    }
}

impl Outbox {
    /// Returns the receiver that a caller names. `live` is the connected session, which WhatsApp is
    /// asked over; without it, digits stay unconfirmed until the message leaves.
    ///
    /// # Errors
    /// [`Error::Validation`] for a chat that does not exist or is a group, [`Error::Undeliverable`] for
    /// digits without an account, and errors of the store and of the node.
    pub(crate) async fn recipient(
        &self,
        scope: &Scope,
        row: &SessionMessaging,
        to: &ChatReference,
        live: Option<&LiveSession>,
        mode: SendMode,
    ) -> Result<Recipient> {
        let known = known_chat(&*self.ports.messages, scope, row, to).await?;
        let digits = match to {
            ChatReference::Id(_) => {
                return known.as_ref().ok_or_else(no_such_chat).and_then(of_chat);
            }
            ChatReference::Digits(digits) | ChatReference::Address(ChatAddress::Phone(digits)) => {
                digits
            }
            ChatReference::Address(address) => {
                return match &known {
                    Some(chat) => of_chat(chat),
                    None => Ok(Recipient::of_addresses(address.clone(), None)),
                };
            }
        };
        // An address that WhatsApp itself used needs no question.
        if let Some(chat) = known.as_ref().filter(|chat| has_phone(chat, digits)) {
            return of_chat(chat);
        }
        match self.known_digits(scope, row, digits).await? {
            KnownDigits::Account => {
                if let Some(chat) = known.as_ref().filter(|chat| chat.address().is_some()) {
                    return of_chat(chat);
                }
            }
            KnownDigits::NoAccount => return Err(not_on_whatsapp()),
            KnownDigits::Unknown => {}
        }
        let Some(live) = live else { return Ok(Recipient::unconfirmed(digits)) };
        let checked = match self.ask_whatsapp(live, digits).await {
            // The dispatch asks again.
            Err(Error::Unavailable { .. }) if mode == SendMode::Async => {
                return Ok(Recipient::unconfirmed(digits));
            }
            checked => checked?,
        };
        let now = self.ports.environment.now();
        let Some(addresses) = confirmed(&checked) else {
            self.remember_no_account(row, digits, now).await?;
            return Err(not_on_whatsapp());
        };
        let digits = Some((digits.clone(), Some(now)));
        Ok(Recipient { addresses: Some(addresses), digits })
    }

    async fn known_digits(
        &self,
        scope: &Scope,
        row: &SessionMessaging,
        digits: &str,
    ) -> Result<KnownDigits> {
        let account = row.account.as_deref().unwrap_or_default();
        let name = ChatNameText::Digits(digits.to_owned());
        let known = self.ports.outbox.chat_name(scope, &row.session, account, &name).await?;
        let now = self.ports.environment.now();
        let is_fresh = |at: Option<Timestamp>, length| at.is_some_and(|at| at.plus(length) > now);
        Ok(match known {
            Some(ChatName { chat: Some(_), checked_at, .. }) if is_fresh(checked_at, KNOWN_FOR) => {
                KnownDigits::Account
            }
            Some(ChatName { chat: None, checked_at, .. }) if is_fresh(checked_at, UNKNOWN_FOR) => {
                KnownDigits::NoAccount
            }
            _ => KnownDigits::Unknown,
        })
    }
}

/// Returns the addresses of an account that WhatsApp named.
pub(crate) fn confirmed(checked: &ContactCheck) -> Option<AddressPair> {
    let address = |text: &Option<String>| text.as_deref().and_then(ChatAddress::parse);
    let (jid, lid) = (address(&checked.jid), address(&checked.lid));
    let used = jid.clone().or_else(|| lid.clone()).filter(|_| checked.registered)?;
    let other = lid.filter(|lid| *lid != used);
    Some(AddressPair { used, other })
}

/// Returns the failure of digits without an account.
pub(crate) fn not_on_whatsapp() -> Error {
    Error::Undeliverable(MessageFailure::of(FailureReason::NotOnWhatsapp))
}

fn has_phone(chat: &Chat, digits: &str) -> bool {
    chat.phone.as_ref().and_then(ChatAddress::phone) == Some(digits)
}

fn of_chat(chat: &Chat) -> Result<Recipient> {
    if chat.group.is_some() {
        return Err(invalid("groups cannot be addressed"));
    }
    let used = chat.phone.clone().or_else(|| chat.lid.clone()).ok_or_else(no_such_chat)?;
    let other = chat.lid.clone().filter(|lid| *lid != used);
    Ok(Recipient::of_addresses(used, other))
}

fn no_such_chat() -> Error {
    invalid("no such chat")
}

fn invalid(reason: &str) -> Error {
    Error::Validation(vec![Violation::new(FieldPath::Message(MessageField::To), reason)])
}
