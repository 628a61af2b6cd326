//! The chat socket: takes connections, shakes hands, and turns what clients say over to those who
//! know the answer.

use crate::frames::{self, FrameError, FrameReader};
use crate::keys::Key;
use crate::login::{self, Seat};
use crate::messages;
use crate::network::Network;
use crate::noise::{self, Answer, Secrets, ShakeError};
use crate::queries;
use crate::registration;
use crate::socket::{self, Socket};
use crate::stanza;
use bytes::BytesMut;
use futures_util::{SinkExt, Stream, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};
use wacore_binary::util::unpack_bytes;
use wacore_binary::{NodeRef, OwnedNodeRef};
use wacore_noise::NoiseCipher;
use waproto::whatsapp::ClientPayload;

/// How long a client may take to notice that we have closed.
const LINGER: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    WebSocket(#[from] Box<WebSocketError>),
    #[error(transparent)]
    Shake(#[from] ShakeError),
    #[error("the client took too long")]
    Late,
    #[error("a frame cannot be read: {0}")]
    Garbled(String),
}

/// Takes connections until the network stops.
pub(crate) async fn listen(network: Arc<Network>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(network.config.max_connections));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = network.stopping.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: others must end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let network = Arc::clone(&network);
        tokio::spawn(async move {
            let served = tokio::select! {
                served = serve(&network, stream) => served,
                () = network.stopping.cancelled() => Ok(()),
            };
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
}

async fn serve(network: &Arc<Network>, stream: TcpStream) -> Result<(), ConnectionError> {
    let _ = stream.set_nodelay(true);
    let largest = network.config.max_frame;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(largest * 2))
        .max_frame_size(Some(largest * 2));
    let patience = network.config.handshake_deadline;
    let shaken = timeout(patience, async {
        let ws = accept_async_with_config(stream, Some(limits)).await.map_err(Box::new)?;
        shake(network, ws).await
    });
    let (secrets, mut reader, sink) = shaken.await.map_err(|_| ConnectionError::Late)??;
    let Secrets { read, write, client, payload, pattern } = secrets;
    let (socket, queue) = Socket::new(network.next_number());
    let writer = tokio::spawn(socket::write(queue, write, sink));
    tracing::debug!(socket = socket.id, ?pattern, "shaken hands");
    let seat = open(network, &socket, client, &payload);
    let guard = Leaving { network, socket: &socket, seat: seat.as_ref() };
    let said = tokio::select! {
        said = converse(network, &socket, seat.as_ref(), &read, &mut reader) => said,
        () = socket.gone() => Ok(()),
    };
    drop(guard);
    socket.close();
    let _ = timeout(LINGER, async { while reader.next().await.is_ok() {} }).await;
    socket.drop_now();
    let _ = writer.await;
    said
}

/// Sees to it that the world hears of a connection's end, however it ends.
struct Leaving<'a> {
    network: &'a Network,
    socket: &'a Socket,
    seat: Option<&'a Seat>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        login::leave(self.network, self.socket, self.seat);
    }
}

type Reader = FrameReader<futures_util::stream::SplitStream<WebSocketStream<TcpStream>>>;
type Sink = futures_util::stream::SplitSink<WebSocketStream<TcpStream>, Message>;

async fn shake(
    network: &Network,
    ws: WebSocketStream<TcpStream>,
) -> Result<(Secrets, Reader, Sink), ConnectionError> {
    let (mut sink, messages) = ws.split();
    let mut reader = FrameReader::new(messages, network.config.max_frame);
    let hello = reader.next().await?;
    let (reply, shaken) = match noise::answer(&network.credentials, &hello)? {
        Answer::Done(reply, secrets) => (reply, Ok(secrets)),
        Answer::Wait(reply, waiting) => (reply, Err(waiting)),
    };
    let reply = frames::message(&reply).ok_or(ShakeError::Lacking("size"))?;
    sink.send(reply).await.map_err(Box::new)?;
    let secrets = match shaken {
        Ok(secrets) => *secrets,
        Err(waiting) => waiting.finish(&reader.next().await?)?,
    };
    Ok((secrets, reader, sink))
}

/// A client that brings the data of a new device wants to be linked; any other says which device it
/// is.
fn open(network: &Network, socket: &Socket, noise: Key, payload: &ClientPayload) -> Option<Seat> {
    if payload.device_pairing_data.is_set() {
        registration::offer(network, socket, noise, payload);
        return None;
    }
    let seat = login::admit(network, socket, &noise, payload)?;
    Some(seat)
}

async fn converse<S>(
    network: &Arc<Network>,
    socket: &Socket,
    seat: Option<&Seat>,
    cipher: &NoiseCipher,
    reader: &mut FrameReader<S>,
) -> Result<(), ConnectionError>
where
    S: Stream<Item = Result<Message, WebSocketError>> + Unpin,
{
    let mut counter = 0_u32;
    loop {
        let next = timeout(network.config.idle_deadline, reader.next()).await;
        let frame = next.map_err(|_| ConnectionError::Late)??;
        let node = open_frame(cipher, counter, frame)?;
        counter = counter.wrapping_add(1);
        tracing::trace!(node = %wacore::xml::DisplayableNodeRef(node.get()), "heard");
        hear(network, socket, seat, node.get());
    }
}

fn open_frame(
    cipher: &NoiseCipher,
    counter: u32,
    mut frame: BytesMut,
) -> Result<OwnedNodeRef, ConnectionError> {
    let garbled = |error: String| ConnectionError::Garbled(error);
    cipher
        .decrypt_in_place_with_counter(counter, &mut frame)
        .map_err(|e| garbled(e.to_string()))?;
    let plain = unpack_bytes(frame).map_err(|e| garbled(e.to_string()))?;
    OwnedNodeRef::new(plain).map_err(|e| garbled(e.to_string()))
}

fn hear(network: &Arc<Network>, socket: &Socket, seat: Option<&Seat>, node: &NodeRef<'_>) {
    match (node.tag.as_ref(), seat) {
        ("iq", seat) => queries::handle(network, socket, seat, node),
        ("message", Some(seat)) => {
            socket.say(stanza::acknowledgement(node));
            messages::written(network, seat, node);
        }
        ("receipt", Some(seat)) => {
            socket.say(stanza::acknowledgement(node));
            messages::confirmed(network, seat, node);
        }
        ("ack", Some(seat)) if stanza::attribute(node, "class") == "message" => {
            messages::confirmed(network, seat, node);
        }
        ("notification" | "call", Some(_)) => socket.say(stanza::acknowledgement(node)),
        // Presence, typing, telemetry and acknowledgements of notifications ask for no answer.
        _ => {}
    }
}
