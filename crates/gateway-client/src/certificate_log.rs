//! What the log says of nodes that no call can reach because of their certificates.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use domain::{GatewayId, Node, ports::GatewayError};
use http_client::ClientError;

/// Minimum time between two warnings of one node, because each session repeats its calls.
const INTERVAL: Duration = Duration::from_secs(60);

/// The times of the warnings. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct CertificateLog(Arc<Mutex<HashMap<GatewayId, Instant>>>);

impl CertificateLog {
    /// Logs a warning if the call to the node failed before its request was sent, because of the
    /// node's certificate or because the node does not speak TLS.
    pub(crate) fn record(&self, node: &Node, error: &GatewayError) {
        let GatewayError::Unreachable(cause) = error else { return };
        let Some(error @ (ClientError::UntrustedCertificate(_) | ClientError::NoTls)) =
            cause.downcast_ref()
        else {
            return;
        };
        if self.is_due(&node.id, Instant::now()) {
            let (gateway, address) = (&node.id, &node.address);
            tracing::warn!(%gateway, address, %error, "a node cannot be called; nothing was sent to it");
        }
    }

    fn is_due(&self, node: &GatewayId, now: Instant) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logged.retain(|_, at| now.duration_since(*at) < INTERVAL);
        let is_due = !logged.contains_key(node);
        if is_due {
            logged.insert(node.clone(), now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_is_logged_once_in_an_interval() {
        let (log, now) = (CertificateLog::default(), Instant::now());
        let [first, second] = ["gw-1", "gw-2"].map(|id| GatewayId::parse(id).unwrap());
        assert!(log.is_due(&first, now));
        assert!(!log.is_due(&first, now + INTERVAL / 2));
        assert!(log.is_due(&second, now + INTERVAL / 2));
        assert!(log.is_due(&first, now + INTERVAL));
    }
}
