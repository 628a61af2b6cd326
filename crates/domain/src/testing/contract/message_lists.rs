//! Suite of [`MessageStore`](crate::ports::MessageStore): lists of chats and messages, and their
//! isolation.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    chat::service::ChatQuery,
    error::Error,
    message::{
        kind::MessageDirection,
        list::{ChatFilter, MessageFilter},
        service::{MessageNarrowing, MessageQuery, ShownMessage},
        state::MessageStatus,
    },
    ports::{environment::Environment as _, store::position::Position},
    testing::{
        environment::TestEnvironment,
        messaging_fixture::{MessagingFixture, MessagingTestStore, alone, phone},
    },
};

const PARTNER: &str = "15551230001";

fn query(filter: MessageFilter, limit: u32) -> MessageQuery {
    MessageQuery { filter, after: None, limit }
}

async fn all_pages<S: MessagingTestStore>(
    fixture: &MessagingFixture<S>,
    chat: Option<&str>,
    filter: MessageFilter,
) -> Vec<ShownMessage> {
    let (mut query, mut all) = (query(filter, 7), Vec::new());
    let session = fixture.id().as_str();
    loop {
        let page = match chat {
            Some(chat) => {
                fixture.messages.list_of_chat(&fixture.caller, session, chat, &query).await
            }
            None => fixture.messages.list(&fixture.caller, session, &query).await,
        };
        let page = page.expect("a page");
        let full = page.len() == 7;
        assert!(page.len() <= 7);
        all.extend(page);
        let Some(last) = all.last().filter(|_| full) else { return all };
        query.after = Some(Position { created_at: last.message.at, id: last.message.id });
    }
}

/// Pages contain each message once, newest first by time and number, also when many messages have
/// one time; conditions narrow them.
pub async fn message_pages_cover_every_message_once(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let start = fixture.environment.now();
    let mut facts = Vec::new();
    for n in 0..50 {
        let chat = alone(phone(if n % 3 == 0 { "15551230002" } else { PARTNER }));
        let (id, body) = (format!("M{n}"), format!("text {n}"));
        facts.push(match n % 2 {
            0 => fixture.text(chat, &id, &body),
            _ => fixture.own_text(chat, &id, &body),
        });
        if n % 10 == 9 {
            fixture.deliver_facts(facts.drain(..)).await;
            fixture.environment.advance(Duration::from_secs(1));
        }
    }
    let all = all_pages(&fixture, None, MessageFilter::default()).await;
    let keys: Vec<_> = all.iter().map(|it| (it.message.at, it.message.id)).collect();
    assert!(keys.is_sorted_by(|a, b| a > b));
    let ids: BTreeSet<_> = all.iter().map(|it| it.message.wa_id.as_str().to_owned()).collect();
    assert_eq!((all.len(), ids.len()), (50, 50));
    for shown in &all {
        let n = shown.message.wa_id.as_str().trim_start_matches('M');
        assert_eq!(shown.message.body(), Some(&*format!("text {n}")));
        let address = shown.chat.as_ref().and_then(|chat| chat.phone.clone());
        let partner =
            if n.parse::<u32>().expect("a number") % 3 == 0 { "15551230002" } else { PARTNER };
        assert_eq!(address, Some(phone(partner)));
    }
    let of_chat = all_pages(&fixture, Some(PARTNER), MessageFilter::default()).await;
    assert_eq!(of_chat.len(), 33);
    assert!(of_chat.iter().all(|it| it.message.chat == of_chat[0].message.chat));
    let second = start.plus(Duration::from_secs(1));
    let third = start.plus(Duration::from_secs(2));
    let inbound = MessageFilter {
        direction: Some(MessageDirection::In),
        since: Some(second),
        until: Some(third),
        ..MessageFilter::default()
    };
    let ids = |shown: &[ShownMessage]| {
        shown.iter().map(|it| it.message.wa_id.as_str().to_owned()).collect::<Vec<_>>()
    };
    let found = all_pages(&fixture, None, inbound.clone()).await;
    assert_eq!(ids(&found), ["M18", "M16", "M14", "M12", "M10"]);
    let found = all_pages(&fixture, Some(PARTNER), inbound).await;
    assert_eq!(ids(&found), ["M16", "M14", "M10"]);
    let sent = MessageFilter { status: Some(MessageStatus::Sent), ..MessageFilter::default() };
    assert_eq!(all_pages(&fixture, None, sent).await.len(), 25);
    for none in [
        MessageFilter { status: Some(MessageStatus::Queued), ..MessageFilter::default() },
        MessageFilter { status: Some(MessageStatus::Failed), ..MessageFilter::default() },
        MessageFilter { reference: Some("invoice".to_owned()), ..MessageFilter::default() },
    ] {
        assert_eq!(all_pages(&fixture, None, none).await, []);
    }
}

