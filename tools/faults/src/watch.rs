//! The state of a session as its owner, its phone and the operator see it, compared with the real
//! state.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use testbed::{
    phones::{Device, Phone},
    sessions::{Owned, path, path_of},
    stack::Stack,
    wait,
};

const POLL: Duration = Duration::from_millis(150);
/// Number of consecutive samples that make a stable state.
const STEADY: usize = 4;
/// Attempts for an answer that contradicts itself.
const AGAIN: usize = 4;

/// A linked session with its phone and its deployment.
#[derive(Debug)]
pub(crate) struct Watched<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) session: Owned,
    phone: Phone,
    device: u64,
}

/// The real state during a fault, after the deadlines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    /// Whether the router is ready.
    pub(crate) ready: bool,
    pub(crate) connection: Connection,
    /// Whether the router reaches the node.
    pub(crate) node_answers: bool,
}

/// The state of the session's connection to WhatsApp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// The fault does not affect the connection.
    Held,
    /// The node has closed the connection, because its lease has ended.
    Closed,
    /// The connection is unusable, whatever the network shows.
    Dead,
}

/// The visible state at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sample {
    /// Status of the session; `None` when the API answers 503.
    status: Option<String>,
    /// Status and connection in `/me`; `None` when the API answers 503.
    identity: Option<(String, bool)>,
    ready: bool,
    /// Whether the phone shows the device as connected.
    connected: bool,
}

impl<'a> Watched<'a> {
    /// Links the session to a new phone.
    pub(crate) fn link(stack: &'a Stack, session: Owned) -> Result<Self> {
        let phone = stack.phones.new_phone("Watched")?;
        let view = session.link(&phone)?;
        let device = view["deviceId"].as_u64().context("a linked session has a device id")?;
        Ok(Self { stack, session, phone, device })
    }

    /// Returns the phone of the session.
    pub(crate) fn phone(&self) -> &Phone {
        &self.phone
    }

    /// Samples until the deadline, and then requires several true samples. A sample that must never
    /// occur fails at once.
    pub(crate) fn must_become_true(&self, truth: Truth, within: Duration) -> Result<()> {
        let began = Instant::now();
        let mut last = self.sample()?;
        while began.elapsed() < within {
            thread::sleep(POLL);
            last = self.sample()?;
        }
        for _ in 0..STEADY {
            if let Some(wrong) = last.falsehood(truth) {
                bail!("{wrong}, {} s after the fault: {last:?}", began.elapsed().as_secs());
            }
            thread::sleep(POLL);
            last = self.sample()?;
        }
        Ok(())
    }

    /// Waits until the session works for everybody in several consecutive samples.
    pub(crate) fn must_recover(&self, within: Duration) -> Result<()> {
        let mut good = 0;
        wait::until("the session works again for everybody", within, || {
            let sample = self.sample()?;
            good = if sample.works() { good + 1 } else { 0 };
            ensure!(good > 0, "{sample:?}; {}", self.session.view()?);
            Ok((good >= STEADY).then_some(()))
        })
    }

    /// Takes a sample; an error when the link is lost, or an answer contradicts itself repeatedly.
    fn sample(&self) -> Result<Sample> {
        let sample = self.sample_once()?;
        if sample.contradicts_itself() {
            for _ in 0..AGAIN {
                thread::sleep(POLL);
                let again = self.sample_once()?;
                if !again.contradicts_itself() {
                    return Ok(again);
                }
            }
            bail!("`/me` contradicts the status: {sample:?}");
        }
        Ok(sample)
    }

    fn sample_once(&self) -> Result<Sample> {
        let view = self.asked(&path(&self.session.id))?;
        if let Some(view) = &view {
            let linked = view["deviceId"] == self.device && view["desired"] == "running";
            ensure!(linked, "the link is lost: {view}");
        }
        let identity = self.asked(&path_of(&self.session.id, "/me"))?;
        let devices = self.phone.devices()?;
        let [Device { id, connected }] = devices[..] else {
            bail!("the phone shows {devices:?}");
        };
        ensure!(id == self.device, "the phone shows another device: {devices:?}");
        Ok(Sample {
            status: view.map(|view| text(&view["status"])),
            identity: identity.map(|me| (text(&me["status"]), me["connected"] == true)),
            ready: self.stack.operator.get("/readyz")?.status == 200,
            connected,
        })
    }

