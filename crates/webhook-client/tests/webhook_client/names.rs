//! Hostile names: item 28 of the list of hostile receivers.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use webhook_client::{CheckError, Sender, SystemDial};

use crate::{
    receiver::Receiver,
    world::{Dialled, config, network, send},
};

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Sends one attempt at `name.example` with these addresses; returns the class and what was
/// dialled.
async fn dialled(allowed: &str, texts: &[&str]) -> (&'static str, Vec<SocketAddr>) {
    let (dialled, found) = (Dialled::default(), addresses(texts));
    let (network, _) = network(move |_| Ok(found.clone()), dialled.clone());
    let sender = Sender::with_network(config(allowed), network).unwrap();
    let outcome = send(&sender, "http://name.example:8080/").await;
    (outcome.class.as_str(), dialled.0.lock().unwrap().clone())
}

#[tokio::test]
async fn one_forbidden_address_prevents_every_dial() {
    for forbidden in [
        "127.0.0.1:0",
        "10.0.0.1:0",
        "169.254.169.254:0",
        "0.0.0.0:0",
        "[::1]:0",
        "[::ffff:127.0.0.1]:0",
        "[64:ff9b::a9fe:a9fe]:0",
        "[2002:7f00:1::1]:0",
        "[fd00:ec2::254]:0",
        "[fe80::1%2]:0",
        "[2606:4700::1111%2]:0",
    ] {
        assert_eq!(dialled("", &[forbidden]).await, ("blocked", Vec::new()), "{forbidden}");
        let mixed = ["8.8.8.8:0", forbidden, "[2606:4700::1111]:0"];
        assert_eq!(dialled("", &mixed).await, ("blocked", Vec::new()), "{forbidden}");
    }
    let public = dialled("", &["[2606:4700::1111]:9", "8.8.8.8:9"]).await;
    let in_order = addresses(&["8.8.8.8:8080", "[2606:4700::1111]:8080"]);
    assert_eq!(public, ("connect", in_order));
    let listed = dialled("name.example:8080", &["10.0.0.1:0", "8.8.8.8:0"]).await;
    assert_eq!(listed, ("connect", addresses(&["10.0.0.1:8080", "8.8.8.8:8080"])));
}

#[tokio::test]
async fn address_that_changes_after_the_check_is_judged_again() {
    let count = Arc::new(AtomicUsize::new(0));
    let answer = move |_: &str| {
        let public = count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        Ok(addresses(if public { &["8.8.8.8:0"] } else { &["127.0.0.1:0"] }))
    };
    let dialled = Dialled::default();
    let (network, _) = network(answer, dialled.clone());
    let mut config = config("");
    config.limits.lookup_ttl = Duration::ZERO;
    let sender = Sender::with_network(config, network).unwrap();
    let url = "http://rebinding.example/";
    for _ in 0..3 {
        assert!(sender.check("org_1", &url.parse().unwrap()).await.is_ok());
        assert_eq!(send(&sender, url).await.class.as_str(), "blocked");
    }
    assert_eq!(*dialled.0.lock().unwrap(), []);
}

/// The dialled address is public, but the connection leads to loopback.
#[tokio::test]
async fn peer_of_the_open_connection_is_judged() {
    struct Redirected(SocketAddr);

    #[async_trait::async_trait]
    impl webhook_client::Dial for Redirected {
        async fn dial(&self, _: SocketAddr) -> io::Result<tokio::net::TcpStream> {
            tokio::net::TcpStream::connect(self.0).await
        }
    }

    let receiver = Receiver::healthy().await;
    let dial = Redirected(receiver.address);
    let (network, _) = network(|_| Ok(addresses(&["8.8.8.8:0"])), dial);
    let sender = Sender::with_network(config(""), network).unwrap();
    let outcome = send(&sender, "http://name.example/").await;
    assert_eq!(outcome.class.as_str(), "blocked", "{outcome:?}");
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test]
async fn failed_lookup_is_a_dns_failure() {
    let many: Vec<_> = (0..1_000).map(|n| SocketAddr::from(([8, 8, 8, 8], n))).collect();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (dialled, receiver) = (Dialled::default(), Receiver::healthy().await);
    let (network, _) = network(
        move |name| match name {
            "missing.example." => Err(io::Error::other("NXDOMAIN")),
            "empty.example." => Ok(Vec::new()),
            "many.example." => Ok(many.clone()),
            _ => {
                let _ = wait.lock().unwrap().recv();
                Ok(addresses(&["8.8.8.8:0"]))
            }
        },
        dialled.clone(),
    );
    let sender = Sender::with_network(config(""), network).unwrap();
    for (name, cause) in [
        ("missing", "NXDOMAIN"),
        ("empty", "no address"),
        ("many", "more than 64 addresses"),
        ("silent", "no answer in time"),
    ] {
        let url = format!("http://{name}.example/");
        let outcome = send(&sender, &url).await;
        assert_eq!(outcome.class.as_str(), "dns", "{name}");
        assert!(outcome.cause.unwrap().contains(cause), "{name}");
        let checked = sender.check("org_1", &url.parse().unwrap()).await;
        assert!(matches!(checked, Err(CheckError::Unresolved(_))), "{name}");
    }
    assert_eq!(*dialled.0.lock().unwrap(), []);
    drop((release, receiver));
}

#[tokio::test]
async fn search_domains_apply_to_listed_names_alone() {
    let receiver = Receiver::healthy().await;
    let port = receiver.address.port();
    let (network, asked) = network(|_| Ok(addresses(&["127.0.0.1:0"])), SystemDial);
    let config = config(&format!("n8n:{port},127.0.0.0/8"));
    let sender = Sender::with_network(config, network).unwrap();
    for url in [
        format!("http://N8N:{port}/"),
        format!("http://n8n.:{port}/"),
        format!("http://other:{port}/"),
        format!("http://Example.com.:{port}/"),
    ] {
        assert_eq!(send(&sender, &url).await.class.as_str(), "2xx", "{url}");
    }
    assert_eq!(*asked.lock().unwrap(), ["n8n", "other.", "example.com."]);
}

#[tokio::test]
async fn check_judges_without_dialling() {
    let dialled = Dialled::default();
    let (network, _) = network(|_| Ok(addresses(&["10.0.0.1:0"])), dialled.clone());
    let sender = Sender::with_network(config(""), network).unwrap();
    for url in ["http://internal.example/", "http://127.0.0.1/", "https://[::1]/"] {
        let checked = sender.check("org_1", &url.parse().unwrap()).await;
        assert!(matches!(checked, Err(CheckError::Forbidden(_))), "{url}");
    }
    assert!(sender.check("org_1", &"http://8.8.8.8/".parse().unwrap()).await.is_ok());
    assert_eq!(*dialled.0.lock().unwrap(), []);
}
