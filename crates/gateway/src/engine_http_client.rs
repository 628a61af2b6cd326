//! The engine's HTTP client, for WhatsApp's web page.

use std::time::Duration;

use http_client::HttpClient;
use hyper::Request;
use tokio::time::Instant;
use wacore::net::{HttpRequest, HttpResponse};

use crate::outgoing_http::REQUEST_TIMEOUT;

/// TTL of a cached page.
const PAGE_TTL: Duration = Duration::from_secs(600);

/// The HTTP client of the engine, which fetches the current version of WhatsApp Web for linking.
/// Every session requests the version, so that one cached answer serves all sessions; an expired
/// page is used if no new one can be fetched. Without a client, as on the simulator, every request
/// fails.
#[derive(Debug, Default)]
pub(crate) struct EngineHttpClient {
    client: Option<HttpClient>,
    cached: tokio::sync::Mutex<Option<CachedPage>>,
}

#[derive(Debug)]
struct CachedPage {
    url: String,
    at: Instant,
    page: HttpResponse,
}

impl EngineHttpClient {
    pub(crate) fn new(client: Option<HttpClient>) -> Self {
        Self { client, cached: tokio::sync::Mutex::default() }
    }

    async fn fetch(client: &HttpClient, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let mut outgoing = Request::builder().method(request.method.as_str()).uri(&request.url);
        for (name, value) in &request.headers {
            outgoing = outgoing.header(name, value);
        }
        let outgoing = outgoing.body(request.body.unwrap_or_default())?;
        let response = client.send(outgoing, REQUEST_TIMEOUT).await?;
        Ok(HttpResponse {
            status_code: response.status().as_u16(),
            body: response.into_body().to_vec(),
        })
    }
}

#[async_trait::async_trait]
impl wacore::net::HttpClient for EngineHttpClient {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let Some(client) = &self.client else {
            anyhow::bail!("a simulator build fetches no pages")
        };
        if request.method != "GET" {
            return Self::fetch(client, request).await;
        }
        let mut cached = self.cached.lock().await; // concurrent requests wait for the first one
        let hit = cached.as_ref().filter(|cached| cached.url == request.url);
        if let Some(hit) = hit.filter(|cached| cached.at.elapsed() < PAGE_TTL) {
            return Ok(hit.page.clone());
        }
        let url = request.url.clone();
        let fetched = Self::fetch(client, request).await;
        if let Err(error) = &fetched {
            // The engine logs the missing version without the cause. The span adds the session to
            // this line.
            tracing::warn!(url, error = format!("{error:#}"), "cannot fetch a page");
        }
        match (fetched, hit) {
            (Ok(page), _) if page.status_code == 200 => {
                *cached = Some(CachedPage { url, at: Instant::now(), page: page.clone() });
                Ok(page)
            }
            (_, Some(old)) => Ok(old.page.clone()),
            (failed, None) => failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outgoing_http;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use wacore::net::HttpClient as _;

    #[tokio::test]
    async fn successful_fetch_is_cached_and_failed_fetch_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/sw.js", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            for answer in ["500 No", "200 OK"] {
                let (mut socket, _) = listener.accept().await.unwrap();
                let _ = socket.read(&mut [0; 4096]).await.unwrap();
                let answer = format!(
                    "HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi"
                );
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let fetcher = EngineHttpClient::new(Some(outgoing_http::client().unwrap()));
        assert_eq!(fetcher.execute(HttpRequest::get(&url)).await.unwrap().status_code, 500);
        assert_eq!(fetcher.execute(HttpRequest::get(&url)).await.unwrap().body, b"hi");
        server.await.unwrap(); // the server has stopped
        assert_eq!(fetcher.execute(HttpRequest::get(&url)).await.unwrap().body, b"hi");
        let result = EngineHttpClient::default().execute(HttpRequest::get(&url)).await;
        assert!(result.is_err());
    }
}
