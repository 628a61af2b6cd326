//! The address ranges that are not public, with the permission that each range requires.
//!
//! Source: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890), plus addresses
//! at which cloud platforms serve credentials to their virtual machines.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::embedded;

/// The permission that an address outside the public Internet requires, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Restriction {
    /// Any entry of the operator: a network, a name with port, or an address with port.
    Private,
    /// An entry with exactly this address and port: link-local and metadata addresses.
    Metadata,
    /// No entry helps: the address names no host, or names the own host under a second address.
    Unusable,
}

use Restriction::{Metadata, Private, Unusable};

const IPV4: [(Ipv4Net, Restriction); 21] = [
    (v4([0, 0, 0, 0], 8), Unusable), // "this network", RFC 791; Linux connects 0.0.0.0 to loopback
    (v4([10, 0, 0, 0], 8), Private), // RFC 1918
    (v4([100, 64, 0, 0], 10), Private), // shared address space of providers, RFC 6598
    (v4([100, 100, 100, 200], 32), Metadata), // Alibaba Cloud
    (v4([127, 0, 0, 0], 8), Private), // loopback, RFC 1122
    (v4([168, 63, 129, 16], 32), Metadata), // Azure WireServer, inside a public range
    (v4([169, 254, 0, 0], 16), Metadata), // link-local, RFC 3927; metadata of most clouds
    (v4([172, 16, 0, 0], 12), Private), // RFC 1918
    (v4([192, 0, 0, 0], 24), Private), // protocol assignments, RFC 6890
    (v4([192, 0, 0, 192], 32), Metadata), // Oracle Cloud Classic
    (v4([192, 0, 2, 0], 24), Private), // documentation, RFC 5737
    (v4([192, 88, 99, 0], 24), Private), // 6to4 relays, RFC 7526
    (v4([192, 168, 0, 0], 16), Private), // RFC 1918
    (v4([198, 18, 0, 0], 15), Private), // benchmarks, RFC 2544
    (v4([198, 51, 100, 0], 24), Private), // documentation, RFC 5737
    (v4([203, 0, 113, 0], 24), Private), // documentation, RFC 5737
    (v4([224, 0, 0, 0], 4), Unusable), // multicast, RFC 5771
    (v4([240, 0, 0, 0], 4), Private), // reserved, RFC 1112; used as private space by some networks
    (v4([255, 255, 255, 255], 32), Unusable), // limited broadcast, RFC 919
    (v4([192, 31, 196, 0], 24), Private), // AS112, RFC 7535: answers for private names
    (v4([192, 175, 48, 0], 24), Private), // AS112, RFC 7534
];

/// Private ranges outside [`GLOBAL_UNICAST`] need no entry: local NAT64 (RFC 8215), segment routing
/// (RFC 9602), unique local (RFC 4193), site-local (RFC 3879).
const IPV6: [(Ipv6Net, Restriction); 11] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), Unusable), // unspecified, IPv4-compatible, RFC 4291
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), Unusable), // discard, RFC 6666
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Private), // Teredo, ORCHID and others, RFC 2928
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Private), // documentation, RFC 3849
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), Private), // 6to4, RFC 3056
    (v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), Private), // AS112, RFC 7534
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Private), // documentation, RFC 9637
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), Metadata), // Amazon EC2
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), Metadata), // Google Cloud
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Metadata), // link-local, RFC 4291
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Unusable), // multicast, RFC 4291
];

/// The only part of the IPv6 space with public addresses, RFC 4291; everything outside is private
/// at least.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
/// The well-known NAT64 prefix, RFC 6052: a translator sends the packet to the embedded IPv4
/// address.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn v4(octets: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::from_octets(octets), length)
}

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), length)
}

/// Returns the permission that `address` requires, or `None` for a public address. The strictest
/// range decides, also among the ranges of the IPv4 addresses inside an IPv6 address.
pub(super) fn restriction(address: IpAddr) -> Option<Restriction> {
    match address.to_canonical() {
        IpAddr::V4(address) => of_ipv4(address),
        IpAddr::V6(address) => of_ipv6(address),
    }
}

/// Returns the permission that every address of `network` requires because one range contains the
/// whole network; `None` if no range does.
pub(super) fn restriction_of_all(network: IpNet) -> Option<Restriction> {
    match network {
        IpNet::V4(network) => {
            let ranges = IPV4.iter().filter(|(range, _)| range.contains(&network));
            ranges.map(|(_, restriction)| *restriction).max()
        }
        IpNet::V6(network) => {
            let ranges = IPV6.iter().filter(|(range, _)| range.contains(&network));
            ranges.map(|(_, restriction)| *restriction).max()
        }
    }
}

fn of_ipv4(address: Ipv4Addr) -> Option<Restriction> {
    let ranges = IPV4.iter().filter(|(range, _)| range.contains(&address));
    ranges.map(|(_, restriction)| *restriction).max()
}

