//! The response of `GET …/me`.

use domain::SessionIdentity;
use serde::Serialize;
use utoipa::ToSchema;

use super::example::example_is_sample;
use crate::wire::schema;

/// The account that is linked to a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Identity)]
pub struct IdentityView {
    /// The id of the session.
    pub session_id: String,
    /// The status of the session.
    #[schema(schema_with = schema::status)]
    pub status: &'static str,
    /// Whether the node that holds the session reports a connection to WhatsApp now.
    pub connected: bool,
    /// The phone number, digits only.
    pub phone_number: String,
    /// `number:device@s.whatsapp.net`
    pub wa_jid: String,
    /// `lid:device@lid`
    pub wa_lid: Option<String>,
    /// The device's number on the account.
    pub device_id: u32,
    /// The name the account shows.
    pub push_name: Option<String>,
}

example_is_sample!(IdentityView);

impl IdentityView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            session_id: "sess_01JGXS1DN00000000000000001".to_owned(),
            status: "working",
            connected: true,
            phone_number: "15550000001".to_owned(),
            wa_jid: "15550000001:7@s.whatsapp.net".to_owned(),
            wa_lid: Some("915550000001:7@lid".to_owned()),
            device_id: 7,
            push_name: Some("Front desk".to_owned()),
        }
    }

    pub(crate) fn of(attached: &SessionIdentity) -> Self {
        let (session, identity) = (&attached.session, attached.identity.clone());
        Self {
            session_id: session.id.as_str().to_owned(),
            status: session.observed.status.as_str(),
            connected: attached.connected,
            phone_number: identity.phone,
            wa_jid: identity.jid,
            wa_lid: identity.lid,
            device_id: identity.device,
            push_name: identity.push_name,
        }
    }
}
