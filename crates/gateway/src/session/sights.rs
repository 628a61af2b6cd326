//! What a session sees of its connection.

use std::{sync::Arc, time::Duration};

use gateway_protocol::{PairingWanted, Reason, Status};
use rand::RngExt as _;
use tokio::time::Instant;
use whatsapp_rust::pair_code::PairCodeOptions;

use super::{Hold, LOOK_EVERY, Link, Session, Signal};
use crate::{
    keys,
    pairing::Pairing,
    translate::{self, End, Sight},
};

/// Between two connections after ones that ended by themselves, at most.
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// How long WhatsApp may take to make a pairing code.
const CODE_ANSWER: Duration = Duration::from_secs(30);
/// Time without received data after which a connection counts as lost. A working connection receives data
/// at least every 45 s plus a round trip: the engine checks every 15 to 30 s, and pings unless data came in
/// the last 15 s (`keepalive.rs` of the engine). The engine itself waits 20 s more for the answer, which is
/// too late for a status that must be true within 60 s.
const MAX_SILENCE: Duration = Duration::from_secs(48);
/// Reason of a lost connection that the engine did not report.
const CONNECTION_LOST: &str = "the connection to WhatsApp was lost";

impl Session {
    pub(super) async fn see(&mut self, sight: Sight) {
        match sight {
            Sight::Opened(client) => {
                if let Some(line) = &mut self.line {
                    line.client = Arc::downgrade(&client);
                }
            }
            Sight::Waits => self.signal(Signal::Queued { waits: true }),
            Sight::Begins => self.signal(Signal::Rising(Instant::now())),
            Sight::Connected => self.connected(),
            Sight::Linked => self.linked(),
            Sight::Renamed => self.read_identity(),
            Sight::Dropped(why) => self.dropped(why),
            Sight::Barred(reason) => self.barred(reason),
            Sight::Unlinked(message) => self.unlinked(message).await,
            Sight::LinkFailed(reason) if self.pairing.is_some() => {
                self.end_pairing(Status::Failed, reason);
            }
            Sight::LinkFailed(_) => {}
            Sight::UnlinkAnswered(Ok(())) => self.unlinked_by_owner().await,
            Sight::UnlinkAnswered(Err(why)) => self.unlink_failed(&why),
            Sight::Ended(end) => self.ended(end),
            Sight::Offered(_)
            | Sight::Qr(..)
            | Sight::QrsOver { .. }
            | Sight::CodeOver { .. }
            | Sight::Code { .. } => self.pairing_goes_on(sight),
        }
    }

    fn pairing_goes_on(&mut self, sight: Sight) {
        let Some(pairing) = &mut self.pairing else { return };
        let now = wacore::time::now_millis();
        let over = match sight {
            Sight::Offered(of) => {
                pairing.offered(of);
                false
            }
            Sight::Qr(text, lasts) => {
                self.retry.trouble = None;
                pairing.show_qr(text, lasts, now);
                false
            }
            Sight::QrsOver { hung_up } => pairing.qrs_over() || hung_up,
            Sight::CodeOver { ask_anew } => pairing.has_code() && pairing.code_over(ask_anew),
            Sight::Code { request, phone, made: Ok(code) } => {
                pairing.show_code(code, request, phone, now);
                false
            }
            Sight::Code { request, made: Err(why), .. } => {
                let why = format!("no pairing code: {why}");
                pairing.code_refused(request, translate::link_failed(&why));
                false
            }
            _ => false,
        };
        if over {
            self.end_pairing(Status::Stopped, translate::pairing_expired());
        }
    }

    /// Asks WhatsApp for the pairing code that is wanted, if it was not asked for.
    pub(super) fn ask_for_code(&mut self, wanted: &PairingWanted) {
        let (Some(pairing), Some(line)) = (&mut self.pairing, &mut self.line) else { return };
        let Some(client) = line.client.upgrade() else { return };
        let Some((request, phone)) = pairing.code_to_ask(wanted) else { return };
        // An earlier code may still be about, if only on a socket that is gone.
        let replaces = std::mem::replace(&mut line.code_asked, true);
        let sights = line.connection.sender();
        tokio::spawn(async move {
            if replaces {
                client.cancel_pair_code().await;
            }
            let options = PairCodeOptions { phone_number: phone.clone(), ..Default::default() };
            let made = tokio::time::timeout(CODE_ANSWER, client.pair_with_code(options)).await;
            drop(client);
            let made = match made {
                Ok(made) => made.map_err(|error| error.to_string()),
                Err(_) => Err("WhatsApp did not answer".into()),
            };
            if let Some(sights) = sights.upgrade() {
                let _ = sights.send(Sight::Code { request, phone, made }).await;
            }
        });
    }

    fn linked(&mut self) {
        self.read_identity();
        if let Some(pairing) = self.pairing.take() {
            self.spent = self.spent.max(pairing.attempt);
        }
        self.signal(Signal::Rising(Instant::now())); // it logs in anew, by the new keys
        self.rest = None;
    }

    fn signal(&mut self, signal: Signal) {
        if let Some(line) = &mut self.line {
            line.signal = signal;
        }
    }

    fn connected(&mut self) {
        self.linked();
        self.signal(Signal::Up);
        self.retry = super::Retry::default();
    }

    fn read_identity(&mut self) {
        let client = self.line.as_ref().and_then(|line| line.client.upgrade());
        if let Some(client) = client {
            let device = client.persistence_manager().get_device_snapshot();
            if let Some(identity) = keys::identity_of(&device) {
                (self.link, self.missing) = (Link::Linked(identity), false);
            }
        }
    }

