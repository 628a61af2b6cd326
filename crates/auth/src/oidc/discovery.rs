//! The discovery document of an issuer (OIDC Discovery 1.0).

use serde::Deserialize;

use super::address::fetchable;

/// The addresses that an issuer publishes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Addresses {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    /// Absent means `client_secret_basic`.
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// Returns the URL of an issuer's document.
pub(super) fn url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

impl Addresses {
    /// Parses the document of an issuer.
    pub(super) fn parse(text: &[u8], issuer: &str) -> Result<Self, &'static str> {
        let addresses: Self = serde_json::from_slice(text)
            .map_err(|_| "the discovery document lacks the issuer or an address")?;
        // A document of another issuer would lead browsers and codes elsewhere.
        if addresses.issuer != issuer {
            return Err("the discovery document is of another issuer");
        }
        let Self { authorization_endpoint, token_endpoint, jwks_uri, .. } = &addresses;
        for address in [authorization_endpoint, token_endpoint, jwks_uri] {
            fetchable(address).map_err(|_| "an address in the discovery document is not usable")?;
        }
        Ok(addresses)
    }

    /// Returns whether the token endpoint takes the client's secret in the body only.
    pub(super) fn takes_secret_in_body(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_deref();
        let has = |methods: &[String], name: &str| methods.iter().any(|method| method == name);
        methods.is_some_and(|methods| {
            has(methods, "client_secret_post") && !has(methods, "client_secret_basic")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn document_of_the_issuer_is_accepted_only() {
        let issuer = "https://id.example";
        let document = json!({
            "issuer": issuer, "authorization_endpoint": "https://id.example/authorize",
            "token_endpoint": "https://id.example/token", "jwks_uri": "https://id.example/jwks",
        });
        let parse = |document: &serde_json::Value| {
            Addresses::parse(document.to_string().as_bytes(), issuer)
        };
        let addresses = parse(&document).unwrap();
        assert!(!addresses.takes_secret_in_body());
        for (name, value) in [
            ("issuer", json!("https://id.example/")),
            ("issuer", json!(null)),
            ("token_endpoint", json!("http://id.example/token")),
            ("jwks_uri", json!("/jwks")),
            ("authorization_endpoint", json!("javascript:alert(1)")),
        ] {
            let mut changed = document.clone();
            changed[name] = value.clone();
            assert!(parse(&changed).is_err(), "{name} {value}");
        }
        for (methods, in_body) in [
            (json!(["client_secret_post"]), true),
            (json!(["client_secret_post", "client_secret_basic"]), false),
            (json!(["none"]), false),
        ] {
            let mut changed = document.clone();
            changed["token_endpoint_auth_methods_supported"] = methods;
            assert_eq!(parse(&changed).unwrap().takes_secret_in_body(), in_body);
        }
    }

    #[test]
    fn document_is_below_the_issuer() {
        let expected = "https://id.example/realms/a/.well-known/openid-configuration";
        assert_eq!(url("https://id.example/realms/a"), expected);
        assert_eq!(url("https://id.example/realms/a/"), expected);
    }
}
