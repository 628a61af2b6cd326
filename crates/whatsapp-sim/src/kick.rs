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
pub(crate) enum Refusal {
    /// Until then, in seconds since 1970.
    Banned(u64),
    /// Up to and with this version.
    Outdated(Version),
    /// This many times.
    Unavailable(u32),
}

impl Kick {
    /// Whether it does something to a device that is away.
    pub(crate) fn lasts(self) -> bool {
        matches!(self, Self::Banned | Self::Outdated | Self::Unavailable)
    }

    /// What the connected device hears.
    pub(crate) fn last_word(self) -> Option<Node> {
        match self {
            Self::Replaced => Some(stanza::replaced()),
            Self::Unavailable => Some(stanza::stream_error("503")),
            Self::Banned | Self::Outdated => Some(NodeBuilder::new("xmlstreamend").build()),
            Self::Close => None,
        }
    }

    /// What later logins of the device meet.
    pub(crate) fn refusal(
        self,
        device: &Device,
        ban: Duration,
        unavailable: u32,
    ) -> Option<Refusal> {
        match self {
            Self::Banned => Some(Refusal::Banned(clock::seconds() + ban.as_secs())),
            Self::Outdated => Some(Refusal::Outdated(device.version)),
            Self::Unavailable => Some(Refusal::Unavailable(unavailable)),
            Self::Replaced | Self::Close => None,
        }
    }
}

/// Temporary bans name their kind: 101 is "too many messages to strangers".
const BAN_CODE: &str = "101";

/// Judges a login: the failure to say, or nothing. A refusal that is used up or over is taken away.
pub(crate) fn judge(refusal: &mut Option<Refusal>, version: Version) -> Option<Node> {
    let failure = |reason: &'static str| {
        NodeBuilder::new("failure").attr("reason", reason).attr("location", stanza::LOCATION)
    };
    match refusal.take()? {
        Refusal::Banned(ends) => {
            let left = ends.saturating_sub(clock::seconds());
            if left == 0 {
                return None;
            }
            *refusal = Some(Refusal::Banned(ends));
            Some(failure("402").attr("code", BAN_CODE).attr("expire", left).build())
        }
        Refusal::Outdated(last) if version <= last => {
            *refusal = Some(Refusal::Outdated(last));
            Some(failure("405").build())
        }
        Refusal::Outdated(_) | Refusal::Unavailable(0) => None,
        Refusal::Unavailable(left) => {
            *refusal = (left > 1).then(|| Refusal::Unavailable(left - 1));
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
    fn an_outdated_client_is_let_in_with_a_later_version_only() {
        let mut refusal = Some(Refusal::Outdated([2, 3000, 7, 0, 0]));
        for version in [[2, 3000, 7, 0, 0], [2, 2999, 9, 0, 0]] {
            assert_eq!(reason(judge(&mut refusal, version)).as_deref(), Some("405"));
        }
        assert_eq!(reason(judge(&mut refusal, [2, 3000, 8, 0, 0])), None);
        assert_eq!(refusal, None);
    }

    #[test]
    fn unavailable_is_said_as_often_as_configured() {
        let mut refusal = Some(Refusal::Unavailable(2));
        let said: Vec<_> =
            (0..3).map(|_| reason(judge(&mut refusal, Version::default()))).collect();
        assert_eq!(said, [Some("503".to_owned()), Some("503".to_owned()), None]);
    }

    #[test]
    fn a_ban_says_when_it_ends_and_then_ends() {
        let mut refusal = Some(Refusal::Banned(clock::seconds() + 90));
        let node = judge(&mut refusal, Version::default()).unwrap();
        let expire: u64 = node.attrs.get("expire").unwrap().as_str().parse().unwrap();
        assert!((1..=90).contains(&expire));
        let mut over = Some(Refusal::Banned(clock::seconds()));
        assert_eq!((judge(&mut over, Version::default()), over), (None, None));
    }
}
