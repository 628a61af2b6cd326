//! A receiver of webhooks that costs little: one thread, keep-alive connections without a library, and
//! the same short answer to every request.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use testbed::wait;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime,
    sync::watch,
    task::JoinSet,
};

use crate::{
    connection::whole,
    session_writer::{label, now},
    spread::float,
};

/// Bytes of a connection's first buffer.
const BUFFER: usize = 4 * 1024;
/// Number of requests that are kept whole.
const SAMPLES: usize = 256;
const TAKEN: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const REJECTED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// The answer to requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answering {
    /// 204 at once.
    Take,
    /// 503 at once.
    Reject,
    /// No answer. The connections close when the receiver answers again.
    Hang,
    /// The receiver ends.
    End,
}

/// An accepted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TakenRequest {
    /// Time at which the request was complete, in nanoseconds since 1970.
    pub(super) at: u64,
    /// Number in the label of the event's session; `None` without such a label, or if labels are not
    /// read.
    pub(super) label: Option<u64>,
}

/// What the receiver has recorded since the last [`Recorder::clear`].
#[derive(Debug, Default)]
struct Recording {
    arrivals: Vec<TakenRequest>,
    /// The first requests, byte for byte.
    samples: Vec<Vec<u8>>,
    /// Connections that are open now, and their maximum.
    open: usize,
    most_open: usize,
    /// Number of accepted connections.
    accepted: usize,
    /// Number of requests that wait for an answer now.
    hanging: usize,
}

/// A running receiver. Dropping the value closes its port and connections.
#[derive(Debug)]
pub(super) struct Recorder {
    /// Address of the listener.
    pub(super) address: SocketAddr,
    recording: Arc<Mutex<Recording>>,
    answering: watch::Sender<Answering>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Starts a receiver that takes every request. Labels cost time and are read only if asked for.
    pub(super) fn start(reads_labels: bool) -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no port")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let recording = Arc::<Mutex<Recording>>::default();
        let (answering, answer) = watch::channel(Answering::Take);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let recorded = Arc::clone(&recording);
        let thread = thread::spawn(move || {
            // The sender reports what goes wrong.
            let _ = runtime.block_on(accept(listener, recorded, answer, reads_labels));
        });
        Ok(Self { address, recording, answering, thread: Some(thread) })
    }

    /// Returns the URL of the receiver.
    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Decides all later answers.
    pub(super) fn answer(&self, answering: Answering) {
        self.answering.send_replace(answering);
    }

    /// Forgets requests and the maximum of connections.
    pub(super) fn clear(&self) {
        let mut recording = lock(&self.recording);
        let (open, hanging) = (recording.open, recording.hanging);
        *recording = Recording { open, most_open: open, hanging, ..Recording::default() };
    }

    /// Returns the number of accepted requests.
    pub(super) fn count(&self) -> usize {
        lock(&self.recording).arrivals.len()
    }

    /// Returns the number of requests that wait for an answer.
    pub(super) fn hanging(&self) -> usize {
        lock(&self.recording).hanging
    }

    /// Returns the maximum number of open connections, and the number of accepted ones.
    pub(super) fn connections(&self) -> (usize, usize) {
        let recording = lock(&self.recording);
        (recording.most_open, recording.accepted)
    }

    /// Waits for this number of accepted requests.
    pub(super) fn until_count(&self, count: usize, patience: Duration) -> Result<()> {
        let all = wait::until_true("all deliveries", patience, || Ok(self.count() >= count));
        all.with_context(|| format!("{} of {count} deliveries", self.count()))
    }

    /// Returns the accepted requests in the order of their arrival.
    pub(super) fn arrivals(&self) -> Vec<TakenRequest> {
        lock(&self.recording).arrivals.clone()
    }

    /// Returns the first requests.
    pub(super) fn samples(&self) -> Vec<Vec<u8>> {
        lock(&self.recording).samples.clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.answer(Answering::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns the accepted requests per second between the first and the last tenth of them; at least
/// ten.
pub(super) fn steady_rate(arrivals: &[TakenRequest]) -> Option<f64> {
    let tenth = arrivals.len() / 10;
    let (first, last) = (arrivals.get(tenth)?, arrivals.get(arrivals.len() - 1 - tenth)?);
    let count = (arrivals.len() - 1 - 2 * tenth) as u64;
    (tenth > 0 && last.at > first.at).then(|| float(count) * 1e9 / float(last.at - first.at))
}

async fn accept(
    listener: std::net::TcpListener,
    recording: Arc<Mutex<Recording>>,
    answer: watch::Receiver<Answering>,
    reads_labels: bool,
) -> Result<()> {
    let mut end = answer.clone();
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                let (recording, answer) = (Arc::clone(&recording), answer.clone());
                connections.spawn(async move {
                    lock(&recording).opened();
                    let _ = serve(stream, &recording, answer, reads_labels).await; // broken by the sender
                    lock(&recording).open -= 1;
                });
            }
            Some(_) = connections.join_next() => {}
            _ = end.wait_for(|answering| *answering == Answering::End) => return Ok(()),
        }
    }
}

