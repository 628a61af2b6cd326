//! What the API shows and takes, as JSON: camelCase, moments in epoch milliseconds, every field
//! always present. `…View` goes out, `…Spec` comes in; each has one sample.

mod api_key;
mod event;
mod health;
mod identity;
mod list;
mod pairing;
pub(crate) mod schema;
mod session;
mod session_spec;

pub use api_key::{ApiKeySpec, ApiKeyView, NewApiKeyView};
pub use event::{ActorView, AuditPageSpec, EventView};
pub use health::{LivenessView, ReadinessView};
pub use identity::IdentityView;
pub use list::{ListView, SessionPageSpec};
pub use pairing::{PairingCodeSpec, PairingCodeView, QrView};
pub use session::{SessionView, StatusReasonView};
pub use session_spec::{SessionPatch, SessionSpec};

use crate::openapi::WithExample;

/// The sample of each is its example in the document.
macro_rules! impl_with_example {
    ($($kind:ty),* $(,)?) => {
        $(impl WithExample for $kind {
            fn example() -> serde_json::Value {
                serde_json::to_value(<$kind>::sample()).unwrap_or_default()
            }
        })*
    };
}

impl_with_example!(
    ApiKeySpec,
    ApiKeyView,
    EventView,
    IdentityView,
    ListView<ApiKeyView>,
    ListView<EventView>,
    ListView<SessionView<'static>>,
    LivenessView,
    NewApiKeyView,
    PairingCodeSpec,
    PairingCodeView,
    QrView,
    ReadinessView,
    SessionPatch,
    SessionSpec,
    SessionView<'static>,
);
