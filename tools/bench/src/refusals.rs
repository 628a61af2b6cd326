//! The comparisons of response times: a deployment with two organizations, one with sessions,
//! webhooks and keys, and one that requests them.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use testbed::{
    client::{Api, Credential},
    http,
    random::Random,
    sessions::{SESSIONS, path, path_of},
    stack::Stack,
};

use crate::{
    Setup,
    connection::request,
    forged,
    paired_requests::{Kind, PairedRequests},
};

/// Number of sessions, and of unused ids.
pub(crate) const NAMES: usize = 1_000;
/// Number of webhooks, and of unused ids; the default quota of an organization.
pub(crate) const WEBHOOKS: usize = 20;
/// Number of positions of events, and of unused ones; one page of the audit log.
pub(crate) const EVENTS: usize = 200;
/// Number of keys of each kind.
pub(crate) const KEYS: usize = 100;
const API_KEYS: &str = "/api/v1/api-keys";
const WEBHOOK_LIST: &str = "/api/v1/webhooks";
/// Lifetime of the keys that must expire.
const SHORT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(500);

/// The expected result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// No difference. A difference breaks a guarantee.
    Same,
    /// A difference, which shows that differences are measurable.
    Differs,
    /// Either result.
    None,
}

/// A deployment with two organizations.
pub(crate) struct Deployment {
    /// The programs.
    pub(crate) stack: Stack,
    /// Address of the public listener.
    pub(crate) address: SocketAddr,
    owner: Api,
    other_client: Api,
}

/// Pairs for each comparison: for major and for minor ones.
#[derive(Clone, Copy)]
struct Pairs {
    many: usize,
    few: usize,
}

impl Deployment {
    pub(crate) fn start(setup: &Setup, name: &str, database: Option<String>) -> Result<Self> {
        let stack = Stack::start(&setup.programs, name, setup.scratch.path(), database, &[])?;
        let client = |organization: &str| -> Result<Api> {
            Ok(stack.api.with_credential(Some(stack.key(organization, &["manage"])?)))
        };
        let (owner, other_client) = (client("owner")?, client("stranger")?);
        let address = http::address(stack.api.base())?;
        Ok(Self { stack, address, owner, other_client })
    }

    /// Returns the comparisons. Keys of the other deployment are well-formed and unknown here.
    pub(crate) fn comparisons(
        &self,
        other: &Self,
        pairs: usize,
    ) -> Result<Vec<(PairedRequests, Expectation)>> {
        let pairs = Pairs { many: pairs, few: (pairs / 10).max(1) };
        let mut comparisons = self.about_sessions(pairs)?;
        comparisons.push((self.about_named_keys(pairs)?, Expectation::Same));
        comparisons.extend(self.about_webhooks(pairs)?);
        comparisons.push((self.about_positions(pairs)?, Expectation::Same));
        comparisons.extend(self.about_shown_keys(other, pairs)?);
        Ok(comparisons)
    }

    fn about_sessions(&self, pairs: Pairs) -> Result<Vec<(PairedRequests, Expectation)>> {
        println!("    creating {NAMES} sessions of each organization");
        let (mut foreign, mut own) = (Vec::new(), Vec::new());
        for _ in 0..NAMES {
            // In turns, so that both organizations' ids have the same age.
            foreign.push(made(&self.owner, SESSIONS, &json!({ "label": "foreign" }))?);
            own.push(made(&self.other_client, SESSIONS, &json!({ "label": "own" }))?);
        }
        let mut random = Random::new()?;
        let [unused, others] = [0; 2].map(|_| random.unused_ids(&foreign));
        let ask = |method: &str, ids: &[String], what: &str, status| {
            let path = |id: &String| path_of(id, what);
            self.by_other(method, ids.iter().map(path), status)
        };
        let get = |ids: &[String]| ask("GET", ids, "", 404);
        let refused = |method: &str, what: &str| {
            let kinds = [ask(method, &foreign, what, 404), ask(method, &unused, what, 404)];
            let name =
                format!("`{method} …{what}` of another organization's session and a missing one");
            (paired_requests(&name, kinds, pairs.few), Expectation::Same)
        };
        let plain = [ask("GET", &own, "", 200), get(&unused)];
        Ok(vec![
            (paired_requests("own session and none", plain, pairs.many), Expectation::Differs),
            (
                paired_requests("no session and none", [get(&others), get(&unused)], pairs.many),
                Expectation::Same,
            ),
            (
                paired_requests(
                    "another organization's session and none",
                    [get(&foreign), get(&unused)],
                    pairs.many,
                ),
                Expectation::Same,
            ),
            refused("DELETE", ""),
            refused("POST", ":stop"),
        ])
    }

