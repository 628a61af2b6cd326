//! Gateways as operators see them.

use domain::OperatedNode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{example::example_is_sample, list::ListView};

/// A gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Gateway)]
pub struct GatewayView {
    /// The id of the gateway, which its operator chose.
    pub id: String,
    /// Whether the gateway holds its lease. A gateway that is not up has closed its connections.
    pub up: bool,
    /// The number of sessions that the gateway held at its last heartbeat.
    pub sessions: u32,
    /// The maximum number of sessions.
    pub capacity: u32,
    /// Program and version of the gateway.
    pub version: String,
    /// The time from which the lease of the gateway counts: its last answered heartbeat.
    pub last_heartbeat_at: i64,
}

example_is_sample!(GatewayView, ListView<GatewayView>);

impl ListView<GatewayView> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { data: vec![GatewayView::sample()], next_cursor: None }
    }
}

impl GatewayView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            id: "gw-sg-1".to_owned(),
            up: true,
            sessions: 412,
            capacity: 2_000,
            version: "berth-gateway 0.1.0".to_owned(),
            last_heartbeat_at: 1_767_254_400_000,
        }
    }

    pub(crate) fn of(operated: &OperatedNode) -> Self {
        let node = &operated.node;
        Self {
            id: node.id.to_string(),
            up: operated.up,
            sessions: node.held,
            capacity: node.capacity,
            version: node.version.clone(),
            last_heartbeat_at: node.heartbeat_at.millis(),
        }
    }
}
