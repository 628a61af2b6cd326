//! The tokens in `docs/login-tokens.md`, signed and read: what the page says of them is what is so.

use auth::{ClaimPaths, Config};
use domain::{Capability, OrganizationId};
use jsonwebtoken::Algorithm;
use serde_json::Value;

use crate::{
    signer::Signer,
    world::{World, inline},
};

const PAGE: &str = include_str!("../../../../docs/login-tokens.md");

/// A token on the page, and what is said of it.
struct Documented {
    preset: &'static str,
    claims: Value,
    organization: &'static str,
    can: &'static str,
    operator: bool,
}

/// Every token on the page, under the preset that its section is called by.
fn documented() -> Vec<Documented> {
    let mut found = Vec::new();
    for section in PAGE.split("\n## ").skip(1) {
        let preset = section.lines().next().unwrap();
        for block in section.split("```json\n").skip(1) {
            let (json, after) = block.split_once("```").unwrap();
            let said = after.trim_start().strip_prefix("Read as: organization ");
            let said: Vec<_> = said.unwrap().split('`').skip(1).step_by(2).take(3).collect();
            found.push(Documented {
                preset,
                claims: serde_json::from_str(json).unwrap(),
                organization: said[0].trim(),
                can: said[1].trim(),
                operator: said[2] == "yes",
            });
        }
    }
    found
}

#[tokio::test]
async fn the_documented_tokens_are_read_as_documented() {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let all = documented();
    for preset in ClaimPaths::PRESETS {
        let of_it = all.iter().filter(|token| token.preset == preset);
        assert!(of_it.count() >= 2, "the page shows too little of {preset}");
    }
    for Documented { preset, claims, organization, can, operator } in all {
        let paths = ClaimPaths::preset(preset).expect("a preset");
        // The audience is checked as an operator would have it checked, where there is one.
        let audience = claims.get("aud").map(|aud| aud.get(0).unwrap_or(aud));
        let audience = audience.and_then(Value::as_str).map(str::to_owned);
        let issuer = claims["iss"].as_str().map(str::to_owned);
        let config = Config { claims: paths, issuer, audience, ..inline(&[signer.jwk()]) };
        let caller = World::new(config).await.bearer(&signer.token(&claims)).await.unwrap();
        assert_eq!(caller.organization, OrganizationId::parse(organization), "{claims}");
        let able: Vec<_> = caller.capabilities.iter().map(Capability::as_str).collect();
        assert_eq!(able.join(" "), can, "{claims}");
        assert_eq!(caller.platform_admin, operator, "{claims}");
        assert_eq!(caller.actor.user().map(domain::UserId::as_str), claims["sub"].as_str());
    }
}
