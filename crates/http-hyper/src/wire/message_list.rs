//! The requested pages of the lists of messages and chats, with their filters.

use domain::{
    ChatFilter, ChatId, ChatQuery, MAX_MESSAGE_REFERENCE, MessageDirection, MessageFilter,
    MessageId, MessageNarrowing, MessageQuery, MessageStatus, ShownChat, ShownMessage,
    ports::Position,
};

use super::{chat::ChatView, list::ListView, message::MessageView};
use crate::request::{
    cursor::{CursorPosition, ListIdentity},
    page::Page,
    query::Query,
};

/// The requested page of messages.
#[derive(Clone, Debug)]
pub struct MessagePageSpec {
    filter: MessageFilter,
    page: Page,
}

impl MessagePageSpec {
    /// Returns an example of the query.
    pub fn sample() -> &'static str {
        "direction=in&limit=20"
    }

    /// Reads the query of the messages of one chat.
    pub(crate) fn read_of_chat(query: &mut Query, list: ListIdentity) -> Self {
        let filter = MessageFilter {
            direction: direction(query),
            since: query.timestamp("since"),
            until: query.timestamp("until"),
            ..MessageFilter::default()
        };
        Self::new(query, list, filter)
    }

    /// Reads the query of the messages of all chats.
    pub(crate) fn read_of_session(query: &mut Query, list: ListIdentity) -> Self {
        let filter = MessageFilter {
            direction: direction(query),
            since: query.timestamp("since"),
            until: query.timestamp("until"),
            status: query.choice(
                "status",
                MessageStatus::parse,
                &MessageStatus::ALL.map(MessageStatus::as_str),
            ),
            reference: reference(query),
            ..MessageFilter::default()
        };
        Self::new(query, list, filter)
    }

    fn new(query: &mut Query, list: ListIdentity, filter: MessageFilter) -> Self {
        let conditions = [
            ("direction", filter.direction.map(|it| it.as_str().to_owned())),
            ("since", filter.since.map(|at| at.millis().to_string())),
            ("until", filter.until.map(|at| at.millis().to_string())),
            ("status", filter.status.map(|it| it.as_str().to_owned())),
            ("reference", filter.reference.clone()),
        ];
        let list = with_filters(list, conditions);
        Self { filter, page: Page::read(query, list) }
    }

    /// Returns the query to the messages.
    pub(crate) fn spec(&self) -> MessageQuery {
        MessageQuery {
            filter: self.filter.clone(),
            after: position(&self.page, MessageId),
            limit: self.page.with_one_more(),
        }
    }

    /// Returns the page of the messages that were found.
    pub(crate) fn show<'a>(
        &self,
        session: &'a str,
        shown: &'a [ShownMessage],
    ) -> ListView<MessageView<'a>> {
        let position = |shown: &&ShownMessage| CursorPosition {
            created_at: shown.message.at,
            bits: shown.message.id.0.into(),
        };
        let (data, next_cursor) = self.page.paginate(shown.iter().collect(), position);
        let data = data.into_iter().map(|shown| MessageView::of(session, shown)).collect();
        ListView { data, next_cursor }
    }
}

/// The requested page of chats.
#[derive(Clone, Debug)]
pub struct ChatPageSpec {
    account: Option<String>,
    filter: ChatFilter,
    page: Page,
}

impl ChatPageSpec {
    /// Returns an example of the query.
    pub fn sample() -> &'static str {
        "unread=true&limit=20"
    }

    pub(crate) fn read(query: &mut Query, list: ListIdentity) -> Self {
        let (account, unread) = (account(query), query.flag("unread"));
        let conditions =
            [("account", account.clone()), ("unread", unread.map(|unread| unread.to_string()))];
        let list = with_filters(list, conditions);
        Self { account, filter: ChatFilter { unread }, page: Page::read(query, list) }
    }

    /// Returns the query to the chats.
    pub(crate) fn spec(&self) -> ChatQuery {
        ChatQuery {
            account: self.account.clone(),
            filter: self.filter.clone(),
            after: position(&self.page, ChatId),
            limit: self.page.with_one_more(),
        }
    }

    /// Returns the page of the chats that were found.
    pub(crate) fn show<'a>(
        &self,
        session: &'a str,
        shown: &'a [ShownChat],
    ) -> ListView<ChatView<'a>> {
        let position = |shown: &&ShownChat| CursorPosition {
            created_at: shown.chat.last_at,
            bits: shown.chat.id.0.into(),
        };
        let (data, next_cursor) = self.page.paginate(shown.iter().collect(), position);
        let data = data.into_iter().map(|shown| ChatView::of(session, shown)).collect();
        ListView { data, next_cursor }
    }
}

