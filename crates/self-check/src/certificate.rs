//! The certificate of a listener.

use std::path::Path;

use crate::{folder::secret_file, report::Report};

/// The facts of a certificate that can be read and belongs to its key.
#[derive(Clone, Debug)]
pub struct CertificateFacts {
    /// The time of expiry.
    pub expires_at: String,
    /// The number of days until then.
    pub days_left: i64,
    /// Whether the certificate has expired or is not valid yet.
    pub is_rejected: bool,
    /// A sentence on an expiry that is near or has passed.
    pub notice: Option<String>,
}

/// Checks that a certificate can be used, is valid for some time, and that only the owner can read
/// its key.
pub fn certificate(
    report: &mut Report,
    check: &'static str,
    key: &Path,
    outcome: Result<CertificateFacts, String>,
) {
    match outcome {
        Err(error) => report.fault(check, error),
        Ok(CertificateFacts { notice: Some(notice), is_rejected, .. }) => {
            let message = format!("{notice}; replace the files, which needs no restart");
            if is_rejected { report.fault(check, message) } else { report.warn(check, message) }
        }
        Ok(CertificateFacts { expires_at, days_left, .. }) => {
            report.ok(
                check,
                format!("the certificate is valid for {days_left} days, until {expires_at}"),
            );
        }
    }
    if key.exists() {
        secret_file(report, check, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Level;

    #[test]
    fn expiry_is_a_warning_before_and_a_fault_after() {
        let level = |notice: Option<&str>, is_rejected| {
            let mut report = Report::default();
            let notice = notice.map(str::to_owned);
            let facts =
                CertificateFacts { expires_at: "t".into(), days_left: 1, is_rejected, notice };
            certificate(&mut report, "tls", Path::new("/nowhere/key"), Ok(facts));
            report.level()
        };
        assert_eq!(level(None, false), Level::Ok);
        assert_eq!(level(Some("soon"), false), Level::Warning);
        assert_eq!(level(Some("expired"), true), Level::Fault);
        let mut report = Report::default();
        certificate(&mut report, "tls", Path::new("/nowhere/key"), Err("no key".into()));
        assert_eq!(report.level(), Level::Fault);
    }
}
