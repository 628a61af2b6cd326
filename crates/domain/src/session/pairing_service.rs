//! Use cases of pairing: QR codes and pairing codes.
//!
//! Decision: ADR 0007.

use std::time::Duration;

use crate::{
    access::Scope,
    caller::{Caller, Capability},
    error::{Error, Result},
    ports::notify::Topic,
    session::{
        model::Session,
        pairing::{PairingCode, Phone, QrCode},
        service::Sessions,
    },
    time::Timestamp,
    violation::{FieldPath, Violation},
};

/// Maximum time that a request waits for its pairing code.
const PAIRING_CODE_WAIT: Duration = Duration::from_secs(20);

impl Sessions {
    /// Returns the current QR code. Begins a pairing attempt if none is in progress, and waits up
    /// to `wait` for a code.
    ///
    /// # Errors
    /// [`Error::NotYet`] if no code comes in time, [`Error::PairingEnded`], a conflict if the
    /// session is paired or an unlink is in progress, [`Error::RateLimited`], and errors of access
    /// and store.
    pub async fn qr(&self, caller: &Caller, id: &str, wait: Duration) -> Result<QrCode> {
        let scope = caller.may(Capability::Manage)?;
        let session = self.pair(&scope, id, None).await?;
        self.qr_of(&scope, session, wait).await
    }

    /// Returns the QR code of a session that pairs. Waits up to `wait` for a code.
    pub(crate) async fn qr_of(
        &self,
        scope: &Scope,
        session: Session,
        wait: Duration,
    ) -> Result<QrCode> {
        let code = self.wait_for(scope, session, wait, Session::live_qr).await?;
        let retry_after = Duration::from_secs(2);
        code.ok_or(Error::NotYet { noun: "QR code", retry_after })
    }

    /// Returns a pairing code for this phone. Begins a pairing attempt if none is in progress, and
    /// waits up to 20 s for the code.
    ///
    /// # Errors
    /// [`Error::Validation`] for an invalid phone, [`Error::NoPairingCode`] if WhatsApp makes no
    /// code, [`Error::Unavailable`] if no code comes in time, and the errors of [`qr`](Self::qr).
    pub async fn pairing_code(
        &self,
        caller: &Caller,
        id: &str,
        phone: &str,
    ) -> Result<PairingCode> {
        let scope = caller.may(Capability::Manage)?;
        let Some(phone) = Phone::parse(phone) else {
            let reason = "7 to 15 digits, in international form without the plus or a leading 0";
            return Err(Error::Validation(vec![Violation::new(FieldPath::Phone, reason)]));
        };
        let session = self.pair(&scope, id, Some(&phone)).await?;
        self.pairing_code_of(&scope, session).await
    }

    /// Returns the pairing code of a session that pairs with one. Waits up to 20 s for the code.
    pub(crate) async fn pairing_code_of(
        &self,
        scope: &Scope,
        session: Session,
    ) -> Result<PairingCode> {
        let answer = |session: &Session, now| match session.live_code(now) {
            None if session.observed.code_refused() => Some(Err(Error::NoPairingCode)),
            code => code.map(Ok),
        };
        let answer = self.wait_for(scope, session, PAIRING_CODE_WAIT, answer).await?;
        answer.unwrap_or_else(|| Err(Error::unavailable("no pairing code came in time")))
    }

    async fn pair(&self, scope: &Scope, id: &str, phone: Option<&Phone>) -> Result<Session> {
        let pair = |session: Session| session.pair(phone, self.now(), &self.deadlines);
        self.change(scope, id, None, pair).await
    }

    /// Waits until `answer` returns a value, the pairing ends, or the time is over.
    async fn wait_for<T>(
        &self,
        scope: &Scope,
        mut session: Session,
        wait: Duration,
        answer: impl Fn(&Session, Timestamp) -> Option<T>,
    ) -> Result<Option<T>> {
        let until = self.now().plus(wait);
        let mut subscription = self.ports.notifier.clone().subscribe(Topic::Session(&session.id));
        loop {
            if let Some(answer) = answer(&session, self.now()) {
                return Ok(Some(answer));
            }
            if session.spec.pairing.is_none() {
                return Err(pairing_ended(&session));
            }
            if self.now() >= until {
                return Ok(None);
            }
            subscription.wait(Some(session.version), self.now().until(until)).await;
            session = self.find(scope, session.id.as_str()).await?;
        }
    }
}

impl Session {
    /// Returns the QR code that is valid now.
    fn live_qr(&self, now: Timestamp) -> Option<QrCode> {
        let (spec, attempt) = (self.spec.pairing.as_ref()?, self.observed.pairing.as_ref()?);
        let qr = attempt.qr.as_ref()?;
        (attempt.attempt == spec.attempt && qr.expires_at > now).then(|| qr.clone())
    }

    /// Returns the pairing code that is valid now and answers the newest request.
    fn live_code(&self, now: Timestamp) -> Option<PairingCode> {
        let (spec, attempt) = (self.spec.pairing.as_ref()?, self.observed.pairing.as_ref()?);
        let code = attempt.code.as_ref()?;
        let newest = attempt.attempt == spec.attempt && code.request == spec.request;
        (newest && code.expires_at > now).then(|| code.clone())
    }
}

/// Returns the error for a pairing that ended during the wait.
fn pairing_ended(session: &Session) -> Error {
    if session.is_paired() {
        return Error::conflict("the session is paired; log it out to pair it again");
    }
    Error::PairingEnded
}
