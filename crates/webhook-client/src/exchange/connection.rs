//! An HTTP/1.1 connection to a receiver.

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use domain::OutcomeClass;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    address::Verdict,
    connect::{Ends, Established, Fault, Meter},
    failure::Failure,
};

/// The maximum number of headers of a response.
const MAX_HEADERS: usize = 100;
/// The maximum length of a response head, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// The length of hyper's buffer, in bytes: a head that does not fit is rejected.
const BUFFER: usize = 32 << 10;
/// The length of everything that one response may have beside its body, in bytes: interim
/// responses, the head, the framing of the body, and the buffer that hyper fills ahead.
const OVERHEAD: usize = 64 << 10;

/// A connection that carries one request at a time. Dropping the connection closes the socket at
/// once.
pub(super) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    meter: Arc<Meter>,
    ends: Ends,
    verdict: Verdict,
    driver: AbortOnDropHandle<hyper::Result<()>>,
}

/// The failure of an exchange on a connection.
pub(super) struct ExchangeFailure {
    pub(super) failure: Failure,
    /// Whether a byte of the request may have left.
    pub(super) sent: bool,
}

impl Connection {
    pub(super) async fn new(established: Established) -> Result<Self, Failure> {
        let Established { stream, ends, verdict } = established;
        let meter = stream.meter();
        let mut builder = Builder::new();
        builder.max_headers(MAX_HEADERS).max_header_size(MAX_HEAD).max_buf_size(BUFFER);
        let (requests, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|error| classify(&error))?;
        let driver = AbortOnDropHandle::new(tokio::spawn(connection));
        Ok(Self { requests, meter, ends, verdict, driver })
    }

    pub(super) fn ends(&self) -> Ends {
        self.ends
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Returns whether the connection can carry a request, as far as is known here.
    pub(super) fn is_ready(&self) -> bool {
        self.requests.is_ready()
    }

    /// Sends the request and returns the response when its head is complete. The body may have
    /// about `body_bytes`; whoever reads more gets an error.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        body_bytes: usize,
    ) -> Result<Response<Incoming>, ExchangeFailure> {
        self.meter.start(OVERHEAD + body_bytes);
        let failure = match self.requests.send_request(request).await {
            Ok(response) => return Ok(response),
            // The connection ended before it took the request, and knows why.
            Err(error) if error.is_canceled() => match (&mut self.driver).await {
                Ok(Err(cause)) => classify(&cause),
                Ok(Ok(())) | Err(_) => classify(&error),
            },
            Err(error) => classify(&error),
        };
        Err(ExchangeFailure { failure, sent: self.meter.has_sent() })
    }

    /// Waits until the connection can carry the next request, after the body of the response has
    /// ended. Returns whether it can.
    pub(super) async fn finish(&mut self) -> bool {
        let ready = self.requests.ready().await.is_ok();
        self.meter.finish();
        ready
    }
}

/// Returns the failure for an error of hyper.
fn classify(error: &hyper::Error) -> Failure {
    let class = if let Some(fault) = source::<Fault>(error) {
        return Failure::new(OutcomeClass::Malformed, fault.to_string());
    } else if source::<rustls::Error>(error).is_some() {
        OutcomeClass::Tls
    } else if error.is_parse() {
        OutcomeClass::Malformed
    } else {
        OutcomeClass::Reset
    };
    let (mut cause, mut next) = (error.to_string(), error.source());
    while let Some(error) = next {
        cause = format!("{cause}: {error}");
        next = error.source();
    }
    Failure::new(class, cause)
}

/// Returns the first cause of the type, also inside I/O errors.
fn source<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let io = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match io {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
