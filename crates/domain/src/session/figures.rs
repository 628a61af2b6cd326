//! What the committed events of sessions add to the figures of an operator: pairing attempts and their
//! outcomes, and ends of connections with their reasons. Both are closed sets without any id.

use crate::{
    event::payload::EventPayload,
    session::status::{ReasonCode, Status},
};

/// The end of a pairing attempt. An attempt that its owner ends has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairingOutcome {
    /// A device was linked.
    Paired,
    /// No phone linked in time.
    Expired,
    /// WhatsApp or the phone rejected the link.
    Failed,
    /// WhatsApp asked for a passkey.
    PasskeyRequired,
}

/// The reason for which a session stopped or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The owner stopped the session, possibly one that had failed before.
    Requested,
    /// The node or a deadline ended the connection, or the owner logged out.
    Code(ReasonCode),
}

/// One count of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionFigure {
    /// A pairing attempt ended.
    Pairing(PairingOutcome),
    /// A session stopped or failed.
    End(EndReason),
}

impl PairingOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Paired, Self::Expired, Self::Failed, Self::PasskeyRequired];

    /// Returns the stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paired => "paired",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::PasskeyRequired => "passkey_required",
        }
    }
}

impl EndReason {
    /// Returns every reason.
    pub fn all() -> impl Iterator<Item = Self> {
        let codes = ReasonCode::ALL.into_iter().filter(|code| ends_session(*code));
        std::iter::once(Self::Requested).chain(codes.map(Self::Code))
    }

    /// Returns the stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Code(code) => code.as_str(),
        }
    }
}

impl SessionFigure {
    /// Returns what an event adds to the figures, or `None`.
    pub fn of(payload: &EventPayload) -> Option<Self> {
        match payload {
            EventPayload::AuthPaired { .. } => Some(Self::Pairing(PairingOutcome::Paired)),
            EventPayload::AuthExpired { reason } => Some(Self::Pairing(match reason {
                ReasonCode::PairingExpired => PairingOutcome::Expired,
                ReasonCode::PasskeyRequired => PairingOutcome::PasskeyRequired,
                _ => PairingOutcome::Failed,
            })),
            EventPayload::SessionStatus { status, reason, unlink, .. } => {
                end(*status, *reason, unlink.0.is_some()).map(Self::End)
            }
            _ => None,
        }
    }
}

fn end(status: Status, reason: Option<ReasonCode>, unlinked: bool) -> Option<EndReason> {
    match (status, reason) {
        (Status::Stopped, Some(code)) if unlinked => Some(EndReason::Code(code)),
        (Status::Stopped, None) => Some(EndReason::Requested),
        (Status::Failed, Some(code)) => ends_session(code).then_some(EndReason::Code(code)),
        // An earlier status of a stopped session had the reason, or a pairing attempt ended.
        _ => None,
    }
}

/// Returns whether the reason ends a session. The other reasons end a pairing attempt, or nothing.
const fn ends_session(code: ReasonCode) -> bool {
    use ReasonCode::{PairingExpired, PairingFailed, PasskeyRequired, WaitingToLink};
    !matches!(code, PairingExpired | PairingFailed | PasskeyRequired | WaitingToLink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::fields::Omittable, session::unlink::LogoutOutcome};

    fn of_status(status: Status, reason: Option<ReasonCode>) -> Option<SessionFigure> {
        of_change(status, reason, None)
    }

    fn of_change(
        status: Status,
        reason: Option<ReasonCode>,
        unlink: Option<LogoutOutcome>,
    ) -> Option<SessionFigure> {
        let unlink = Omittable(unlink);
        SessionFigure::of(&EventPayload::SessionStatus { status, reason, message: None, unlink })
    }

    #[test]
    fn each_end_is_counted_once() {
        let end = |code| Some(SessionFigure::End(EndReason::Code(code)));
        assert_eq!(of_status(Status::Failed, Some(ReasonCode::Banned)), end(ReasonCode::Banned));
        assert_eq!(of_status(Status::Stopped, Some(ReasonCode::Banned)), None, "counted before");
        let requested = Some(SessionFigure::End(EndReason::Requested));
        assert_eq!(of_status(Status::Stopped, None), requested);
        let code = ReasonCode::LoggedOutByUser;
        assert_eq!(of_status(Status::Stopped, Some(code)), None, "the report of the node");
        assert_eq!(
            of_change(Status::Stopped, Some(code), Some(LogoutOutcome::Confirmed)),
            end(code)
        );
        for status in [Status::Starting, Status::ScanQrCode, Status::Working] {
            assert_eq!(of_status(status, Some(ReasonCode::ConnectFailed)), None, "{status:?}");
        }
    }

    #[test]
    fn pairing_attempts_are_no_ends_of_sessions() {
        for (reason, outcome) in [
            (ReasonCode::PairingExpired, PairingOutcome::Expired),
            (ReasonCode::PairingFailed, PairingOutcome::Failed),
            (ReasonCode::PasskeyRequired, PairingOutcome::PasskeyRequired),
        ] {
            let expired = EventPayload::AuthExpired { reason };
            assert_eq!(SessionFigure::of(&expired), Some(SessionFigure::Pairing(outcome)));
            for status in [Status::Stopped, Status::Failed] {
                assert_eq!(of_status(status, Some(reason)), None, "{reason:?}");
            }
        }
    }

    #[test]
    fn every_counted_reason_is_listed() {
        let all: Vec<_> = EndReason::all().collect();
        assert_eq!(all.len(), 11);
        for code in ReasonCode::ALL {
            let counted = of_status(Status::Failed, Some(code));
            let listed = all.contains(&EndReason::Code(code));
            assert_eq!(counted.is_some(), listed, "{code:?}");
        }
    }
}
