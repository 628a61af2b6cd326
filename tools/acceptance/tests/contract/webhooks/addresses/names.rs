//! Names with forbidden addresses, and the zone of the test's name server.

use acceptance::name_server::{
    Record::{self, Alias},
    Zone,
};

use super::{PUBLIC, PUBLIC_V6};

/// Names that lead to a forbidden address at once, with a port where the default is allowed.
pub(super) const FORBIDDEN: &[&str] = &[
    "localhost",
    "LOCALHOST",
    "localhost.",
    "sub.localhost",
    "loopback.test",
    "Loopback.TEST.",
    "loopback-v6.test",
    "private-10.test",
    "private-172.test",
    "private-192.test",
    "metadata.test",
    "metadata-v6.test",
    "provider.test",
    "zero.test",
    "zero-v6.test",
    "broadcast.test",
    "multicast.test",
    "unique-local.test",
    "link-local.test",
    "mapped.test",
    "mapped-metadata.test",
    "compatible.test",
    "nat64.test",
    "local-nat64.test",
    "six-to-four.test",
    "teredo.test",
    "alias-of-localhost.test",
    "alias-of-alias.test",
    "alias-of-metadata.test",
    "public-and-private.test",
    "private-and-public.test",
    "public-and-loopback-v6.test",
    "public-v6-and-private.test",
    "one-of-many.test",
    "allowed.test:8080",
    "allowed-metadata.test",
    "127.0.0.1.nip.test",
    "xn--lcalhost-n2a.test",
];

/// Returns the names with their records.
pub(super) fn zone() -> Zone {
    let mut zone: Zone = ADDRESSES
        .iter()
        .map(|(name, addresses)| {
            (*name, vec![addresses.iter().copied().filter_map(address).collect()])
        })
        .collect();
    let many = (1..20).map(|n| format!("93.184.216.{n}")).chain(["10.0.0.1".to_owned()]);
    zone.insert("one-of-many.test", vec![many.filter_map(|text| address(&text)).collect()]);
    for (name, target) in [
        ("alias-of-localhost.test", "localhost"),
        ("alias-of-alias.test", "alias-of-localhost.test"),
        ("alias-of-metadata.test", "metadata.test"),
        ("alias-of-public.test", "public.test"),
    ] {
        zone.insert(name, vec![vec![Alias(target)]]);
    }
    let round = |text: &str| address(text).into_iter().collect::<Vec<_>>();
    zone.insert("rebound.test", vec![round(PUBLIC), round("127.0.0.1")]);
    zone.insert("late.test", vec![vec![], round("169.254.169.254")]);
    zone.insert("flipping.test", vec![round(PUBLIC), round(PUBLIC), round("10.0.0.1")]);
    zone
}

fn address(text: &str) -> Option<Record> {
    text.parse().ok().map(Record::Address)
}

const ADDRESSES: &[(&str, &[&str])] = &[
    ("public.test", &[PUBLIC]),
    ("allowed.test", &["127.0.0.1"]),
    ("allowed-metadata.test", &["169.254.169.254"]),
    ("localhost", &["127.0.0.1", "::1"]),
    ("sub.localhost", &["127.0.0.1"]),
    ("loopback.test", &["127.0.0.1"]),
    ("loopback-v6.test", &["::1"]),
    ("private-10.test", &["10.0.0.1"]),
    ("private-172.test", &["172.20.0.1"]),
    ("private-192.test", &["192.168.1.1"]),
    ("metadata.test", &["169.254.169.254"]),
    ("metadata-v6.test", &["fd00:ec2::254"]),
    ("provider.test", &["100.64.0.1"]),
    ("zero.test", &["0.0.0.0"]),
    ("zero-v6.test", &["::"]),
    ("broadcast.test", &["255.255.255.255"]),
    ("multicast.test", &["224.0.0.1"]),
    ("unique-local.test", &["fd12:3456::1"]),
    ("link-local.test", &["fe80::1"]),
    ("mapped.test", &["::ffff:127.0.0.1"]),
    ("mapped-metadata.test", &["::ffff:169.254.169.254"]),
    ("compatible.test", &["::127.0.0.1"]),
    ("nat64.test", &["64:ff9b::a9fe:a9fe"]),
    ("local-nat64.test", &["64:ff9b:1::a00:1"]),
    ("six-to-four.test", &["2002:7f00:1::"]),
    ("teredo.test", &["2001:0:a9fe:a9fe::1"]),
    ("public-and-private.test", &[PUBLIC, "10.0.0.1"]),
    ("private-and-public.test", &["192.168.0.1", PUBLIC]),
    ("public-and-loopback-v6.test", &[PUBLIC, "::1"]),
    ("public-v6-and-private.test", &[PUBLIC_V6, "172.16.0.1"]),
    ("127.0.0.1.nip.test", &["127.0.0.1"]),
    ("xn--lcalhost-n2a.test", &["127.0.0.1"]),
];
