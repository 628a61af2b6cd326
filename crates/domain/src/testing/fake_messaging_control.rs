//! A fake node for messages: takes what it gets, and knows the accounts that the test names.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{
    gateway::node::Node,
    id::SessionId,
    ports::{
        messaging_control::{
            ChatActivity, ContactCheck, HandOver, HandOverOutcome, MessagingControl,
            NodeCancellation, NodeMessageState, OutboundMessage, OutboundMessages, ReadMessages,
        },
        session_control::GatewayError,
    },
};

/// A node that takes messages and answers live requests. Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct FakeMessagingControl(Arc<Mutex<FakeMessaging>>);

#[derive(Debug, Default)]
struct FakeMessaging {
    is_down: bool,
    is_unreachable: bool,
    outcome: Option<HandOverOutcome>,
    handed: Vec<(SessionId, OutboundMessage)>,
    asked: Vec<String>,
    contacts: BTreeMap<String, ContactCheck>,
    read: Vec<ReadMessages>,
    activities: Vec<(String, ChatActivity)>,
}

impl FakeMessagingControl {
    fn state(&self) -> MutexGuard<'_, FakeMessaging> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reachable(&self) -> Result<MutexGuard<'_, FakeMessaging>, GatewayError> {
        let state = self.state();
        if state.is_down {
            return Err(GatewayError::Unavailable("down, as the test requires".into()));
        }
        if state.is_unreachable {
            return Err(GatewayError::Unreachable("unreachable, as the test requires".into()));
        }
        Ok(state)
    }

    /// Makes every call fail without a connection, or succeed again.
    pub fn set_unreachable(&self, is_unreachable: bool) {
        self.state().is_unreachable = is_unreachable;
    }

    /// Makes every call fail without an answer, or succeed again.
    pub fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// Sets the outcome of hand-overs. Without one, the node queues every message.
    pub fn set_outcome(&self, outcome: HandOverOutcome) {
        self.state().outcome = Some(outcome);
    }

    /// Sets WhatsApp's answer for an address. Without one, the account of digits has these digits.
    pub fn set_contact(&self, check: ContactCheck) {
        self.state().contacts.insert(check.asked.clone(), check);
    }

    /// Returns every message that the node took, also repeated ones, and forgets them.
    pub fn take_handed(&self) -> Vec<(SessionId, OutboundMessage)> {
        std::mem::take(&mut self.state().handed)
    }

    /// Returns the addresses that WhatsApp was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// Returns the receipts.
    pub fn read(&self) -> Vec<ReadMessages> {
        self.state().read.clone()
    }

    /// Returns the activities that chats were shown.
    pub fn activities(&self) -> Vec<(String, ChatActivity)> {
        self.state().activities.clone()
    }
}

#[async_trait]
impl MessagingControl for FakeMessagingControl {
    async fn send(
        &self,
        _: &Node,
        session: &SessionId,
        messages: &OutboundMessages,
    ) -> Result<Vec<HandOver>, GatewayError> {
        let mut state = self.reachable()?;
        let queued = HandOverOutcome::Taken(NodeMessageState::Queued);
        let outcome = state.outcome.clone().unwrap_or(queued);
        if matches!(outcome, HandOverOutcome::Taken(_)) {
            let handed = messages.messages.iter().map(|it| (session.clone(), it.clone()));
            state.handed.extend(handed);
        }
        let answer = |message: &OutboundMessage| HandOver {
            outbox: message.outbox.clone(),
            outcome: outcome.clone(),
        };
        Ok(messages.messages.iter().map(answer).collect())
    }

    async fn cancel(
        &self,
        _: &Node,
        _: &SessionId,
        _: u64,
        _: &str,
    ) -> Result<NodeCancellation, GatewayError> {
        drop(self.reachable()?);
        Ok(NodeCancellation::TooLate)
    }

    async fn check_contacts(
        &self,
        _: &Node,
        _: &SessionId,
        _: u64,
        addresses: &[String],
    ) -> Result<Vec<ContactCheck>, GatewayError> {
        let mut state = self.reachable()?;
        state.asked.extend(addresses.iter().cloned());
        let answer = |asked: &String| {
            let same = || ContactCheck {
                asked: asked.clone(),
                registered: true,
                jid: Some(format!("{asked}@s.whatsapp.net")),
                lid: None,
                business: false,
            };
            state.contacts.get(asked).cloned().unwrap_or_else(same)
        };
        Ok(addresses.iter().map(answer).collect())
    }

    async fn mark_read(
        &self,
        _: &Node,
        _: &SessionId,
        _: u64,
        read: &ReadMessages,
    ) -> Result<(), GatewayError> {
        self.reachable()?.read.push(read.clone());
        Ok(())
    }

    async fn chat_presence(
        &self,
        _: &Node,
        _: &SessionId,
        _: u64,
        chat: &str,
        activity: ChatActivity,
    ) -> Result<(), GatewayError> {
        self.reachable()?.activities.push((chat.to_owned(), activity));
        Ok(())
    }
}
