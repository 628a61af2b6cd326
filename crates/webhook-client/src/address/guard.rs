//! Judges the addresses of a destination.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{PoisonError, RwLock},
};

use super::{
    allowed::Allowed,
    ranges::{Restriction, restriction},
};
use crate::host::Host;

/// The part of the network in which an address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every address of the destination is public.
    Public,
    /// At least one address is reachable only because the operator allows the destination.
    AllowedPrivate,
}

/// The refusal of a destination. The text names the address: it is for the operator only, because
/// the owner of a webhook must not learn the addresses of internal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} {reason}")]
pub struct Forbidden {
    address: SocketAddr,
    reason: &'static str,
}

/// The rules of the operator. `denied` addresses (listeners and the database of berth itself)
/// override every allowed entry; a denied unspecified address, such as `0.0.0.0:8080`, stands for
/// the port on every address of the machine.
#[derive(Debug)]
pub(crate) struct Guard {
    allowed: Allowed,
    denied: RwLock<Vec<SocketAddr>>,
}

impl Guard {
    pub(crate) fn new(allowed: Allowed, denied: Vec<SocketAddr>) -> Self {
        Self { allowed, denied: RwLock::new(denied) }
    }

    pub(crate) fn deny(&self, denied: Vec<SocketAddr>) {
        *self.denied.write().unwrap_or_else(PoisonError::into_inner) = denied;
    }

    pub(crate) fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// Judges every address of `host`; one forbidden address forbids the destination.
    pub(crate) fn judge(
        &self,
        host: &Host,
        addresses: &[SocketAddr],
    ) -> Result<Verdict, Forbidden> {
        let mut verdict = Verdict::Public;
        for address in addresses {
            if self.judge_one(host, *address)? == Verdict::AllowedPrivate {
                verdict = Verdict::AllowedPrivate;
            }
        }
        Ok(verdict)
    }

