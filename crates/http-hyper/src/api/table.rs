//! The operation table: one row for each operation.
//!
//! The router, 405 and `Allow`, the authorization, the access log, the OpenAPI document and the
//! tests that call every operation are derived from this table.
//!
//! Decision: ADR 0011.

use super::{
    browser_table::BROWSER,
    input::RequestBodySpec,
    link_table::LINK,
    operation::{Operation, delete, get, patch, post, put},
    requires::Requires,
};
use crate::handlers::{
    admin, api_keys, audit, docs, event_streams, health, messages, pairing, sending, sessions,
    share_links, ui, webhook_actions, webhook_reports, webhooks, whoami,
};
use crate::openapi::failures::MAX_MESSAGE_BODY;

/// The operations of callers.
pub(crate) static API: &[Operation] = &[
    get("/api/v1/sessions", "session_list", Requires::Manage, &sessions::list)
        .query(&["limit", "cursor", "status", "label", "gatewayId", "phoneNumber"])
        .documented_by(&sessions::SESSION_LIST),
    post("/api/v1/sessions", "session_create", Requires::ManageAll, &sessions::create)
        .accepts(RequestBodySpec::Json)
        .documented_by(&sessions::SESSION_CREATE),
    get("/api/v1/sessions/{session}", "session_view", Requires::Manage, &sessions::view)
        .documented_by(&sessions::SESSION_VIEW),
    patch("/api/v1/sessions/{session}", "session_update", Requires::Manage, &sessions::update)
        .documented_by(&sessions::SESSION_UPDATE),
    delete("/api/v1/sessions/{session}", "session_delete", Requires::Manage, &sessions::delete)
        .documented_by(&sessions::SESSION_DELETE),
    get("/api/v1/sessions/{session}/me", "session_identity", Requires::Manage, &pairing::identity)
        .documented_by(&pairing::SESSION_IDENTITY),
    get("/api/v1/sessions/{session}/qr", "session_qr", Requires::Manage, &pairing::qr)
        .query(&["wait"])
        .waits()
        .documented_by(&pairing::SESSION_QR),
    post(
        "/api/v1/sessions/{session}/pairing-code",
        "session_pairing_code",
        Requires::Manage,
        &pairing::pairing_code,
    )
    .accepts(RequestBodySpec::Json)
    .waits()
    .documented_by(&pairing::SESSION_PAIRING_CODE),
    get("/api/v1/sessions/{session}/links", "link_list", Requires::Manage, &share_links::list)
        .query(&["limit", "cursor"])
        .documented_by(&share_links::LINK_LIST),
    post("/api/v1/sessions/{session}/links", "link_create", Requires::Manage, &share_links::create)
        .accepts(RequestBodySpec::Json)
        .documented_by(&share_links::LINK_CREATE),
    get(
        "/api/v1/sessions/{session}/links/{link}",
        "link_view",
        Requires::Manage,
        &share_links::view,
    )
    .documented_by(&share_links::LINK_VIEW),
    delete(
        "/api/v1/sessions/{session}/links/{link}",
        "link_revoke",
        Requires::Manage,
        &share_links::revoke,
    )
    .documented_by(&share_links::LINK_REVOKE),
    post("/api/v1/sessions/{session}:start", "session_start", Requires::Manage, &sessions::start)
        .documented_by(&sessions::SESSION_START),
    post("/api/v1/sessions/{session}:stop", "session_stop", Requires::Manage, &sessions::stop)
        .documented_by(&sessions::SESSION_STOP),
    post(
        "/api/v1/sessions/{session}:restart",
        "session_restart",
        Requires::Manage,
        &sessions::restart,
    )
    .documented_by(&sessions::SESSION_RESTART),
    post(
        "/api/v1/sessions/{session}:logout",
        "session_logout",
        Requires::Manage,
        &sessions::logout,
    )
    .waits()
    .documented_by(&sessions::SESSION_LOGOUT),
    get("/api/v1/sessions/{session}/chats", "chat_list", Requires::Read, &messages::chats)
        .query(&["limit", "cursor", "account", "unread"])
        .documented_by(&messages::CHAT_LIST),
    get("/api/v1/sessions/{session}/chats/{chat}", "chat_view", Requires::Read, &messages::chat)
        .documented_by(&messages::CHAT_VIEW),
    get(
        "/api/v1/sessions/{session}/chats/{chat}/messages",
        "message_list",
        Requires::Read,
        &messages::of_chat,
    )
    .query(&["limit", "cursor", "direction", "since", "until"])
    .documented_by(&messages::MESSAGE_LIST),
    get("/api/v1/sessions/{session}/messages", "message_list_all", Requires::Read, &messages::list)
        .query(&["limit", "cursor", "direction", "since", "until", "status", "reference"])
        .documented_by(&messages::MESSAGE_LIST_ALL),
    get(
        "/api/v1/sessions/{session}/messages/{message}",
        "message_view",
        Requires::Read,
        &messages::view,
    )
    .query(&["chat", "sender"])
    .documented_by(&messages::MESSAGE_VIEW),
    post("/api/v1/sessions/{session}/messages", "message_send", Requires::Send, &sending::send)
        .accepts(RequestBodySpec::Json)
        .query(&["async"])
        .waits()
        .rendered()
        .body_limit(MAX_MESSAGE_BODY)
        .documented_by(&sending::MESSAGE_SEND),
    post(
        "/api/v1/sessions/{session}/messages/{message}:cancel",
        "message_cancel",
        Requires::Send,
        &sending::cancel,
    )
    .unrecorded()
    .documented_by(&sending::MESSAGE_CANCEL),
    post(
        "/api/v1/sessions/{session}/chats/{chat}/read",
        "chat_read",
        Requires::Send,
        &sending::read,
    )
    .accepts(RequestBodySpec::Json)
    .unrecorded()
    .documented_by(&sending::CHAT_READ),
    put(
        "/api/v1/sessions/{session}/chats/{chat}/presence",
        "chat_presence",
        Requires::Send,
        &sending::presence,
    )
    .documented_by(&sending::CHAT_PRESENCE),
    get(
        "/api/v1/sessions/{session}/contacts/check",
        "contact_check",
        Requires::Read,
        &sending::check,
    )
    .query(&["phone"])
    .documented_by(&sending::CONTACT_CHECK),
    get("/api/v1/api-keys", "api_key_list", Requires::ManageAll, &api_keys::list)
        .query(&["limit", "cursor"])
        .documented_by(&api_keys::API_KEY_LIST),
    post("/api/v1/api-keys", "api_key_create", Requires::ManageAll, &api_keys::create)
        .accepts(RequestBodySpec::Json)
        .documented_by(&api_keys::API_KEY_CREATE),
    get("/api/v1/api-keys/{key}", "api_key_view", Requires::ManageAll, &api_keys::view)
        .documented_by(&api_keys::API_KEY_VIEW),
    delete("/api/v1/api-keys/{key}", "api_key_revoke", Requires::ManageAll, &api_keys::revoke)
        .documented_by(&api_keys::API_KEY_REVOKE),
    get("/api/v1/webhooks", "webhook_list", Requires::ManageAll, &webhooks::list)
        .query(&["limit", "cursor"])
        .documented_by(&webhooks::WEBHOOK_LIST),
    post("/api/v1/webhooks", "webhook_create", Requires::ManageAll, &webhooks::create)
        .accepts(RequestBodySpec::Json)
        .waits()
        .documented_by(&webhooks::WEBHOOK_CREATE),
    get("/api/v1/webhooks/{webhook}", "webhook_view", Requires::ManageAll, &webhooks::view)
        .documented_by(&webhooks::WEBHOOK_VIEW),
    patch("/api/v1/webhooks/{webhook}", "webhook_update", Requires::ManageAll, &webhooks::update)
        .waits()
        .documented_by(&webhooks::WEBHOOK_UPDATE),
    delete("/api/v1/webhooks/{webhook}", "webhook_delete", Requires::ManageAll, &webhooks::delete)
        .documented_by(&webhooks::WEBHOOK_DELETE),
    post(
        "/api/v1/webhooks/{webhook}:ping",
        "webhook_ping",
        Requires::ManageAll,
        &webhook_actions::ping,
    )
    .waits()
    .unrecorded()
    .documented_by(&webhook_actions::WEBHOOK_PING),
    post(
        "/api/v1/webhooks/{webhook}:pause",
        "webhook_pause",
        Requires::ManageAll,
        &webhook_actions::pause,
    )
    .documented_by(&webhook_actions::WEBHOOK_PAUSE),
    post(
        "/api/v1/webhooks/{webhook}:resume",
        "webhook_resume",
        Requires::ManageAll,
        &webhook_actions::resume,
    )
    .documented_by(&webhook_actions::WEBHOOK_RESUME),
    post(
        "/api/v1/webhooks/{webhook}:replay",
        "webhook_replay",
        Requires::ManageAll,
        &webhook_actions::replay,
    )
    .accepts(RequestBodySpec::Json)
    .documented_by(&webhook_actions::WEBHOOK_REPLAY),
    get(
        "/api/v1/webhooks/{webhook}/state",
        "webhook_state",
        Requires::ManageAll,
        &webhook_reports::state,
    )
    .documented_by(&webhook_reports::WEBHOOK_STATE),
    get(
        "/api/v1/webhooks/{webhook}/attempts",
        "webhook_attempts",
        Requires::ManageAll,
        &webhook_reports::attempts,
    )
    .query(&["limit", "cursor"])
    .documented_by(&webhook_reports::WEBHOOK_ATTEMPTS),
    get(
        "/api/v1/webhooks/{webhook}/dead-letters",
        "dead_letter_list",
        Requires::ManageAll,
        &webhook_reports::dead_letters,
    )
    .query(&["limit", "cursor"])
    .documented_by(&webhook_reports::DEAD_LETTER_LIST),
    post(
        "/api/v1/webhooks/{webhook}/dead-letters/{deadLetter}:replay",
        "dead_letter_replay",
        Requires::ManageAll,
        &webhook_actions::replay_dead_letter,
    )
    .documented_by(&webhook_actions::DEAD_LETTER_REPLAY),
    post(
        "/api/v1/webhooks/{webhook}/dead-letters/{deadLetter}:skip",
        "dead_letter_skip",
        Requires::ManageAll,
        &webhook_actions::skip,
    )
    .documented_by(&webhook_actions::DEAD_LETTER_SKIP),
    get("/api/v1/audit", "audit_list", Requires::ManageAll, &audit::list)
        .query(&["limit", "cursor", "sessionId", "event"])
        .documented_by(&audit::AUDIT_LIST),
    get("/api/v1/events", "event_stream", Requires::AnyCapability, &event_streams::stream)
        .query(&["session", "event", "after", "limit", "wait"])
        .waits()
        .documented_by(&event_streams::EVENT_STREAM),
    post(
        "/api/v1/realtime/ticket",
        "realtime_ticket",
        Requires::AnyCapability,
        &event_streams::ticket,
    )
    .unrecorded()
    .documented_by(&event_streams::REALTIME_TICKET),
    get("/api/v1/realtime", "realtime", Requires::Ticket, &event_streams::websocket)
        .query(&["ticket", "session", "event", "after", "bookmarks"])
        .documented_by(&event_streams::REALTIME),
    get("/api/v1/whoami", "whoami", Requires::Credential, &whoami::view)
        .documented_by(&whoami::WHOAMI),
    get("/api/v1/admin/sessions", "admin_session_list", Requires::Platform, &admin::sessions)
        .query(&[
            "limit",
            "cursor",
            "organizationId",
            "status",
            "label",
            "gatewayId",
            "phoneNumber",
        ])
        .documented_by(&admin::ADMIN_SESSION_LIST),
    get("/api/v1/admin/gateways", "admin_gateway_list", Requires::Platform, &admin::gateways)
        .documented_by(&admin::ADMIN_GATEWAY_LIST),
];

