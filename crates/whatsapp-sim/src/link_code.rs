//! Linking by a code that the client shows and a person enters on the phone. The code wraps two
//! ephemeral keys; their shared secret and both identities yield the secret that a QR code would
//! contain.

use crate::address;
use crate::error::PhoneError;
use crate::keys::{self, Key};
use crate::network::Network;
use crate::network_state::{CodeFinish, CodeRequest};
use crate::registration::{self, Outcome};
use crate::socket::Socket;
use crate::stanza::{self, attribute, child_bytes, leaf};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use wacore::crypto::hkdf_sha256_into;
use wacore::libsignal::crypto::aes_256_gcm_decrypt;
use wacore::libsignal::protocol::KeyPair;
use wacore::pair_code::PairCodeUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

const BUNDLE_KEY: &[u8] = b"link_code_pairing_key_bundle_encryption_key";
const REGISTRATION: &str = "link_code_companion_reg";
const REFERENCE: &str = "link_code_pairing_ref";

/// Handles the client's part of linking by code: the first message requests, the last one
/// completes.
pub(crate) fn on_client_query(
    network: &Network,
    socket: &Socket,
    id: &str,
    query: &NodeRef<'_>,
) -> Node {
    let Some(part) = query.get_optional_child(REGISTRATION) else {
        return stanza::refusal(id, 400, "bad-request");
    };
    let answer = match attribute(part, "stage").as_str() {
        "companion_hello" => on_companion_hello(network, socket, part),
        "companion_finish" => on_companion_finish(network, socket, part),
        _ => None,
    };
    match answer {
        Some(children) => stanza::result(id, children),
        None => stanza::refusal(id, 400, "bad-request"),
    }
}

fn on_companion_hello(network: &Network, socket: &Socket, part: &NodeRef<'_>) -> Option<Vec<Node>> {
    let number = address::user(&attribute(part, "jid")).to_owned();
    let wrapped = child_bytes(part, "link_code_pairing_wrapped_companion_ephemeral_pub")?;
    if number.is_empty() || wrapped.len() != 80 {
        return None;
    }
    let asked = Instant::now();
    let reference = rand::random::<[u8; 24]>().to_vec();
    let ends = asked + network.config.code_lifetime;
    let mut state = network.state();
    let unlinked = state.unlinked_clients.get_mut(&socket.id)?;
    let code =
        CodeRequest { number, reference: reference.clone(), wrapped, asked, ends, finish: None };
    unlinked.code = Some(code);
    drop(state);
    network.changed();
    let answer = NodeBuilder::new(REGISTRATION)
        .attr("stage", "companion_hello")
        .children([leaf(REFERENCE, reference)])
        .build();
    Some(vec![answer])
}

fn on_companion_finish(
    network: &Network,
    socket: &Socket,
    part: &NodeRef<'_>,
) -> Option<Vec<Node>> {
    let bundle = child_bytes(part, "link_code_pairing_wrapped_key_bundle")?;
    let identity: Key = child_bytes(part, "companion_identity_public")?.try_into().ok()?;
    let mut state = network.state();
    let code = state.unlinked_clients.get_mut(&socket.id)?.code.as_mut()?;
    if child_bytes(part, REFERENCE)? != code.reference {
        return None;
    }
    // Without a waiting phone, the person gave up; the client is not told.
    if let Some(waiting) = code.finish.take() {
        let _ = waiting.send(CodeFinish { bundle, identity });
    }
    Some(Vec::new())
}

/// Returns an entered code in upper case and without its dash.
pub(crate) fn normalize(code: &str) -> Result<String, PhoneError> {
    let code = code.trim().to_uppercase();
    let code = match code.split_once('-') {
        Some((left, right)) if left.len() == 4 && right.len() == 4 => [left, right].concat(),
        Some(_) => return Err(PhoneError::BadCode),
        None => code,
    };
    let good = code.len() == 8 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    good.then_some(code).ok_or(PhoneError::BadCode)
}

