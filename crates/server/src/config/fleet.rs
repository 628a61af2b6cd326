//! Checks the settings of the gateways: listed tokens, a fleet secret, or the local gateway.

use std::{collections::HashMap, path::PathBuf};

use domain::GatewayId;
use gateway_protocol::{FleetSecret, NodePattern};
use secrecy::{ExposeSecret, SecretString};

use super::{GatewayTokens, Gateways, LocalGateway};
use crate::{invalid::Invalid, settings};

/// Returns the gateways of the variable, or else of the file's tables, and the fleet secret; without
/// any of them the local gateway. The variable replaces all tables, because a mixture of both is most
/// likely a mistake.
pub(super) fn gateways(
    listed: settings::RemoteGateways,
    tables: Vec<settings::RemoteGateway>,
    fleet: settings::Fleet,
    local: settings::LocalGateway,
) -> Result<Gateways, Invalid> {
    let remote = match listed.node_tokens {
        Some(list) => node_tokens(list.expose_secret())?,
        None => tables.into_iter().map(|table| (table.id, table.token)).collect(),
    };
    let fleet = check(fleet)?;
    if remote.is_empty() && fleet.is_none() {
        let program = local.gateway_bin.map(PathBuf::from);
        let data = local.gateway_data.unwrap_or_else(|| "data/gateway".into()).into();
        return Ok(Gateways::Local(LocalGateway {
            program,
            data,
            whatsapp_url: local.whatsapp_url,
        }));
    }
    let mut tokens = HashMap::new();
    for (name, token) in remote {
        let reason = |reason: &str| Invalid::setting("gateway", format!("{name:?} {reason}"));
        let id = GatewayId::parse(&name).ok_or_else(|| {
            reason("is not 1 to 64 letters, digits, dots, dashes and underscores")
        })?;
        let text = token.expose_secret();
        if !(16..=512).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(reason("needs a token of 16 to 512 visible ASCII characters"));
        }
        if tokens.insert(id, token).is_some() {
            return Err(reason("occurs twice"));
        }
    }
    Ok(Gateways::Remote(GatewayTokens { tokens, fleet }))
}

/// Checks the fleet secret and the patterns of ids.
pub(crate) fn check(
    settings: settings::Fleet,
) -> Result<Option<(FleetSecret, Vec<NodePattern>)>, Invalid> {
    let Some(secret) = settings.fleet_secret else {
        return match settings.fleet_nodes {
            None => Ok(None),
            Some(_) => Err(Invalid::setting("fleet_nodes", "fleet_secret must be set, too")),
        };
    };
    let secret = FleetSecret::new(secret.expose_secret())
        .map_err(|error| Invalid::setting("fleet_secret", error))?;
    let list = settings.fleet_nodes.unwrap_or_else(|| "*".to_owned());
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let patterns = entries.map(|entry| {
        NodePattern::parse(entry).ok_or_else(|| {
            let reason = format!("{entry:?} is not a pattern of ids, such as gw-*");
            Invalid::setting("fleet_nodes", reason)
        })
    });
    Ok(Some((secret, patterns.collect::<Result<_, _>>()?)))
}

fn node_tokens(list: &str) -> Result<Vec<(String, SecretString)>, Invalid> {
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let read = |(number, entry): (usize, &str)| {
        let (id, token) = entry.split_once('=').ok_or_else(|| {
            // The message omits the entry, which may contain a token.
            let reason = format!("entry {} is not of the form ID=TOKEN", number + 1);
            Invalid::setting("node_tokens", reason)
        })?;
        Ok((id.trim().to_owned(), SecretString::from(token.trim())))
    };
    entries.enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(secret: Option<&str>, nodes: Option<&str>) -> Result<Option<usize>, String> {
        let fleet = settings::Fleet {
            fleet_secret: secret.map(Into::into),
            fleet_nodes: nodes.map(Into::into),
        };
        check(fleet).map(|of| of.map(|(_, patterns)| patterns.len())).map_err(|e| e.to_string())
    }

    #[test]
    fn fleet_secret_and_patterns_are_checked_without_showing_the_secret() {
        let secret = "x".repeat(32);
        assert_eq!(checked(None, None), Ok(None));
        assert_eq!(checked(Some(&secret), None), Ok(Some(1)));
        assert_eq!(checked(Some(&secret), Some("gw-*, other-1")), Ok(Some(2)));
        assert!(checked(None, Some("gw-*")).unwrap_err().contains("fleet_secret"));
        assert!(checked(Some(&secret), Some("gw/*")).unwrap_err().contains("gw/*"));
        let error = checked(Some("canary"), None).unwrap_err();
        assert!(error.contains("fleet_secret") && !error.contains("canary"), "{error}");
    }
}
