//! The server's handle to one connection, which queues stanzas and closes. Sending never waits: a
//! connection with a full queue is closed.

use crate::frames;
use futures_util::{Sink, SinkExt};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use tokio_util::sync::CancellationToken;
use wacore_binary::{Node, marshal};
use wacore_noise::NoiseCipher;

/// Stanzas that may wait to be written.
const MAX_QUEUED_STANZAS: usize = 1024;
/// Time limit of an orderly close.
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

/// The queue of the writer.
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

    /// Closes the connection after the queued stanzas.
    pub(crate) fn close(&self) {
        if self.items.try_send(OutboundItem::Close).is_err() {
            self.closed.cancel();
        }
    }

    /// Sends a last stanza and closes.
    pub(crate) fn send_and_close(&self, node: Node) {
        self.send(node);
        self.close();
    }

    /// Closes the connection at once.
    pub(crate) fn abort(&self) {
        self.closed.cancel();
    }

    /// Waits until the connection has ended for the server, whether or not the client has noticed.
    pub(crate) async fn wait_closed(&self) {
        self.closed.cancelled().await;
    }
}

/// Writes queued stanzas until the connection is closed or a write fails.
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
            // A client that no longer reads must not block the close.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, sink.close()).await;
            break;
        };
        let Some(message) = encrypt(&cipher, counter, &node) else { break };
        counter += 1;
        tracing::trace!(node = %wacore::xml::DisplayableNode(&node), "sent");
        // A client that no longer reads must not block the writer after the connection was given
        // up.
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
