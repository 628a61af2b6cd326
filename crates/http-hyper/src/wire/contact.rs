//! Contacts in responses.

use domain::{ChatAddress, ports::ContactCheck};
use serde::Serialize;
use utoipa::ToSchema;

use super::example::example_is_sample;

/// What WhatsApp says about a phone number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ContactCheck)]
pub struct ContactCheckView {
    /// The phone number of the request, digits only.
    pub asked: String,
    /// Whether the number has an account.
    pub registered: bool,
    /// The phone number of the account as WhatsApp writes it, digits only. It can differ from the
    /// number of the request.
    pub phone: Option<String>,
    /// The address of the account by phone number.
    pub jid: Option<String>,
    /// The private address of the account.
    pub lid: Option<String>,
    /// Whether the account is a business account.
    pub business: bool,
}

example_is_sample!(ContactCheckView);

impl ContactCheckView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            asked: "15551234567".to_owned(),
            registered: true,
            phone: Some("15551234567".to_owned()),
            jid: Some("15551234567@s.whatsapp.net".to_owned()),
            lid: Some("915551234567@lid".to_owned()),
            business: false,
        }
    }

    pub(crate) fn of(asked: &str, check: ContactCheck) -> Self {
        let ContactCheck { registered, jid, lid, business, .. } = check;
        let address = jid.as_deref().and_then(ChatAddress::parse);
        Self {
            asked: asked.to_owned(),
            registered,
            phone: address.as_ref().and_then(ChatAddress::phone).map(ToOwned::to_owned),
            jid,
            lid,
            business,
        }
    }
}
