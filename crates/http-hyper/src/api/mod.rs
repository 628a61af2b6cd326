//! The API, whole: one row an endpoint. Router, 405 and `Allow`, the gate, log lines and the tests
//! that walk the API are all derived from this table.
//!
//! Decision: ADR 0011.

pub(crate) mod authorize;
pub(crate) mod context;
pub(crate) mod throttle;

use domain::{Caller, Capability, Scope};
use futures_util::future::BoxFuture;
use hyper::Method;

use crate::{
    api::context::Context,
    handlers::{admin, api_keys, audit, docs, health, sessions},
    openapi::{self, OperationDoc, UNDOCUMENTED},
    response::problem::Result,
    response::reply::Reply,
};

/// The endpoints of callers.
pub(crate) static API: &[Operation] = &[
    get("/api/v1/sessions", "session_list", Requires::Manage, &sessions::list)
        .query(&["limit", "cursor", "status", "label", "gatewayId", "phoneNumber"])
        .documented_by(&openapi::SESSION_LIST),
    post("/api/v1/sessions", "session_create", Requires::ManageAll, &sessions::create)
        .accepts(RequestBodySpec::Json)
        .documented_by(&openapi::SESSION_CREATE),
    get("/api/v1/sessions/{session}", "session_view", Requires::Manage, &sessions::view)
        .documented_by(&openapi::SESSION_VIEW),
    patch("/api/v1/sessions/{session}", "session_update", Requires::Manage, &sessions::update)
        .documented_by(&openapi::SESSION_UPDATE),
    delete("/api/v1/sessions/{session}", "session_delete", Requires::Manage, &sessions::delete)
        .documented_by(&openapi::SESSION_DELETE),
    get("/api/v1/sessions/{session}/me", "session_identity", Requires::Manage, &sessions::identity)
        .documented_by(&openapi::SESSION_IDENTITY),
    get("/api/v1/sessions/{session}/qr", "session_qr", Requires::Manage, &sessions::qr)
        .query(&["wait"])
        .waits()
        .documented_by(&openapi::SESSION_QR),
    post(
        "/api/v1/sessions/{session}/pairing-code",
        "session_pairing_code",
        Requires::Manage,
        &sessions::pairing_code,
    )
    .accepts(RequestBodySpec::Json)
    .waits()
    .documented_by(&openapi::SESSION_PAIRING_CODE),
    post("/api/v1/sessions/{session}:start", "session_start", Requires::Manage, &sessions::start)
        .documented_by(&openapi::SESSION_START),
    post("/api/v1/sessions/{session}:stop", "session_stop", Requires::Manage, &sessions::stop)
        .documented_by(&openapi::SESSION_STOP),
    post(
        "/api/v1/sessions/{session}:restart",
        "session_restart",
        Requires::Manage,
        &sessions::restart,
    )
    .documented_by(&openapi::SESSION_RESTART),
    post(
        "/api/v1/sessions/{session}:logout",
        "session_logout",
        Requires::Manage,
        &sessions::logout,
    )
    .waits()
    .documented_by(&openapi::SESSION_LOGOUT),
    get("/api/v1/api-keys", "api_key_list", Requires::ManageAll, &api_keys::list)
        .query(&["limit", "cursor"])
        .documented_by(&openapi::API_KEY_LIST),
    post("/api/v1/api-keys", "api_key_create", Requires::ManageAll, &api_keys::create)
        .accepts(RequestBodySpec::Json)
        .documented_by(&openapi::API_KEY_CREATE),
    get("/api/v1/api-keys/{key}", "api_key_view", Requires::ManageAll, &api_keys::view)
        .documented_by(&openapi::API_KEY_VIEW),
    delete("/api/v1/api-keys/{key}", "api_key_revoke", Requires::ManageAll, &api_keys::revoke)
        .documented_by(&openapi::API_KEY_REVOKE),
    get("/api/v1/audit", "audit_list", Requires::ManageAll, &audit::list)
        .query(&["limit", "cursor", "sessionId", "event"])
        .documented_by(&openapi::AUDIT_LIST),
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
        .documented_by(&openapi::ADMIN_SESSION_LIST),
];

/// What probes ask, on every listener.
pub(crate) static HEALTH: &[Operation] = &[
    get("/livez", "livez", Requires::Nothing, &health::live).documented_by(&openapi::LIVEZ),
    get("/readyz", "readyz", Requires::Nothing, &health::ready).documented_by(&openapi::READYZ),
];

