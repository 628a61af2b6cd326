//! One session of the fake gateway: declaration, snapshot and keys.

use std::time::Duration;

use crate::{
    id::SessionId,
    session::{
        observed::{LinkState, Snapshot, SnapshotReason},
        pairing::{Attempt, Identity, PairingCode, PairingSpec, QrCode},
        spec::Declaration,
        status::{ReasonCode, Status},
        unlink::LogoutOutcome,
    },
    time::Timestamp,
};

/// Validity of a QR code.
const QR_VALIDITY: Duration = Duration::from_secs(60);
/// Validity of a pairing code.
const CODE_VALIDITY: Duration = Duration::from_secs(160);

#[derive(Clone, Debug)]
pub(super) struct FakeSession {
    pub(super) declaration: Declaration,
    pub(super) snapshot: Snapshot,
    /// Whether keys exist, with or without a link.
    pub(super) has_keys: bool,
    /// The device that the keys are linked to. The snapshot may not show it yet.
    pub(super) linked: Option<Identity>,
    /// Epoch of the last confirmed unlink.
    confirmed_unlink_epoch: Option<u64>,
    /// Closed with the lease, until the next declaration.
    suspended: bool,
    /// Why WhatsApp closed the connection. Ends with the next declaration.
    closed_by_whatsapp: Option<ReasonCode>,
}

impl FakeSession {
    /// Creates a session without a declaration in this generation. Snapshots are numbered from
    /// `seq`.
    pub(super) fn new(generation: u64, seq: u64) -> Self {
        let declaration = Declaration {
            epoch: 0,
            running: false,
            restarts: 0,
            pairing: None,
            linked: false,
            group: None,
        };
        let snapshot = Snapshot {
            epoch: 0,
            generation,
            seq,
            status: Status::Stopped,
            reason: None,
            identity: None,
            pairing: None,
        };
        Self {
            declaration,
            snapshot,
            has_keys: false,
            linked: None,
            confirmed_unlink_epoch: None,
            suspended: false,
            closed_by_whatsapp: None,
        }
    }

    /// Returns the session after a restart of the process: the keys only. `None` without keys.
    pub(super) fn restarted(&self, readable: bool) -> Option<Self> {
        let mut entry = Self::new(0, 0);
        (entry.has_keys, entry.linked) = (self.has_keys, self.linked.clone());
        entry.read_keys(readable);
        entry.has_keys.then_some(entry)
    }

    /// Closes the connection. The snapshot shows the state of the keys.
    pub(super) fn close(&mut self, readable: bool) {
        let before = self.snapshot.clone();
        self.read_keys(readable);
        if self.snapshot != before {
            self.snapshot.seq += 1;
        }
    }

    fn read_keys(&mut self, readable: bool) {
        let lost = !self.has_keys && self.declaration.linked;
        if lost || (self.has_keys && !readable) {
            self.snapshot.status = Status::Failed;
            self.snapshot.reason = Some(reason_for(ReasonCode::KeysUnavailable));
            (self.snapshot.identity, self.snapshot.pairing) = (None, None);
        } else {
            if self.snapshot.link_state() == LinkState::Unknown {
                (self.snapshot.status, self.snapshot.reason) = (Status::Stopped, None);
            }
            self.snapshot.identity = self.linked.clone();
        }
    }

    /// Reads the keys again and continues with the declaration.
    pub(super) fn read_again(&mut self, session: &SessionId, now: Timestamp) {
        self.close(true);
        if self.suspended {
            return self.show_suspended();
        }
        let Declaration { running, pairing, .. } = self.declaration.clone();
        if let Some(code) = self.closed_by_whatsapp.filter(|_| running) {
            return self.change(|snapshot| {
                (snapshot.status, snapshot.reason) = (Status::Failed, Some(reason_for(code)));
            });
        }
        match (running, self.snapshot.link_state(), pairing) {
            (true, LinkState::Linked, _) => self.change(|snapshot| {
                (snapshot.status, snapshot.reason) = (Status::Working, None);
            }),
            (true, LinkState::NotLinked, Some(pairing)) => self.change(|snapshot| {
                snapshot.status = Status::ScanQrCode;
                snapshot.pairing = Some(attempt(session, snapshot.epoch, &pairing, now));
            }),
            _ => {}
        }
    }

