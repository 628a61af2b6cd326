//! Ways a device is thrown out while its link stays: what is said at once, and what its next logins
//! hear.

use crate::account::{Device, Version};
use crate::clock;
use crate::stanza;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

/// A way to throw a device out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kick {
    /// As if another client had logged in with the same keys: `<conflict type="replaced"/>`. The
    /// next login is let in.
    Replaced,
    /// The stream ends, and logins fail with 402 and the seconds that are left, until the ban is
    /// over.
    Banned,
    /// The stream ends, and logins fail with 405 until the client comes with a later version than
    /// now.
    Outdated,
    /// The stream ends with 503, and the next login (or as many as configured) fails with 503.
    Unavailable,
    /// The connection closes without a word. The next login is let in.
    Close,
}

/// Why a device is not let in for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LoginRefusal {
    /// Until then, in seconds since 1970.
    Banned(u64),
    /// Up to and with this version.
    Outdated(Version),
    /// This many times.
    Unavailable(u32),
}

impl Kick {
    /// Whether it does something to a device that is away.
    pub(crate) fn has_lasting_effect(self) -> bool {
        matches!(self, Self::Banned | Self::Outdated | Self::Unavailable)
    }

    /// What the connected device hears.
    pub(crate) fn final_stanza(self) -> Option<Node> {
        match self {
            Self::Replaced => Some(stanza::replaced()),
            Self::Unavailable => Some(stanza::stream_error("503")),
            Self::Banned | Self::Outdated => Some(NodeBuilder::new("xmlstreamend").build()),
            Self::Close => None,
        }
    }

    /// What later logins of the device meet.
    pub(crate) fn login_refusal(
        self,
        device: &Device,
        ban: Duration,
        unavailable: u32,
    ) -> Option<LoginRefusal> {
        match self {
            Self::Banned => Some(LoginRefusal::Banned(clock::seconds() + ban.as_secs())),
            Self::Outdated => Some(LoginRefusal::Outdated(device.version)),
            Self::Unavailable => Some(LoginRefusal::Unavailable(unavailable)),
            Self::Replaced | Self::Close => None,
        }
    }
}

/// Temporary bans name their kind: 101 is "too many messages to strangers".
const BAN_CODE: &str = "101";

/// Judges a login: the failure to say, or nothing. A refusal that is used up or over is taken away.
pub(crate) fn check_login(refusal: &mut Option<LoginRefusal>, version: Version) -> Option<Node> {
    let failure = |reason: &'static str| {
        NodeBuilder::new("failure").attr("reason", reason).attr("location", stanza::LOCATION)
    };
    match refusal.take()? {
        LoginRefusal::Banned(ends) => {
            let left = ends.saturating_sub(clock::seconds());
            if left == 0 {
                return None;
            }
            *refusal = Some(LoginRefusal::Banned(ends));
            Some(failure("402").attr("code", BAN_CODE).attr("expire", left).build())
        }
        LoginRefusal::Outdated(last) if version <= last => {
            *refusal = Some(LoginRefusal::Outdated(last));
            Some(failure("405").build())
        }
        LoginRefusal::Outdated(_) | LoginRefusal::Unavailable(0) => None,
        LoginRefusal::Unavailable(left) => {
            *refusal = (left > 1).then(|| LoginRefusal::Unavailable(left - 1));
            Some(failure("503").build())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(node: Option<Node>) -> Option<String> {
        node.map(|n| n.attrs.get("reason").unwrap().as_str().into_owned())
    }

    #[test]
    fn outdated_client_logs_in_with_a_later_version_only() {
        let mut refusal = Some(LoginRefusal::Outdated([2, 3000, 7, 0, 0]));
        for version in [[2, 3000, 7, 0, 0], [2, 2999, 9, 0, 0]] {
            assert_eq!(reason(check_login(&mut refusal, version)).as_deref(), Some("405"));
        }
        assert_eq!(reason(check_login(&mut refusal, [2, 3000, 8, 0, 0])), None);
        assert_eq!(refusal, None);
    }

    #[test]
    fn unavailable_refusals_are_counted() {
        let mut refusal = Some(LoginRefusal::Unavailable(2));
        let said: Vec<_> =
            (0..3).map(|_| reason(check_login(&mut refusal, Version::default()))).collect();
        assert_eq!(said, [Some("503".to_owned()), Some("503".to_owned()), None]);
    }

    #[test]
    fn ban_has_an_expiry_and_ends() {
        let mut refusal = Some(LoginRefusal::Banned(clock::seconds() + 90));
        let node = check_login(&mut refusal, Version::default()).unwrap();
        let expire: u64 = node.attrs.get("expire").unwrap().as_str().parse().unwrap();
        assert!((1..=90).contains(&expire));
        let mut over = Some(LoginRefusal::Banned(clock::seconds()));
        assert_eq!((check_login(&mut over, Version::default()), over), (None, None));
    }
}
