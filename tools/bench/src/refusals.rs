//! What is compared by the time of its answer: a deployment with two organizations, of which one has
//! sessions and keys and the other asks for them.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use testbed::{
    client::{Api, Credential},
    dice::Dice,
    exchange,
    sessions::{SESSIONS, path, path_of},
    stack::Stack,
};

use crate::{
    Stand,
    duel::{Duel, Kind},
    forged,
    line::request,
};

/// Sessions, and names of none: of each so many.
pub(crate) const NAMES: usize = 1_000;
/// Keys of each kind.
pub(crate) const KEYS: usize = 100;
const API_KEYS: &str = "/api/v1/api-keys";
/// How long a key lives that is to have expired.
const SHORT: Duration = Duration::from_secs(15);
const GLANCE: Duration = Duration::from_millis(500);

/// What a difference would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// A broken promise.
    Same,
    /// What shows that a difference can be seen.
    Differs,
    /// No matter.
    None,
}

/// The deployment.
pub(crate) struct Place {
    /// What runs.
    pub(crate) stack: Stack,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    owner: Api,
    stranger: Api,
}

/// Pairs a comparison: of those that matter most, and of the others.
#[derive(Clone, Copy)]
struct Pairs {
    many: usize,
    few: usize,
}

impl Place {
    pub(crate) fn start(stand: &Stand, name: &str, database: Option<String>) -> Result<Self> {
        let stack = Stack::start(&stand.programs, name, stand.scratch.path(), database, &[])?;
        let client = |organization: &str| -> Result<Api> {
            Ok(stack.api.asked_by(Some(stack.key(organization, &["manage"])?)))
        };
        let (owner, stranger) = (client("owner")?, client("stranger")?);
        let address = exchange::address(stack.api.base())?;
        Ok(Self { stack, address, owner, stranger })
    }

    /// Everything that is compared here. Keys of the other deployment are well made, and unknown here.
    pub(crate) fn duels(&self, other: &Self, pairs: usize) -> Result<Vec<(Duel, Promise)>> {
        let pairs = Pairs { many: pairs, few: (pairs / 10).max(1) };
        let mut duels = self.about_sessions(pairs)?;
        duels.push((self.about_named_keys(pairs)?, Promise::Same));
        duels.extend(self.about_shown_keys(other, pairs)?);
        Ok(duels)
    }

    fn about_sessions(&self, pairs: Pairs) -> Result<Vec<(Duel, Promise)>> {
        println!("    making {NAMES} sessions of either organization");
        let (mut foreign, mut own) = (Vec::new(), Vec::new());
        for _ in 0..NAMES {
            // In turns, so that the stranger's own lie among them.
            foreign.push(made(&self.owner, SESSIONS, &json!({ "label": "foreign" }))?);
            own.push(made(&self.stranger, SESSIONS, &json!({ "label": "own" }))?);
        }
        let mut dice = Dice::new()?;
        let [never, others] = [0; 2].map(|_| dice.never_as(&foreign));
        let ask = |method: &str, ids: &[String], what: &str, status| {
            let path = |id: &String| path_of(id, what);
            self.by_stranger(method, ids.iter().map(path), status)
        };
        let get = |ids: &[String]| ask("GET", ids, "", 404);
        let refused = |method: &str, what: &str| {
            let kinds = [ask(method, &foreign, what, 404), ask(method, &never, what, 404)];
            let name = format!("`{method} …{what}` of another's session and of none");
            (duel(&name, kinds, pairs.few), Promise::Same)
        };
        let plain = [ask("GET", &own, "", 200), get(&never)];
        Ok(vec![
            (duel("own session and none", plain, pairs.many), Promise::Differs),
            (duel("no session and none", [get(&others), get(&never)], pairs.many), Promise::Same),
            (
                duel("another's session and none", [get(&foreign), get(&never)], pairs.many),
                Promise::Same,
            ),
            refused("DELETE", ""),
            refused("POST", ":stop"),
        ])
    }

