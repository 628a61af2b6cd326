//! Tickets: texts that open one WebSocket in place of a credential.
//!
//! Decision: ADR 0046.

use std::{sync::Arc, time::Duration};

use domain::{
    Actor, ApiKey, BrowserSessionDigest, BrowserSessions, Caller, Capability, Error, KeyId,
    OrganizationId, Reach, Timestamp, UserId,
    ports::{Environment, KeyValidity, Refused, TicketDigest, TicketStore},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sealer::Sealer;
use crate::response::problem::{Problem, Result};

/// The beginning of every ticket.
const PREFIX: &str = "tkt_";
/// Time for which a ticket can be used.
const LIFETIME: Duration = Duration::from_secs(60);
const CONTEXT: &[u8] = b"ticket 1";
/// Maximum length of a ticket. The longest names of user and organization have 255 and 128 bytes,
/// which JSON and base64 may make four times as long.
const MAX_LENGTH: usize = 4096;
/// The logged cause of every ticket that is not accepted.
const NOT_VALID: &str = "malformed, expired or spent ticket, or ticket of a key that is not valid";

/// Makes tickets, and finds their callers.
pub(crate) struct Tickets {
    sealer: Sealer,
    store: Arc<dyn TicketStore>,
    keys: Arc<dyn KeyValidity>,
    sessions: BrowserSessions,
    environment: Arc<dyn Environment>,
}

/// A ticket that is about to be spent.
pub(crate) struct Ticket {
    digest: TicketDigest,
    expires_at: Timestamp,
}

/// The content of a ticket.
#[derive(Serialize, Deserialize)]
struct TicketContent {
    expires_at: i64,
    holder: Holder,
}

/// The credential that a ticket was made with.
#[derive(Serialize, Deserialize)]
enum Holder {
    Key(String),
    /// The digest of a browser session.
    Browser([u8; 32]),
    User {
        id: Option<String>,
        organization: String,
        capabilities: Vec<String>,
        expires_at: Option<i64>,
    },
}

impl Tickets {
    pub(crate) fn new(
        secret: &[u8; 32],
        store: Arc<dyn TicketStore>,
        keys: Arc<dyn KeyValidity>,
        sessions: BrowserSessions,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self { sealer: Sealer::new(secret), store, keys, sessions, environment }
    }

    /// Returns a new ticket of the caller, and the time at which the ticket expires.
    ///
    /// # Errors
    /// The random source failed.
    pub(crate) fn issue(&self, caller: &Caller) -> Result<(String, Timestamp)> {
        let expires_at = self.environment.now().plus(LIFETIME);
        let content =
            TicketContent { expires_at: expires_at.millis(), holder: Holder::of(caller)? };
        let content = serde_json::to_vec(&content).map_err(Problem::internal)?;
        let sealed = self.sealer.seal(CONTEXT, &content).map_err(Problem::internal)?;
        Ok((format!("{PREFIX}{sealed}"), expires_at))
    }

    /// Returns the caller of a ticket, and the ticket to be spent.
    ///
    /// # Errors
    /// [`Refused`]; the cause is the same for every ticket that is not accepted.
    pub(crate) async fn authenticate(&self, text: &str) -> Result<(Caller, Ticket), Refused> {
        let denied = Refused::Denied(NOT_VALID);
        let now = self.environment.now();
        let Some(content) = self.open(text).filter(|it| now.millis() < it.expires_at) else {
            return Err(denied);
        };
        let caller = match content.holder {
            Holder::Key(id) => match KeyId::parse(&id) {
                Some(id) => {
                    let key = self.keys.valid_key(&id, now).await;
                    key.map_err(|error| Refused::Unavailable(error.into()))?
                        .map(ApiKey::into_caller)
                }
                None => None,
            },
            Holder::Browser(digest) => {
                match self.sessions.authenticate(BrowserSessionDigest(digest)).await {
                    Ok((caller, _)) => Some(caller),
                    Err(Refused::Denied(_)) => None,
                    Err(unavailable) => return Err(unavailable),
                }
            }
            user @ Holder::User { .. } => user.into_user(now),
        };
        let digest = TicketDigest(Sha256::digest(text.as_bytes()).into());
        let expires_at = Timestamp::from_millis(content.expires_at);
        caller.map(|caller| (caller, Ticket { digest, expires_at })).ok_or(denied)
    }

    /// Spends a ticket.
    ///
    /// # Errors
    /// 401 for a spent ticket; errors of the store.
    pub(crate) async fn spend(&self, ticket: &Ticket) -> Result<()> {
        let Ticket { digest, expires_at } = *ticket;
        if self.store.spend(digest, expires_at).await.map_err(Error::from)? {
            Ok(())
        } else {
            Err(Error::Unauthorized.into())
        }
    }

    fn open(&self, text: &str) -> Option<TicketContent> {
        let text = text.strip_prefix(PREFIX).filter(|text| text.len() <= MAX_LENGTH)?;
        let content = self.sealer.open(CONTEXT, Sealer::parse(text, None)?)?;
        serde_json::from_slice(&content).ok()
    }
}

impl Holder {
    fn of(caller: &Caller) -> Result<Self> {
        if let Some(BrowserSessionDigest(digest)) = caller.browser_session {
            return Ok(Self::Browser(digest));
        }
        match (&caller.actor, &caller.organization, &caller.reach) {
            (Actor::Key(key), ..) => Ok(Self::Key(key.to_string())),
            // The reach of a person is the whole organization.
            (Actor::User(user), Some(organization), Reach::Everything) => Ok(Self::User {
                id: user.as_ref().map(ToString::to_string),
                organization: organization.to_string(),
                capabilities: caller.capabilities.iter().map(|it| it.as_str().to_owned()).collect(),
                expires_at: caller.expires_at.map(Timestamp::millis),
            }),
            _ => Err(Problem::internal("a caller without a credential of requests")),
        }
    }

    /// Returns the person, if its login token has not expired.
    fn into_user(self, now: Timestamp) -> Option<Caller> {
        let Self::User { id, organization, capabilities, expires_at } = self else { return None };
        let expires_at = expires_at.map(Timestamp::from_millis);
        let user = match id {
            Some(id) => Some(UserId::parse(&id)?),
            None => None,
        };
        let caller = Caller {
            actor: Actor::User(user),
            organization: Some(OrganizationId::parse(&organization)?),
            capabilities: capabilities.iter().filter_map(|it| Capability::parse(it)).collect(),
            reach: Reach::Everything,
            platform_admin: false,
            expires_at,
            browser_session: None,
        };
        expires_at.is_none_or(|at| now < at).then_some(caller)
    }
}
