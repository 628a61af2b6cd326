//! The API as its users call it: a base address, a credential, JSON in and out.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use ureq::{Agent, http::Request};

use crate::http::{self, PendingReply, Reply};

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(75);

/// Who asks.
#[derive(Clone, Debug)]
pub enum Credential {
    /// `X-Api-Key`.
    Key(String),
    /// `Authorization: Bearer`.
    Token(String),
}

impl Credential {
    /// What is secret about it.
    pub fn text(&self) -> &str {
        match self {
            Self::Key(text) | Self::Token(text) => text,
        }
    }

    /// The header that carries it.
    pub fn header(&self) -> (&'static str, String) {
        match self {
            Self::Key(key) => ("X-Api-Key", key.clone()),
            Self::Token(token) => ("Authorization", format!("Bearer {token}")),
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
    /// A client with this credential. Every request has a connection of its own: a server that was
    /// restarted leaves no stale one behind.
    pub fn new(base: &str, credential: Option<Credential>) -> Self {
        Self { agent: agent(PATIENCE), base: base.trim_end_matches('/').to_owned(), credential }
    }

    /// The same deployment, asked by somebody else.
    #[must_use]
    pub fn with_credential(&self, credential: Option<Credential>) -> Self {
        Self { credential, ..self.clone() }
    }

    /// The same client, which waits for an answer no longer than this.
    #[must_use]
    pub fn with_timeout(&self, patience: Duration) -> Self {
        Self { agent: agent(patience), ..self.clone() }
    }

    /// Who asks.
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// Where it is.
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

    /// Sends a `POST` without a body.
    pub fn action(&self, path: &str) -> Result<Reply> {
        self.send("POST", path, &[], None)
    }

    /// Sends a `DELETE`.
    pub fn delete(&self, path: &str) -> Result<Reply> {
        self.send("DELETE", path, &[], None)
    }

    /// Any request. A body is JSON unless a header says otherwise.
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

    /// As [`send`](Self::send), compared byte for byte where the connection can be seen through.
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

    /// Sends a request and does not wait for its answer.
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

    /// The headers of a request, with the credential unless another is given.
    pub fn headers<'a>(&self, given: &[(&'a str, &str)], has_body: bool) -> Vec<(&'a str, String)> {
        let mut headers: Vec<_> = given.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        headers.extend(self.credential.as_ref().map(Credential::header));
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
    /// Itself, if it has this status.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(
            self.status == status,
            "{status} expected, but it is {}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        Ok(self)
    }

    /// Itself, if it is an error of this status and code in the one envelope all errors have.
    pub fn expect_error(self, status: u16, code: &str) -> Result<Self> {
        let reply = self.expect(status)?;
        let found = reply.envelope()?;
        ensure!(found == code, "the code is {found:?} instead of {code:?}");
        Ok(reply)
    }

    /// The code of an error in its envelope.
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
