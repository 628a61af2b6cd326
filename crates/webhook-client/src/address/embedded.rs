//! IPv4 addresses inside IPv6 addresses: translators and tunnels deliver such a packet to the IPv4
//! address.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns the IPv4 addresses that a translator or a tunnel may take from `address`. An IPv4-mapped
/// address is not handled here: [`std::net::IpAddr::to_canonical`] turns it into IPv4. Of a local
/// NAT64 prefix, whose layout is unknown, addresses in 0.0.0.0/8 are left out: they come from wrong
/// layouts.
pub(super) fn ipv4_addresses(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let bits = address.to_bits();
    let addresses = match address.segments() {
        // NAT64 with the well-known prefix, RFC 6052.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => [Some(low(bits)), None, None, None],
        // NAT64 with a local prefix, RFC 8215, whose length is unknown: every layout of RFC 6052.
        [0x64, 0xff9b, 1, ..] => {
            let layouts = [low(bits), split(bits, 48), split(bits, 56), split(bits, 64)];
            layouts.map(|address| Some(address).filter(|address| address.octets()[0] != 0))
        }
        // Teredo, RFC 4380: the server, and the inverted address of the client.
        [0x2001, 0, ..] => [Some(low(bits >> 64)), Some(low(!bits)), None, None],
        // 6to4, RFC 3056.
        [0x2002, ..] => [Some(low(bits >> 80)), None, None, None],
        _ => [None; 4],
    };
    addresses.into_iter().flatten()
}

/// Returns the lowest 32 bits as an address.
fn low(bits: u128) -> Ipv4Addr {
    let [.., a, b, c, d] = bits.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

/// Returns the address after a NAT64 prefix of `length` bits. The address leaves out bits 64 to 71.
fn split(bits: u128, length: u32) -> Ipv4Addr {
    let before = 64 - length;
    let high = if before == 0 { 0 } else { (bits >> 64) & ((1 << before) - 1) };
    let rest = (bits << 72) >> (72 + 24 + before);
    low(high << (32 - before) | rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded(address: &str) -> Vec<String> {
        let found = ipv4_addresses(address.parse().unwrap());
        found.map(|address| address.to_string()).collect()
    }

    #[test]
    fn translated_and_tunnelled_addresses_are_extracted() {
        assert_eq!(embedded("64:ff9b::192.0.2.33"), ["192.0.2.33"]);
        assert_eq!(embedded("2002:c000:221::5"), ["192.0.2.33"]);
        let teredo = embedded("2001:0:4136:e378:8000:63bf:3fff:fdd2");
        assert_eq!(teredo, ["65.54.227.120", "192.0.2.45"]);
        assert!(embedded("2606:4700::c000:221").is_empty());
    }

    /// The layouts of the table in RFC 6052, section 2.4, under the local prefix.
    #[test]
    fn local_nat64_prefix_is_read_in_every_layout() {
        for address in [
            "64:ff9b:1::c000:221",
            "64:ff9b:1:c000:2:2100::",
            "64:ff9b:1:c0:0:221::",
            "64:ff9b:1::c0:2:2100:0",
        ] {
            assert!(embedded(address).contains(&"192.0.2.33".to_owned()), "{address}");
        }
        assert_eq!(embedded("64:ff9b:1::c000:221"), ["192.0.2.33"]);
    }
}