/// Answers the requests of a connection until the connection closes.
async fn serve(
    mut stream: TcpStream,
    recording: &Mutex<Recording>,
    mut answer: watch::Receiver<Answering>,
    reads_labels: bool,
) -> Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let length = loop {
            if let Some(length) = whole(&buffer)?.filter(|length| *length <= buffer.len()) {
                break length;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let request: &[u8] = &buffer[..length];
        let answering = *answer.borrow_and_update();
        let response = match answering {
            Answering::Take => {
                lock(recording).record(request, reads_labels);
                TAKEN
            }
            Answering::Reject => REJECTED,
            Answering::Hang => {
                lock(recording).hanging += 1;
                let mut more = [0];
                tokio::select! {
                    _ = answer.changed() => {}
                    _ = stream.read(&mut more) => {}
                }
                lock(recording).hanging -= 1;
                return Ok(());
            }
            Answering::End => return Ok(()),
        };
        stream.write_all(response).await?;
        buffer.drain(..length);
    }
}

impl Recording {
    fn opened(&mut self) {
        self.accepted += 1;
        self.open += 1;
        self.most_open = self.most_open.max(self.open);
    }

    fn record(&mut self, request: &[u8], reads_labels: bool) {
        let label = if reads_labels { label(request) } else { None };
        self.arrivals.push(TakenRequest { at: now(), label });
        if self.samples.len() < SAMPLES {
            self.samples.push(request.to_vec());
        }
    }
}

fn lock(recording: &Mutex<Recording>) -> MutexGuard<'_, Recording> {
    recording.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
    };

    use super::*;
    use crate::connection::Connection;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn post(label: &str) -> Vec<u8> {
        let body = format!(r#"{{"payload":{{"label":"{label}"}}}}"#);
        let length = body.len();
        format!("POST /hook HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn requests_are_answered_and_recorded() {
        let recorder = Recorder::start(true).unwrap();
        let mut connection = Connection::open(recorder.address).unwrap();
        assert_eq!(connection.ask(&post("7xx")).unwrap().status, 204);
        recorder.answer(Answering::Reject);
        assert_eq!(connection.ask(&post("8")).unwrap().status, 503);
        recorder.answer(Answering::Take);
        assert_eq!(connection.ask(&post("none")).unwrap().status, 204);
        recorder.until_count(2, PATIENCE).unwrap();
        let labels: Vec<_> = recorder.arrivals().iter().map(|arrival| arrival.label).collect();
        assert_eq!(labels, [Some(7), None]);
        assert_eq!(recorder.samples(), [post("7xx"), post("none")]);
        assert_eq!(recorder.connections(), (1, 1));
        recorder.clear();
        assert_eq!((recorder.count(), recorder.connections()), (0, (1, 0)));
    }

    #[test]
    fn hanging_requests_end_with_the_next_answer() {
        let recorder = Recorder::start(false).unwrap();
        recorder.answer(Answering::Hang);
        let mut streams: Vec<_> =
            (0..3).map(|_| TcpStream::connect(recorder.address).unwrap()).collect();
        for stream in &mut streams {
            stream.write_all(&post("1")).unwrap();
        }
        let hang = |count| {
            wait::until_true("requests hang", PATIENCE, || Ok(recorder.hanging() == count))
                .unwrap();
        };
        hang(3);
        drop(streams.pop());
        hang(2);
        recorder.answer(Answering::Take);
        hang(0);
        assert_eq!(streams[0].read(&mut [0]).unwrap(), 0);
        assert_eq!(recorder.count(), 0);
    }

    #[test]
    fn rate_leaves_out_the_first_and_the_last_tenth() {
        let arrivals = |times: &[u64]| -> Vec<_> {
            times.iter().map(|at| TakenRequest { at: at * 1_000_000_000, label: None }).collect()
        };
        // A late start and a late end.
        let times = [0, 100, 101, 102, 103, 104, 105, 106, 107, 900];
        assert_eq!(steady_rate(&arrivals(&times)), Some(1.0));
        assert_eq!(steady_rate(&arrivals(&times[..9])), None);
        assert_eq!(steady_rate(&[]), None);
    }
}
