//! What a session's owner, its phone and the operator see of it, compared with what is so.

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

const GLANCE: Duration = Duration::from_millis(150);
/// So many looks in a row make a state that lasts.
const STEADY: usize = 4;
/// So often an answer that contradicts itself is asked for again before it counts.
const AGAIN: usize = 4;

/// A linked session, and everybody who sees it.
#[derive(Debug)]
pub(crate) struct Watched<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) session: Owned,
    phone: Phone,
    device: u64,
}

/// What is so while something is broken, once the deadlines have passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    /// Whether the router can do its work.
    pub(crate) ready: bool,
    pub(crate) connection: Connection,
    /// Whether the router can ask the node.
    pub(crate) node_answers: bool,
}

/// What has become of a session's connection to WhatsApp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// The fault does not concern it.
    Held,
    /// The node has closed it, having no lease.
    Closed,
    /// Nothing can come of it, whatever the network shows.
    Dead,
}

/// What is shown at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sample {
    /// `None` when the API cannot say.
    status: Option<String>,
    /// The status and the connection that `/me` tells of; `None` when the API cannot say.
    identity: Option<(String, bool)>,
    ready: bool,
    /// Whether the phone shows the device connected.
    connected: bool,
}

impl<'a> Watched<'a> {
    /// Links a session of this owner.
    pub(crate) fn link(stack: &'a Stack, session: Owned) -> Result<Self> {
        let phone = stack.phones.new_phone("Watched")?;
        let view = session.link(&phone)?;
        let device = view["deviceId"].as_u64().context("a linked session has a device id")?;
        Ok(Self { stack, session, phone, device })
    }

    /// Looks until `truth` has had so long to show, then some more, when everything shown must be true.
    /// What must never be seen fails at once.
    pub(crate) fn must_become_true(&self, truth: Truth, within: Duration) -> Result<()> {
        let began = Instant::now();
        let mut last = self.sample()?;
        while began.elapsed() < within {
            thread::sleep(GLANCE);
            last = self.sample()?;
        }
        for _ in 0..STEADY {
            if let Some(wrong) = last.falsehood(truth) {
                bail!("{wrong}, {} s after the fault: {last:?}", began.elapsed().as_secs());
            }
            thread::sleep(GLANCE);
            last = self.sample()?;
        }
        Ok(())
    }

    /// Waits until it works for everybody, and keeps working.
    pub(crate) fn must_recover(&self, within: Duration) -> Result<()> {
        let mut good = 0;
        wait::until("everything works again", within, || {
            let sample = self.sample()?;
            good = if sample.works() { good + 1 } else { 0 };
            ensure!(good > 0, "{sample:?}; {}", self.session.view()?);
            Ok((good >= STEADY).then_some(()))
        })
    }

    /// Looks once; an error is what must be at no time: something is lost, unlinked or contradicts itself.
    fn sample(&self) -> Result<Sample> {
        let sample = self.sample_once()?;
        if sample.contradicts_itself() {
            for _ in 0..AGAIN {
                thread::sleep(GLANCE);
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

    /// What is answered; `None` when the API says that it cannot say now.
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

    /// Whether one answer says that the session is connected and that it is not.
    fn contradicts_itself(&self) -> bool {
        self.identity.as_ref().is_some_and(|(status, connected)| *connected && status != "working")
    }

    /// What is shown and not so.
    fn falsehood(&self, truth: Truth) -> Option<String> {
        let connected = match truth.connection {
            Connection::Held if !self.connected => {
                return Some("the connection is gone".to_owned());
            }
            Connection::Closed if self.connected => return Some("the node holds on".to_owned()),
            Connection::Held => true,
            Connection::Closed | Connection::Dead => false,
        };
        if self.ready != truth.ready {
            let not = if truth.ready { "not " } else { "" };
            return Some(format!("`/readyz` says that the router is {not}ready"));
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
            .then(|| format!("`/me` says connected: {says}"))
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
    fn what_is_shown_is_true_or_false() {
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
    fn a_fault_has_the_effect_that_it_must_have() {
        assert!(sample("failed", ("failed", false), false).falsehood(WHOLE).is_some());
        assert!(sample("failed", ("failed", false), true).falsehood(CLOSED).is_some());
    }

    #[test]
    fn a_node_that_cannot_be_asked_is_not_known_to_be_connected() {
        let unasked = sample("working", ("working", false), true);
        assert!(unasked.falsehood(WHOLE).is_some());
        assert_eq!(unasked.falsehood(Truth { node_answers: false, ..WHOLE }), None);
    }

    #[test]
    fn what_cannot_be_said_is_not_false() {
        let silent = Sample { status: None, identity: None, ready: false, connected: false };
        assert_eq!(silent.falsehood(Truth { ready: false, ..CLOSED }), None);
        assert!(!silent.works());
    }
}