/// The health probes, on the public and the operators' listener.
pub(crate) static HEALTH: &[Operation] = &[
    get("/livez", "livez", Requires::Nothing, &health::live).documented_by(&health::LIVEZ),
    get("/readyz", "readyz", Requires::Nothing, &health::ready).documented_by(&health::READYZ),
];

/// The OpenAPI document and the page that shows the document, on the public listener.
pub(crate) static DOCUMENT: &[Operation] = &[
    get("/openapi.json", "openapi", Requires::Nothing, &docs::document)
        .documented_by(&docs::OPENAPI_DOC),
    get("/docs", "docs", Requires::Nothing, &docs::page).documented_by(&docs::DOCS),
    get("/docs/start.js", "docs_start", Requires::Nothing, &docs::start)
        .documented_by(&docs::DOCS_START),
    get("/docs/swagger-ui.js", "docs_script", Requires::Nothing, &docs::script)
        .documented_by(&docs::DOCS_SCRIPT),
    get("/docs/swagger-ui.css", "docs_style", Requires::Nothing, &docs::style)
        .documented_by(&docs::DOCS_STYLE),
];

/// The dashboard and the page that links a phone by a share link, on the public listener. The rows
/// are in no document and in no list of operations, because programs do not call them.
pub(crate) static UI: &[Operation] = &[
    get("/ui", "ui", Requires::Nothing, &ui::page),
    get("/ui/", "ui_index", Requires::Nothing, &ui::page),
    get("/ui/{*page}", "ui_page", Requires::Nothing, &ui::page),
    get("/ui/a/{build}/{*file}", "ui_asset", Requires::Nothing, &ui::asset),
    get("/link", "link_page", Requires::Nothing, &ui::page),
];

/// Further operations of the operators' listener.
pub(crate) static OPERATIONS: &[Operation] =
    &[get("/metrics", "metrics", Requires::Nothing, &health::metrics)];

/// Returns every operation of the public listener.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    API.iter().chain(LINK).chain(HEALTH).chain(DOCUMENT).chain(BROWSER)
}
