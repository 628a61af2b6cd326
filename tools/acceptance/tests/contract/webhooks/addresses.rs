//! Addresses that are not public are never dialled, in no spelling and behind no name.
//!
//! The test runs in a network namespace in which every address is local: a receiver sees each
//! connection to any of them, and no packet leaves. Decision: ADR 0039.

mod names;
mod spellings;

use acceptance::{
    deployment::{Deployment, fresh_with},
    name_server::NameServer,
    namespace::{NAME_SERVER, isolated},
    webhook::{WEBHOOKS, Webhook},
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use testbed::{
    client::Api,
    options::DatabaseKind,
    receiver::{Answer, Receiver},
    sessions::Owned,
};

use super::PROMPT;

mod forbidden_addresses_are_never_dialled {
    /// The database takes no part in the decision, so one is enough.
    #[test]
    fn sqlite() -> anyhow::Result<()> {
        let name = "webhooks::addresses::forbidden_addresses_are_never_dialled::sqlite";
        super::isolated(name, super::run)
    }
}

/// What the operator allows in this test: no loopback and no metadata address.
const ALLOWED: &str = "10.9.0.0/16,allowed.test:80";
/// A public address; inside the namespace the receiver has it.
const PUBLIC: &str = "93.184.216.34";
const PUBLIC_V6: &str = "2606:4700::1111";

fn run() -> Result<()> {
    let settings = [("BERTH_WEBHOOK_ALLOW", ALLOWED.to_owned())];
    fresh_with(DatabaseKind::Sqlite, "contract-addresses", &settings, |deployment| {
        let watch = Watch::start()?;
        let api = deployment.organization()?.api;
        watch.check_reachable(&api)?;
        watch.check_forbidden(&api)?;
        watch.check_update(&api)?;
        watch.check_redirects(&api)?;
        watch.check_names_that_change(deployment)
    })
}

/// Receivers on every address of the namespace, at the ports of http and https, and the name server.
struct Watch {
    http: Receiver,
    https: Receiver,
    names: NameServer,
}

impl Watch {
    fn start() -> Result<Self> {
        let every = |port| Receiver::listen(([0_u16; 8], port).into());
        let names = NameServer::start(NAME_SERVER, names::zone())?;
        Ok(Self { http: every(80)?, https: every(443)?, names })
    }

    /// Forgets and returns the addresses that were dialled.
    fn dialled(&self) -> Vec<String> {
        let all = [&self.http, &self.https].map(|receiver| {
            let dialled = receiver.connections();
            receiver.clear();
            dialled
        });
        all.concat().iter().map(|address| address.ip().to_string()).collect()
    }

    /// The receivers would see a forbidden connection: public and allowed addresses are dialled.
    fn check_reachable(&self, api: &Api) -> Result<()> {
        for (url, address) in [
            (format!("http://{PUBLIC}/"), PUBLIC),
            (format!("http://[{PUBLIC_V6}]/"), PUBLIC_V6),
            (format!("http://[64:ff9b::{PUBLIC}]/"), "64:ff9b::5db8:d822"),
            ("http://10.9.0.1/".to_owned(), "10.9.0.1"),
            ("http://public.test/".to_owned(), PUBLIC),
            ("http://PUBLIC.test./".to_owned(), PUBLIC),
            ("http://alias-of-public.test/".to_owned(), PUBLIC),
            ("http://allowed.test/".to_owned(), "127.0.0.1"),
        ] {
            let webhook =
                Webhook::create(api, &url, json!({ "active": false })).context(url.clone())?;
            let ping = webhook.act(":ping")?;
            ensure!(ping["outcome"] == "2xx", "{url}: {ping}");
            let dialled = self.dialled();
            ensure!(dialled == [address], "{url} dials {dialled:?}");
            api.delete(&webhook.path(""))?.expect(204)?;
        }
        Ok(())
    }

    /// Every URL is refused, or reported as blocked, and nothing is dialled.
    fn check_forbidden(&self, api: &Api) -> Result<()> {
        let (mut refused, mut blocked) = (0, 0);
        let literals = spellings::ALL.iter().map(|url| ((*url).to_owned(), false));
        let names = names::FORBIDDEN.iter().map(|name| (format!("http://{name}/"), true));
        for (url, is_name) in literals.chain(names) {
            if is_refused(api, &url, is_name).with_context(|| url.clone())? {
                refused += 1;
            } else {
                blocked += 1;
            }
            let dialled = self.dialled();
            ensure!(dialled.is_empty(), "{url} dials {dialled:?}");
        }
        println!("          {refused} URLs refused, {blocked} blocked");
        ensure!(refused + blocked >= 60, "the table is too short");
        for name in names::FORBIDDEN {
            let name = name.split(':').next().unwrap_or_default().trim_end_matches('.');
            let name = name.to_ascii_lowercase();
            let is_asked = name == "localhost" || self.names.lookups(&name) > 0;
            ensure!(is_asked, "{name} was not looked up");
        }
        Ok(())
    }

    fn check_update(&self, api: &Api) -> Result<()> {
        let webhook =
            Webhook::create(api, &format!("http://{PUBLIC}/"), json!({ "active": false }))?;
        for url in ["http://127.0.0.1/", "http://[::ffff:10.0.0.1]/", "http://loopback.test/"] {
            let reply = webhook.patch(&json!({ "url": url }))?;
            reply.expect_error(400, "validation_error").context(url)?;
        }
        ensure!(webhook.view()?["version"] == 1, "{}", webhook.view()?);
        api.delete(&webhook.path(""))?.expect(204)?;
        let dialled = self.dialled();
        ensure!(dialled.is_empty(), "an update dials {dialled:?}");
        Ok(())
    }

    /// A redirect to a forbidden address is a failure and is not followed.
    fn check_redirects(&self, api: &Api) -> Result<()> {
        let webhook =
            Webhook::create(api, &format!("http://{PUBLIC}/"), json!({ "active": false }))?;
        for (code, to) in [
            (301, "http://169.254.169.254/latest/meta-data/"),
            (302, "http://127.0.0.1/"),
            (303, "//10.0.0.1/"),
            (307, "http://[::1]/"),
            (308, "http://loopback.test/"),
        ] {
            self.http.answer(move |_| Answer::with_header(code, "Location", to));
            let ping = webhook.act(":ping")?;
            ensure!(ping["outcome"] == "3xx" && ping["status"] == code, "{to}: {ping}");
            let dialled = self.dialled();
            ensure!(dialled.iter().all(|address| address == PUBLIC), "{to} dials {dialled:?}");
        }
        self.http.answer(|_| Answer::status(204));
        api.delete(&webhook.path(""))?.expect(204).map(drop)
    }

    /// Names that are public or missing at the creation and forbidden later. A restart forgets the
    /// addresses of the first look-up.
    fn check_names_that_change(&self, deployment: &mut Deployment) -> Result<()> {
        let api = deployment.organization()?.api;
        let fields = json!({ "events": ["session.created"] });
        let create = |name: &str| Webhook::create(&api, &format!("http://{name}/"), fields.clone());
        let (rebound, late, flipping) =
            (create("rebound.test")?, create("late.test")?, create("flipping.test")?);
        deployment.stack.stop_berth()?;
        deployment.stack.start_berth()?;
        let dialled = self.dialled();
        ensure!(dialled.is_empty(), "a creation dials {dialled:?}");
        for webhook in [&rebound, &late] {
            let ping = webhook.act(":ping")?;
            ensure!(ping["outcome"] == "blocked" && ping["status"].is_null(), "{ping}");
        }
        let dialled = self.dialled();
        ensure!(dialled.is_empty(), "a name that was rebound dials {dialled:?}");
        // The address that was judged is the one that is dialled: the next look-up has another.
        let ping = flipping.act(":ping")?;
        ensure!(ping["outcome"] == "2xx", "{ping}");
        Owned::create(&api, "makes an event")?;
        for webhook in [&rebound, &late] {
            let state = webhook.until("an attempt is blocked", |state| state["failed"] != 0)?;
            ensure!(state["lastError"] == "blocked" && state["delivered"] == 0, "{state}");
            let attempts = webhook.all("/attempts")?;
            let is_blocked = |attempt: &Value| attempt["outcome"] == "blocked";
            ensure!(!attempts.is_empty() && attempts.iter().all(is_blocked), "{attempts:?}");
        }
        self.http.until("the event arrives", PROMPT, |all| all.len() >= 2)?;
        let dialled = self.dialled();
        ensure!(!dialled.is_empty(), "nothing is dialled");
        ensure!(dialled.iter().all(|address| address == PUBLIC), "the names dial {dialled:?}");
        Ok(())
    }
}

/// Returns whether the URL is refused; otherwise a request to it is blocked. A refusal of a name does
/// not tell the addresses of the name.
fn is_refused(api: &Api, url: &str, is_name: bool) -> Result<bool> {
    let reply = api.post(WEBHOOKS, &json!({ "url": url, "active": false }))?;
    match reply.status {
        201 => {
            let id = reply.json()["id"].as_str().context("an id")?.to_owned();
            let webhook = Webhook { api: api.clone(), id };
            let ping = webhook.act(":ping")?;
            ensure!(ping["outcome"] == "blocked", "it is accepted: {ping}");
            api.delete(&webhook.path(""))?.expect(204)?;
            Ok(false)
        }
        400 => {
            let fields = &reply.json()["error"]["details"]["fields"];
            ensure!(fields[0]["pointer"] == "/url" && fields[1].is_null(), "{fields}");
            let reason = fields[0]["reason"].as_str().unwrap_or_default();
            let tells = reason.contains(|letter: char| letter.is_ascii_digit());
            ensure!(!is_name || !tells, "the reason tells an address: {reason}");
            Ok(true)
        }
        status => bail!("{status}: {}", String::from_utf8_lossy(&reply.body)),
    }
}
