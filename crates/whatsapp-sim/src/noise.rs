//! The server side of the Noise handshake: XX for clients without a server key, IK for clients with
//! the server's key, and the fallback to XX for clients with an old key. The module does no input
//! or output, so that it can be tested with bytes.

use crate::certificate::Credentials;
use crate::keys::{self, Key};
use wacore::libsignal::protocol::KeyPair;
use wacore_binary::consts::{
    NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK, WA_CONN_HEADER,
};
use wacore_noise::{HandshakeError, NoiseCipher, NoiseHandshake};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::handshake_message::{ClientFinish, ClientHello, ServerHello};
use waproto::whatsapp::{ClientPayload, HandshakeMessage};

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoiseError {
    #[error("cannot decode the client's message: {0}")]
    Unreadable(String),
    #[error("the client's message lacks its {0}")]
    Missing(&'static str),
    #[error(transparent)]
    Noise(#[from] HandshakeError),
}

/// The handshake pattern of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// The client had no server key.
    Xx,
    /// The client had the server's key.
    Ik,
    /// The client had an old server key.
    XxFallback,
}

/// The result of a handshake: the ciphers of both directions, the client's key and its payload.
pub(crate) struct EstablishedChannel {
    pub(crate) read: NoiseCipher,
    pub(crate) write: NoiseCipher,
    pub(crate) client: Key,
    pub(crate) payload: ClientPayload,
    pub(crate) pattern: Pattern,
}

/// The answer to the client's first message, followed by an open channel or by the client's second
/// message.
pub(crate) enum HandshakeReply {
    Finished(Vec<u8>, Box<EstablishedChannel>),
    Pending(Vec<u8>, Box<PendingHandshake>),
}

/// Answers the client's first message.
pub(crate) fn answer(ours: &Credentials, hello: &[u8]) -> Result<HandshakeReply, NoiseError> {
    let hello = decode(hello)?.client_hello.into_option().ok_or(NoiseError::Missing("hello"))?;
    let client = key(hello.ephemeral.as_deref(), "ephemeral key")?;
    match try_ik(ours, &hello, &client) {
        Some(Ok((reply, secrets))) => Ok(HandshakeReply::Finished(reply, Box::new(secrets))),
        // The client has an old key and learns the new one by the fallback.
        Some(Err(_)) => reply_xx(ours, &client, Pattern::XxFallback),
        None => reply_xx(ours, &client, Pattern::Xx),
    }
}

type IkResult = Result<(Vec<u8>, EstablishedChannel), NoiseError>;

/// IK: `-> e es s ss payload`, `<- e ee se payload`. `None` if the client did not try IK.
fn try_ik(ours: &Credentials, hello: &ClientHello, client: &Key) -> Option<IkResult> {
    let sealed = (hello.r#static.as_deref()?, hello.payload.as_deref()?);
    Some(accept_ik(ours, sealed, client))
}

fn accept_ik(ours: &Credentials, (sealed_key, payload): (&[u8], &[u8]), client: &Key) -> IkResult {
    let server = ours.server.private_key.serialize();
    let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, &WA_CONN_HEADER)?;
    noise.authenticate(&keys::public(&ours.server));
    noise.authenticate(client);
    noise.mix_shared_secret(server, client)?;
    let device = key(Some(&noise.decrypt(sealed_key)?), "static key")?;
    noise.mix_shared_secret(server, &device)?;
    let payload = noise.decrypt(payload)?;

    let ephemeral = keys::generate();
    noise.authenticate(&keys::public(&ephemeral));
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client)?;
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &device)?;
    let reply = server_hello(&ephemeral, None, noise.encrypt(&ours.chain)?);
    Ok((reply, secrets(noise, device, &payload, Pattern::Ik)?))
}

/// XX: `-> e`, `<- e ee s es payload`, `-> s se payload`.
fn reply_xx(
    ours: &Credentials,
    client: &Key,
    pattern: Pattern,
) -> Result<HandshakeReply, NoiseError> {
    let name = if pattern == Pattern::Xx { NOISE_PATTERN_XX } else { NOISE_PATTERN_XXFALLBACK };
    let ephemeral = keys::generate();
    let mut noise = NoiseHandshake::new(name, &WA_CONN_HEADER)?;
    noise.authenticate(client);
    noise.authenticate(&keys::public(&ephemeral));
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client)?;
    let sealed_key = noise.encrypt(&keys::public(&ours.server))?;
    noise.mix_shared_secret(ours.server.private_key.serialize(), client)?;
    let reply = server_hello(&ephemeral, Some(sealed_key), noise.encrypt(&ours.chain)?);
    Ok(HandshakeReply::Pending(reply, Box::new(PendingHandshake { noise, ephemeral, pattern })))
}

/// An XX handshake that waits for the client's second message.
pub(crate) struct PendingHandshake {
    noise: NoiseHandshake,
    ephemeral: KeyPair,
    pattern: Pattern,
}

impl PendingHandshake {
    /// Processes the client's second message.
    pub(crate) fn finish(self, message: &[u8]) -> Result<EstablishedChannel, NoiseError> {
        let Self { mut noise, ephemeral, pattern } = self;
        let ClientFinish { r#static: sealed_key, payload, .. } =
            decode(message)?.client_finish.into_option().ok_or(NoiseError::Missing("finish"))?;
        let sealed_key = sealed_key.ok_or(NoiseError::Missing("static key"))?;
        let device = key(Some(&noise.decrypt(&sealed_key)?), "static key")?;
        noise.mix_shared_secret(ephemeral.private_key.serialize(), &device)?;
        let payload = noise.decrypt(&payload.ok_or(NoiseError::Missing("payload"))?)?;
        secrets(noise, device, &payload, pattern)
    }
}

fn secrets(
    noise: NoiseHandshake,
    client: Key,
    payload: &[u8],
    pattern: Pattern,
) -> Result<EstablishedChannel, NoiseError> {
    let payload = ClientPayload::decode_from_slice(payload)
        .map_err(|e| NoiseError::Unreadable(e.to_string()))?;
    // The initiator writes with the first key; the server is the responder.
    let (read, write) = noise.finish()?;
    Ok(EstablishedChannel { read, write, client, payload, pattern })
}

fn server_hello(ephemeral: &KeyPair, sealed_key: Option<Vec<u8>>, chain: Vec<u8>) -> Vec<u8> {
    HandshakeMessage {
        server_hello: MessageField::some(ServerHello {
            ephemeral: Some(keys::public(ephemeral).to_vec()),
            r#static: sealed_key,
            payload: Some(chain),
            ..Default::default()
        }),
        ..Default::default()
    }
    .encode_to_vec()
}

fn decode(bytes: &[u8]) -> Result<HandshakeMessage, NoiseError> {
    HandshakeMessage::decode_from_slice(bytes).map_err(|e| NoiseError::Unreadable(e.to_string()))
}

fn key(bytes: Option<&[u8]>, what: &'static str) -> Result<Key, NoiseError> {
    bytes.and_then(|b| b.try_into().ok()).ok_or(NoiseError::Missing(what))
}
