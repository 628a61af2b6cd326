//! The state of a pairing attempt: its QR codes, its pairing code, and its end.
//!
//! Decision: ADR 0007.

use std::time::Duration;

use gateway_protocol::{Attempt, PairingCode, PairingSpec, QrCode, Reason};
use tokio::time::Instant;

/// WhatsApp's usual offer, which applies without other information: six codes, the first for 60 s,
/// the others for 20 s.
const DEFAULT_QR_COUNT: u32 = 6;
const FIRST_QR_LIFETIME: Duration = Duration::from_secs(60);
const NEXT_QR_LIFETIME: Duration = Duration::from_secs(20);
/// The time that a pairing code is valid.
const CODE_LIFETIME: Duration = Duration::from_secs(180);
/// A code request gets a new connection if the QR codes of the present connection end sooner than this.
const MIN_CODE_WINDOW: Duration = Duration::from_secs(120);
/// The number of codes that are replaced without a request after WhatsApp has revoked them.
const MAX_CODE_RENEWALS: u8 = 3;

/// One attempt to link a device, over any number of connections.
pub(crate) struct PairingAttempt {
    pub(crate) attempt: u64,
    qr_count: u32,
    qr: Option<QrCode>,
    qr_window_ends: Option<Instant>,
    qr_codes_exhausted: bool,
    code: Option<PairingCode>,
    code_ends: Option<Instant>,
    requested: Option<u64>,
    renewals: u8,
    code_failure: Option<Reason>,
}

impl PairingAttempt {
    pub(crate) fn new(attempt: u64) -> Self {
        Self {
            attempt,
            qr_count: DEFAULT_QR_COUNT,
            qr: None,
            qr_window_ends: None,
            qr_codes_exhausted: false,
            code: None,
            code_ends: None,
            requested: None,
            renewals: 0,
            code_failure: None,
        }
    }

    /// Restarts the attempt on a new connection.
    pub(crate) fn restart(&mut self) {
        *self = Self { renewals: self.renewals, ..Self::new(self.attempt) };
    }

    /// Starts a series of QR codes of this length.
    pub(crate) fn set_qr_count(&mut self, qr_count: u32) {
        self.qr_count = qr_count.max(1);
        self.qr = None;
        self.qr_codes_exhausted = false;
    }

    /// Sets the current QR code, which expires `lifetime` after `now_ms`.
    pub(crate) fn set_qr(&mut self, text: String, lifetime: Duration, now_ms: i64) {
        let number = match &self.qr {
            // The reference is the same; only the secret in the code changed.
            Some(qr) if reference(&qr.text) == reference(&text) => qr.number,
            Some(qr) => qr.number + 1,
            None => 1,
        };
        self.qr_count = self.qr_count.max(number);
        if number == 1 {
            self.qr_window_ends = Some(Instant::now() + self.qr_window());
        }
        let expires_at = now_ms + millis(lifetime);
        self.qr = Some(QrCode { text, expires_at, number, of: self.qr_count });
    }

    /// Removes the expired last QR code. Returns `true` if the attempt has ended.
    pub(crate) fn on_qr_codes_exhausted(&mut self) -> bool {
        self.qr = None;
        self.qr_codes_exhausted = true;
        self.code.is_none()
    }

    /// Returns the code request to send on this connection, once for each request and only on an open
    /// connection.
    pub(crate) fn take_code_request(&mut self, spec: &PairingSpec) -> Option<(u64, String)> {
        let phone = spec.phone.clone()?;
        let is_open = self.qr.is_some();
        (is_open && self.is_unrequested(spec)).then(|| {
            self.requested = Some(spec.request);
            self.code_failure = None;
            (spec.request, phone)
        })
    }

    /// Returns whether the requested code needs a new connection, because the QR codes of this one
    /// end too soon.
    pub(crate) fn needs_new_connection(&self, spec: &PairingSpec) -> bool {
        // Never more than a new connection offers; otherwise each connection would be replaced by the
        // next.
        let enough = MIN_CODE_WINDOW.min(self.qr_window() * 3 / 4);
        let short = self.qr_window_ends.is_some_and(|end| end < Instant::now() + enough);
        spec.phone.is_some() && self.is_unrequested(spec) && (short || self.qr_codes_exhausted)
    }

    /// Returns the total lifetime of the QR codes of one connection.
    fn qr_window(&self) -> Duration {
        FIRST_QR_LIFETIME + NEXT_QR_LIFETIME * (self.qr_count - 1)
    }

    fn is_unrequested(&self, spec: &PairingSpec) -> bool {
        self.requested.is_none_or(|requested| requested < spec.request)
    }

    /// Returns whether the attempt has a valid pairing code.
    pub(crate) fn has_code(&self) -> bool {
        self.code.is_some()
    }

    /// Sets the code that answers the request.
    pub(crate) fn set_code(&mut self, code: String, request: u64, phone: String, now_ms: i64) {
        if self.requested != Some(request) {
            return; // a newer request replaced this one
        }
        self.code_failure = None;
        self.code_ends = Some(Instant::now() + CODE_LIFETIME);
        self.code =
            Some(PairingCode { code, request, phone, expires_at: now_ms + millis(CODE_LIFETIME) });
    }