    fn about_named_keys(&self, pairs: Pairs) -> Result<Duel> {
        let key = json!({ "name": "named", "capabilities": ["manage"] });
        let foreign = (0..KEYS).map(|_| made(&self.owner, API_KEYS, &key));
        let foreign: Vec<_> = foreign.collect::<Result<_>>()?;
        let never = Dice::new()?.never_as(&foreign);
        let kinds = [foreign, never].map(|ids| {
            let paths = ids.iter().map(|id| format!("{API_KEYS}/{id}"));
            self.by_stranger("GET", paths, 404)
        });
        Ok(duel("another's key by its name and none", kinds, pairs.few))
    }

    fn about_shown_keys(&self, other: &Self, pairs: Pairs) -> Result<Vec<(Duel, Promise)>> {
        println!("    making {KEYS} keys of each kind");
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
            duel(&format!("{name} and an unknown key"), [kind(keys), kind(&unknown)], pairs)
        };
        let in_use = Duel {
            used: live.iter().map(|key| self.by_key(key)).collect(),
            ..with_unknown("a wrong secret of a key in use", &wrong, pairs.few)
        };
        Ok(vec![
            (with_unknown("a revoked", &revoked, pairs.many), Promise::Same),
            (with_unknown("an expired", &expired, pairs.few), Promise::Same),
            (in_use, Promise::Same),
            (with_unknown("a mistyped (it may differ)", &typos, pairs.few), Promise::None),
        ])
    }

    fn keys(&self, other: &Self) -> Result<Keys> {
        let expiry = SystemTime::UNIX_EPOCH.elapsed()? + SHORT;
        let expiry = i64::try_from(expiry.as_millis())?;
        let plain = json!({ "name": "k", "capabilities": ["manage"] });
        let short = json!({ "name": "k", "capabilities": ["manage"], "expiresAt": expiry });
        let mut keys = Keys::default();
        for _ in 0..KEYS {
            // In turns, so that no kind is older than another.
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

    fn by_stranger(&self, method: &str, paths: impl Iterator<Item = String>, status: u16) -> Kind {
        let credential = self.stranger.credential();
        let ask = |path: String| request(method, self.address, &path, credential);
        Kind { requests: paths.map(ask).collect(), status }
    }

    /// Asks for a session by this key. Whether there is one does not matter: who is asking comes first.
    fn by_key(&self, key: &str) -> Vec<u8> {
        let key = Credential::Key(key.to_owned());
        request("GET", self.address, &path("sess_01JGXS1DN00000000000000001"), Some(&key))
    }

    fn until_refused(&self, key: &str) -> Result<()> {
        let caller = self.stack.api.asked_by(Some(Credential::Key(key.to_owned())));
        let patience = Instant::now() + 2 * SHORT;
        while Instant::now() < patience {
            if caller.get(SESSIONS)?.status == 401 {
                return Ok(());
            }
            thread::sleep(GLANCE);
        }
        bail!("a key did not expire")
    }
}

/// Whole keys of each kind.
#[derive(Default)]
struct Keys {
    revoked: Vec<String>,
    expired: Vec<String>,
    live: Vec<String>,
    unknown: Vec<String>,
}

fn duel(name: &str, kinds: [Kind; 2], pairs: usize) -> Duel {
    Duel { name: name.to_owned(), kinds, used: Vec::new(), pairs }
}

/// A new key: its id and its text.
fn new_key(api: &Api, spec: &Value) -> Result<(String, String)> {
    let made = api.post(API_KEYS, spec)?.expect(201)?.json();
    let field = |name: &str| made[name].as_str().map(str::to_owned).context("not a key");
    Ok((field("id")?, field("key")?))
}

/// Makes something and answers its id.
fn made(api: &Api, collection: &str, spec: &Value) -> Result<String> {
    let made = api.post(collection, spec)?.expect(201)?.json();
    let id = made["id"].as_str().context("it has no id")?;
    ensure!(id.rsplit('_').next().is_some_and(|ulid| ulid.len() == 26), "not an id: {id}");
    Ok(id.to_owned())
}
