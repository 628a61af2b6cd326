//! Linking by pairing code.

use crate::client::{Client, ClientKeys, PATIENCE, bytes, pair, public, text};
use crate::{ANN, connect_unlinked, expect_refusal, network};
use std::time::Duration;
use wacore::libsignal::protocol::KeyPair;
use wacore::pair_code::PairCodeUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use whatsapp_sim::{Config, PhoneError};

const CODE: &str = "ABCD1234";

fn stage(name: &str, children: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Node {
    let children =
        children.into_iter().map(|(tag, bytes)| NodeBuilder::new(tag).bytes(bytes).build());
    NodeBuilder::new("link_code_companion_reg")
        .attr("jid", format!("{ANN}@s.whatsapp.net"))
        .attr("stage", name)
        .children(children)
        .build()
}

/// Requests a code; returns the reference of the server.
async fn ask(client: &mut Client, ephemeral: &KeyPair, code: &str) -> Vec<u8> {
    let wrapped = PairCodeUtils::encrypt_ephemeral_pub(&public(ephemeral), code).to_vec();
    let hello = [("link_code_pairing_wrapped_companion_ephemeral_pub", wrapped)];
    let answer = client.ask("set", "md", stage("companion_hello", hello)).await;
    let part = answer.get_optional_child("link_code_companion_reg").unwrap();
    bytes(part.get_optional_child("link_code_pairing_ref").unwrap())
}

/// Answers the phone's message with the client's last message, and stores the link secret in the
/// keys.
async fn finish(client: &mut Client, keys: &mut ClientKeys, ephemeral: &KeyPair, code: &str) {
    let heard = client.receive_tag("notification").await;
    let part = heard.get_optional_child("link_code_companion_reg").unwrap();
    let child = |tag| bytes(part.get_optional_child(tag).unwrap());
    let wrapped = child("link_code_pairing_wrapped_primary_ephemeral_pub");
    let theirs = PairCodeUtils::decrypt_primary_ephemeral_pub(&wrapped, code).unwrap();
    let account = child("primary_identity_pub").try_into().unwrap();
    let identity = &keys.state.identity_key;
    let (bundle, secret) =
        PairCodeUtils::prepare_key_bundle(ephemeral, &theirs, &account, identity).unwrap();
    let last = [
        ("link_code_pairing_wrapped_key_bundle", bundle),
        ("companion_identity_public", public(identity).to_vec()),
        ("link_code_pairing_ref", child("link_code_pairing_ref")),
    ];
    keys.state.adv_secret_key = secret;
    let answer = client.ask("set", "md", stage("companion_finish", last)).await;
    assert_eq!(text(&answer, "type"), "result");
}

#[tokio::test]
async fn code_links_after_a_wrong_code() {
    let (simulator, phone) = network(Config::default()).await;
    let (mut keys, ephemeral) = (ClientKeys::new(), pair());
    let (mut client, _) = connect_unlinked(&simulator, &keys).await;
    ask(&mut client, &ephemeral, CODE).await;
    let wrong = async { finish(&mut client, &mut keys, &ephemeral, CODE).await };
    let (typed, ()) = tokio::join!(phone.enter_code("WXYZ-9876"), wrong);
    assert_eq!(expect_refusal(typed), PhoneError::WrongCode);
    let right = async {
        finish(&mut client, &mut keys, &ephemeral, CODE).await;
        client.sign(&keys).await.unwrap();
    };
    let (typed, ()) = tokio::join!(phone.enter_code("abcd-1234"), right);
    assert_eq!(phone.devices(), [typed.unwrap()]);
    assert_eq!(text(&client.wait_for_close().await.unwrap(), "code"), "515");
}

#[tokio::test]
async fn unrequested_and_expired_codes_are_refused() {
    let config = Config {
        code_lifetime: Duration::ZERO,
        code_request_timeout: Duration::ZERO,
        ..Config::default()
    };
    let (simulator, phone) = network(config).await;
    assert_eq!(expect_refusal(phone.enter_code(CODE).await), PhoneError::NoPendingCode);
    let (mut client, _) = connect_unlinked(&simulator, &ClientKeys::new()).await;
    ask(&mut client, &pair(), CODE).await;
    assert_eq!(expect_refusal(phone.enter_code(CODE).await), PhoneError::NoPendingCode);
}

#[tokio::test]
async fn code_may_be_entered_before_the_request_arrives() {
    let (simulator, phone) =
        network(Config { code_request_timeout: PATIENCE, ..Config::default() }).await;
    let (mut keys, ephemeral) = (ClientKeys::new(), pair());
    let client = async {
        let (mut client, _) = connect_unlinked(&simulator, &keys).await;
        ask(&mut client, &ephemeral, CODE).await;
        finish(&mut client, &mut keys, &ephemeral, CODE).await;
        client.sign(&keys).await.unwrap();
    };
    let (typed, ()) = tokio::join!(biased; phone.enter_code(CODE), client);
    assert!(typed.is_ok());
}

#[tokio::test]
async fn code_request_ends_with_its_client() {
    let (simulator, phone) =
        network(Config { code_request_timeout: Duration::ZERO, ..Config::default() }).await;
    let (mut client, _) = connect_unlinked(&simulator, &ClientKeys::new()).await;
    ask(&mut client, &pair(), CODE).await;
    assert!(phone.is_code_awaited());
    drop(client);
    assert!(phone.wait_for(PATIENCE, |phone| !phone.is_code_awaited()).await);
    assert_eq!(expect_refusal(phone.enter_code(CODE).await), PhoneError::NoPendingCode);
}

#[tokio::test]
async fn incomplete_code_request_is_an_error() {
    let (simulator, phone) = network(Config::default()).await;
    let (mut client, _) = connect_unlinked(&simulator, &ClientKeys::new()).await;
    for part in [stage("companion_hello", []), stage("companion_finish", []), stage("nonsense", [])]
    {
        assert_eq!(text(&client.ask("set", "md", part).await, "type"), "error");
    }
    assert!(!phone.is_code_awaited());
}
