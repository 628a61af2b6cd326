//! The tokens of nodes.

use std::collections::BTreeMap;

use domain::GatewayId;
use gateway_protocol::{FleetSecret, NodePattern};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The nodes that may call the router, each with the SHA-256 digest of its token; and the secret from
/// which the tokens of further nodes are derived (ADR 0061).
#[derive(Clone, Default)]
pub struct NodeTokens {
    listed: BTreeMap<GatewayId, [u8; 32]>,
    fleet: Option<(FleetSecret, Vec<NodePattern>)>,
}

impl NodeTokens {
    /// Creates the set of tokens. A node with an empty token is left out and cannot call.
    pub fn new(tokens: impl IntoIterator<Item = (GatewayId, String)>) -> Self {
        let tokens = tokens.into_iter().filter(|(_, token)| !token.is_empty());
        let listed = tokens.map(|(id, token)| (id, digest(&token))).collect();
        Self { listed, fleet: None }
    }

    /// Lets nodes with a derived token call whose ids match a pattern. Listed tokens win.
    #[must_use]
    pub fn with_fleet(self, fleet: Option<(FleetSecret, Vec<NodePattern>)>) -> Self {
        Self { fleet, ..self }
    }

    /// Returns the node `name` if `token` is its token. Takes the same time for a wrong token and
    /// for an unknown node.
    pub(crate) fn node(&self, name: &str, token: &str) -> Option<GatewayId> {
        let id = GatewayId::parse(name);
        let known = id.as_ref().and_then(|id| self.digest_of(id));
        let expected = known.unwrap_or([0; 32]);
        let fits = bool::from(digest(token).ct_eq(&expected));
        id.filter(|_| fits && known.is_some())
    }

    fn digest_of(&self, id: &GatewayId) -> Option<[u8; 32]> {
        let derived = || {
            let (secret, patterns) = self.fleet.as_ref()?;
            let derived = digest(&secret.token(id.as_str()));
            patterns.iter().any(|pattern| pattern.matches(id.as_str())).then_some(derived)
        };
        self.listed.get(id).copied().or_else(derived)
    }
}

impl std::fmt::Debug for NodeTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.listed.keys().map(GatewayId::as_str)).finish()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_token_authenticates_its_own_node_and_a_listed_token_wins() {
        let id = |name| GatewayId::parse(name).unwrap();
        let secret = FleetSecret::new(&"x".repeat(32)).unwrap();
        let patterns = vec![NodePattern::parse("gw-*").unwrap()];
        let tokens = NodeTokens::new([(id("gw-1"), "listed".to_owned())])
            .with_fleet(Some((secret.clone(), patterns)));
        let derived = |name: &str| secret.token(name);
        assert_eq!(tokens.node("gw-2", &derived("gw-2")), Some(id("gw-2")));
        assert_eq!(tokens.node("gw-1", "listed"), Some(id("gw-1")));
        for (name, token) in [
            ("gw-1", derived("gw-1")),
            ("gw-2", derived("gw-3")),
            ("other", derived("other")),
            ("gw-2", String::new()),
        ] {
            assert_eq!(tokens.node(name, &token), None, "{name}");
        }
    }

    #[test]
    fn token_authenticates_its_own_node_only() {
        let id = |name| GatewayId::parse(name).unwrap();
        let tokens = NodeTokens::new(
            [("gw-1", "one"), ("gw-2", "two"), ("gw-3", "")].map(|(n, t)| (id(n), t.to_owned())),
        );
        assert_eq!(tokens.node("gw-1", "one"), Some(id("gw-1")));
        for (name, token) in [
            ("gw-1", "two"),
            ("gw-2", "one"),
            ("gw-3", ""),
            ("gw-4", "one"),
            ("", ""),
            ("a/b", "one"),
        ] {
            assert_eq!(tokens.node(name, token), None, "{name} {token}");
        }
        assert_eq!(format!("{tokens:?}"), r#"{"gw-1", "gw-2"}"#);
    }
}
