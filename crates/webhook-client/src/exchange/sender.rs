//! The sender: one attempt over an idle or a new connection, and its outcome.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use domain::OutcomeClass;
use hyper::{
    Response,
    body::Incoming,
    header::{HeaderValue, USER_AGENT},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    connection::{Connection, ExchangeFailure},
    pool::{Pool, PoolKey},
    response::BodyReader,
    retry_after::retry_after,
};
use crate::{
    address::Verdict,
    attempt::Attempt,
    config::Config,
    connect::{Connector, NetworkAccess},
    failure::{CheckError, Failure},
    limits::Limits,
    outcome::{Outcome, class_of_status},
    url::WebhookUrl,
};

/// Sends webhook requests. Clones share connections, lookups and rules.
#[derive(Clone)]
pub struct Sender {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
    user_agent: HeaderValue,
    limits: Limits,
}

impl Sender {
    /// Creates a sender that uses the network of the operating system.
    ///
    /// # Errors
    /// When TLS cannot be configured.
    pub fn new(config: Config) -> Result<Self, rustls::Error> {
        Self::with_network(config, NetworkAccess::default())
    }

    /// Creates a sender whose lookups and dials go through `network`.
    ///
    /// # Errors
    /// When TLS cannot be configured.
    pub fn with_network(config: Config, network: NetworkAccess) -> Result<Self, rustls::Error> {
        let (user_agent, limits) = (config.user_agent.clone(), config.limits);
        let connector = Arc::new(Connector::new(config, network)?);
        Ok(Self { connector, pool: Pool::new(&limits), user_agent, limits })
    }

    /// Replaces the addresses that no webhook reaches ([`Config::denied`]). Idle connections to
    /// them are not used again.
    pub fn deny(&self, denied: Vec<SocketAddr>) {
        self.connector.deny(denied);
    }

    /// Looks the URL's host up and judges every address, without connecting. Each attempt judges
    /// anew.
    ///
    /// # Errors
    /// [`CheckError`]; the texts are for the operator.
    pub async fn check(&self, organization: &str, url: &WebhookUrl) -> Result<(), CheckError> {
        self.connector.addresses(organization, url).await.map(drop)
    }

    /// Sends the request once and waits for the response, about [`Limits::head`] + [`Limits::body`]
    /// at most. The response head alone decides the class.
    ///
    /// An idle connection that the receiver closed before a byte of the request left is replaced by
    /// a new one within the same attempt.
    pub async fn send(&self, attempt: &Attempt) -> Outcome {
        let start = Instant::now();
        let exchange = timeout_at(start + self.limits.head, self.exchange(attempt)).await;
        let duration = start.elapsed();
        match exchange {
            Ok(Ok((connection, response))) => {
                self.outcome(attempt, connection, response, duration).await
            }
            Ok(Err(failure)) => failed(failure, duration),
            Err(_) => {
                let cause = format!("no response head within {:?}", self.limits.head);
                failed(Failure::new(OutcomeClass::Timeout, cause), duration)
            }
        }
    }

    async fn exchange(
        &self,
        attempt: &Attempt,
    ) -> Result<(Connection, Response<Incoming>), Failure> {
        if let Some(mut connection) = self.idle_connection(attempt) {
            match self.send_on(&mut connection, attempt).await {
                Ok(response) => return Ok((connection, response)),
                Err(error) if error.sent => return Err(error.failure),
                Err(_) => {}
            }
        }
        let established = self.connector.connect(&attempt.organization, &attempt.url).await?;
        let mut connection = Connection::new(established).await?;
        match self.send_on(&mut connection, attempt).await {
            Ok(response) => Ok((connection, response)),
            Err(error) => Err(error.failure),
        }
    }

    /// Takes an idle connection whose peer is still allowed.
    fn idle_connection(&self, attempt: &Attempt) -> Option<Connection> {
        let connection = self.pool.take(&PoolKey::of(attempt))?;
        let judged = self.connector.judge(attempt.url.host(), connection.ends());
        judged.is_ok().then_some(connection)
    }

    async fn send_on(
        &self,
        connection: &mut Connection,
        attempt: &Attempt,
    ) -> Result<Response<Incoming>, ExchangeFailure> {
        let mut request = attempt.request();
        request.headers_mut().entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        connection.send(request, self.limits.body_bytes).await
    }

    async fn outcome(
        &self,
        attempt: &Attempt,
        mut connection: Connection,
        response: Response<Incoming>,
        duration: Duration,
    ) -> Outcome {
        let (head, body) = response.into_parts();
        let class = class_of_status(head.status);
        let public = connection.verdict() == Verdict::Public;
        let excerpt = if public { self.limits.excerpt_bytes } else { 0 };
        let mut reader = BodyReader::default();
        let reading = async {
            reader.read(body, self.limits.body_bytes, excerpt).await && connection.finish().await
        };
        let reusable = timeout(self.limits.body, reading).await.unwrap_or(false);
        if reusable && class != OutcomeClass::Malformed {
            self.pool.put(PoolKey::of(attempt), connection);
        }
        Outcome {
            class,
            status: Some(head.status.as_u16()),
            retry_after: retry_after(&head.headers, attempt.at, self.limits.retry_after),
            excerpt: public.then(|| reader.into_excerpt()),
            duration,
            cause: None,
        }
    }
}

fn failed(failure: Failure, duration: Duration) -> Outcome {
    Outcome {
        class: failure.class,
        status: None,
        retry_after: None,
        excerpt: None,
        duration,
        cause: Some(failure.cause),
    }
}
