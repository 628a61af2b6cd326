//! The API, whole: one row an endpoint. Router, 405 and `Allow`, the gate, log lines and the tests
//! that walk the API are all derived from this table.
//!
//! Decision: ADR 0011.

use domain::{Caller, Capability, Scope};
use futures_util::future::BoxFuture;
use hyper::Method;

use crate::{
    handlers::{admin, api_keys, audit, docs, health, sessions},
    openapi::{self, UNTOLD, Words},
    problem::Result,
    reply::Reply,
    request::Context,
};

/// The endpoints of callers.
pub(crate) static API: &[Operation] = &[
    get("/api/v1/sessions", "session_list", Needs::Manage, &sessions::list)
        .query(&["limit", "cursor", "status", "label", "gatewayId", "phoneNumber"])
        .told(&openapi::SESSION_LIST),
    post("/api/v1/sessions", "session_create", Needs::ManageAll, &sessions::create)
        .takes(Intake::Json)
        .told(&openapi::SESSION_CREATE),
    get("/api/v1/sessions/{session}", "session_view", Needs::Manage, &sessions::view)
        .told(&openapi::SESSION_VIEW),
    patch("/api/v1/sessions/{session}", "session_update", Needs::Manage, &sessions::update)
        .told(&openapi::SESSION_UPDATE),
    delete("/api/v1/sessions/{session}", "session_delete", Needs::Manage, &sessions::delete)
        .told(&openapi::SESSION_DELETE),
    get("/api/v1/sessions/{session}/me", "session_identity", Needs::Manage, &sessions::identity)
        .told(&openapi::SESSION_IDENTITY),
    get("/api/v1/sessions/{session}/qr", "session_qr", Needs::Manage, &sessions::qr)
        .query(&["wait"])
        .waits()
        .told(&openapi::SESSION_QR),
    post(
        "/api/v1/sessions/{session}/pairing-code",
        "session_pairing_code",
        Needs::Manage,
        &sessions::pairing_code,
    )
    .takes(Intake::Json)
    .waits()
    .told(&openapi::SESSION_PAIRING_CODE),
    post("/api/v1/sessions/{session}:start", "session_start", Needs::Manage, &sessions::start)
        .told(&openapi::SESSION_START),
    post("/api/v1/sessions/{session}:stop", "session_stop", Needs::Manage, &sessions::stop)
        .told(&openapi::SESSION_STOP),
    post(
        "/api/v1/sessions/{session}:restart",
        "session_restart",
        Needs::Manage,
        &sessions::restart,
    )
    .told(&openapi::SESSION_RESTART),
    post("/api/v1/sessions/{session}:logout", "session_logout", Needs::Manage, &sessions::logout)
        .waits()
        .told(&openapi::SESSION_LOGOUT),
    get("/api/v1/api-keys", "api_key_list", Needs::ManageAll, &api_keys::list)
        .query(&["limit", "cursor"])
        .told(&openapi::API_KEY_LIST),
    post("/api/v1/api-keys", "api_key_create", Needs::ManageAll, &api_keys::create)
        .takes(Intake::Json)
        .told(&openapi::API_KEY_CREATE),
    get("/api/v1/api-keys/{key}", "api_key_view", Needs::ManageAll, &api_keys::view)
        .told(&openapi::API_KEY_VIEW),
    delete("/api/v1/api-keys/{key}", "api_key_revoke", Needs::ManageAll, &api_keys::revoke)
        .told(&openapi::API_KEY_REVOKE),
    get("/api/v1/audit", "audit_list", Needs::ManageAll, &audit::list)
        .query(&["limit", "cursor", "sessionId", "event"])
        .told(&openapi::AUDIT_LIST),
    get("/api/v1/admin/sessions", "admin_session_list", Needs::Platform, &admin::sessions)
        .query(&[
            "limit",
            "cursor",
            "organizationId",
            "status",
            "label",
            "gatewayId",
            "phoneNumber",
        ])
        .told(&openapi::ADMIN_SESSION_LIST),
];

/// What probes ask, on every listener.
pub(crate) static HEALTH: &[Operation] = &[
    get("/livez", "livez", Needs::Nothing, &health::live).told(&openapi::LIVEZ),
    get("/readyz", "readyz", Needs::Nothing, &health::ready).told(&openapi::READYZ),
];

/// What tells of the API, on the public listener.
pub(crate) static DOCUMENT: &[Operation] = &[
    get("/openapi.json", "openapi", Needs::Nothing, &docs::document).told(&openapi::OPENAPI),
    get("/docs", "docs", Needs::Nothing, &docs::page).told(&openapi::DOCS),
    get("/docs/start.js", "docs_start", Needs::Nothing, &docs::start).told(&openapi::DOCS_START),
    get("/docs/swagger-ui.js", "docs_script", Needs::Nothing, &docs::script)
        .told(&openapi::DOCS_SCRIPT),
    get("/docs/swagger-ui.css", "docs_style", Needs::Nothing, &docs::style)
        .told(&openapi::DOCS_STYLE),
];

