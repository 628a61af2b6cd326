//! The operations of the node: one table row for each; routing and answers follow from the table.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use gateway_protocol::{
    Ask, Declaration, FEATURE_IDENTITY, FEATURE_MESSAGES, Health, Logout, Refusal, RefusalCode,
    SendMessages, Snapshots, TRACE_PARENT, TraceParent,
};
use http_listener::{BodyError, Handler, Limits, Rejection, RequestContext, ResponseBody};
use hyper::{HeaderMap, Method, Response, header::AUTHORIZATION};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq as _;

use crate::{
    fleet::Fleet,
    refusal::{malformed, refusal, unavailable},
    response::{json, method_not_allowed, no_content, refused},
    session_name::SessionName,
    version::program_version,
};

/// The maximum length of a group's tag, in bytes.
const MAX_GROUP_LENGTH: usize = 64;
/// The maximum deadline of a logout; longer ones are shortened.
const MAX_LOGOUT_DEADLINE: Duration = Duration::from_secs(60);

/// An operation of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Health,
    List,
    Declare,
    View,
    Forget,
    Logout,
    Identity,
    Send,
    CancelMessage,
    Ask,
}

const OPERATIONS: &[(Method, &str, Operation)] = &[
    (Method::GET, "/node/v1/health", Operation::Health),
    (Method::GET, "/node/v1/sessions", Operation::List),
    (Method::PUT, "/node/v1/sessions/{session}", Operation::Declare),
    (Method::GET, "/node/v1/sessions/{session}", Operation::View),
    (Method::DELETE, "/node/v1/sessions/{session}", Operation::Forget),
    (Method::POST, "/node/v1/sessions/{session}:logout", Operation::Logout),
    (Method::GET, "/node/v1/sessions/{session}/identity", Operation::Identity),
    (Method::POST, "/node/v1/sessions/{session}/messages", Operation::Send),
    (Method::DELETE, "/node/v1/sessions/{session}/messages/{outbox}", Operation::CancelMessage),
    (Method::POST, "/node/v1/sessions/{session}:ask", Operation::Ask),
];

/// The variable parts of a path.
struct PathParameters {
    session: Option<String>,
    outbox: Option<String>,
}

/// Handles the calls of the router.
pub(crate) struct Api {
    pub(crate) gateway: String,
    pub(crate) capacity: u32,
    pub(crate) token: SecretString,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) routes: matchit::Router<Vec<(Method, Operation)>>,
}

/// The limits of the node's listener. Its only callers are routers.
pub(crate) fn limits() -> Limits {
    Limits {
        connections: 256,
        unauthenticated_connections: 128,
        // A group of callers gets half of the permits at most, so that all connections of one router
        // can have a request.
        requests: 1024,
        waiting: 1024,
        // Longer than the time for which a router keeps an unused connection.
        idle: Duration::from_secs(30),
        // Longer than a logout with the maximum deadline and its margin in the fleet.
        request_time: Duration::from_secs(120),
        drain: Duration::from_secs(3),
        // Some dozens of the longest texts.
        body_bytes: 4 << 20,
        ..Limits::default()
    }
}

#[async_trait]
impl Handler for Api {
    type Log = ();

    fn start_log(&self) {}

    async fn handle(&self, request: &mut RequestContext) -> Response<ResponseBody> {
        let response = self.respond(request).await.unwrap_or_else(|refusal| refused(&refusal));
        response.map(ResponseBody::Whole)
    }

    fn reject(&self, rejection: &Rejection) -> Response<Bytes> {
        let refusal = match rejection {
            Rejection::InvalidHost { reason } => malformed(format!("the header Host {reason}")),
            Rejection::Unreadable { .. } => malformed("the request cannot be read"),
            Rejection::DeadlineExceeded | Rejection::Aborted => {
                unavailable("the request was not finished in time")
            }
            Rejection::Panicked { .. } => refusal(RefusalCode::Internal, "internal"),
        };
        let mut response = refused(&refusal);
        *response.status_mut() = rejection.status();
        response
    }
}

impl Api {
    /// Builds the router of the table.
    pub(crate) fn routes() -> Result<matchit::Router<Vec<(Method, Operation)>>, matchit::InsertError>
    {
        let mut routes = matchit::Router::<Vec<(Method, Operation)>>::new();
        for (index, (_, path, _)) in OPERATIONS.iter().enumerate() {
            if OPERATIONS[..index].iter().all(|(_, earlier, _)| earlier != path) {
                let operations = OPERATIONS.iter().filter(|(_, p, _)| p == path);
                routes.insert(
                    *path,
                    operations.map(|(m, _, operation)| (m.clone(), *operation)).collect(),
                )?;
            }
        }
        Ok(routes)
    }

