//! Connections that are used again, and those that must not be: items 16, 17, 30 and 39 of the list
//! of hostile receivers.

use std::{collections::HashSet, time::Duration};

use futures_util::future::join_all;
use webhook_client::{Attempt, Delivery, Sender};

use crate::{
    receiver::{OK, Receiver},
    world::{attempt, config, delivery, limits, send, sender},
};

#[tokio::test]
async fn connection_is_used_again_for_the_same_webhook_alone() {
    let (sender, receiver) = (sender(), Receiver::healthy().await);
    for webhook in ["wh_1", "wh_2", "wh_1", "wh_2", "wh_1"] {
        let outcome = sender.send(&attempt(&receiver.url(), webhook)).await;
        assert_eq!(outcome.class.as_str(), "2xx");
    }
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn connection_is_not_used_again_after_an_unclean_response() {
    for response in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokok",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZ\r\n",
        "HTTP/1.1 200 OK\r\n\r\nok",
    ] {
        let sender = sender();
        let receiver = Receiver::start(move |mut peer| async move {
            while peer.request().await.is_some() {
                peer.write(response.as_bytes()).await;
            }
        })
        .await;
        for count in 1..=3 {
            let outcome = send(&sender, &receiver.url()).await;
            assert_eq!(outcome.class.as_str(), "2xx", "{response:?}: {outcome:?}");
            assert_eq!(receiver.accepted(), count, "{response:?}");
        }
    }
}

#[tokio::test]
async fn response_that_answers_no_request_is_not_taken_for_the_next() {
    let sender = sender();
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await;
        peer.write(OK).await;
        // The connection is idle at the other end soon.
        tokio::time::sleep(Duration::from_millis(50)).await;
        peer.write(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n").await;
        while peer.request().await.is_some() {
            peer.write(OK).await;
        }
    })
    .await;
    assert_eq!(send(&sender, &receiver.url()).await.class.as_str(), "2xx");
    receiver.wait_until_open(0).await;
    assert_eq!(send(&sender, &receiver.url()).await.class.as_str(), "2xx");
    assert_eq!(receiver.accepted(), 2);
}

/// The receiver closes after each response while the sender uses the connection again. An attempt
/// whose request may have left is a reset; a request that did not leave is sent on a new
/// connection, and no request arrives twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_closed_while_idle_loses_and_repeats_nothing() {
    let sender = sender();
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await;
        peer.write(OK).await;
    })
    .await;
    let mut successes = HashSet::new();
    for n in 0..200 {
        let event = format!("evt_{n}");
        let delivery = Delivery { event: event.clone(), ..delivery(&receiver.url(), "wh_1") };
        let outcome = sender.send(&Attempt::new(&delivery).unwrap()).await;
        match outcome.class.as_str() {
            "2xx" => assert!(successes.insert(event)),
            "reset" => {}
            _ => panic!("{outcome:?}"),
        }
        if n % 2 == 0 {
            receiver.wait_until_open(0).await;
        }
    }
    let event = |request: &String| {
        let line = request.lines().find_map(|line| line.strip_prefix("webhook-id: "));
        line.unwrap().to_owned()
    };
    let arrived: Vec<_> = receiver.requests().iter().map(event).collect();
    let once: HashSet<_> = arrived.iter().cloned().collect();
    assert_eq!(arrived.len(), once.len());
    assert!(successes.is_subset(&once));
    assert!(successes.len() >= 100, "{} of 200 succeeded", successes.len());
}

async fn send_to_all(sender: &Sender, url: &str, webhooks: impl Iterator<Item = String>) {
    let attempts: Vec<_> = webhooks.map(|webhook| attempt(url, &webhook)).collect();
    let outcomes = join_all(attempts.iter().map(|attempt| sender.send(attempt))).await;
    assert!(outcomes.iter().all(|outcome| outcome.class.as_str() == "2xx"), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn number_of_idle_connections_is_limited() {
    let mut config = config("127.0.0.0/8");
    (config.limits.idle_connections, config.limits.idle_per_webhook) = (64, 4);
    let (sender, receiver) = (Sender::new(config).unwrap(), Receiver::healthy().await);
    send_to_all(&sender, &receiver.url(), (0..10).map(|_| "wh_1".into())).await;
    receiver.wait_until_open(receiver.accepted().min(4)).await;
    send_to_all(&sender, &receiver.url(), (0..100).map(|n| format!("wh_of_{n}"))).await;
    receiver.wait_until_open(64).await;
    drop(sender);
    receiver.wait_until_open(0).await;
}

#[tokio::test]
async fn idle_connection_is_closed_after_its_time() {
    let mut config = config("127.0.0.0/8");
    config.limits.idle = Duration::from_millis(100);
    let (sender, receiver) = (Sender::new(config).unwrap(), Receiver::healthy().await);
    for _ in 0..2 {
        assert_eq!(send(&sender, &receiver.url()).await.class.as_str(), "2xx");
        receiver.wait_until_open(0).await;
    }
}

#[tokio::test]
async fn denied_address_is_not_reached_by_an_idle_connection() {
    let (sender, receiver) = (sender(), Receiver::healthy().await);
    assert_eq!(send(&sender, &receiver.url()).await.class.as_str(), "2xx");
    sender.deny(vec![receiver.address]);
    let outcome = send(&sender, &receiver.url()).await;
    assert_eq!(outcome.class.as_str(), "blocked");
    assert_eq!(receiver.requests().len(), 1);
    receiver.wait_until_open(0).await;
}

#[tokio::test]
async fn large_body_is_sent_whole_to_a_slow_reader() {
    let receiver = Receiver::start(|mut peer| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        peer.request().await;
        peer.write(OK).await;
    })
    .await;
    let body = vec![b'x'; 64 << 10].into();
    let delivery = Delivery { body, ..delivery(&receiver.url(), "wh_1") };
    let mut config = config("127.0.0.0/8");
    config.limits = webhook_client::Limits { head: Duration::from_secs(10), ..limits() };
    let sender = Sender::new(config).unwrap();
    let outcome = sender.send(&Attempt::new(&delivery).unwrap()).await;
    assert_eq!(outcome.class.as_str(), "2xx");
    assert!(receiver.requests()[0].ends_with(&"x".repeat(64 << 10)));
}
