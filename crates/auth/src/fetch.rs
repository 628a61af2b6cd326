//! How the text of a key set is got: over HTTP or from a file, bounded in time and size.
//!
//! No redirect is followed: the keys come from where the operator said, or not at all.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use domain::ports::BoxError;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{Request, Response, Uri, body::Incoming, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::io::AsyncReadExt;

use crate::{config::ConfigError, key_set::KeySetError};

/// A key takes half a kilobyte, with its certificates a few.
const LONGEST: u64 = 512 * 1024;

/// Why the key set was not got.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Too slow.
    #[error("no key set within {0:?}")]
    TimedOut(Duration),
    /// Not there.
    #[error("the issuer cannot be reached")]
    Unreachable(#[source] BoxError),
    /// Not what was asked for.
    #[error("the issuer answered with status {0} (redirects are not followed)")]
    Status(u16),
    /// Longer than any key set.
    #[error("the key set is longer than {LONGEST} bytes")]
    TooLong,
    /// The file cannot be read.
    #[error("the file cannot be read")]
    File(#[source] std::io::Error),
    /// It came, but it is not a key set.
    #[error("what came is not usable as a key set")]
    Content(#[source] KeySetError),
}

/// Gets the text of a key set.
pub(crate) struct Fetcher {
    from: From,
    deadline: Duration,
}

enum From {
    Https(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>, Uri),
    Http(Client<HttpConnector, Empty<Bytes>>, Uri),
    File(PathBuf),
}

impl Fetcher {
    /// Fetches from a URL, over TLS with the machine's certificate authorities if it is `https`.
    pub(crate) fn of_url(uri: Uri, deadline: Duration) -> Result<Self, ConfigError> {
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(deadline));
        // Fetches are minutes apart: no connection is worth keeping.
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_max_idle_per_host(0);
        if uri.scheme_str() != Some("https") {
            return Ok(Self { from: From::Http(client.build(http), uri), deadline });
        }
        http.enforce_http(false);
        // Named here, so that a second provider in the program cannot make the choice ambiguous.
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .map_err(ConfigError::NoRoots)?
            .https_only()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self { from: From::Https(client.build(tls), uri), deadline })
    }

    /// Reads a file.
    pub(crate) fn of_file(path: PathBuf, deadline: Duration) -> Self {
        Self { from: From::File(path), deadline }
    }

    /// The text as it is now.
    pub(crate) async fn fetch(&self) -> Result<Bytes, FetchError> {
        let work = async {
            match &self.from {
                From::Https(client, uri) => body(client.request(get(uri)?).await).await,
                From::Http(client, uri) => body(client.request(get(uri)?).await).await,
                From::File(path) => read(path).await,
            }
        };
        let late = FetchError::TimedOut(self.deadline);
        tokio::time::timeout(self.deadline, work).await.map_err(|_| late)?
    }
}

fn get(uri: &Uri) -> Result<Request<Empty<Bytes>>, FetchError> {
    Request::get(uri)
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(header::USER_AGENT, concat!("berth/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .map_err(|error| FetchError::Unreachable(error.into()))
}

async fn body<E: Into<BoxError>>(
    answer: Result<Response<Incoming>, E>,
) -> Result<Bytes, FetchError> {
    let answer = answer.map_err(|error| FetchError::Unreachable(error.into()))?;
    if !answer.status().is_success() {
        return Err(FetchError::Status(answer.status().as_u16()));
    }
    let longest = usize::try_from(LONGEST).unwrap_or(usize::MAX);
    let body = Limited::new(answer.into_body(), longest).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            FetchError::TooLong
        } else {
            FetchError::Unreachable(error)
        }
    })
}

async fn read(path: &PathBuf) -> Result<Bytes, FetchError> {
    let file = tokio::fs::File::open(path).await.map_err(FetchError::File)?;
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text).await.map_err(FetchError::File)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > LONGEST) {
        return Err(FetchError::TooLong);
    }
    Ok(text.into())
}
