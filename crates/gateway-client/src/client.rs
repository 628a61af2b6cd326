//! The port: each of its four calls as the treaty has it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    Declaration, LiveIdentity, LogoutOutcome, Node, SessionId, Snapshot,
    ports::{GatewayError, SessionControl},
};
use gateway_protocol::{self as treaty, convert::Nonsense};
use hyper::{Method, StatusCode};

use crate::{
    Config,
    http::{Answer, Call, Line, body},
};

/// Speaks to gateway nodes over HTTP, each with its own bearer token.
#[derive(Clone, Debug)]
pub struct Client {
    line: Line,
    config: Config,
}

impl Client {
    /// A client for these nodes.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, rustls::Error> {
        Ok(Self { line: Line::new(config.connect, config.answer_limit)?, config })
    }

    async fn ask(
        &self,
        node: &Node,
        method: Method,
        path: &str,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Answer, GatewayError> {
        let Some(token) = self.config.tokens.of(&node.id) else {
            return Err(GatewayError::Unavailable(
                format!("no token is configured for gateway {}", node.id).into(),
            ));
        };
        // A session's name is letters, digits and one underscore: nothing in it needs escaping.
        let url = format!("{}/node/v1/sessions/{path}", node.address.trim_end_matches('/'));
        let what = format!("{method} {path}");
        let answer = self.line.make(Call { method, url, token, body, deadline }).await;
        if let Err(error) = &answer {
            let causes = causes(error);
            tracing::debug!(gateway = %node.id, call = what, %error, causes, "call to a node failed");
        }
        answer
    }
}

#[async_trait]
impl SessionControl for Client {
    async fn declare(
        &self,
        node: &Node,
        session: &SessionId,
        declaration: &Declaration,
    ) -> Result<Snapshot, GatewayError> {
        let body = body(&treaty::Declaration::from(declaration))?;
        let deadline = self.config.declare;
        let answer = self.ask(node, Method::PUT, session.as_str(), body, deadline).await?;
        snapshot(session, answer.read()?)
    }

    async fn logout(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
        deadline: Duration,
    ) -> Result<(LogoutOutcome, Snapshot), GatewayError> {
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let body = body(&treaty::Logout { epoch, linked, deadline_ms })?;
        let deadline = deadline.saturating_add(self.config.logout_margin);
        let path = format!("{session}:logout");
        let answer = self.ask(node, Method::POST, &path, body, deadline).await?;
        let treaty::LoggedOut { outcome, snapshot: after } = answer.read()?;
        Ok((outcome.into(), snapshot(session, after)?))
    }

    async fn forget(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
    ) -> Result<(), GatewayError> {
        let path = format!("{session}?epoch={epoch}&linked={linked}");
        let deadline = self.config.forget;
        let answer = self.ask(node, Method::DELETE, &path, Bytes::new(), deadline).await?;
        // Keys count as wiped on the node's exact word only, not on any success whatever.
        if answer.status == StatusCode::NO_CONTENT {
            Ok(())
        } else {
            Err(GatewayError::Broken(format!("{} instead of 204", answer.status).into()))
        }
    }

    async fn identity(
        &self,
        node: &Node,
        session: &SessionId,
    ) -> Result<LiveIdentity, GatewayError> {
        let path = format!("{session}/identity");
        let deadline = self.config.identity;
        let answer = self.ask(node, Method::GET, &path, Bytes::new(), deadline).await?;
        Ok(answer.read::<treaty::LiveIdentity>()?.into())
    }
}

/// The snapshot, if it is one, and of the session that was asked about.
fn snapshot(asked: &SessionId, answer: treaty::Snapshot) -> Result<Snapshot, GatewayError> {
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| GatewayError::Broken(error);
    let (session, snapshot) = answer.try_into().map_err(|error: Nonsense| broken(error.into()))?;
    if session == *asked {
        Ok(snapshot)
    } else {
        Err(broken("a snapshot of another session".into()))
    }
}

/// What is behind an error, outermost first.
fn causes(error: &GatewayError) -> String {
    let first = std::error::Error::source(error);
    let chain = std::iter::successors(first, |cause| cause.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
