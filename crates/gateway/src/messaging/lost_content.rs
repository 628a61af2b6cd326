//! Messages that the engine has decrypted and lost. Decision: ADR 0052.
//!
//! The engine 0.7.0 writes all changed Signal sessions whenever one chat or one sent message needs it. A
//! node that is killed between such a write and the write of a message that was just decrypted in another
//! chat gets that message again, cannot decrypt it a second time, and the engine would acknowledge it as
//! a duplicate. The key store therefore answers the question for the stored content of a duplicate with a
//! placeholder. The journal takes the placeholder as a message that cannot be decrypted, and the sender
//! is asked to encrypt the message again. The router ignores the item if it has the message, which is the
//! case when only the receipt was lost.

use std::sync::{Arc, LazyLock};

use wacore::types::message::MessageInfo;
use waproto::{buffa::Message as _, whatsapp as wa};
use whatsapp_rust::{Client, NodeBuilder, RetryRequestOptions};

/// The text of a placeholder: random, so that nobody else can send a placeholder.
static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:032x}", rand::random::<u128>()));

static PLACEHOLDER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let message = wa::Message { conversation: Some(TEXT.clone()), ..wa::Message::default() };
    message.encode_to_vec()
});

/// Returns the content that stands for a lost one, as the engine stores contents. It is never stored.
pub(crate) fn placeholder() -> &'static [u8] {
    &PLACEHOLDER
}

pub(super) fn is_placeholder(message: &wa::Message) -> bool {
    message.conversation.as_deref() == Some(TEXT.as_str())
}

/// Asks the sender to encrypt a message again, in the background: the engine waits for the caller.
pub(super) fn request_again(client: &Arc<Client>, info: &MessageInfo) {
    let source = &info.source;
    let stanza = NodeBuilder::new("message")
        .attr("id", info.id.as_str())
        .attr("t", info.timestamp.timestamp().to_string());
    let stanza = if source.is_group {
        stanza.attr("from", source.chat.to_string()).attr("participant", source.sender.to_string())
    } else if source.is_from_me {
        stanza.attr("from", source.sender.to_string()).attr("recipient", source.chat.to_string())
    } else {
        stanza.attr("from", source.sender.to_string())
    };
    let (client, stanza) = (client.clone(), stanza.build());
    tokio::spawn(async move {
        let options = RetryRequestOptions::new();
        if let Err(error) = client.request_message_retry(&stanza.as_node_ref(), options).await {
            tracing::warn!(%error, "a lost message cannot be requested again");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholder_is_recognized_and_no_other_text_is() {
        let decoded = wa::Message::decode_from_slice(placeholder()).unwrap();
        assert!(is_placeholder(&decoded));
        let text = wa::Message { conversation: Some("hello".to_owned()), ..Default::default() };
        assert!(!is_placeholder(&text));
        assert!(!is_placeholder(&wa::Message::default()));
    }
}
