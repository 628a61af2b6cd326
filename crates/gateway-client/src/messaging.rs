//! [`Client`]: the calls about messages as requests of the protocol.

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    Node, SessionId,
    ports::{
        ChatActivity, ContactCheck, GatewayError, HandOver, MessagingControl, NodeCancellation,
        OutboundMessages, ReadMessages,
    },
};
use gateway_protocol::{self as protocol, Answer, Question};
use hyper::Method;

use crate::{client::Client, http::body};

/// Maximum length of an outbox id in a path.
const MAX_OUTBOX: usize = 128;

impl Client {
    async fn ask(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        ask: Question,
    ) -> Result<Answer, GatewayError> {
        let body = body(&protocol::Ask { epoch, ask })?;
        let (path, deadline) = (format!("{session}:ask"), self.config.ask);
        self.request(node, Method::POST, &path, body, deadline).await?.json()
    }
}

#[async_trait]
impl MessagingControl for Client {
    async fn send(
        &self,
        node: &Node,
        session: &SessionId,
        messages: &OutboundMessages,
    ) -> Result<Vec<HandOver>, GatewayError> {
        let body = body(&protocol::SendMessages::from(messages))?;
        let (path, deadline) = (format!("{session}/messages"), self.config.hand_over);
        let response = self.request(node, Method::POST, &path, body, deadline).await?;
        Ok(response.json::<protocol::MessagesTaken>()?.into())
    }

    async fn cancel(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        outbox: &str,
    ) -> Result<NodeCancellation, GatewayError> {
        let is_plain = (1..=MAX_OUTBOX).contains(&outbox.len())
            && outbox.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_plain {
            return Err(GatewayError::Broken("an outbox id that needs escaping".into()));
        }
        let path = format!("{session}/messages/{outbox}?epoch={epoch}");
        let deadline = self.config.hand_over;
        let response = self.request(node, Method::DELETE, &path, Bytes::new(), deadline).await?;
        Ok(response.json::<protocol::Cancelled>()?.outcome.into())
    }

    async fn check_contacts(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        addresses: &[String],
    ) -> Result<Vec<ContactCheck>, GatewayError> {
        let question = Question::CheckContacts { addresses: addresses.to_vec() };
        let Answer::Contacts { contacts } = self.ask(node, session, epoch, question).await? else {
            return Err(unexpected());
        };
        let asked = contacts.iter().map(|contact| &contact.asked);
        if !asked.eq(addresses) {
            return Err(unexpected());
        }
        Ok(contacts.into_iter().map(Into::into).collect())
    }

    async fn mark_read(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        read: &ReadMessages,
    ) -> Result<(), GatewayError> {
        let ReadMessages { chat, author, ids } = read.clone();
        let question = Question::MarkRead { chat, sender: author, ids };
        self.ask(node, session, epoch, question).await.and_then(|answer| done(&answer))
    }

    async fn chat_presence(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        chat: &str,
        activity: ChatActivity,
    ) -> Result<(), GatewayError> {
        let question = Question::ChatPresence { chat: chat.to_owned(), state: activity.into() };
        self.ask(node, session, epoch, question).await.and_then(|answer| done(&answer))
    }
}

fn done(answer: &Answer) -> Result<(), GatewayError> {
    if *answer == Answer::Done { Ok(()) } else { Err(unexpected()) }
}

fn unexpected() -> GatewayError {
    GatewayError::Broken("an answer to another request".into())
}
