//! A client of the API: a base URL, a credential, JSON bodies.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use ureq::{Agent, http::Request};

use crate::http::{self, PendingReply, Reply};

/// Upper bound of the time to an answer.
const PATIENCE: Duration = Duration::from_secs(75);

/// A credential of a caller.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An API key, sent as `X-Api-Key`.
    Key(String),
    /// A login token, sent as `Authorization: Bearer`.
    Token(String),
    /// Name and value of the cookie of a browser session, sent as a page of the service does.
    Cookie(String),
}

impl Credential {
    /// Returns the secret text.
    pub fn text(&self) -> &str {
        match self {
            Self::Key(text) | Self::Token(text) | Self::Cookie(text) => text,
        }
    }

    /// Returns the header with the credential.
    pub fn header(&self) -> (&'static str, String) {
        match self {
            Self::Key(key) => ("X-Api-Key", key.clone()),
            Self::Token(token) => ("Authorization", format!("Bearer {token}")),
            Self::Cookie(cookie) => ("Cookie", cookie.clone()),
        }
    }
}

/// A client of one deployment.
#[derive(Clone, Debug)]
pub struct Api {
    agent: Agent,
    base: String,
    credential: Option<Credential>,
}

impl Api {
    /// Creates a client. Every request opens a connection, so a restart of the server leaves no
    /// stale connection.
    pub fn new(base: &str, credential: Option<Credential>) -> Self {
        Self { agent: agent(PATIENCE), base: base.trim_end_matches('/').to_owned(), credential }
    }

    /// Returns a client of the same deployment with another credential.
    #[must_use]
    pub fn with_credential(&self, credential: Option<Credential>) -> Self {
        Self { credential, ..self.clone() }
    }

    /// Returns the same client with this upper bound of the time to an answer.
    #[must_use]
    pub fn with_timeout(&self, patience: Duration) -> Self {
        Self { agent: agent(patience), ..self.clone() }
    }

    /// Returns the credential; `None` for requests without a credential.
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// Returns the base URL, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a `GET`.
    pub fn get(&self, path: &str) -> Result<Reply> {
        self.send("GET", path, &[], None)
    }

    /// Sends a `POST` with this body.
    pub fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send("POST", path, &[], Some(body.to_string().as_bytes()))
    }

    /// Sends a `PATCH` with this merge patch.
    pub fn patch(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send("PATCH", path, &[], Some(body.to_string().as_bytes()))
    }

    /// Sends a `POST` without a body.
    pub fn action(&self, path: &str) -> Result<Reply> {
        self.send("POST", path, &[], None)
    }

    /// Sends a `DELETE`.
    pub fn delete(&self, path: &str) -> Result<Reply> {
        self.send("DELETE", path, &[], None)
    }

    /// Sends a request. The content type of a body is JSON unless a header says otherwise.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Reply> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in self.headers(headers, body.is_some()) {
            request = request.header(name, value);
        }
        let answer = match body {
            Some(body) => self.agent.run(request.body(body)?),
            None => self.agent.run(request.body(())?),
        };
        let mut answer = answer.with_context(|| format!("{method} {path}"))?;
        let mut head = vec![format!("{:?} {}", answer.version(), answer.status())];
        for (name, value) in answer.headers() {
            head.push(format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_to_vec().with_context(|| format!("{method} {path}"))?;
        Ok(Reply { status, head, body })
    }

    /// As [`send`](Self::send), with the answer byte for byte. Over HTTPS the answer is parsed.
    pub fn send_raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Reply> {
        if self.base.starts_with("https:") {
            return self.send(method, path, headers, body);
        }
        self.begin(method, path, headers, body)?.reply().with_context(|| format!("{method} {path}"))
    }

    /// Sends a request and does not wait for the answer.
    pub fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<PendingReply> {
        let headers = self.headers(headers, body.is_some());
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let bytes = http::request(method, path.as_bytes(), &headers, body);
        PendingReply::send(http::address(&self.base)?, &bytes, PATIENCE)
    }

    /// Returns the headers of a request with the credential.
    pub fn headers<'a>(&self, given: &[(&'a str, &str)], has_body: bool) -> Vec<(&'a str, String)> {
        let mut headers: Vec<_> = given.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        headers.extend(self.credential.as_ref().map(Credential::header));
        let is_page = matches!(self.credential, Some(Credential::Cookie(_)));
        if is_page && !given.iter().any(|(name, _)| name.eq_ignore_ascii_case("sec-fetch-site")) {
            headers.push(("Sec-Fetch-Site", "same-origin".to_owned()));
        }
        if has_body && !given.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("Content-Type", "application/json".to_owned()));
        }
        headers
    }
}

fn agent(patience: Duration) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_idle_connections(0)
        .max_redirects(0)
        .timeout_global(Some(patience))
        .build();
    config.into()
}

impl Reply {
    /// Returns the reply when the reply has this status; otherwise an error with the body.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(
            self.status == status,
            "status {} instead of {status}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        Ok(self)
    }

    /// Returns the reply when the reply is an error with this status and code in the error
    /// envelope.
    pub fn expect_error(self, status: u16, code: &str) -> Result<Self> {
        let reply = self.expect(status)?;
        let found = reply.envelope()?;
        ensure!(found == code, "the code is {found:?} instead of {code:?}");
        Ok(reply)
    }

    /// Returns the code in the error envelope, and checks the fields and headers of the envelope.
    pub fn envelope(&self) -> Result<String> {
        let body = self.json();
        let Value::Object(fields) = &body["error"] else {
            bail!("no error envelope: {:?}", String::from_utf8_lossy(&self.body))
        };
        let mut names: Vec<_> = fields.keys().map(String::as_str).collect();
        names.sort_unstable();
        ensure!(names == ["code", "details", "message"], "the envelope holds {names:?}");
        ensure!(body.as_object().is_some_and(|all| all.len() == 1), "more than an error: {body}");
        ensure!(fields["details"].is_object(), "details is no object: {body}");
        ensure!(fields["message"].as_str().is_some_and(|m| !m.is_empty()), "no message: {body}");
        let kind = self.header("content-type").unwrap_or_default();
        ensure!(kind.starts_with("application/json"), "an error of content type {kind:?}");
        ensure!(self.header("x-request-id").is_some(), "no X-Request-Id");
        Ok(fields["code"].as_str().unwrap_or_default().to_owned())
    }
}
