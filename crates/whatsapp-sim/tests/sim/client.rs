//! A client for these tests: the client side of the protocol with access to all keys, so that the
//! client can also send wrong data.

use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wacore::libsignal::protocol::{KeyPair, PublicKey};
use wacore::pair::{DeviceState, PairUtils};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::consts::{NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK, WA_CONN_HEADER};
use wacore_binary::util::unpack_bytes;
use wacore_binary::{Node, OwnedNodeRef, marshal};
use wacore_noise::framing::{FrameDecoder, encode_frame};
use wacore_noise::{IkHandshakeState, IkServerHelloOutcome, NoiseCipher, NoiseHandshake};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::cert_chain::noise_certificate::Details;
use waproto::whatsapp::client_payload::{DevicePairingRegistrationData, UserAgent, user_agent};
use waproto::whatsapp::handshake_message::{ClientFinish, ClientHello, ServerHello};
use waproto::whatsapp::{CertChain, ClientPayload, DeviceProps, HandshakeMessage, device_props};

/// A generous time limit; every test waits for an event that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The keys and the version of a client.
pub(crate) struct ClientKeys {
    pub(crate) state: DeviceState,
    pub(crate) version: u32,
    /// Whether the client takes its history inline.
    pub(crate) inline_history: bool,
}

impl ClientKeys {
    pub(crate) fn new() -> Self {
        let state =
            DeviceState { identity_key: pair(), noise_key: pair(), adv_secret_key: rand::random() };
        Self { state, version: 1, inline_history: false }
    }

    pub(crate) fn qr(&self, reference: &str) -> String {
        use base64::Engine as _;
        let state = &self.state;
        let keys = [public(&state.noise_key), public(&state.identity_key), state.adv_secret_key];
        let keys = keys.map(|key| base64::prelude::BASE64_STANDARD.encode(key));
        format!("{reference},{},9", keys.join(","))
    }

    fn payload(&self) -> ClientPayload {
        let version = user_agent::AppVersion {
            primary: Some(2),
            secondary: Some(3000),
            tertiary: Some(self.version),
            ..Default::default()
        };
        let agent = UserAgent { app_version: MessageField::some(version), ..Default::default() };
        ClientPayload { user_agent: MessageField::some(agent), ..Default::default() }
    }

    /// Returns the payload of a client that wants to be linked.
    pub(crate) fn registration(&self) -> Vec<u8> {
        let props = DeviceProps {
            os: Some("Test OS".into()),
            platform_type: Some(device_props::PlatformType::FIREFOX),
            history_sync_config: MessageField::some(device_props::HistorySyncConfig {
                inline_initial_payload_in_e2_ee_msg: Some(self.inline_history),
                ..Default::default()
            }),
            ..Default::default()
        };
        let data = DevicePairingRegistrationData {
            device_props: Some(props.encode_to_vec()),
            ..Default::default()
        };
        let payload =
            ClientPayload { device_pairing_data: MessageField::some(data), ..self.payload() };
        payload.encode_to_vec()
    }

    /// Returns the payload of a linked client.
    pub(crate) fn login(&self, number: &str, device: u32) -> Vec<u8> {
        let payload = ClientPayload {
            username: number.parse().ok(),
            device: Some(device),
            passive: Some(true),
            ..self.payload()
        };
        payload.encode_to_vec()
    }
}

pub(crate) fn pair() -> KeyPair {
    KeyPair::generate(&mut rand::rng())
}

pub(crate) fn public(pair: &KeyPair) -> [u8; 32] {
    pair.public_key.public_key_bytes().try_into().unwrap()
}

/// A WebSocket with frames, before the handshake.
pub(crate) struct FrameSocket {
    ws: WebSocketStream<MaybeTlsStream<TcpStream>>,
    decoder: FrameDecoder,
    greeted: bool,
}

impl FrameSocket {
    pub(crate) async fn open(url: &str) -> Self {
        let (ws, _) = connect_async(url).await.unwrap();
        Self { ws, decoder: FrameDecoder::new(), greeted: false }
    }

    pub(crate) async fn send_raw(&mut self, bytes: Vec<u8>) {
        // If the server has closed, the following read shows it.
        let _ = self.ws.send(Message::Binary(bytes.into())).await;
    }

    pub(crate) async fn send(&mut self, payload: &[u8]) {
        let greeting = (!std::mem::replace(&mut self.greeted, true)).then_some(&WA_CONN_HEADER[..]);
        self.send_raw(encode_frame(payload, greeting).unwrap()).await;
    }

