//! The node's calls, one row each; everything about answering them is derived from the table.

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
    keys::SessionName,
    refusal::{self, malformed, refusal},
};

/// No group's tag is longer.
const LONGEST_GROUP: usize = 64;
/// No logout may take longer than this.
const LONGEST_LOGOUT: Duration = Duration::from_secs(60);

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Health,
    List,
    Declare,
    View,
    Forget,
    Logout,
    Identity,
}

const TABLE: &[(Method, &str, Call)] = &[
    (Method::GET, "/node/v1/health", Call::Health),
    (Method::GET, "/node/v1/sessions", Call::List),
    (Method::PUT, "/node/v1/sessions/{session}", Call::Declare),
    (Method::GET, "/node/v1/sessions/{session}", Call::View),
    (Method::DELETE, "/node/v1/sessions/{session}", Call::Forget),
    (Method::POST, "/node/v1/sessions/{session}:logout", Call::Logout),
    (Method::GET, "/node/v1/sessions/{session}/identity", Call::Identity),
];

/// Answers the router.
pub(crate) struct Api {
    pub(crate) gateway: String,
    pub(crate) capacity: u32,
    pub(crate) token: SecretString,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) routes: matchit::Router<Vec<(Method, Call)>>,
}

/// A request, read.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What goes back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    pub(crate) allow: Option<String>,
}

impl Api {
    /// The table as a router.
    pub(crate) fn routes() -> Result<matchit::Router<Vec<(Method, Call)>>, matchit::InsertError> {
        let mut routes = matchit::Router::<Vec<(Method, Call)>>::new();
        for (index, (_, path, _)) in TABLE.iter().enumerate() {
            if TABLE[..index].iter().all(|(_, earlier, _)| earlier != path) {
                let calls = TABLE.iter().filter(|(_, p, _)| p == path);
                routes.insert(*path, calls.map(|(m, _, call)| (m.clone(), *call)).collect())?;
            }
        }
        Ok(routes)
    }

    /// One call, from authentication to answer.
    pub(crate) async fn answer(&self, asked: Asked) -> Answer {
        if !self.is_the_router(&asked.headers) {
            return refused(&refusal(RefusalCode::Unauthorized, "unauthorized"));
        }
        let Ok(found) = self.routes.at(&asked.path) else {
            return refused(&refusal(RefusalCode::UnknownCall, "no such call"));
        };
        let Some((_, call)) = found.value.iter().find(|(method, _)| *method == asked.method) else {
            let allow = found.value.iter().map(|(m, _)| m.as_str()).collect::<Vec<_>>().join(", ");
            return Answer {
                status: StatusCode::METHOD_NOT_ALLOWED,
                allow: Some(allow),
                ..refused(&refusal(RefusalCode::UnknownCall, "no such method"))
            };
        };
        let session = found.params.get("session").map(str::to_owned);
        match self.carry_out(*call, session.as_deref(), &asked).await {
            Ok(answer) => answer,
            Err(refusal) => refused(&refusal),
        }
    }

    /// In constant time, so that the token cannot be guessed letter by letter.
    fn is_the_router(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).map(hyper::header::HeaderValue::as_bytes);
        let given = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
        bool::from(given.ct_eq(self.token.expose_secret().as_bytes()))
    }

    async fn carry_out(
        &self,
        call: Call,
        session: Option<&str>,
        asked: &Asked,
    ) -> Result<Answer, Refusal> {
        let session = || {
            let name = session.and_then(SessionName::parse);
            name.ok_or_else(|| malformed("session ids are 1 to 64 letters, digits and underscores"))
        };
        match call {
            Call::Health => json(&self.health()),
            Call::List => json(&Snapshots { sessions: self.fleet.snapshots() }),
            Call::View => json(&self.fleet.snapshot(&session()?)?),
            Call::Identity => json(&self.fleet.identity(&session()?).await?),
            Call::Declare => {
                let declaration: Declaration = read(&asked.body)?;
                check(&declaration)?;
                json(&self.fleet.declare(&session()?, declaration).await?)
            }
            Call::Logout => {
                let logout: Logout = read(&asked.body)?;
                let within = Duration::from_millis(logout.deadline_ms).min(LONGEST_LOGOUT);
                let Logout { epoch, linked, .. } = logout;
                json(&self.fleet.logout(&session()?, epoch, linked, within).await?)
            }
            Call::Forget => {
                let query = asked.query.as_deref().unwrap_or_default();
                let linked = parameter(query, "linked") == Some("true");
                self.fleet.forget(&session()?, epoch(query)?, linked).await?;
                Ok(Answer { status: StatusCode::NO_CONTENT, body: Vec::new(), allow: None })
            }
        }
    }

    fn health(&self) -> Health {
        let (sessions, working) = self.fleet.counts();
        Health {
            gateway: self.gateway.clone(),
            version: crate::program(),
            features: features(),
            capacity: self.capacity,
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
            working: u32::try_from(working).unwrap_or(u32::MAX),
            resident_bytes: resident_bytes(),
        }
    }
}

/// What this node can do.
pub(crate) fn features() -> Vec<String> {
    vec![FEATURE_IDENTITY.to_owned()]
}

/// A refusal as an answer.
pub(crate) fn refused(refusal: &Refusal) -> Answer {
    let body = serde_json::to_vec(refusal).unwrap_or_default();
    Answer { status: refusal::status(refusal.code), body, allow: None }
}

fn check(declaration: &Declaration) -> Result<(), Refusal> {
    let phone = declaration.pairing.as_ref().and_then(|pairing| pairing.phone.as_deref());
    let fits = phone.is_none_or(|phone| {
        (7..=15).contains(&phone.len()) && phone.bytes().all(|b| b.is_ascii_digit())
    });
    let named = declaration.group.as_ref().is_none_or(|group| group.len() <= LONGEST_GROUP);
    match (fits, named) {
        (true, true) => Ok(()),
        (false, _) => Err(malformed("pairing.phone must be 7 to 15 digits")),
        (_, false) => Err(malformed("group must be at most 64 characters")),
    }
}

fn epoch(query: &str) -> Result<u64, Refusal> {
    let epoch = parameter(query, "epoch").and_then(|text| text.parse().ok());
    epoch.ok_or_else(|| malformed("epoch must be given"))
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| malformed(format!("body: {error}")))
}

fn json(body: &impl Serialize) -> Result<Answer, Refusal> {
    let body = serde_json::to_vec(body)
        .map_err(|_| refusal(RefusalCode::Internal, "the answer cannot be written"))?;
    Ok(Answer { status: StatusCode::OK, body, allow: None })
}

/// 0 where the system does not say.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
