//! The table `gateways`, which holds the nodes.

use diesel::prelude::*;
use domain::{GatewayId, Node, Timestamp};

use crate::{
    StoreError,
    rows::column::{from_bigint, from_json, timestamp, to_json},
    schema::gateways,
};

/// A row of `gateways`. Column `boot` is the generation, `beat_at` the time of the last heartbeat.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = gateways, treat_none_as_default_value = false)]
pub(crate) struct NodeRow {
    id: String,
    address: String,
    incarnation: String,
    boot: i64,
    version: String,
    features: String,
    capacity: i64,
    held: i64,
    beat_at: i64,
    lost_at: Option<i64>,
}

impl NodeRow {
    /// Returns the row of a node's first registration, with generation 1.
    pub(crate) fn first(node: &Node) -> Result<Self, StoreError> {
        Ok(Self {
            id: node.id.to_string(),
            address: node.address.clone(),
            incarnation: node.incarnation.clone(),
            boot: 1,
            version: node.version.clone(),
            features: to_json("gateways.features", &node.features)?,
            capacity: i64::from(node.capacity),
            held: i64::from(node.held),
            beat_at: node.heartbeat_at.millis(),
            lost_at: None,
        })
    }

    fn node(&self) -> Result<Node, &'static str> {
        Ok(Node {
            id: GatewayId::parse(&self.id).ok_or("gateways.id")?,
            address: self.address.clone(),
            incarnation: self.incarnation.clone(),
            generation: from_bigint(self.boot).ok_or("gateways.boot")?,
            version: self.version.clone(),
            features: from_json(&self.features).ok_or("gateways.features")?,
            capacity: from_bigint(self.capacity).ok_or("gateways.capacity")?,
            held: from_bigint(self.held).ok_or("gateways.held")?,
            heartbeat_at: Timestamp::from_millis(self.beat_at),
            lost_at: timestamp(self.lost_at),
        })
    }
}

impl TryFrom<NodeRow> for Node {
    type Error = StoreError;

    fn try_from(row: NodeRow) -> Result<Self, StoreError> {
        row.node().map_err(|column| StoreError::corrupt(column, &row.id))
    }
}
