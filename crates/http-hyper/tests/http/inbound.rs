//! Messages that arrive at sessions of acme, as the node delivers them.

use std::collections::BTreeSet;

use domain::{
    AddressPair, ChatAddress, GatewayId, InboundMessage, JournalDelivery, JournalFact, JournalItem,
    MessageDetails, MessageKind, MessageOrigin, MessageSource, Session, SessionId, Timestamp,
    WaMessageId, ports::Environment, testing::CANARY,
};

use crate::test_server::TestServer;

/// Phone number of the partner in tests with one partner.
pub(crate) const PARTNER: &str = "15551234567";

/// A received message.
pub(crate) struct Received {
    pub(crate) session: SessionId,
    /// The id of the message's chat.
    pub(crate) chat: String,
    pub(crate) wa_id: String,
}

/// Returns the address of a phone number.
pub(crate) fn phone(number: &str) -> ChatAddress {
    ChatAddress::Phone(number.to_owned())
}

/// Returns a text of a partner in a chat of two.
pub(crate) fn text(from: &ChatAddress, wa_id: &str, body: &str, at: Timestamp) -> InboundMessage {
    let pair = AddressPair { used: from.clone(), other: None };
    InboundMessage {
        origin: MessageOrigin {
            wa_id: WaMessageId::parse(wa_id).unwrap(),
            chat: pair.clone(),
            sender: Some(pair),
            sender_name: Some("Ada".to_owned()),
            source: MessageSource::Contact,
            sent_at: at,
        },
        kind: MessageKind::Text,
        details: MessageDetails { body: Some(body.to_owned()), ..MessageDetails::default() },
        content: None,
        forwarded: false,
        view_once: false,
        ephemeral_seconds: 0,
        offline: false,
    }
}

impl TestServer {
    /// Delivers facts as the next items of the journal of the only node.
    pub(crate) async fn deliver(&self, session: &SessionId, facts: Vec<JournalFact>) {
        let at = self.world.environment.now();
        let item = |fact| JournalItem { sequence: self.next_sequence(), at, fact };
        let items = facts.into_iter().map(item).collect();
        self.take(session, items).await;
    }

    /// Delivers items of the journal of the only node.
    pub(crate) async fn take(&self, session: &SessionId, items: Vec<JournalItem>) {
        let last = items.last().map(|item| item.sequence);
        let delivery = JournalDelivery { session: session.clone(), items };
        let node = GatewayId::parse("gw-test").unwrap();
        let taken = self.world.journals.take(&node, "journal", vec![delivery]).await.unwrap();
        assert_eq!(taken.gone, BTreeSet::new());
        assert_eq!(taken.through.get(session).copied(), last);
    }

    /// Delivers texts of one partner, one per millisecond; the bodies are the ids.
    pub(crate) async fn deliver_texts(&self, session: &SessionId, from: &str, wa_ids: &[String]) {
        for wa_ids in wa_ids.chunks(100) {
            let facts = wa_ids.iter().map(|wa_id| {
                let at = self.world.environment.now();
                self.world.environment.advance(std::time::Duration::from_millis(1));
                JournalFact::Message(Box::new(text(&phone(from), wa_id, wa_id, at)))
            });
            let facts = facts.collect();
            self.deliver(session, facts).await;
        }
    }

    /// Creates a linked session of acme that has received a message with canaries in all texts.
    pub(crate) async fn received(&self) -> Received {
        let session = self.linked().await;
        self.received_by(&session).await
    }

    /// Delivers a message with canaries in all texts.
    pub(crate) async fn received_by(&self, session: &Session) -> Received {
        let (wa_id, now) = ("3EB0C431C26A1916E07E", self.world.environment.now());
        let mut message = text(&phone(PARTNER), wa_id, &format!("{CANARY} text"), now);
        message.origin.sender_name = Some(format!("{CANARY} name"));
        self.deliver(&session.id, vec![JournalFact::Message(Box::new(message))]).await;
        Received { session: session.id.clone(), chat: "1".to_owned(), wa_id: wa_id.to_owned() }
    }
}
