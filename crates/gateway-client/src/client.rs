//! [`Client`]: the calls about sessions as requests of the protocol.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    Declaration, LiveIdentity, LogoutOutcome, Node, SessionId, Snapshot,
    ports::{GatewayError, SessionControl},
};
use gateway_protocol::{self as protocol, convert::InvalidMessage};
use http_client::{HttpClient, TlsError};
use hyper::{Method, StatusCode};

use crate::{
    certificate_log::CertificateLog,
    config::Config,
    http::{self, NodeRequest, NodeResponse, body},
};

/// Sends commands to gateway nodes over HTTP, with a bearer token for each node.
#[derive(Clone, Debug)]
pub struct Client {
    http: HttpClient,
    pub(crate) config: Config,
    certificate_log: CertificateLog,
}

impl Client {
    /// Creates a client.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, TlsError> {
        Ok(Self {
            http: http::client(&config)?,
            config,
            certificate_log: CertificateLog::default(),
        })
    }

    pub(crate) async fn request(
        &self,
        node: &Node,
        method: Method,
        path: &str,
        body: Bytes,
        deadline: Duration,
    ) -> Result<NodeResponse, GatewayError> {
        let Some(token) = self.config.tokens.of(&node.id) else {
            return Err(GatewayError::Unreachable(
                format!("no token is configured for gateway {}", node.id).into(),
            ));
        };
        // A session id has letters, digits and one underscore, so it needs no escaping.
        let url = format!("{}/node/v1/sessions/{path}", node.address.trim_end_matches('/'));
        let call = format!("{method} {path}");
        let trace = (self.config.trace)();
        let request = NodeRequest { method, url, token: &token, body, deadline, trace };
        let response = request.send(&self.http).await;
        if let Err(error) = &response {
            let causes = causes(error);
            tracing::debug!(gateway = %node.id, call, %error, causes, "call to a node failed");
            self.certificate_log.record(node, error);
        }
        response
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
        let body = body(&protocol::Declaration::from(declaration))?;
        let deadline = self.config.declare;
        let response = self.request(node, Method::PUT, session.as_str(), body, deadline).await?;
        snapshot(session, response.json()?)
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
        let body = body(&protocol::Logout { epoch, linked, deadline_ms })?;
        let deadline = deadline.saturating_add(self.config.logout_margin);
        let path = format!("{session}:logout");
        let response = self.request(node, Method::POST, &path, body, deadline).await?;
        let protocol::LoggedOut { outcome, snapshot: after } = response.json()?;
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
        let response = self.request(node, Method::DELETE, &path, Bytes::new(), deadline).await?;
        // Only 204 confirms that the node has wiped the keys; other success codes do not.
        if response.status == StatusCode::NO_CONTENT {
            Ok(())
        } else {
            Err(GatewayError::Broken(format!("{} instead of 204", response.status).into()))
        }
    }

    async fn identity(
        &self,
        node: &Node,
        session: &SessionId,
    ) -> Result<LiveIdentity, GatewayError> {
        let path = format!("{session}/identity");
        let deadline = self.config.identity;
        let response = self.request(node, Method::GET, &path, Bytes::new(), deadline).await?;
        Ok(response.json::<protocol::LiveIdentity>()?.into())
    }
}

/// Converts a snapshot and checks that it belongs to the requested session.
fn snapshot(expected: &SessionId, response: protocol::Snapshot) -> Result<Snapshot, GatewayError> {
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| GatewayError::Broken(error);
    let (session, snapshot) =
        response.try_into().map_err(|error: InvalidMessage| broken(error.into()))?;
    if session == *expected {
        Ok(snapshot)
    } else {
        Err(broken("a snapshot of another session".into()))
    }
}

/// Returns the causes of an error, outermost first.
fn causes(error: &GatewayError) -> String {
    let first = std::error::Error::source(error);
    let chain = std::iter::successors(first, |cause| cause.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
