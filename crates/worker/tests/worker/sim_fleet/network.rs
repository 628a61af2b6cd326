//! The network between routers and nodes: it loses or delays commands and loses responses.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    Declaration, GatewayId, LiveIdentity, LogoutOutcome, Node, SessionId, Snapshot,
    ports::{GatewayError, SessionControl},
    testing::FakeSessionControl,
};

use super::stepped_store::wait_for_step;

/// What happens to a command to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NetworkFault {
    /// Command and response arrive.
    #[default]
    None,
    /// The command is lost.
    RequestLost,
    /// The command arrives and its response is lost.
    ResponseLost,
    /// The command arrives after its sender has given up.
    Delayed,
}

/// A delayed command.
#[derive(Clone, Debug)]
enum Command {
    Declare(Declaration),
    Logout(u64, bool),
    Forget(u64, bool),
}

/// The network to all nodes.
#[derive(Clone, Default)]
pub(crate) struct Network(Arc<Mutex<Links>>);

#[derive(Default)]
struct Links {
    nodes: BTreeMap<GatewayId, (FakeSessionControl, NetworkFault)>,
    delayed: Vec<(Node, SessionId, Command)>,
}

impl Network {
    pub(crate) fn connect(&self, id: &GatewayId, node: FakeSessionControl) {
        self.links().nodes.insert(id.clone(), (node, NetworkFault::None));
    }

    /// Sets the fault for commands to a node.
    pub(crate) fn set_fault(&self, id: &GatewayId, fault: NetworkFault) {
        if let Some((_, current)) = self.links().nodes.get_mut(id) {
            *current = fault;
        }
    }

    /// Delivers one delayed command, if any, and drops its response. Returns false if there is
    /// none.
    pub(crate) async fn deliver(&self, which: usize) -> bool {
        let (node, session, command, gateway) = {
            let mut links = self.links();
            if links.delayed.is_empty() {
                return false;
            }
            let which = which % links.delayed.len();
            let (node, session, command) = links.delayed.remove(which);
            let gateway = links.nodes[&node.id].0.clone();
            (node, session, command, gateway)
        };
        match command {
            Command::Declare(declaration) => {
                drop(gateway.declare(&node, &session, &declaration).await);
            }
            Command::Logout(epoch, linked) => {
                drop(gateway.logout(&node, &session, epoch, linked, Duration::ZERO).await);
            }
            Command::Forget(epoch, linked) => {
                drop(gateway.forget(&node, &session, epoch, linked).await);
            }
        }
        true
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.0.lock().unwrap()
    }

    /// Returns the node if the command arrives now, and whether its response arrives.
    async fn send(
        &self,
        node: &Node,
        session: &SessionId,
        command: Command,
    ) -> Result<(FakeSessionControl, bool), GatewayError> {
        wait_for_step().await;
        let mut links = self.links();
        let (gateway, fault) = links.nodes[&node.id].clone();
        match fault {
            NetworkFault::None => Ok((gateway, true)),
            NetworkFault::ResponseLost => Ok((gateway, false)),
            NetworkFault::RequestLost => Err(no_response()),
            NetworkFault::Delayed => {
                links.delayed.push((node.clone(), session.clone(), command));
                Err(no_response())
            }
        }
    }
}

fn no_response() -> GatewayError {
    GatewayError::Unavailable("no response".into())
}

/// Returns the response one step after the node has performed the command.
async fn respond<T>(response: Result<T, GatewayError>, arrives: bool) -> Result<T, GatewayError> {
    wait_for_step().await;
    if arrives { response } else { Err(no_response()) }
}

#[async_trait]
impl SessionControl for Network {
    async fn declare(
        &self,
        node: &Node,
        session: &SessionId,
        declaration: &Declaration,
    ) -> Result<Snapshot, GatewayError> {
        let command = Command::Declare(declaration.clone());
        let (target, arrives) = self.send(node, session, command).await?;
        respond(target.declare(node, session, declaration).await, arrives).await
    }

    async fn logout(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
        deadline: Duration,
    ) -> Result<(LogoutOutcome, Snapshot), GatewayError> {
        let (target, arrives) = self.send(node, session, Command::Logout(epoch, linked)).await?;
        respond(target.logout(node, session, epoch, linked, deadline).await, arrives).await
    }

    async fn forget(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
    ) -> Result<(), GatewayError> {
        let (target, arrives) = self.send(node, session, Command::Forget(epoch, linked)).await?;
        respond(target.forget(node, session, epoch, linked).await, arrives).await
    }

    async fn identity(
        &self,
        node: &Node,
        session: &SessionId,
    ) -> Result<LiveIdentity, GatewayError> {
        let target = self.links().nodes[&node.id].0.clone();
        target.identity(node, session).await
    }
}
