//! A pairing attempt as it goes: its QR codes, its pairing code, and when it is over.
//!
//! Decision: ADR 0007.

use std::time::Duration;

use gateway_protocol::{Attempt, PairingCode, PairingWanted, QrCode, Reason};
use tokio::time::Instant;

/// What WhatsApp gives when it does not say: six codes, the first for a minute, the others for 20 s.
const USUAL_OFFER: u32 = 6;
const FIRST_QR: Duration = Duration::from_secs(60);
const NEXT_QR: Duration = Duration::from_secs(20);
/// How long a pairing code works.
const CODE_LIFE: Duration = Duration::from_secs(180);
/// A code made on a socket whose QR codes end sooner than this gets a fresh socket instead.
const WINDOW_FOR_A_CODE: Duration = Duration::from_secs(120);
/// How often a code that WhatsApp takes back is replaced unasked.
const RENEWALS: u8 = 3;

/// One attempt at linking, over as many sockets as it takes.
pub(crate) struct Pairing {
    pub(crate) attempt: u64,
    of: u32,
    qr: Option<QrCode>,
    window_ends: Option<Instant>,
    qrs_over: bool,
    code: Option<PairingCode>,
    code_ends: Option<Instant>,
    asked: Option<u64>,
    renewals: u8,
    trouble: Option<Reason>,
}

impl Pairing {
    pub(crate) fn new(attempt: u64) -> Self {
        Self {
            attempt,
            of: USUAL_OFFER,
            qr: None,
            window_ends: None,
            qrs_over: false,
            code: None,
            code_ends: None,
            asked: None,
            renewals: 0,
            trouble: None,
        }
    }

    /// Starts over on a fresh socket.
    pub(crate) fn again(&mut self) {
        *self = Self { renewals: self.renewals, ..Self::new(self.attempt) };
    }

    /// WhatsApp offers this many QR codes.
    pub(crate) fn offered(&mut self, of: u32) {
        self.of = of.max(1);
        self.qr = None;
        self.qrs_over = false;
    }

    /// The QR code of the moment.
    pub(crate) fn show_qr(&mut self, text: String, lasts: Duration, now: i64) {
        let number = match &self.qr {
            // The same reference drawn again, because the secret beside it changed.
            Some(qr) if reference(&qr.text) == reference(&text) => qr.number,
            Some(qr) => qr.number + 1,
            None => 1,
        };
        self.of = self.of.max(number);
        if number == 1 {
            self.window_ends = Some(Instant::now() + self.window());
        }
        let expires_at = now + millis(lasts);
        self.qr = Some(QrCode { text, expires_at, number, of: self.of });
    }

    /// There are no more QR codes. `true` when that is the end of the attempt.
    pub(crate) fn qrs_over(&mut self) -> bool {
        self.qr = None;
        self.qrs_over = true;
        self.code.is_none()
    }

    /// The request for a pairing code to make now on this socket; a socket must be open for it.
    pub(crate) fn code_to_ask(&mut self, wanted: &PairingWanted) -> Option<(u64, String)> {
        let phone = wanted.phone.clone()?;
        let socket_is_open = self.qr.is_some();
        (socket_is_open && self.is_unasked(wanted)).then(|| {
            self.asked = Some(wanted.request);
            self.trouble = None;
            (wanted.request, phone)
        })
    }

    /// Whether the code that is wanted would outlive this socket by much.
    pub(crate) fn needs_fresh_socket(&self, wanted: &PairingWanted) -> bool {
        // Never more than a fresh socket has, or there would be no end of fresh sockets.
        let enough = WINDOW_FOR_A_CODE.min(self.window() * 3 / 4);
        let short = self.window_ends.is_some_and(|end| end < Instant::now() + enough);
        wanted.phone.is_some() && self.is_unasked(wanted) && (short || self.qrs_over)
    }

    /// How long the QR codes of one socket last together.
    fn window(&self) -> Duration {
        FIRST_QR + NEXT_QR * (self.of - 1)
    }

    fn is_unasked(&self, wanted: &PairingWanted) -> bool {
        self.asked.is_none_or(|asked| asked < wanted.request)
    }

    /// Whether an earlier code is still about, which the engine must be told to drop.
    pub(crate) fn has_code(&self) -> bool {
        self.code.is_some()
    }

    /// The code that was asked for.
    pub(crate) fn show_code(&mut self, code: String, request: u64, phone: String, now: i64) {
        if self.asked != Some(request) {
            return; // overtaken by a newer request
        }
        self.trouble = None;
        self.code_ends = Some(Instant::now() + CODE_LIFE);
        self.code = Some(PairingCode { code, request, phone, expires_at: now + millis(CODE_LIFE) });
    }

    /// No code came of the request.
    pub(crate) fn code_refused(&mut self, request: u64, reason: Reason) {
        if self.asked == Some(request) {
            self.trouble = Some(reason);
        }
    }