    /// Shows a phone that linked.
    pub(super) fn show_link(&mut self) {
        if self.linked.is_some() && self.snapshot.link_state() == LinkState::Linking {
            let identity = self.linked.clone();
            self.change(|snapshot| {
                (snapshot.status, snapshot.reason) = (Status::Working, None);
                (snapshot.identity, snapshot.pairing) = (identity, None);
            });
        }
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.snapshot);
        self.snapshot.seq += 1;
    }

    /// Returns true if a connection to WhatsApp is open.
    pub(super) fn is_open(&self) -> bool {
        use Status::{ScanQrCode, Starting, Working};
        !self.suspended && matches!(self.snapshot.status, Working | Starting | ScanQrCode)
    }

    /// Changes the status as a message of WhatsApp on an open connection would. The message follows
    /// the one about a link.
    pub(super) fn report_status(&mut self, status: Status, code: ReasonCode, readable: bool) {
        self.show_link();
        self.change(|snapshot| {
            snapshot.status = status;
            snapshot.reason = Some(reason_for(code));
            snapshot.pairing = None;
            if code == ReasonCode::LoggedOutByPhone {
                snapshot.identity = None;
            }
        });
        if status == Status::Failed {
            self.closed_by_whatsapp = Some(code);
        }
        if code == ReasonCode::LoggedOutByPhone {
            // The node discards the keys without reading them.
            self.linked = None;
        } else if !self.is_open() {
            self.close(readable);
        }
    }

    /// Closes the connection after the lease, until the next declaration. Keys that become readable
    /// before then open none.
    pub(super) fn suspend(&mut self, readable: bool) {
        let unknown = self.snapshot.link_state() == LinkState::Unknown;
        let reopens = self.declaration.running && self.closed_by_whatsapp.is_none();
        if self.is_open() || (unknown && reopens) {
            self.suspended = true;
            self.show_suspended();
            self.close(readable);
        }
    }

    fn show_suspended(&mut self) {
        self.change(|snapshot| {
            snapshot.status = Status::Starting;
            snapshot.reason = Some(reason_for(ReasonCode::ConnectFailed));
            snapshot.pairing = None;
        });
    }

    /// Closes a session that no longer belongs to the node.
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
        readable: bool,
    ) {
        if self.declaration == *declaration && !self.suspended {
            return;
        }
        (self.suspended, self.closed_by_whatsapp) = (false, None);
        let epoch = declaration.epoch;
        self.declaration = declaration.clone();
        self.close(readable);
        let link = self.snapshot.link_state();
        let linked = link == LinkState::Linked;
        self.has_keys |= declaration.running && link != LinkState::Unknown;
        self.change(|snapshot| {
            snapshot.epoch = epoch;
            if link == LinkState::Unknown {
                return;
            }
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

    /// Unlinks the device, if WhatsApp confirms.
    pub(super) fn log_out(&mut self, epoch: u64, mute: bool, readable: bool) -> LogoutOutcome {
        self.declaration.epoch = epoch;
        (self.declaration.running, self.declaration.pairing) = (false, None);
        self.snapshot.epoch = epoch;
        self.change(|snapshot| {
            (snapshot.status, snapshot.pairing) = (Status::Stopped, None);
        });
        self.close(readable);
        match self.snapshot.link_state() {
            LinkState::Unknown => return LogoutOutcome::Unconfirmed,
            LinkState::NotLinked if self.confirmed_unlink_epoch == Some(epoch) => {
                return LogoutOutcome::Confirmed;
            }
            LinkState::NotLinked | LinkState::Linking => return LogoutOutcome::NotLinked,
            LinkState::Linked if mute => return LogoutOutcome::Unconfirmed,
            LinkState::Linked => {}
        }
        (self.linked, self.confirmed_unlink_epoch) = (None, Some(epoch));
        self.change(|snapshot| snapshot.identity = None);
        LogoutOutcome::Confirmed
    }

    /// Links a phone: the keys hold the link, and `show_link` shows it.
    pub(super) fn link(&mut self, phone: u32) {
        self.linked = Some(identity(phone));
    }
}

/// Returns the codes of an attempt.
fn attempt(session: &SessionId, epoch: u64, spec: &PairingSpec, now: Timestamp) -> Attempt {
    let qr = QrCode {
        text: format!("qr-{session}-{epoch}-{}", now.millis()),
        expires_at: now.plus(QR_VALIDITY),
        number: 1,
        of: 6,
    };
    let code = spec.phone.clone().map(|phone| PairingCode {
        code: format!("C0DE{:04}", spec.request),
        request: spec.request,
        phone,
        expires_at: now.plus(CODE_VALIDITY),
    });
    Attempt { attempt: spec.attempt, qr: Some(qr), code }
}

fn reason_for(code: ReasonCode) -> SnapshotReason {
    SnapshotReason { code, message: "as the test requires".to_owned(), retry_at: None }
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