/// What the operator's listener answers besides.
pub(crate) static OPERATIONS: &[Operation] =
    &[get("/metrics", "metrics", Needs::Nothing, &health::metrics)];

/// Everything the public listener answers.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    API.iter().chain(HEALTH).chain(DOCUMENT)
}

/// One endpoint.
pub struct Operation {
    /// Its method; HEAD comes with GET, OPTIONS with everything.
    pub method: Method,
    /// Its path, `{…}` for what varies.
    pub path: &'static str,
    /// Its name in documents, logs and metrics.
    pub name: &'static str,
    /// What it asks of the caller.
    pub needs: Needs,
    /// The query parameters it knows. Others are refused: a filter that is misspelt must not
    /// silently filter nothing. Probes may send what they like.
    pub query: &'static [&'static str],
    /// What it takes in its body.
    pub intake: Intake,
    /// Whether it may wait for a session to change. Its place is then among those that wait, and takes
    /// nothing from work.
    pub waits: bool,
    /// What the document says of it that nothing above does.
    pub words: &'static Words,
    pub(crate) handler: &'static dyn Handle,
}

/// What an endpoint asks of its caller. Judged from the credential alone, before body and look-up,
/// so that 401 and 403 say nothing of what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing; credentials are not even looked at.
    Nothing,
    /// The capability `manage`.
    Manage,
    /// The capability `manage` over the whole organization: not confined to named sessions. For
    /// what is made, and for keys and events, which name sessions that a confined caller must not
    /// learn of.
    ManageAll,
    /// A person with the platform's own role. Keys are refused whatever they carry.
    Platform,
}

/// What an endpoint takes in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Nothing, and does not look.
    Ignored,
    /// Nothing, or an empty JSON object.
    Empty,
    /// A JSON object; nothing at all is an empty one.
    Json,
    /// A JSON merge patch (RFC 7396), said to be one or to be JSON.
    Patch,
}

/// Carries an operation out.
pub(crate) trait Handle: Send + Sync {
    fn call(&self, context: Context) -> BoxFuture<'static, Result<Reply>>;
}

impl<F, R> Handle for F
where
    F: Fn(Context) -> R + Send + Sync,
    R: Future<Output = Result<Reply>> + Send + 'static,
{
    fn call(&self, context: Context) -> BoxFuture<'static, Result<Reply>> {
        Box::pin(self(context))
    }
}

impl Needs {
    /// Whether `caller` has it, and the scope it then has. For nothing but the caller and what is
    /// kept of its requests; the scope that look-ups take is the use case's own to ask for.
    pub(crate) fn met_by(self, caller: &Caller) -> domain::Result<Option<Scope>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Manage => caller.may(Capability::Manage).map(Some),
            Self::ManageAll => caller.may_throughout(Capability::Manage).map(Some),
            Self::Platform => caller.may_operate().map(|()| None),
        }
    }
}

impl Operation {
    /// Whether its handler reads nothing that the caller says beyond the path.
    pub(crate) fn reads_nothing(&self) -> bool {
        self.query.is_empty() && matches!(self.intake, Intake::Ignored | Intake::Empty)
    }

    const fn query(mut self, names: &'static [&'static str]) -> Self {
        self.query = names;
        self
    }

    const fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    const fn told(mut self, words: &'static Words) -> Self {
        self.words = words;
        self
    }

    const fn takes(mut self, intake: Intake) -> Self {
        self.intake = intake;
        self
    }
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.name, self.method, self.path)
    }
}

const fn get(
    path: &'static str,
    name: &'static str,
    needs: Needs,
    handler: &'static dyn Handle,
) -> Operation {
    row(Method::GET, path, name, needs, Intake::Ignored, handler)
}

const fn post(
    path: &'static str,
    name: &'static str,
    needs: Needs,
    handler: &'static dyn Handle,
) -> Operation {
    row(Method::POST, path, name, needs, Intake::Empty, handler)
}

const fn patch(
    path: &'static str,
    name: &'static str,
    needs: Needs,
    handler: &'static dyn Handle,
) -> Operation {
    row(Method::PATCH, path, name, needs, Intake::Patch, handler)
}

const fn delete(
    path: &'static str,
    name: &'static str,
    needs: Needs,
    handler: &'static dyn Handle,
) -> Operation {
    row(Method::DELETE, path, name, needs, Intake::Ignored, handler)
}

const fn row(
    method: Method,
    path: &'static str,
    name: &'static str,
    needs: Needs,
    intake: Intake,
    handler: &'static dyn Handle,
) -> Operation {
    let (query, waits, words): (&[_], _, _) = (&[], false, &UNTOLD);
    Operation { method, path, name, needs, query, intake, waits, words, handler }
}