fn of_ipv6(address: Ipv6Addr) -> Option<Restriction> {
    if address == Ipv6Addr::LOCALHOST {
        return Some(Private);
    }
    let embedded = embedded::ipv4_addresses(address).filter_map(of_ipv4).max();
    if NAT64.contains(&address) {
        return embedded;
    }
    let ranges = IPV6.iter().filter(|(range, _)| range.contains(&address));
    let own = ranges.map(|(_, restriction)| *restriction).max();
    let outside = (!GLOBAL_UNICAST.contains(&address)).then_some(Private);
    own.or(outside).max(embedded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(address: &str) -> Option<Restriction> {
        restriction(address.parse().unwrap())
    }

    #[test]
    fn range_ends_at_its_first_and_last_address() {
        for (before, first, last, after) in [
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
            ("168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            ("192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"),
            ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
            ("223.255.255.255", "224.0.0.0", "255.255.255.255", "1.0.0.0"),
            ("2000:ffff::", "2001::", "2001:1ff:ffff::", "2001:200::"),
            ("2001:db7:ffff::", "2001:db8::", "2001:db8:ffff::", "2001:db9::"),
            ("2001:ffff::", "2002::", "2002:ffff::", "2003::"),
            ("2620:4f:7fff::", "2620:4f:8000::", "2620:4f:8000:ffff::", "2620:4f:8001::"),
            ("3ffe:ffff::", "3fff::", "3fff:fff:ffff::", "3fff:1000::"),
        ] {
            assert_eq!(of(before), None, "{before}");
            assert!(of(first).is_some(), "{first}");
            assert!(of(last).is_some(), "{last}");
            assert_eq!(of(after), None, "{after}");
        }
    }

    #[test]
    fn address_outside_global_unicast_is_never_public() {
        for address in ["::2", "64:ff9a::1", "65::1", "1000::1", "4000::1", "5f00::1", "fec0::1"] {
            assert!(of(address).is_some(), "{address}");
        }
        assert_eq!(of("2606:4700::1111"), None);
    }

    #[test]
    fn restriction_states_the_required_permission() {
        for (address, expected) in [
            ("8.8.8.8", None),
            ("64:ff9b::8.8.8.8", None),
            ("::ffff:8.8.8.8", None),
            ("10.0.0.1", Some(Private)),
            ("127.0.0.1", Some(Private)),
            ("::1", Some(Private)),
            ("fd12::1", Some(Private)),
            ("64:ff9b::10.0.0.1", Some(Private)),
            ("2002:0808:0808::1", Some(Private)),
            ("169.254.169.254", Some(Metadata)),
            ("168.63.129.16", Some(Metadata)),
            ("100.100.100.200", Some(Metadata)),
            ("192.0.0.192", Some(Metadata)),
            ("fd00:ec2::254", Some(Metadata)),
            ("fd20:ce::254", Some(Metadata)),
            ("fe80::a9fe:a9fe", Some(Metadata)),
            ("64:ff9b::a9fe:a9fe", Some(Metadata)),
            ("64:ff9b:1::a9fe:a9fe", Some(Metadata)),
            ("64:ff9b:1::10.0.0.1", Some(Private)),
            ("2002:a9fe:a9fe::1", Some(Metadata)),
            ("::ffff:169.254.169.254", Some(Metadata)),
            ("0.0.0.0", Some(Unusable)),
            ("::", Some(Unusable)),
            ("100::1", Some(Unusable)),
            ("64:ff9b:1::1", Some(Private)),
            ("5f00::1", Some(Private)),
            ("fc00::1", Some(Private)),
            ("fec0::1", Some(Private)),
            ("::127.0.0.1", Some(Unusable)),
            ("255.255.255.255", Some(Unusable)),
            ("224.0.0.1", Some(Unusable)),
            ("ff02::1", Some(Unusable)),
        ] {
            assert_eq!(of(address), expected, "{address}");
        }
    }

    proptest! {
        #[test]
        fn address_that_std_calls_special_is_restricted(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_documentation() || address.is_multicast() || address.octets()[0] == 0;
            prop_assert!(!special || of_ipv4(address).is_some());
        }

        #[test]
        fn embedding_never_weakens_a_restriction(
            bits in any::<u32>(),
            range in prop::option::of(0..IPV4.len()),
        ) {
            let bits = range.map_or(bits, |range| {
                let (range, _) = IPV4[range];
                range.network().to_bits() | bits & range.hostmask().to_bits()
            });
            let (plain, wide) = (of_ipv4(Ipv4Addr::from_bits(bits)), u128::from(bits));
            for spelling in [
                0xffff << 32 | wide,                                  // mapped
                wide,                                                 // compatible
                0x64_ff9b << 96 | wide,                               // NAT64
                0x2002 << 112 | wide << 80 | 1,                       // 6to4
                0x2001 << 112 | wide << 64 | 0xffff_ffff,             // Teredo server
                0x2001 << 112 | u128::from(!bits),                    // Teredo client
            ] {
                let address = IpAddr::V6(Ipv6Addr::from_bits(spelling));
                prop_assert!(restriction(address) >= plain, "{address}");
            }
            let local = IpAddr::V6(Ipv6Addr::from_bits(0x64_ff9b_0001 << 80 | wide));
            prop_assert!(restriction(local) >= plain || bits >> 24 == 0, "{local}");
        }

        #[test]
        fn ipv6_address_outside_global_unicast_is_restricted(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            let unicast = bits >> 125 == 1 || bits >> 32 == 0xffff || bits >> 32 == 0x64_ff9b << 64;
            prop_assert!(unicast || restriction(IpAddr::V6(address)).is_some());
        }
    }
}
