//! The chat socket: accepts connections, performs the handshake, and dispatches the stanzas of
//! clients.

use crate::frames::{self, FrameError, FrameReader};
use crate::keys::Key;
use crate::login::{self, LoggedInDevice};
use crate::messaging::{delivery, device_receipts, presence, routing};
use crate::network::Network;
use crate::noise::{self, EstablishedChannel, HandshakeReply, NoiseError};
use crate::queries;
use crate::registration;
use crate::socket::{self, Socket};
use crate::stanza;
use crate::wire_log::Direction;
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

/// How long the client may take to close after the server has closed.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    WebSocket(#[from] Box<WebSocketError>),
    #[error(transparent)]
    Handshake(#[from] NoiseError),
    #[error("the client timed out")]
    TimedOut,
    #[error("cannot decrypt or decode a frame: {0}")]
    Undecodable(String),
}

/// Accepts connections until the network stops.
pub(crate) async fn accept_connections(network: Arc<Network>, listener: TcpListener) {
    let permits = Arc::new(Semaphore::new(network.config.max_connections));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = network.stopping.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Most likely the process is out of file descriptors; other connections must end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
        let network = Arc::clone(&network);
        tokio::spawn(async move {
            let served = tokio::select! {
                served = serve(&network, stream) => served,
                () = network.stopping.cancelled() => Ok(()),
            };
            if let Err(error) = served {
                tracing::debug!(%error, "connection ended");
            }
            drop(permit);
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
    let handshake = timeout(patience, async {
        let ws = accept_async_with_config(stream, Some(limits)).await.map_err(Box::new)?;
        perform_handshake(network, ws).await
    });
    let (secrets, mut reader, sink) = handshake.await.map_err(|_| ConnectionError::TimedOut)??;
    let EstablishedChannel { read, write, client, payload, pattern } = secrets;
    let (socket, queue) = Socket::new(network.next_number(), Arc::clone(&network.wire));
    let writer = tokio::spawn(socket::run_writer(queue, write, sink));
    tracing::debug!(socket = socket.id, ?pattern, "handshake completed");
    let login = log_in_or_offer(network, &socket, client, &payload);
    let guard = DisconnectGuard { network, socket: &socket, login: login.as_ref() };
    let result = tokio::select! {
        result = read_stanzas(network, &socket, login.as_ref(), &read, &mut reader) => result,
        () = send_queued_stanzas(network, &socket, login.as_ref()) => Ok(()),
        () = socket.wait_closed() => Ok(()),
    };
    drop(guard);
    socket.close();
    let _ = timeout(LINGER_TIMEOUT, async { while reader.next().await.is_ok() {} }).await;
    socket.abort();
    let _ = writer.await;
    result
}

/// Reports the end of a connection to the network state, however the connection ends.
struct DisconnectGuard<'a> {
    network: &'a Network,
    socket: &'a Socket,
    login: Option<&'a LoggedInDevice>,
}

impl Drop for DisconnectGuard<'_> {
    fn drop(&mut self) {
        if let Some(login) = self.login {
            presence::on_disconnect(self.network, self.socket, login);
        }
        login::on_connection_closed(self.network, self.socket, self.login);
    }
}

type Reader = FrameReader<futures_util::stream::SplitStream<WebSocketStream<TcpStream>>>;
type Sink = futures_util::stream::SplitSink<WebSocketStream<TcpStream>, Message>;

async fn perform_handshake(
    network: &Network,
    ws: WebSocketStream<TcpStream>,
) -> Result<(EstablishedChannel, Reader, Sink), ConnectionError> {
    let (mut sink, messages) = ws.split();
    let mut reader = FrameReader::new(messages, network.config.max_frame);
    let hello = reader.next().await?;
    let (reply, handshake) = match noise::answer(&network.credentials, &hello)? {
        HandshakeReply::Finished(reply, secrets) => (reply, Ok(secrets)),
        HandshakeReply::Pending(reply, waiting) => (reply, Err(waiting)),
    };
    let reply = frames::message(&reply).ok_or(NoiseError::Missing("size"))?;
    sink.send(reply).await.map_err(Box::new)?;
    let secrets = match handshake {
        Ok(secrets) => *secrets,
        Err(waiting) => waiting.finish(&reader.next().await?)?,
    };
    Ok((secrets, reader, sink))
}

/// Starts to link a client whose payload has pairing data; logs any other client in.
fn log_in_or_offer(
    network: &Network,
    socket: &Socket,
    noise: Key,
    payload: &ClientPayload,
) -> Option<LoggedInDevice> {
    if payload.device_pairing_data.is_set() {
        registration::offer(network, socket, noise, payload);
        return None;
    }
    let login = login::log_in(network, socket, &noise, payload)?;
    Some(login)
}

async fn read_stanzas<S>(
    network: &Arc<Network>,
    socket: &Socket,
    login: Option<&LoggedInDevice>,
    cipher: &NoiseCipher,
    reader: &mut FrameReader<S>,
) -> Result<(), ConnectionError>
where
    S: Stream<Item = Result<Message, WebSocketError>> + Unpin,
{
    let mut counter = 0_u32;
    loop {
        let next = timeout(network.config.idle_deadline, reader.next()).await;
        let frame = next.map_err(|_| ConnectionError::TimedOut)??;
        let node = decrypt_frame(cipher, counter, frame)?;
        counter = counter.wrapping_add(1);
        tracing::trace!(node = %wacore::xml::DisplayableNodeRef(node.get()), "received");
        handle_stanza(network, socket, login, node.get());
    }
}

fn decrypt_frame(
    cipher: &NoiseCipher,
    counter: u32,
    mut frame: BytesMut,
) -> Result<OwnedNodeRef, ConnectionError> {
    let undecodable = |error: String| ConnectionError::Undecodable(error);
    cipher
        .decrypt_in_place_with_counter(counter, &mut frame)
        .map_err(|e| undecodable(e.to_string()))?;
    let plain = unpack_bytes(frame).map_err(|e| undecodable(e.to_string()))?;
    OwnedNodeRef::new(plain).map_err(|e| undecodable(e.to_string()))
}

/// Sends the next queued stanzas whenever the writer has room for them; never returns.
async fn send_queued_stanzas(network: &Network, socket: &Socket, login: Option<&LoggedInDevice>) {
    loop {
        socket.wait_room().await;
        if let Some(login) = login {
            delivery::pump(network, &mut network.state(), &login.number, login.device);
        }
    }
}

fn handle_stanza(
    network: &Arc<Network>,
    socket: &Socket,
    login: Option<&LoggedInDevice>,
    node: &NodeRef<'_>,
) {
    if let Some(device) = socket.device() {
        network.wire.record(device, Direction::In, node);
    }
    let silent = login.is_some_and(|login| network.faults.is_silent(&login.number, login.device));
    if silent && !queries::is_ping(node) {
        return network.messages_changed();
    }
    match (node.tag.as_ref(), login) {
        ("iq", login) => queries::handle(network, socket, login, node),
        ("message", Some(login)) => routing::on_message(network, socket, login, node),
        ("receipt", Some(login)) => device_receipts::on_receipt(network, socket, login, node),
        ("ack", Some(login)) => delivery::on_acknowledgement(network, login, node),
        ("ib", Some(login)) => delivery::on_batch_request(network, login, node),
        ("presence", Some(login)) => presence::on_presence(network, login, node),
        ("chatstate", Some(login)) => presence::on_typing(network, login, node),
        ("notification" | "call", Some(_)) => socket.send(stanza::acknowledgement(node)),
        // Telemetry needs no answer.
        _ => {}
    }
}
