//! Filters of the session list: entries match every filter, and a cursor is valid with its filters
//! only.

use serde_json::json;

use crate::test_server::TestServer;

const SESSIONS: &str = "/api/v1/sessions";

/// Returns the ids of all sessions that match a query, read page by page.
async fn found(server: &TestServer, caller: &str, query: &str) -> Vec<String> {
    let mut path = format!("{SESSIONS}?limit=1&{query}");
    let mut ids = Vec::new();
    loop {
        let answer = server.ask(caller, "GET", &path).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        let page = answer.json();
        let data = page["data"].as_array().unwrap();
        ids.extend(data.iter().map(|session| session["id"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("{SESSIONS}?limit=1&{query}&cursor={cursor}"),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn filters_narrow_the_list_and_combine() {
    let server = TestServer::open().await;
    let named = server.post("acme", SESSIONS, &json!({ "label": "Käse & Co" })).await.json();
    let named = named["id"].as_str().unwrap().to_owned();
    let plain = server.world.acme_session().await.id.as_str().to_owned();
    let pairing = server.pairing().await.id.as_str().to_owned();
    let linked = server.linked().await;
    let phone = linked.observed.identity.unwrap().phone;
    let working = linked.id.as_str().to_owned();
    let cases = [
        ("", vec![&working, &pairing, &plain, &named]),
        ("status=working", vec![&working]),
        ("status=stopped", vec![&plain, &named]),
        ("status=working&status=scan_qr_code&status=working", vec![&working, &pairing]),
        ("status=failed", vec![]),
        ("label=K%C3%A4se+%26+Co", vec![&named]),
        ("label=K%C3%A4se", vec![]),
        ("label=", vec![]),
        ("label=canary+label", vec![&working, &pairing, &plain]),
        ("gatewayId=gw-test", vec![&working, &pairing]),
        ("gatewayId=gw-2", vec![]),
        ("gatewayId=", vec![]),
        ("gatewayId=no%2Fnode", vec![]),
        ("gatewayId=gw-test&status=scan_qr_code&label=canary%20label", vec![&pairing]),
        ("gatewayId=gw-test&status=stopped", vec![]),
    ];
    for (query, expected) in cases {
        assert_eq!(
            found(&server, "acme", query).await.iter().collect::<Vec<_>>(),
            expected,
            "{query}"
        );
    }
    assert_eq!(
        found(&server, "acme", &format!("phoneNumber={phone}")).await,
        std::slice::from_ref(&working)
    );
    assert!(found(&server, "acme", "phoneNumber=4900000").await.is_empty());
    // Filters reveal no sessions of other organizations.
    for query in ["", "status=working", "gatewayId=gw-test", &format!("phoneNumber={phone}")] {
        assert!(found(&server, "zeta", query).await.is_empty(), "{query}");
        assert!(found(&server, &format!("only-{named}"), "status=working").await.is_empty());
    }
}

#[tokio::test]
async fn invalid_filter_value_is_a_fault() {
    let server = TestServer::open().await;
    for (query, faults) in [
        ("status=", vec!["status"]),
        ("status=working&status=WORKING&status=no", vec!["status", "status"]),
        ("label=a&label=b", vec!["label"]),
        ("label=%00", vec!["label"]),
        ("phoneNumber=%2B4915112345678", vec!["phoneNumber"]),
        ("phoneNumber=+49151", vec!["phoneNumber"]),
        ("phoneNumber=", vec!["phoneNumber"]),
        ("gatewayId=a&gatewayId=a", vec!["gatewayId"]),
        (
            "status=x&limit=0&phoneNumber=y&colour=blue",
            vec!["colour", "limit", "phoneNumber", "status"],
        ),
    ] {
        let answer = server.ask("acme", "GET", &format!("{SESSIONS}?{query}")).await;
        let mut outcomes = answer.faults();
        outcomes.sort();
        assert_eq!(
            (answer.status.as_u16(), outcomes),
            (400, faults.iter().map(ToString::to_string).collect()),
            "{query}"
        );
    }
}

#[tokio::test]
async fn cursor_is_valid_with_the_same_filters_only() {
    let server = TestServer::open().await;
    for _ in 0..3 {
        server.world.acme_session().await;
    }
    let given = |query: &'static str| {
        let server = &server;
        async move {
            let page =
                server.ask("acme", "GET", &format!("{SESSIONS}?limit=1&{query}")).await.json();
            page["nextCursor"].as_str().unwrap().to_owned()
        }
    };
    let status = |query: &'static str, cursor: String| {
        let server = &server;
        async move {
            let path = format!("{SESSIONS}?cursor={cursor}&{query}");
            let answer = server.ask("acme", "GET", &path).await;
            assert!(answer.status == 200 || answer.faults() == ["cursor"]);
            answer.status.as_u16()
        }
    };
    let (all, some) = (given("").await, given("status=stopped&status=failed").await);
    assert_eq!(status("limit=2", all.clone()).await, 200);
    for other in ["status=stopped", "label=canary+label", "gatewayId=gw-test", "phoneNumber=1"] {
        assert_eq!(status(other, all.clone()).await, 400, "{other}");
    }
    // The same filters in another spelling.
    assert_eq!(status("status=failed&status=stopped&status=failed", some.clone()).await, 200);
    for other in ["", "status=stopped", "status=stopped&status=failed&label=canary+label"] {
        assert_eq!(status(other, some.clone()).await, 400, "{other}");
    }
}
