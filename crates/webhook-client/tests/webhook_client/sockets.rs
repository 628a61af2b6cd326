//! Receivers that misbehave below HTTP: items 2, 15 and 36 of the list of hostile receivers.

use std::time::Duration;

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    receiver::Receiver,
    world::{attempt, case, run, send, sender},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_that_ends_before_the_head_is_a_reset() {
    run(vec![
        case("closed at once", &["reset"], |peer| async move { drop(peer) }),
        case("reset at once", &["reset", "connect"], |peer| async move { peer.reset() }),
        case("closed before the head", &["reset"], |mut peer| async move {
            peer.request().await;
        }),
        case("reset before the head", &["reset"], |mut peer| async move {
            peer.request().await;
            peer.reset();
        }),
        case("closed within the head", &["reset"], |mut peer| async move {
            peer.request().await;
            peer.write(b"HTTP/1.1 200 OK\r\nx: ").await;
        }),
        case("reset within the head", &["reset"], |mut peer| async move {
            peer.request().await;
            peer.write(b"HTTP/1.1 200 OK\r\nx: ").await;
            peer.reset();
        }),
    ])
    .await;
}

#[tokio::test]
async fn closed_port_is_a_connect_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = send(&sender(), &format!("http://{address}/")).await;
    assert_eq!(outcome.class.as_str(), "connect");
    assert!(outcome.cause.is_some());
}

/// The kernel drops connection attempts to a listener whose queue is full.
#[tokio::test]
async fn full_backlog_is_a_connect_failure() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
    }
    let (sender, healthy) = (sender(), Receiver::healthy().await);
    let (url, healthy_url) = (format!("http://{address}/"), healthy.url());
    let (hostile, neighbour) = tokio::join!(send(&sender, &url), send(&sender, &healthy_url));
    assert_eq!(hostile.class.as_str(), "connect", "{hostile:?}");
    assert_eq!(neighbour.class.as_str(), "2xx");
}

#[tokio::test]
async fn dropped_attempt_closes_its_connection() {
    let receiver = Receiver::start(|mut peer| async move { peer.hold().await }).await;
    let sender = sender();
    let attempt = attempt(&receiver.url(), "wh_1");
    tokio::select! {
        _ = sender.send(&attempt) => unreachable!("the receiver does not answer"),
        () = receiver.wait_until_open(1) => {}
    }
    receiver.wait_until_open(0).await;
}
