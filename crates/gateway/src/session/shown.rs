//! What a session shows of itself, and what it does when a time has come.

use std::time::Duration;

use gateway_protocol::{Reason, Status};
use tokio::time::Instant;

use super::{Goal, Hold, Line, Link, Session, Signal, closing::Closing};
use crate::{board::Face, pairing::Pairing, translate};

/// A drop shorter than this is nobody's business.
const FLAP: Duration = Duration::from_secs(3);
/// A connection not up after this is worth a reason.
const SLOW: Duration = Duration::from_secs(10);
impl Session {
    /// Shows where it stands.
    pub(super) fn show(&self) {
        self.cell.show(self.face(&self.goal()), &self.context);
    }

    /// The connection does not end, and so it is not known whether it linked a device.
    pub(super) fn show_slow_closing(&mut self) {
        let reason = translate::keys_unavailable("the connection does not end");
        let face = Face {
            epoch: self.epoch,
            status: Status::Failed,
            reason: Some(reason),
            identity: self.identity().cloned(),
            pairing: None,
        };
        self.cell.show(face, &self.context);
        self.answer_declared();
    }

    pub(super) fn answer_declared(&mut self) {
        for reply in self.declared.drain(..) {
            let _ = reply.send(Ok(self.cell.snapshot(&self.context)));
        }
    }

    fn face(&self, goal: &Goal) -> Face {
        let (status, reason) = self.status(goal);
        let pairing = self.pairing.as_ref().filter(|_| matches!(goal, Goal::Pairing(_)));
        Face {
            epoch: self.epoch,
            status,
            reason,
            identity: self.identity().cloned(),
            pairing: pairing.map(Pairing::view),
        }
    }

    fn status(&self, goal: &Goal) -> (Status, Option<Reason>) {
        let running = self.wanted.as_ref().is_some_and(|wanted| wanted.running);
        if let Link::Unknown(reason) = &self.link {
            return (Status::Failed, Some(reason.clone()));
        }
        match (goal, &self.line, &self.pairing) {
            (Goal::Closed, ..) if self.hold == Some(Hold::Suspended) && running => {
                let message = "closed because the node lost its router; waits to be told again";
                (Status::Starting, Some(translate::connect_failed(message, None)))
            }
            (Goal::Closed, ..) => match &self.rest {
                Some((status, reason)) => (*status, Some(reason.clone())),
                None => (Status::Stopped, None),
            },
            (_, Some(line), _) if line.is_up() => (Status::Working, None),
            (Goal::Pairing(_), Some(Line { signal: Signal::Queued { waits: true }, .. }), _) => {
                (Status::Starting, Some(translate::waiting_to_link()))
            }
            (Goal::Pairing(_), Some(_), Some(pairing)) if pairing.is_visible() => {
                (Status::ScanQrCode, pairing.trouble())
            }
            _ => (Status::Starting, self.retry.trouble.clone()),
        }
    }

    pub(super) fn next_alarm(&self) -> Option<Instant> {
        let signal = self.line.as_ref().and_then(|line| match line.signal {
            Signal::Rising(since) if self.retry.trouble.is_none() => Some(since + SLOW),
            Signal::Wavering(since, _) => Some(since + FLAP),
            _ => None,
        });
        let retry = self.retry.at.filter(|_| self.line.is_none());
        let code = self.pairing.as_ref().and_then(Pairing::code_ends);
        let unlink = self.unlink.iter().flat_map(|unlink| {
            unlink.waiting.iter().map(|(deadline, _)| *deadline).chain(unlink.again)
        });
        let look = self.line.as_ref().map(|line| line.look_at);
        let closing = self.closing.as_ref().and_then(Closing::alarm);
        let read = self.read_again.filter(|_| self.closing.is_none());
        [signal, retry, code, look, closing, read].into_iter().flatten().chain(unlink).min()
    }

    /// Something's time has come; what else there is to do, [`Self::settle`] sees.
    pub(super) async fn wake(&mut self, now: Instant) {
        self.look(now);
        if let Some(closing) = &mut self.closing {
            closing.look(now);
        } else if self.read_again.is_some_and(|at| at <= now) {
            self.read_keys().await;
        }
        if let Some(line) = &mut self.line {
            let trouble = match &line.signal {
                Signal::Rising(since) if now >= *since + SLOW => {
                    Some("WhatsApp cannot be reached; the node goes on trying".to_owned())
                }
                Signal::Wavering(since, why) if now >= *since + FLAP => Some(why.clone()),
                _ => None,
            };
            if let Some(trouble) = trouble {
                if matches!(line.signal, Signal::Wavering(..)) {
                    line.signal = Signal::Down;
                }
                self.retry.trouble = Some(translate::connect_failed(trouble, None));
            }
        }
        let code_ended =
            self.pairing.as_ref().and_then(Pairing::code_ends).is_some_and(|t| t <= now);
        if code_ended && self.pairing.as_mut().is_some_and(|pairing| pairing.code_over(true)) {
            self.end_pairing(Status::Stopped, translate::pairing_expired());
        }
        self.give_up_unlinks(now);
    }
}