/// What tells of the API, on the public listener.
pub(crate) static DOCUMENT: &[Operation] = &[
    get("/openapi.json", "openapi", Requires::Nothing, &docs::document)
        .documented_by(&openapi::OPENAPI),
    get("/docs", "docs", Requires::Nothing, &docs::page).documented_by(&openapi::DOCS),
    get("/docs/start.js", "docs_start", Requires::Nothing, &docs::start)
        .documented_by(&openapi::DOCS_START),
    get("/docs/swagger-ui.js", "docs_script", Requires::Nothing, &docs::script)
        .documented_by(&openapi::DOCS_SCRIPT),
    get("/docs/swagger-ui.css", "docs_style", Requires::Nothing, &docs::style)
        .documented_by(&openapi::DOCS_STYLE),
];

/// What the operator's listener answers besides.
pub(crate) static OPERATIONS: &[Operation] =
    &[get("/metrics", "metrics", Requires::Nothing, &health::metrics)];

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
    pub requires: Requires,
    /// The query parameters it knows. Others are refused: a filter that is misspelt must not
    /// silently filter nothing. Probes may send what they like.
    pub query: &'static [&'static str],
    /// What it takes in its body.
    pub body_spec: RequestBodySpec,
    /// Whether it may wait for a session to change. Its place is then among those that wait, and takes
    /// nothing from work.
    pub waits: bool,
    /// What the document says of it that nothing above does.
    pub doc: &'static OperationDoc,
    pub(crate) handler: &'static dyn OperationHandler,
}

/// What an endpoint asks of its caller. Judged from the credential alone, before body and look-up,
/// so that 401 and 403 say nothing of what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requires {
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
pub enum RequestBodySpec {
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
pub(crate) trait OperationHandler: Send + Sync {
    fn call(&self, context: Context) -> BoxFuture<'static, Result<Reply>>;
}

impl<F, R> OperationHandler for F
where
    F: Fn(Context) -> R + Send + Sync,
    R: Future<Output = Result<Reply>> + Send + 'static,
{
    fn call(&self, context: Context) -> BoxFuture<'static, Result<Reply>> {
        Box::pin(self(context))
    }
}

impl Requires {
    /// Whether `caller` has it, and the scope it then has. For nothing but the caller and what is
    /// kept of its requests; the scope that look-ups take is the use case's own to ask for.
    pub(crate) fn authorize(self, caller: &Caller) -> domain::Result<Option<Scope>> {
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
        self.query.is_empty()
            && matches!(self.body_spec, RequestBodySpec::Ignored | RequestBodySpec::Empty)
    }

    const fn query(mut self, names: &'static [&'static str]) -> Self {
        self.query = names;
        self
    }

    const fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    const fn documented_by(mut self, doc: &'static OperationDoc) -> Self {
        self.doc = doc;
        self
    }

    const fn accepts(mut self, body_spec: RequestBodySpec) -> Self {
        self.body_spec = body_spec;
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
    requires: Requires,
    handler: &'static dyn OperationHandler,
) -> Operation {
    row(Method::GET, path, name, requires, RequestBodySpec::Ignored, handler)
}

const fn post(
    path: &'static str,
    name: &'static str,
    requires: Requires,
    handler: &'static dyn OperationHandler,
) -> Operation {
    row(Method::POST, path, name, requires, RequestBodySpec::Empty, handler)
}

const fn patch(
    path: &'static str,
    name: &'static str,
    requires: Requires,
    handler: &'static dyn OperationHandler,
) -> Operation {
    row(Method::PATCH, path, name, requires, RequestBodySpec::Patch, handler)
}

const fn delete(
    path: &'static str,
    name: &'static str,
    requires: Requires,
    handler: &'static dyn OperationHandler,
) -> Operation {
    row(Method::DELETE, path, name, requires, RequestBodySpec::Ignored, handler)
}

const fn row(
    method: Method,
    path: &'static str,
    name: &'static str,
    requires: Requires,
    body_spec: RequestBodySpec,
    handler: &'static dyn OperationHandler,
) -> Operation {
    let (query, waits, doc): (&[_], _, _) = (&[], false, &UNDOCUMENTED);
    Operation { method, path, name, requires, query, body_spec, waits, doc, handler }
}