    fn about_named_keys(&self, pairs: Pairs) -> Result<PairedRequests> {
        let key = json!({ "name": "named", "capabilities": ["manage"] });
        let foreign = (0..KEYS).map(|_| made(&self.owner, API_KEYS, &key));
        let foreign: Vec<_> = foreign.collect::<Result<_>>()?;
        let unused = Random::new()?.unused_ids(&foreign);
        let kinds = [foreign, unused].map(|ids| {
            let paths = ids.iter().map(|id| format!("{API_KEYS}/{id}"));
            self.by_other("GET", paths, 404)
        });
        Ok(paired_requests("another's key by its name and none", kinds, pairs.few))
    }

    fn about_webhooks(&self, pairs: Pairs) -> Result<Vec<(PairedRequests, Expectation)>> {
        // An inactive webhook sends nothing.
        let webhook = json!({ "url": "https://receiver.example/", "active": false });
        let foreign = (0..WEBHOOKS).map(|_| made(&self.owner, WEBHOOK_LIST, &webhook));
        let foreign: Vec<_> = foreign.collect::<Result<_>>()?;
        let unused = Random::new()?.unused_ids(&foreign);
        let about = |what: &str| {
            let kinds = [&foreign, &unused].map(|ids| {
                let paths = ids.iter().map(|id| format!("{WEBHOOK_LIST}/{id}{what}"));
                self.by_other("GET", paths, 404)
            });
            let name = format!("`GET …{what}` of another organization's webhook and a missing one");
            (paired_requests(&name, kinds, pairs.few), Expectation::Same)
        };
        Ok(vec![about(""), about("/state")])
    }

    /// The events that the sessions of the other organization made.
    fn about_positions(&self, pairs: Pairs) -> Result<PairedRequests> {
        let log = self.owner.get(&format!("/api/v1/audit?limit={EVENTS}"))?.expect(200)?.json();
        let events = log["data"].as_array().context("no list of events")?;
        let foreign = events.iter().map(|event| event["id"].as_str().map(str::to_owned));
        let foreign: Vec<_> = foreign.collect::<Option<_>>().context("an event without an id")?;
        ensure!(foreign.len() == EVENTS, "{} events instead of {EVENTS}", foreign.len());
        let unused = Random::new()?.unused_ids(&foreign);
        let kinds = [foreign, unused].map(|ids| {
            let paths = ids.iter().map(|id| format!("/api/v1/events?after={id}"));
            self.by_other("GET", paths, 410)
        });
        Ok(paired_requests("another organization's event position and none", kinds, pairs.few))
    }

