//! The refusal of a device's logins after a kick.

use crate::clock;
use crate::stanza;
use serde::{Deserialize, Serialize};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

/// The version of a client, as the client sends it at login.
pub(crate) type Version = [u32; 5];

/// Why and how long logins of a device are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LoginRefusal {
    /// Until this time, in Unix seconds.
    Banned(u64),
    /// Up to and including this version.
    Outdated(Version),
    /// For this number of logins.
    Unavailable(u32),
}

/// The kind of a temporary ban; 101 is "too many messages to strangers".
const BAN_CODE: &str = "101";

/// Returns the failure of a login; `None` if the login is accepted. Removes a refusal that has
/// ended.
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
        let failures: Vec<_> =
            (0..3).map(|_| reason(check_login(&mut refusal, Version::default()))).collect();
        assert_eq!(failures, [Some("503".to_owned()), Some("503".to_owned()), None]);
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
