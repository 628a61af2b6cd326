//! The handlers of browser sessions, each below its operation doc.

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};

use crate::{
    api::OperationContext,
    browser::dependencies::LoginWay,
    openapi::{
        failures::{LOGINS_LIMITED, ORGANIZATION_NOT_FOUND},
        operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    },
    response::{
        problem::{Problem, Result},
        reply::Reply,
    },
    wire::{
        BrowserCredentialSpec, BrowserSessionView, HandoverSpec, LoginOptionsView,
        OrganizationChoiceSpec,
    },
};

use super::issuer_login::return_path;

pub(crate) static BROWSER_SESSION_CREATE: OperationDoc = OperationDoc::new(
    DocTag::Browser,
    "Log a browser in",
    "Checks an API key or a login token, and sets the cookie of a session. The session of a key has the rights \
     of the key and ends with it; the session of a token ends when the token expires. A further login of one \
     key or person beyond 20 ends the session that was not used for longest.",
    ResponseDoc::new(204, "The browser has the cookie.", &[]).setting_cookie(),
)
.accepts(Shape::of::<BrowserCredentialSpec>())
.fails(&[&LOGINS_LIMITED]);

pub(crate) async fn create(mut cx: OperationContext) -> Result<Reply> {
    let spec = cx.read(|input| BrowserCredentialSpec::read(&mut input.body))?;
    let cookie = log_in(&cx, spec, LoginWay::Credential).await?;
    Ok(Reply::no_content().with(header::SET_COOKIE, cookie))
}

/// Checks a credential and begins a session. Returns the `Set-Cookie`.
async fn log_in(
    cx: &OperationContext,
    spec: BrowserCredentialSpec,
    way: LoginWay,
) -> Result<HeaderValue> {
    let browser = &cx.resources.browser;
    if way == LoginWay::Credential {
        browser.require_protected_cookie(&cx.headers)?;
    }
    let text = spec.into_text();
    let text = text.ok_or_else(|| Problem::invalid("/credential", "must be visible ASCII"))?;
    let peer = (cx.connection.permit_holder().group, cx.resources.environment.now());
    let sign_in = browser.check_credential(text, peer, way).await?;
    browser.begin_session(&cx.headers, sign_in).await
}

pub(crate) static BROWSER_SESSION_VIEW: OperationDoc = OperationDoc::new(
    DocTag::Browser,
    "View the browser session",
    "When the session ends, and for which organizations the browser can act. `GET /api/v1/whoami` has the rights.",
    ResponseDoc::new(200, "The session.", &[Content::Json(Shape::of::<BrowserSessionView>())]),
);

pub(crate) async fn view(cx: OperationContext) -> Result<Reply> {
    Reply::ok(&BrowserSessionView::of(cx.browser_session()?))
}

pub(crate) static BROWSER_SESSION_SWITCH: OperationDoc = OperationDoc::new(
    DocTag::Browser,
    "Act for another organization",
    "One of `organizations`. Open event streams of the organization before end within a second.",
    ResponseDoc::new(204, "The browser acts for the organization.", &[]),
)
.accepts(Shape::of::<OrganizationChoiceSpec>())
.fails(&[&ORGANIZATION_NOT_FOUND]);

pub(crate) async fn switch(mut cx: OperationContext) -> Result<Reply> {
    let spec = cx.read(|input| OrganizationChoiceSpec::read(&mut input.body))?;
    let session = cx.browser_session()?;
    cx.resources.browser.sessions.switch(session, &spec.organization).await?;
    Ok(Reply::no_content())
}

pub(crate) static BROWSER_SESSION_DELETE: OperationDoc = OperationDoc::new(
    DocTag::Browser,
    "Log the browser out",
    "Ends the session on every router, with its event streams, and removes the cookie.",
    ResponseDoc::new(204, "The session has ended.", &[]).setting_cookie(),
);

pub(crate) async fn delete(cx: OperationContext) -> Result<Reply> {
    let browser = &cx.resources.browser;
    browser.sessions.close(cx.browser_session()?.digest).await?;
    Ok(Reply::no_content().with(header::SET_COOKIE, browser.cleared_cookie()?))
}

pub(crate) static LOGIN_OPTIONS: OperationDoc = OperationDoc::new(
    DocTag::Browser,
    "View the ways to log in",
    "For the page before the login. Needs no credential.",
    ResponseDoc::new(200, "The ways.", &[Content::Json(Shape::of::<LoginOptionsView>())]),
);

pub(crate) async fn options(cx: OperationContext) -> Result<Reply> {
    let browser = &cx.resources.browser;
    Reply::ok(&LoginOptionsView {
        oidc: browser.login_flow.is_some(),
        public_url: browser.public_url.origin().to_owned(),
    })
}

pub(crate) static BROWSER_SESSION_HANDOVER: OperationDoc = OperationDoc::new(
    DocTag::Browser,
    "Log a browser in from another page",
    "A form post of a page whose origin is in `BERTH_UI_HANDOVER_ORIGINS`, for a frontend that has the person's \
     login token. `return` is the page to continue with, below `/ui/`. A request of another origin is a 401.",
    ResponseDoc::new(303, "The browser has the cookie and continues with `return`.", &[])
        .setting_cookie()
        .located(),
)
.accepts(Shape::of::<HandoverSpec>())
.fails(&[&LOGINS_LIMITED]);

pub(crate) async fn hand_over(mut cx: OperationContext) -> Result<Reply> {
    let spec = cx.read(|input| HandoverSpec::read(&mut input.body))?;
    let page = return_path(spec.page.as_deref())?;
    let cookie = log_in(&cx, spec.credential, LoginWay::Handover).await?;
    let reply = Reply { status: StatusCode::SEE_OTHER, ..Reply::no_content() };
    Ok(reply.with(header::SET_COOKIE, cookie).with(header::LOCATION, page))
}
