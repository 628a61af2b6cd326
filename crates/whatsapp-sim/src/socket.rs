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
const QUEUE: usize = 1024;
/// How long saying goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);

enum Word {
    Say(Box<Node>),
    Close,
}

/// A handle to a connection.
#[derive(Clone)]
pub(crate) struct Socket {
    pub(crate) id: u64,
    words: mpsc::Sender<Word>,
    gone: CancellationToken,
}

/// What the writing half of a connection works through.
pub(crate) struct Queue {
    words: mpsc::Receiver<Word>,
    gone: CancellationToken,
}

impl Socket {
    pub(crate) fn new(id: u64) -> (Self, Queue) {
        let (words, queue) = mpsc::channel(QUEUE);
        let gone = CancellationToken::new();
        (Self { id, words, gone: gone.clone() }, Queue { words: queue, gone })
    }

    /// Queues a stanza.
    pub(crate) fn say(&self, node: Node) {
        if self.words.try_send(Word::Say(Box::new(node))).is_err() {
            self.gone.cancel();
        }
    }

    /// Closes the connection after what was said before.
    pub(crate) fn close(&self) {
        if self.words.try_send(Word::Close).is_err() {
            self.gone.cancel();
        }
    }

    /// Says a last word and closes.
    pub(crate) fn dismiss(&self, node: Node) {
        self.say(node);
        self.close();
    }

    /// Hangs up without a word.
    pub(crate) fn drop_now(&self) {
        self.gone.cancel();
    }

    /// When the connection is over for us, whether or not the client has noticed.
    pub(crate) async fn gone(&self) {
        self.gone.cancelled().await;
    }
}

/// Writes what is queued until told to close, or until nobody listens.
pub(crate) async fn write<S>(mut queue: Queue, cipher: NoiseCipher, mut sink: S)
where
    S: Sink<Message, Error = WebSocketError> + Unpin,
{
    let mut counter = 0_u32;
    loop {
        let word = tokio::select! {
            word = queue.words.recv() => word,
            () = queue.gone.cancelled() => break,
        };
        let Some(Word::Say(node)) = word else {
            // A peer that reads no more must not keep us.
            let _ = tokio::time::timeout(FAREWELL, sink.close()).await;
            break;
        };
        let Some(message) = seal(&cipher, counter, &node) else { break };
        counter += 1;
        tracing::trace!(node = %wacore::xml::DisplayableNode(&node), "said");
        // A client that reads nothing must not keep us, once we have given it up.
        let sent = tokio::select! {
            sent = sink.send(message) => sent,
            () = queue.gone.cancelled() => break,
        };
        if sent.is_err() {
            break;
        }
    }
    queue.gone.cancel();
}

fn seal(cipher: &NoiseCipher, counter: u32, node: &Node) -> Option<Message> {
    let plain = marshal(node).ok()?;
    frames::message(&cipher.encrypt_with_counter(counter, &plain).ok()?)
}
