//! The operations of the node: one table row for each; routing and answers follow from the table.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gateway_protocol::{
    Declaration, FEATURE_IDENTITY, Health, Logout, Refusal, RefusalCode, Snapshots,
};
use hyper::{HeaderMap, Method, StatusCode, header::AUTHORIZATION};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use subtle::ConstantTimeEq as _;

use crate::{
    fleet::Fleet,
    refusal::{self, malformed, refusal},
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
}

const OPERATIONS: &[(Method, &str, Operation)] = &[
    (Method::GET, "/node/v1/health", Operation::Health),
    (Method::GET, "/node/v1/sessions", Operation::List),
    (Method::PUT, "/node/v1/sessions/{session}", Operation::Declare),
    (Method::GET, "/node/v1/sessions/{session}", Operation::View),
    (Method::DELETE, "/node/v1/sessions/{session}", Operation::Forget),
    (Method::POST, "/node/v1/sessions/{session}:logout", Operation::Logout),
    (Method::GET, "/node/v1/sessions/{session}/identity", Operation::Identity),
];

/// Handles the calls of the router.
pub(crate) struct Api {
    pub(crate) gateway: String,
    pub(crate) capacity: u32,
    pub(crate) token: SecretString,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) routes: matchit::Router<Vec<(Method, Operation)>>,
}

/// A request with its complete body.
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The answer to a request.
pub(crate) struct ApiResponse {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    pub(crate) allow: Option<String>,
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

    /// Handles one call, from authentication to the answer.
    pub(crate) async fn handle(&self, request: ApiRequest) -> ApiResponse {
        if !self.is_authorized(&request.headers) {
            return refusal_response(&refusal(RefusalCode::Unauthorized, "unauthorized"));
        }
        let Ok(route) = self.routes.at(&request.path) else {
            return refusal_response(&refusal(RefusalCode::UnknownCall, "unknown operation"));
        };
        let Some((_, operation)) = route.value.iter().find(|(method, _)| *method == request.method)
        else {
            let allow = route.value.iter().map(|(m, _)| m.as_str()).collect::<Vec<_>>().join(", ");
            return ApiResponse {
                status: StatusCode::METHOD_NOT_ALLOWED,
                allow: Some(allow),
                ..refusal_response(&refusal(RefusalCode::UnknownCall, "unknown method"))
            };
        };
        let session = route.params.get("session").map(str::to_owned);
        match self.execute(*operation, session.as_deref(), &request).await {
            Ok(response) => response,
            Err(refusal) => refusal_response(&refusal),
        }
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
        session: Option<&str>,
        request: &ApiRequest,
    ) -> Result<ApiResponse, Refusal> {
        let session = || {
            let name = session.and_then(SessionName::parse);
            name.ok_or_else(|| malformed("session ids are 1 to 64 letters, digits and underscores"))
        };
        match operation {
            Operation::Health => json_response(&self.health()),
            Operation::List => json_response(&Snapshots { sessions: self.fleet.snapshots() }),
            Operation::View => json_response(&self.fleet.snapshot(&session()?)?),
            Operation::Identity => json_response(&self.fleet.identity(&session()?).await?),
            Operation::Declare => {
                let declaration: Declaration = parse(&request.body)?;
                check_declaration(&declaration)?;
                json_response(&self.fleet.declare(&session()?, declaration).await?)
            }
            Operation::Logout => {
                let logout: Logout = parse(&request.body)?;
                let within = Duration::from_millis(logout.deadline_ms).min(MAX_LOGOUT_DEADLINE);
                let Logout { epoch, linked, .. } = logout;
                json_response(&self.fleet.logout(&session()?, epoch, linked, within).await?)
            }
            Operation::Forget => {
                let query = request.query.as_deref().unwrap_or_default();
                let linked = parameter(query, "linked") == Some("true");
                self.fleet.forget(&session()?, epoch_parameter(query)?, linked).await?;
                Ok(ApiResponse { status: StatusCode::NO_CONTENT, body: Vec::new(), allow: None })
            }
        }
    }

    fn health(&self) -> Health {
        let (sessions, working) = self.fleet.counts();
        Health {
            gateway: self.gateway.clone(),
            version: program_version(),
            features: features(),
            capacity: self.capacity,
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
            working: u32::try_from(working).unwrap_or(u32::MAX),
            resident_bytes: resident_bytes(),
        }
    }
}

/// Returns the features that this node announces to the router.
pub(crate) fn features() -> Vec<String> {
    vec![FEATURE_IDENTITY.to_owned()]
}

/// Converts a refusal to a response.
pub(crate) fn refusal_response(refusal: &Refusal) -> ApiResponse {
    let body = serde_json::to_vec(refusal).unwrap_or_default();
    ApiResponse { status: refusal::http_status(refusal.code), body, allow: None }
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

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| malformed(format!("body: {error}")))
}

fn json_response(body: &impl Serialize) -> Result<ApiResponse, Refusal> {
    let body = serde_json::to_vec(body)
        .map_err(|_| refusal(RefusalCode::Internal, "the answer cannot be serialized"))?;
    Ok(ApiResponse { status: StatusCode::OK, body, allow: None })
}

/// Returns the resident memory of the process in bytes; 0 if the system does not provide the
/// figure.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
