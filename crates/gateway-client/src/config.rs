//! Which secret belongs to which node, and how long a node may take.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::GatewayId;
use secrecy::SecretString;

/// The secrets shared with the nodes, each good for both directions. `Debug` shows none.
#[derive(Clone, Debug, Default)]
pub struct NodeTokens(Arc<HashMap<GatewayId, SecretString>>);

impl NodeTokens {
    /// The secret of one node.
    pub fn of(&self, node: &GatewayId) -> Option<&SecretString> {
        self.0.get(node)
    }
}

impl FromIterator<(GatewayId, SecretString)> for NodeTokens {
    fn from_iter<I: IntoIterator<Item = (GatewayId, SecretString)>>(tokens: I) -> Self {
        Self(Arc::new(tokens.into_iter().collect()))
    }
}

/// How nodes are spoken to.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who may be spoken to, and with which secret.
    pub tokens: NodeTokens,
    /// How long a connection may take to come about; part of every deadline below.
    pub connect: Duration,
    /// How long a declaration may take.
    pub declare: Duration,
    /// How much longer than its own deadline an unlink may take.
    pub logout_margin: Duration,
    /// How long forgetting may take.
    pub forget: Duration,
    /// How long a caller waits for a live identity.
    pub identity: Duration,
    /// The longest answer that is read, in bytes.
    pub answer_limit: usize,
}

impl Config {
    /// The usual patience, for the nodes these tokens name.
    pub fn new(tokens: NodeTokens) -> Self {
        Self {
            tokens,
            connect: Duration::from_secs(3),
            declare: Duration::from_secs(5),
            logout_margin: Duration::from_secs(2),
            forget: Duration::from_secs(5),
            identity: Duration::from_secs(1),
            answer_limit: 64 * 1024,
        }
    }
}
