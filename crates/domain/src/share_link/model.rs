//! A share link without its secret, and the state that follows from its row.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    caller::{Actor, Caller, Capabilities, Reach},
    id::{LinkId, OrganizationId, SessionId},
    session::pairing::Phone,
    share_link::method::LinkMethod,
    time::Timestamp,
};

/// Maximum number of pairing attempts that one link begins. The codes of a link can be relayed to
/// another person, so the number is small.
pub const MAX_LINK_PAIRINGS: u32 = 3;

/// Time that a link stays readable after its end, for its owner and for the browser that opened the
/// link.
pub const ENDED_LINK_RETENTION: Duration = Duration::from_secs(3600);

/// The address that the browser may go to after the end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTarget {
    /// The whole address, as the owner gave it.
    pub address: String,
    /// The part of the address that the operator allows or refuses: scheme, host and port.
    pub origin: String,
}

/// The way a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// A phone was linked after a browser opened the link.
    Used,
    /// Every pairing attempt of the link ended without a linked phone.
    Failed,
    /// The link was revoked, or a phone was linked before any browser opened the link.
    Revoked,
}

impl LinkOutcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Used, Self::Failed, Self::Revoked];

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Failed => "failed",
            Self::Revoked => "revoked",
        }
    }

    /// Returns the outcome with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// The end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkEnd {
    /// Time of the end.
    pub at: Timestamp,
    /// The way the link ended.
    pub outcome: LinkOutcome,
}

/// The first redemption of a link, which binds the link to one browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkOpening {
    /// Time of the redemption.
    pub at: Timestamp,
    /// SHA-256 of the secret of the browser.
    pub browser: [u8; 32],
}

/// A link by which a person without a credential links a phone to one session, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareLink {
    /// Public id of the link.
    pub id: LinkId,
    /// Organization that owns the session.
    pub organization: OrganizationId,
    /// The session to link.
    pub session: SessionId,
    /// SHA-256 of the secret.
    pub digest: [u8; 32],
    /// Text that the holder of the link reads: who asks. `None` without a title.
    pub title: Option<String>,
    /// Methods that the holder may use. Never empty.
    pub methods: BTreeSet<LinkMethod>,
    /// The only phone that the holder may request a pairing code for. `None` for any phone.
    pub phone: Option<Phone>,
    /// Where the browser may go after the end. `None` leaves the browser where it is.
    pub return_target: Option<ReturnTarget>,
    /// Actor that created the link.
    pub created_by: Actor,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time at which the link expires.
    pub expires_at: Timestamp,
    /// The first redemption. `None` before it.
    pub opening: Option<LinkOpening>,
    /// Number of pairing attempts that the holder began.
    pub attempts: u32,
    /// The end of the link. `None` before it, and for a link that merely expired.
    pub end: Option<LinkEnd>,
}

/// The state of a link at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareLinkState {
    /// No browser has opened the link.
    Open,
    /// One browser has opened the link.
    Opened,
    /// A phone was linked.
    Used,
    /// Every pairing attempt ended without a linked phone.
    Failed,
    /// The link was revoked.
    Revoked,
    /// The link expired.
    Expired,
}

impl ShareLinkState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Opened, Self::Used, Self::Failed, Self::Revoked, Self::Expired];

    /// Returns the stable name, as sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Opened => "opened",
            Self::Used => "used",
            Self::Failed => "failed",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

impl ShareLink {
    /// Returns the state at `now`.
    pub fn state(&self, now: Timestamp) -> ShareLinkState {
        match self.end.map(|end| end.outcome) {
            Some(LinkOutcome::Used) => ShareLinkState::Used,
            Some(LinkOutcome::Failed) => ShareLinkState::Failed,
            Some(LinkOutcome::Revoked) => ShareLinkState::Revoked,
            None if self.expires_at <= now => ShareLinkState::Expired,
            None if self.opening.is_some() => ShareLinkState::Opened,
            None => ShareLinkState::Open,
        }
    }

    /// Returns true if the link has neither ended nor expired.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.end.is_none() && now < self.expires_at
    }

    /// Returns the time at which the row is removed.
    pub fn removed_at(&self) -> Timestamp {
        self.end.map_or(self.expires_at, |end| end.at).plus(ENDED_LINK_RETENTION)
    }

    /// Returns true if this browser opened the link and may read its state. The state of a revoked or
    /// expired link is hidden.
    pub fn is_readable_by(&self, browser: &[u8; 32], now: Timestamp) -> bool {
        let is_bound = self.opening.is_some_and(|opening| opening.browser == *browser);
        let is_told = matches!(
            self.state(now),
            ShareLinkState::Opened | ShareLinkState::Used | ShareLinkState::Failed
        );
        is_bound && is_told && now < self.removed_at()
    }

    /// Returns true if the secret opens the link in this browser: no browser has opened the link, or
    /// this browser has.
    pub fn opens_in(&self, browser: Option<&[u8; 32]>, now: Timestamp) -> bool {
        let is_free = self.opening.is_none_or(|opening| Some(&opening.browser) == browser);
        self.is_live(now) && is_free
    }

    /// Returns the caller that holds the link. The holder has no capability, and reaches one session.
    pub fn holder(&self) -> Caller {
        Caller {
            actor: Actor::Link(self.id.clone()),
            organization: Some(self.organization.clone()),
            capabilities: Capabilities::default(),
            reach: Reach::Only(BTreeSet::from([self.session.clone()])),
            platform_admin: false,
            expires_at: Some(self.expires_at),
            browser_session: None,
        }
    }

    /// Returns the link after its end.
    #[must_use]
    pub(crate) fn ended(self, outcome: LinkOutcome, at: Timestamp) -> Self {
        Self { end: Some(LinkEnd { at, outcome }), ..self }
    }
}