    /// Judges an open connection by the address of its peer. `local` is the own end: where the two
    /// addresses are equal, the peer is this machine.
    pub(crate) fn judge_peer(
        &self,
        host: &Host,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Result<Verdict, Forbidden> {
        let own_machine = peer.ip().to_canonical() == local.ip().to_canonical();
        if own_machine && self.denies(peer.port(), |denied| denied.is_unspecified()) {
            return Err(Forbidden { address: peer, reason: OWN });
        }
        self.judge_one(host, peer)
    }

    fn judge_one(&self, host: &Host, address: SocketAddr) -> Result<Verdict, Forbidden> {
        let forbidden = |reason| Err(Forbidden { address, reason });
        let (ip, port) = (address.ip().to_canonical(), address.port());
        if matches!(address, SocketAddr::V6(address) if address.scope_id() != 0) {
            return forbidden("has a scope id");
        }
        let is_denied = |denied: IpAddr| {
            denied.to_canonical() == ip || denied.is_unspecified() && ip.is_loopback()
        };
        if self.denies(port, is_denied) {
            return forbidden(OWN);
        }
        match restriction(ip) {
            None => Ok(Verdict::Public),
            Some(restriction) if self.allowed.permits(host, ip, port, restriction) => {
                Ok(Verdict::AllowedPrivate)
            }
            Some(Restriction::Private) => forbidden("is not public"),
            Some(Restriction::Metadata) => forbidden("is a link-local or metadata address"),
            Some(Restriction::Unusable) => forbidden("is no address of one host"),
        }
    }

    fn denies(&self, port: u16, is_denied: impl Fn(IpAddr) -> bool) -> bool {
        let denied = self.denied.read().unwrap_or_else(PoisonError::into_inner);
        denied.iter().any(|denied| denied.port() == port && is_denied(denied.ip()))
    }
}

const OWN: &str = "belongs to berth itself";

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allowed: &str, denied: &[&str]) -> Guard {
        let denied = denied.iter().map(|address| address.parse().unwrap()).collect();
        Guard::new(allowed.parse().unwrap(), denied)
    }

    fn judge(guard: &Guard, host: &str, addresses: &[&str]) -> Result<Verdict, &'static str> {
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        guard.judge(&Host::parse(host).unwrap(), &addresses).map_err(|forbidden| forbidden.reason)
    }

    #[test]
    fn one_forbidden_address_forbids_the_destination() {
        let guard = guard("", &[]);
        assert_eq!(judge(&guard, "a.example", &["8.8.8.8:80", "1.1.1.1:80"]), Ok(Verdict::Public));
        let mixed = ["8.8.8.8:80", "10.0.0.1:80", "1.1.1.1:80"];
        assert_eq!(judge(&guard, "a.example", &mixed), Err("is not public"));
        assert_eq!(judge(&guard, "a.example", &[]), Ok(Verdict::Public));
    }

    #[test]
    fn network_allows_every_port_and_name() {
        let guard = guard("10.1.0.0/16", &[]);
        for host in ["10.1.2.3", "n8n"] {
            assert_eq!(judge(&guard, host, &["10.1.2.3:80"]), Ok(Verdict::AllowedPrivate));
            assert_eq!(judge(&guard, host, &["[::ffff:10.1.2.3]:1"]), Ok(Verdict::AllowedPrivate));
            assert_eq!(judge(&guard, host, &["10.2.0.0:80"]), Err("is not public"));
            assert_eq!(judge(&guard, host, &["[64:ff9b::10.1.2.3]:80"]), Err("is not public"));
        }
    }

    #[test]
    fn name_entry_allows_the_name_with_its_port_alone() {
        let guard = guard("n8n:5678", &[]);
        assert_eq!(judge(&guard, "N8N.", &["127.0.0.1:5678"]), Ok(Verdict::AllowedPrivate));
        assert_eq!(judge(&guard, "n8n", &["127.0.0.1:80"]), Err("is not public"));
        assert_eq!(judge(&guard, "other", &["127.0.0.1:5678"]), Err("is not public"));
        assert_eq!(judge(&guard, "127.0.0.1", &["127.0.0.1:5678"]), Err("is not public"));
    }

    #[test]
    fn metadata_address_needs_its_own_entry() {
        let metadata = Err("is a link-local or metadata address");
        let wide = guard("0.0.0.0/0,::/0,meta:80", &[]);
        for address in ["169.254.169.254:80", "168.63.129.16:80", "[fd00:ec2::254]:80"] {
            assert_eq!(judge(&wide, "meta", &[address]), metadata, "{address}");
            let exact = guard(address, &[]);
            assert_eq!(judge(&exact, "meta", &[address]), Ok(Verdict::AllowedPrivate));
        }
        assert_eq!(judge(&wide, "meta", &["[64:ff9b::a9fe:a9fe]:80"]), metadata);
        let other_port = guard("169.254.169.254:81", &[]);
        assert_eq!(judge(&other_port, "meta", &["169.254.169.254:80"]), metadata);
    }

    #[test]
    fn unusable_address_is_never_allowed() {
        let wide = guard("0.0.0.0/0,::/0,name:80", &[]);
        for address in ["0.0.0.0:80", "[::]:80", "224.0.0.1:80", "255.255.255.255:80"] {
            assert_eq!(judge(&wide, "name", &[address]), Err("is no address of one host"));
        }
        assert_eq!(judge(&wide, "name", &["[fe80::1%3]:80"]), Err("has a scope id"));
    }

    #[test]
    fn denied_address_overrides_every_entry() {
        let wide = guard("0.0.0.0/0,::/0,127.0.0.1:8080", &["0.0.0.0:8080", "10.0.0.5:5432"]);
        for address in ["127.0.0.1:8080", "127.9.9.9:8080", "[::1]:8080", "10.0.0.5:5432"] {
            assert_eq!(judge(&wide, "name", &[address]), Err(OWN), "{address}");
        }
        assert_eq!(judge(&wide, "name", &["127.0.0.1:8081"]), Ok(Verdict::AllowedPrivate));
        assert_eq!(judge(&wide, "name", &["10.0.0.5:80"]), Ok(Verdict::AllowedPrivate));
        wide.deny(vec!["8.8.8.8:443".parse().unwrap()]);
        assert_eq!(judge(&wide, "name", &["127.0.0.1:8080"]), Ok(Verdict::AllowedPrivate));
        assert_eq!(judge(&wide, "name", &["8.8.8.8:443"]), Err(OWN));
    }

    #[test]
    fn denied_port_of_the_machine_is_refused_on_its_other_addresses() {
        let guard = guard("10.0.0.0/8", &["[::]:8080"]);
        let host = Host::parse("berth.internal").unwrap();
        let judge = |peer: &str, local: &str| {
            guard.judge_peer(&host, peer.parse().unwrap(), local.parse().unwrap())
        };
        assert_eq!(judge("10.0.0.5:8080", "10.0.0.5:4000").unwrap_err().reason, OWN);
        assert_eq!(judge("10.0.0.6:8080", "10.0.0.5:4000"), Ok(Verdict::AllowedPrivate));
        assert_eq!(judge("10.0.0.5:80", "10.0.0.5:4000"), Ok(Verdict::AllowedPrivate));
    }
}
