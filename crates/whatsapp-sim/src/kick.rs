//! Ways a device is thrown out while its link stays: what is said at once, and what its next logins
//! hear.

use crate::account::Device;
use crate::clock;
use crate::login_refusal::LoginRefusal;
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
