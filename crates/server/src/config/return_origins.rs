//! Checks the origins to which share links may return.

use std::collections::{BTreeMap, BTreeSet};

use domain::{OrganizationId, ReturnOrigins};
use http_hyper::normalized_origin;

use crate::{invalid::Invalid, settings::OrganizationQuotas};

/// Returns the origins of each organization with a table of its own.
pub(super) fn check(
    organizations: &BTreeMap<String, OrganizationQuotas>,
) -> Result<ReturnOrigins, Invalid> {
    let mut all = ReturnOrigins::new();
    for (name, table) in organizations {
        let Some(id) = OrganizationId::parse(name) else { continue };
        let mut origins = BTreeSet::new();
        for text in table.return_origins.iter().flatten() {
            let origin = normalized_origin(text.trim()).ok_or_else(|| {
                let reason = format!(
                    "{text:?} is not an origin such as https://shop.example, without a path"
                );
                Invalid::setting(&format!("return_origins of organization {name:?}"), reason)
            })?;
            origins.insert(origin);
        }
        if !origins.is_empty() {
            all.insert(id, origins);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(origins: &[&str]) -> Result<ReturnOrigins, Invalid> {
        let return_origins = Some(origins.iter().map(|text| (*text).to_owned()).collect());
        let table = OrganizationQuotas { return_origins, ..OrganizationQuotas::default() };
        check(&[("acme".to_owned(), table)].into())
    }

    #[test]
    fn origins_are_normalized() {
        let origins = checked(&["https://Shop.Example:443/", " http://localhost:3000"]).unwrap();
        let acme = OrganizationId::parse("acme").unwrap();
        let expected = ["http://localhost:3000", "https://shop.example"].map(str::to_owned);
        assert_eq!(origins, [(acme, expected.into())].into());
        assert_eq!(checked(&[]).unwrap(), ReturnOrigins::new());
    }

    #[test]
    fn other_texts_are_no_origins() {
        for text in ["", "*", "shop.example", "https://shop.example/done", "https://*.example?x"] {
            assert!(checked(&[text]).is_err(), "{text:?}");
        }
    }
}