/// Chats are listed by their last activity, each once, while messages arrive.
pub async fn chat_pages_follow_activity(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let text = |n: u32, m: u32| {
        let chat = alone(phone(&format!("15551231{n:03}")));
        fixture.text(chat, &format!("C{n}-{m}"), "text")
    };
    for n in 0..20 {
        fixture.deliver_facts([text(n, 0)]).await;
        fixture.environment.advance(Duration::from_millis(u64::from(n % 4 != 0)));
    }
    let page = async |after: Option<Position<crate::chat::model::ChatId>>, filter| {
        let query = ChatQuery { account: None, filter, after, limit: 6 };
        let listed = fixture.chats.list(&fixture.caller, fixture.id().as_str(), &query).await;
        listed.expect("a page")
    };
    let first = page(None, ChatFilter::default()).await;
    let numbers = |shown: &[crate::chat::service::ShownChat]| {
        shown.iter().map(|it| it.chat.id.0).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&first), [20, 19, 18, 17, 16, 15]);
    // A chat that becomes active moves to the start, and no other chat is skipped or repeated.
    fixture.environment.advance(Duration::from_secs(1));
    fixture.deliver_facts([text(2, 1)]).await;
    let position = |shown: &crate::chat::service::ShownChat| {
        Some(Position { created_at: shown.chat.last_at, id: shown.chat.id })
    };
    let second = page(position(&first[5]), ChatFilter::default()).await;
    assert_eq!(numbers(&second), [14, 13, 12, 11, 10, 9]);
    let start = page(None, ChatFilter::default()).await;
    assert_eq!(numbers(&start)[..2], [3, 20]);
    assert_eq!(start[0].last_message.as_ref().map(|last| last.wa_id.as_str()), Some("C2-1"));
    assert_eq!((start[0].chat.unread, start[1].chat.unread), (2, 1));
    let unread = ChatFilter { unread: Some(true) };
    assert_eq!(numbers(&page(None, unread).await).len(), 6);
    let read = ChatFilter { unread: Some(false) };
    assert_eq!(numbers(&page(None, read).await), Vec::<u64>::new());
    let query = ChatQuery {
        account: Some("15559999999".to_owned()),
        filter: ChatFilter::default(),
        after: None,
        limit: 6,
    };
    let other = fixture.chats.list(&fixture.caller, fixture.id().as_str(), &query).await;
    assert_eq!(other.expect("a page"), [], "chats of another account");
}

/// Chats and messages of a session are not found for a caller of another organization, for a caller
/// that reaches another session, and without the capability.
pub async fn messages_are_visible_within_scope_only(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store.clone(), environment.clone()).await;
    fixture.deliver_facts([fixture.text(alone(phone(PARTNER)), "A1", "secret")]).await;
    let other = MessagingFixture::new(store, environment).await;
    other.deliver_facts([other.text(alone(phone(PARTNER)), "B1", "own")]).await;
    let session = fixture.id().as_str();
    let chat_query =
        ChatQuery { account: None, filter: ChatFilter::default(), after: None, limit: 9 };
    let message_query = query(MessageFilter::default(), 9);
    let narrowing = MessageNarrowing::default();
    let mut callers = fixture.callers_without_access().to_vec();
    callers.push(other.caller.clone());
    for caller in &callers {
        let (chats, messages) = (&fixture.chats, &fixture.messages);
        let answers = [
            chats.list(caller, session, &chat_query).await.err(),
            chats.view(caller, session, PARTNER).await.err(),
            messages.list(caller, session, &message_query).await.err(),
            messages.list_of_chat(caller, session, PARTNER, &message_query).await.err(),
            messages.view(caller, session, "A1", &narrowing).await.err(),
        ];
        for answer in answers {
            assert!(matches!(answer, Some(Error::NotFound { noun: "session" })), "{answer:?}");
        }
        // The statements themselves are within the scope.
        let scope = caller.may(crate::caller::Capability::Read).expect("may read");
        let id = fixture.id();
        let store = &fixture.store;
        assert_eq!(store.session_messaging(&scope, id).await.expect("an answer"), None);
        let first = crate::chat::model::ChatId(1);
        assert_eq!(store.chats_by_id(&scope, id, &[first]).await.expect("an answer"), []);
        let name = crate::messaging::state::ChatNameText::from(&phone(PARTNER));
        let account = crate::testing::messaging_fixture::ACCOUNT;
        let named = store.chat_by_name(&scope, id, account, &name).await.expect("an answer");
        assert_eq!(named, None);
        let number = crate::message::message_id::MessageId(1);
        assert_eq!(store.messages_by_id(&scope, id, &[number]).await.expect("an answer"), []);
        let wa_id = crate::id::WaMessageId::cleaned("A1");
        assert_eq!(store.messages_by_wa_id(&scope, id, &wa_id).await.expect("an answer"), []);
    }
    let mut manager = fixture.caller.clone();
    manager.capabilities = [crate::caller::Capability::Manage].into_iter().collect();
    let refused = fixture.chats.list(&manager, session, &chat_query).await;
    assert!(matches!(refused, Err(Error::Forbidden)));
    // The own chat and message of the same numbers are those of the own session.
    let shown = other.messages.view(&other.caller, other.id().as_str(), "B1", &narrowing).await;
    assert_eq!(shown.expect("a message").message.body(), Some("own"));
    let missing = other.messages.view(&other.caller, other.id().as_str(), "A1", &narrowing).await;
    assert!(matches!(missing, Err(Error::NotFound { noun: "message" })));
}
