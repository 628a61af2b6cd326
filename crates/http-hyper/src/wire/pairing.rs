//! The codes that link a phone.

use domain::{PairingCode, QrCode};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::example::example_is_sample;
use crate::{
    request::fields::Fields,
    wire::schema::{object, text},
};

/// A QR code to scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QrCode)]
pub struct QrView {
    /// The content of the QR code.
    pub code: String,
    /// The time at which the code expires. The next code, if any, replaces it.
    pub expires_at: i64,
    /// The number of the code within the pairing attempt, from 1 to `attempts`.
    pub attempt: u32,
    /// The number of codes of the pairing attempt.
    pub attempts: u32,
}

/// A code to type on the phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PairingCode)]
pub struct PairingCodeView {
    /// The code, in the form `ABCD-1234`.
    pub code: String,
    /// The time at which the code expires.
    pub expires_at: i64,
}

/// The request for a pairing code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingCodeSpec {
    /// 7–15 digits, in international form without the plus; the first is not 0.
    pub phone: String,
}

example_is_sample!(PairingCodeSpec, PairingCodeView, QrView);

impl QrView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            code: "2@q0,w1,e2,r3".to_owned(),
            expires_at: 1_767_254_460_000,
            attempt: 1,
            attempts: 6,
        }
    }

    pub(crate) fn of(code: &QrCode) -> Self {
        Self {
            code: code.text.clone(),
            expires_at: code.expires_at.millis(),
            attempt: code.number,
            attempts: code.of,
        }
    }
}

impl PairingCodeView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { code: "ABCD-1234".to_owned(), expires_at: 1_767_254_580_000 }
    }

    pub(crate) fn of(code: &PairingCode) -> Self {
        Self { code: code.dashed(), expires_at: code.expires_at.millis() }
    }
}

impl PartialSchema for PairingCodeSpec {
    fn schema() -> RefOr<Schema> {
        let phone = text("In international form, digits alone: without the plus or a leading 0.");
        let phone = phone.pattern(Some("^[1-9][0-9]{6,14}$"));
        RefOr::T(
            object("The request for a pairing code.")
                .property("phone", phone)
                .required("phone")
                .build()
                .into(),
        )
    }
}

impl ToSchema for PairingCodeSpec {}

impl PairingCodeSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({ "phone": "15550000001" })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let phone = fields.required_text("phone");
        Self { phone: phone.unwrap_or_default() }
    }
}