    /// Records that the request yielded no code.
    pub(crate) fn on_code_failed(&mut self, request: u64, reason: Reason) {
        if self.requested == Some(request) {
            self.code_failure = Some(reason);
        }
    }

    /// Removes the code. Renews the request if WhatsApp permits and the limit is not reached.
    /// Returns `true` if the attempt has ended.
    pub(crate) fn on_code_expired(&mut self, request_required: bool) -> bool {
        self.code = None;
        self.code_ends = None;
        if !request_required && self.renewals < MAX_CODE_RENEWALS {
            self.renewals += 1;
            self.requested = None; // the same request is sent again
            return false;
        }
        self.qr_codes_exhausted
    }

    /// Returns the end of the pairing code, if the attempt has one.
    pub(crate) fn code_ends(&self) -> Option<Instant> {
        self.code_ends
    }

    /// Returns whether the attempt has a QR code or a pairing code.
    pub(crate) fn is_visible(&self) -> bool {
        self.qr.is_some() || self.code.is_some()
    }

    /// Returns why the last code request failed; the QR codes stay valid.
    pub(crate) fn code_failure(&self) -> Option<Reason> {
        self.code_failure.clone()
    }

    pub(crate) fn snapshot(&self) -> Attempt {
        Attempt { attempt: self.attempt, qr: self.qr.clone(), code: self.code.clone() }
    }
}

fn reference(qr: &str) -> &str {
    qr.split(',').next().unwrap_or_default()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(phone: bool, request: u64) -> PairingSpec {
        PairingSpec { attempt: 1, phone: phone.then(|| "15550001".into()), request }
    }

    #[test]
    fn redrawn_qr_code_is_counted_once() {
        let mut pairing = PairingAttempt::new(1);
        pairing.set_qr_count(3);
        pairing.set_qr("2@a,n,i,s,1".into(), FIRST_QR_LIFETIME, 0);
        pairing.set_qr("2@a,n,i,other,1".into(), FIRST_QR_LIFETIME, 0);
        pairing.set_qr("2@b,n,i,s,1".into(), NEXT_QR_LIFETIME, 1_000);
        let qr = pairing.snapshot().qr.unwrap();
        assert_eq!((qr.number, qr.of, qr.expires_at), (2, 3, 21_000));
        assert!(pairing.on_qr_codes_exhausted());
    }

    #[test]
    fn code_is_requested_once_and_only_on_an_open_connection() {
        let mut pairing = PairingAttempt::new(1);
        assert_eq!(pairing.take_code_request(&spec(true, 5)), None);
        pairing.set_qr("2@a".into(), FIRST_QR_LIFETIME, 0);
        assert_eq!(pairing.take_code_request(&spec(false, 5)), None);
        assert_eq!(pairing.take_code_request(&spec(true, 5)), Some((5, "15550001".into())));
        assert_eq!(pairing.take_code_request(&spec(true, 5)), None);
        assert_eq!(pairing.take_code_request(&spec(true, 4)), None);
        assert!(pairing.take_code_request(&spec(true, 6)).is_some());
        pairing.set_code("OLDOLDOL".into(), 5, "15550001".into(), 0);
        assert!(!pairing.has_code(), "an answer to an outdated request");
    }

    #[test]
    fn late_code_request_needs_a_new_connection() {
        let mut pairing = PairingAttempt::new(1);
        pairing.set_qr("2@a".into(), FIRST_QR_LIFETIME, 0);
        assert!(!pairing.needs_new_connection(&spec(true, 5)));
        pairing.qr_window_ends = pairing.qr_window_ends.map(|end| end - Duration::from_secs(41));
        assert!(pairing.needs_new_connection(&spec(true, 5)));
        assert!(!pairing.needs_new_connection(&spec(false, 5)));
        assert!(pairing.take_code_request(&spec(true, 5)).is_some());
        assert!(!pairing.needs_new_connection(&spec(true, 5)), "already requested");
    }

    #[test]
    fn few_qr_codes_cause_no_endless_new_connections() {
        let mut pairing = PairingAttempt::new(1);
        pairing.set_qr_count(1);
        pairing.set_qr("2@a".into(), FIRST_QR_LIFETIME, 0);
        assert!(!pairing.needs_new_connection(&spec(true, 5)));
    }

    #[test]
    fn attempt_continues_while_a_code_outlives_the_qr_codes() {
        let mut pairing = PairingAttempt::new(1);
        pairing.set_qr("2@a".into(), FIRST_QR_LIFETIME, 0);
        let (request, phone) = pairing.take_code_request(&spec(true, 1)).unwrap();
        pairing.set_code("ABCD1234".into(), request, phone, 0);
        assert!(!pairing.on_qr_codes_exhausted());
        assert!(pairing.is_visible());
        assert!(pairing.on_code_expired(true));
    }

    #[test]
    fn revoked_code_is_renewed_a_limited_number_of_times() {
        let mut pairing = PairingAttempt::new(1);
        pairing.set_qr("2@a".into(), FIRST_QR_LIFETIME, 0);
        for _ in 0..MAX_CODE_RENEWALS {
            assert!(pairing.take_code_request(&spec(true, 1)).is_some());
            pairing.on_code_expired(false);
        }
        assert!(pairing.take_code_request(&spec(true, 1)).is_some());
        pairing.on_code_expired(false);
        assert_eq!(pairing.take_code_request(&spec(true, 1)), None);
    }
}
