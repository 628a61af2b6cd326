//! One session as the remembering gateway has it: what it was told, and what it shows.

use std::time::Duration;

use crate::{
    Attempt, Declaration, Identity, LogoutOutcome, PairingCode, PairingWanted, QrCode, ReasonCode,
    SessionId, Snapshot, SnapshotReason, Status, Timestamp,
};

/// For how long a QR code of this gateway can be scanned.
const QR_LIFE: Duration = Duration::from_secs(60);
/// For how long a pairing code of this gateway can be typed.
const CODE_LIFE: Duration = Duration::from_secs(160);

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) declaration: Declaration,
    pub(super) snapshot: Snapshot,
    /// Closed with the lease, until told again.
    suspended: bool,
}

impl Entry {
    /// Nothing was said of it since this boot; what it shows is numbered from here on.
    pub(super) fn new(boot: u64, seq: u64) -> Self {
        let declaration = Declaration { epoch: 0, running: false, restarts: 0, pairing: None };
        let snapshot = Snapshot {
            epoch: 0,
            boot,
            seq,
            status: Status::Stopped,
            reason: None,
            identity: None,
            pairing: None,
        };
        Self { declaration, snapshot, suspended: false }
    }

    /// As a process that has just started finds it: its keys and nothing else. `None` when it has none.
    pub(super) fn restarted(&self) -> Option<Self> {
        let identity = self.snapshot.identity.clone();
        let mut entry = Self::new(0, 0);
        entry.snapshot.identity = identity;
        entry.snapshot.identity.is_some().then_some(entry)
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.snapshot);
        self.snapshot.seq += 1;
    }

    /// Something happens to its connection, as WhatsApp would have it.
    pub(super) fn befall(&mut self, status: Status, code: ReasonCode) {
        self.change(|snapshot| {
            snapshot.status = status;
            snapshot.reason = Some(because(code));
            snapshot.pairing = None;
            if code == ReasonCode::LoggedOutByPhone {
                snapshot.identity = None;
            }
        });
    }

    /// Its node's lease ran out: closed until it is told again.
    pub(super) fn suspend(&mut self) {
        use Status::{ScanQrCode, Starting, Working};
        if matches!(self.snapshot.status, Working | Starting | ScanQrCode) {
            self.suspended = true;
            self.change(|snapshot| {
                snapshot.status = Status::Starting;
                snapshot.reason = Some(because(ReasonCode::ConnectFailed));
                snapshot.pairing = None;
            });
        }
    }

    /// It is no longer its node's: closed, whatever was wanted.
    pub(super) fn release(&mut self) {
        (self.declaration.running, self.declaration.pairing) = (false, None);
        self.change(|snapshot| {
            (snapshot.status, snapshot.reason) = (Status::Stopped, None);
            snapshot.pairing = None;
        });
    }

    pub(super) fn declare(
        &mut self,
        session: &SessionId,
        declaration: &Declaration,
        now: Timestamp,
    ) {
        if self.declaration == *declaration && !self.suspended {
            return;
        }
        self.suspended = false;
        let linked = self.snapshot.identity.is_some();
        let epoch = declaration.epoch;
        self.declaration = declaration.clone();
        self.change(|snapshot| {
            snapshot.epoch = epoch;
            match (&declaration.pairing, declaration.running) {
                (_, true) if linked => {
                    (snapshot.status, snapshot.reason) = (Status::Working, None);
                }
                (Some(pairing), true) => {
                    (snapshot.status, snapshot.reason) = (Status::ScanQrCode, None);
                    snapshot.pairing = Some(attempt(session, epoch, pairing, now));
                }
                (_, false) => {
                    (snapshot.status, snapshot.reason) = (Status::Stopped, None);
                    snapshot.pairing = None;
                }
                (None, true) => snapshot.pairing = None,
            }
        });
    }

    /// Unlinks the device, if WhatsApp answers.
    pub(super) fn log_out(&mut self, epoch: u64, mute: bool) -> LogoutOutcome {
        self.declaration.epoch = epoch;
        self.snapshot.epoch = epoch;
        let outcome = match self.snapshot.identity {
            None => LogoutOutcome::NotLinked,
            Some(_) if mute => LogoutOutcome::Unconfirmed,
            Some(_) => LogoutOutcome::Confirmed,
        };
        self.change(|snapshot| {
            snapshot.status = Status::Stopped;
            snapshot.pairing = None;
            if outcome == LogoutOutcome::Confirmed {
                snapshot.identity = None;
            }
        });
        outcome
    }

    /// This phone scans its code.
    pub(super) fn link(&mut self, phone: u32) {
        self.change(|snapshot| {
            snapshot.status = Status::Working;
            snapshot.identity = Some(identity(phone));
            snapshot.pairing = None;
            snapshot.reason = None;
        });
    }
}

/// The codes of an attempt, made now.
fn attempt(session: &SessionId, epoch: u64, wanted: &PairingWanted, now: Timestamp) -> Attempt {
    let qr = QrCode {
        text: format!("qr-{session}-{epoch}-{}", now.millis()),
        expires_at: now.plus(QR_LIFE),
        number: 1,
        of: 6,
    };
    let code = wanted.phone.clone().map(|phone| PairingCode {
        code: format!("C0DE{:04}", wanted.request),
        request: wanted.request,
        phone,
        expires_at: now.plus(CODE_LIFE),
    });
    Attempt { attempt: wanted.attempt, qr: Some(qr), code }
}

fn because(code: ReasonCode) -> SnapshotReason {
    SnapshotReason { code, message: "as the test wants it".to_owned(), retry_at: None }
}

fn identity(phone: u32) -> Identity {
    let number = format!("1555{phone:07}");
    Identity {
        jid: format!("{number}:{phone}@s.whatsapp.net"),
        lid: Some(format!("9{number}:{phone}@lid")),
        phone: number,
        device: phone,
        push_name: Some("Test Phone".to_owned()),
    }
}
