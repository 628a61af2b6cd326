//! Kicks: they disconnect a device, or refuse its next logins, and keep its link.

use crate::account::Device;
use crate::clock;
use crate::login_refusal::LoginRefusal;
use crate::stanza;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

/// A way to disconnect a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kick {
    /// Acts like a login of another client with the same keys: `<conflict type="replaced"/>`. The
    /// next login succeeds.
    Replaced,
    /// Ends the stream. Logins fail with 402 and the remaining seconds until the ban ends.
    Banned,
    /// Ends the stream. Logins fail with 405 until the client has a later version than at the kick.
    Outdated,
    /// Ends the stream with 503. The next logins, as many as configured, fail with 503.
    Unavailable,
    /// Closes the connection without a stanza. The next login succeeds.
    Close,
}

impl Kick {
    /// Returns whether the kick affects a device that is not connected.
    pub(crate) fn has_lasting_effect(self) -> bool {
        matches!(self, Self::Banned | Self::Outdated | Self::Unavailable)
    }

    /// Returns the last stanza that the connected device gets.
    pub(crate) fn final_stanza(self) -> Option<Node> {
        match self {
            Self::Replaced => Some(stanza::replaced()),
            Self::Unavailable => Some(stanza::stream_error("503")),
            Self::Banned | Self::Outdated => Some(NodeBuilder::new("xmlstreamend").build()),
            Self::Close => None,
        }
    }

    /// Returns the refusal of later logins.
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
