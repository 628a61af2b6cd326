//! The life of a request of a node, from its route to its response.

use std::hash::{BuildHasher as _, RandomState};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{Error, GatewayId};
use http_listener::{Handler, PermitHolder, Rejection, RequestContext, ResponseBody};
use hyper::{Response, header};

use super::{
    calls::NodeCalls,
    refusal,
    table::{NodeCall, NodeOperation},
    tokens::NodeTokens,
};
use crate::{
    request::media_type::{self, JSON},
    request_log::{RequestLog, RouteLabels},
    response::{
        problem::{Problem, Result},
        reply::Reply,
    },
    routes::{RouteMatch, Routes},
};

/// Answers the calls of nodes.
pub(super) struct NodeHandler {
    pub(super) routes: Routes<NodeOperation>,
    pub(super) calls: NodeCalls,
    pub(super) tokens: NodeTokens,
    /// Hashes names of nodes as permit holders, with a key of this process.
    pub(super) names: RandomState,
}

#[async_trait]
impl Handler for NodeHandler {
    type Log = RequestLog;

    fn start_log(&self) -> RequestLog {
        RequestLog::default()
    }

    async fn handle(&self, request: &mut RequestContext<RequestLog>) -> Response<ResponseBody> {
        let reply = self.respond(request).await.unwrap_or_else(|problem| {
            request.log.set_problem(&problem);
            refusal::reply(&problem)
        });
        reply.into_response().map(ResponseBody::Whole)
    }

    fn reject(&self, rejection: &Rejection) -> Response<Bytes> {
        refusal::reply(&Problem::from(rejection)).into_response()
    }
}

impl NodeHandler {
    async fn respond(&self, request: &mut RequestContext<RequestLog>) -> Result<Reply> {
        let matched = self.routes.find(&request.head.method, request.head.uri.path())?;
        let (NodeOperation { path: template, name: operation, call }, path) = match matched {
            RouteMatch::Row(row, path) => (row, path),
            RouteMatch::Options(allow) => return Ok(Reply::no_content().with(header::ALLOW, allow)),
        };
        request.log.set_route(RouteLabels { template, operation, routine: true });
        let node = self.authenticate(path.get("gateway"), request)?;
        request.connection.mark_authenticated();
        let (head, permits) = (request.take_head(), request.permits.clone());
        let name = self.names.hash_one(&node);
        let holder = PermitHolder { group: name, member: name };
        let permit = || permits.waiting(holder);
        let body = media_type::read(&mut request.body, &head.headers, &JSON, permit).await?;
        request.hold(permits.work(holder)?);
        match call {
            NodeCall::Register => self.calls.register(node, &body).await,
            NodeCall::Heartbeat => self.calls.heartbeat(&node, &body).await,
            NodeCall::Report => self.calls.report(&node, &body).await,
            NodeCall::Deliver => self.calls.deliver(&node, &body).await,
        }
    }

    /// Returns the node `name` if the token of the request is its token.
    fn authenticate(&self, name: &str, request: &RequestContext<RequestLog>) -> Result<GatewayId> {
        let mut given = request.head.headers.get_all(header::AUTHORIZATION).iter();
        let token = match (given.next().and_then(|value| value.to_str().ok()), given.next()) {
            (Some(value), None) => value.split_once(' '),
            _ => None,
        };
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let node = token.and_then(|(_, token)| self.tokens.node(name, token.trim()));
        let Some(node) = node else {
            request.log.set_refused("no token of this node");
            return Err(Error::Unauthorized.into());
        };
        request.log.set_node(node.as_str());
        Ok(node)
    }
}
