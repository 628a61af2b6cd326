//! The engine's HTTP client, for WhatsApp's web page and for the phone's history.

use std::time::Duration;

use http_client::HttpClient;
use hyper::Request;
use tokio::{sync::Semaphore, time::Instant};
use wacore::net::{HttpRequest, HttpResponse};

use crate::outgoing_http::{DOWNLOAD_TIMEOUT, OutgoingClients, REQUEST_TIMEOUT};

/// The page with the current version of WhatsApp Web.
const VERSION_PAGE: &str = "https://web.whatsapp.com/sw.js";
/// TTL of a cached page.
const PAGE_TTL: Duration = Duration::from_secs(600);
/// Downloads of all sessions at the same time. A phone offers about ten parts of its history after
/// the link, each of about a megabyte, which the engine holds in memory while it reads them.
const MAX_DOWNLOADS: usize = 2;

/// The HTTP client of the engine, which fetches the current version of WhatsApp Web for linking, and
/// the history of a phone after it. Every session requests the version, so that one cached answer
/// serves all sessions; an expired page is used if no new one can be fetched. Without clients, as on
/// the simulator, every request fails.
#[derive(Debug)]
pub(crate) struct EngineHttpClient {
    clients: Option<OutgoingClients>,
    cached: tokio::sync::Mutex<Option<CachedPage>>,
    downloads: Semaphore,
    /// The address of the page that is cached; differs in tests only.
    version_page: String,
}

#[derive(Debug)]
struct CachedPage {
    url: String,
    at: Instant,
    page: HttpResponse,
}

impl EngineHttpClient {
    pub(crate) fn new(clients: Option<OutgoingClients>) -> Self {
        Self {
            clients,
            cached: tokio::sync::Mutex::default(),
            downloads: Semaphore::new(MAX_DOWNLOADS),
            version_page: VERSION_PAGE.to_owned(),
        }
    }

    async fn fetch(
        client: &HttpClient,
        request: HttpRequest,
        timeout: Duration,
    ) -> anyhow::Result<HttpResponse> {
        let mut outgoing = Request::builder().method(request.method.as_str()).uri(&request.url);
        for (name, value) in &request.headers {
            outgoing = outgoing.header(name, value);
        }
        let outgoing = outgoing.body(request.body.unwrap_or_default())?;
        let response = client.send(outgoing, timeout).await?;
        Ok(HttpResponse {
            status_code: response.status().as_u16(),
            body: response.into_body().to_vec(),
        })
    }
}

#[async_trait::async_trait]
impl wacore::net::HttpClient for EngineHttpClient {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let Some(clients) = &self.clients else {
            anyhow::bail!("a simulator build fetches no pages")
        };
        if request.method != "GET" || request.url != self.version_page {
            let _permit = self.downloads.acquire().await?;
            return Self::fetch(&clients.downloads, request, DOWNLOAD_TIMEOUT).await;
        }
        let mut cached = self.cached.lock().await; // concurrent requests wait for the first one
        let hit = cached.as_ref().filter(|cached| cached.url == request.url);
        if let Some(hit) = hit.filter(|cached| cached.at.elapsed() < PAGE_TTL) {
            return Ok(hit.page.clone());
        }
        let url = request.url.clone();
        let fetched = Self::fetch(&clients.calls, request, REQUEST_TIMEOUT).await;
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
        let mut fetcher = EngineHttpClient::new(Some(outgoing_http::clients().unwrap()));
        fetcher.version_page.clone_from(&url);
        assert_eq!(fetcher.execute(HttpRequest::get(&url)).await.unwrap().status_code, 500);
        assert_eq!(fetcher.execute(HttpRequest::get(&url)).await.unwrap().body, b"hi");
        server.await.unwrap(); // the server has stopped
        assert_eq!(fetcher.execute(HttpRequest::get(&url)).await.unwrap().body, b"hi");
        let other = format!("{url}?another");
        let uncached = fetcher.execute(HttpRequest::get(&other)).await;
        assert!(uncached.is_err(), "only the page with the version is cached");
        let result = EngineHttpClient::new(None).execute(HttpRequest::get(&url)).await;
        assert!(result.is_err());
    }
}
