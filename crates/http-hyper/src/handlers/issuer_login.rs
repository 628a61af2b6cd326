//! The handlers of logins at an issuer (OIDC, code flow with PKCE), each below its operation doc.
//!
//! State, nonce and verifier of a login in progress are sealed in one cookie. The cookie is `Lax`, because the
//! issuer sends the browser back from another site.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{BrowserSessionHolder, SignIn, Timestamp, or_not_found, ports::Refused};
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderValue},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{
    api::OperationContext,
    browser::{
        cookie::CookieSpec,
        dependencies::{Browser, LoginWay},
        login_flow::{LoginCode, LoginRequest},
        secret,
    },
    openapi::{
        failures::ISSUER_NOT_FOUND,
        operation_doc::{DocTag, OperationDoc, ResponseDoc},
    },
    response::{
        problem::{Problem, Result},
        reply::Reply,
    },
    streams::sealer::Sealer,
};

const LOGIN_COOKIE: CookieSpec = CookieSpec::lax("__Host-berth-login", "berth-login");
/// Time within which a person logs in at the issuer.
const LIFETIME: Duration = Duration::from_mins(10);
const CONTEXT: &[u8] = b"login 1";
const CALLBACK: &str = "/auth/callback";
/// The page after a login without `return`.
const START_PAGE: &str = "/ui/";
/// Maximum length of `return` in bytes.
const MAX_RETURN: usize = 1024;

/// A login in progress.
#[derive(Serialize, Deserialize)]
struct LoginInProgress {
    state: String,
    nonce: String,
    verifier: String,
    page: String,
    expires_at: i64,
}

/// The reason why a login ended without a session, for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoginProblem {
    /// The issuer, or the person at the issuer, said no.
    Denied,
    /// The browser did not begin this login.
    State,
    /// The login took too long.
    Expired,
    /// The issuer does not answer.
    Issuer,
    /// The issuer's answer is not accepted.
    Token,
    /// The person belongs to no organization.
    NoOrganization,
}

impl LoginProblem {
    const fn code(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::State => "state",
            Self::Expired => "expired",
            Self::Issuer => "issuer",
            Self::Token => "token",
            Self::NoOrganization => "no_organization",
        }
    }

    /// Returns the redirection to the page that explains the problem.
    fn reply(self) -> Reply {
        let page = format!("/ui/login?problem={}", self.code());
        redirect(HeaderValue::try_from(page).unwrap_or(HeaderValue::from_static(START_PAGE)))
    }
}

/// Returns the page with which a browser continues after a login: a path below `/ui/`.
///
/// # Errors
/// 400 for any other text.
pub(super) fn return_path(wanted: Option<&str>) -> Result<HeaderValue> {
    let page = wanted.unwrap_or(START_PAGE);
    let is_page = page.starts_with(START_PAGE)
        && page.len() <= MAX_RETURN
        && page.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !page.contains("..");
    let page = HeaderValue::try_from(page).ok().filter(|_| is_page);
    page.ok_or_else(|| Problem::invalid("return", "must be a path that begins with /ui/"))
}

fn redirect(to: HeaderValue) -> Reply {
    let reply = Reply { status: StatusCode::FOUND, ..Reply::no_content() };
    reply.with(header::LOCATION, to)
}

pub(crate) static LOGIN_BEGIN: OperationDoc = OperationDoc::new(
    DocTag::Browser,
    "Begin a login at the issuer",
    "For links of the page. `return` is the page to continue with, below `/ui/`. A login in progress is a sealed \
     cookie of ten minutes. When the issuer does not answer, the page `/ui/login?problem=issuer` follows.",
    ResponseDoc::new(302, "The browser goes to the issuer.", &[]).setting_cookie().located(),
)
.fails(&[&ISSUER_NOT_FOUND]);

pub(crate) async fn begin(mut cx: OperationContext) -> Result<Reply> {
    let resources = cx.resources.clone();
    let browser = &resources.browser;
    let flow = or_not_found("issuer", browser.login_flow.as_ref())?;
    let wanted = cx.read(|input| input.query.text("return"))?;
    let page = return_path(wanted.as_deref())?;
    let login = LoginInProgress {
        state: secret::generate()?.0,
        nonce: secret::generate()?.0,
        verifier: secret::generate()?.0,
        page: page.to_str().unwrap_or(START_PAGE).to_owned(),
        expires_at: cx.resources.environment.now().plus(LIFETIME).millis(),
    };
    let request = LoginRequest {
        redirect_uri: &browser.public_url.join(CALLBACK),
        state: &login.state,
        nonce: &login.nonce,
        challenge: &URL_SAFE_NO_PAD.encode(Sha256::digest(&login.verifier)),
    };
    match flow.url(&request).await {
        Ok(url) => {
            let url = HeaderValue::try_from(url).map_err(Problem::internal)?;
            Ok(redirect(url).with(header::SET_COOKIE, login.cookie(browser)?))
        }
        Err(refused) => {
            let _ = Browser::accepted(Err(refused), LoginWay::Issuer);
            Ok(LoginProblem::Issuer.reply())
        }
    }
}

