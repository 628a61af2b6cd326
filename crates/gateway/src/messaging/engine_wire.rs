//! The connection of a session, made of the engine.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use gateway_protocol::{Answer, ChatActivity, OutgoingContent, OutgoingMessage, Question};
use tokio_util::sync::CancellationToken;
use waproto::{buffa::MessageField, whatsapp as wa};
use whatsapp_rust::{Client, Jid, SendError, SendOptions};

use super::{
    asks, names,
    online::Presence,
    wire::{AskError, SessionWire, WireError},
};
use crate::{context::NodeContext, engine_runtime::EngineRuntime, session_name::SessionName};

/// Time for which a chat shows an activity without a repetition.
const ACTIVITY_TIME: Duration = Duration::from_secs(10);

/// The connection of one session.
pub(crate) struct EngineWire {
    pub(crate) context: Arc<NodeContext>,
    pub(crate) session: SessionName,
    /// Weak: the keys are released only after the engine.
    pub(crate) client: Weak<Client>,
    /// Cancelled when the connection closes.
    pub(crate) closed: CancellationToken,
    pub(crate) runtime: EngineRuntime,
    pub(crate) presence: Presence,
}

impl EngineWire {
    /// Runs a task with the client; `None` if the connection closes meanwhile.
    async fn with_client<T, F: Future<Output = T>>(
        &self,
        task: impl FnOnce(Arc<Client>) -> F,
    ) -> Option<T> {
        let client = self.client.upgrade()?;
        self.closed.run_until_cancelled(task(client)).await
    }

    async fn show_activity(&self, chat: &Jid, activity: ChatActivity) -> Result<(), AskError> {
        let sent = self
            .with_client(|client| async move {
                let state = client.chatstate();
                match activity {
                    ChatActivity::Composing => state.send_composing(chat).await,
                    ChatActivity::Recording => state.send_recording(chat).await,
                    ChatActivity::Paused => state.send_paused(chat).await,
                }
            })
            .await;
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(AskError::Unavailable(error.to_string())),
            None => Err(closed()),
        }
    }

    /// Shows what the account does in a chat. The chat shows the activity of an account that is
    /// online only.
    async fn chat_presence(&self, chat: &str, activity: ChatActivity) -> Result<Answer, AskError> {
        let chat = asks::address(chat)?;
        if activity != ChatActivity::Paused {
            let hold = self.presence.hold().await;
            drop(self.runtime.spawn_cancellable(async move {
                tokio::time::sleep(ACTIVITY_TIME).await;
                drop(hold);
            }));
        }
        self.show_activity(&chat, activity).await?;
        Ok(Answer::Done)
    }
}

#[async_trait]
impl SessionWire for EngineWire {
    fn account(&self) -> Option<String> {
        Some(self.client.upgrade()?.pn()?.user.to_string())
    }

    async fn send(&self, message: &OutgoingMessage) -> Result<(), WireError> {
        let to = asks::address(&message.to).map_err(|error| invalid(&error))?;
        let content = encoded(&message.content).ok_or_else(|| invalid(&"unknown content"))?;
        let mut options = SendOptions::default().with_message_id(&message.wa_id);
        if let Some(seconds) = message.ephemeral {
            options = options.with_ephemeral_expiration(seconds);
        }
        let sent = self
            .with_client(|client| async move {
                client.send_message_with_options(to, content, options).await
            })
            .await;
        match sent {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(wire_error(&error)),
            None => Err(WireError::Disconnected),
        }
    }

    async fn may_have_sent(&self, message: &OutgoingMessage) -> bool {
        let Ok(to) = asks::address(&message.to) else { return false };
        let other = self.with_client(|client| async move { names::other_name(&client, &to).await });
        let other = other.await.flatten();
        for chat in [Some(&message.to), other.as_ref()].into_iter().flatten() {
            let keys = &self.context.key_store;
            match keys.has_sent_message(&self.session, chat, &message.wa_id).await {
                Ok(false) => {}
                Ok(true) => return true,
                Err(error) => {
                    let session = self.session.as_str();
                    tracing::error!(session, %error, "cannot read the engine's sent messages");
                    return true; // costs a wait and loses nothing
                }
            }
        }
        false
    }

    async fn type_for(&self, to: &str, time: Duration) {
        let Ok(to) = asks::address(to) else { return };
        let _online = self.presence.hold().await;
        if self.show_activity(&to, ChatActivity::Composing).await.is_ok() {
            let _ = self.closed.run_until_cancelled(tokio::time::sleep(time)).await;
        }
    }

    async fn ask(&self, question: Question) -> Result<Answer, AskError> {
        let answer = match question {
            Question::CheckContacts { addresses } => {
                self.with_client(
                    |client| async move { asks::check_contacts(&client, addresses).await },
                )
                .await
            }
            Question::MarkRead { chat, sender, ids } => {
                self.with_client(|client| async move {
                    asks::mark_read(&client, &chat, sender.as_deref(), &ids).await
                })
                .await
            }
            Question::ChatPresence { chat, state } => Some(self.chat_presence(&chat, state).await),
            Question::Unknown => {
                Some(Err(AskError::Invalid("unknown kind of live request".to_owned())))
            }
        };
        answer.unwrap_or_else(|| Err(closed()))
    }
}

fn closed() -> AskError {
    AskError::Unavailable("the session is not connected".to_owned())
}

fn invalid(why: &dyn std::fmt::Display) -> WireError {
    WireError::Invalid(why.to_string())
}

/// Encodes the content of a message. A text is always an extended one, because a bare text cannot
/// carry the disappearing timer.
fn encoded(content: &OutgoingContent) -> Option<wa::Message> {
    let OutgoingContent::Text { text } = content else { return None };
    let text = wa::message::ExtendedTextMessage { text: Some(text.clone()), ..Default::default() };
    Some(wa::Message { extended_text_message: MessageField::some(text), ..Default::default() })
}

/// Sorts the errors of the engine. Only an error of the connection leaves open whether WhatsApp
/// received the message: all others occur before the message is written.
fn wire_error(error: &SendError) -> WireError {
    match error {
        SendError::Client(_) | SendError::NotLoggedIn => WireError::Disconnected,
        SendError::InvalidRequest(why) => WireError::Invalid(why.clone()),
        other => WireError::NotWritten(other.to_string()),
    }
}
