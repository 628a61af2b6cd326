//! Forbidden addresses in every spelling: refused, and nothing dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use webhook_client::{InvalidHost, InvalidUrl, Sender, WebhookUrl};

use crate::world::{Dialled, config, network, send};

const IPV4: [&str; 48] = [
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "10.0.0.0",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.0",
    "127.0.0.1",
    "127.0.0.2",
    "127.127.127.127",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "169.254.255.255",
    "172.16.0.0",
    "172.17.0.1",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "192.31.196.1",
    "192.88.99.1",
    "192.168.0.0",
    "192.168.0.1",
    "192.168.255.255",
    "192.175.48.1",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "224.0.0.251",
    "239.255.255.250",
    "240.0.0.0",
    "240.0.0.1",
    "254.255.255.255",
    "255.255.255.254",
    "255.255.255.255",
];

const IPV6: [&str; 34] = [
    "::",
    "::1",
    "::2",
    "::7f00:1",
    "::ffff:0:7f00:1",
    "64:ff9a::1",
    "64:ff9b:1::1",
    "64:ff9b:1:a9fe:a9:fe00::",
    "100::1",
    "100:0:0:1::1",
    "200::1",
    "1fff::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "2620:4f:8000::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd12:3456::1",
    "fd20:ce::254",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "fec0::1",
    "ff02::1",
    "ffff:ffff::1",
];

/// A sender without allowed destinations, and what it dials. Names resolve to the address in
/// `answer`.
fn guarded(answer: IpAddr) -> (Sender, Dialled) {
    let dialled = Dialled::default();
    let (network, _) = network(move |_| Ok(vec![SocketAddr::new(answer, 0)]), dialled.clone());
    (Sender::with_network(config(""), network).unwrap(), dialled)
}

/// Spellings of the address that a URL may contain.
fn hosts(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    vec![
        address.to_string(),
        format!("{address}."),
        format!("[::ffff:{address}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:FFFF:{high:04X}:{low:04X}]"),
        format!("[::{address}]"),
        format!("[64:ff9b::{address}]"),
        format!("[64:ff9b:1::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001:0:808:808:0:0:{:x}:{:x}]", !high, !low),
    ]
}

/// Spellings that `inet_aton` reads as the address, and that no URL may contain.
fn numeric_spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let bits = address.to_bits();
    vec![
        format!("{bits}"),
        format!("{bits}."),
        format!("0x{bits:x}"),
        format!("0X{bits:08X}"),
        format!("0{bits:o}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("{a:03}.{b:03}.{c:03}.0{d}"),
        format!("{a}.{}", bits & 0xff_ffff),
        format!("{a}.{b}.{}", bits & 0xffff),
        format!("0x{a:x}.{b}.0{c:o}.{d}"),
    ]
}

#[tokio::test]
async fn forbidden_ipv4_address_is_refused_in_every_spelling() {
    for text in IPV4 {
        let address: Ipv4Addr = text.parse().unwrap();
        let (sender, dialled) = guarded(address.into());
        for host in hosts(address).iter().map(String::as_str).chain(["name.example"]) {
            for scheme in ["http", "https"] {
                let outcome = send(&sender, &format!("{scheme}://{host}/")).await;
                assert_eq!(outcome.class.as_str(), "blocked", "{host}");
            }
        }
        for host in numeric_spellings(address) {
            let url = format!("http://{host}/").parse::<WebhookUrl>();
            assert_eq!(url, Err(InvalidUrl::Host(InvalidHost::Ipv4Form)), "{host}");
        }
        assert_eq!(*dialled.0.lock().unwrap(), [], "{text}");
    }
}

#[tokio::test]
async fn forbidden_ipv6_address_is_refused_in_every_spelling() {
    for text in IPV6 {
        let address: Ipv6Addr = text.parse().unwrap();
        let (sender, dialled) = guarded(address.into());
        let hex = address.segments().map(|segment| format!("{segment:04x}"));
        let [.., i, j, k, l] = address.octets();
        for host in [
            format!("[{text}]"),
            format!("[{}]", text.to_uppercase()),
            format!("[{}]", hex.join(":")),
            format!("[{}:{i}.{j}.{k}.{l}]", hex[..6].join(":")),
            "name.example".to_owned(),
        ] {
            let outcome = send(&sender, &format!("http://{host}:8080/")).await;
            assert_eq!(outcome.class.as_str(), "blocked", "{host}");
        }
        for host in [format!("[{text}%1]"), format!("[{text}%25eth0]"), format!("[{text}%]")] {
            let url = format!("http://{host}/").parse::<WebhookUrl>();
            assert_eq!(url, Err(InvalidUrl::Host(InvalidHost::Ipv6Form)), "{host}");
        }
        assert_eq!(*dialled.0.lock().unwrap(), [], "{text}");
    }
}

#[tokio::test]
async fn public_address_is_dialled() {
    for host in ["1.1.1.1", "8.8.8.8", "[2606:4700::1111]", "[64:ff9b::8.8.8.8]", "192.0.1.1"] {
        let (sender, dialled) = guarded([8, 8, 4, 4].into());
        assert_eq!(send(&sender, &format!("http://{host}/")).await.class.as_str(), "connect");
        assert_eq!(dialled.0.lock().unwrap().len(), 1, "{host}");
    }
}