    fn about_shown_keys(
        &self,
        other: &Self,
        pairs: Pairs,
    ) -> Result<Vec<(PairedRequests, Expectation)>> {
        println!("    creating {KEYS} keys of each kind");
        let Keys { revoked, expired, live, unknown } = self.keys(other)?;
        let wrong =
            live.iter().zip(&unknown).map(|(key, other)| forged::with_secret_of(key, other));
        let wrong: Vec<_> = wrong.collect::<Result<_>>()?;
        let typos: Vec<_> = unknown.iter().map(|key| forged::mistyped(key)).collect();
        let with_unknown = |name: &str, keys: &[String], pairs| {
            let kind = |keys: &[String]| Kind {
                requests: keys.iter().map(|key| self.by_key(key)).collect(),
                status: 401,
            };
            paired_requests(
                &format!("{name} and an unknown key"),
                [kind(keys), kind(&unknown)],
                pairs,
            )
        };
        let in_use = PairedRequests {
            used: live.iter().map(|key| self.by_key(key)).collect(),
            ..with_unknown("a wrong secret of a key in use", &wrong, pairs.few)
        };
        Ok(vec![
            (with_unknown("a revoked", &revoked, pairs.many), Expectation::Same),
            (with_unknown("an expired", &expired, pairs.few), Expectation::Same),
            (in_use, Expectation::Same),
            (with_unknown("a mistyped (it may differ)", &typos, pairs.few), Expectation::None),
        ])
    }

    fn keys(&self, other: &Self) -> Result<Keys> {
        let expiry = SystemTime::UNIX_EPOCH.elapsed()? + SHORT;
        let expiry = i64::try_from(expiry.as_millis())?;
        let plain = json!({ "name": "k", "capabilities": ["manage"] });
        let short = json!({ "name": "k", "capabilities": ["manage"], "expiresAt": expiry });
        let mut keys = Keys::default();
        for _ in 0..KEYS {
            // In turns, so that all kinds have the same age.
            let (id, text) = new_key(&self.owner, &plain)?;
            self.owner.delete(&format!("{API_KEYS}/{id}"))?.expect(204)?;
            keys.revoked.push(text);
            keys.unknown.push(new_key(&other.owner, &plain)?.1);
            keys.live.push(new_key(&self.owner, &plain)?.1);
            keys.expired.push(new_key(&self.owner, &short)?.1);
        }
        for key in &keys.expired {
            self.until_refused(key)?;
        }
        Ok(keys)
    }

    fn by_other(&self, method: &str, paths: impl Iterator<Item = String>, status: u16) -> Kind {
        let credential = self.other_client.credential();
        let ask = |path: String| request(method, self.address, &path, credential);
        Kind { requests: paths.map(ask).collect(), status }
    }

    /// Returns a request with this key for a session. The existence of the session does not matter,
    /// because authentication comes first.
    fn by_key(&self, key: &str) -> Vec<u8> {
        let key = Credential::Key(key.to_owned());
        request("GET", self.address, &path("sess_01JGXS1DN00000000000000001"), Some(&key))
    }

    fn until_refused(&self, key: &str) -> Result<()> {
        let caller = self.stack.api.with_credential(Some(Credential::Key(key.to_owned())));
        let patience = Instant::now() + 2 * SHORT;
        while Instant::now() < patience {
            if caller.get(SESSIONS)?.status == 401 {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        bail!("a key did not expire")
    }
}

/// Complete keys of each kind.
#[derive(Default)]
struct Keys {
    revoked: Vec<String>,
    expired: Vec<String>,
    live: Vec<String>,
    unknown: Vec<String>,
}

fn paired_requests(name: &str, kinds: [Kind; 2], pairs: usize) -> PairedRequests {
    PairedRequests { name: name.to_owned(), kinds, used: Vec::new(), pairs }
}

/// Creates a key and returns id and text.
fn new_key(api: &Api, spec: &Value) -> Result<(String, String)> {
    let made = api.post(API_KEYS, spec)?.expect(201)?.json();
    let field = |name: &str| made[name].as_str().map(str::to_owned).context("not a key");
    Ok((field("id")?, field("key")?))
}

/// Creates an object and returns its id.
fn made(api: &Api, collection: &str, spec: &Value) -> Result<String> {
    let made = api.post(collection, spec)?.expect(201)?.json();
    let id = made["id"].as_str().context("the object has no id")?;
    ensure!(id.rsplit('_').next().is_some_and(|ulid| ulid.len() == 26), "not an id: {id}");
    Ok(id.to_owned())
}
