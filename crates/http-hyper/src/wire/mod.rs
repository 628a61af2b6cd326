//! What the API shows and takes, as JSON: camelCase, moments in epoch milliseconds, every field
//! always present. `…View` goes out, `…Spec` comes in; each has one sample.

mod api_key;
mod event;
mod health;
mod identity;
mod list;
mod pairing;
mod session;

pub use api_key::{ApiKeySpec, ApiKeyView, NewApiKeyView};
pub use event::{ActorView, EventView, TrailSpec};
pub use health::ReadinessView;
pub use identity::IdentityView;
pub use list::{ListView, PageSpec};
pub use pairing::{PairingCodeSpec, PairingCodeView, QrView};
pub use session::{SessionPatch, SessionSpec, SessionView, StatusReasonView};
