//! Unread bodies: the connection continues, or the response announces its close.

use std::time::Duration;

use tokio::{io::AsyncWriteExt, net::TcpStream, time::sleep};

use crate::{
    client::{ReceivedResponse, one_answer, parse, read_to_end},
    test_server::TestServer,
};

const NEXT: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// The head of a request that is rejected before its body is read.
fn refused(method: &str, more: &str) -> String {
    format!("{method} /api/v1/sessions HTTP/1.1\r\nhost: x\r\nx-api-key: garbage\r\n{more}\r\n")
}

fn ends(answer: &ReceivedResponse) -> bool {
    answer.headers.get("connection").is_some_and(|value| value == "close")
}

#[tokio::test]
async fn connection_continues_after_an_unread_body_or_announces_its_close() {
    let server = TestServer::open().await;
    let mut went_on = 0;
    for (method, status) in [("POST", 401), ("GET", 401), ("PATCH", 405)] {
        for pause in [0, 1, 5, 50, 90, 100, 110, 200] {
            let about = format!("{method}, the body {pause} ms after the head");
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let head = refused(method, "content-type: application/json\r\ncontent-length: 2\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            sleep(Duration::from_millis(pause)).await;
            stream.write_all(b"{}").await.unwrap();
            let answer = one_answer(&mut stream).await;
            assert_eq!(answer.status, status, "{about}");
            if !ends(&answer) {
                went_on += 1;
                stream.write_all(NEXT).await.unwrap();
                assert_eq!(parse(&read_to_end(&mut stream).await).status, 200, "{about}");
            }
        }
    }
    assert_ne!(went_on, 0, "no connection goes on");
}

#[tokio::test]
async fn missing_or_large_unread_body_closes_the_connection_with_notice() {
    let server = TestServer::open().await;
    let unsent = [
        // The sender waits for `100 Continue`, which does not come.
        "content-length: 2\r\nexpect: 100-continue\r\n",
        "content-length: 2\r\n",
        "content-length: 2000000\r\n",
        "transfer-encoding: chunked\r\n",
    ];
    for (method, unsent) in unsent.into_iter().flat_map(|it| [("POST", it), ("GET", it)]) {
        let about = format!("{method} {unsent}");
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(refused(method, unsent).as_bytes()).await.unwrap();
        let answer = one_answer(&mut stream).await;
        answer.assert_well_formed(&about);
        assert_eq!(answer.status, 401, "{about}");
        assert!(ends(&answer), "{about}: {answer:?}");
        stream.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut stream).await, b"", "{about}");
    }
}
