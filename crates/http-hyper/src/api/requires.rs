//! The permission that an operation requires of its caller.
//!
//! Permissions are checked with the credential alone, before the body is read and before any
//! lookup. Responses 401 and 403 therefore reveal nothing about the requested object.

use domain::{Caller, Capability, Scope};

/// The permission that an operation requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requires {
    /// No permission. The credential is not read.
    Nothing,
    /// An accepted credential of any kind; any capability, or none, is enough.
    Credential,
    /// A ticket in the parameter `ticket`, made by a caller with any capability. No other
    /// credential is read.
    Ticket,
    /// A request of a page of this service, whose body has the secret of a share link. No credential
    /// is read.
    LinkSecret,
    /// The cookie of the browser that opened a share link, in a request of a page of this service. No
    /// other credential is read.
    Link,
    /// The cookie of a browser session in a request of a page of this service, whatever its
    /// capabilities. No other credential is read.
    BrowserSession,
    /// A request of a page of this service. No credential is read.
    SameOrigin,
    /// A request of a page that may hand over a login. No credential is read.
    HandoverOrigin,
    /// Any capability in an organization. What the caller gets depends on the capability.
    AnyCapability,
    /// The capability `read`.
    Read,
    /// The capability `send`.
    Send,
    /// The capability `manage`.
    Manage,
    /// The capability `manage` with a reach over the whole organization. For operations that create
    /// objects, and for keys and events: these name sessions that a confined caller must not see.
    ManageAll,
    /// A login token with the platform role. API keys are rejected whatever capabilities they have.
    Platform,
}

impl Requires {
    /// Returns whether the operation has a caller, whose credential is checked.
    pub fn has_caller(self) -> bool {
        !matches!(self, Self::Nothing | Self::SameOrigin | Self::HandoverOrigin | Self::LinkSecret)
    }

    /// Returns the scope in which `caller` may use the operation; `None` for an operation without
    /// an organization. The scope identifies the caller's recorded responses. Lookups use the scope
    /// that the use case creates.
    ///
    /// # Errors
    /// The caller lacks the permission.
    pub(crate) fn authorize(self, caller: &Caller) -> domain::Result<Option<Scope>> {
        match self {
            Self::Nothing
            | Self::Credential
            | Self::BrowserSession
            | Self::SameOrigin
            | Self::HandoverOrigin
            | Self::LinkSecret => Ok(None),
            Self::Link => caller.may_link().map(|(scope, _)| Some(scope)),
            Self::Ticket | Self::AnyCapability => caller.may_any().map(Some),
            Self::Read => caller.may(Capability::Read).map(Some),
            Self::Send => caller.may(Capability::Send).map(Some),
            Self::Manage => caller.may(Capability::Manage).map(Some),
            Self::ManageAll => caller.may_throughout(Capability::Manage).map(Some),
            Self::Platform => caller.may_operate().map(|()| None),
        }
    }
}
