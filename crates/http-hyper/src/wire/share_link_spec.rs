//! The requests about share links: each with its reader and the schema of the reader's input.

use std::time::Duration;

use domain::{
    DEFAULT_LINK_LIFE, LinkMethod, MAX_LINK_LIFE, MAX_LINK_TITLE, MIN_LINK_LIFE, ReturnTarget,
    ShareLinkSpec,
};
use hyper::Uri;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{Schema, Type},
    },
};

use super::example::example_is_sample;
use crate::{
    browser::public_url::normalized_origin,
    request::fields::Fields,
    response::violation::Violation,
    wire::schema::{
        NO_CONTROL, count_or_null, enumeration, list, object, or_null, text, text_or_null,
    },
};

const PHONE: &str = "^[1-9][0-9]{6,14}$";
/// An absolute URL without a fragment, of at most 500 characters. Further rules apply to its host and
/// port.
const RETURN_URL: &str = "^[Hh][Tt][Tt][Pp]([Ss]://[!\"$-~]{1,492}|://[!\"$-~]{1,493})$";

/// The request to create a share link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewShareLinkSpec(pub ShareLinkSpec);

/// The request that opens a share link in a browser.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkSecretSpec {
    /// The text after `#` in the URL of the link.
    pub secret: String,
}

/// The request for a pairing code by the holder of a share link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCodeSpec {
    /// The phone; `None` for the phone that the link names.
    pub phone: Option<String>,
}

example_is_sample!(LinkCodeSpec, LinkSecretSpec, NewShareLinkSpec);

impl PartialSchema for NewShareLinkSpec {
    fn schema() -> RefOr<Schema> {
        let seconds = |life: Duration| u32::try_from(life.as_secs()).unwrap_or(u32::MAX);
        let life = count_or_null(
            "The life of the link, in seconds; null for half an hour.",
            seconds(MAX_LINK_LIFE),
        );
        let method =
            enumeration("A way to link a phone.", &LinkMethod::ALL.map(LinkMethod::as_str));
        let methods = list("The ways in which the holder may link a phone; null for all.", method);
        let phone = text_or_null(
            "The only phone that the holder may get a pairing code for: digits alone, in international form. \
             Null for any phone.",
        );
        let title =
            text_or_null("A text for the holder: who asks for the phone. No control characters.");
        let return_url = text_or_null(
            "The URL to which the holder's browser may return afterwards, without a fragment. The operator must \
             allow its origin for your organization.",
        );
        let spec = object("The request to create a share link.")
            .property("expiresIn", life.minimum(Some(seconds(MIN_LINK_LIFE))))
            .property("methods", methods.schema_type(or_null(Type::Array)).min_items(Some(1)))
            .property("phone", phone.pattern(Some(PHONE)))
            .property("returnUrl", return_url.pattern(Some(RETURN_URL)))
            .property(
                "title",
                title
                    .min_length(Some(1))
                    .max_length(Some(MAX_LINK_TITLE))
                    .pattern(Some(NO_CONTROL)),
            );
        RefOr::T(spec.build().into())
    }
}

impl PartialSchema for LinkSecretSpec {
    fn schema() -> RefOr<Schema> {
        let secret = text("The text after `#` in the URL of the link.");
        let spec = object("The request that opens a share link in a browser.");
        RefOr::T(spec.property("secret", secret).required("secret").build().into())
    }
}

impl PartialSchema for LinkCodeSpec {
    fn schema() -> RefOr<Schema> {
        let phone = text_or_null(
            "The phone: digits alone, in international form. May be absent if the link names a phone.",
        );
        let spec = object("The request of a holder for a pairing code.");
        RefOr::T(spec.property("phone", phone.pattern(Some(PHONE))).build().into())
    }
}

impl ToSchema for NewShareLinkSpec {}
impl ToSchema for LinkSecretSpec {}
impl ToSchema for LinkCodeSpec {}

impl NewShareLinkSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({
            "expiresIn": 1800,
            "methods": ["qr", "code"],
            "phone": null,
            "returnUrl": null,
            "title": "Acme support"
        })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let most = u32::try_from(MAX_LINK_LIFE.as_secs()).unwrap_or(u32::MAX);
        let life = fields.count("expiresIn", most);
        let methods = fields.list("methods").map(|named| {
            let mut methods = Vec::new();
            for (pointer, name) in named {
                match LinkMethod::parse(&name) {
                    Some(method) => methods.push(method),
                    None => fields.add_faults([Violation::new(pointer, "must be qr or code")]),
                }
            }
            methods
        });
        let phone = fields.text("phone");
        let return_target = fields.text("returnUrl").and_then(|address| {
            let target = target(address);
            if target.is_none() {
                let reason = "must be an http or https URL without a user name and a fragment";
                fields.add_faults([Violation::new("/returnUrl", reason)]);
            }
            target
        });
        let title = fields.text("title");
        Self(ShareLinkSpec {
            life: life.map_or(DEFAULT_LINK_LIFE, |seconds| Duration::from_secs(seconds.into())),
            methods: methods
                .map_or(LinkMethod::ALL.into(), |methods| methods.into_iter().collect()),
            phone,
            title,
            return_target,
        })
    }
}

impl LinkSecretSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({ "secret": "lnk_01Yf7LrQ0000000000000g_…" })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        Self { secret: fields.required_text("secret").unwrap_or_default() }
    }
}

impl LinkCodeSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({ "phone": "15550000001" })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        Self { phone: fields.text("phone") }
    }
}

/// Returns the target in an absolute URL; `None` for another text.
fn target(address: String) -> Option<ReturnTarget> {
    let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic()) && !address.contains('#');
    let uri: Uri = address.parse().ok().filter(|_| is_plain)?;
    let origin = normalized_origin(&format!("{}://{}", uri.scheme()?, uri.authority()?))?;
    Some(ReturnTarget { address, origin })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut fields = Fields::parse(text.as_bytes());
        NewShareLinkSpec::read(&mut fields);
        fields.finish().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn samples_are_read_as_they_are() {
        assert_eq!(faults(&NewShareLinkSpec::sample().to_string()), [""; 0]);
        assert_eq!(faults(""), [""; 0]);
        let NewShareLinkSpec(spec) = NewShareLinkSpec::read(&mut Fields::default());
        assert_eq!((spec.life, spec.methods), (DEFAULT_LINK_LIFE, LinkMethod::ALL.into()));
    }

    #[test]
    fn each_fault_is_reported_once() {
        let text = r#"{"expiresIn":86401,"methods":["qr","nfc",7],"phone":7,"returnUrl":"/x",
            "title":1,"x":1}"#;
        let expected =
            ["/expiresIn", "/methods/2", "/methods/1", "/phone", "/returnUrl", "/title", "/x"];
        assert_eq!(faults(text), expected);
    }

    #[test]
    fn origin_of_a_return_url_is_normalized() {
        let origin = |text: &str| target(text.to_owned()).map(|target| target.origin);
        for (text, expected) in [
            ("https://Shop.Example/done?x=1", "https://shop.example"),
            ("HTTPS://shop.example:443", "https://shop.example"),
            ("http://localhost:3000/a", "http://localhost:3000"),
        ] {
            assert_eq!(origin(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "/done",
            "shop.example/done",
            "ftp://shop.example/",
            "javascript:alert(1)",
            "https://shop.example/#done",
            "https://shop.example@evil.example/",
            "https://shop.example/ü",
            "https://shop.example/a b",
            "https:///done",
        ] {
            assert_eq!(origin(text), None, "{text}");
        }
    }
}