    /// The code does not work any more. `true` when that is the end of the attempt.
    pub(crate) fn code_over(&mut self, ask_anew: bool) -> bool {
        self.code = None;
        self.code_ends = None;
        if !ask_anew && self.renewals < RENEWALS {
            self.renewals += 1;
            self.asked = None; // the same request is made again
            return false;
        }
        self.qrs_over
    }

    /// When the code ends, if there is one.
    pub(crate) fn code_ends(&self) -> Option<Instant> {
        self.code_ends
    }

    /// Whether there is anything to scan or type.
    pub(crate) fn is_visible(&self) -> bool {
        self.qr.is_some() || self.code.is_some()
    }

    /// What went wrong with the pairing code, while the QR codes go on.
    pub(crate) fn trouble(&self) -> Option<Reason> {
        self.trouble.clone()
    }

    pub(crate) fn view(&self) -> Attempt {
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

    fn wanted(phone: bool, request: u64) -> PairingWanted {
        PairingWanted { attempt: 1, phone: phone.then(|| "15550001".into()), request }
    }

    #[test]
    fn qr_codes_are_counted_and_a_redrawn_one_is_not_counted_twice() {
        let mut pairing = Pairing::new(1);
        pairing.offered(3);
        pairing.show_qr("2@a,n,i,s,1".into(), FIRST_QR, 0);
        pairing.show_qr("2@a,n,i,other,1".into(), FIRST_QR, 0);
        pairing.show_qr("2@b,n,i,s,1".into(), NEXT_QR, 1_000);
        let qr = pairing.view().qr.unwrap();
        assert_eq!((qr.number, qr.of, qr.expires_at), (2, 3, 21_000));
        assert!(pairing.qrs_over());
    }

    #[test]
    fn a_code_is_asked_once_per_request_and_only_on_an_open_socket() {
        let mut pairing = Pairing::new(1);
        assert_eq!(pairing.code_to_ask(&wanted(true, 5)), None);
        pairing.show_qr("2@a".into(), FIRST_QR, 0);
        assert_eq!(pairing.code_to_ask(&wanted(false, 5)), None);
        assert_eq!(pairing.code_to_ask(&wanted(true, 5)), Some((5, "15550001".into())));
        assert_eq!(pairing.code_to_ask(&wanted(true, 5)), None);
        assert_eq!(pairing.code_to_ask(&wanted(true, 4)), None);
        assert!(pairing.code_to_ask(&wanted(true, 6)).is_some());
        pairing.show_code("OLDOLDOL".into(), 5, "15550001".into(), 0);
        assert!(!pairing.has_code(), "an answer to an overtaken request");
    }

    #[test]
    fn a_code_asked_for_late_gets_a_fresh_socket() {
        let mut pairing = Pairing::new(1);
        pairing.show_qr("2@a".into(), FIRST_QR, 0);
        assert!(!pairing.needs_fresh_socket(&wanted(true, 5)));
        pairing.window_ends = pairing.window_ends.map(|end| end - Duration::from_secs(41));
        assert!(pairing.needs_fresh_socket(&wanted(true, 5)));
        assert!(!pairing.needs_fresh_socket(&wanted(false, 5)));
        assert!(pairing.code_to_ask(&wanted(true, 5)).is_some());
        assert!(!pairing.needs_fresh_socket(&wanted(true, 5)), "asked already");
    }

    #[test]
    fn few_codes_do_not_make_for_ever_fresh_sockets() {
        let mut pairing = Pairing::new(1);
        pairing.offered(1);
        pairing.show_qr("2@a".into(), FIRST_QR, 0);
        assert!(!pairing.needs_fresh_socket(&wanted(true, 5)));
    }

    #[test]
    fn the_attempt_goes_on_while_a_code_outlives_the_qr_codes() {
        let mut pairing = Pairing::new(1);
        pairing.show_qr("2@a".into(), FIRST_QR, 0);
        let (request, phone) = pairing.code_to_ask(&wanted(true, 1)).unwrap();
        pairing.show_code("ABCD1234".into(), request, phone, 0);
        assert!(!pairing.qrs_over());
        assert!(pairing.is_visible());
        assert!(pairing.code_over(true));
    }

    #[test]
    fn a_code_taken_back_is_replaced_but_not_for_ever() {
        let mut pairing = Pairing::new(1);
        pairing.show_qr("2@a".into(), FIRST_QR, 0);
        for _ in 0..RENEWALS {
            assert!(pairing.code_to_ask(&wanted(true, 1)).is_some());
            pairing.code_over(false);
        }
        assert!(pairing.code_to_ask(&wanted(true, 1)).is_some());
        pairing.code_over(false);
        assert_eq!(pairing.code_to_ask(&wanted(true, 1)), None);
    }
}