    /// Returns the next frame; `None` when the server has closed.
    pub(crate) async fn next(&mut self) -> Option<bytes::BytesMut> {
        loop {
            if let Some(frame) = self.decoder.decode_frame() {
                return Some(frame);
            }
            let message =
                timeout(PATIENCE, self.ws.next()).await.expect("timed out waiting for the server");
            match message {
                Some(Ok(Message::Binary(bytes))) => self.decoder.feed(&bytes),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }
}

/// A client after the handshake.
pub(crate) struct Client {
    socket: FrameSocket,
    write: (NoiseCipher, u32),
    read: (NoiseCipher, u32),
    /// The static key that the server proved to have.
    pub(crate) server: [u8; 32],
    /// Whether the handshake used IK.
    pub(crate) short: bool,
}

impl Client {
    /// Connects without a server key, and verifies the server's chain with the root.
    pub(crate) async fn connect(
        url: &str,
        anchor: [u8; 32],
        keys: &ClientKeys,
        payload: Vec<u8>,
    ) -> Self {
        let ephemeral = pair();
        let mut socket = FrameSocket::open(url).await;
        let hello =
            ClientHello { ephemeral: Some(public(&ephemeral).to_vec()), ..Default::default() };
        let hello =
            HandshakeMessage { client_hello: MessageField::some(hello), ..Default::default() };
        socket.send(&hello.encode_to_vec()).await;
        let reply = socket.next().await.unwrap();
        Self::full(socket, NOISE_PATTERN_XX, &ephemeral, &reply, (anchor, keys, payload)).await
    }

    /// Connects with a known server key, which may be outdated.
    pub(crate) async fn reconnect(
        url: &str,
        (anchor, server): ([u8; 32], [u8; 32]),
        keys: &ClientKeys,
        payload: Vec<u8>,
    ) -> Self {
        let noise_key = keys.state.noise_key.clone();
        let mut state =
            IkHandshakeState::new(noise_key, server, payload.clone(), &WA_CONN_HEADER).unwrap();
        let mut socket = FrameSocket::open(url).await;
        socket.send(&state.build_client_hello().unwrap()).await;
        let reply = socket.next().await.unwrap();
        match state.read_server_hello(&reply).unwrap() {
            IkServerHelloOutcome::Continue(done) => Self {
                socket,
                write: (done.write_cipher, 0),
                read: (done.read_cipher, 0),
                server,
                short: true,
            },
            IkServerHelloOutcome::Fallback(inputs) => {
                let (reply, pattern) = (inputs.server_hello_bytes, NOISE_PATTERN_XXFALLBACK);
                let rest = (anchor, keys, payload);
                Self::full(socket, pattern, &inputs.ephemeral_kp, &reply, rest).await
            }
        }
    }

    async fn full(
        mut socket: FrameSocket,
        pattern: &str,
        ephemeral: &KeyPair,
        reply: &[u8],
        (anchor, keys, payload): ([u8; 32], &ClientKeys, Vec<u8>),
    ) -> Self {
        let reply = HandshakeMessage::decode_from_slice(reply).unwrap();
        let ServerHello { ephemeral: theirs, r#static: sealed, payload: chain, .. } =
            reply.server_hello.into_option().unwrap();
        let (theirs, ours) = (theirs.unwrap(), ephemeral.private_key.serialize());
        let mut noise = NoiseHandshake::new(pattern, &WA_CONN_HEADER).unwrap();
        noise.authenticate(&public(ephemeral));
        noise.authenticate(&theirs);
        noise.mix_shared_secret(ours, &theirs).unwrap();
        let server: [u8; 32] = noise.decrypt(&sealed.unwrap()).unwrap().try_into().unwrap();
        noise.mix_shared_secret(ours, &server).unwrap();
        verify(&noise.decrypt(&chain.unwrap()).unwrap(), anchor, server);
        let sealed = noise.encrypt(&public(&keys.state.noise_key)).unwrap();
        noise.mix_shared_secret(keys.state.noise_key.private_key.serialize(), &theirs).unwrap();
        let payload = noise.encrypt(&payload).unwrap();
        let finish =
            ClientFinish { r#static: Some(sealed), payload: Some(payload), ..Default::default() };
        let finish =
            HandshakeMessage { client_finish: MessageField::some(finish), ..Default::default() };
        socket.send(&finish.encode_to_vec()).await;
        let (write, read) = noise.finish().unwrap();
        Self { socket, write: (write, 0), read: (read, 0), server, short: false }
    }

    pub(crate) async fn send(&mut self, node: Node) {
        let (cipher, counter) = &mut self.write;
        let sealed = cipher.encrypt_with_counter(*counter, &marshal(&node).unwrap()).unwrap();
        *counter += 1;
        self.socket.send(&sealed).await;
    }

    /// Returns the next stanza; `None` when the server has closed.
    pub(crate) async fn receive(&mut self) -> Option<Node> {
        let mut frame = self.socket.next().await?;
        let (cipher, counter) = &mut self.read;
        cipher.decrypt_in_place_with_counter(*counter, &mut frame).unwrap();
        *counter += 1;
        Some(OwnedNodeRef::new(unpack_bytes(frame).unwrap()).unwrap().to_owned_node())
    }

    /// Returns the next stanza with this tag, and skips others.
    pub(crate) async fn receive_tag(&mut self, tag: &str) -> Node {
        loop {
            let node = self.receive().await.unwrap_or_else(|| panic!("closed before a <{tag}>"));
            if node.tag == tag {
                return node;
            }
        }
    }

    /// Sends a query and returns its answer.
    pub(crate) async fn ask(&mut self, kind: &'static str, namespace: &str, child: Node) -> Node {
        let id = self.query(kind, namespace, child).await;
        loop {
            let answer = self.receive_tag("iq").await;
            if text(&answer, "id") == id {
                return answer;
            }
        }
    }

    /// Sends a query and does not wait for the answer.
    pub(crate) async fn query(
        &mut self,
        kind: &'static str,
        namespace: &str,
        child: Node,
    ) -> String {
        let id = format!("q{}", self.write.1);
        let query = NodeBuilder::new("iq")
            .attr("to", "s.whatsapp.net")
            .attr("type", kind)
            .attr("xmlns", namespace)
            .attr("id", id.as_str());
        self.send(query.children([child]).build()).await;
        id
    }

    /// Becomes active, so that the server sends queued messages.
    pub(crate) async fn activate(&mut self) {
        let answer = self.ask("set", "passive", NodeBuilder::new("active").build()).await;
        assert_eq!(text(&answer, "type"), "result");
    }

    /// Returns the references that the server sends for QR codes.
    pub(crate) async fn refs(&mut self) -> Vec<String> {
        let offer = self.receive_tag("iq").await;
        let pair_device = offer.get_optional_child("pair-device").unwrap();
        let refs = pair_device.get_children_by_tag("ref");
        refs.map(|node| String::from_utf8(bytes(node)).unwrap()).collect()
    }

    /// Receives the approval, verifies it as the engine does, and signs. Returns the error if the
    /// verification fails.
    pub(crate) async fn sign(&mut self, keys: &ClientKeys) -> Result<Node, &'static str> {
        self.sign_approval(keys).await.map(|(success, _)| success)
    }

    /// Signs like [`sign`](Self::sign), and also returns the signed approval.
    pub(crate) async fn sign_approval(
        &mut self,
        keys: &ClientKeys,
    ) -> Result<(Node, Vec<u8>), &'static str> {
        let order = self.receive_tag("iq").await;
        let success = order.get_optional_child("pair-success").unwrap().clone();
        let identity = bytes(success.get_optional_child("device-identity").unwrap());
        match PairUtils::do_pair_crypto(&keys.state, &identity) {
            Ok((signed, index)) => {
                let id = text(&order, "id");
                let answer = PairUtils::build_pair_success_response(&id, signed.clone(), index);
                self.send(answer).await;
                Ok((success, signed))
            }
            Err(error) => {
                let no =
                    PairUtils::build_pair_error_node(&text(&order, "id"), error.code, error.text);
                self.send(no).await;
                Err(error.text)
            }
        }
    }

    /// Waits until the server closes; returns the last stanza, if any.
    pub(crate) async fn wait_for_close(&mut self) -> Option<Node> {
        let mut last = None;
        while let Some(node) = self.receive().await {
            last = Some(node);
        }
        last
    }
}

/// Verifies a chain from the root over the intermediate to the leaf, which must have the key that
/// the server proved to have.
fn verify(chain: &[u8], anchor: [u8; 32], server: [u8; 32]) {
    let chain = CertChain::decode_from_slice(chain).unwrap();
    let mut issuer = anchor;
    for certificate in [chain.intermediate, chain.leaf] {
        let certificate = certificate.into_option().unwrap();
        let (details, signature) = (certificate.details.unwrap(), certificate.signature.unwrap());
        let key = PublicKey::from_djb_public_key_bytes(&issuer).unwrap();
        assert!(key.verify_signature(&details, &signature), "a certificate has a wrong signature");
        let details = Details::decode_from_slice(&details[..]).unwrap();
        issuer = details.key.unwrap().try_into().unwrap();
    }
    assert_eq!(issuer, server, "the chain ends in a different key");
}

pub(crate) fn text(node: &Node, name: &str) -> String {
    node.attrs.get(name).map(|value| value.as_str().into_owned()).unwrap_or_default()
}

pub(crate) fn bytes(node: &Node) -> Vec<u8> {
    node.as_node_ref().content_bytes().unwrap().to_vec()
}
