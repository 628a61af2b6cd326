//! The configuration of the client: tokens of nodes, deadlines and limits.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::GatewayId;
use secrecy::SecretString;

/// The tokens of nodes. A token authenticates both directions. `Debug` shows no token.
#[derive(Clone, Debug, Default)]
pub struct NodeTokens(Arc<HashMap<GatewayId, SecretString>>);

impl NodeTokens {
    /// Returns the token of a node; `None` for an unknown node.
    pub fn of(&self, node: &GatewayId) -> Option<&SecretString> {
        self.0.get(node)
    }
}

impl FromIterator<(GatewayId, SecretString)> for NodeTokens {
    fn from_iter<I: IntoIterator<Item = (GatewayId, SecretString)>>(tokens: I) -> Self {
        Self(Arc::new(tokens.into_iter().collect()))
    }
}

/// The configuration of [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct Config {
    /// The tokens of the nodes. The client sends no request to a node without a token.
    pub tokens: NodeTokens,
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
