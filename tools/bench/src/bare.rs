//! The reference of every answer: hyper alone, which returns the same bytes to every request.
//!
//! The reference runs in a process of its own with the same runtime and number of threads as berth.
//! Nothing built on hyper answers faster, so the difference is the cost of berth.

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    process::{Command, ExitCode},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response,
    header::{HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use testbed::{client::Api, http::Reply, ports, process::Process, wait};
use tokio::{net::TcpListener, runtime, time::timeout};

use crate::{Setup, options::BenchBare};

/// Lifetime of a server whose parent has died.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
const READY: Duration = Duration::from_secs(10);
/// Headers that hyper adds to every answer.
const BY_HYPER: [&str; 4] = ["connection", "content-length", "date", "transfer-encoding"];

/// A running reference server.
#[derive(Debug)]
pub(crate) struct Bare {
    process: Process,
    /// Address of the listener.
    pub(crate) address: SocketAddr,
}

impl Bare {
    /// Starts a server whose answers equal `reply` except for the time and the request id.
    pub(crate) fn start(setup: &Setup, reply: &Reply) -> Result<Self> {
        let answer = setup.scratch.path().join("answer.json");
        fs::write(&answer, written(reply)?.to_string())?;
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare", "--listen", &address.to_string(), "--answer"]).arg(&answer);
        let log = setup.scratch.path().join("bare.log");
        let mut process = Process::spawn("the bare server", &mut command, Some(&log))?;
        let api = Api::new(&format!("http://{address}"), None);
        let answered = wait::until("the bare server answers", READY, || {
            process.must_run()?;
            api.send_raw("GET", "/", &[], None).map(Some)
        })?;
        ensure!(
            sorted(&answered) == sorted(reply),
            "the answer is {answered:?} instead of {reply:?}"
        );
        Ok(Self { process, address })
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

fn sorted(reply: &Reply) -> (Vec<&str>, &[u8]) {
    let (mut head, body) = reply.stable_parts();
    head.sort_unstable();
    (head, body)
}

/// Returns an answer in the form that the server process reads.
fn written(reply: &Reply) -> Result<Value> {
    let headers = reply.head.iter().skip(1).filter_map(|line| line.split_once(": "));
    let headers = headers.filter(|(name, _)| !BY_HYPER.contains(name));
    Ok(json!({
        "headers": headers.collect::<Vec<_>>(),
        "body": std::str::from_utf8(&reply.body).context("the answer is not text")?,
    }))
}

/// Serves until the process is ended.
pub(crate) fn run(asked: &BenchBare) -> Result<ExitCode> {
    let answer: Value = serde_json::from_slice(&fs::read(&asked.answer)?)?;
    let answer = Arc::new(Answer::read(&answer).context("not an answer")?);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async { timeout(LIFETIME, serve(asked.listen, answer)).await });
    served.unwrap_or(Ok(ExitCode::SUCCESS))
}

struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn read(written: &Value) -> Option<Self> {
        let mut headers = HeaderMap::new();
        for header in written["headers"].as_array()? {
            let name = HeaderName::try_from(header[0].as_str()?).ok()?;
            headers.append(name, HeaderValue::try_from(header[1].as_str()?).ok()?);
        }
        Some(Self { headers, body: Bytes::from(written["body"].as_str()?.to_owned()) })
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body.clone()));
        *response.headers_mut() = self.headers.clone();
        response
    }
}

async fn serve(address: SocketAddr, answer: Arc<Answer>) -> Result<ExitCode> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        let service = service_fn(move |_| {
            let response = answer.response();
            async move { Ok::<_, Infallible>(response) }
        });
        // The load reports broken connections.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_answer_lacks_headers_of_hyper() {
        let head = ["HTTP/1.1 200 OK", "x-a: 1", "date: now", "content-length: 2", "x-a: 2"];
        let head = head.map(str::to_owned).to_vec();
        let reply = Reply { status: 200, head, body: b"{}".to_vec() };
        let answer = Answer::read(&written(&reply).unwrap()).unwrap();
        assert_eq!(answer.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((answer.headers.len(), &answer.body[..]), (2, &b"{}"[..]));
    }
}
