//! Handles the events of the connection.

use std::{sync::Arc, time::Duration};

use gateway_protocol::{PairingSpec, Reason, Status};
use rand::RngExt as _;
use tokio::time::Instant;
use whatsapp_rust::pair_code::PairCodeOptions;

use super::{
    actor::SessionActor,
    model::{CHECK_INTERVAL, ConnectionHandle, ConnectionState, Hold, Link, Retry},
};
use crate::{
    engine_events::{ConnectionEvent, EngineExit},
    keys,
    pairing_attempt::PairingAttempt,
    reasons,
    reconnects::{ReconnectReason, count_reconnect},
};

/// Upper bound of the wait between connections that ended on their own.
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(300);
/// Time limit for WhatsApp's answer to a pairing code request.
const PAIRING_CODE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest silence of a working connection. The engine sends a keep-alive 15 to 30 s after its
/// last check, and skips it if data arrived within the last 15 s: 45 s, plus the round trip. The
/// engine waits 20 s for the answer, which is too late for a true status within 60 s.
const MAX_SILENCE: Duration = Duration::from_secs(48);
/// The cause of a lost connection that the engine does not report.
const CONNECTION_LOST: &str = "the connection to WhatsApp was lost";

impl SessionActor {
    pub(super) async fn on_event(&mut self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::EngineStarted(client) => {
                if let Some(handle) = &mut self.connection {
                    handle.client = Arc::downgrade(&client);
                }
            }
            ConnectionEvent::LinkQueued => {
                self.set_connection_state(ConnectionState::Queued { waiting_to_link: true });
            }
            ConnectionEvent::Connecting => {
                self.set_connection_state(ConnectionState::Connecting(Instant::now()));
            }
            ConnectionEvent::Connected => self.on_connected(),
            ConnectionEvent::Linked => self.on_linked(),
            ConnectionEvent::PushNameChanged => self.read_identity(),
            ConnectionEvent::Disconnected(why) => {
                self.on_disconnected(why, ReconnectReason::Closed);
            }
            ConnectionEvent::Rejected(reason) => self.on_rejected(reason),
            ConnectionEvent::Unlinked(message) => self.on_unlinked(message).await,
            ConnectionEvent::LinkFailed(reason) if self.pairing.is_some() => {
                self.end_pairing(Status::Failed, reason);
            }
            ConnectionEvent::LinkFailed(_) => {}
            ConnectionEvent::UnlinkAnswered(Ok(())) => self.unlinked_by_owner().await,
            ConnectionEvent::UnlinkAnswered(Err(why)) => self.unlink_failed(&why),
            ConnectionEvent::EngineStopped(end) => self.on_engine_stopped(end),
            ConnectionEvent::QrCodesOffered(_)
            | ConnectionEvent::QrCode(..)
            | ConnectionEvent::QrCodesExhausted { .. }
            | ConnectionEvent::PairingCodeEnded { .. }
            | ConnectionEvent::PairingCodeAnswer { .. } => self.on_pairing_event(event),
        }
    }

    fn on_pairing_event(&mut self, event: ConnectionEvent) {
        let Some(pairing) = &mut self.pairing else { return };
        let now = wacore::time::now_millis();
        let ended = match event {
            ConnectionEvent::QrCodesOffered(count) => {
                pairing.set_qr_count(count);
                false
            }
            ConnectionEvent::QrCode(text, lifetime) => {
                self.retry.reason = None;
                pairing.set_qr(text, lifetime, now);
                false
            }
            ConnectionEvent::QrCodesExhausted { closed_by_engine } => {
                pairing.on_qr_codes_exhausted() || closed_by_engine
            }
            ConnectionEvent::PairingCodeEnded { request_required } => {
                pairing.has_code() && pairing.on_code_expired(request_required)
            }
            ConnectionEvent::PairingCodeAnswer { request, phone, result: Ok(code) } => {
                pairing.set_code(code, request, phone, now);
                false
            }
            ConnectionEvent::PairingCodeAnswer { request, result: Err(why), .. } => {
                let why = format!("no pairing code: {why}");
                pairing.on_code_failed(request, reasons::link_failed(&why));
                false
            }
            _ => false,
        };
        if ended {
            self.end_pairing(Status::Stopped, reasons::pairing_expired());
        }
    }

    /// Requests the pairing code of the spec, unless it was requested before.
    pub(super) fn request_pairing_code(&mut self, spec: &PairingSpec) {
        let (Some(pairing), Some(handle)) = (&mut self.pairing, &mut self.connection) else {
            return;
        };
        let Some(client) = handle.client.upgrade() else { return };
        let Some((request, phone)) = pairing.take_code_request(spec) else { return };
        // The engine may still hold an earlier code, of this or of an earlier socket.
        let replaces = std::mem::replace(&mut handle.code_requested, true);
        let events = handle.inner.sender();
        tokio::spawn(async move {
            if replaces {
                client.cancel_pair_code().await;
            }
            let options = PairCodeOptions { phone_number: phone.clone(), ..Default::default() };
            let result =
                tokio::time::timeout(PAIRING_CODE_TIMEOUT, client.pair_with_code(options)).await;
            drop(client);
            let result = match result {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(_) => Err("WhatsApp did not answer".into()),
            };
            if let Some(events) = events.upgrade() {
                let _ = events
                    .send(ConnectionEvent::PairingCodeAnswer { request, phone, result })
                    .await;
            }
        });
    }

    fn on_linked(&mut self) {
        self.read_identity();
        if let Some(pairing) = self.pairing.take() {
            self.ended_attempt = self.ended_attempt.max(pairing.attempt);
        }
        // logs in again with the new keys
        self.set_connection_state(ConnectionState::Connecting(Instant::now()));
        self.closed_status = None;
    }

    fn set_connection_state(&mut self, state: ConnectionState) {
        if let Some(handle) = &mut self.connection {
            handle.state = state;
        }
    }

    fn on_connected(&mut self) {
        self.on_linked();
        self.set_connection_state(ConnectionState::Up);
        self.retry = Retry::default();
    }

    fn read_identity(&mut self) {
        let client = self.connection.as_ref().and_then(|handle| handle.client.upgrade());
        if let Some(client) = client {
            let device = client.persistence_manager().get_device_snapshot();
            if let Some(identity) = keys::device_identity(&device) {
                (self.link, self.keys_missing) = (Link::Linked(identity), false);
            }
        }
    }

    fn on_disconnected(&mut self, why: String, reason: ReconnectReason) {
        let Some(handle) = &mut self.connection else { return };
        match handle.state {
            ConnectionState::Up => {
                count_reconnect(reason);
                handle.state = ConnectionState::Reconnecting(Instant::now(), why);
            }
            ConnectionState::Reconnecting(..) => {}
            ConnectionState::Connecting(_)
            | ConnectionState::Down
            | ConnectionState::Queued { .. } => {
                self.retry.reason = Some(reasons::connect_failed(why, None));
            }
        }
        // QR codes and pairing codes are valid on one connection only. The next connection offers
        // and requests new ones.
        if let Some(pairing) = &mut self.pairing {
            pairing.restart();
        }
        // WhatsApp does not answer an unlink request on another connection.
        if self.unlink.as_ref().is_some_and(|unlink| unlink.sent) {
            self.unlink_failed("the connection was lost");
        }
    }

    /// Checks whether the connection is alive. The engine does not report every loss: on a network
    /// that drops all packets, it gives the connection up after up to 65 s without an event.
    pub(super) fn check_connection(&mut self, now: Instant) {
        let Some(handle) = self.connection.as_mut().filter(|handle| handle.next_check <= now)
        else {
            return;
        };
        handle.next_check = now + CHECK_INTERVAL;
        let Some(client) = handle.client.upgrade() else { return };
        let connected = client.is_connected();
        let silence_left = remaining_silence(client.stats().last_data_received_ms);
        if !connected && handle.inner.waits_needlessly() {
            return self.on_engine_stopped(EngineExit::Stopped(CONNECTION_LOST.to_owned()));
        }
        match handle.state {
            ConnectionState::Up if !connected => {
                self.on_disconnected(CONNECTION_LOST.to_owned(), ReconnectReason::Closed);
            }
            ConnectionState::Up if silence_left.is_zero() => self.on_silence(),
            ConnectionState::Up => handle.next_check = now + CHECK_INTERVAL.min(silence_left),
            ConnectionState::Reconnecting(..) | ConnectionState::Down
                if connected && client.is_logged_in() && !silence_left.is_zero() =>
            {
                self.on_connected();
            }
            // A published code belongs to a connection that was open.
            ConnectionState::Connecting(_)
                if !connected && self.pairing.as_ref().is_some_and(PairingAttempt::is_visible) =>
            {
                self.on_disconnected(CONNECTION_LOST.to_owned(), ReconnectReason::Closed);
            }
            _ => {}
        }
    }

    /// Handles a silence longer than [`MAX_SILENCE`]: publishes the loss at once, without the delay
    /// for short drops in [`super::status`].
    fn on_silence(&mut self) {
        self.on_disconnected(CONNECTION_LOST.to_owned(), ReconnectReason::Silent);
        self.set_connection_state(ConnectionState::Down);
        self.retry.reason = Some(reasons::connect_failed(CONNECTION_LOST.to_owned(), None));
    }

    fn on_rejected(&mut self, reason: Reason) {
        self.begin_closing();
        // for an unlink only; the hold or the end of pairing stops other connections
        self.schedule_retry();
        if self.identity().is_some() {
            self.hold = Some(Hold::Rejected);
            self.closed_status = Some((Status::Failed, reason));
        } else {
            self.end_pairing(Status::Failed, reason);
        }
    }

    async fn on_unlinked(&mut self, message: String) {
        if self.unlink.is_some() {
            return self.unlinked_by_owner().await;
        }
        if self.identity().is_none() {
            return self.end_pairing(Status::Failed, reasons::link_failed(&message));
        }
        // Without the void keys, a new pairing can start.
        self.discard_keys().await;
        self.closed_status = Some((Status::Failed, reasons::logged_out_by_phone(message)));
    }

    /// Handles an engine that ended on its own; the next reconciliation decides what follows.
    fn on_engine_stopped(&mut self, end: EngineExit) {
        let was_up = self.connection.as_ref().is_some_and(ConnectionHandle::has_no_drop);
        self.begin_closing();
        match end {
            EngineExit::Crashed => {
                self.hold = Some(Hold::Crashed);
                self.closed_status = Some((Status::Failed, reasons::crashed()));
            }
            EngineExit::Stopped(why) => {
                if was_up {
                    count_reconnect(ReconnectReason::EngineStopped);
                }
                let at = self.schedule_retry();
                self.retry.reason = Some(reasons::connect_failed(why, Some(at)));
            }
        }
        if let Some(pairing) = &mut self.pairing {
            pairing.restart();
        }
    }

    /// Schedules the next connection and returns its time in Unix milliseconds.
    fn schedule_retry(&mut self) -> i64 {
        let wait = backoff(self.retry.failures);
        self.retry.failures = self.retry.failures.saturating_add(1);
        self.retry.at = Some(Instant::now() + wait);
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        wacore::time::now_millis().saturating_add(wait)
    }
}

