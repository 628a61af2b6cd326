//! The paths of the control interface with their methods.

use hyper::Method;
use matchit::{InsertError, Router};

/// One path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    TrustAnchor,
    Phones,
    Phone,
    Scan,
    EnterCode,
    Configure,
    Online,
    Offline,
    ForgetSessions,
    Typing,
    Presence,
    Trust,
    Observations,
    Unlink,
    Kick,
    SendStanza,
    Messages,
    BulkMessages,
    ReadMessage,
    PlayMessage,
    Faults,
    Fault,
    Settings,
    Wire,
}

/// The parts of the control interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    TrustAnchor,
    Phones,
    Messages,
    Faults,
    Wire,
}

const ALL: [(&str, Route); 24] = [
    ("/trust-anchor", Route::TrustAnchor),
    ("/phones", Route::Phones),
    ("/phones/{number}", Route::Phone),
    ("/phones/{number}:scan", Route::Scan),
    ("/phones/{number}:enter-code", Route::EnterCode),
    ("/phones/{number}:configure", Route::Configure),
    ("/phones/{number}:online", Route::Online),
    ("/phones/{number}:offline", Route::Offline),
    ("/phones/{number}:forget-sessions", Route::ForgetSessions),
    ("/phones/{number}:typing", Route::Typing),
    ("/phones/{number}:presence", Route::Presence),
    ("/phones/{number}:trust", Route::Trust),
    ("/phones/{number}/observations", Route::Observations),
    ("/phones/{number}/devices/{id}:unlink", Route::Unlink),
    ("/phones/{number}/devices/{id}:kick", Route::Kick),
    ("/phones/{number}/devices/{id}:send-stanza", Route::SendStanza),
    ("/phones/{number}/messages", Route::Messages),
    ("/phones/{number}/messages:bulk", Route::BulkMessages),
    ("/phones/{number}/messages/{id}:read", Route::ReadMessage),
    ("/phones/{number}/messages/{id}:play", Route::PlayMessage),
    ("/faults", Route::Faults),
    ("/faults/{id}", Route::Fault),
    ("/settings", Route::Settings),
    ("/wire", Route::Wire),
];

/// Returns the router of all paths.
pub(super) fn all() -> Result<Router<Route>, InsertError> {
    let mut routes = Router::new();
    for (path, route) in ALL {
        routes.insert(path, route)?;
    }
    Ok(routes)
}

impl Route {
    /// Returns the methods that the path accepts.
    pub(super) fn methods(self) -> &'static [Method] {
        match self {
            Self::TrustAnchor | Self::Phone | Self::Observations => &[Method::GET],
            Self::Messages | Self::Settings => &[Method::GET, Method::POST],
            Self::Faults => &[Method::GET, Method::POST, Method::DELETE],
            Self::Fault => &[Method::DELETE],
            Self::Wire => &[Method::GET, Method::DELETE],
            _ => &[Method::POST],
        }
    }

    pub(super) fn resource(self) -> Resource {
        match self {
            Self::TrustAnchor => Resource::TrustAnchor,
            Self::Messages | Self::BulkMessages | Self::ReadMessage | Self::PlayMessage => {
                Resource::Messages
            }
            Self::Faults | Self::Fault | Self::Settings => Resource::Faults,
            Self::Wire => Resource::Wire,
            _ => Resource::Phones,
        }
    }
}
