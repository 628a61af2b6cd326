//! Examples of requests and responses for the OpenAPI document.

use utoipa::ToSchema;

/// A type with a schema and an example.
pub(crate) trait WithExample: ToSchema {
    /// Returns the example as JSON.
    fn example() -> serde_json::Value;
}

/// Makes the sample of each type its example.
macro_rules! example_is_sample {
    ($($kind:ty),*) => {
        $(impl crate::wire::example::WithExample for $kind {
            fn example() -> serde_json::Value {
                serde_json::to_value(<$kind>::sample()).unwrap_or_default()
            }
        })*
    };
}
pub(super) use example_is_sample;
