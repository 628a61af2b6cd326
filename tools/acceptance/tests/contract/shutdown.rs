//! SIGTERM ends the programs in order.

use acceptance::deployment::Deployment;
use anyhow::Result;

use crate::each_database;

each_database!(exclusive: router_ends_its_node_before_itself);

fn router_ends_its_node_before_itself(deployment: &mut Deployment) -> Result<()> {
    deployment.stack.stop_berth()?;
    deployment.stack.start_berth()?;
    deployment.stack.recover()
}
