//! Checks of TLS between this router and the nodes.

use self_check::{CertificateFacts, Report, certificate};

use crate::{config::NodeTls, node_tls};

const CHECK: &str = "node_tls";

/// Checks the certificate of the listener for nodes, and the authorities of nodes.
pub(super) fn check(report: &mut Report, settings: &NodeTls) {
    if let Some(files) = &settings.certificate {
        let read = files.read().map(|of| CertificateFacts {
            expires_at: of.expires_at(),
            days_left: of.days_left(),
            is_rejected: of.is_rejected_now(),
            notice: of.expiry_notice(),
        });
        let read = read.map_err(|fault| node_tls::invalid(fault).to_string());
        certificate(report, CHECK, &files.key, read);
    }
    match node_tls::authorities(settings) {
        Ok(None) => {}
        Ok(Some(roots)) => {
            report.ok(CHECK, format!("{} authorities of nodes are trusted", roots.len()));
        }
        Err(error) => report.fault(CHECK, error.to_string()),
    }
}
