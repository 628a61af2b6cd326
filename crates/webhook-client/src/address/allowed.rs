//! The private destinations that the operator allows, as in `BERTH_WEBHOOK_ALLOW`.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::ranges::{Restriction, restriction, restriction_of_all};
use crate::host::Host;

/// Destinations outside the public Internet that webhooks may reach: networks (`10.1.0.0/16`),
/// names with a port (`n8n:5678`), and addresses with a port (`127.0.0.1:3000`, `[fd12::1]:80`).
/// The text form separates entries by commas; white space around an entry is ignored, and an empty
/// text allows nothing.
///
/// Link-local addresses and metadata addresses of clouds are reached only through an entry with
/// exactly that address and port. Unspecified, multicast and broadcast addresses are never reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    networks: Vec<IpNet>,
    names: Vec<(Host, u16)>,
    addresses: Vec<(IpAddr, u16)>,
}

/// The error for an entry of [`Allowed`] that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry:?} {reason}")]
pub struct InvalidAllowEntry {
    /// The entry as it was written, without surrounding white space.
    pub entry: String,
    /// What is wrong with the entry, and what to write instead.
    pub reason: &'static str,
}

const SYNTAX: &str = "is no network (10.1.0.0/16), name with port (n8n:5678) or address with port";
const NO_PORT: &str = "has no port: write NAME:PORT, ADDRESS:PORT or ADDRESS/LENGTH";
const PORT: &str = "has no port between 1 and 65535";
const BRACKETS: &str = "has an IPv6 address without brackets: write [ADDRESS]:PORT";
const HOST_BITS: &str = "sets bits behind the length of the network";
const MAPPED: &str = "is an IPv4 network in IPv6 form: write the IPv4 network";
const METADATA_NETWORK: &str =
    "has only link-local or metadata addresses: allow each as ADDRESS:PORT";
const UNUSABLE: &str = "is an unspecified, multicast or broadcast address, and is never reached";

impl Allowed {
    /// Returns whether an entry allows `address` at `port`. `host` is the host of the URL, of which
    /// `address` is an address; `restriction` belongs to `address`.
    pub(super) fn permits(
        &self,
        host: &Host,
        address: IpAddr,
        port: u16,
        restriction: Restriction,
    ) -> bool {
        let exact = || self.addresses.contains(&(address, port));
        let network = || self.networks.iter().any(|network| network.contains(&address));
        match restriction {
            Restriction::Private => exact() || network() || self.names_port(host, port),
            Restriction::Metadata => exact(),
            Restriction::Unusable => false,
        }
    }

    /// Returns whether an entry has this name and port.
    pub(crate) fn names_port(&self, host: &Host, port: u16) -> bool {
        self.names.iter().any(|(name, of)| name == host && *of == port)
    }

    fn add(&mut self, entry: &str) -> Result<(), &'static str> {
        if entry.contains('/') {
            self.networks.push(parse_network(entry)?);
            return Ok(());
        }
        let (host, port) = parse_destination(entry)?;
        match host {
            Host::Address(address) => {
                let address = address.to_canonical();
                if restriction(address) == Some(Restriction::Unusable) {
                    return Err(UNUSABLE);
                }
                self.addresses.push((address, port));
            }
            Host::Name(_) => self.names.push((host, port)),
        }
        Ok(())
    }
}

fn parse_network(entry: &str) -> Result<IpNet, &'static str> {
    let network: IpNet = entry.parse().map_err(|_| SYNTAX)?;
    if network.trunc() != network {
        return Err(HOST_BITS);
    }
    if let IpNet::V6(network) = network
        && network.addr().to_ipv4_mapped().is_some()
    {
        return Err(MAPPED);
    }
    match restriction_of_all(network) {
        Some(Restriction::Metadata) => Err(METADATA_NETWORK),
        Some(Restriction::Unusable) => Err(UNUSABLE),
        Some(Restriction::Private) | None => Ok(network),
    }
}

fn parse_destination(entry: &str) -> Result<(Host, u16), &'static str> {
    if entry.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()) {
        return Err(NO_PORT);
    }
    let (host, port) = entry.rsplit_once(':').ok_or(NO_PORT)?;
    if host.contains(':') && !host.starts_with('[') {
        return Err(BRACKETS);
    }
    let host = Host::parse(host).map_err(|_| SYNTAX)?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits && port != 0 => Ok((host, port)),
        _ => Err(PORT),
    }
}

impl FromStr for Allowed {
    type Err = InvalidAllowEntry;

    fn from_str(text: &str) -> Result<Self, InvalidAllowEntry> {
        let mut allowed = Self::default();
        if text.trim().is_empty() {
            return Ok(allowed);
        }
        for entry in text.split(',').map(str::trim) {
            let added = if entry.is_empty() { Err("is empty") } else { allowed.add(entry) };
            added.map_err(|reason| InvalidAllowEntry { entry: entry.to_owned(), reason })?;
        }
        Ok(allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> &'static str {
        text.parse::<Allowed>().expect_err(text).reason
    }

    #[test]
    fn entries_are_networks_names_and_addresses() {
        let text = " 10.1.0.0/16,N8N.:5678 ,127.0.0.1:3000,[::ffff:10.0.0.1]:80,fd12::/32";
        let allowed: Allowed = text.parse().unwrap();
        assert_eq!(
            allowed.networks,
            ["10.1.0.0/16".parse().unwrap(), "fd12::/32".parse().unwrap()]
        );
        assert_eq!(allowed.names, [(Host::Name("n8n".into()), 5678)]);
        let loopback = (IpAddr::from([127, 0, 0, 1]), 3000);
        assert_eq!(allowed.addresses, [loopback, (IpAddr::from([10, 0, 0, 1]), 80)]);
        assert_eq!("".parse(), Ok(Allowed::default()));
        assert_eq!("  ".parse(), Ok(Allowed::default()));
    }

    #[test]
    fn invalid_entry_is_rejected_with_its_reason() {
        for (entry, expected) in [
            ("10.1.0.0/33", SYNTAX),
            ("10.1/16", SYNTAX),
            ("n8n/8", SYNTAX),
            ("a_b c:1", SYNTAX),
            ("*:80", SYNTAX),
            ("http://n8n:5678", SYNTAX),
            ("2130706433:80", SYNTAX),
            ("0177.0.0.1:80", SYNTAX),
            ("[fe80::1%eth0]:80", SYNTAX),
            (":80", SYNTAX),
            ("n8n", NO_PORT),
            ("10.1.2.3", NO_PORT),
            ("n8n:", PORT),
            ("n8n:0", PORT),
            ("n8n:65536", PORT),
            ("n8n:+80", PORT),
            ("fd12::1", BRACKETS),
            ("::1:3000", BRACKETS),
            ("10.1.2.3/16", HOST_BITS),
            ("::ffff:10.0.0.0/104", MAPPED),
            ("169.254.0.0/16", METADATA_NETWORK),
            ("169.254.169.254/32", METADATA_NETWORK),
            ("fe80::/10", METADATA_NETWORK),
            ("224.0.0.0/4", UNUSABLE),
            ("0.0.0.0:80", UNUSABLE),
            ("[::]:80", UNUSABLE),
            ("[ff02::1]:80", UNUSABLE),
        ] {
            assert_eq!(reason(entry), expected, "{entry}");
        }
        assert_eq!(reason("n8n:80,,"), "is empty");
        let error = "n8n:80, 10.1.2.3 ".parse::<Allowed>().unwrap_err().to_string();
        assert_eq!(error, format!("entry \"10.1.2.3\" {NO_PORT}"));
    }
}
