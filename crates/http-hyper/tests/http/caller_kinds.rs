//! Every kind of caller, from an anonymous one to the operator, relative to organization acme.

use http_hyper::api::{Operation, Requires};

/// A kind of caller.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The token that the authenticator accepts; `{this}` and `{other}` stand for sessions.
    word: &'static str,
    /// Whether the caller may manage acme's objects.
    at_home: bool,
}

impl Kind {
    /// Returns the credential for a request on session `this`; `other` is another session of acme.
    pub(crate) fn token(&self, this: &str, other: &str) -> String {
        let session = this.split_once('|').map_or(this, |(session, _)| session);
        self.word.replace("{this}", session).replace("{other}", other)
    }

    /// Returns whether the caller may use the operation on acme's objects: with the capability to
    /// manage, or with the capabilities to read and send.
    pub(crate) fn may(&self, row: &Operation) -> bool {
        match row.requires {
            Requires::Read | Requires::Send => {
                matches!(self.word, "member" | "reader") || (self.at_home && self.name != "manager")
            }
            _ => self.at_home,
        }
    }

    /// Returns whether the caller may use operations of the platform.
    pub(crate) fn is_of_the_platform(&self) -> bool {
        matches!(self.word, "operator" | "platform")
    }

    /// Returns whether the subject or the organization of the credential contains the name of acme.
    pub(crate) fn names_acme(&self) -> bool {
        let words = ["guest", "member", "nowhere", "operator", "platform", "reader"];
        self.at_home || self.is_elsewhere() || words.contains(&self.word)
    }

    /// Returns whether the caller is confined to another session.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.word.contains("{other}")
    }
}

pub(crate) static KINDS: [Kind; 21] = [
    of("nobody", "no credential", ""),
    of("garbage", "a credential of no kind", "garbage"),
    of("unknown", "a key that was never made", "unknown"),
    of("expired", "a login token or key whose time is over", "expired"),
    of("revoked", "a key that was revoked", "revoked"),
    of("unsure", "a login token while the key set is away", "down"),
    of("homeless", "a person without an organization", "nowhere"),
    of("super", "super_admin of the platform, without an organization", "operator"),
    of("superguest", "super_admin who has no role in acme", "platform"),
    of("guest", "a person of acme without a role", "guest"),
    of("member", "a member of acme: reads and sends", "member"),
    of("reader", "a key of acme that reads and sends", "reader"),
    of("holder", "the browser that opened a share link to the session asked for", "holder-{this}"),
    of("stranger", "an admin of another organization", "zeta"),
    of("elsewhere", "a key of acme confined to another session", "only-{other}"),
    member("here", "a key of acme confined to the session asked for", "only-{this}"),
    member("manager", "a key of acme that manages and no more", "manager"),
    member("admin", "an admin of acme", "acme"),
    of("crosssite", "the cookie of an admin of acme, in a request of another site", "crosssite"),
    of("loggedout", "the cookie of a session that has ended", "loggedout"),
    member("browser", "the cookie of an admin of acme, in a request of an own page", "browser"),
];

const fn of(name: &'static str, about: &'static str, word: &'static str) -> Kind {
    Kind { name, about, word, at_home: false }
}

const fn member(name: &'static str, about: &'static str, word: &'static str) -> Kind {
    Kind { name, about, word, at_home: true }
}