/// Handles a code that a person entered on a phone. Only the client's last message shows whether
/// the code is right.
pub(crate) async fn enter(
    network: &Network,
    number: &str,
    code: String,
) -> Result<Outcome, PhoneError> {
    let waiting = {
        let mut state = network.state();
        state.account(number)?;
        let unlinked = state.client_by_code(number).ok_or(PhoneError::NoPendingCode)?;
        unlinked.code.as_ref().map(|code| code.wrapped.clone()).unwrap_or_default()
    };
    let ephemeral = keys::generate();
    let ours = keys::public(&ephemeral);
    // The key derivation is slow by design.
    let derived = tokio::task::spawn_blocking(move || {
        let theirs = PairCodeUtils::decrypt_primary_ephemeral_pub(&waiting, &code)?;
        Ok::<_, wacore::pair_code::PairCodeError>((
            theirs,
            PairCodeUtils::encrypt_ephemeral_pub(&ours, &code).to_vec(),
        ))
    });
    let (theirs, wrapped) = derived
        .await
        .map_err(|e| PhoneError::Internal(e.to_string()))?
        .map_err(|e| PhoneError::Internal(e.to_string()))?;
    let (client, account, finished) = send_primary_hello(network, number, wrapped)?;
    let deadline = Instant::now() + network.config.companion_timeout;
    let finish = timeout_at(deadline, finished)
        .await
        .map_err(|_| PhoneError::ClientTimeout)?
        .map_err(|_| PhoneError::ClientTimeout)?;
    let secret =
        link_secret(&ephemeral, &theirs, &account, &finish).ok_or(PhoneError::WrongCode)?;
    let mut state = network.state();
    registration::approve(network, &mut state, client, number, finish.identity, &secret)
}

type CodeExchange = (u64, KeyPair, oneshot::Receiver<CodeFinish>);

/// Sends the phone's wrapped key to the client.
fn send_primary_hello(
    network: &Network,
    number: &str,
    wrapped: Vec<u8>,
) -> Result<CodeExchange, PhoneError> {
    let mut state = network.state();
    let account = state.account(number)?.keys.clone();
    let unlinked = state.client_by_code(number).ok_or(PhoneError::NoPendingCode)?;
    let code = unlinked.code.as_mut().ok_or(PhoneError::NoPendingCode)?;
    if code.finish.as_ref().is_some_and(|waiting| !waiting.is_closed()) {
        return Err(PhoneError::LinkInProgress);
    }
    let (done, finished) = oneshot::channel();
    code.finish = Some(done);
    let hello = NodeBuilder::new(REGISTRATION)
        .attr("stage", "primary_hello")
        .children([
            leaf("link_code_pairing_wrapped_primary_ephemeral_pub", wrapped),
            leaf("primary_identity_pub", keys::public(&account)),
            leaf(REFERENCE, code.reference.clone()),
        ])
        .build();
    let notification = NodeBuilder::new("notification")
        .attr("from", stanza::SERVER)
        .attr("type", REGISTRATION)
        .attr("id", network.next_id("n"))
        .attr("t", crate::clock::seconds())
        .children([hello])
        .build();
    unlinked.socket.send(notification);
    Ok((unlinked.socket.id, account, finished))
}

/// Decrypts the client's bundle and derives the link secret; `None` if the code, and with it the
/// key, was another.
fn link_secret(
    ephemeral: &KeyPair,
    theirs: &Key,
    account: &KeyPair,
    finish: &CodeFinish,
) -> Option<Key> {
    let agreed = ephemeral.private_key.calculate_agreement(&keys::curve(theirs).ok()?).ok()?;
    let (salt, rest) = finish.bundle.split_at_checked(32)?;
    let (iv, sealed) = rest.split_at_checked(12)?;
    let mut key = Key::default();
    hkdf_sha256_into(&agreed, Some(salt), BUNDLE_KEY, &mut key).ok()?;
    let mut plain = Vec::new();
    aes_256_gcm_decrypt(&key, iv.try_into().ok()?, b"", sealed, &mut plain).ok()?;
    let (identity, rest) = plain.split_at_checked(32)?;
    let (named, random) = rest.split_at_checked(32)?;
    if identity != finish.identity || named != keys::public(account) || random.len() != 32 {
        return None;
    }
    let client = keys::curve(&finish.identity).ok()?;
    let known = account.private_key.calculate_agreement(&client).ok()?;
    let mut secret = Key::default();
    hkdf_sha256_into(&[&agreed[..], &known, random].concat(), None, b"adv_secret", &mut secret)
        .ok()?;
    Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_may_have_a_dash_and_lower_case() {
        for typed in ["ABCD1234", "abcd-1234", " ABCD-1234 "] {
            assert_eq!(normalize(typed).unwrap(), "ABCD1234");
        }
    }

    #[test]
    fn malformed_code_is_refused() {
        for bad in ["", "ABCD123", "ABCD12345", "ABC-D1234", "ABCD-12-4", "ÄBCD1234", "ABCD 234"] {
            assert_eq!(normalize(bad), Err(PhoneError::BadCode), "{bad}");
        }
    }
}
