//! The server's end of one connection, as the rest of the network sees it: something to say stanzas
//! to and to close. Saying never waits; who does not listen for long enough is hung up on.

use crate::frames;
use futures_util::{Sink, SinkExt};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use tokio_util::sync::CancellationToken;
use wacore_binary::{Node, marshal};
use wacore_noise::NoiseCipher;

/// How many stanzas may wait to be written.
const MAX_QUEUED_STANZAS: usize = 1024;
/// How long saying goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

enum OutboundItem {
    Send(Box<Node>),
    Close,
}

/// A handle to a connection.
#[derive(Clone)]
pub(crate) struct Socket {
    pub(crate) id: u64,
    items: mpsc::Sender<OutboundItem>,
    closed: CancellationToken,
}

/// What the writing half of a connection works through.
pub(crate) struct OutboundQueue {
    items: mpsc::Receiver<OutboundItem>,
    closed: CancellationToken,
}

impl Socket {
    pub(crate) fn new(id: u64) -> (Self, OutboundQueue) {
        let (items, queue) = mpsc::channel(MAX_QUEUED_STANZAS);
        let closed = CancellationToken::new();
        (Self { id, items, closed: closed.clone() }, OutboundQueue { items: queue, closed })
    }

    /// Queues a stanza.
    pub(crate) fn send(&self, node: Node) {
        if self.items.try_send(OutboundItem::Send(Box::new(node))).is_err() {
            self.closed.cancel();
        }
    }

    /// Closes the connection after what was said before.
    pub(crate) fn close(&self) {
        if self.items.try_send(OutboundItem::Close).is_err() {
            self.closed.cancel();
        }
    }

    /// Says a last word and closes.
    pub(crate) fn send_and_close(&self, node: Node) {
        self.send(node);
        self.close();
    }

    /// Hangs up without a word.
    pub(crate) fn abort(&self) {
        self.closed.cancel();
    }

    /// When the connection is over for us, whether or not the client has noticed.
    pub(crate) async fn wait_closed(&self) {
        self.closed.cancelled().await;
    }
}

/// Writes what is queued until told to close, or until nobody listens.
pub(crate) async fn run_writer<S>(mut queue: OutboundQueue, cipher: NoiseCipher, mut sink: S)
where
    S: Sink<Message, Error = WebSocketError> + Unpin,
{
    let mut counter = 0_u32;
    loop {
        let item = tokio::select! {
            item = queue.items.recv() => item,
            () = queue.closed.cancelled() => break,
        };
        let Some(OutboundItem::Send(node)) = item else {
            // A peer that reads no more must not keep us.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, sink.close()).await;
            break;
        };
        let Some(message) = encrypt(&cipher, counter, &node) else { break };
        counter += 1;
        tracing::trace!(node = %wacore::xml::DisplayableNode(&node), "said");
        // A client that reads nothing must not keep us, once we have given it up.
        let sent = tokio::select! {
            sent = sink.send(message) => sent,
            () = queue.closed.cancelled() => break,
        };
        if sent.is_err() {
            break;
        }
    }
    queue.closed.cancel();
}

fn encrypt(cipher: &NoiseCipher, counter: u32, node: &Node) -> Option<Message> {
    let plain = marshal(node).ok()?;
    frames::message(&cipher.encrypt_with_counter(counter, &plain).ok()?)
}
