//! What lies between routers and nodes: it loses commands, loses answers, and brings some later.

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

use super::stepped_store::turnstile;

/// What becomes of a command to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It arrives, and so does the answer.
    #[default]
    Fine,
    /// It never arrives.
    Lost,
    /// It arrives, and nobody hears of it.
    Unheard,
    /// It arrives when nobody waits for it any more.
    Late,
}

/// A command on its way.
#[derive(Clone, Debug)]
enum Command {
    Declare(Declaration),
    Logout(u64, bool),
    Forget(u64, bool),
}

/// The wires to all nodes.
#[derive(Clone, Default)]
pub(crate) struct Network(Arc<Mutex<Wires>>);

#[derive(Default)]
struct Wires {
    nodes: BTreeMap<GatewayId, (FakeSessionControl, Weather)>,
    late: Vec<(Node, SessionId, Command)>,
}

impl Network {
    pub(crate) fn connect(&self, id: &GatewayId, node: FakeSessionControl) {
        self.wires().nodes.insert(id.clone(), (node, Weather::Fine));
    }

    /// From now on, commands to this node fare so.
    pub(crate) fn turn(&self, id: &GatewayId, weather: Weather) {
        if let Some((_, here)) = self.wires().nodes.get_mut(id) {
            *here = weather;
        }
    }

    /// One of the commands that are late arrives, if there is one; nobody hears the answer.
    pub(crate) async fn deliver(&self, which: usize) -> bool {
        let (node, session, command, gateway) = {
            let mut wires = self.wires();
            if wires.late.is_empty() {
                return false;
            }
            let which = which % wires.late.len();
            let (node, session, command) = wires.late.remove(which);
            let gateway = wires.nodes[&node.id].0.clone();
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

    fn wires(&self) -> MutexGuard<'_, Wires> {
        self.0.lock().unwrap()
    }

    /// The node, if the command gets there now; and whether its answer gets back.
    async fn reach(
        &self,
        node: &Node,
        session: &SessionId,
        command: Command,
    ) -> Result<(FakeSessionControl, bool), GatewayError> {
        turnstile().await;
        let mut wires = self.wires();
        let (gateway, weather) = wires.nodes[&node.id].clone();
        match weather {
            Weather::Fine => Ok((gateway, true)),
            Weather::Unheard => Ok((gateway, false)),
            Weather::Lost => Err(silence()),
            Weather::Late => {
                wires.late.push((node.clone(), session.clone(), command));
                Err(silence())
            }
        }
    }
}

fn silence() -> GatewayError {
    GatewayError::Unavailable("no answer came".into())
}

/// What comes back, a moment after the node has done it.
async fn heard<T>(answer: Result<T, GatewayError>, comes_back: bool) -> Result<T, GatewayError> {
    turnstile().await;
    if comes_back { answer } else { Err(silence()) }
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
        let (there, back) = self.reach(node, session, command).await?;
        heard(there.declare(node, session, declaration).await, back).await
    }

    async fn logout(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
        deadline: Duration,
    ) -> Result<(LogoutOutcome, Snapshot), GatewayError> {
        let (there, back) = self.reach(node, session, Command::Logout(epoch, linked)).await?;
        heard(there.logout(node, session, epoch, linked, deadline).await, back).await
    }

    async fn forget(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
    ) -> Result<(), GatewayError> {
        let (there, back) = self.reach(node, session, Command::Forget(epoch, linked)).await?;
        heard(there.forget(node, session, epoch, linked).await, back).await
    }

    async fn identity(
        &self,
        node: &Node,
        session: &SessionId,
    ) -> Result<LiveIdentity, GatewayError> {
        let there = self.wires().nodes[&node.id].0.clone();
        there.identity(node, session).await
    }
}
