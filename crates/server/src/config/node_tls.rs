//! Checks the settings of TLS between this router and the nodes.

use std::path::PathBuf;

use http_hyper::CertificateFiles;

use super::Gateways;
use crate::{invalid::Invalid, settings};

/// The files of TLS between this router and the nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeTls {
    /// The certificate of the listener for nodes; `None` without TLS.
    pub(crate) certificate: Option<CertificateFiles>,
    /// The authorities that issue the certificates of nodes; `None` for those of the system.
    pub(crate) authorities: Option<PathBuf>,
}

impl NodeTls {
    /// Checks that certificate and key are both given or both absent, and that this router runs no
    /// local gateway, which would not trust the certificate.
    pub(super) fn check(settings: settings::NodeTls, gateways: &Gateways) -> Result<Self, Invalid> {
        let certificate = match (settings.node_tls_cert, settings.node_tls_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(CertificateFiles { certificate: certificate.into(), key: key.into() })
            }
            (None, Some(_)) => return Err(incomplete("node_tls_cert", "node_tls_key")),
            (Some(_), None) => return Err(incomplete("node_tls_key", "node_tls_cert")),
        };
        if certificate.is_some() && matches!(gateways, Gateways::Local(_)) {
            let reason = "this router starts a local gateway, which uses plain HTTP on loopback; set \
                          node_tokens or fleet_secret, or remove the setting";
            return Err(Invalid::setting("node_tls_cert", reason));
        }
        Ok(Self { certificate, authorities: settings.node_tls_ca.map(PathBuf::from) })
    }
}

fn incomplete(missing: &str, given: &str) -> Invalid {
    Invalid::setting(
        missing,
        format!("there is no value, and {given} is given; set both or neither"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{GatewayTokens, LocalGateway};

    fn checked(certificate: Option<&str>, key: Option<&str>, gateways: &Gateways) -> String {
        let settings = settings::NodeTls {
            node_tls_cert: certificate.map(str::to_owned),
            node_tls_key: key.map(str::to_owned),
            node_tls_ca: Some("ca.pem".to_owned()),
        };
        match NodeTls::check(settings, gateways) {
            Ok(of) => format!("{:?} {:?}", of.certificate.is_some(), of.authorities),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn certificate_and_key_are_given_for_remote_gateways_or_not_at_all() {
        let remote = Gateways::Remote(GatewayTokens::default());
        assert_eq!(checked(None, None, &remote), r#"false Some("ca.pem")"#);
        assert_eq!(checked(Some("a"), Some("b"), &remote), r#"true Some("ca.pem")"#);
        let no_key = checked(Some("a"), None, &remote);
        assert!(no_key.contains("the setting node_tls_key is wrong"), "{no_key}");
        let no_certificate = checked(None, Some("b"), &remote);
        assert!(no_certificate.contains("the setting node_tls_cert is wrong"), "{no_certificate}");
        let local =
            Gateways::Local(LocalGateway { program: None, data: "x".into(), whatsapp_url: None });
        assert_eq!(checked(None, None, &local), r#"false Some("ca.pem")"#);
        let refused = checked(Some("a"), Some("b"), &local);
        assert!(refused.contains("local gateway"), "{refused}");
    }
}