/// Reads the parameters that narrow the id of a message at WhatsApp.
pub(crate) fn narrowing(query: &mut Query) -> MessageNarrowing {
    MessageNarrowing { chat: query.text("chat"), sender: query.text("sender") }
}

fn with_filters<const N: usize>(
    list: ListIdentity,
    conditions: [(&str, Option<String>); N],
) -> ListIdentity {
    let given = conditions.into_iter().filter_map(|(name, value)| Some((name, value?)));
    given.fold(list, |list, (name, value)| list.with_filter(name, &value))
}

/// Returns the position after which the page begins. The number of an entry is in the lower bits.
fn position<I>(page: &Page, id: impl FnOnce(u64) -> I) -> Option<Position<I>> {
    let after = page.after?;
    let number = u64::try_from(after.bits).unwrap_or(u64::MAX);
    Some(Position { created_at: after.created_at, id: id(number) })
}

fn direction(query: &mut Query) -> Option<MessageDirection> {
    let known = MessageDirection::ALL.map(MessageDirection::as_str);
    query.choice("direction", MessageDirection::parse, &known)
}

fn reference(query: &mut Query) -> Option<String> {
    let reference = query.text("reference")?;
    if reference.is_empty() || reference.chars().count() > MAX_MESSAGE_REFERENCE {
        query.fault("reference", &format!("must have 1 to {MAX_MESSAGE_REFERENCE} characters"));
    }
    if reference.contains('\0') {
        query.fault("reference", "text cannot contain the character U+0000");
    }
    Some(reference)
}

fn account(query: &mut Query) -> Option<String> {
    let account = query.text("account")?;
    if account.is_empty() || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        query.fault("account", "must be digits alone, in international form without the plus");
    }
    Some(account)
}

#[cfg(test)]
mod tests {
    use domain::OrganizationId;

    use super::*;
    use crate::request::cursor::CursorSigner;

    const PARAMETERS: [&str; 9] = [
        "limit",
        "cursor",
        "direction",
        "since",
        "until",
        "status",
        "reference",
        "account",
        "unread",
    ];

    fn list() -> ListIdentity {
        CursorSigner::new(&[7; 32]).list("messages", OrganizationId::parse("acme").as_ref())
    }

    fn faults(text: &str, read: impl FnOnce(&mut Query)) -> Vec<String> {
        let mut query = Query::parse(text, &PARAMETERS);
        read(&mut query);
        query.finish().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn each_filter_names_its_fault() {
        let of_session = |text: &str| {
            faults(text, |query| drop(MessagePageSpec::read_of_session(query, list())))
        };
        let all = "direction=in&since=1&until=2&status=failed&reference=order-7&limit=3";
        assert_eq!(of_session(all), [""; 0]);
        for (text, field) in [
            ("direction=up", "direction"),
            ("since=-1", "since"),
            ("until=99999999999999999999", "until"),
            ("status=lost", "status"),
            ("reference=", "reference"),
            ("cursor=x", "cursor"),
        ] {
            assert_eq!(of_session(text), [field], "{text}");
        }
        let chats = |text: &str| faults(text, |query| drop(ChatPageSpec::read(query, list())));
        assert_eq!(chats(ChatPageSpec::sample()), [""; 0]);
        assert_eq!(chats("unread=1"), ["unread"]);
        assert_eq!(chats("account=%2B1555"), ["account"]);
    }
}
