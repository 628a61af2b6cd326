//! The configuration of the client: tokens of nodes, deadlines and limits.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::GatewayId;
use gateway_protocol::{FleetSecret, NodePattern};
use http_client::RootCertStore;
use secrecy::SecretString;

/// The tokens of nodes: listed ones, and the secret from which those of further nodes are derived (ADR
/// 0061). A token authenticates both directions. `Debug` shows no token.
#[derive(Clone, Debug, Default)]
pub struct NodeTokens {
    listed: Arc<HashMap<GatewayId, SecretString>>,
    fleet: Option<(FleetSecret, Vec<NodePattern>)>,
}

impl NodeTokens {
    /// Returns the token of a node; `None` for an unknown node. A listed token wins.
    pub fn of(&self, node: &GatewayId) -> Option<SecretString> {
        let derived = || {
            let (secret, patterns) = self.fleet.as_ref()?;
            let is_member = patterns.iter().any(|pattern| pattern.matches(node.as_str()));
            is_member.then(|| secret.token(node.as_str()).into())
        };
        self.listed.get(node).cloned().or_else(derived)
    }

    /// Derives the tokens of nodes whose ids match a pattern.
    #[must_use]
    pub fn with_fleet(self, fleet: Option<(FleetSecret, Vec<NodePattern>)>) -> Self {
        Self { fleet, ..self }
    }
}

impl FromIterator<(GatewayId, SecretString)> for NodeTokens {
    fn from_iter<I: IntoIterator<Item = (GatewayId, SecretString)>>(tokens: I) -> Self {
        Self { listed: Arc::new(tokens.into_iter().collect()), fleet: None }
    }
}

/// The configuration of [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct Config {
    /// The tokens of the nodes. The client sends no request to a node without a token.
    pub tokens: NodeTokens,
    /// The authorities whose certificates of nodes are trusted; `None` for those of the machine.
    pub authorities: Option<RootCertStore>,
    /// Returns the value of `traceparent` for a request that the current task serves.
    pub trace: fn() -> Option<String>,
    /// The maximum time to connect; part of every deadline below.
    pub connect: Duration,
    /// The deadline of a declaration.
    pub declare: Duration,
    /// The time that an unlink may take beyond its own deadline.
    pub logout_margin: Duration,
    /// The deadline of the command to wipe keys.
    pub forget: Duration,
    /// The deadline of a request for the live identity.
    pub identity: Duration,
    /// The deadline of messages and of their cancellation, which a node answers without waiting.
    pub hand_over: Duration,
    /// The deadline of a live request. A node waits at most 10 s for WhatsApp.
    pub ask: Duration,
    /// The maximum length of a response in bytes.
    pub max_response_bytes: usize,
}

impl Config {
    /// Creates a configuration with the default deadlines and limits.
    pub fn new(tokens: NodeTokens) -> Self {
        Self {
            tokens,
            authorities: None,
            trace: || None,
            connect: Duration::from_secs(3),
            declare: Duration::from_secs(5),
            logout_margin: Duration::from_secs(2),
            forget: Duration::from_secs(5),
            identity: Duration::from_secs(1),
            hand_over: Duration::from_secs(5),
            ask: Duration::from_secs(12),
            max_response_bytes: 64 * 1024,
        }
    }
}
