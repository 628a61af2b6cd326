//! `kill -9` of router, node or both while texts arrive and leave; then, at the full size, long
//! outages of each.
//!
//! Each inbound text is stored and told once, in the order of its chat. Each outbound text is accepted
//! once, is shown once by the phone of its receiver, in the order of its chat, and ends as sent.

mod inbound;
mod outages;
mod outbound;
mod paging;

use anyhow::{Context as _, Result, anyhow};
use testbed::{
    checks::Checks,
    client::Api,
    messenger::{Messenger, MessengerEnvironment},
    phones::{Phone, Phones},
    random::Random,
    stack::Victim,
};

use crate::{Extent, Plan, deployment::Deployment};

/// Phones that write to a session, or that the session writes to.
const CONTACTS: usize = 3;

/// Runs the suite.
pub(crate) fn run(plan: &Plan, checks: &mut Checks) -> Result<String> {
    let mut deployment = Deployment::start_with_stored_whatsapp(plan, "messages", &[])?;
    let received = inbound::run(plan, &mut deployment, checks);
    let received = received.with_context(|| format!("inbound texts\n{}", deployment.tail()))?;
    let sent = outbound::run(plan, &mut deployment, checks);
    let sent = sent.with_context(|| format!("outbound texts\n{}", deployment.tail()))?;
    let paged = paging::run(plan, &deployment, checks);
    let paged = paged.with_context(|| format!("pages\n{}", deployment.tail()))?;
    let mut sentence = format!("{received}; {sent}; {paged}");
    if plan.extent == Extent::Full {
        sentence.push_str("; ");
        sentence.push_str(&outages::run(plan, &mut deployment, checks));
    }
    Ok(sentence)
}

/// A session with its contacts.
struct MessengerWithContacts {
    messenger: Messenger,
    contacts: Vec<Phone>,
}

impl MessengerWithContacts {
    fn start(deployment: &Deployment, name: &str) -> Result<Self> {
        let messenger = Messenger::start(deployment, name)?;
        messenger.send_without_limits()?;
        let contact = |number| deployment.phones.new_phone(&format!("{name} {number}"));
        let contacts: Vec<_> = (0..CONTACTS).map(contact).collect::<Result<_>>()?;
        for contact in &contacts {
            messenger.send_text(contact, "first contact")?;
        }
        Ok(Self { messenger, contacts })
    }
}

/// Kills a random program, or both, and waits until everything runs again.
fn kill(
    plan: &Plan,
    deployment: &mut Deployment,
    random: &mut Random,
    (name, number): (&str, usize),
    checks: &mut Checks,
) {
    // The first three kills hit each victim.
    let victims = [Victim::Gateway, Victim::Berth, Victim::Both];
    let victim = victims.get(number).copied().unwrap_or_else(|| *random.choose(&victims));
    let name = format!("{}: {name}, kill {} of {victim}", plan.database.name(), number + 1);
    checks.check(&name, || {
        deployment.kill(victim)?;
        deployment.recover().map_err(|error| anyhow!("{error:#}\n{}", deployment.tail()))
    });
}

impl MessengerEnvironment for Deployment {
    fn messenger_api(&self) -> Result<Api> {
        let key = self.key("messages", &["read", "send", "manage"])?;
        Ok(self.api.with_credential(Some(key)))
    }

    fn phones(&self) -> &Phones {
        &self.phones
    }
}