pub(crate) static LOGIN_END: OperationDoc = OperationDoc::new(
    DocTag::Browser,
    "End a login at the issuer",
    "The issuer sends the browser here. After a login that failed, the page `/ui/login?problem=CODE` follows, with \
     one of the codes `denied`, `state`, `expired`, `issuer`, `token` and `no_organization`.",
    ResponseDoc::new(302, "The browser has the cookie and continues with a page.", &[])
        .setting_cookie()
        .located(),
)
.fails(&[&ISSUER_NOT_FOUND]);

pub(crate) async fn end(mut cx: OperationContext) -> Result<Reply> {
    let resources = cx.resources.clone();
    let browser = &resources.browser;
    let flow = or_not_found("issuer", browser.login_flow.as_ref())?;
    // Issuers add parameters of their own, which are not faults.
    let [code, state, error] = ["code", "state", "error"].map(|name| cx.input.query.text(name));
    let now = cx.resources.environment.now();
    let mut reply = match LoginInProgress::of(browser, &cx.headers, state.as_deref(), now) {
        Err(problem) => problem.reply(),
        Ok(login) => match code.filter(|_| error.is_none()) {
            None => LoginProblem::Denied.reply(),
            Some(code) => {
                let code = LoginCode {
                    code: &code,
                    redirect_uri: &browser.public_url.join(CALLBACK),
                    verifier: &login.verifier,
                    nonce: &login.nonce,
                };
                let redeemed = flow.redeem(&code).await;
                login.end(browser, &cx.headers, redeemed).await?
            }
        },
    };
    if let Some(cleared) = LOGIN_COOKIE.clear(&browser.public_url) {
        reply.headers.append(header::SET_COOKIE, cleared);
    }
    Ok(reply)
}

impl LoginInProgress {
    /// Returns the cookie of the login.
    fn cookie(&self, browser: &Browser) -> Result<HeaderValue> {
        let text = serde_json::to_vec(self).map_err(Problem::internal)?;
        let sealed = browser.sealer.seal(CONTEXT, &text).map_err(Problem::internal)?;
        let cookie = LOGIN_COOKIE.set(&browser.public_url, &sealed, LIFETIME);
        cookie.ok_or_else(|| Problem::internal("the cookie is no header value"))
    }

    /// Returns the login of the cookie, if the login has this state and has not expired.
    fn of(
        browser: &Browser,
        headers: &HeaderMap,
        state: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, LoginProblem> {
        let login = LOGIN_COOKIE
            .read(headers, &browser.public_url)
            .and_then(|text| Sealer::parse(text, None))
            .and_then(|sealed| browser.sealer.open(CONTEXT, sealed))
            .and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        // A browser removes the cookie when the time is over.
        let login = login.ok_or(LoginProblem::State)?;
        let is_own = login.state.as_bytes().ct_eq(state.unwrap_or_default().as_bytes());
        match (bool::from(is_own), now.millis() < login.expires_at) {
            (false, _) => Err(LoginProblem::State),
            (true, false) => Err(LoginProblem::Expired),
            (true, true) => Ok(login),
        }
    }

    /// Begins the session of a login that the issuer accepted.
    async fn end(
        &self,
        browser: &Browser,
        headers: &HeaderMap,
        redeemed: Result<SignIn, Refused>,
    ) -> Result<Reply> {
        let problem = match &redeemed {
            Err(Refused::Denied(_)) => Some(LoginProblem::Token),
            Err(Refused::Unavailable(_)) => Some(LoginProblem::Issuer),
            Ok(sign_in) if has_no_rights(sign_in) => Some(LoginProblem::NoOrganization),
            Ok(_) => None,
        };
        let accepted = Browser::accepted(redeemed, LoginWay::Issuer);
        if let Some(problem) = problem {
            return Ok(problem.reply());
        }
        let cookie = browser.begin_session(headers, accepted?).await?;
        Ok(redirect(return_path(Some(&self.page))?).with(header::SET_COOKIE, cookie))
    }
}

/// Returns whether a person could use nothing: the person has neither an organization nor the platform
/// role.
fn has_no_rights(sign_in: &SignIn) -> bool {
    match &sign_in.holder {
        BrowserSessionHolder::Key(_) => false,
        BrowserSessionHolder::Person(claims) => {
            claims.organizations.is_empty() && !claims.platform_admin
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn return_is_a_page_below_ui() {
        assert_eq!(return_path(None).unwrap(), "/ui/");
        for page in ["/ui/", "/ui/sessions?status=failed#x", "/ui/sessions/sess_1"] {
            assert_eq!(return_path(Some(page)).unwrap(), page);
        }
        for page in [
            "",
            "/",
            "/ui",
            "/uix/",
            "//evil.example/ui/",
            "https://evil.example/ui/",
            "/ui/../../x",
            "/ui/\\evil.example",
            "/ui/a b",
            "/ui/ü",
            "/ui/\r\nset-cookie: a=b",
            &format!("/ui/{}", "a".repeat(MAX_RETURN)),
        ] {
            assert!(return_path(Some(page)).is_err(), "{page:?}");
        }
    }
}
