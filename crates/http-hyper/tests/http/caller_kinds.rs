//! Every kind of caller there is, from nobody to the operator, as seen from organization acme.

/// A kind of caller.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// What the doorman knows it by; `{this}` and `{other}` stand for sessions.
    word: &'static str,
    /// May manage acme's things, so that what is asked for is no secret to it.
    pub(crate) at_home: bool,
}

impl Kind {
    /// Its credential, where the walk asks for session `this`, and `other` is another of acme's.
    pub(crate) fn token(&self, this: &str, other: &str) -> String {
        self.word.replace("{this}", this).replace("{other}", other)
    }

    /// May look across organizations where that is what is asked.
    pub(crate) fn is_of_the_platform(&self) -> bool {
        matches!(self.word, "operator" | "platform")
    }

    /// Confined to a session that is not asked for.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.word.contains("{other}")
    }
}

pub(crate) static KINDS: [Kind; 17] = [
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
    of("stranger", "an admin of another organization", "zeta"),
    of("elsewhere", "a key of acme confined to another session", "only-{other}"),
    home("here", "a key of acme confined to the session asked for", "only-{this}"),
    home("manager", "a key of acme that manages and no more", "manager"),
    home("admin", "an admin of acme", "acme"),
];

const fn of(name: &'static str, about: &'static str, word: &'static str) -> Kind {
    Kind { name, about, word, at_home: false }
}

const fn home(name: &'static str, about: &'static str, word: &'static str) -> Kind {
    Kind { name, about, word, at_home: true }
}
