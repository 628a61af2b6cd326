//! The errors of a client.

use std::{io, time::Duration};

use hyper::StatusCode;
use rustls::{CertificateError, InvalidMessage};

/// Boxed error of a lower layer, for the log.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Failure of an exchange.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The deadline passed before the response was complete. The server may have received the request.
    #[error("no complete response within {0:?}")]
    DeadlineExceeded(Duration),
    /// The response body exceeds [`Limits::response_bytes`](crate::Limits).
    #[error("response body exceeds {0} bytes")]
    ResponseTooLong(usize),
    /// The status is not 2xx. Only [`HttpClient::fetch`](crate::HttpClient::fetch) fails with this error.
    #[error("response status {0}")]
    Status(StatusCode),
    /// The certificate of the server is not trusted, for this reason. No byte of the request was sent.
    #[error("the certificate of the server is not trusted: {0}")]
    UntrustedCertificate(String),
    /// The server of an `https://` address does not speak TLS. No byte of the request was sent.
    #[error("the server does not speak TLS: the URL may have to begin with http://")]
    NoTls,
    /// There was no connection, or its TLS handshake failed. No byte of the request was sent.
    #[error("no connection")]
    Connect(#[source] BoxError),
    /// The transfer failed. The server may have received the request.
    #[error("the exchange failed")]
    Transport(#[source] BoxError),
}

impl ClientError {
    /// Returns the error for a failure below, which names a certificate that is not trusted.
    pub(crate) fn of_exchange(error: hyper_util::client::legacy::Error) -> Self {
        match tls_error(&error) {
            Some(rustls::Error::InvalidCertificate(why)) => Self::UntrustedCertificate(reason(why)),
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::NoTls,
            _ if error.is_connect() => Self::Connect(error.into()),
            _ => Self::Transport(error.into()),
        }
    }
}

/// Returns the error of TLS among the causes of an error.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        // The source of an I/O error is not the error inside of it, but the source of that error.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn reason(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "its issuer is none of the trusted authorities".to_owned()
        }
        CertificateError::BadSignature => {
            "a signature is wrong; another authority may have the name of a trusted one".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it does not name the host of the URL ({why})")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("it has expired ({why})")
        }
        other => other.to_string(),
    }
}

/// TLS cannot be configured.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be configured")]
pub struct TlsError(#[from] rustls::Error);
