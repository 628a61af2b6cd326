//! Examples of requests and responses for the OpenAPI document.

use utoipa::ToSchema;

use super::{
    ApiKeySpec, ApiKeyView, EventView, IdentityView, ListView, LivenessView, NewApiKeyView,
    PairingCodeSpec, PairingCodeView, QrView, ReadinessView, SessionPatch, SessionSpec,
    SessionView,
};

/// A type with a schema and an example.
pub(crate) trait WithExample: ToSchema {
    /// Returns the example as JSON.
    fn example() -> serde_json::Value;
}

/// Makes the sample of each type its example.
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