/// Returns how long a connection may still be silent. `last_received_ms` is Unix milliseconds; 0 if
/// no data has arrived.
fn remaining_silence(last_received_ms: u64) -> Duration {
    if last_received_ms == 0 {
        return MAX_SILENCE;
    }
    let now = u64::try_from(wacore::time::now_millis()).unwrap_or(0);
    MAX_SILENCE.saturating_sub(Duration::from_millis(now.saturating_sub(last_received_ms)))
}

/// Returns 1, 2, 4 … s, at most [`MAX_RETRY_INTERVAL`], with ±10 % of jitter.
fn backoff(failures: u32) -> Duration {
    let base = Duration::from_secs(1 << failures.min(10)).min(MAX_RETRY_INTERVAL);
    base.mul_f64(rand::rng().random_range(0.9..1.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_silence_counts_from_the_last_byte() {
        let now = u64::try_from(wacore::time::now_millis()).unwrap();
        assert_eq!(remaining_silence(0), MAX_SILENCE, "no data yet");
        let left = remaining_silence(now - 40_000);
        assert!(left > Duration::from_secs(6) && left <= Duration::from_secs(8), "{left:?}");
        assert!(remaining_silence(now - 48_000).is_zero());
        assert_eq!(remaining_silence(now + 1_000_000), MAX_SILENCE, "the clock was set back");
    }
}