    /// Returns the answer; `None` for 503 with `Retry-After`.
    fn asked(&self, path: &str) -> Result<Option<Value>> {
        let reply = self.session.api.get(path)?;
        if reply.status == 503 {
            ensure!(reply.header("retry-after").is_some(), "503 without Retry-After: {path}");
            return Ok(None);
        }
        Ok(Some(reply.expect(200).with_context(|| path.to_owned())?.json()))
    }
}

impl Sample {
    fn works(&self) -> bool {
        self.status.as_deref() == Some("working")
            && self.identity == Some(("working".to_owned(), true))
            && self.ready
            && self.connected
    }

    /// Returns whether `/me` reports a connection of a session that does not work.
    fn contradicts_itself(&self) -> bool {
        self.identity.as_ref().is_some_and(|(status, connected)| *connected && status != "working")
    }

    /// Returns the difference between the sample and the real state.
    fn falsehood(&self, truth: Truth) -> Option<String> {
        let connected = match truth.connection {
            Connection::Held if !self.connected => {
                return Some("the connection is closed".to_owned());
            }
            Connection::Closed if self.connected => {
                return Some("the node keeps its connection".to_owned());
            }
            Connection::Held => true,
            Connection::Closed | Connection::Dead => false,
        };
        if self.ready != truth.ready {
            let not = if truth.ready { "not " } else { "" };
            return Some(format!("`/readyz` shows that the router is {not}ready"));
        }
        if let Some(status) = &self.status
            && (status == "working") != connected
        {
            return Some(format!("the status is {status}"));
        }
        let (status, says) = self.identity.as_ref()?;
        if (status == "working") != connected {
            return Some(format!("the status in `/me` is {status}"));
        }
        (*says != connected && (*says || truth.node_answers))
            .then(|| format!("`/me` shows connected: {says}"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Truth = Truth { ready: true, connection: Connection::Held, node_answers: true };
    const CLOSED: Truth = Truth { connection: Connection::Closed, ..WHOLE };
    const DEAD: Truth = Truth { connection: Connection::Dead, ..WHOLE };

    fn sample(status: &str, me: (&str, bool), connected: bool) -> Sample {
        let identity = Some((me.0.to_owned(), me.1));
        Sample { status: Some(status.to_owned()), identity, ready: true, connected }
    }

    #[test]
    fn sample_is_compared_with_the_real_state() {
        let working = sample("working", ("working", true), true);
        let failed = sample("failed", ("failed", false), false);
        assert_eq!(working.falsehood(WHOLE), None);
        assert!(working.falsehood(Truth { ready: false, ..WHOLE }).is_some());
        assert!(working.falsehood(DEAD).is_some());
        assert_eq!((failed.falsehood(CLOSED), failed.falsehood(DEAD)), (None, None));
        assert!(sample("working", ("working", true), false).falsehood(CLOSED).is_some());
        assert!(sample("failed", ("working", false), false).falsehood(CLOSED).is_some());
        assert!(sample("failed", ("failed", true), true).contradicts_itself());
    }

    #[test]
    fn fault_without_its_effect_is_noticed() {
        assert!(sample("failed", ("failed", false), false).falsehood(WHOLE).is_some());
        assert!(sample("failed", ("failed", false), true).falsehood(CLOSED).is_some());
    }

    #[test]
    fn unreachable_node_may_hide_its_connection() {
        let unasked = sample("working", ("working", false), true);
        assert!(unasked.falsehood(WHOLE).is_some());
        assert_eq!(unasked.falsehood(Truth { node_answers: false, ..WHOLE }), None);
    }

    #[test]
    fn unavailable_answer_is_not_false() {
        let silent = Sample { status: None, identity: None, ready: false, connected: false };
        assert_eq!(silent.falsehood(Truth { ready: false, ..CLOSED }), None);
        assert!(!silent.works());
    }
}
