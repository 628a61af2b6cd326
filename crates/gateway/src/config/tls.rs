//! The settings of TLS between the node and its routers, and the files that they name.

use std::path::PathBuf;

use http_client::{RootCertStore, roots_in_file};
use http_listener::{CertificateFault, CertificateFiles, ListenerTls};
use hyper::Uri;
use program_settings::parse;

use super::InvalidSetting;

const CERTIFICATE: &str = "--tls-cert (BERTH_GATEWAY_TLS_CERT)";
const KEY: &str = "--tls-key (BERTH_GATEWAY_TLS_KEY)";
const AUTHORITIES: &str = "--tls-ca (BERTH_NODE_TLS_CA)";

/// The settings of TLS as they are given.
#[derive(Debug, clap::Args)]
pub struct TlsArgs {
    /// The PEM file with the certificate chain of the listener, which then speaks TLS. The file may
    /// be replaced at any time.
    #[arg(long, env = "BERTH_GATEWAY_TLS_CERT", value_name = "PATH", value_parser = parse::<PathBuf>)]
    pub tls_cert: Option<PathBuf>,
    /// The PEM file with the private key of that certificate.
    #[arg(long, env = "BERTH_GATEWAY_TLS_KEY", value_name = "PATH", value_parser = parse::<PathBuf>)]
    pub tls_key: Option<PathBuf>,
    /// The PEM file with the authorities that issue the certificates of routers, in place of the
    /// authorities of the system.
    #[arg(long, env = "BERTH_NODE_TLS_CA", value_name = "PATH", value_parser = parse::<PathBuf>)]
    pub tls_ca: Option<PathBuf>,
}

/// The checked settings of TLS; by default plain HTTP on the listener, and the authorities of the
/// system.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// The certificate of the listener; `None` for plain HTTP.
    pub certificate: Option<CertificateFiles>,
    /// The authorities of routers; `None` for those of the system.
    pub authorities: Option<PathBuf>,
}

impl TlsArgs {
    /// Checks that certificate and key are both given or both absent.
    pub(super) fn check(self) -> Result<TlsSettings, InvalidSetting> {
        let certificate = match (self.tls_cert, self.tls_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
            (None, Some(_)) => return Err(incomplete(CERTIFICATE, KEY)),
            (Some(_), None) => return Err(incomplete(KEY, CERTIFICATE)),
        };
        Ok(TlsSettings { certificate, authorities: self.tls_ca })
    }
}

impl TlsSettings {
    /// Returns the scheme of URLs of the listener.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.certificate.is_some() { "https" } else { "http" }
    }

    /// Returns TLS of the listener; `None` for plain HTTP.
    ///
    /// # Errors
    /// Names the setting of a file that cannot be used.
    pub(crate) fn listener(&self) -> Result<Option<ListenerTls>, InvalidSetting> {
        let tls = self.certificate.clone().map(ListenerTls::new).transpose();
        tls.map_err(|fault| invalid(&fault))
    }

    /// Returns the authorities of routers in place of those of the system.
    ///
    /// # Errors
    /// Names the setting of a file that cannot be used.
    pub(crate) fn authorities(&self) -> Result<Option<RootCertStore>, InvalidSetting> {
        let roots = self.authorities.as_deref().map(roots_in_file).transpose();
        roots.map_err(|error| InvalidSetting(format!("{AUTHORITIES}: {error}")))
    }
}

/// Returns the error of a file, with the name of its setting.
pub(crate) fn invalid(fault: &CertificateFault) -> InvalidSetting {
    let setting = match fault {
        CertificateFault::Certificate(_) => CERTIFICATE,
        CertificateFault::Key(_) => KEY,
    };
    InvalidSetting(format!("{setting}: {fault}"))
}

fn incomplete(missing: &str, given: &str) -> InvalidSetting {
    InvalidSetting(format!(
        "{missing} must be given, because {given} is given: set both or neither"
    ))
}

/// Returns the host of a URL, without brackets around an IPv6 address.
pub(crate) fn host(url: &str) -> String {
    let uri: Uri = url.parse().unwrap_or_default();
    uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(certificate: Option<&str>, key: Option<&str>) -> Result<TlsSettings, String> {
        let [tls_cert, tls_key] = [certificate, key].map(|path| path.map(PathBuf::from));
        TlsArgs { tls_cert, tls_key, tls_ca: None }.check().map_err(|error| error.to_string())
    }

    #[test]
    fn certificate_and_key_are_given_both_or_not_at_all() {
        assert_eq!(checked(None, None).unwrap().scheme(), "http");
        assert_eq!(checked(Some("a"), Some("b")).unwrap().scheme(), "https");
        assert!(checked(Some("a"), None).unwrap_err().starts_with(KEY));
        assert!(checked(None, Some("b")).unwrap_err().starts_with(CERTIFICATE));
    }

    #[test]
    fn host_of_a_url_has_no_brackets_and_no_port() {
        assert_eq!(host("https://gw-1.internal:9000"), "gw-1.internal");
        assert_eq!(host("https://[::1]:9000"), "::1");
        assert_eq!(host("?"), "");
    }
}
