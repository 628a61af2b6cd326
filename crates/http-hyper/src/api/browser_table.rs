//! The operations for browsers: logins, and the session behind a cookie.

use super::{
    input::RequestBodySpec,
    operation::{Operation, delete, get, post},
    requires::Requires,
};
use crate::handlers::{browser_sessions, issuer_login};

/// The operations under `/auth/`.
pub(crate) static BROWSER: &[Operation] = &[
    post(
        "/auth/session",
        "browser_session_create",
        Requires::SameOrigin,
        &browser_sessions::create,
    )
    .accepts(RequestBodySpec::Json)
    .unrecorded()
    .documented_by(&browser_sessions::BROWSER_SESSION_CREATE),
    get("/auth/session", "browser_session_view", Requires::BrowserSession, &browser_sessions::view)
        .documented_by(&browser_sessions::BROWSER_SESSION_VIEW),
    delete(
        "/auth/session",
        "browser_session_delete",
        Requires::BrowserSession,
        &browser_sessions::delete,
    )
    .documented_by(&browser_sessions::BROWSER_SESSION_DELETE),
    post(
        "/auth/session:switch",
        "browser_session_switch",
        Requires::BrowserSession,
        &browser_sessions::switch,
    )
    .accepts(RequestBodySpec::Json)
    .unrecorded()
    .documented_by(&browser_sessions::BROWSER_SESSION_SWITCH),
    post(
        "/auth/handover",
        "browser_session_handover",
        Requires::HandoverOrigin,
        &browser_sessions::hand_over,
    )
    .accepts(RequestBodySpec::Form)
    .unrecorded()
    .documented_by(&browser_sessions::BROWSER_SESSION_HANDOVER),
    get("/auth/options", "login_options", Requires::Nothing, &browser_sessions::options)
        .documented_by(&browser_sessions::LOGIN_OPTIONS),
    get("/auth/login", "login_begin", Requires::Nothing, &issuer_login::begin)
        .query(&["return"])
        .waits()
        .documented_by(&issuer_login::LOGIN_BEGIN),
    get("/auth/callback", "login_end", Requires::Nothing, &issuer_login::end)
        .query(&["code", "state", "error"])
        .waits()
        .documented_by(&issuer_login::LOGIN_END),
];
