//! The tokens in `docs/login-tokens.md`: signed here and read as the page states.

use auth::{ClaimPaths, Config};
use domain::{Capability, OrganizationId};
use jsonwebtoken::Algorithm;
use serde_json::Value;

use crate::{
    signer::Signer,
    world::{World, inline},
};

const PAGE: &str = include_str!("../../../../docs/login-tokens.md");

/// A token on the page with the caller that the page states.
struct DocumentedToken {
    preset: &'static str,
    claims: Value,
    organization: &'static str,
    rights: &'static str,
    operator: bool,
}

/// Returns every token on the page. The heading of a section is the name of the preset.
fn documented() -> Vec<DocumentedToken> {
    let mut found = Vec::new();
    for section in PAGE.split("\n## ").skip(1) {
        let preset = section.lines().next().unwrap();
        for block in section.split("```json\n").skip(1) {
            let (json, after) = block.split_once("```").unwrap();
            let statement = after.trim_start().strip_prefix("Read as: organization ");
            let values: Vec<_> = statement.unwrap().split('`').skip(1).step_by(2).take(3).collect();
            found.push(DocumentedToken {
                preset,
                claims: serde_json::from_str(json).unwrap(),
                organization: values[0].trim(),
                rights: values[1].trim(),
                operator: values[2] == "yes",
            });
        }
    }
    found
}

#[tokio::test]
async fn documented_tokens_are_read_as_documented() {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let all = documented();
    for preset in ClaimPaths::PRESETS {
        let tokens = all.iter().filter(|token| token.preset == preset);
        assert!(tokens.count() >= 2, "the page shows fewer than two tokens of {preset}");
    }
    for DocumentedToken { preset, claims, organization, rights, operator } in all {
        let paths = ClaimPaths::preset(preset).expect("a preset");
        // Checks issuer and audience where the token has them, as an operator would configure.
        let audience = claims.get("aud").map(|aud| aud.get(0).unwrap_or(aud));
        let audience = audience.and_then(Value::as_str).map(str::to_owned);
        let issuer = claims["iss"].as_str().map(str::to_owned);
        let config = Config { claims: paths, issuer, audience, ..inline(&[signer.jwk()]) };
        let caller = World::new(config).await.bearer(&signer.token(&claims)).await.unwrap();
        assert_eq!(caller.organization, OrganizationId::parse(organization), "{claims}");
        let capabilities: Vec<_> = caller.capabilities.iter().map(Capability::as_str).collect();
        assert_eq!(capabilities.join(" "), rights, "{claims}");
        assert_eq!(caller.platform_admin, operator, "{claims}");
        assert_eq!(caller.actor.user().map(domain::UserId::as_str), claims["sub"].as_str());
    }
}
