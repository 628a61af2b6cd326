//! The server's handle to one connection, which queues stanzas and closes. Sending never waits: a
//! connection with a full queue is closed. Queued messages are sent only while there is room.

use crate::frames;
use crate::wire_log::WireLog;
use futures_util::{Sink, SinkExt};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use tokio_util::sync::CancellationToken;
use wacore_binary::{Node, marshal};
use wacore_noise::NoiseCipher;

/// Stanzas that may wait to be written.
const MAX_QUEUED_STANZAS: usize = 1024;
/// Room that is left for stanzas that cannot wait, such as answers.
const RESERVED_ROOM: usize = 512;
/// Waiting stanzas at which a writer tells that there is room again.
const LOW_WATER: usize = 64;
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
    room: Arc<Notify>,
    wire: Arc<WireLog>,
    /// The label of the device after its login.
    device: Arc<OnceLock<String>>,
}

/// The queue of the writer.
pub(crate) struct OutboundQueue {
    items: mpsc::Receiver<OutboundItem>,
    closed: CancellationToken,
    room: Arc<Notify>,
}

impl Socket {
    pub(crate) fn new(id: u64, wire: Arc<WireLog>) -> (Self, OutboundQueue) {
        let (items, queue) = mpsc::channel(MAX_QUEUED_STANZAS);
        let (closed, room) = (CancellationToken::new(), Arc::new(Notify::new()));
        let outbound =
            OutboundQueue { items: queue, closed: closed.clone(), room: Arc::clone(&room) };
        (Self { id, items, closed, room, wire, device: Arc::default() }, outbound)
    }

    /// Names the device of the connection, so that its stanzas are recorded.
    pub(crate) fn set_device(&self, number: &str, device: u32) {
        let _ = self.device.set(format!("{number}:{device}"));
    }

    /// Returns the label of the device after its login.
    pub(crate) fn device(&self) -> Option<&str> {
        self.device.get().map(String::as_str)
    }

    /// Returns whether a message may be queued. If not, [`wait_room`](Self::wait_room) returns
    /// later.
    pub(crate) fn has_room(&self) -> bool {
        self.items.capacity() > RESERVED_ROOM
    }

    /// Waits until most queued stanzas are written.
    pub(crate) async fn wait_room(&self) {
        self.room.notified().await;
    }

    /// Queues a stanza.
    pub(crate) fn send(&self, node: Node) {
        if let Some(device) = self.device() {
            self.wire.record_sent(device, &node);
        }
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
        if queue.items.len() == LOW_WATER {
            queue.room.notify_one();
        }
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
