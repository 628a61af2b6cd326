//! The OpenAPI document and its page as the service returns them.

use std::io::Read;

use domain::testing::World;
use flate2::read::GzDecoder;
use http_hyper::{
    api::{Requires, operations},
    openapi,
};
use hyper::Method;

use crate::{
    caller_kinds::KINDS,
    client::{BOTH, ReceivedResponse, Version, ask, send},
    test_server::TestServer,
};

const PAGE: [&str; 4] = ["/docs", "/docs/start.js", "/docs/swagger-ui.js", "/docs/swagger-ui.css"];

async fn get(server: &TestServer, path: &str, name: &str, value: &str) -> ReceivedResponse {
    send(server.address, Version::One, ask("GET", path).header(name, value), "").await
}

#[tokio::test]
async fn served_document_matches_the_table() {
    let server = TestServer::open().await;
    for version in BOTH {
        let answer = server.say(version, "", "GET", "/openapi.json", None).await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(
            answer.body == openapi::text(),
            "`cargo xtask bless` writes docs/openapi.json anew"
        );
    }
}

#[tokio::test]
async fn current_document_is_304() {
    let server = TestServer::open().await;
    for path in PAGE.into_iter().chain(["/openapi.json"]) {
        for coding in ["identity", "gzip"] {
            let first = get(&server, path, "accept-encoding", coding).await;
            assert_eq!(first.header("cache-control"), "no-cache", "{path}");
            let tag = first.header("etag");
            let again = ask("GET", path).header("accept-encoding", coding);
            let again = again.header("if-none-match", tag);
            let again = send(server.address, Version::Two, again, "").await;
            assert_eq!((again.status.as_u16(), again.header("etag")), (304, tag), "{path}");
            assert!(again.body.is_empty(), "{path}");
            let head = server.ask("", "HEAD", path).await;
            assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "{path}");
        }
        let other = get(&server, path, "if-none-match", "\"another\"").await;
        assert_eq!(other.status, 200, "{path}");
    }
}

#[tokio::test]
async fn compressed_and_plain_file_have_two_entity_tags() {
    let server = TestServer::open().await;
    for path in ["/docs/swagger-ui.js", "/docs/swagger-ui.css"] {
        let plain = get(&server, path, "accept-encoding", "br").await;
        let packed = get(&server, path, "accept-encoding", "gzip, br").await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert_eq!(plain.header("content-encoding"), "");
        assert_ne!(packed.header("etag"), plain.header("etag"));
        for answer in [&packed, &plain] {
            assert_eq!(answer.header("vary"), "accept-encoding");
        }
        let mut text = Vec::new();
        GzDecoder::new(&packed.body[..]).read_to_end(&mut text).unwrap();
        assert!(text == plain.body && packed.body.len() < text.len() / 2);
    }
}

#[tokio::test]
async fn docs_page_is_limited_to_its_origin() {
    let server = TestServer::open().await;
    let page = server.ask("", "GET", "/docs").await;
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    for source in policy.split(';').flat_map(|rule| rule.split_whitespace().skip(1)) {
        let near = ["'none'", "'self'", "data:"].contains(&source);
        assert!(near, "{source} is another origin");
    }
    assert!(policy.contains("script-src 'self';"), "{policy}");
    // No other response has a policy that allows scripts.
    for row in operations().filter(|row| row.path != "/docs") {
        let path = row.path.replace("{session}", "x").replace("{key}", "x");
        let path = path.replace("{webhook}", "x").replace("{deadLetter}", "x");
        let answer = server.ask("acme", row.method.as_str(), &path).await;
        let policy = answer.header("content-security-policy");
        assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'", "{row:?}");
    }
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!page.contains("//") && !page.contains("<script>"), "it names another host: {page}");
}

#[tokio::test]
async fn open_operations_are_the_same_for_every_caller() {
    let (empty, server) = (TestServer::open().await, TestServer::open().await);
    let (this, other) = (server.linked().await.id, server.world.acme_session().await.id);
    for row in
        operations().filter(|row| row.requires == Requires::Nothing && row.method == Method::GET)
    {
        let reference = empty.ask("", "GET", row.path).await.comparable();
        for kind in &KINDS {
            let caller = kind.token(this.as_str(), other.as_str());
            let outcomes = server.ask(&caller, "GET", row.path).await;
            assert!(outcomes.comparable() == reference, "{row:?} differs for {kind:?}");
        }
    }
    assert_eq!(server.world.sessions.view(&World::acme(), this.as_str()).await.unwrap().id, this);
}