    fn dropped(&mut self, why: String) {
        let Some(line) = &mut self.line else { return };
        match line.signal {
            Signal::Up => line.signal = Signal::Wavering(Instant::now(), why),
            Signal::Wavering(..) => {}
            Signal::Rising(_) | Signal::Down | Signal::Queued { .. } => {
                self.retry.trouble = Some(translate::connect_failed(why, None));
            }
        }
        // What is to be scanned or typed works on that connection alone. On the next one the same is
        // offered, and asked for, anew.
        if let Some(pairing) = &mut self.pairing {
            pairing.again();
        }
        // An unlink that was asked on that connection will not be answered.
        if self.unlink.as_ref().is_some_and(|unlink| unlink.asked) {
            self.unlink_failed("the connection was lost");
        }
    }

    /// Checks whether the connection is alive. The engine does not always report a loss: on a network that
    /// drops all packets, it gives up the connection after up to 65 s, without an event.
    pub(super) fn look(&mut self, now: Instant) {
        let Some(line) = self.line.as_mut().filter(|line| line.look_at <= now) else { return };
        line.look_at = now + LOOK_EVERY;
        let Some(client) = line.client.upgrade() else { return };
        let connected = client.is_connected();
        let silence_left = silence_left_after(client.stats().last_data_received_ms);
        match line.signal {
            Signal::Up if !connected => self.dropped(CONNECTION_LOST.to_owned()),
            Signal::Up if silence_left.is_zero() => self.lost_in_silence(),
            Signal::Up => line.look_at = now + LOOK_EVERY.min(silence_left),
            Signal::Wavering(..) | Signal::Down
                if connected && client.is_logged_in() && !silence_left.is_zero() =>
            {
                self.connected();
            }
            // A code that is shown was got on a connection.
            Signal::Rising(_)
                if !connected && self.pairing.as_ref().is_some_and(Pairing::is_visible) =>
            {
                self.dropped(CONNECTION_LOST.to_owned());
            }
            _ => {}
        }
    }

    /// Shows the connection as lost at once, without the 3 s for which a drop is not shown: after
    /// [`MAX_SILENCE`] the loss is not a short one.
    fn lost_in_silence(&mut self) {
        self.dropped(CONNECTION_LOST.to_owned());
        self.signal(Signal::Down);
        self.retry.trouble = Some(translate::connect_failed(CONNECTION_LOST.to_owned(), None));
    }

    fn barred(&mut self, reason: Reason) {
        self.begin_closing();
        self.retry_later(); // only an unlink goes on trying
        if self.identity().is_some() {
            self.hold = Some(Hold::Barred);
            self.rest = Some((Status::Failed, reason));
        } else {
            self.end_pairing(Status::Failed, reason);
        }
    }

    async fn unlinked(&mut self, message: String) {
        if self.unlink.is_some() {
            return self.unlinked_by_owner().await;
        }
        if self.identity().is_none() {
            return self.end_pairing(Status::Failed, translate::link_failed(&message));
        }
        // Void keys: with them gone a new pairing can start.
        self.void_keys().await;
        self.rest = Some((Status::Failed, translate::logged_out_by_phone(message)));
    }

    /// The engine ended by itself. What is to follow is decided as ever, by what is wanted.
    fn ended(&mut self, end: End) {
        self.begin_closing();
        match end {
            End::Crashed => {
                self.hold = Some(Hold::Crashed);
                self.rest = Some((Status::Failed, translate::crashed()));
            }
            End::Stopped(why) => {
                let at = self.retry_later();
                self.retry.trouble = Some(translate::connect_failed(why, Some(at)));
            }
        }
        if let Some(pairing) = &mut self.pairing {
            pairing.again();
        }
    }

    /// When the next connection may be opened, for people to read.
    fn retry_later(&mut self) -> i64 {
        let wait = backoff(self.retry.failures);
        self.retry.failures = self.retry.failures.saturating_add(1);
        self.retry.at = Some(Instant::now() + wait);
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        wacore::time::now_millis().saturating_add(wait)
    }
}

/// Returns how long a connection may remain silent that last received data at this time, in Unix
/// milliseconds; 0 means that no data has come.
fn silence_left_after(last_received_ms: u64) -> Duration {
    if last_received_ms == 0 {
        return MAX_SILENCE;
    }
    let now = u64::try_from(wacore::time::now_millis()).unwrap_or(0);
    MAX_SILENCE.saturating_sub(Duration::from_millis(now.saturating_sub(last_received_ms)))
}

/// 1, 2, 4 … seconds, a little apart for each session.
fn backoff(failures: u32) -> Duration {
    let base = Duration::from_secs(1 << failures.min(10)).min(LONGEST_RETRY);
    base.mul_f64(rand::rng().random_range(0.9..1.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_may_be_silent_for_a_while_after_the_last_byte() {
        let now = u64::try_from(wacore::time::now_millis()).unwrap();
        assert_eq!(silence_left_after(0), MAX_SILENCE, "nothing came yet");
        let left = silence_left_after(now - 40_000);
        assert!(left > Duration::from_secs(6) && left <= Duration::from_secs(8), "{left:?}");
        assert!(silence_left_after(now - 48_000).is_zero());
        assert_eq!(silence_left_after(now + 1_000_000), MAX_SILENCE, "the clock was set back");
    }
}