    async fn respond(&self, request: &mut RequestContext) -> Result<Response<Bytes>, Refusal> {
        if !self.is_authorized(&request.head.headers) {
            return Err(refusal(RefusalCode::Unauthorized, "unauthorized"));
        }
        request.connection.mark_authenticated();
        let Ok(route) = self.routes.at(request.head.uri.path()) else {
            return Err(refusal(RefusalCode::UnknownCall, "unknown operation"));
        };
        let method = &request.head.method;
        let Some((_, operation)) = route.value.iter().find(|(accepted, _)| accepted == method)
        else {
            return Ok(method_not_allowed(route.value.iter().map(|(method, _)| method)));
        };
        let operation = *operation;
        let trace = request.head.headers.get(TRACE_PARENT).and_then(|value| value.to_str().ok());
        if let Some(trace) = trace.and_then(TraceParent::parse) {
            tracing::info!(trace_id = trace.trace_id(), ?operation, "the router calls");
        }
        let path = PathParameters {
            session: route.params.get("session").map(str::to_owned),
            outbox: route.params.get("outbox").map(str::to_owned),
        };
        let permit = request.permits.work(request.connection.permit_holder());
        request.hold(permit.map_err(|error| unavailable(error.to_string()))?);
        self.execute(operation, &path, request).await
    }

    /// Compares in constant time, so that the token cannot be guessed byte by byte.
    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).map(hyper::header::HeaderValue::as_bytes);
        let given = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
        bool::from(given.ct_eq(self.token.expose_secret().as_bytes()))
    }

    async fn execute(
        &self,
        operation: Operation,
        path: &PathParameters,
        request: &mut RequestContext,
    ) -> Result<Response<Bytes>, Refusal> {
        let session = || {
            let name = path.session.as_deref().and_then(SessionName::parse);
            name.ok_or_else(|| malformed("session ids are 1 to 64 letters, digits and underscores"))
        };
        match operation {
            Operation::Health => json(&self.health().await),
            Operation::List => json(&Snapshots { sessions: self.fleet.snapshots() }),
            Operation::View => json(&self.fleet.snapshot(&session()?)?),
            Operation::Identity => json(&self.fleet.identity(&session()?).await?),
            Operation::Declare => {
                let declaration: Declaration = read(request).await?;
                check_declaration(&declaration)?;
                json(&self.fleet.declare(&session()?, declaration).await?)
            }
            Operation::Logout => {
                let Logout { epoch, linked, deadline_ms } = read(request).await?;
                let within = Duration::from_millis(deadline_ms).min(MAX_LOGOUT_DEADLINE);
                json(&self.fleet.logout(&session()?, epoch, linked, within).await?)
            }
            Operation::Send => {
                let messages: SendMessages = read(request).await?;
                json(&self.fleet.send_messages(&session()?, messages)?)
            }
            Operation::CancelMessage => {
                let epoch = epoch_parameter(request.head.uri.query().unwrap_or_default())?;
                let outbox = path.outbox.as_deref().unwrap_or_default();
                json(&self.fleet.cancel_message(&session()?, epoch, outbox)?)
            }
            Operation::Ask => {
                let ask: Ask = read(request).await?;
                json(&self.fleet.ask(&session()?, ask).await?)
            }
            Operation::Forget => {
                let query = request.head.uri.query().unwrap_or_default();
                let (epoch, linked) = (epoch_parameter(query), parameter(query, "linked"));
                self.fleet.forget(&session()?, epoch?, linked == Some("true")).await?;
                Ok(no_content())
            }
        }
    }

    async fn health(&self) -> Health {
        let (sessions, working) = self.fleet.counts();
        Health {
            gateway: self.gateway.clone(),
            version: program_version(),
            features: features(),
            capacity: self.capacity,
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
            working: u32::try_from(working).unwrap_or(u32::MAX),
            resident_bytes: resident_bytes(),
            journal: Some(self.fleet.journal_stats().await),
        }
    }
}

/// Returns the features that this node announces to the router.
pub(crate) fn features() -> Vec<String> {
    vec![FEATURE_IDENTITY.to_owned(), FEATURE_MESSAGES.to_owned()]
}

fn check_declaration(declaration: &Declaration) -> Result<(), Refusal> {
    let phone = declaration.pairing.as_ref().and_then(|pairing| pairing.phone.as_deref());
    let fits = phone.is_none_or(|phone| {
        (7..=15).contains(&phone.len()) && phone.bytes().all(|b| b.is_ascii_digit())
    });
    let named = declaration.group.as_ref().is_none_or(|group| group.len() <= MAX_GROUP_LENGTH);
    match (fits, named) {
        (true, true) => Ok(()),
        (false, _) => Err(malformed("pairing.phone must be 7 to 15 digits")),
        (_, false) => Err(malformed("group must be at most 64 characters")),
    }
}

fn epoch_parameter(query: &str) -> Result<u64, Refusal> {
    let epoch = parameter(query, "epoch").and_then(|text| text.parse().ok());
    epoch.ok_or_else(|| malformed("epoch must be given as a number"))
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

/// Reads the JSON body of a request.
async fn read<T: DeserializeOwned>(request: &mut RequestContext) -> Result<T, Refusal> {
    let (permits, holder) = (request.permits.clone(), request.connection.permit_holder());
    let body =
        request.body.read(|| permits.waiting(holder)).await.map_err(|error| match error {
            BodyError::NoPermit(_) => unavailable(error.to_string()),
            _ => malformed(error.to_string()),
        })?;
    serde_json::from_slice(&body).map_err(|error| malformed(format!("body: {error}")))
}

/// Returns the resident memory of the process in bytes; 0 if the system does not provide the
/// figure.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
