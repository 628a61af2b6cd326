//! Errors at start when the key set cannot be used.

use std::error::Error;

use auth::{Config, ConfigError, JwtVerifier, Source};
use domain::testing::TestEnvironment;
use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::signer::Signer;

async fn start(source: &str) -> Result<bool, ConfigError> {
    let config = Config { jwks: Some(Source::parse(source, false)?), ..Config::default() };
    let verifier = JwtVerifier::start(config, TestEnvironment::new()).await?;
    Ok(verifier.unwrap().is_ready())
}

/// Returns the error message with its causes, as a log shows them.
async fn error_message(source: &str) -> String {
    let error = start(source).await.err().unwrap();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn usable_inline_keys_and_files_are_ready_at_once() {
    let set = json!({ "keys": [Signer::new(Algorithm::ES384, "k1").jwk()] }).to_string();
    assert!(start(&set).await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, set).unwrap();
    assert!(start(path.to_str().unwrap()).await.unwrap());
}

#[tokio::test]
async fn start_succeeds_while_the_issuer_does_not_answer() {
    // A free port: bound and closed again.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert!(!start(&format!("http://{address}/jwks")).await.unwrap());
}

#[tokio::test]
async fn error_explains_why_keys_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere.json");
    let directory = folder.path().to_str().unwrap().to_owned();
    let weak = r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"oct","k":"AA"}]}"#;
    for (source, words) in [
        ("{", &["inline JSON", "not a JSON Web Key Set"][..]),
        ("{}", &["inline JSON", "missing field `keys`"]),
        (r#"{"keys":[]}"#, &["inline JSON", "no usable key"]),
        (
            weak,
            &[
                "no usable key",
                "key 0 is an RSA key of fewer than 2048",
                "key 1 is a shared secret",
            ],
        ),
        (missing.to_str().unwrap(), &["nowhere.json", "No such file"]),
        (&directory, &["cannot be read", &directory]),
        ("http://id.example/jwks", &["https"]),
        ("gopher://id.example", &["https"]),
        ("", &["empty"]),
    ] {
        let text = error_message(source).await;
        for word in words {
            assert!(text.contains(word), "{source}: {text}");
        }
    }
}

#[tokio::test]
async fn empty_issuer_or_audience_is_refused() {
    let empty = Some(String::new());
    for (config, word) in [
        (Config { issuer: empty.clone(), ..Config::default() }, "issuer"),
        (Config { audience: empty, ..Config::default() }, "audience"),
    ] {
        let error = JwtVerifier::start(config, TestEnvironment::new()).await.err().unwrap();
        assert!(error.to_string().contains(word), "{error}");
    }
}
