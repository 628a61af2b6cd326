//! The tokens of nodes.

use std::collections::BTreeMap;

use domain::GatewayId;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The nodes that may call the router, each with the SHA-256 digest of its token.
#[derive(Clone, Default)]
pub struct NodeTokens(BTreeMap<GatewayId, [u8; 32]>);

impl NodeTokens {
    /// Creates the set of tokens. A node with an empty token is left out and cannot call.
    pub fn new(tokens: impl IntoIterator<Item = (GatewayId, String)>) -> Self {
        let tokens = tokens.into_iter().filter(|(_, token)| !token.is_empty());
        Self(tokens.map(|(id, token)| (id, digest(&token))).collect())
    }

    /// Returns the node `name` if `token` is its token. Takes the same time for a wrong token and
    /// for an unknown node.
    pub(crate) fn node(&self, name: &str, token: &str) -> Option<GatewayId> {
        let id = GatewayId::parse(name);
        let known = id.as_ref().and_then(|id| self.0.get(id));
        let expected = known.unwrap_or(&[0; 32]);
        let fits = bool::from(digest(token).ct_eq(expected));
        id.filter(|_| fits && known.is_some())
    }
}

impl std::fmt::Debug for NodeTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys().map(GatewayId::as_str)).finish()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

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
